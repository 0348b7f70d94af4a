//! What a proxy does with each piece that passes. Decides and remembers; sockets are moved in `proxy.rs`.

use std::time::Duration;

/// Which way a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// How far the way is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    #[default]
    Open,
    /// Nothing passes, nothing is closed.
    Frozen,
    /// What the server says is thrown away.
    Mute,
    /// New connections are closed at once.
    Closed,
}

/// What is to be done with a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Forward,
    Swallow,
    /// So many bytes of it pass, then the connection is cut.
    CutAfter(usize),
}

/// Everything a test can ask of a proxy, as it stands.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) way: Way,
    pub(super) delay: Duration,
    /// So many further bytes reach the server, then the connection that carries the last of them is cut.
    pub(super) cut_after: Option<u64>,
    /// What a request contains that is to be lost, on connections that sent [`Plan::mark`].
    pub(super) request: &'static [u8],
    /// So many more of them are lost.
    pub(super) lose: u32,
    /// What of them is lost.
    pub(super) part: Part,
    /// Tells the connections that are meant from others.
    pub(super) mark: &'static [u8],
    /// So many were lost.
    pub(super) lost: u32,
}

/// What of a request is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Part {
    /// The server gets it and answers; the answer is lost.
    #[default]
    Answer,
    /// The server never gets it.
    All,
}

/// What a proxy remembers of one connection.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The end of what was sent, in case what is looked for was cut into pieces.
    tail: Vec<u8>,
    marked: bool,
    /// Its next answer is to be lost.
    losing: bool,
}

/// Not less than any text that is looked for.
const TAIL: usize = 32;

impl Plan {
    /// Judges a piece that shall pass now.
    pub(super) fn judge(&mut self, memory: &mut Memory, direction: Direction, piece: &[u8]) -> Passage {
        match direction {
            Direction::ToServer if self.recognise(memory, piece) && self.part == Part::All => {
                self.lost += 1;
                Passage::CutAfter(0)
            }
            Direction::ToServer => self.count(piece.len()),
            Direction::ToClient if memory.losing => {
                self.lost += 1;
                Passage::CutAfter(0)
            }
            Direction::ToClient if self.way == Way::Mute => Passage::Swallow,
            Direction::ToClient => Passage::Forward,
        }
    }

    /// Whether a piece holds a request that is to be lost.
    fn recognise(&mut self, memory: &mut Memory, piece: &[u8]) -> bool {
        memory.marked |= memory.ends_in(piece, self.mark);
        let found = memory.marked && self.lose > 0 && memory.ends_in(piece, self.request);
        if found {
            self.lose -= 1;
            memory.losing = true;
        }
        memory.tail.extend_from_slice(piece);
        memory.tail.drain(..memory.tail.len().saturating_sub(TAIL));
        found
    }

    fn count(&mut self, length: usize) -> Passage {
        let Some(left) = self.cut_after else { return Passage::Forward };
        match usize::try_from(left) {
            Ok(left) if left <= length => {
                self.cut_after = None;
                Passage::CutAfter(left)
            }
            _ => {
                self.cut_after = Some(left - length as u64);
                Passage::Forward
            }
        }
    }
}

impl Memory {
    /// Whether a text ends in this piece; it may begin in those before it.
    fn ends_in(&self, piece: &[u8], text: &[u8]) -> bool {
        let before = self.tail.len().saturating_sub(text.len().saturating_sub(1));
        let seen = [&self.tail[before..], piece].concat();
        text.is_empty() || seen.windows(text.len()).any(|window| window == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { request: b"COMMIT", lose: 1, mark: b"INSERT", ..Plan::default() }
    }

    #[test]
    fn the_answer_to_the_request_is_lost_and_no_other() {
        let (mut plan, mut writer, mut reader) = (plan(), Memory::default(), Memory::default());
        assert_eq!(plan.judge(&mut reader, Direction::ToServer, b"COMMIT"), Passage::Forward);
        assert_eq!(plan.judge(&mut reader, Direction::ToClient, b"ok"), Passage::Forward);
        assert_eq!(plan.judge(&mut writer, Direction::ToServer, b"INSERT"), Passage::Forward);
        assert_eq!(plan.judge(&mut writer, Direction::ToClient, b"ok"), Passage::Forward);
        for piece in [b"COM", b"MIT"] {
            assert_eq!(plan.judge(&mut writer, Direction::ToServer, piece), Passage::Forward, "the server gets it");
        }
        assert_eq!(plan.judge(&mut writer, Direction::ToClient, b"ok"), Passage::CutAfter(0));
        assert_eq!((plan.lose, plan.lost), (0, 1));
    }

    #[test]
    fn a_request_that_is_lost_does_not_reach_the_server() {
        let (mut plan, mut writer) = (Plan { part: Part::All, ..plan() }, Memory::default());
        assert_eq!(plan.judge(&mut writer, Direction::ToServer, b"INSERT"), Passage::Forward);
        assert_eq!(plan.judge(&mut writer, Direction::ToServer, b"COMMIT"), Passage::CutAfter(0));
        assert_eq!((plan.lose, plan.lost), (0, 1));
    }

    #[test]
    fn a_connection_is_cut_behind_the_byte_that_was_asked_for() {
        let (mut plan, mut memory) = (Plan { cut_after: Some(5), ..Plan::default() }, Memory::default());
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"abc"), Passage::Forward);
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"defg"), Passage::CutAfter(2));
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"hijk"), Passage::Forward);
    }
}
