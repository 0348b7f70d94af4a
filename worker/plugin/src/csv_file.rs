//! Reads the CSV files of a release: data tables, sample records, expected results.
//!
//! As forgiving as the job server's hand-in: a byte-order mark, Windows line ends, spaces around fields and a missing
//! last newline are fine. Everything else is refused with the file, the line and what to do.

use std::fs::File;
use std::io;
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use nightshift_manifest::file_error::FileError;

/// A CSV file with a header, open for reading.
pub(crate) struct CsvFile {
    name: String,
    reader: csv::Reader<File>,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
}

impl CsvFile {
    /// Opens the file at `path`, which messages call `name`.
    pub(crate) fn open(path: &Path, name: &str) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| unreadable(name, &error))?;
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(file);
        let columns: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Err(refusal(name, &error)),
        };
        let header_is = |problem: String| FileError { file: name.to_owned(), line: Some(1), problem };
        if columns.iter().all(String::is_empty) {
            return Err(header_is("there is no header: write the names of the columns first".to_owned()));
        }
        for (index, column) in columns.iter().enumerate() {
            if column.is_empty() {
                return Err(header_is(format!("column {} has no name", index + 1)));
            }
            if columns[..index].iter().any(|other| other.eq_ignore_ascii_case(column)) {
                return Err(header_is(format!("column {column} is there twice: remove or rename one")));
            }
        }
        Ok(Self { name: name.to_owned(), reader, columns })
    }

    /// The next row with its line; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, StringRecord)>, FileError> {
        let mut row = StringRecord::new();
        match self.reader.read_record(&mut row) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = row.position().map_or(0, csv::Position::line);
                // A quote is only understood as the first character; behind a space it would become part of the value.
                match row.iter().position(|value| value.starts_with('"')) {
                    None => Ok(Some((line, row))),
                    Some(index) => {
                        let problem = format!(
                            "column {}: a quote after a space; remove the space before it",
                            self.columns[index]
                        );
                        Err(FileError { file: self.name.clone(), line: Some(line as usize), problem })
                    }
                }
            }
            Err(error) => Err(refusal(&self.name, &error)),
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::whole(name, "the file is missing: add it"),
        _ => FileError::whole(name, format!("cannot be read: {error}")),
    }
}

fn refusal(name: &str, error: &csv::Error) -> FileError {
    let line = error.position().map(|position| position.line() as usize);
    let problem = match error.kind() {
        ErrorKind::Utf8 { .. } => "not UTF-8: save the file as UTF-8".to_owned(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}: mend the row")
        }
        ErrorKind::Io(error) => return unreadable(name, error),
        _ => error.to_string(),
    };
    FileError { file: name.to_owned(), line, problem }
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
            while let Some((_, row)) = file.next()? {
                rows.push(row.iter().map(str::to_owned).collect());
            }
            Ok(rows)
        };
        all().map_err(|error: FileError| error.to_string())
    }

    #[test]
    fn windows_line_ends_spaces_a_byte_order_mark_and_a_missing_last_newline_are_fine() {
        let rows = read("\u{feff}id, name\r\n1, anna \r\n\"2\",\"b, c\"".as_bytes()).expect("fine");
        assert_eq!(rows, [["id", "name"], ["1", "anna"], ["2", "b, c"]]);
    }

    #[test]
    fn a_file_that_cannot_be_taken_is_refused_with_its_line() {
        for (bytes, says) in [
            (&b"id,name\n1,a\n2\n"[..], "data/people.csv, line 3: 1 fields where the header has 2"),
            (b"id,name\n1,\xff\n", "data/people.csv, line 2: not UTF-8"),
            (b"id,ID\n", "line 1: column ID is there twice"),
            (b"id,\n", "line 1: column 2 has no name"),
            (b"", "line 1: there is no header"),
            (b"id,name\n1, \"a\"\n", "line 2: column name: a quote after a space"),
        ] {
            let message = read(bytes).expect_err(says);
            assert!(message.contains(says), "{message}");
        }
        let missing = CsvFile::open(Path::new("nowhere/people.csv"), "data/people.csv").err().expect("missing");
        assert!(missing.to_string().contains("the file is missing"), "{missing}");
    }
}
