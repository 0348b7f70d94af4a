//! Reads the CSV files of a release: data tables, sample records, expected results.
//!
//! The same reader as the job server's hand-in ([`nightshift_manifest::csv`]), so that a file which is good there is good
//! here. What is added: a header, rows of its length, and refusals with the file, the line and what to do. Memory is
//! that of one piece of the file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nightshift_manifest::csv::{Fault, Place, Row, Rows};
use nightshift_manifest::file_error::FileError;

use crate::Data;

/// How much of the file is read at a time.
const PIECE: usize = 64 * 1024;

/// The file of a data table for the plugin in `folder` of the release in `tree`, and what messages call it.
pub(crate) fn of_table(table: &str, folder: &Path, tree: &Path, data: Data) -> (PathBuf, String) {
    let sample = folder.join("samples").join(format!("{table}.csv"));
    match data {
        Data::Samples if sample.is_file() => (sample, format!("samples/{table}.csv")),
        Data::Samples | Data::Release => (tree.join("data").join(format!("{table}.csv")), format!("data/{table}.csv")),
    }
}

/// A CSV file with a header, open for reading.
pub(crate) struct CsvFile {
    name: String,
    file: File,
    /// `None` after the end of the file.
    rows: Option<Rows>,
    read: VecDeque<Row>,
    /// What is wrong behind the rows that were read before it.
    fault: Option<(Place, Fault)>,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
}

impl CsvFile {
    /// Opens the file at `path`, which messages call `name`.
    pub(crate) fn open(path: &Path, name: &str) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| unreadable(name, &error))?;
        let mut csv = Self {
            name: name.to_owned(),
            file,
            rows: Some(Rows::with_blank_lines()),
            read: VecDeque::new(),
            fault: None,
            columns: Vec::new(),
        };
        let refused = |problem: String| FileError { file: name.to_owned(), line: Some(1), problem };
        let no_header = || refused("there is no header: write the names of the columns first".to_owned());
        let header = csv.row_of(0)?.ok_or_else(no_header)?;
        csv.columns = header.fields.iter().map(|column| column.trim().to_owned()).collect();
        for (index, column) in csv.columns.iter().enumerate() {
            if column.is_empty() {
                return Err(refused(format!("column {} has no name", index + 1)));
            }
            if csv.columns[..index].iter().any(|other| other.eq_ignore_ascii_case(column)) {
                return Err(refused(format!("column {column} is there twice: remove or rename one")));
            }
        }
        Ok(csv)
    }

    /// The next row, with as many fields as there are columns; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, FileError> {
        let Some(row) = self.row_of(self.columns.len())? else { return Ok(None) };
        if row.fields.len() != self.columns.len() {
            let problem =
                format!("{} fields where the header has {}: mend the row", row.fields.len(), self.columns.len());
            return Err(FileError { file: self.name.clone(), line: usize::try_from(row.line).ok(), problem });
        }
        Ok(Some(row))
    }

    /// The next row of a table with so many columns; blank lines before the header are none.
    fn row_of(&mut self, columns: usize) -> Result<Option<Row>, FileError> {
        while let Some(row) = self.row()? {
            if let Some(row) = row.of_table(columns) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn row(&mut self) -> Result<Option<Row>, FileError> {
        let mut piece = Vec::new();
        loop {
            if let Some(row) = self.read.pop_front() {
                return Ok(Some(row));
            }
            if let Some((place, fault)) = self.fault.take() {
                return Err(self.refusal(place, fault));
            }
            let Some(mut rows) = self.rows.take() else { return Ok(None) };
            piece.resize(PIECE, 0);
            let length = self.file.read(&mut piece).map_err(|error| unreadable(&self.name, &error))?;
            let mut read = Vec::new();
            let fed = if length == 0 {
                rows.finish().map(|last| read.extend(last))
            } else {
                rows.feed(&piece[..length], &mut read).map(|()| self.rows = Some(rows))
            };
            self.fault = fed.err();
            self.read = read.into();
        }
    }

    fn refusal(&self, place: Place, fault: Fault) -> FileError {
        let column = self.columns.get(place.column - 1).map_or_else(|| place.column.to_string(), Clone::clone);
        let problem = format!("column {column}: {fault}");
        FileError { file: self.name.clone(), line: usize::try_from(place.line).ok(), problem }
    }
}

fn unreadable(name: &str, error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::whole(name, "the file is missing: add it"),
        _ => FileError::whole(name, format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("people.csv");
        std::fs::write(&path, bytes).expect("writes the file");
        let all = || {
            let mut file = CsvFile::open(&path, "data/people.csv")?;
            let mut rows = vec![file.columns.clone()];
            while let Some(row) = file.next()? {
                rows.push(row.fields);
            }
            Ok(rows)
        };
        all().map_err(|error: FileError| error.to_string())
    }

    #[test]
    fn windows_line_ends_spaces_a_byte_order_mark_and_a_missing_last_newline_are_fine() {
        let rows = read("\u{feff}id, name\r\n1, anna\r\n\"2\", \"b, c\"".as_bytes()).expect("fine");
        assert_eq!(rows, [["id", "name"], ["1", "anna"], ["2", "b, c"]]);
    }

    #[test]
    fn a_file_that_cannot_be_taken_is_refused_with_its_line() {
        for (bytes, says) in [
            (&b"id,name\n1,a\n2\n"[..], "data/people.csv, line 3: 1 fields where the header has 2"),
            (b"id,name\n1,\xff\n", "data/people.csv, line 2: column name: this is not UTF-8"),
            (b"id,ID\n", "line 1: column ID is there twice"),
            (b"id,\n", "line 1: column 2 has no name"),
            (b"", "line 1: there is no header"),
            (b"id,name\n1,\"a\n", "line 2: column name: the quote that opens here is never closed"),
        ] {
            let message = read(bytes).expect_err(says);
            assert!(message.contains(says), "{message}");
        }
        let missing = CsvFile::open(Path::new("nowhere/people.csv"), "data/people.csv").err().expect("missing");
        assert!(missing.to_string().contains("the file is missing"), "{missing}");
    }
}
