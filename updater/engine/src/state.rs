//! What the engine persists: `trust.json`, which must survive everything, and `look.json`, which may be lost.

use std::io;
use std::path::PathBuf;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::trust::Trust;

use crate::look::LookRecord;
use crate::swap;

/// A part of the state folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("{doing} {path}: check that the state folder belongs to this user and its disk is not full")]
    File {
        /// `reading` or `writing`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The memory of releases is damaged. Without its floor an old release could come back, so nothing goes on.
    #[error(
        "reading {path}: it is damaged, and the version floor in it keeps old releases out; put it back from a backup, \
         or delete it to trust the repository afresh"
    )]
    Trust {
        /// The file.
        path: PathBuf,
        /// Where it is damaged.
        #[source]
        source: serde_json::Error,
    },
}

impl StateError {
    pub(crate) fn reading(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { doing: "reading", path, source }
    }

    pub(crate) fn writing(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { doing: "writing", path, source }
    }
}

/// The memory of releases; a fresh one when there is none yet.
pub(crate) fn read_trust(state: &StateDir) -> Result<Trust, StateError> {
    let path = state.trust();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Trust::default()),
        Err(error) => return Err(StateError::reading(path)(error)),
    };
    serde_json::from_slice(&text).map_err(|source| StateError::Trust { path, source })
}

/// Makes the memory of releases durable.
pub(crate) fn write_trust(state: &StateDir, trust: &Trust) -> Result<(), StateError> {
    let path = state.trust();
    let text = serde_json::to_vec_pretty(trust).map_err(io::Error::other);
    text.and_then(|text| swap::replace_durably(&path, &text)).map_err(StateError::writing(path))
}

/// The last look; none when the file is absent or torn, which only means looking again before taking jobs.
pub(crate) fn read_look(state: &StateDir) -> Option<LookRecord> {
    serde_json::from_slice(&std::fs::read(state.look()).ok()?).ok()
}

/// Notes a look.
pub(crate) fn write_look(state: &StateDir, look: &LookRecord) -> Result<(), StateError> {
    let path = state.look();
    let text = serde_json::to_vec(look).map_err(io::Error::other);
    text.and_then(|text| swap::replace_lightly(&path, &text)).map_err(StateError::writing(path))
}

/// Forgets the last look. Removing a file takes no room on the disk.
pub(crate) fn forget_look(state: &StateDir) {
    let path = state.look();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "removing {}", path.display());
        }
        _ => {}
    }
}

/// Creates the state folder when it is not there yet.
pub(crate) fn create_folder(state: &StateDir) -> Result<(), StateError> {
    std::fs::create_dir_all(state.root()).map_err(StateError::writing(state.root()))
}
