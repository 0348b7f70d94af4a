//! What a plugin's answer for a record has to be, the same for every runtime: values of the columns that `[output]`
//! declares, of their types, in UTF-8, and not too much of them. Pure.
//!
//! Whose answer it is, and that there is one for each record, is [`crate::block`]'s business.

use std::collections::BTreeMap;

use nightshift_manifest::plugin::{ColumnType, Columns};
use nightshift_wire::Outcome;
use serde_json::{Number, Value};

use crate::BlockError;
use crate::block::LARGEST_ANSWER;
use crate::isolate::Fault;

/// A record's result holds no more bytes of text than this.
pub(crate) const LARGEST_RESULT: usize = 4 << 20;
/// So much of a text of the wrong type is shown, in characters.
const EXCERPT: usize = 40;

/// A value as a plugin returned it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number, perhaps not a finite one.
    Real(f64),
    /// A text, perhaps not UTF-8.
    Text(&'a [u8]),
    /// What no column takes, in words.
    Other(String),
}

/// The outcome of a record whose plugin returned `values`, by column, and how many bytes of text it holds.
pub(crate) fn of_values<'a, 'n>(
    output: &Columns,
    values: impl IntoIterator<Item = (&'n str, Found<'a>)>,
) -> (Outcome, usize) {
    let (mut outcome, mut size) = (BTreeMap::new(), 0);
    for (name, found) in values {
        let Some(declared) = output.get(name) else {
            let problem = format!("the plugin returned column {name}, which [output] does not declare");
            return (Outcome::Error(problem), 0);
        };
        if let Found::Text(text) = &found {
            size += text.len();
        }
        if size > LARGEST_RESULT {
            return (too_much(size), 0);
        }
        match typed(&found, *declared) {
            Ok(Value::Null) => {}
            Ok(value) => drop(outcome.insert(name.to_owned(), value)),
            Err(found) => {
                let declared = declared.name();
                let problem = format!("the plugin returned {found} as {name}, which [output] declares as {declared}");
                return (Outcome::Error(problem), 0);
            }
        }
    }
    (Outcome::Ok(outcome), size)
}

/// The outcome of a record about which its plugin says `error`, and how many bytes of text it holds.
pub(crate) fn of_error(error: &[u8]) -> (Outcome, usize) {
    match error.len() > LARGEST_RESULT {
        true => (too_much(error.len()), 0),
        false => (Outcome::Error(String::from_utf8_lossy(error).into_owned()), error.len()),
    }
}

/// Takes the `size` of an answer from the `room` that a block's answers still have.
///
/// # Errors
/// When there is less.
pub(crate) fn fit(plugin: &str, size: usize, room: &mut usize) -> Result<(), Fault> {
    match room.checked_sub(size) {
        Some(left) => {
            *room = left;
            Ok(())
        }
        None => Err(Fault::OfBlock(BlockError::TooMuch { plugin: plugin.to_owned(), most: LARGEST_ANSWER })),
    }
}

fn too_much(size: usize) -> Outcome {
    Outcome::Error(format!(
        "the plugin returned {} MiB for this record, and a result holds {} at most",
        size.div_ceil(1 << 20),
        LARGEST_RESULT >> 20
    ))
}

/// A value of the declared type; the error says what was found instead.
fn typed(found: &Found<'_>, declared: ColumnType) -> Result<Value, String> {
    let value = match (found, declared) {
        (Found::Null, _) => Some(Value::Null),
        (Found::Text(text), ColumnType::Text) => std::str::from_utf8(text).ok().map(Value::from),
        (Found::Integer(number), ColumnType::Integer) => Some(Value::from(*number)),
        (Found::Integer(number), ColumnType::Real) => Some(Value::from(*number as f64)),
        (Found::Real(number), ColumnType::Real) => Number::from_f64(*number).map(Value::Number),
        _ => None,
    };
    value.ok_or_else(|| found.shown())
}

impl Found<'_> {
    /// The value as a person reads it, with its type.
    pub(crate) fn shown(&self) -> String {
        match self {
            Found::Null => "NULL".to_owned(),
            Found::Integer(number) => format!("the integer {number}"),
            Found::Real(number) => format!("the real {number}"),
            Found::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => format!("the text {:?}", text.chars().take(EXCERPT).collect::<String>()),
                Err(_) => "text that is not UTF-8".to_owned(),
            },
            Found::Other(what) => what.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_than_declared_is_named() {
        assert_eq!(typed(&Found::Integer(3), ColumnType::Real), Ok(Value::from(3.0)));
        assert_eq!(typed(&Found::Null, ColumnType::Integer), Ok(Value::Null));
        assert_eq!(typed(&Found::Text(b"a"), ColumnType::Integer), Err("the text \"a\"".to_owned()));
        assert_eq!(typed(&Found::Real(1.5), ColumnType::Integer), Err("the real 1.5".to_owned()));
        assert_eq!(typed(&Found::Real(f64::INFINITY), ColumnType::Real), Err("the real inf".to_owned()));
        assert_eq!(typed(&Found::Text(b"\xff"), ColumnType::Text), Err("text that is not UTF-8".to_owned()));
        assert_eq!(typed(&Found::Other("a blob".to_owned()), ColumnType::Text), Err("a blob".to_owned()));
    }

    #[test]
    fn a_column_that_is_not_declared_or_a_result_beyond_all_measure_is_an_error_of_its_record() {
        let output: Columns = [("a".to_owned(), ColumnType::Text), ("b".to_owned(), ColumnType::Text)].into();
        let error = |values: Vec<(&str, Found<'_>)>| match of_values(&output, values) {
            (Outcome::Error(error), 0) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error(vec![("c", Found::Null)]), "the plugin returned column c, which [output] does not declare");
        let long = vec![b'x'; LARGEST_RESULT / 2 + 1];
        let much = error(vec![("a", Found::Text(&long)), ("b", Found::Text(&long))]);
        assert_eq!(much, "the plugin returned 5 MiB for this record, and a result holds 4 at most");
        assert_eq!(of_error(&vec![b'x'; LARGEST_RESULT + 1]).1, 0);
    }

    #[test]
    fn answers_take_from_the_blocks_room_until_there_is_none() {
        let mut room = 10;
        assert!(fit("p", 10, &mut room).is_ok() && room == 0);
        assert!(matches!(fit("p", 1, &mut room), Err(Fault::OfBlock(BlockError::TooMuch { .. }))));
    }
}
