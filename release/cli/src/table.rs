//! Rows as aligned columns of text.

use std::fmt;

/// A table: headers, then rows. Columns are as wide as their widest field, two spaces apart.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these headers. A header that begins with `>` makes a column of figures, aligned to the right.
    pub(crate) fn new(headers: &[&str]) -> Self {
        let right = headers.iter().map(|header| header.starts_with('>')).collect();
        let first = headers.iter().map(|header| header.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![first], right }
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
    /// The same, with its widest columns of text cut so far that each row fits `width` characters, as far as that goes.
    /// Figures are never cut: a part of one is another.
    pub(crate) fn fitted(&self, width: usize) -> String {
        let mut widths = self.widths();
        let mut over = (widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)).saturating_sub(width);
        while over > 0 {
            let text = (0..widths.len()).filter(|column| !self.right[*column] && widths[*column] > NARROWEST);
            let Some(widest) = text.max_by_key(|column| widths[*column]) else { break };
            widths[widest] -= 1;
            over -= 1;
        }
        let cut = |(field, width): (&String, &usize)| match field.chars().count() > *width {
            true => field.chars().take(width - 1).chain(['…']).collect(),
            false => field.clone(),
        };
        let rows = self.rows.iter().map(|row| row.iter().zip(&widths).map(cut).collect()).collect();
        Table { rows, right: self.right.clone() }.to_string()
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
        assert!(table.fitted(1).starts_with("     JOBS  NAME     REASON\n1,000,000  desk-17  prices …"));
    }
}
