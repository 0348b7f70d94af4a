//! What the dashboard shows of a store that may hold a million jobs and ten thousand workers: pages of it, and counts of
//! small tables. No verb reads jobs that it does not show, but for those of one batch.
//!
//! Pages go on by key ("before this batch", "after this worker") and never by counting rows, so that the last page is as
//! quick as the first.

use async_trait::async_trait;
use nightshift_wire::{Batch, BatchId, BatchState, Moment, ReplicaState, Spool, Worker};

use crate::StoreError;

/// Which batches are looked for; what is `None` chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Where they stand.
    pub state: Option<BatchState>,
    /// Whose they are.
    pub owner: Option<String>,
}

/// Which workers are looked for; what is `None` chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerFilter {
    /// How they are shown, in a word ([`WorkersNow::states`]).
    pub shown: Option<String>,
    /// The release they run.
    pub release: Option<String>,
    /// What stands in their identity, name or host, whatever the case.
    pub text: Option<String>,
    /// Who was last heard of before this moment counts as away.
    pub away_before: Moment,
}

/// All batches together, from their own counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkNow {
    /// Results there are, errors among them.
    pub results: u64,
    /// Batches with something left to do.
    pub open_batches: u64,
    /// Their records.
    pub open_records: u64,
    /// Of these, records with a result.
    pub open_results: u64,
}

/// The workers there are, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkersNow {
    /// How many are shown as what: `away`, `drained`, or what they reported; the largest number first.
    pub states: Vec<(String, u64)>,
    /// Why they are so, the most frequent first; of rare reasons only some. Those at work give none: each would name a job of
    /// its own.
    pub reasons: Vec<WorkersWhy>,
    /// Which release they run, the most frequent first; empty for none.
    pub releases: Vec<(String, u64)>,
    /// How their replicas are, of those that have one and are not away.
    pub replicas: Vec<ReplicasNow>,
    /// Results that workers could not hand in yet.
    pub spool: SpoolNow,
}

/// Results that are kept on workers, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolNow {
    /// Workers that keep some.
    pub workers: u64,
    /// What they keep.
    pub spool: Spool,
}

/// Workers that are alike in state and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersWhy {
    /// How they are shown.
    pub shown: String,
    /// Why, in their words; empty for those at work and those that are away.
    pub why: String,
    /// How many.
    pub workers: u64,
}

/// Replicas that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicasNow {
    /// What they are found to be.
    pub state: ReplicaState,
    /// How many.
    pub workers: u64,
    /// How far the last of them is behind its primary, in milliseconds; `None` when none says.
    pub behind_ms: Option<u64>,
}

/// What was accepted of a plugin within an hour, counted once each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourOfWork {
    /// The moment the hour began.
    pub hour: Moment,
    /// The plugin.
    pub plugin: String,
    /// Jobs whose results were accepted.
    pub jobs: u64,
    /// Their records.
    pub records: u64,
    /// Of these, records that are errors.
    pub errors: u64,
    /// Milliseconds of work.
    pub work_ms: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// The part of a store that the dashboard looks at.
#[async_trait]
pub trait Board: Send + Sync {
    /// All batches together.
    async fn work_now(&self) -> Result<WorkNow, StoreError>;

    /// The workers there are, counted; who was last heard of before the moment counts as away.
    async fn workers_now(&self, away_before: Moment) -> Result<WorkersNow, StoreError>;

    /// Batches that a filter chooses, the newest first, from below number `before` on.
    async fn find_batches(&self, filter: &BatchFilter, before: BatchId, limit: u32) -> Result<Vec<Batch>, StoreError>;

    /// Workers that a filter chooses, by identity, from behind `after` on.
    async fn find_workers(&self, filter: &WorkerFilter, after: &str, limit: u32) -> Result<Vec<Worker>, StoreError>;

    /// What was accepted in the hours that began at or after a moment, by hour and plugin.
    async fn hours(&self, since: Moment) -> Result<Vec<HourOfWork>, StoreError>;

    /// Records and errors of a batch's jobs that are done, by the stretch of so many milliseconds in which they were; looks at
    /// each of its jobs, so it is for batches that have not too many.
    async fn batch_over_time(&self, batch: BatchId, each: Moment) -> Result<Vec<(Moment, u64, u64)>, StoreError>;

    /// The errors among the results of a batch, alike ones together, the most frequent first; of a batch with many the
    /// first `most` in input order are counted.
    async fn errors_by_kind(&self, batch: BatchId, most: u32) -> Result<Vec<(String, u64)>, StoreError>;
}

/// The state of a replica as it stands in a worker's report.
pub(crate) fn replica_state(word: String) -> Result<ReplicaState, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(word))
}
