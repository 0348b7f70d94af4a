//! What is known of releases that spread over the grid: their plans, what workers did with them, what was sent back.
//!
//! Counters only, one row for each release, worker and plugin: a server that starts again judges by the same figures.
//! Work is counted after its results are accepted, in steps of their own, and each attempt once; a server that is killed
//! in between forgets what it had not counted, which opens nothing and sends nothing back.

use async_trait::async_trait;
use nightshift_rules::rollout::{Evidence, Halt};
use nightshift_wire::{AttemptId, Moment, TrialReport};

use crate::StoreError;

/// A release as it was believed by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// Its tag.
    pub tag: String,
    /// Id of the signed tag object.
    pub tag_id: String,
    /// Its `nightshift.toml`, word by word; the plan is in it.
    pub settings: String,
}

/// The part of a store that keeps how releases do.
#[async_trait]
pub trait Rollouts: Send + Sync {
    /// Notes a release. One that is another object than before under the same tag begins anew, and nothing is known of it.
    async fn note_release(&self, release: &KnownRelease, now: Moment) -> Result<(), StoreError>;

    /// The releases noted, the one noted last first; at most so many.
    async fn known_releases(&self, limit: u32) -> Result<Vec<KnownRelease>, StoreError>;

    /// Counts what these attempts did, for the release that computed it: the accepted ones as jobs with their records and
    /// time, those given back as failures; all others not at all; and the same by the hour in which it ended
    /// ([`Board::hours`](crate::Board::hours), [`Statistics::work`](crate::Statistics::work)). Each attempt is looked up once. To
    /// be called once for each attempt.
    async fn count_work(&self, attempts: &[AttemptId]) -> Result<(), StoreError>;

    /// Keeps what a worker says about a trial; the last word for a release counts.
    async fn note_trial(&self, worker: &str, trial: &TrialReport, now: Moment) -> Result<(), StoreError>;

    /// Keeps that a ring was sent back. The first reason stays.
    async fn note_halt(&self, halt: &Halt) -> Result<(), StoreError>;

    /// Everything known about these releases.
    async fn evidence(&self, releases: &[String]) -> Result<Evidence, StoreError>;
}
