//! What the engine persists beside the trust state: `look.json`, which may be lost.

use std::io;
use std::path::PathBuf;

use nightshift_contract::layout::StateDir;

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

/// The last look; none when the file is absent or torn, which only means looking again before taking jobs.
pub(crate) fn read_look(state: &StateDir) -> Option<LookRecord> {
    serde_json::from_slice(&std::fs::read(state.look()).ok()?).ok()
}

/// Notes a look; `before` is the one noted last. Other flags than before are noted durably: a power cut may come before the
/// next look, and the repository may be away after it.
pub(crate) fn write_look(state: &StateDir, look: &LookRecord, before: Option<&LookRecord>) -> Result<(), StateError> {
    let path = state.look();
    let same = before.map_or(look.stops.is_empty(), |before| before.stops == look.stops);
    let replace = if same { swap::replace_lightly } else { swap::replace_durably };
    let text = serde_json::to_vec(look).map_err(io::Error::other);
    text.and_then(|text| replace(&path, &text)).map_err(StateError::writing(path))
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
