//! The memory of releases on the disk: `trust.a.json` and `trust.b.json`, two copies of the same.
//!
//! Each has a first line with the number of the write and a checksum over it and all that follows. A write goes to the one,
//! then to the other; each is built beside, synced, renamed, and the folder synced, so that at every instant of a power cut
//! each copy is old or new, whole. The rename of the first copy is the moment it counts.
//! Both hold the newest state once a write is done: were they written alternately, losing the newer one would bring back
//! an older floor, or a key that was revoked.
//!
//! Reading: of two good copies the later counts; where one is damaged, missing or behind, the other does, and the next
//! sync writes it again. When both are damaged or gone although there are slots, nobody knows the floor any more:
//! [`crate::safe_mode`].

use std::io;
use std::path::Path;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::trust::Trust;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::repairs::{Repair, Repairs};
use crate::state::StateError;
use crate::swap;

/// An error of the system that means that the disk cannot give back what it holds.
pub(crate) const EIO: i32 = 5;

/// What was found on the disk.
pub(crate) enum Remembered {
    /// Nothing was ever remembered here.
    Nothing,
    /// The memory.
    Trust(Box<Trust>, Copies),
    /// There was a memory, and it is lost. Holds what is wrong with the copies.
    Lost(String),
}

/// The two copies, as they were read or written last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    /// The number of the last write.
    number: u64,
    /// Which copies are not as the last write left them.
    stale: [bool; 2],
}

/// The first line of a copy.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    write: u64,
    sha256: String,
}

/// One copy on the disk.
enum Copy {
    Good(u64, Box<Trust>),
    Missing,
    Damaged(&'static str),
}

/// Reads what is remembered.
pub(crate) fn read(state: &StateDir) -> Result<Remembered, StateError> {
    let paths = state.trust();
    let copies = [read_copy(&paths[0])?, read_copy(&paths[1])?];
    let number = |copy: &Copy| match copy {
        Copy::Good(number, _) => Some(*number),
        Copy::Missing | Copy::Damaged(_) => None,
    };
    let numbers = [number(&copies[0]), number(&copies[1])];
    let Some(newest) = numbers.into_iter().flatten().max() else {
        return Ok(match (&copies, had_releases(state)?) {
            ([Copy::Missing, Copy::Missing], false) => Remembered::Nothing,
            ([first, second], _) => Remembered::Lost(format!(
                "{} is {} and {} is {}",
                paths[0].display(),
                in_words(first),
                paths[1].display(),
                in_words(second)
            )),
        });
    };
    let stale = numbers.map(|number| number != Some(newest));
    let counts = copies.into_iter().find_map(|copy| match copy {
        Copy::Good(number, trust) if number == newest => Some(trust),
        _ => None,
    });
    Ok(match counts {
        Some(trust) => Remembered::Trust(trust, Copies { number: newest, stale }),
        None => Remembered::Nothing,
    })
}

/// Makes the memory durable in both copies. When this returns without an error, the first one holds it.
pub(crate) fn write(state: &StateDir, trust: &Trust, copies: &mut Copies) -> Result<(), StateError> {
    let number = copies.number + 1;
    let paths = state.trust();
    let text = encode(number, trust).map_err(StateError::writing(&paths[0]))?;
    // The one that is no good goes first, so that at every instant one of the two is.
    let order = if copies.stale[1] { [1, 0] } else { [0, 1] };
    swap::replace_durably(&paths[order[0]], &text).map_err(StateError::writing(&paths[order[0]]))?;
    *copies = Copies { number, stale: [false; 2] };
    if let Err(error) = swap::replace_durably(&paths[order[1]], &text) {
        tracing::warn!(%error, "writing {}: the other copy of the trust state counts meanwhile", paths[order[1]].display());
        copies.stale[order[1]] = true;
    }
    Ok(())
}

/// Writes a copy again that is damaged, missing or behind.
pub(crate) fn repair(
    state: &StateDir,
    trust: &Trust,
    copies: &mut Copies,
    repairs: &Repairs,
) -> Result<(), StateError> {
    if copies.stale == [false; 2] {
        return Ok(());
    }
    tracing::warn!("a copy of the trust state is damaged or behind: writing it again");
    repairs.count(Repair::TrustCopy);
    write(state, trust, copies)
}

fn encode(number: u64, trust: &Trust) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(trust).map_err(io::Error::other)?;
    let head = Head { write: number, sha256: checksum(number, &body) };
    let mut text = serde_json::to_vec(&head).map_err(io::Error::other)?;
    text.push(b'\n');
    text.extend(body);
    Ok(text)
}

fn checksum(number: u64, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(number.to_be_bytes()).chain_update(body).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_copy(path: &Path) -> Result<Copy, StateError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Missing),
        Err(error) if error.raw_os_error() == Some(EIO) => return Ok(Copy::Damaged("unreadable on its disk")),
        Err(error) => return Err(StateError::reading(path)(error)),
    };
    let read = || {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let (head, body) = (&text[..end], &text[end + 1..]);
        let head: Head = serde_json::from_slice(head).ok()?;
        (head.sha256 == checksum(head.write, body)).then_some((head.write, body.to_vec()))
    };
    let Some((number, body)) = read() else { return Ok(Copy::Damaged("damaged")) };
    Ok(match serde_json::from_slice(&body) {
        Ok(trust) => Copy::Good(number, Box::new(trust)),
        Err(_) => Copy::Damaged("of another version of this program"),
    })
}

/// Whether a release was ever staged or in force here.
fn had_releases(state: &StateDir) -> Result<bool, StateError> {
    if state.in_force().symlink_metadata().is_ok() {
        return Ok(true);
    }
    match std::fs::read_dir(state.slots()) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StateError::reading(state.slots())(error)),
    }
}

fn in_words(copy: &Copy) -> &'static str {
    match copy {
        Copy::Good(..) => "good",
        Copy::Missing => "missing",
        Copy::Damaged(how) => how,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_manifest::version::ReleaseVersion;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path());
        (folder, state)
    }

    fn at(minor: u64) -> Trust {
        Trust { floor: Some(ReleaseVersion::new(1, minor, 0)), ..Trust::default() }
    }

    fn remembered(state: &StateDir) -> Option<(Trust, Copies)> {
        match read(state).expect("readable") {
            Remembered::Trust(trust, copies) => Some((*trust, copies)),
            Remembered::Nothing | Remembered::Lost(_) => None,
        }
    }

    #[test]
    fn both_copies_hold_the_newest_state() {
        let (_folder, state) = state();
        let mut copies = Copies::default();
        write(&state, &at(1), &mut copies).expect("written");
        write(&state, &at(2), &mut copies).expect("written");
        assert_eq!(remembered(&state), Some((at(2), copies)));
        for path in state.trust() {
            let held = std::fs::read(&path).expect("a copy");
            std::fs::remove_file(&path).expect("lost");
            let (trust, copies) = remembered(&state).expect("the other");
            assert_eq!((trust, copies.stale.iter().filter(|stale| **stale).count()), (at(2), 1));
            std::fs::write(&path, held).expect("put back");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_copy_is_found() {
        let (_folder, state) = state();
        write(&state, &at(1), &mut Copies::default()).expect("written");
        let [path, _] = state.trust();
        let good = std::fs::read(&path).expect("a copy");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).expect("damaged");
            assert!(matches!(read_copy(&path), Ok(Copy::Damaged(_))), "byte {at}");
        }
        for end in 0..good.len() {
            std::fs::write(&path, &good[..end]).expect("torn");
            assert!(matches!(read_copy(&path), Ok(Copy::Damaged(_))), "{end} bytes");
        }
    }

    #[test]
    fn of_two_good_copies_the_later_counts_and_the_other_is_made_good() {
        let (_folder, state) = state();
        let mut copies = Copies::default();
        write(&state, &at(1), &mut copies).expect("written");
        let old = std::fs::read(&state.trust()[1]).expect("a copy");
        write(&state, &at(2), &mut copies).expect("written");
        std::fs::write(&state.trust()[1], old).expect("as a power cut between the two leaves it");
        let (trust, mut copies) = remembered(&state).expect("remembered");
        assert_eq!((&trust, copies.stale), (&at(2), [false, true]));
        let repairs = Repairs::default();
        repair(&state, &trust, &mut copies, &repairs).expect("made good");
        assert_eq!(repairs.take().into_iter().collect::<Vec<_>>(), [(Repair::TrustCopy, 1)]);
        assert_eq!(remembered(&state), Some((at(2), copies)));
        assert_eq!(copies.stale, [false; 2]);
    }

    #[test]
    fn a_memory_that_is_gone_is_told_from_one_that_never_was() {
        let (_folder, state) = state();
        assert!(matches!(read(&state), Ok(Remembered::Nothing)));
        std::fs::create_dir_all(state.slots().join("v1.5.0-0123456789ab")).expect("a slot");
        assert!(matches!(read(&state), Ok(Remembered::Lost(why)) if why.contains("missing")));
        for path in state.trust() {
            std::fs::write(path, "{").expect("written");
        }
        assert!(matches!(read(&state), Ok(Remembered::Lost(why)) if why.contains("damaged")));
    }
}
