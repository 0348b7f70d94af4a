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

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|field| field.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((field, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let padded = if *right { format!("{field:>width$}") } else { format!("{field:<width$}") };
                if !line.is_empty() {
                    line.push_str("  ");
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
}
