//! What a plugin's answer for a record has to be, the same for every runtime: values of the columns that `[output]`
//! declares, of their types, in UTF-8, and not too much of them. Pure.
//!
//! An outcome is written as the JSON that it travels as, and never anything else. Whose answer it is, and that there is one
//! for each record, is [`crate::block`]'s business.

use nightshift_manifest::plugin::{ColumnType, Columns};

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

/// What an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values of output columns.
    Values,
    /// Why there are none.
    Error,
}

/// An outcome that was written: what it is, and how many bytes of text it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// What it is.
    pub(crate) kind: Kind,
    /// Bytes of text in it.
    pub(crate) size: usize,
}

/// Outcomes one after the other, each as it stands in a result: `"ok":{"people":3}` or `"error":"why"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    text: Vec<u8>,
    /// Where each ends, and what it is.
    ends: Vec<(usize, Kind)>,
}

impl Outcomes {
    /// Those that stand in `text` one after the other; where each ends, and what it is.
    pub(crate) fn written(text: Vec<u8>, ends: Vec<(usize, Kind)>) -> Outcomes {
        Outcomes { text, ends }
    }

    /// How many bytes they are.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// Each of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        begins.zip(&self.ends).map(|(begin, (end, kind))| (&self.text[begin..*end], *kind))
    }

    /// Puts one behind them.
    pub(crate) fn push(&mut self, outcome: &[u8], kind: Kind) {
        self.text.extend_from_slice(outcome);
        self.ends.push((self.text.len(), kind));
    }

    /// Puts an error behind them.
    pub(crate) fn push_error(&mut self, why: &str) {
        error_into(&mut self.text, why);
        self.ends.push((self.text.len(), Kind::Error));
    }

    /// Puts others behind them.
    pub(crate) fn extend(&mut self, others: Outcomes) {
        if self.ends.is_empty() {
            *self = others;
            return;
        }
        let before = self.text.len();
        self.text.extend_from_slice(&others.text);
        self.ends.extend(others.ends.into_iter().map(|(end, kind)| (before + end, kind)));
    }
}

/// Writes the outcome of a record whose plugin returned `values`, by column.
///
/// # Errors
/// That of a value which cannot be read; what is written then means nothing.
pub(crate) fn of_values<'a, 'n, E>(
    text: &mut Vec<u8>,
    output: &Columns,
    values: impl IntoIterator<Item = Result<(&'n str, Found<'a>), E>>,
) -> Result<Written, E> {
    let begin = text.len();
    let (mut size, mut returned) = (0, Returned::none_of(output));
    text.extend_from_slice(b"\"ok\":{");
    let mut before: &[u8] = b"";
    for value in values {
        let (name, found) = value?;
        let problem = match returned.column(name) {
            Ok(declared) => {
                if let Found::Text(text) = &found {
                    size += text.len();
                }
                if size > LARGEST_RESULT {
                    too_much(size)
                } else if found == Found::Null {
                    continue;
                } else {
                    let place = text.len();
                    text.extend_from_slice(before);
                    json_into(text, name);
                    text.push(b':');
                    before = b",";
                    if value_into(text, &found, declared) {
                        continue;
                    }
                    text.truncate(place);
                    let (found, declared) = (found.shown(), declared.name());
                    format!("the plugin returned {found} as {name}, which [output] declares as {declared}")
                }
            }
            Err(problem) => problem,
        };
        text.truncate(begin);
        error_into(text, &problem);
        return Ok(Written { kind: Kind::Error, size: 0 });
    }
    text.push(b'}');
    Ok(Written { kind: Kind::Values, size })
}

/// Which of the output columns a record's values were given for so far.
struct Returned<'m> {
    output: &'m Columns,
    /// The first so many were, each once and in their order, which is how most answers come.
    in_order: usize,
    /// Those that came out of their order.
    others: Vec<usize>,
}

impl<'m> Returned<'m> {
    fn none_of(output: &'m Columns) -> Returned<'m> {
        Returned { output, in_order: 0, others: Vec::new() }
    }

    /// The type of a column that is given a value now; the error is why it may not be.
    fn column(&mut self, name: &str) -> Result<ColumnType, String> {
        if self.others.is_empty()
            && let Some((next, declared)) = self.output.get_index(self.in_order)
            && next == name
        {
            self.in_order += 1;
            return Ok(*declared);
        }
        let Some((place, _, declared)) = self.output.get_full(name) else {
            return Err(format!("the plugin returned column {name}, which [output] does not declare"));
        };
        if place < self.in_order || self.others.contains(&place) {
            return Err(format!("the plugin returned column {name} twice"));
        }
        self.others.push(place);
        Ok(*declared)
    }
}

/// Writes the outcome of a record about which its plugin says `error`.
pub(crate) fn of_error(text: &mut Vec<u8>, error: &[u8]) -> Written {
    let size = if error.len() > LARGEST_RESULT { 0 } else { error.len() };
    match error.len() > LARGEST_RESULT {
        true => error_into(text, &too_much(error.len())),
        false => error_into(text, &String::from_utf8_lossy(error)),
    }
    Written { kind: Kind::Error, size }
}

/// Writing to memory, of texts and finite numbers, does not fail.
pub(crate) fn json_into(text: &mut Vec<u8>, value: impl serde::Serialize) {
    drop(serde_json::to_writer(text, &value));
}

fn error_into(text: &mut Vec<u8>, why: &str) {
    text.extend_from_slice(b"\"error\":");
    json_into(text, why);
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

fn too_much(size: usize) -> String {
    format!(
        "the plugin returned {} MiB for this record, and a result holds {} at most",
        size.div_ceil(1 << 20),
        LARGEST_RESULT >> 20
    )
}

/// Writes a value of the declared type; whether it is one.
fn value_into(text: &mut Vec<u8>, found: &Found<'_>, declared: ColumnType) -> bool {
    match (found, declared) {
        (Found::Text(bytes), ColumnType::Text) => match std::str::from_utf8(bytes) {
            Ok(value) => json_into(text, value),
            Err(_) => return false,
        },
        (Found::Integer(number), ColumnType::Integer) => json_into(text, number),
        (Found::Integer(number), ColumnType::Real) => json_into(text, *number as f64),
        (Found::Real(number), ColumnType::Real) if number.is_finite() => json_into(text, number),
        _ => return false,
    }
    true
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
    use std::convert::Infallible;

    use super::*;

    fn output() -> Columns {
        [("a".to_owned(), ColumnType::Text), ("b".to_owned(), ColumnType::Real)].into()
    }

    /// What becomes of these values, as it is written.
    fn of(values: Vec<(&str, Found<'_>)>) -> String {
        let mut text = b"before ".to_vec();
        let Ok(_) = of_values(&mut text, &output(), values.into_iter().map(Ok::<_, Infallible>));
        String::from_utf8(text).expect("UTF-8").strip_prefix("before ").expect("left alone").to_owned()
    }

    #[test]
    fn values_are_written_in_the_order_in_which_they_come_and_null_is_not() {
        let (a, b) = (("a", Found::Text(b"\"x\"\n")), ("b", Found::Integer(3)));
        assert_eq!(of(vec![a.clone(), b.clone()]), r#""ok":{"a":"\"x\"\n","b":3.0}"#);
        assert_eq!(of(vec![b.clone(), a]), r#""ok":{"b":3.0,"a":"\"x\"\n"}"#);
        assert_eq!(of(vec![("a", Found::Null), b]), r#""ok":{"b":3.0}"#);
        assert_eq!(of(vec![]), r#""ok":{}"#);
    }

    #[test]
    fn a_value_of_another_type_than_declared_is_named() {
        for (column, found, shown) in [
            ("a", Found::Integer(3), "the integer 3"),
            ("a", Found::Text(b"\xff"), "text that is not UTF-8"),
            ("a", Found::Other("a blob".to_owned()), "a blob"),
            ("b", Found::Text(b"a"), "the text \\\"a\\\""),
            ("b", Found::Real(f64::INFINITY), "the real inf"),
        ] {
            let declared = output()[column].name();
            let expected =
                format!("\"error\":\"the plugin returned {shown} as {column}, which [output] declares as {declared}\"");
            assert_eq!(of(vec![(column, found)]), expected);
        }
    }

    #[test]
    fn a_column_that_is_not_declared_or_comes_twice_is_an_error_of_its_record() {
        let a = || ("a", Found::Text(b"x"));
        let b = || ("b", Found::Null);
        assert!(of(vec![("c", Found::Null)]).contains("returned column c, which [output] does not declare"));
        for twice in [vec![a(), a()], vec![b(), b()], vec![b(), a(), a()], vec![a(), b(), a()], vec![b(), a(), b()]] {
            assert!(of(twice.clone()).contains(" twice\""), "{twice:?}");
        }
    }

    #[test]
    fn a_result_beyond_all_measure_is_an_error_of_its_record() {
        let output: Columns = [("a".to_owned(), ColumnType::Text), ("b".to_owned(), ColumnType::Text)].into();
        let long = vec![b'x'; LARGEST_RESULT / 2 + 1];
        let mut text = Vec::new();
        let values = ["a", "b"].map(|name| Ok::<_, Infallible>((name, Found::Text(&long))));
        assert_eq!(of_values(&mut text, &output, values), Ok(Written { kind: Kind::Error, size: 0 }));
        assert_eq!(text, br#""error":"the plugin returned 5 MiB for this record, and a result holds 4 at most""#);
        assert_eq!(of_error(&mut text, &vec![b'x'; LARGEST_RESULT + 1]).size, 0);
    }

    #[test]
    fn outcomes_put_behind_others_keep_their_bounds() {
        let mut all = Outcomes::default();
        for errors in [&["a"][..], &[], &["b", "c"]] {
            let mut part = Outcomes::default();
            errors.iter().for_each(|error| part.push_error(error));
            all.extend(part);
        }
        let texts: Vec<_> = all.iter().map(|(text, kind)| (std::str::from_utf8(text).expect("UTF-8"), kind)).collect();
        assert_eq!(
            texts,
            ["a", "b", "c"]
                .map(|error| format!("\"error\":\"{error}\""))
                .each_ref()
                .map(|text| (text.as_str(), Kind::Error))
        );
    }

    #[test]
    fn answers_take_from_the_blocks_room_until_there_is_none() {
        let mut room = 10;
        assert!(fit("p", 10, &mut room).is_ok() && room == 0);
        assert!(matches!(fit("p", 1, &mut room), Err(Fault::OfBlock(BlockError::TooMuch { .. }))));
    }
}
