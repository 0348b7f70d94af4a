//! What the update under way leaves on the disk: `trial.json`, the journal, and `boot.state`, which boot goes by.

use std::collections::BTreeMap;
use std::io;

use nightshift_contract::boot_state::BootState;
use nightshift_contract::layout::StateDir;
use nightshift_manifest::trial::Journal;
use nightshift_manifest::trust::Denied;

use crate::state::StateError;
use crate::{swap, trust_state};

/// The journal as it was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) journal: Journal,
    /// It has to be written again.
    pub(crate) is_damaged: bool,
}

/// The journal; an empty one when there is none. A damaged one is as good as none: the last good release is in force.
/// What was found bad here stands in the trust state as well, and comes back from there.
pub(crate) fn read(state: &StateDir, denied: &BTreeMap<String, Denied>) -> Result<Found, StateError> {
    let path = state.trial();
    let read = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice::<Journal>(&text).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Journal::default()),
        Err(error) if error.raw_os_error() == Some(trust_state::EIO) => Err(error.to_string()),
        Err(error) => return Err(StateError::reading(path)(error)),
    };
    let is_torn = read.is_err();
    let mut journal = read.unwrap_or_else(|error| {
        tracing::warn!(error, "{} is damaged: going on with the last good release", path.display());
        Journal::default()
    });
    let lost = journal.remember(denied);
    if lost > 0 {
        tracing::warn!("{} had lost {lost} releases that were found bad here", path.display());
    }
    Ok(Found { journal, is_damaged: is_torn || lost > 0 })
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
