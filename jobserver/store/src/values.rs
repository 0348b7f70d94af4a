//! What goes into a store's verbs and comes out of them, where the API's own types (`jobserver/wire`) do not say it.

use nightshift_wire::{AttemptId, JobId, JobState, Outcome, Record};

/// A batch as its hand-in begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// What its owner calls it.
    pub name: String,
    /// The plugin that shall process its records.
    pub plugin: String,
    /// Higher goes first.
    pub priority: i32,
    /// Columns of the CSV, in order.
    pub columns: Vec<String>,
    /// Columns that the plugin adds, in order.
    pub outputs: Vec<String>,
    /// The shortest lease of its jobs, in milliseconds; jobs measured to be long get a longer one.
    pub lease_ms: u64,
    /// So many failures quarantine one of its jobs.
    pub max_attempts: u32,
}

/// One job of a batch with its records and what became of them, in input order.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResults {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Why it stands there; empty when there is nothing to add.
    pub reason: String,
    /// Its records, in input order.
    pub records: Vec<RecordWithOutcome>,
}

impl JobResults {
    /// Why the records of this job have no result, as it stands in the error column; `None` for a job that is done.
    pub fn missing(&self) -> Option<String> {
        match self.state {
            JobState::Done => None,
            JobState::Quarantined => Some(format!("not processed: job {} is quarantined: {}", self.job, self.reason)),
            JobState::Receiving | JobState::Waiting | JobState::Running => Some("not processed yet".to_owned()),
        }
    }
}

/// A record and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWithOutcome {
    /// The record, with every column of the batch.
    pub record: Record,
    /// What became of it; `None` as long as its job has no accepted results.
    pub outcome: Option<Outcome>,
}

/// An attempt whose lease ran out; its job waits again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostAttempt {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its job.
    pub job: JobId,
    /// The worker that did not report in time.
    pub worker: String,
}

/// The grid in figures, as far as the store knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs that can be claimed.
    pub jobs_waiting: u64,
    /// Jobs in the hands of a worker.
    pub jobs_running: u64,
    /// Jobs with accepted results.
    pub jobs_done: u64,
    /// Jobs that failed too often.
    pub jobs_quarantined: u64,
    /// Workers heard of since the moment asked for.
    pub workers: u64,
}
