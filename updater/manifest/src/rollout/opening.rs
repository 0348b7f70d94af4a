//! What a worker was told by the job server about a release's rings, and how long it counts.
//!
//! It is kept beside the worker's other memory: while the server is away, rings stay as they were known. What was never
//! heard of is not open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the job server makes of a ring of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum RingOpening {
    /// Its workers may take the release.
    Open,
    /// Not yet; says what for.
    Waiting(String),
    /// Never again; who has the release goes back to the one before. Says why.
    SentBack(String),
}

/// What the job server makes of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its rings by name.
    pub rings: BTreeMap<String, RingOpening>,
}

impl Opening {
    /// Why a ring is sent back, when it is.
    pub fn sent_back(&self, ring: &str) -> Option<&str> {
        match self.rings.get(ring) {
            Some(RingOpening::SentBack(why)) => Some(why),
            _ => None,
        }
    }
}
