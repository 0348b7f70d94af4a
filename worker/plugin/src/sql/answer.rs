//! What a query has to return, and how its rows become outcomes.

use std::collections::BTreeMap;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{ColumnType, Columns};
use nightshift_wire::Outcome;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// A record's result holds no more bytes of text than this.
const LARGEST_RESULT: usize = 4 << 20;

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

    /// The record a row is about; `Err` holds what stands there when it is no record's number.
    pub(super) fn record_id(&self, row: &Row<'_>) -> rusqlite::Result<Result<i64, String>> {
        Ok(match row.get_ref(self.record_id)? {
            ValueRef::Integer(id) => Ok(id),
            other => Err(show(other)),
        })
    }

    /// What a row says about its record, and how many bytes of text that is.
    pub(super) fn outcome(&self, row: &Row<'_>) -> rusqlite::Result<(Outcome, usize)> {
        let mut size = 0;
        for column in self.outputs.iter().map(|(index, ..)| *index).chain(self.error) {
            if let ValueRef::Text(text) = row.get_ref(column)? {
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
        Ok((self.read(row)?, size))
    }

    fn read(&self, row: &Row<'_>) -> rusqlite::Result<Outcome> {
        if let Some(error) = self.error {
            match row.get_ref(error)? {
                ValueRef::Null => {}
                ValueRef::Text(text) => return Ok(Outcome::Error(String::from_utf8_lossy(text).into_owned())),
                other => return Ok(Outcome::Error(show(other))),
            }
        }
        let mut values = BTreeMap::new();
        for (index, name, column_type) in &self.outputs {
            match json(row.get_ref(*index)?, *column_type) {
                Ok(Value::Null) => {}
                Ok(value) => drop(values.insert(name.clone(), value)),
                Err(found) => {
                    let declared = column_type.name();
                    let problem =
                        format!("the plugin returned {found} as {name}, which [output] declares as {declared}");
                    return Ok(Outcome::Error(problem));
                }
            }
        }
        Ok(Outcome::Ok(values))
    }
}

/// A value of the declared type; the error says what was found instead.
fn json(value: ValueRef<'_>, declared: ColumnType) -> Result<Value, String> {
    let json = match (value, declared) {
        (ValueRef::Null, _) => Some(Value::Null),
        (ValueRef::Text(text), ColumnType::Text) => std::str::from_utf8(text).ok().map(Value::from),
        (ValueRef::Integer(number), ColumnType::Integer) => Some(Value::from(number)),
        (ValueRef::Integer(number), ColumnType::Real) => Some(Value::from(number as f64)),
        (ValueRef::Real(number), ColumnType::Real) => serde_json::Number::from_f64(number).map(Value::Number),
        _ => None,
    };
    json.ok_or_else(|| show(value))
}

/// A value as a person reads it, with its type.
fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => format!("the integer {number}"),
        ValueRef::Real(number) => format!("the real {number}"),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
            Err(_) => "text that is not UTF-8".to_owned(),
        },
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_than_declared_is_named() {
        assert_eq!(json(ValueRef::Integer(3), ColumnType::Real), Ok(Value::from(3.0)));
        assert_eq!(json(ValueRef::Null, ColumnType::Integer), Ok(Value::Null));
        assert_eq!(json(ValueRef::Text(b"a"), ColumnType::Integer), Err("the text \"a\"".to_owned()));
        assert_eq!(json(ValueRef::Real(1.5), ColumnType::Integer), Err("the real 1.5".to_owned()));
        assert_eq!(json(ValueRef::Real(f64::INFINITY), ColumnType::Real), Err("the real inf".to_owned()));
        assert_eq!(json(ValueRef::Text(b"\xff"), ColumnType::Text), Err("text that is not UTF-8".to_owned()));
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
