//! Blocks, rows and answers as bytes in a guest's memory: little-endian, tagged, without padding. Pure.
//!
//! ```text
//! value   0 | 1 i64 | 2 f64 | 3 u32 length, bytes       null, integer, real, text
//! block   u32 columns, u32 records, for each record: i64 id, a value for each column of [input]
//! rows    u32 columns, u32 rows, for each row: a value for each column
//! values  u32 number, values                            parameters of a query
//! answer  0, u32 columns, u32 results, for each result: i64 id, then 0 and a value for each column of [output],
//!                                                       or 1 and u32 length, bytes: this record's error
//!       | 1, u32 length, bytes                          the block fails
//! ```

use nightshift_manifest::plugin::Columns;
use nightshift_wire::RecordId;

use crate::field::{Field, TypedRecord};
use crate::outcome::{self, Found, Written};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
/// The length of what stands before rows.
pub(super) const ROWS_HEAD: usize = 8;

/// Writes a block into `bytes`, which it empties first.
pub(super) fn write_block(bytes: &mut Vec<u8>, columns: usize, records: &[TypedRecord<'_>]) {
    bytes.clear();
    write_head(bytes, columns, records.len());
    for record in records {
        bytes.extend(record.id.to_le_bytes());
        for field in record.fields {
            write_value(bytes, *field);
        }
    }
}

/// What stands before `rows` rows, or records, of `columns` columns. No block has more of either than fit.
pub(super) fn write_head(bytes: &mut Vec<u8>, columns: usize, rows: usize) {
    bytes.extend((columns as u32).to_le_bytes());
    bytes.extend((rows as u32).to_le_bytes());
}

/// Writes a value behind `bytes`.
pub(super) fn write_value(bytes: &mut Vec<u8>, value: Field<'_>) {
    match value {
        Field::Null => bytes.push(NULL),
        Field::Integer(number) => {
            bytes.push(INTEGER);
            bytes.extend(number.to_le_bytes());
        }
        Field::Real(number) => {
            bytes.push(REAL);
            bytes.extend(number.to_le_bytes());
        }
        Field::Text(text) => {
            bytes.push(TEXT);
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
    }
}

/// What a guest answered.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// Results, still to be read.
    Results(Results<'a>),
    /// The block fails, for this reason.
    Failure(String),
}

/// The results of an answer, one after the other.
#[derive(Debug)]
pub(super) struct Results<'a> {
    left: u32,
    rest: Reader<'a>,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The bytes end too early.
    #[error("its answer ends in the middle of {0}")]
    Short(&'static str),
    /// A byte that means nothing.
    #[error("its answer has {found} where {expected} must stand")]
    Tag {
        /// What stands there.
        found: u8,
        /// What may stand there.
        expected: &'static str,
    },
    /// Other columns than declared.
    #[error("its answer has {found} columns, and [output] declares {declared}")]
    Columns {
        /// As answered.
        found: u32,
        /// As declared.
        declared: usize,
    },
    /// More bytes than results.
    #[error("its answer has {0} bytes behind the last result")]
    Long(usize),
    /// A parameter that is no text.
    #[error("it gave a query a parameter that is not UTF-8")]
    NotUtf8,
}

/// Reads the beginning of an answer for `output`.
pub(super) fn read_answer<'a>(bytes: &'a [u8], output: &Columns) -> Result<Answer<'a>, Malformed> {
    let mut rest = Reader(bytes);
    match rest.byte("its kind")? {
        0 => {
            let found = rest.u32("its number of columns")?;
            if found as usize != output.len() {
                return Err(Malformed::Columns { found, declared: output.len() });
            }
            let left = rest.u32("its number of results")?;
            Ok(Answer::Results(Results { left, rest }))
        }
        1 => Ok(Answer::Failure(String::from_utf8_lossy(rest.text("why the block fails")?).into_owned())),
        found => Err(Malformed::Tag { found, expected: "0 (results) or 1 (the block fails)" }),
    }
}

impl Results<'_> {
    /// The id of the next result's record; its [`outcome`](Self::outcome) is to be read then.
    pub(super) fn next(&mut self) -> Result<Option<RecordId>, Malformed> {
        if self.left == 0 {
            return match self.rest.0.len() {
                0 => Ok(None),
                bytes => Err(Malformed::Long(bytes)),
            };
        }
        self.left -= 1;
        Ok(Some(RecordId::from_le_bytes(self.rest.array("a record's id")?)))
    }

    /// Writes what became of the record.
    pub(super) fn outcome(&mut self, text: &mut Vec<u8>, output: &Columns) -> Result<Written, Malformed> {
        match self.rest.byte("a result")? {
            0 => {
                // All of them are read, also those behind one that is wrong.
                let mut values = output.keys().map(|name| Ok((name.as_str(), self.rest.value()?)));
                let written = outcome::of_values(text, output, values.by_ref())?;
                values.try_for_each(|value| value.map(drop))?;
                Ok(written)
            }
            1 => Ok(outcome::of_error(text, self.rest.text("a record's error")?)),
            found => Err(Malformed::Tag { found, expected: "0 (values) or 1 (an error)" }),
        }
    }
}

/// Reads the parameters of a query; no bytes at all are no parameters.
pub(super) fn read_parameters(bytes: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
    let mut rest = Reader(bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let number = rest.u32("the number of parameters")?;
    let mut parameters = Vec::new();
    for _ in 0..number {
        parameters.push(match rest.value()? {
            Found::Integer(number) => Field::Integer(number),
            Found::Real(number) => Field::Real(number),
            Found::Text(text) => Field::Text(std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8)?),
            Found::Null | Found::Other(_) => Field::Null,
        });
    }
    Ok(parameters)
}

/// Bytes that are still to be read.
#[derive(Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array(what).map(|[byte]| byte)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.u32(what)?;
        self.take(length as usize, what)
    }

    fn value(&mut self) -> Result<Found<'a>, Malformed> {
        match self.byte("a value")? {
            NULL => Ok(Found::Null),
            INTEGER => self.array("an integer").map(|bytes| Found::Integer(i64::from_le_bytes(bytes))),
            REAL => self.array("a real").map(|bytes| Found::Real(f64::from_le_bytes(bytes))),
            TEXT => self.text("a text").map(Found::Text),
            found => Err(Malformed::Tag { found, expected: "a value's tag, 0 to 3," }),
        }
    }
}

#[cfg(test)]
mod tests {
    use nightshift_manifest::plugin::ColumnType;

    use super::*;

    fn output() -> Columns {
        [("a".to_owned(), ColumnType::Text), ("b".to_owned(), ColumnType::Integer)].into()
    }

    fn all(bytes: &[u8]) -> Result<Vec<(RecordId, String)>, Malformed> {
        let Answer::Results(mut results) = read_answer(bytes, &output())? else { panic!("results") };
        let mut read = Vec::new();
        while let Some(id) = results.next()? {
            let mut outcome = Vec::new();
            results.outcome(&mut outcome, &output())?;
            read.push((id, String::from_utf8(outcome).expect("UTF-8")));
        }
        Ok(read)
    }

    #[test]
    fn a_block_is_written_as_the_page_says() {
        let records = [
            TypedRecord { id: 7, fields: &[Field::Text("é"), Field::Integer(-2)] },
            TypedRecord { id: -1, fields: &[Field::Real(1.5), Field::Null] },
        ];
        let mut bytes = vec![9; 3];
        write_block(&mut bytes, 2, &records);
        let mut expected = vec![2, 0, 0, 0, 2, 0, 0, 0];
        expected.extend([7, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0xC3, 0xA9, 1, 0xFE]);
        expected.extend([0xFF; 7]);
        expected.extend([0xFF; 8]);
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_is_read_as_the_page_says() {
        let mut bytes = vec![0, 2, 0, 0, 0, 2, 0, 0, 0];
        bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, b'x', 0]);
        bytes.extend([8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, b'n', b'o']);
        let expected = [(7, r#""ok":{"a":"x"}"#.to_owned()), (8, r#""error":"no""#.to_owned())];
        assert_eq!(all(&bytes), Ok(expected.to_vec()));
        let failure = read_answer(&[1, 3, 0, 0, 0, b'w', b'h', b'y'], &output());
        assert!(matches!(failure, Ok(Answer::Failure(why)) if why == "why"));
    }

    #[test]
    fn bytes_that_are_no_answer_say_why_and_never_more_is_read_than_there_is() {
        let mut whole = vec![0, 2, 0, 0, 0, 1, 0, 0, 0];
        whole.extend([7, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, b'x', 1, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(all(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(matches!(all(&whole[..length]), Err(Malformed::Short(_))), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            all(&bytes).expect_err("malformed").to_string()
        };
        assert_eq!(with(0, 9), "its answer has 9 where 0 (results) or 1 (the block fails) must stand");
        assert_eq!(with(1, 3), "its answer has 3 columns, and [output] declares 2");
        assert_eq!(with(17, 5), "its answer has 5 where 0 (values) or 1 (an error) must stand");
        assert_eq!(with(18, 7), "its answer has 7 where a value's tag, 0 to 3, must stand");
        assert_eq!(with(22, 0xFF), "its answer ends in the middle of a text");
        whole.push(0);
        assert_eq!(all(&whole), Err(Malformed::Long(1)));
    }

    #[test]
    fn parameters_are_read_as_values() {
        let mut bytes = vec![3, 0, 0, 0];
        for value in [Field::Text("a"), Field::Integer(5), Field::Null] {
            write_value(&mut bytes, value);
        }
        assert_eq!(read_parameters(&bytes), Ok(vec![Field::Text("a"), Field::Integer(5), Field::Null]));
        assert_eq!(read_parameters(&[]), Ok(Vec::new()));
        assert!(read_parameters(&[255, 255, 255, 255]).is_err());
    }
}
