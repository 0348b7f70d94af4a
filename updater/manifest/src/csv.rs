//! From bytes to rows: a reader that is fed piece by piece, wherever the pieces are cut.
//!
//! Taken as they come: a byte-order mark, line ends of any system, a missing last newline, blank lines, blanks after
//! commas (also before a quoted field), quotes inside an unquoted field, line ends inside a quoted one. Blank lines are
//! passed over, or given as rows without fields to who asks for them ([`Rows::with_blank_lines`]). Refused, with
//! line and column: what is not UTF-8, a quote that never closes, text after a closing quote, a row without end.
//! What the rows mean, and whether they are all of one length, is the reader's caller's business. Data tables, samples
//! and hand-ins are all read with this, so that a file which is good in one place is good in the others.

/// The longest row in bytes. A longer one is most often a quote that never closes.
pub const LONGEST_ROW: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Its fields; none for a blank line.
    pub fields: Vec<String>,
}

impl Row {
    /// The row of a table with so many columns, read [with its blank lines](Rows::with_blank_lines): where there is one
    /// column, a blank line is a row with an empty field, so that as many results come back as lines went in; where there
    /// are several, it is none.
    pub fn of_table(mut self, columns: usize) -> Option<Row> {
        if self.fields.is_empty() {
            if columns != 1 {
                return None;
            }
            self.fields.push(String::new());
        }
        Some(self)
    }
}

/// Where in a file something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column of the table, from 1.
    pub column: usize,
}

/// Bytes that are not CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field is not UTF-8.
    #[error("this is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// The file ended inside a quoted field.
    #[error("the quote that opens here is never closed")]
    OpenQuote,
    /// A quoted field goes on after its closing quote.
    #[error("text follows the closing quote; write \"\" for a quote inside a quoted field")]
    AfterQuote,
    /// A row is longer than [`LONGEST_ROW`].
    #[error("the row is longer than 1 MiB; look for a quote that is never closed")]
    TooLong,
}

/// The reader.
#[derive(Debug)]
pub struct Rows {
    state: State,
    /// Bytes of the byte-order mark seen; past its length once the start of the file is behind.
    mark: usize,
    /// The line of the next byte.
    line: u64,
    /// The last byte was a carriage return, which a newline would complete.
    after_return: bool,
    row_line: u64,
    row_bytes: usize,
    fields: Vec<String>,
    field: Vec<u8>,
    field_line: u64,
    blank_lines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a field: only blanks so far.
    Start,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes: the closing one, or the first of two.
    Quote,
    /// After a closing quote and blanks.
    Closed,
}

impl Default for Rows {
    fn default() -> Self {
        Rows {
            state: State::Start,
            mark: 0,
            line: 1,
            after_return: false,
            row_line: 1,
            row_bytes: 0,
            fields: Vec::new(),
            field: Vec::new(),
            field_line: 1,
            blank_lines: false,
        }
    }
}

impl Rows {
    /// A reader that gives a blank line as a row without fields: where a table has one column, it may stand for an
    /// empty field.
    pub fn with_blank_lines() -> Rows {
        Rows { blank_lines: true, ..Rows::default() }
    }

    /// Reads the next piece and adds every row that it completes to `rows`.
    ///
    /// # Errors
    /// What is wrong, and where. The reader is of no use afterwards.
    pub fn feed(&mut self, piece: &[u8], rows: &mut Vec<Row>) -> Result<(), (Place, Fault)> {
        let mut piece = self.after_mark(piece);
        while let Some((&byte, rest)) = piece.split_first() {
            if self.state == State::Plain {
                // The long stretches between two marks of structure go at once.
                let plain = piece.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(piece.len());
                if plain > 0 {
                    self.keep(&piece[..plain])?;
                    piece = &piece[plain..];
                    continue;
                }
            }
            piece = rest;
            self.step(byte, rows)?;
        }
        Ok(())
    }

    /// The end of the file: the last row, when no newline ended it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn finish(mut self) -> Result<Option<Row>, (Place, Fault)> {
        if self.mark < BYTE_ORDER_MARK.len() {
            // Shorter than a mark: what was held back of it is text after all.
            let begun = BYTE_ORDER_MARK[..self.mark].to_vec();
            self.field.extend(begun);
            self.state = if self.field.is_empty() { State::Start } else { State::Plain };
        }
        let mut last = Vec::new();
        match self.state {
            State::Quoted => return Err((Place { line: self.field_line, ..self.place() }, Fault::OpenQuote)),
            // Behind the last newline there is no line, blank or other.
            State::Start if self.fields.is_empty() => {}
            _ => self.end_row(&mut last)?,
        }
        Ok(last.pop())
    }

    /// What is left of a piece behind the byte-order mark, which may be cut anywhere.
    fn after_mark<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let mut piece = piece;
        while let (Some(expected), Some((first, rest))) = (BYTE_ORDER_MARK.get(self.mark), piece.split_first()) {
            if first == expected {
                self.mark += 1;
                piece = rest;
            } else {
                self.field.extend_from_slice(&BYTE_ORDER_MARK[..self.mark]);
                if self.mark > 0 {
                    self.state = State::Plain;
                }
                self.mark = BYTE_ORDER_MARK.len();
            }
        }
        piece
    }

    fn step(&mut self, byte: u8, rows: &mut Vec<Row>) -> Result<(), (Place, Fault)> {
        let completes_line_end = byte == b'\n' && self.after_return;
        self.after_return = byte == b'\r';
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => {
                if matches!(byte, b'\n' | b'\r') && !completes_line_end {
                    self.line += 1;
                }
                self.keep(&[byte])?;
            }
            (State::Quote, b'"') => {
                self.state = State::Quoted;
                self.keep(b"\"")?;
            }
            (_, b'\n') if completes_line_end => {}
            (_, b'\n' | b'\r') => {
                self.end_row(rows)?;
                self.line += 1;
            }
            (_, b',') => self.end_field()?,
            (State::Start, b' ' | b'\t') => {}
            (State::Start, _) => {
                self.field_line = self.line;
                if self.fields.is_empty() {
                    self.row_line = self.line;
                }
                if byte == b'"' {
                    self.state = State::Quoted;
                } else {
                    self.state = State::Plain;
                    self.keep(&[byte])?;
                }
            }
            (State::Plain, _) => self.keep(&[byte])?,
            (State::Quote | State::Closed, b' ' | b'\t') => self.state = State::Closed,
            (State::Quote | State::Closed, _) => return Err((self.place(), Fault::AfterQuote)),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), (Place, Fault)> {
        self.row_bytes += bytes.len();
        if self.row_bytes > LONGEST_ROW {
            return Err((Place { line: self.field_line, ..self.place() }, Fault::TooLong));
        }
        self.field.extend_from_slice(bytes);
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), (Place, Fault)> {
        if self.fields.is_empty() && self.state == State::Start {
            self.row_line = self.line;
        }
        // Fields that are empty count too, or a file of nothing but commas would grow without end.
        self.row_bytes += 1;
        self.keep(&[])?;
        let bytes = std::mem::take(&mut self.field);
        let field = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            (Place { line: self.field_line + line_ends(good), ..self.place() }, Fault::NotUtf8)
        })?;
        self.fields.push(field);
        self.state = State::Start;
        Ok(())
    }

    fn end_row(&mut self, rows: &mut Vec<Row>) -> Result<(), (Place, Fault)> {
        let blank = self.fields.is_empty() && self.state == State::Start;
        if !blank {
            self.end_field()?;
            rows.push(Row { line: self.row_line, fields: std::mem::take(&mut self.fields) });
        } else if self.blank_lines {
            rows.push(Row { line: self.line, fields: Vec::new() });
        }
        self.row_bytes = 0;
        Ok(())
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.fields.len() + 1 }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    let lone_returns = bytes.windows(2).filter(|pair| pair[0] == b'\r' && pair[1] != b'\n').count();
    (bytes.iter().filter(|byte| **byte == b'\n').count() + lone_returns) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Result<Vec<(u64, Vec<String>)>, (Place, Fault)>;

    fn read_in_pieces(text: &[u8], length: usize) -> Read {
        let mut reader = Rows::default();
        let mut rows = Vec::new();
        for piece in text.chunks(length) {
            reader.feed(piece, &mut rows)?;
        }
        rows.extend(reader.finish()?);
        Ok(rows.into_iter().map(|row| (row.line, row.fields)).collect())
    }

    /// Reads `text` whole and in pieces of every small length; all must agree.
    fn read(text: impl AsRef<[u8]>) -> Read {
        let text = text.as_ref();
        let whole = read_in_pieces(text, usize::MAX);
        for length in 1..7 {
            assert_eq!(read_in_pieces(text, length), whole, "in pieces of {length}");
        }
        whole
    }

    fn fields(text: impl AsRef<[u8]>) -> Vec<Vec<String>> {
        read(text).expect("good CSV").into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn a_blank_line_is_a_row_where_there_is_one_column_and_none_where_there_are_several() {
        let blank = Row { line: 2, fields: Vec::new() };
        assert_eq!(blank.clone().of_table(1), Some(Row { line: 2, fields: vec![String::new()] }));
        assert_eq!(blank.of_table(2), None);
        let full = Row { line: 3, fields: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(full.clone().of_table(1), Some(full));
    }

    #[test]
    fn mark_line_ends_and_missing_last_newline_make_no_difference() {
        let expected = vec![vec!["a", "b"], vec!["1", "2"]];
        for text in ["a,b\n1,2\n", "\u{feff}a,b\r\n1,2\r\n", "a,b\r1,2", "\u{feff}a,b\n1,2", "\n\na,b\n \n1,2\n\n\n"] {
            assert_eq!(fields(text), expected, "{text:?}");
        }
    }

    #[test]
    fn blanks_after_commas_are_dropped_also_before_a_quoted_field() {
        assert_eq!(fields("a, \"b, c\" ,\td\n  e,\"f\"\t\n"), vec![vec!["a", "b, c", "d"], vec!["e", "f"]]);
        assert_eq!(fields("a , b \n"), vec![vec!["a ", "b "]]);
        assert_eq!(fields("\" a\",\" \"\n"), vec![vec![" a", " "]]);
    }

    #[test]
    fn quotes_protect_commas_line_ends_and_doubled_quotes() {
        assert_eq!(fields("\"a\"\"b\",\"1,2\",\"x\r\ny\"\n"), vec![vec!["a\"b", "1,2", "x\r\ny"]]);
        assert_eq!(fields("5\" pipe,\"\"\n"), vec![vec!["5\" pipe", ""]]);
    }

    #[test]
    fn empty_fields_count() {
        assert_eq!(fields(",\n,,x\n\"\"\n"), vec![vec!["", ""], vec!["", "", "x"], vec![""]]);
    }

    #[test]
    fn blank_lines_are_given_to_who_asks_for_them() {
        let (mut reader, mut rows) = (Rows::with_blank_lines(), Vec::new());
        reader.feed(b"a\n\r\n \nb\r\r\"\"", &mut rows).expect("good");
        rows.extend(reader.finish().expect("good"));
        let rows: Vec<(u64, usize)> = rows.iter().map(|row| (row.line, row.fields.len())).collect();
        assert_eq!(rows, [(1, 1), (2, 0), (3, 0), (4, 1), (5, 0), (6, 1)]);
    }

    #[test]
    fn rows_know_their_line() {
        let lines: Vec<u64> =
            read("a\n\r\n\"x\ny\"\r\nb\rc").expect("good").into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3, 5, 6]);
    }

    #[test]
    fn an_empty_file_has_no_rows() {
        assert_eq!(fields(""), Vec::<Vec<String>>::new());
        assert_eq!(fields("\u{feff}"), Vec::<Vec<String>>::new());
        assert_eq!(fields(" \r\n\n"), Vec::<Vec<String>>::new());
    }

    #[test]
    fn what_is_not_utf8_is_named_by_line_and_column() {
        let fault = |line, column| Err((Place { line, column }, Fault::NotUtf8));
        assert_eq!(read(b"a,b\n1,M\xFCller\n"), fault(2, 2));
        assert_eq!(read(b"a,b\n1,\"x\ny\n\xFC\"\n"), fault(4, 2));
        assert_eq!(read(b"\xFF\xFEa\0,\0b\0"), fault(1, 1));
        assert_eq!(read(b"\xEF\xBBa"), fault(1, 1));
        assert_eq!(read(b"\xEF\xBB"), fault(1, 1));
    }

    #[test]
    fn an_open_quote_is_named_where_it_opens() {
        assert_eq!(read("a,b\n1,\"2\n3\n4\n"), Err((Place { line: 2, column: 2 }, Fault::OpenQuote)));
    }

    #[test]
    fn text_after_a_closing_quote_is_refused() {
        assert_eq!(read("a\n\"b\" c\n"), Err((Place { line: 2, column: 1 }, Fault::AfterQuote)));
    }

    #[test]
    fn a_row_without_end_is_refused_before_it_fills_the_memory() {
        let text = format!("a,b\n1,\"{}", "x\n".repeat(LONGEST_ROW));
        assert_eq!(read_in_pieces(text.as_bytes(), 4096), Err((Place { line: 2, column: 2 }, Fault::TooLong)));
        let commas = ",".repeat(LONGEST_ROW + 1);
        assert!(matches!(read_in_pieces(commas.as_bytes(), 4096), Err((_, Fault::TooLong))));
    }
}
