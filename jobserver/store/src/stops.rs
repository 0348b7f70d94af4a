//! The stops that job servers keep themselves, beside the repository's flags: raised and taken away by operators.
//!
//! One for each scope: the same again replaces reason and person. Whoever asks gets all of them; what they stop is judged in
//! `updater/manifest`.

use async_trait::async_trait;
use nightshift_wire::{Moment, OwnStop, StopScope};

use crate::StoreError;

/// A stop as it is raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStop {
    /// Why, on one line.
    pub reason: String,
    /// What it stops.
    pub scope: StopScope,
    /// Who stops.
    pub by: String,
}

/// The part of a store that keeps stops. When a verb answers `Ok`, what it did is durable.
#[async_trait]
pub trait Stops: Send + Sync {
    /// Raises a stop.
    async fn add_stop(&self, stop: &NewStop, now: Moment) -> Result<(), StoreError>;

    /// Every stop, the oldest first.
    async fn stops(&self) -> Result<Vec<OwnStop>, StoreError>;

    /// Takes every stop away; those there were.
    async fn clear_stops(&self) -> Result<Vec<OwnStop>, StoreError>;
}

/// The scope as it stands in the tables.
pub(crate) fn written(scope: &StopScope) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    Ok(serde_json::to_string(scope)?)
}

/// A scope as it was written. One that cannot be read stops everything.
pub(crate) fn read(scope: &str) -> StopScope {
    serde_json::from_str(scope).unwrap_or_default()
}
