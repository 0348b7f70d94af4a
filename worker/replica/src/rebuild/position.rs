//! The donor's position within the text of a dump, as it streams by. Pure.
//!
//! MariaDB's dump has it near its end, MySQL's at its beginning, both in a comment. The text of procedures may look like it:
//! the last counts on MariaDB and the first on MySQL, which the dump program wrote itself.

use crate::make::Make;

/// A set of GTIDs is no longer than this.
const LONGEST: usize = 1 << 20;

/// Looks for the position in a dump.
#[derive(Debug)]
pub(super) struct Scanner {
    make: Make,
    /// What of the line at hand is kept: all of it while it may be one that is looked for.
    line: Vec<u8>,
    /// The line at hand is none that is looked for.
    skips: bool,
    found: Option<String>,
    completed: bool,
}

/// What was found in a dump that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The position it was made at.
    Position(String),
    /// It ends in the middle.
    CutOff,
    /// It says no position.
    Nothing,
}

impl Scanner {
    pub(super) fn new(make: Make) -> Scanner {
        Scanner { make, line: Vec::new(), skips: false, found: None, completed: false }
    }

    fn begins(&self) -> &'static [u8] {
        match self.make {
            Make::MariaDb => b"-- SET GLOBAL gtid_slave_pos='",
            Make::MySql => b"/* SET @@GLOBAL.GTID_PURGED='",
        }
    }

    /// Takes in the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            bytes = rest;
            if !self.skips {
                self.line.extend_from_slice(piece);
                self.skips = !self.may_be_looked_for();
            }
            if end.is_some() {
                self.line_ends();
            }
        }
    }

    fn may_be_looked_for(&self) -> bool {
        let begins_like = |text: &[u8]| {
            let length = text.len().min(self.line.len());
            self.line[..length] == text[..length]
        };
        self.line.len() < LONGEST && (begins_like(self.begins()) || begins_like(COMPLETED))
    }

    fn line_ends(&mut self) {
        // What stands behind "completed" is nothing.
        self.completed = self.line.starts_with(COMPLETED) || (self.completed && self.line == b"\n");
        if let Some(value) = self.line.strip_prefix(self.begins()).filter(|_| !self.skips) {
            let Some(end) = value.iter().position(|byte| *byte == b'\'') else {
                // A set of several servers' transactions has a line for each.
                return;
            };
            let value: String = String::from_utf8_lossy(&value[..end]).replace(['\n', '+', ' '], "");
            if self.make == Make::MariaDb || self.found.is_none() {
                self.found = Some(value);
            }
        }
        self.line.clear();
        self.skips = false;
    }

    /// What was found, when there is no more to come.
    pub(super) fn end(mut self) -> Found {
        // A last line without its end.
        if !self.line.is_empty() {
            self.line_ends();
        }
        match self.found {
            _ if !self.completed => Found::CutOff,
            Some(position) if !position.is_empty() => Found::Position(position),
            _ => Found::Nothing,
        }
    }
}

const COMPLETED: &[u8] = b"-- Dump completed";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(make: Make, text: &str) -> Found {
        // However the stream is cut into pieces.
        let mut whole = Scanner::new(make);
        whole.feed(text.as_bytes());
        let whole = whole.end();
        for size in [1, 2, 7, 64] {
            let mut pieces = Scanner::new(make);
            text.as_bytes().chunks(size).for_each(|piece| pieces.feed(piece));
            assert_eq!(pieces.end(), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn the_position_is_found_in_what_dump_programs_write() {
        let maria = "-- MariaDB dump\nINSERT INTO `t` VALUES (1,'-- SET GLOBAL gtid_slave_pos=');\n\
                     -- SET GLOBAL gtid_slave_pos='0-177-8';\n\n-- Dump completed on 2026-11-29\n";
        assert_eq!(found(Make::MariaDb, maria), Found::Position("0-177-8".into()));
        let my = "-- GTID state\n\n/* SET @@GLOBAL.GTID_PURGED='+56057872-eb90-11f1-a40a-02fc00000001:1-7,\n\
                  66057872-eb90-11f1-a40a-02fc00000001:1-3';*/\n\n\
                  /* SET @@GLOBAL.GTID_PURGED='+x:1-9';*/\n-- Dump completed on 2026-11-29\n";
        let both = "56057872-eb90-11f1-a40a-02fc00000001:1-7,66057872-eb90-11f1-a40a-02fc00000001:1-3";
        assert_eq!(found(Make::MySql, my), Found::Position(both.into()));
    }

    #[test]
    fn a_dump_that_ends_in_the_middle_or_says_no_position_is_none() {
        let cut = "-- SET GLOBAL gtid_slave_pos='0-177-8';\nINSERT INTO";
        assert_eq!(found(Make::MariaDb, cut), Found::CutOff);
        let more = "-- SET GLOBAL gtid_slave_pos='0-177-8';\n-- Dump completed on x\nINSERT INTO t VALUES (1);\n";
        assert_eq!(found(Make::MariaDb, more), Found::CutOff);
        assert_eq!(found(Make::MariaDb, "-- Dump completed on x\n"), Found::Nothing);
        assert_eq!(found(Make::MariaDb, "-- SET GLOBAL gtid_slave_pos='';\n-- Dump completed\n"), Found::Nothing);
    }
}
