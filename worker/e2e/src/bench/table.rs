//! The benchmark's table, for people.

use super::figure::{Line, Target};

/// The lines as a table, with a heading.
pub fn table(lines: &[Line]) -> String {
    let heading = ["figure", "value", "unit", "target", "", "reference", "ratio", "measured beside"].map(String::from);
    let mut rows = vec![heading.to_vec()];
    let mut notes = String::new();
    for line in lines {
        match line {
            Line::Measured(figure) => {
                rows.push(vec![
                    figure.name.clone(),
                    short(figure.value),
                    figure.unit.to_owned(),
                    match figure.target {
                        Target::AtMost(most) => format!("<= {}", short(most)),
                        Target::AtLeast(least) => format!(">= {}", short(least)),
                    },
                    if figure.is_met() { "met" } else { "MISSED" }.to_owned(),
                    short(figure.reference),
                    format!("{:.2}", figure.ratio),
                    figure.beside.to_owned(),
                ]);
                if !figure.note.is_empty() {
                    notes += &format!("{}: {}\n", figure.name, figure.note);
                }
            }
            Line::Skipped { name, skipped } => notes += &format!("{name} was skipped: {skipped}\n"),
            Line::Failed { name, failed } => notes += &format!("{name}: {failed}\n"),
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text + &notes
}

/// Three significant digits, and none after the point from a hundred on.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Figure;
    use super::*;

    #[test]
    fn the_table_shows_each_figure_beside_its_target_and_reference() {
        let lines = [
            Line::Measured(
                Figure::new("a_ms", 12.34, "ms", Target::AtMost(15.0), "a peer", 6.17).noting("load 0.5".into()),
            ),
            Line::Measured(Figure::new("b_per_s", 1234.5, "1/s", Target::AtLeast(2000.0), "raw", 9876.0)),
            Line::Skipped { name: "c".into(), skipped: "no server".into() },
        ];
        assert_eq!(
            table(&lines),
            "figure   value  unit  target           reference  ratio  measured beside\n\
             a_ms     12.3   ms    <= 15.0  met     6.17       2.00   a peer\n\
             b_per_s  1234   1/s   >= 2000  MISSED  9876       0.12   raw\n\
             a_ms: load 0.5\n\
             c was skipped: no server\n"
        );
    }
}
