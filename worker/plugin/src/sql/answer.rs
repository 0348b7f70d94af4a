//! What a query has to return, and how its rows become outcomes. Pure; what a server's values are is said by [`Cell`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{ColumnType, Columns};
use nightshift_wire::Outcome;
use serde_json::Value;

/// A record's result holds no more bytes of text than this.
pub(super) const LARGEST_RESULT: usize = 4 << 20;

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
    outputs: Vec<(usize, String, ColumnType)>,
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
            .iter()
            .map(|(name, column_type)| Ok((place(name).ok_or_else(|| missing(name))?, name.clone(), *column_type)))
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
            other => Err(show(&other)),
        })
    }

    /// What a row says about its record, and how many bytes of text that is; `cell` reads one of its columns.
    pub(super) fn outcome<'r, E>(
        &self,
        cell: impl Fn(usize) -> Result<Cell<'r>, E>,
    ) -> Result<(Outcome, usize), E> {
        let mut size = 0;
        for column in self.outputs.iter().map(|(index, ..)| *index).chain(self.error) {
            if let Cell::Text(text) = cell(column)? {
                size += text.len();
            }
        }
        if size > LARGEST_RESULT {
            let problem = format!(
                "the plugin returned {} MiB for this record, and a result holds {} at most",
                size.div_ceil(1 << 20),
                LARGEST_RESULT >> 20
            );
            return Ok((Outcome::Error(problem), 0));
        }
        Ok((self.read(cell)?, size))
    }

    fn read<'r, E>(&self, cell: impl Fn(usize) -> Result<Cell<'r>, E>) -> Result<Outcome, E> {
        if let Some(error) = self.error {
            match cell(error)? {
                Cell::Null => {}
                Cell::Text(text) => return Ok(Outcome::Error(String::from_utf8_lossy(&text).into_owned())),
                other => return Ok(Outcome::Error(show(&other))),
            }
        }
        let mut values = BTreeMap::new();
        for (index, name, column_type) in &self.outputs {
            let found = cell(*index)?;
            match json(&found, *column_type) {
                Some(Value::Null) => {}
                Some(value) => drop(values.insert(name.clone(), value)),
                None => {
                    let (found, declared) = (show(&found), column_type.name());
                    let problem =
                        format!("the plugin returned {found} as {name}, which [output] declares as {declared}");
                    return Ok(Outcome::Error(problem));
                }
            }
        }
        Ok(Outcome::Ok(values))
    }
}

/// A value of the declared type; `None` when it is of none such.
fn json(value: &Cell<'_>, declared: ColumnType) -> Option<Value> {
    let real = |number: f64| serde_json::Number::from_f64(number).map(Value::Number);
    match (value, declared) {
        (Cell::Null, _) => Some(Value::Null),
        (Cell::Text(text), ColumnType::Text) => std::str::from_utf8(text).ok().map(Value::from),
        (Cell::Integer(number), ColumnType::Integer) => Some(Value::from(*number)),
        (Cell::Integer(number), ColumnType::Real) => Some(Value::from(*number as f64)),
        (Cell::Real(number), ColumnType::Real) => real(*number),
        // The sum of whole numbers is a decimal on MySQL.
        (Cell::Decimal { digits, whole: true }, ColumnType::Integer) => digits.parse::<i64>().ok().map(Value::from),
        (Cell::Decimal { digits, .. }, ColumnType::Real) => digits.parse().ok().and_then(real),
        (Cell::Decimal { digits, .. }, ColumnType::Text) => Some(Value::from(*digits)),
        _ => None,
    }
}

/// A value as a person reads it, with its type.
fn show(value: &Cell<'_>) -> String {
    match value {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => format!("the integer {number}"),
        Cell::Real(number) => format!("the real {number}"),
        Cell::Decimal { digits, .. } => format!("the decimal {digits}"),
        Cell::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
            Err(_) => "text that is not UTF-8".to_owned(),
        },
        Cell::Other(words) => words.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_than_declared_is_named() {
        let text = |text: &'static [u8]| Cell::Text(text.into());
        let read = |cell: Cell<'_>, declared| json(&cell, declared).ok_or_else(|| show(&cell));
        assert_eq!(read(Cell::Integer(3), ColumnType::Real), Ok(Value::from(3.0)));
        assert_eq!(read(Cell::Null, ColumnType::Integer), Ok(Value::Null));
        assert_eq!(read(text(b"a"), ColumnType::Integer), Err("the text \"a\"".to_owned()));
        assert_eq!(read(Cell::Real(1.5), ColumnType::Integer), Err("the real 1.5".to_owned()));
        assert_eq!(read(Cell::Real(f64::INFINITY), ColumnType::Real), Err("the real inf".to_owned()));
        assert_eq!(read(text(b"\xff"), ColumnType::Text), Err("text that is not UTF-8".to_owned()));
    }

    #[test]
    fn a_decimal_is_whatever_it_can_be_without_losing_a_digit() {
        let whole = |digits| Cell::Decimal { digits, whole: true };
        let broken = Cell::Decimal { digits: "1.50", whole: false };
        assert_eq!(json(&whole("-12"), ColumnType::Integer), Some(Value::from(-12)));
        assert_eq!(json(&whole("99999999999999999999"), ColumnType::Integer), None);
        assert_eq!(json(&whole("99999999999999999999"), ColumnType::Text), Some(Value::from("99999999999999999999")));
        assert_eq!(json(&broken, ColumnType::Real), Some(Value::from(1.5)));
        assert_eq!(json(&broken, ColumnType::Integer), None);
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
