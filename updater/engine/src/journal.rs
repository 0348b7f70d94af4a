//! What the update under way leaves on the disk: `trial.json`, the journal, and `boot.state`, which boot goes by.

use std::io;

use nightshift_contract::boot_state::BootState;
use nightshift_contract::layout::StateDir;
use nightshift_manifest::trial::Journal;

use crate::state::StateError;
use crate::swap;

/// The journal; an empty one when there is none. A damaged one is as good as none: the last good release is in force,
/// and what was found bad is found out anew.
pub(crate) fn read(state: &StateDir) -> Result<Journal, StateError> {
    let path = state.trial();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journal::default()),
        Err(error) => return Err(StateError::reading(path)(error)),
    };
    Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "{} is damaged: going on with the last good release", path.display());
        Journal::default()
    }))
}

/// Makes the journal durable.
pub(crate) fn write(state: &StateDir, journal: &Journal) -> Result<(), StateError> {
    let path = state.trial();
    let text = serde_json::to_vec_pretty(journal).map_err(io::Error::other);
    text.and_then(|text| swap::replace_durably(&path, &text)).map_err(StateError::writing(path))
}

/// Boot's state; `None` when there is none, or a damaged one, which is written anew.
pub(crate) fn read_boot(state: &StateDir) -> Option<BootState> {
    BootState::parse(&std::fs::read_to_string(state.boot_state()).ok()?)
}

/// Replaces boot's state, which follows from the journal: what a power cut takes back is written anew by the next cycle.
pub(crate) fn write_boot(state: &StateDir, boot: &BootState) -> Result<(), StateError> {
    let path = state.boot_state();
    swap::replace_whole(&path, boot.to_text().as_bytes()).map_err(StateError::writing(path))
}
