//! Which CSV makes a batch for a plugin: the rules of the header and of every row, and the errors people read.

use std::collections::HashMap;

use nightshift_manifest::csv::{Fault, Place, Row, Rows};

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
    #[error("the CSV is empty; its first line must name the columns")]
    Empty,
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
        count(*found, "field"),
        count(*expected, "column"),
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
}

/// Reads a CSV piece by piece: header first, then records.
#[derive(Debug)]
pub struct Intake {
    wanted: Wanted,
    rows: Rows,
    columns: Option<Vec<String>>,
    records: u64,
}

impl Intake {
    /// An intake for one CSV.
    pub fn new(wanted: Wanted) -> Intake {
        Intake { wanted, rows: Rows::default(), columns: None, records: 0 }
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
        let mut rows = Vec::new();
        let fed = self.rows.feed(piece, &mut rows);
        // What is wrong in an earlier line is said first.
        let records = self.take(rows)?;
        match fed {
            Ok(()) => Ok(records),
            Err(fault) => Err(self.garbled(fault)),
        }
    }

    /// The end of the CSV: the last record, when no newline ended it.
    ///
    /// # Errors
    /// Why the CSV makes no batch.
    pub fn finish(&mut self) -> Result<Vec<Vec<String>>, Unfit> {
        let last = std::mem::take(&mut self.rows).finish().map_err(|fault| self.garbled(fault))?;
        let records = self.take(last.into_iter().collect())?;
        match (&self.columns, self.records) {
            (None, _) => Err(Unfit::Empty),
            (Some(_), 0) => Err(Unfit::HeaderOnly),
            (Some(_), _) => Ok(records),
        }
    }

    fn take(&mut self, rows: Vec<Row>) -> Result<Vec<Vec<String>>, Unfit> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            match &self.columns {
                None => self.columns = Some(header(row, &self.wanted)?),
                Some(columns) if columns.len() == row.fields.len() => records.push(row.fields),
                Some(columns) => {
                    let (found, expected) = (row.fields.len(), columns.len());
                    return Err(Unfit::Ragged { line: row.line, found, expected });
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

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
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
        let wanted = Wanted {
            plugin: "name-count".to_owned(),
            inputs: vec!["name".to_owned()],
            outputs: vec!["count".to_owned()],
        };
        let mut intake = Intake::new(wanted);
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
