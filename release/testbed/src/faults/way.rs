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
    /// Answers to requests that contain this are lost, on connections that sent [`Plan::mark`].
    pub(super) request: &'static [u8],
    /// So many more of them.
    pub(super) lose: u32,
    /// Tells the connections that are meant from others.
    pub(super) mark: &'static [u8],
    /// So many answers were lost.
    pub(super) lost: u32,
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
            Direction::ToServer => {
                self.recognise(memory, piece);
                self.count(piece.len())
            }
            Direction::ToClient if memory.losing => {
                self.lost += 1;
                Passage::CutAfter(0)
            }
            Direction::ToClient if self.way == Way::Mute => Passage::Swallow,
            Direction::ToClient => Passage::Forward,
        }
    }

    fn recognise(&mut self, memory: &mut Memory, piece: &[u8]) {
        let mut seen = std::mem::take(&mut memory.tail);
        seen.extend_from_slice(piece);
        memory.marked |= contains(&seen, self.mark);
        if memory.marked && self.lose > 0 && contains(&seen, self.request) {
            self.lose -= 1;
            memory.losing = true;
            return;
        }
        seen.drain(..seen.len().saturating_sub(TAIL));
        memory.tail = seen;
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

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
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
    fn a_connection_is_cut_behind_the_byte_that_was_asked_for() {
        let (mut plan, mut memory) = (Plan { cut_after: Some(5), ..Plan::default() }, Memory::default());
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"abc"), Passage::Forward);
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"defg"), Passage::CutAfter(2));
        assert_eq!(plan.judge(&mut memory, Direction::ToServer, b"hijk"), Passage::Forward);
    }
}
