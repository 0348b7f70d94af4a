//! The attempts a core holds, on disk: one folder each, readable again after a kill or power cut at any instant.
//!
//! ```text
//! STATE/core/attempts/
//!   17/            attempt 17
//!     claim.json     the claim, with its secret; there from the first instant
//!     records.json   the records, whole or not there
//!     journal        results, block by block (see journal.rs)
//!     set-aside.json why the results wait until the server can take them; only after it failed at them
//!     taken-up.json  how often the work was taken up again at the same record; only after a core died with it
//!   .new-18/  .gone-16/   being made, being removed: whatever begins with a dot is nothing
//! ```
//!
//! What to do with an attempt is decided in `job`, `fetcher` and `outbox`.

mod journal;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nightshift_contract::layout::StateDir;
use nightshift_wire::{AttemptId, Claim, Records};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use journal::{Journal, Origin, Written};

use crate::swap;

const CLAIM: &str = "claim.json";
const RECORDS: &str = "records.json";
const JOURNAL: &str = "journal";
const SET_ASIDE: &str = "set-aside.json";
const TAKEN_UP: &str = "taken-up.json";

/// The disk did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub struct SpoolError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl SpoolError {
    fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
        move |source| SpoolError { doing, path: path.to_owned(), source }
    }
}

/// The folder of attempts.
#[derive(Debug, Clone)]
pub struct Spool(PathBuf);

/// An attempt that is noted on disk.
#[derive(Debug, Clone)]
pub struct HeldAttempt {
    /// What the server said when it handed the job out.
    pub claim: Claim,
    /// An earlier core held it, and ended or died with it.
    pub inherited: bool,
    folder: PathBuf,
}

/// How often an attempt was taken up again after so many records, without getting any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TakenUp {
    done: usize,
    times: u32,
}

/// Why an attempt's results are set aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SetAside {
    reason: String,
}

impl Spool {
    /// Opens the folder, removes what is half made or half gone, and reads the attempts in it, oldest first. One that the
    /// disk does not give now stays for a later core, and keeps nobody from work.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(state: &StateDir) -> Result<(Spool, Vec<HeldAttempt>), SpoolError> {
        let folder = state.attempts();
        let failed = |source| SpoolError::new("reading the attempts in", &folder)(source);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let mut held = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match read_attempt(&path) {
                Ok(Some(attempt)) => held.push(attempt),
                Ok(None) => {
                    tracing::warn!("removing {}: it is no whole attempt", path.display());
                    if let Err(error) = remove_all(&path) {
                        tracing::error!("removing {}: {error}; it stays until that works", path.display());
                    }
                }
                Err(error) => tracing::error!("reading {}: {error}; it stays until that works", path.display()),
            }
        }
        held.sort_by_key(|attempt| attempt.claim.attempt);
        Ok((Spool(folder), held))
    }

    /// Notes a claim. Once this returns, the attempt is held whatever happens.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it counts then.
    pub fn note(&self, claim: Claim) -> Result<HeldAttempt, SpoolError> {
        let (made, folder) = (self.0.join(format!(".new-{}", claim.attempt)), self.folder_of(claim.attempt));
        let note = || {
            remove_all(&made)?;
            DirBuilder::new().mode(0o700).create(&made)?;
            write(&made.join(CLAIM), &claim)?;
            swap::rename_folder(&made, &folder)
        };
        note().map_err(SpoolError::new("noting the claim in", &folder))?;
        Ok(HeldAttempt { claim, inherited: false, folder })
    }

    /// An attempt that could not be noted: nothing of it is on disk.
    pub fn unnoted(&self, claim: Claim) -> HeldAttempt {
        let folder = self.folder_of(claim.attempt);
        HeldAttempt { claim, inherited: false, folder }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn folder_of(&self, attempt: AttemptId) -> PathBuf {
        self.0.join(attempt.to_string())
    }
}

impl HeldAttempt {
    /// Saves the job's records, the JSON of [`Records`].
    ///
    /// # Errors
    /// When they cannot be written; there are none then, or the ones before.
    pub fn save_records(&self, json: &[u8]) -> Result<(), SpoolError> {
        let path = self.folder.join(RECORDS);
        swap::write_whole(&path, json).map_err(SpoolError::new("saving the records in", &path))
    }

    /// The records saved before; `None` when they have to be fetched (again).
    pub fn records(&self) -> Option<Records> {
        read(&self.folder.join(RECORDS))
    }

    /// The results of this attempt and revision saved before, up to the last whole block.
    pub fn written(&self) -> Option<Written> {
        let written = journal::read(&fs::read(self.folder.join(JOURNAL)).ok()?)?;
        let Origin { attempt, revision, .. } = written.origin;
        (attempt == self.claim.attempt && revision == self.claim.revision).then_some(written)
    }

    /// Bytes of results on disk.
    pub fn bytes(&self) -> u64 {
        fs::metadata(self.folder.join(JOURNAL)).map_or(0, |journal| journal.len())
    }

    /// Notes that the work is taken up again after `done` records, and returns how often that has happened since the
    /// attempt last got further.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take_up(&self, done: usize) -> Result<u32, SpoolError> {
        let path = self.folder.join(TAKEN_UP);
        let before = read(&path).filter(|before: &TakenUp| before.done == done).map_or(0, |before| before.times);
        let taken_up = TakenUp { done, times: before.saturating_add(1) };
        write(&path, &taken_up).map_err(SpoolError::new("noting in", &path))?;
        Ok(taken_up.times)
    }

    /// Notes that the results wait because the server fails to take them: the next core is to go on with other work, too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_aside(&self, reason: &str) -> Result<(), SpoolError> {
        let path = self.folder.join(SET_ASIDE);
        write(&path, &SetAside { reason: reason.to_owned() }).map_err(SpoolError::new("noting in", &path))
    }

    /// Why the results were set aside, if they were.
    pub fn why_set_aside(&self) -> Option<String> {
        read(&self.folder.join(SET_ASIDE)).map(|SetAside { reason }| reason)
    }

    /// Begins a new journal; an older one is gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_journal(&self, origin: &Origin) -> Result<Journal, SpoolError> {
        let path = self.folder.join(JOURNAL);
        let begun = swap::write_whole(&path, &journal::first_line(origin)).and_then(|()| Journal::open(&path, None));
        begun.map_err(SpoolError::new("beginning the journal", &path))
    }

    /// Goes on with the journal behind what was `written`; what stood after it is cut off.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn continue_journal(&self, written: &Written) -> Result<Journal, SpoolError> {
        let path = self.folder.join(JOURNAL);
        Journal::open(&path, Some(written.bytes)).map_err(SpoolError::new("going on with the journal", &path))
    }

    /// Removes the attempt. Once this returns, it is held no longer, whatever happens.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self) -> Result<(), SpoolError> {
        let gone = self.folder.with_file_name(format!(".gone-{}", self.claim.attempt));
        let remove = || {
            remove_all(&gone)?;
            if !self.folder.exists() {
                return Ok(());
            }
            swap::rename_folder(&self.folder, &gone)?;
            remove_all(&gone)
        };
        remove().map_err(SpoolError::new("removing", &self.folder))
    }
}

/// The attempt in `folder`; `None` when it is not whole.
fn read_attempt(folder: &Path) -> io::Result<Option<HeldAttempt>> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    let claim = match fs::read(folder.join(CLAIM)) {
        Ok(bytes) => serde_json::from_slice::<Claim>(&bytes).ok(),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => None,
        Err(error) => return Err(error),
    };
    let named = |claim: &Claim| folder.file_name().is_some_and(|name| *name == *claim.attempt.to_string());
    Ok(claim.filter(named).map(|claim| HeldAttempt { claim, inherited: true, folder: folder.to_owned() }))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    swap::write_whole(path, &serde_json::to_vec(value)?)
}

fn remove_all(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(attempt: AttemptId) -> Claim {
        Claim {
            attempt,
            secret: "s".into(),
            job: 1,
            revision: 0,
            batch: 1,
            plugin: "p".into(),
            records: 2,
            lease_ms: 60_000,
            position: None,
        }
    }

    fn attempts(state: &StateDir) -> Vec<AttemptId> {
        Spool::open(state).expect("opens").1.iter().map(|held| held.claim.attempt).collect()
    }

    #[test]
    fn a_noted_attempt_is_held_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let (spool, held) = Spool::open(&state).expect("opens");
        assert!(held.is_empty());
        let twelve = spool.note(claim(12)).expect("notes");
        spool.note(claim(9)).expect("notes");
        assert_eq!(attempts(&state), [9, 12]);
        twelve.remove().expect("removes");
        assert_eq!(attempts(&state), [9]);
    }

    #[test]
    fn an_attempt_that_is_half_made_or_half_gone_is_nothing_and_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let (spool, _) = Spool::open(&state).expect("opens");
        spool.note(claim(1)).expect("notes");
        let held = spool.note(claim(2)).expect("notes");
        swap::rename_folder(&held.folder, &state.attempts().join(".gone-2")).expect("renames");
        fs::create_dir(state.attempts().join("3")).expect("creates");
        fs::create_dir(state.attempts().join("4")).expect("creates");
        fs::write(state.attempts().join("4").join(CLAIM), "{\"attempt\": 4, \"sec").expect("writes");
        assert_eq!(attempts(&state), [1]);
        assert_eq!(fs::read_dir(state.attempts()).expect("reads").count(), 1);
    }

    #[test]
    fn whatever_stands_in_the_folder_keeps_no_attempt_from_being_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let (spool, _) = Spool::open(&state).expect("opens");
        spool.note(claim(1)).expect("notes");
        fs::create_dir_all(state.attempts().join("2").join(CLAIM)).expect("creates");
        fs::write(state.attempts().join("3"), "a file").expect("writes");
        // A file that the disk does not give now: here a link that leads round in a circle.
        fs::create_dir(state.attempts().join("4")).expect("creates");
        std::os::unix::fs::symlink(CLAIM, state.attempts().join("4").join(CLAIM)).expect("links");
        assert_eq!(attempts(&state), [1]);
        let mut left: Vec<_> =
            fs::read_dir(state.attempts()).expect("reads").map(|entry| entry.expect("reads").file_name()).collect();
        left.sort();
        assert_eq!(left, ["1", "4"], "what cannot be read now is not thrown away");
    }

    #[test]
    fn taking_an_attempt_up_again_is_counted_until_it_gets_further() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(&StateDir::new(folder.path())).expect("opens");
        let held = spool.note(claim(1)).expect("notes");
        let counts: Vec<u32> = [0, 0, 250, 250, 250].map(|done| held.take_up(done).expect("notes")).into();
        assert_eq!(counts, [1, 2, 1, 2, 3]);
    }

    #[test]
    fn records_that_were_only_half_written_are_fetched_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(&StateDir::new(folder.path())).expect("opens");
        let held = spool.note(claim(1)).expect("notes");
        assert_eq!(held.records(), None);
        let records = Records { columns: vec!["name".into()], records: Vec::new() };
        held.save_records(&serde_json::to_vec(&records).expect("JSON")).expect("saves");
        assert_eq!(held.records(), Some(records));
        fs::write(held.folder.join(RECORDS), "{\"columns\":[").expect("writes");
        assert_eq!(held.records(), None);
    }
}
