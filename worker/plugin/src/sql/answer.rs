//! What a query has to return, and how its rows become outcomes.

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::Columns;
use nightshift_wire::Outcome;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::outcome::{self, Found};

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

    /// The record a row is about; `Err` holds what stands there when it is no record's number.
    pub(super) fn record_id(&self, row: &Row<'_>) -> rusqlite::Result<Result<i64, String>> {
        Ok(match row.get_ref(self.record_id)? {
            ValueRef::Integer(id) => Ok(id),
            other => Err(found(other).shown()),
        })
    }

    /// What a row says about its record, and how many bytes of text that is.
    pub(super) fn outcome<'s>(&'s self, row: &Row<'_>, output: &Columns) -> rusqlite::Result<(Outcome, usize)> {
        if let Some(error) = self.error {
            match row.get_ref(error)? {
                ValueRef::Null => {}
                ValueRef::Text(text) => return Ok(outcome::of_error(text)),
                other => return Ok(outcome::of_error(found(other).shown().as_bytes())),
            }
        }
        let value = |(index, name): &'s (usize, String)| Ok((name.as_str(), found(row.get_ref(*index)?)));
        let values: Vec<_> = self.outputs.iter().map(value).collect::<rusqlite::Result<_>>()?;
        Ok(outcome::of_values(output, values))
    }
}

/// A value of SQLite's as every runtime's are judged.
fn found(value: ValueRef<'_>) -> Found<'_> {
    match value {
        ValueRef::Null => Found::Null,
        ValueRef::Integer(number) => Found::Integer(number),
        ValueRef::Real(number) => Found::Real(number),
        ValueRef::Text(text) => Found::Text(text),
        ValueRef::Blob(bytes) => Found::Other(format!("a blob of {} bytes", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_manifest::plugin::ColumnType;

    use super::*;

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
