//! JSON lines to rows: an object on each line, all with the keys of the first one, which are the columns.
//!
//! Values become text as it is written, numbers of any length included; null is an empty field. Lists and objects are
//! refused: a field has one value. Blank lines are passed over. A line that is wrong does not hide the next.

use std::collections::{HashMap, HashSet};
use std::fmt;

use nightshift_manifest::csv::{LONGEST_ROW, Row};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::intake::Unfit;

/// A line that is no JSON object of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFlat {
    /// It is not JSON, or no object.
    #[error("this is no JSON object ({0})")]
    NoObject(String),
    /// A key is there twice.
    #[error("the key {0:?} is there twice; rename one")]
    Twice(String),
    /// A value is a list or an object.
    #[error("{0:?} is a list or an object; write text, a number, true, false or null")]
    Nested(String),
    /// A key that the first line does not have.
    #[error("the key {key:?} is not among those of the first line ({keys}); write the same keys on every line")]
    Unknown {
        /// The key.
        key: String,
        /// Those of the first line.
        keys: String,
    },
    /// A key that only the first line has.
    #[error("the key {0:?} of the first line is missing; write null for a field that is to stay empty")]
    Missing(String),
    /// A line without end.
    #[error("the line is longer than 1 MiB")]
    TooLong,
}

/// Reads lines piece by piece. The first row is that of the keys.
#[derive(Debug, Default)]
pub struct JsonLines {
    line: u64,
    begun: Vec<u8>,
    /// What is left of a line that is too long is passed over.
    too_long: bool,
    keys: Option<Vec<String>>,
}

impl JsonLines {
    /// Reads the next piece: the rows it completes, and what is wrong with lines that are none.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Result<Row, Unfit>> {
        let mut found = Vec::new();
        let mut parts = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.begun.len() + part.len() > LONGEST_ROW {
                self.too_long = true;
                self.begun.clear();
            }
            if !self.too_long {
                self.begun.extend_from_slice(part);
            }
            // What follows the last newline is the beginning of a line.
            if parts.peek().is_some() {
                self.end_line(&mut found);
            }
        }
        found
    }

    /// The end: the last line, when no newline ended it.
    pub fn finish(&mut self) -> Vec<Result<Row, Unfit>> {
        let mut found = Vec::new();
        self.end_line(&mut found);
        found
    }

    fn end_line(&mut self, found: &mut Vec<Result<Row, Unfit>>) {
        self.line += 1;
        let line = self.line;
        let wrong = |problem| Err(Unfit::Json { line, problem });
        let text = std::mem::take(&mut self.begun);
        let text = match line {
            1 => text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text),
            _ => &text,
        };
        if std::mem::take(&mut self.too_long) {
            return found.push(wrong(NotFlat::TooLong));
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let members = match read(text) {
            Ok(members) => members,
            Err(problem) => return found.push(wrong(problem)),
        };
        let keys = match &self.keys {
            Some(keys) => keys,
            None => {
                let keys: Vec<String> = members.iter().map(|(key, _)| key.clone()).collect();
                found.push(Ok(Row { line, fields: keys.clone() }));
                self.keys.insert(keys)
            }
        };
        found.push(in_order(keys, members).map(|fields| Row { line, fields }).or_else(wrong));
    }
}

/// The values in the order of the keys.
fn in_order(keys: &[String], members: Vec<(String, String)>) -> Result<Vec<String>, NotFlat> {
    if members.iter().map(|(key, _)| key).eq(keys) {
        return Ok(members.into_iter().map(|(_, value)| value).collect());
    }
    // A line has as many keys as fit into 1 MiB: none is looked for among all others.
    let places: HashMap<&str, usize> = keys.iter().enumerate().map(|(place, key)| (key.as_str(), place)).collect();
    let mut fields: Vec<Option<String>> = vec![None; keys.len()];
    for (key, value) in members {
        match places.get(key.as_str()) {
            Some(&place) => fields[place] = Some(value),
            None => return Err(NotFlat::Unknown { key, keys: keys.join(", ") }),
        }
    }
    let field = |(key, field): (&String, Option<String>)| field.ok_or_else(|| NotFlat::Missing(key.clone()));
    keys.iter().zip(fields).map(field).collect()
}

fn read(text: &[u8]) -> Result<Vec<(String, String)>, NotFlat> {
    let Members(members) = serde_json::from_slice(text).map_err(|error| {
        let text = error.to_string();
        NotFlat::NoObject(text.replace("line 1 column", "column"))
    })?;
    let mut known = HashSet::with_capacity(members.len());
    if let Some((twice, _)) = members.iter().find(|(key, _)| !known.insert(key.as_str())) {
        return Err(NotFlat::Twice(twice.clone()));
    }
    let mut read: Vec<(String, String)> = Vec::with_capacity(members.len());
    for (key, value) in members {
        let value = match value.get() {
            "null" => String::new(),
            text if text.starts_with(['{', '[']) => return Err(NotFlat::Nested(key)),
            text if text.starts_with('"') => {
                serde_json::from_str(text).map_err(|error| NotFlat::NoObject(error.to_string()))?
            }
            text => text.to_owned(),
        };
        read.push((key, value));
    }
    Ok(read)
}

/// The members of an object in their order, values as they are written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
