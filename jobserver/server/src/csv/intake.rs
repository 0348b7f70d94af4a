//! Which input makes a batch for a plugin: the rules of the header and of every row, and the errors people read.
//!
//! A CSV's header names the columns; in JSON lines the keys of the first line do. Every line is a record: where there is
//! one column, a blank line of a CSV is a record with an empty field, so that as many come back as lines went in. With
//! more columns blank lines are passed over, as they are in JSON lines.

use std::collections::HashMap;

use nightshift_manifest::csv::{Fault, Place, Row, Rows};
use nightshift_wire::{InputFormat, InputProblem, counted};

use super::json_lines::{JsonLines, NotFlat};

/// The column that tells in the result CSV what went wrong with a record.
pub const ERROR_COLUMN: &str = "error";

/// What a plugin wants of a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The plugin's name.
    pub plugin: String,
    /// Columns the CSV must have.
    pub inputs: Vec<String>,
    /// Columns the results will have, and the CSV must not.
    pub outputs: Vec<String>,
}

/// A CSV that makes no batch. The text names the line and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing in it.
    #[error("{0}")]
    Empty(&'static str),
    /// There is no record in it.
    #[error("the CSV has a header and no records; add a line for each record")]
    HeaderOnly,
    /// A column has no name.
    #[error("line {line}: column {column} has no name; name it or remove it")]
    Unnamed {
        /// The header's line.
        line: u64,
        /// The column, from 1.
        column: usize,
    },
    /// Two columns have one name.
    #[error("line {line}: columns {first} and {second} are both named {name:?}; rename one")]
    Twice {
        /// The header's line.
        line: u64,
        /// The name.
        name: String,
        /// The first column of this name, from 1.
        first: usize,
        /// The second.
        second: usize,
    },
    /// The plugin needs a column that is not there.
    #[error("line {line}: plugin {plugin} needs column {missing}; the columns here are {found}{hint}")]
    Missing {
        /// The header's line.
        line: u64,
        /// The plugin.
        plugin: String,
        /// The columns that are missing, as a list.
        missing: String,
        /// The columns that are there, as a list.
        found: String,
        /// What may be wrong with the whole file.
        hint: String,
    },
    /// A column has the name of one that the results add.
    #[error("line {line}: column {name:?} is one that the results of plugin {plugin} add; rename it")]
    Clash {
        /// The header's line.
        line: u64,
        /// The column.
        name: String,
        /// The plugin.
        plugin: String,
    },
    /// A row is longer or shorter than the header.
    #[error(
        "line {line}: {}, but the header names {}; {}",
        counted(*found as u64, "field"),
        counted(*expected as u64, "column"),
        ragged_advice(*found, *expected)
    )]
    Ragged {
        /// The row's line.
        line: u64,
        /// Its fields.
        found: usize,
        /// The header's.
        expected: usize,
    },
    /// The bytes are not CSV.
    #[error("line {}, column {}{}: {fault}", .place.line, .place.column, .name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default())]
    Garbled {
        /// Where.
        place: Place,
        /// The column's name, once the header is known.
        name: Option<String>,
        /// What is wrong there.
        fault: Fault,
    },
    /// A line is no JSON object of the kind wanted.
    #[error("line {line}: {problem}")]
    Json {
        /// The line.
        line: u64,
        /// What is wrong there.
        problem: NotFlat,
    },
}

const EMPTY_CSV: &str = "the CSV is empty; its first line must name the columns";
const EMPTY_JSON: &str = "the input is empty; write a JSON object on a line for each record";

impl Unfit {
    /// Line and column, as far as there are any.
    fn place(&self) -> (Option<u64>, Option<usize>) {
        match self {
            Unfit::Empty(_) | Unfit::HeaderOnly => (None, None),
            Unfit::Unnamed { line, column } => (Some(*line), Some(*column)),
            Unfit::Twice { line, second, .. } => (Some(*line), Some(*second)),
            Unfit::Missing { line, .. }
            | Unfit::Clash { line, .. }
            | Unfit::Ragged { line, .. }
            | Unfit::Json { line, .. } => (Some(*line), None),
            Unfit::Garbled { place, .. } => (Some(place.line), Some(place.column)),
        }
    }

    /// As a dry run tells it.
    pub fn problem(&self) -> InputProblem {
        let (line, column) = self.place();
        InputProblem { line, column: column.map(|column| column as u64), detail: self.to_string() }
    }
}

/// So many problems a dry run names; further ones are counted.
const NAMED: usize = 100;

/// What is wrong with single lines, when an intake goes on behind them.
#[derive(Debug, Default)]
pub struct Problems {
    /// The first hundred.
    pub named: Vec<Unfit>,
    /// How many there are beyond these.
    pub more: u64,
}

impl Problems {
    /// One more.
    pub fn add(&mut self, unfit: Unfit) {
        if self.named.len() < NAMED { self.named.push(unfit) } else { self.more += 1 }
    }
}

#[derive(Debug)]
enum Reader {
    Csv(Box<Rows>),
    JsonLines(JsonLines),
}

/// Reads an input piece by piece: header first, then records.
#[derive(Debug)]
pub struct Intake {
    wanted: Wanted,
    reader: Reader,
    columns: Option<Vec<String>>,
    records: u64,
    /// Present when it goes on behind a line that is wrong.
    problems: Option<Problems>,
}

impl Intake {
    /// An intake for one input.
    pub fn new(wanted: Wanted, format: InputFormat) -> Intake {
        let reader = match format {
            InputFormat::Csv => Reader::Csv(Box::new(Rows::with_blank_lines())),
            InputFormat::Jsonl => Reader::JsonLines(JsonLines::default()),
        };
        Intake { wanted, reader, columns: None, records: 0, problems: None }
    }

    /// One that notes a line which is wrong and goes on behind it, as long as lines can be told apart.
    pub fn that_goes_on(self) -> Intake {
        Intake { problems: Some(Problems::default()), ..self }
    }

    /// The lines that were passed over because something is wrong with them.
    pub fn problems(&mut self) -> Problems {
        self.problems.take().unwrap_or_default()
    }

    /// The columns of records that have one field: `name`, checked as a header is.
    ///
    /// # Errors
    /// Why it makes no batch.
    pub fn only_column(&mut self, name: &str) -> Result<(), Unfit> {
        self.columns = Some(header(Row { line: 1, fields: vec![name.to_owned()] }, &self.wanted)?);
        Ok(())
    }

    /// The columns; none as long as the header is not read.
    pub fn columns(&self) -> &[String] {
        self.columns.as_deref().unwrap_or_default()
    }

    /// Reads the next piece; the records it completes, each with a field for every column.
    ///
    /// # Errors
    /// Why the CSV makes no batch.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Vec<String>>, Unfit> {
        match &mut self.reader {
            Reader::Csv(reader) => {
                let mut rows = Vec::new();
                let fed = reader.feed(piece, &mut rows);
                // What is wrong in an earlier line is said first.
                let records = self.take(rows)?;
                match fed {
                    Ok(()) => Ok(records),
                    Err(fault) => Err(self.garbled(fault)),
                }
            }
            Reader::JsonLines(reader) => {
                let lines = reader.feed(piece);
                self.take_lines(lines)
            }
        }
    }

    /// The end of the input: the last record, when no newline ended it.
    ///
    /// # Errors
    /// Why the CSV makes no batch.
    pub fn finish(&mut self) -> Result<Vec<Vec<String>>, Unfit> {
        let (records, empty) = match &mut self.reader {
            Reader::Csv(reader) => {
                let last = std::mem::take(&mut **reader).finish().map_err(|fault| self.garbled(fault))?;
                (self.take(last.into_iter().collect())?, EMPTY_CSV)
            }
            Reader::JsonLines(reader) => {
                let last = reader.finish();
                (self.take_lines(last)?, EMPTY_JSON)
            }
        };
        let some_are_wrong = self.problems.as_ref().is_some_and(|problems| !problems.named.is_empty());
        match (&self.columns, self.records) {
            _ if some_are_wrong => Ok(records),
            (None, _) => Err(Unfit::Empty(empty)),
            (Some(_), 0) => Err(Unfit::HeaderOnly),
            (Some(_), _) => Ok(records),
        }
    }

    fn take_lines(&mut self, lines: Vec<Result<Row, Unfit>>) -> Result<Vec<Vec<String>>, Unfit> {
        let mut records = Vec::with_capacity(lines.len());
        for line in lines {
            match line {
                Ok(row) => records.extend(self.take(vec![row])?),
                Err(unfit) => self.wrong(unfit)?,
            }
        }
        Ok(records)
    }

    /// A line that is wrong: the end, or noted.
    fn wrong(&mut self, unfit: Unfit) -> Result<(), Unfit> {
        match &mut self.problems {
            None => Err(unfit),
            Some(problems) => {
                problems.add(unfit);
                Ok(())
            }
        }
    }

    fn take(&mut self, rows: Vec<Row>) -> Result<Vec<Vec<String>>, Unfit> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            // Blank lines before the header are nothing.
            let Some(row) = row.of_table(self.columns.as_ref().map_or(0, Vec::len)) else { continue };
            match (&self.columns, row.fields.len()) {
                (None, _) => self.columns = Some(header(row, &self.wanted)?),
                (Some(columns), found) if columns.len() == found => records.push(row.fields),
                (Some(columns), found) => {
                    let expected = columns.len();
                    self.wrong(Unfit::Ragged { line: row.line, found, expected })?;
                }
            }
        }
        self.records += records.len() as u64;
        Ok(records)
    }

    fn garbled(&self, (place, fault): (Place, Fault)) -> Unfit {
        let name = self.columns.as_ref().and_then(|columns| columns.get(place.column - 1)).cloned();
        Unfit::Garbled { place, name, fault }
    }
}

fn ragged_advice(found: usize, expected: usize) -> &'static str {
    match found < expected {
        true => "add what is missing, or write a comma for each field that is to stay empty",
        false => "take out what is too many, or put fields with a comma in them into quotes",
    }
}

fn header(row: Row, wanted: &Wanted) -> Result<Vec<String>, Unfit> {
    let line = row.line;
    let names: Vec<String> = row.fields.into_iter().map(|name| name.trim().to_owned()).collect();
    let mut seen = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Unfit::Unnamed { line, column: index + 1 });
        }
        if let Some(first) = seen.insert(name.as_str(), index) {
            return Err(Unfit::Twice { line, name: name.clone(), first: first + 1, second: index + 1 });
        }
    }
    let missing: Vec<&str> = wanted.inputs.iter().filter(|input| !names.contains(input)).map(String::as_str).collect();
    if !missing.is_empty() {
        let hint = match names.as_slice() {
            [only] if only.contains([';', '\t']) => "; write commas between the columns",
            _ => "",
        };
        return Err(Unfit::Missing {
            line,
            plugin: wanted.plugin.clone(),
            missing: missing.join(", "),
            found: names.join(", "),
            hint: hint.to_owned(),
        });
    }
    match names.iter().find(|name| *name == ERROR_COLUMN || wanted.outputs.contains(name)) {
        Some(name) => Err(Unfit::Clash { line, name: name.clone(), plugin: wanted.plugin.clone() }),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
        read_as(InputFormat::Csv, text)
    }

    fn read_as(format: InputFormat, text: impl AsRef<[u8]>) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
        let wanted = Wanted {
            plugin: "name-count".to_owned(),
            inputs: vec!["name".to_owned()],
            outputs: vec!["count".to_owned()],
        };
        let mut intake = Intake::new(wanted, format);
        let mut read = || {
            let mut records = intake.feed(text.as_ref())?;
            records.extend(intake.finish()?);
            Ok((intake.columns().to_vec(), records))
        };
        read().map_err(|unfit: Unfit| unfit.to_string())
    }

    #[test]
    fn all_columns_are_kept_and_names_lose_their_blanks() {
        let (columns, records) = read("id, name ,town\n7, Ann, \"York, old\"").expect("good");
        assert_eq!(columns, ["id", "name", "town"]);
        assert_eq!(records, [["7", "Ann", "York, old"]]);
    }

    #[test]
    fn a_blank_line_is_a_record_where_there_is_one_column_and_none_where_there_are_more() {
        let (_, records) = read("\nname\nAnn\n\n \nBob\n\n").expect("good");
        assert_eq!(records, [["Ann"], [""], [""], ["Bob"], [""]]);
        let (_, records) = read("name,town\nAnn,York\n\nBob,Ely\n\n").expect("good");
        assert_eq!(records, [["Ann", "York"], ["Bob", "Ely"]]);
    }

    #[test]
    fn json_lines_keep_every_value_as_it_is_written() {
        let text = "\u{feff}{\"name\": \"A\\u00e9 \\\"x\\\"\", \"n\": 123456789012345678901234567890, \"b\": true}\r\n\n\
                    {\"b\": null, \"n\": 1.10, \"name\": \"\"}";
        let (columns, records) = read_as(InputFormat::Jsonl, text).expect("good");
        assert_eq!(columns, ["name", "n", "b"]);
        assert_eq!(records, [["Aé \"x\"", "123456789012345678901234567890", "true"], ["", "1.10", ""]]);
    }

    #[test]
    fn json_lines_of_very_many_keys_are_read_in_any_order_without_a_search_for_each() {
        let object = |keys: &mut dyn Iterator<Item = u32>| {
            let members: Vec<String> = keys.map(|key| format!("\"{key}\":1")).collect();
            format!("{{\"name\":1,{}}}\n", members.join(","))
        };
        let keys = 0..100_000;
        let text = object(&mut keys.clone()) + &object(&mut keys.rev());
        let (columns, records) = read_as(InputFormat::Jsonl, &text).expect("good");
        assert_eq!((columns.len(), records.len(), records[1].len()), (100_001, 2, 100_001));
    }

    #[test]
    fn json_lines_that_make_no_batch_are_said_with_line_and_advice() {
        for (text, expected) in [
            ("", "the input is empty; write a JSON object on a line for each record"),
            ("\n \n", "the input is empty; write a JSON object on a line for each record"),
            ("{\"nom\": 1}", "line 1: plugin name-count needs column name; the columns here are nom"),
            (
                "{\"name\": 1, \"error\": 2}",
                "line 1: column \"error\" is one that the results of plugin name-count add; rename it",
            ),
            ("{\"name\": 1, \"name\": 2}", "line 1: the key \"name\" is there twice; rename one"),
            ("{\"name\": [1]}", "line 1: \"name\" is a list or an object; write text, a number, true, false or null"),
            (
                "{\"name\": 1}\n\n{\"name\": 1, \"town\": 2}",
                "line 3: the key \"town\" is not among those of the first line (name); write the same keys on every line",
            ),
            (
                "{\"name\": 1, \"town\": 2}\n{\"town\": 2}",
                "line 2: the key \"name\" of the first line is missing; write null for a field that is to stay empty",
            ),
            (
                "{\"name\": 1}\n[1]\n",
                "line 2: this is no JSON object (invalid type: sequence, expected an object at column 0)",
            ),
        ] {
            assert_eq!(read_as(InputFormat::Jsonl, text).expect_err(expected), expected);
        }
    }

    #[test]
    fn an_intake_that_goes_on_notes_every_line_that_is_wrong() {
        let wanted = Wanted { plugin: "p".to_owned(), inputs: vec![], outputs: vec![] };
        let mut intake = Intake::new(wanted, InputFormat::Csv).that_goes_on();
        let mut text = "a,b\n1\n1,2\n1,2,3\n".to_owned();
        text.push_str(&"1\n".repeat(150));
        let records = intake.feed(text.as_bytes()).expect("it goes on");
        assert_eq!(records, [["1", "2"]]);
        intake.finish().expect("the end");
        let problems = intake.problems();
        assert_eq!((problems.named.len(), problems.more), (100, 52));
        let first = problems.named[1].problem();
        assert_eq!((first.line, first.column), (Some(4), None));
    }

    #[test]
    fn what_makes_no_batch_is_said_with_line_and_advice() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "the CSV is empty; its first line must name the columns"),
            (b"\xEF\xBB\xBF\r\n\r\n", "the CSV is empty; its first line must name the columns"),
            (b"name\r\n", "the CSV has a header and no records; add a line for each record"),
            (b"name", "the CSV has a header and no records; add a line for each record"),
            (b"name,\nAnn,\n", "line 1: column 2 has no name; name it or remove it"),
            (b"\nname,id,name\n", "line 2: columns 1 and 3 are both named \"name\"; rename one"),
            (b"id,Name\n1,Ann\n", "line 1: plugin name-count needs column name; the columns here are id, Name"),
            (
                b"id;name\n1;Ann\n",
                "line 1: plugin name-count needs column name; the columns here are id;name; write commas between the columns",
            ),
            (
                b"name,count\nAnn,1\n",
                "line 1: column \"count\" is one that the results of plugin name-count add; rename it",
            ),
            (
                b"name,error\nAnn,1\n",
                "line 1: column \"error\" is one that the results of plugin name-count add; rename it",
            ),
            (
                b"id,name\n1,Ann\n\n2\n",
                "line 4: 1 field, but the header names 2 columns; add what is missing, or write a comma for each field that is \
                 to stay empty",
            ),
            (b"id,name\n1,M\xFCller\n", "line 2, column 2 (name): this is not UTF-8; save the file as UTF-8"),
            (b"\xFF\xFEi\0d\0", "line 1, column 1: this is not UTF-8; save the file as UTF-8"),
            (b"id,name\n1,\"Ann\n", "line 2, column 2 (name): the quote that opens here is never closed"),
            (
                b"id,name\n1,Ann,x\n2,\xFC\n",
                "line 2: 3 fields, but the header names 2 columns; take out what is too many, or put fields with a comma in \
                 them into quotes",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).expect_err(expected), *expected);
        }
    }
}
