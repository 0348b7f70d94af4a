//! What goes into a store's verbs and comes out of them, where the API's own types (`jobserver/wire`) do not say it.

use nightshift_rules::sizing::Measured;
use nightshift_wire::{
    AttemptId, DataPosition, ErrorRate, Job, JobAction, JobFilter, JobId, JobState, Outcome, Record, Requirements,
    Unchanged, Worker,
};

/// A batch as its hand-in begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// What its owner calls it.
    pub name: String,
    /// The plugin that shall process its records.
    pub plugin: String,
    /// Higher goes first.
    pub priority: i32,
    /// What its jobs ask of a worker.
    pub requirements: Requirements,
    /// Columns of the CSV, in order.
    pub columns: Vec<String>,
    /// Columns that the plugin adds, in order.
    pub outputs: Vec<String>,
    /// The shortest lease of its jobs, in milliseconds; jobs that are expected to take long get a longer one.
    pub lease_ms: u64,
    /// How fast the plugin did its samples: leases follow from it until a job of the plugin was done. `None` leaves what is
    /// known as it is.
    pub sampled: Option<Measured>,
    /// So many failures quarantine one of its jobs.
    pub max_attempts: u32,
    /// The part of its results that may be errors before the breaker suspends it.
    pub error_rate: ErrorRate,
    /// The position of the primary that its data must have reached; `None` when its plugin reads no replica, or nobody knows
    /// a primary.
    pub position: Option<DataPosition>,
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
            JobState::Deleted => Some(format!("not processed: job {} was deleted: {}", self.job, self.reason)),
            JobState::Receiving | JobState::Waiting | JobState::Running | JobState::Suspended => {
                Some("not processed yet".to_owned())
            }
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

/// What a person wants done to jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobChange {
    /// What shall happen.
    pub action: JobAction,
    /// To which jobs; a filter without any part chooses none.
    pub filter: JobFilter,
    /// Why; people read it at the job.
    pub reason: String,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What one step of a change did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Jobs the filter chose in this step.
    pub matched: u64,
    /// Of these, jobs that were changed, or would be.
    pub changed: u64,
    /// The others.
    pub unchanged: Vec<Unchanged>,
    /// Where to go on; `None` after the last step.
    pub next: Option<JobId>,
}

/// What is known about a job and the workers that might take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainFacts {
    /// The job.
    pub job: Job,
    /// Why its batch is suspended; `None` when it is not.
    pub batch_suspended: Option<String>,
    /// Waiting jobs that go out before it, whoever may take them, those in back-off included.
    pub ahead: u64,
    /// Every worker ever heard of.
    pub workers: Vec<Worker>,
}

/// An attempt whose lease ran out; its job waits again, or is quarantined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostAttempt {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its job.
    pub job: JobId,
    /// The worker that did not report in time.
    pub worker: String,
    /// What became of the job.
    pub state: JobState,
    /// Why it stands there, for people.
    pub reason: String,
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
    /// Jobs that an admin suspended.
    pub jobs_suspended: u64,
    /// Jobs that an admin deleted.
    pub jobs_deleted: u64,
    /// Workers heard of since the moment asked for.
    pub workers: u64,
}
