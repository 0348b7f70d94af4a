//! What was found damaged and made good without anybody's help, counted.
//!
//! The counts of a process are taken out by whoever reports them; those since the state folder began are in
//! `repairs.json`, which may be lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_contract::layout::StateDir;
use serde::{Deserialize, Serialize};

use crate::swap;

/// A kind of damage that is made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// A lock file or half a pack that a killed process left in the clone was removed.
    LeftBehind,
    /// The clone was damaged, thrown away and fetched again.
    Clone,
    /// A slot's files were not the signed ones, and it was staged again.
    Slot,
    /// One of the two copies of the trust state was damaged or behind, and written again from the other.
    TrustCopy,
    /// The journal of updates was damaged or lost, and written again with what the trust state says was found bad.
    Journal,
}

/// How often each kind of damage was made good.
pub type Counts = BTreeMap<Repair, u64>;

/// Counts repairs, wherever they are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repairs(Arc<Mutex<Counts>>);

impl Repair {
    /// What was done, in plain words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Repair::LeftBehind => "removed what a killed process left in the clone",
            Repair::Clone => "fetched a damaged clone again",
            Repair::Slot => "staged a damaged slot again",
            Repair::TrustCopy => "wrote a damaged copy of the trust state again",
            Repair::Journal => "wrote a damaged journal of updates again, with what was found bad before",
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_words())
    }
}

impl Repairs {
    /// Counts one.
    pub(crate) fn count(&self, repair: Repair) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(repair).or_default() += 1;
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All repairs since the state folder began; none when the note of them was lost.
pub(crate) fn read(state: &StateDir) -> Counts {
    std::fs::read(state.repairs()).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Notes repairs. A note that cannot be written is lost.
pub(crate) fn note(state: &StateDir, new: &Counts) {
    let mut all = read(state);
    for (repair, times) in new {
        *all.entry(*repair).or_default() += times;
    }
    let written = serde_json::to_vec(&all).map_err(std::io::Error::other);
    if let Err(error) = written.and_then(|text| swap::replace_lightly(&state.repairs(), &text)) {
        tracing::warn!(%error, "writing {}", state.repairs().display());
    }
}
