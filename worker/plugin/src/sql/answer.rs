//! What a query has to return, and how its rows become outcomes. Pure; what a server's values are is said by [`Cell`].

use std::borrow::Cow;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{ColumnType, Columns};

use crate::outcome::{self, Found, Written};

/// A value of an answer, whichever server it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A number of the decimal system, as the server writes it; a whole one when its column has no places after the point.
    Decimal { digits: &'a str, whole: bool },
    /// What the server calls text.
    Text(Cow<'a, [u8]>),
    /// What no output column can hold, in words.
    Other(String),
}

/// Where the columns of an answer stand.
#[derive(Debug)]
pub(super) struct AnswerShape {
    record_id: usize,
    outputs: Vec<(usize, String)>,
    error: Option<usize>,
}

impl AnswerShape {
    /// Checks the columns that the query in `file` returns: `record_id`, each output and perhaps `error`, in any order.
    pub(super) fn of(file: &str, returned: &[&str], output: &Columns) -> Result<Self, FileError> {
        let place = |name: &str| returned.iter().position(|column| *column == name);
        let missing =
            |name: &str| FileError::whole(file, format!("the query does not return {name}: select it AS {name}"));
        for (index, column) in returned.iter().enumerate() {
            let known = matches!(*column, "record_id" | "error") || output.contains_key(*column);
            if !known {
                let problem =
                    format!("the query returns {column}, which [output] does not name: add it there or drop it");
                return Err(FileError::whole(file, problem));
            }
            if returned[..index].contains(column) {
                return Err(FileError::whole(file, format!("the query returns {column} twice: drop one")));
            }
        }
        let outputs = output
            .keys()
            .map(|name| Ok((place(name).ok_or_else(|| missing(name))?, name.clone())))
            .collect::<Result<_, FileError>>()?;
        Ok(Self { record_id: place("record_id").ok_or_else(|| missing("record_id"))?, outputs, error: place("error") })
    }

    /// The record a row is about; the inner `Err` holds what stands there when it is no record's number.
    pub(super) fn record_id<'r, E>(
        &self,
        cell: impl Fn(usize) -> Result<Cell<'r>, E>,
    ) -> Result<Result<i64, String>, E> {
        Ok(match cell(self.record_id)? {
            Cell::Integer(id) => Ok(id),
            other => Err(found(&other, ColumnType::Integer).shown()),
        })
    }

    /// Writes what a row says about its record; `cell` reads one of its columns.
    pub(super) fn outcome<'r, E>(
        &self,
        text: &mut Vec<u8>,
        output: &Columns,
        cell: impl Fn(usize) -> Result<Cell<'r>, E>,
    ) -> Result<Written, E> {
        if let Some(error) = self.error {
            match cell(error)? {
                Cell::Null => {}
                Cell::Text(error) => return Ok(outcome::of_error(text, &error)),
                other => return Ok(outcome::of_error(text, found(&other, ColumnType::Text).shown().as_bytes())),
            }
        }
        let cells = self.outputs.iter().map(|(index, _)| cell(*index)).collect::<Result<Vec<_>, E>>()?;
        let values = self.outputs.iter().zip(output.values()).zip(&cells);
        let values = values.map(|(((_, name), declared), cell)| Ok((name.as_str(), found(cell, *declared))));
        outcome::of_values(text, output, values)
    }
}

/// A value as every runtime's are judged. A decimal is whatever it can be without losing a digit; the sum of whole numbers
/// is one on MySQL.
fn found<'c>(cell: &'c Cell<'_>, declared: ColumnType) -> Found<'c> {
    match cell {
        Cell::Null => Found::Null,
        Cell::Integer(number) => Found::Integer(*number),
        Cell::Real(number) => Found::Real(*number),
        Cell::Text(text) => Found::Text(text),
        Cell::Other(words) => Found::Other(words.clone()),
        Cell::Decimal { digits, whole } => {
            let number = match declared {
                ColumnType::Text => Some(Found::Text(digits.as_bytes())),
                ColumnType::Integer if *whole => digits.parse().ok().map(Found::Integer),
                ColumnType::Integer => None,
                ColumnType::Real => digits.parse().ok().map(Found::Real),
            };
            number.unwrap_or_else(|| Found::Other(format!("the decimal {digits}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_whatever_it_can_be_without_losing_a_digit() {
        let whole = |digits| Cell::Decimal { digits, whole: true };
        let broken = Cell::Decimal { digits: "1.50", whole: false };
        let much = "99999999999999999999";
        assert_eq!(found(&whole("-12"), ColumnType::Integer), Found::Integer(-12));
        assert_eq!(found(&whole(much), ColumnType::Integer), Found::Other(format!("the decimal {much}")));
        assert_eq!(found(&whole(much), ColumnType::Text), Found::Text(much.as_bytes()));
        assert_eq!(found(&broken, ColumnType::Real), Found::Real(1.5));
        assert_eq!(found(&broken, ColumnType::Integer), Found::Other("the decimal 1.50".to_owned()));
    }

    #[test]
    fn a_query_must_return_the_record_and_every_output_and_nothing_else() {
        let output: Columns = [("hits".to_owned(), ColumnType::Integer)].into_iter().collect();
        let of = |returned: &[&str]| AnswerShape::of("q.sql", returned, &output).map(drop).map_err(|e| e.problem);
        assert_eq!(of(&["hits", "record_id"]), Ok(()));
        assert_eq!(of(&["record_id", "hits", "error"]), Ok(()));
        assert!(of(&["hits"]).is_err_and(|problem| problem.contains("does not return record_id")));
        assert!(of(&["record_id"]).is_err_and(|problem| problem.contains("does not return hits")));
        assert!(of(&["record_id", "hits", "x"]).is_err_and(|problem| problem.contains("returns x, which [output]")));
        assert!(of(&["record_id", "hits", "hits"]).is_err_and(|problem| problem.contains("returns hits twice")));
    }
}
