//! Bytes as they were before somebody packed them with gzip; other bytes stay as they are.
//!
//! What is packed is known by its first two bytes, which no text begins with. It is unpacked in small steps, so that
//! memory stays small however much comes out of little; an input that unpacks to hundreds of times its size is refused,
//! because it would fill the disk. What is stored with each record counts as well: a byte and a newline are a record, too.
//! Several gzip files in one (as `cat` and parallel packers make them) are one input.

use std::collections::VecDeque;
use std::io::Write;

use flate2::write::MultiGzDecoder;

/// The first bytes of every gzip file.
const MAGIC: [u8; 2] = [0x1F, 0x8B];
/// So many packed bytes are unpacked in one step; at most a thousand times as many come out.
const STEP: usize = 1024;
/// An input that takes no more than this is taken however well it was packed: it is a few jobs at most.
const HARMLESS: u64 = 8 * 1024 * 1024;
/// What a record takes beside its text, at least, on every store.
const AROUND_A_RECORD: u64 = 32;
/// Text is packed to a tenth as a rule, and very monotonous text to a fiftieth.
const LARGEST_RATIO: u64 = 200;

/// An input that cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spoilt {
    /// It is damaged, or ends too early.
    #[error("the gzip data is damaged or ends too early; pack it again, or send it as it is")]
    Damaged,
    /// It would take very much more than it is.
    #[error(
        "the gzip data takes more than 200 times its size when it is unpacked and stored; unpack it and hand it in as it is"
    )]
    Bomb,
}

/// The unpacker of one input.
#[derive(Debug)]
pub struct Unpacker {
    state: State,
    /// What came in and is not unpacked yet.
    waiting: VecDeque<u8>,
    packed: u64,
    unpacked: u64,
    records: u64,
}

#[derive(Debug)]
enum State {
    /// Fewer than two bytes were seen.
    Unknown,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Unpacker {
    /// For an input that says that it is packed, or says nothing.
    pub fn new(said_to_be_gzip: bool) -> Unpacker {
        let state = if said_to_be_gzip { gzip() } else { State::Unknown };
        Unpacker { state, waiting: VecDeque::new(), packed: 0, unpacked: 0, records: 0 }
    }

    /// Takes the next piece; [`Unpacker::unpacked`] gives what comes out.
    pub fn feed(&mut self, piece: &[u8]) {
        self.waiting.extend(piece);
        if let State::Unknown = self.state
            && self.waiting.len() >= MAGIC.len()
        {
            self.state = if self.waiting.iter().take(MAGIC.len()).eq(&MAGIC) { gzip() } else { State::Plain };
        }
    }

    /// The next unpacked bytes; `None` when more has to come in first.
    ///
    /// # Errors
    /// Why it cannot be unpacked.
    pub fn unpacked(&mut self) -> Result<Option<Vec<u8>>, Spoilt> {
        loop {
            if self.waiting.is_empty() || matches!(self.state, State::Unknown) {
                return Ok(None);
            }
            let out = match &mut self.state {
                State::Unknown | State::Plain => std::mem::take(&mut self.waiting).into(),
                State::Gzip(decoder) => {
                    let step: Vec<u8> = self.waiting.drain(..self.waiting.len().min(STEP)).collect();
                    self.packed += step.len() as u64;
                    decoder.write_all(&step).map_err(|_| Spoilt::Damaged)?;
                    std::mem::take(decoder.get_mut())
                }
            };
            if let Some(out) = self.counted(out)? {
                return Ok(Some(out));
            }
        }
    }

    /// The end of the input: what comes out last.
    ///
    /// # Errors
    /// Why it cannot be unpacked.
    pub fn finish(&mut self) -> Result<Option<Vec<u8>>, Spoilt> {
        let last = match &mut self.state {
            State::Unknown | State::Plain => std::mem::take(&mut self.waiting).into(),
            State::Gzip(decoder) => {
                // An input without a byte is not gzip, whatever it says.
                if self.packed == 0 {
                    return Ok(None);
                }
                decoder.try_finish().map_err(|_| Spoilt::Damaged)?;
                std::mem::take(decoder.get_mut())
            }
        };
        self.counted(last)
    }

    /// So many records were read out of what was unpacked.
    ///
    /// # Errors
    /// When they take very much more than the input.
    pub fn records(&mut self, records: u64) -> Result<(), Spoilt> {
        self.records += records;
        self.judge()
    }

    fn counted(&mut self, out: Vec<u8>) -> Result<Option<Vec<u8>>, Spoilt> {
        self.unpacked += out.len() as u64;
        self.judge()?;
        Ok((!out.is_empty()).then_some(out))
    }

    fn judge(&self) -> Result<(), Spoilt> {
        let taken = self.unpacked + self.records * AROUND_A_RECORD;
        match self.state {
            State::Gzip(_) if is_bomb(self.packed, taken) => Err(Spoilt::Bomb),
            _ => Ok(()),
        }
    }
}

fn gzip() -> State {
    State::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
}

fn is_bomb(packed: u64, taken: u64) -> bool {
    taken > HARMLESS && taken / LARGEST_RATIO > packed
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn pack(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    }

    fn unpack(input: &[u8], piece: usize, said: bool) -> Result<Vec<u8>, Spoilt> {
        let (mut unpacker, mut out) = (Unpacker::new(said), Vec::new());
        for piece in input.chunks(piece) {
            unpacker.feed(piece);
            while let Some(more) = unpacker.unpacked()? {
                out.extend(more);
            }
        }
        out.extend(unpacker.finish()?.unwrap_or_default());
        Ok(out)
    }

    #[test]
    fn what_is_packed_is_unpacked_and_what_is_not_stays_as_it_is() {
        let text = "name\nAnn\n".repeat(1_000).into_bytes();
        let twice = [pack(&text), pack(&text)].concat();
        for piece in [1, 7, 4096, usize::MAX] {
            assert_eq!(unpack(&text, piece, false), Ok(text.clone()));
            assert_eq!(unpack(&pack(&text), piece, false), Ok(text.clone()));
            assert_eq!(unpack(&pack(&text), piece, true), Ok(text.clone()));
            assert_eq!(unpack(&twice, piece, false), Ok(text.repeat(2)));
        }
        for short in [&b""[..], b"a", b"\x1F"] {
            assert_eq!(unpack(short, 1, false), Ok(short.to_vec()));
        }
    }

    #[test]
    fn what_is_damaged_or_cut_is_refused() {
        let text = "name\nAnn\n".repeat(1_000).into_bytes();
        let packed = pack(&text);
        for end in [3, 10, packed.len() / 2, packed.len() - 1] {
            assert_eq!(unpack(&packed[..end], 100, false), Err(Spoilt::Damaged), "cut at {end}");
        }
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 0x55;
        assert_eq!(unpack(&flipped, 100, false), Err(Spoilt::Damaged));
        let followed = [packed, b"and more".to_vec()].concat();
        assert_eq!(unpack(&followed, 100, false), Err(Spoilt::Damaged));
        assert_eq!(unpack(b"name\nAnn\n", 100, true), Err(Spoilt::Damaged));
    }

    #[test]
    fn an_input_that_unpacks_to_very_much_is_refused() {
        assert!(!is_bomb(10, HARMLESS));
        assert!(is_bomb(10, HARMLESS + 1));
        assert!(!is_bomb(HARMLESS / 100, HARMLESS * 2));
    }

    #[test]
    fn many_tiny_records_count_as_what_they_take() {
        let rows = "a\n".repeat(2_000_000);
        let mut unpacker = Unpacker::new(true);
        unpacker.feed(&pack(rows.as_bytes()));
        let mut read = || {
            while let Some(out) = unpacker.unpacked()? {
                unpacker.records(out.iter().filter(|byte| **byte == b'\n').count() as u64)?;
            }
            Ok(())
        };
        assert_eq!(read(), Err(Spoilt::Bomb), "four megabytes of text, sixty of records");
        assert_eq!(Unpacker::new(false).records(2_000_000), Ok(()), "what is not packed travelled as it is");
    }
}
