//! The journal of an attempt: its results, block by block, in a file that is only ever appended to.
//!
//! ```text
//! 1f0c9a5be2d47703 {"origin":{"attempt":17,"revision":0,"plugin":"name-count","release":"v1.0.0","commit":"…"}}
//! 93b1d0f6a8c2e415 {"block":{"first":0,"work_ms":12,"results":[{"id":1,"ok":{…}},…]}}
//! ```
//!
//! Each line begins with half of its text's SHA-256. A line that is torn, changed or out of place ends the journal: it
//! and everything after it do not count.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use nightshift_plugin::Results;
use nightshift_wire::{AttemptId, ReachedPosition};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// What the results of a journal come from. Results of another origin are worth nothing to this attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The attempt.
    pub attempt: AttemptId,
    /// The job's revision.
    pub revision: u32,
    /// The plugin.
    pub plugin: String,
    /// Tag of the release.
    pub release: String,
    /// Commit of the release.
    pub commit: String,
    /// What the replica had applied before its data were read; absent when the plugin reads none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<ReachedPosition>,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Where the results come from.
    pub origin: Origin,
    /// The results, in the order of the records.
    pub results: Results,
    /// Time spent on them.
    pub work: Duration,
    /// Length of what counts, in bytes.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Origin(Origin),
    Block {
        first: usize,
        work_ms: u64,
        #[serde(borrow)]
        results: &'a RawValue,
    },
}

/// A journal that is open for appending.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Opens the journal at `path` behind its first `bytes`, or at its end.
    pub(super) fn open(path: &Path, bytes: Option<u64>) -> io::Result<Journal> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        if let Some(bytes) = bytes {
            file.set_len(bytes)?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(Journal(file))
    }

    /// Appends a block's results, the first of which is result number `first` of the job (from 0), and returns how many
    /// bytes that took. Once this returns, they are there after a power cut.
    ///
    /// # Errors
    /// When they cannot be written; the journal must not be used further then.
    pub fn append(&mut self, first: usize, work: Duration, results: &Results) -> io::Result<u64> {
        let line = block_line(first, work, results);
        self.0.write_all(&line)?;
        self.0.sync_data()?;
        Ok(line.len() as u64)
    }
}

/// The line a journal begins with.
pub(super) fn first_line(origin: &Origin) -> Vec<u8> {
    line_of(|text| text.extend(serde_json::to_vec(&Line::Origin(origin.clone())).expect("it has text keys only")))
}

/// The line of a block. The results go into it as they are.
fn block_line(first: usize, work: Duration, results: &Results) -> Vec<u8> {
    let work_ms = u64::try_from(work.as_millis()).unwrap_or(u64::MAX);
    line_of(|text| {
        text.extend(format!("{{\"block\":{{\"first\":{first},\"work_ms\":{work_ms},\"results\":").bytes());
        results.write(text);
        text.extend(b"}}");
    })
}

/// Reads a journal; `None` when not even its first line is whole.
pub(super) fn read(bytes: &[u8]) -> Option<Written> {
    let mut lines = whole_lines(bytes);
    let (Line::Origin(origin), end) = lines.next()? else { return None };
    let mut written = Written { origin, results: Results::default(), work: Duration::ZERO, bytes: end };
    for (line, end) in lines {
        let Line::Block { first, work_ms, results } = line else { break };
        let Some(results) = Results::read(results.get()).ok().filter(|_| first == written.results.len()) else { break };
        written.results.extend(results);
        written.work += Duration::from_millis(work_ms);
        written.bytes = end;
    }
    Some(written)
}

/// The lines up to the first that is not whole, each with the position behind it.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = (Line<'_>, u64)> {
    let mut end = 0;
    bytes.split_inclusive(|byte| *byte == b'\n').map_while(move |line| {
        end += line.len() as u64;
        Some((decode(line)?, end))
    })
}

/// A line with the text that `write` puts behind what it is given.
fn line_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut line = vec![b' '; SUM_LENGTH + 1];
    write(&mut line);
    let sum = checksum(&line[SUM_LENGTH + 1..]);
    line[..SUM_LENGTH].copy_from_slice(sum.as_bytes());
    line.push(b'\n');
    line
}

fn decode(line: &[u8]) -> Option<Line<'_>> {
    let (sum, text) = line.strip_suffix(b"\n")?.split_at_checked(SUM_LENGTH)?;
    let text = text.strip_prefix(b" ")?;
    (sum == checksum(text).as_bytes()).then(|| serde_json::from_slice(text).ok())?
}

const SUM_LENGTH: usize = 16;

fn checksum(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    digest[..SUM_LENGTH / 2].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Outcome, RecordResult};

    use super::*;

    fn origin() -> Origin {
        Origin {
            attempt: 17,
            revision: 2,
            plugin: "p".into(),
            release: "v1.0.0".into(),
            commit: "c".repeat(40),
            position: Some(ReachedPosition { primary: "mariadb:1".into(), gtid: "0-1-7".into() }),
        }
    }

    fn results(ids: std::ops::Range<i64>) -> Results {
        let result = |id| RecordResult {
            id,
            outcome: match id % 2 {
                0 => Outcome::Ok([("score".to_owned(), (id as f64 / 3.0).into())].into()),
                _ => Outcome::Error(format!("error\n{id}")),
            },
        };
        Results::from(&ids.map(result).collect::<Vec<_>>()[..])
    }

    /// A journal of three blocks, and the ends of its lines.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = first_line(&origin());
        let mut ends = vec![bytes.len()];
        for (first, ids) in [(0, 100..104), (4, 104..108), (8, 108..109)] {
            bytes.extend(block_line(first, Duration::from_millis(5), &results(ids)));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        let (bytes, ends) = journal();
        let expected = Written {
            origin: origin(),
            results: results(100..109),
            work: Duration::from_millis(15),
            bytes: ends[3] as u64,
        };
        assert_eq!(read(&bytes), Some(expected));
    }

    #[test]
    fn a_journal_cut_at_any_byte_holds_exactly_its_whole_blocks() {
        let (bytes, ends) = journal();
        for cut in 0..=bytes.len() {
            let read = read(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let expected = [None, Some(0), Some(4), Some(8), Some(9)][whole];
            assert_eq!(read.as_ref().map(|written| written.results.len()), expected, "cut at {cut}");
            assert!(read.is_none_or(|written| written.bytes == ends[whole - 1] as u64), "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_with_any_byte_changed_never_gives_a_wrong_result() {
        let (bytes, ends) = journal();
        let good = results(100..109).decoded();
        for place in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1;
            let Some(written) = read(&bytes) else {
                assert!(place < ends[0], "byte {place}");
                continue;
            };
            assert_eq!(written.origin, origin());
            assert_eq!(written.results.decoded(), good[..written.results.len()], "byte {place}");
        }
    }

    #[test]
    fn a_block_out_of_place_ends_the_journal() {
        let (mut bytes, ends) = journal();
        let third = bytes[ends[2]..].to_vec();
        bytes.truncate(ends[1]);
        bytes.extend(third);
        assert_eq!(read(&bytes).map(|written| written.results.len()), Some(4));
    }

    #[test]
    fn what_is_appended_behind_a_torn_line_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal");
        let (bytes, ends) = journal();
        std::fs::write(&path, &bytes[..ends[1] + 9]).expect("writes");
        let torn = read(&std::fs::read(&path).expect("reads")).expect("has an origin");
        let mut journal = Journal::open(&path, Some(torn.bytes)).expect("opens");
        journal.append(4, Duration::ZERO, &results(104..106)).expect("appends");
        let mended = read(&std::fs::read(&path).expect("reads")).expect("has an origin");
        assert_eq!(mended.results, results(100..106));
    }
}
