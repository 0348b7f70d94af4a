//! Rows as aligned columns of text.

use std::fmt;

/// A table: headers, then rows. Columns are as wide as their widest field, two spaces apart.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
    /// Columns that a narrow terminal does without.
    spare: Vec<bool>,
}

impl Table {
    /// A table with these headers. A header that begins with `>` makes a column of figures, aligned to the right; one with
    /// `?` (or `>?`) a column that is left out where there is no room.
    pub(crate) fn new(headers: &[&str]) -> Self {
        let right = headers.iter().map(|header| header.starts_with('>')).collect();
        let spare = headers.iter().map(|header| header.trim_start_matches('>').starts_with('?')).collect();
        let first = headers.iter().map(|header| header.trim_start_matches(['>', '?']).to_owned()).collect();
        Self { rows: vec![first], right, spare }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, fields: Vec<String>) {
        self.rows.push(fields);
    }
}

/// A column of text is not made narrower than this to fit a terminal.
const NARROWEST: usize = 8;
/// Between two columns.
const GAP: usize = 2;

impl Table {
    /// The same, with its widest columns of text cut so far that each row fits `width` characters. Figures are never cut: a
    /// part of one is another. What can be spared goes before anything is cut to less than it says; where columns cannot be
    /// made to fit at all, each row becomes lines of a header and a field.
    pub(crate) fn fitted(&self, width: usize) -> String {
        let mut widths = self.widths();
        let least = |column: usize| if self.right[column] { widths[column] } else { widths[column].min(NARROWEST) };
        if (0..widths.len()).map(least).sum::<usize>() + GAP * widths.len().saturating_sub(1) > width
            && let Some(spare) = self.spare.iter().rposition(|spare| *spare)
        {
            return self.without(spare).fitted(width);
        }
        let mut over = (widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)).saturating_sub(width);
        while over > 0 {
            let text = (0..widths.len()).filter(|column| !self.right[*column] && widths[*column] > NARROWEST);
            let Some(widest) = text.max_by_key(|column| widths[*column]) else { return self.as_lines() };
            widths[widest] -= 1;
            over -= 1;
        }
        let cut = |(field, width): (&String, &usize)| match field.chars().count() > *width {
            true => field.chars().take(width - 1).chain(['…']).collect(),
            false => field.clone(),
        };
        let rows = self.rows.iter().map(|row| row.iter().zip(&widths).map(cut).collect()).collect();
        Table { rows, right: self.right.clone(), spare: Vec::new() }.to_string()
    }

    fn without(&self, column: usize) -> Table {
        fn less<T: Clone>(row: &[T], column: usize) -> Vec<T> {
            row.iter().enumerate().filter(|(at, _)| *at != column).map(|(_, field)| field.clone()).collect()
        }
        let rows = self.rows.iter().map(|row| less(row, column)).collect();
        Table { rows, right: less(&self.right, column), spare: less(&self.spare, column) }
    }

    /// A line for each field that says something, a blank one between two rows.
    fn as_lines(&self) -> String {
        let [headers, rows @ ..] = self.rows.as_slice() else { return String::new() };
        let width = headers.iter().map(|header| header.chars().count()).max().unwrap_or(0);
        let of = |row: &Vec<String>| -> String {
            let said = headers.iter().zip(row).filter(|(_, field)| !field.is_empty());
            said.map(|(header, field)| format!("{header:<width$}  {field}\n")).collect()
        };
        rows.iter().map(of).collect::<Vec<_>>().join("\n")
    }

    /// How wide each column is.
    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|field| field.chars().count()).max().unwrap_or(0)
        };
        (0..self.right.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for ((field, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let padded = if *right { format!("{field:>width$}") } else { format!("{field:<width$}") };
                if !line.is_empty() {
                    line.push_str(&" ".repeat(GAP));
                }
                line.push_str(&padded);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_carry_no_blanks_at_their_ends() {
        let mut table = Table::new(&["NAME", ">RECORDS", "STATE"]);
        table.row(vec!["a".into(), "1,000".into(), "open".into()]);
        table.row(vec!["longer".into(), "1".into(), String::new()]);
        assert_eq!(table.to_string(), "NAME    RECORDS  STATE\na         1,000  open\nlonger        1\n");
    }

    #[test]
    fn a_table_fits_the_terminal_by_its_longest_texts_and_figures_stay_whole() {
        let mut table = Table::new(&[">JOBS", "NAME", "REASON"]);
        table.row(vec!["1,000,000".into(), "desk-17".into(), "prices are wrong (STOP on branch control)".into()]);
        let fitted = table.fitted(40);
        assert_eq!(fitted, "     JOBS  NAME     REASON\n1,000,000  desk-17  prices are wrong (S…\n");
        assert!(fitted.lines().all(|line| line.chars().count() <= 40));
        assert_eq!(table.fitted(200), table.to_string());
    }

    #[test]
    fn what_can_be_spared_goes_when_there_is_no_room() {
        let mut table = Table::new(&["NAME", ">?RECORDS", "?SEEN", "REASON"]);
        table.row(vec!["desk-17".into(), "1,000".into(), "yesterday".into(), "prices are wrong".into()]);
        assert_eq!(table.fitted(40), "NAME     RECORDS  SEEN       REASON\ndesk-17    1,000  yesterday  prices are…\n");
        assert_eq!(table.fitted(30), "NAME     RECORDS  REASON\ndesk-17    1,000  prices are …\n");
        assert_eq!(table.fitted(20), "NAME     REASON\ndesk-17  prices are…\n");
    }

    #[test]
    fn columns_that_cannot_fit_become_lines() {
        let mut table = Table::new(&[">JOBS", "NAME", "REASON"]);
        table.row(vec!["1,000,000".into(), "desk-17".into(), "prices are wrong".into()]);
        table.row(vec!["7".into(), "desk-18".into(), String::new()]);
        assert_eq!(
            table.fitted(20),
            "JOBS    1,000,000\nNAME    desk-17\nREASON  prices are wrong\n\nJOBS    7\nNAME    desk-18\n"
        );
    }
}
