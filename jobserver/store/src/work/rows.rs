//! Rows as verbs see them: what a backend reads, and writes when it changed.

use std::{collections::BTreeSet, sync::Arc};

use nightshift_rules::{
    attempt::{AttemptFacts, JobFacts},
    auto_size::Speed,
    gates::Lane,
    sizing::Measured,
};
use nightshift_wire::{
    AttemptId, AttemptState, BatchId, DataPosition, ErrorRate, JobId, JobState, Machine, Moment, ReachedPosition,
    RecordId,
};

/// Number of a lane, never used again.
pub(crate) type LaneId = i64;

/// A row of `jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) batch: BatchId,
    pub(crate) seq: u64,
    pub(crate) lane: LaneId,
    pub(crate) state: JobState,
    pub(crate) reason: String,
    pub(crate) revision: u32,
    pub(crate) first_record: RecordId,
    pub(crate) records: u64,
    /// Of its accepted results, those that are errors.
    pub(crate) errors: u64,
    pub(crate) pickups: u32,
    pub(crate) failures: u32,
    pub(crate) losses: u32,
    /// It is not handed out before; 0 for at once.
    pub(crate) not_before: Moment,
    /// The attempt that holds it or did it, and that attempt's worker.
    pub(crate) holder: Option<(AttemptId, String)>,
    pub(crate) started_at: Option<Moment>,
    pub(crate) finished_at: Option<Moment>,
}

impl JobRow {
    /// What the rules ask about it.
    pub(crate) fn facts(&self) -> JobFacts {
        JobFacts {
            state: self.state,
            revision: self.revision,
            attempt: self.holder.as_ref().map(|(attempt, _)| *attempt),
            first_record: self.first_record,
            records: self.records,
        }
    }
}

/// A row of `attempts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttemptRow {
    pub(crate) id: AttemptId,
    pub(crate) job: JobId,
    pub(crate) secret: String,
    pub(crate) worker: String,
    pub(crate) revision: u32,
    pub(crate) release: String,
    pub(crate) commit: String,
    pub(crate) state: AttemptState,
    pub(crate) reason: String,
    pub(crate) lease_ms: u64,
    pub(crate) lease_until: Option<Moment>,
    pub(crate) records_done: u64,
    pub(crate) work_ms: Option<u64>,
    /// That of the data of its accepted results.
    pub(crate) position: Option<ReachedPosition>,
    pub(crate) started_at: Moment,
    pub(crate) ended_at: Option<Moment>,
}

impl AttemptRow {
    /// What the rules ask about it.
    pub(crate) fn facts(&self) -> AttemptFacts {
        AttemptFacts { id: self.id, state: self.state, revision: self.revision }
    }
}

/// A row of `lanes`; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneRow {
    pub(crate) id: LaneId,
    pub(crate) batch: BatchId,
    pub(crate) kind: Lane,
}

/// What verbs see of a row of `batches`. Counters are written as differences, because other servers count too; where
/// the batch stands follows from the counters as they are then (`count_batch.sql`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchRow {
    pub(crate) id: BatchId,
    pub(crate) suspended: Option<String>,
    pub(crate) lease_ms: u64,
    pub(crate) max_attempts: u32,
    /// The part of its results that may be errors.
    pub(crate) error_rate: ErrorRate,
    /// Verbs never change it, and clone the row at every move.
    pub(crate) position: Option<Arc<DataPosition>>,
    pub(crate) counts: BatchCounts,
    /// The moment of the last change of the counters.
    pub(crate) counted_at: Moment,
}

/// Counters of a batch that jobs' moves change; as differences they may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BatchCounts {
    pub(crate) running: i64,
    pub(crate) done: i64,
    pub(crate) quarantined: i64,
    pub(crate) suspended: i64,
    pub(crate) deleted: i64,
    pub(crate) results: i64,
    pub(crate) errors: i64,
    /// Since it was handed in or resumed: what the breaker judges.
    pub(crate) judged_results: i64,
    pub(crate) judged_errors: i64,
}

impl BatchCounts {
    /// The counter of a state; `None` for states that are not counted.
    pub(crate) fn of(&mut self, state: JobState) -> Option<&mut i64> {
        match state {
            JobState::Receiving | JobState::Waiting => None,
            JobState::Running => Some(&mut self.running),
            JobState::Done => Some(&mut self.done),
            JobState::Quarantined => Some(&mut self.quarantined),
            JobState::Suspended => Some(&mut self.suspended),
            JobState::Deleted => Some(&mut self.deleted),
        }
    }

    /// What has to be added to `before` to get these.
    pub(crate) fn since(&self, before: &BatchCounts) -> BatchCounts {
        BatchCounts {
            running: self.running - before.running,
            done: self.done - before.done,
            quarantined: self.quarantined - before.quarantined,
            suspended: self.suspended - before.suspended,
            deleted: self.deleted - before.deleted,
            results: self.results - before.results,
            errors: self.errors - before.errors,
            judged_results: self.judged_results - before.judged_results,
            judged_errors: self.judged_errors - before.judged_errors,
        }
    }
}

/// What verbs see of a row of `workers`. `jobs_done` and `records_done` are written as differences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerRow {
    pub(crate) worker: String,
    pub(crate) name: String,
    pub(crate) plugins: Vec<String>,
    pub(crate) machine: Machine,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) drained: Option<String>,
    /// Different jobs that failed on it since it last did one.
    pub(crate) failures_in_row: u32,
    /// The last of them, and when the first failed.
    pub(crate) failing: Option<(JobId, Moment)>,
    pub(crate) first_seen: Moment,
    pub(crate) last_seen: Moment,
    pub(crate) jobs_done: u64,
    pub(crate) records_done: u64,
}

impl WorkerRow {
    /// A worker that asks for something before it ever reported.
    pub(crate) fn met(worker: &str, now: Moment) -> WorkerRow {
        WorkerRow {
            worker: worker.to_owned(),
            name: String::new(),
            plugins: Vec::new(),
            machine: Machine::default(),
            tags: BTreeSet::new(),
            drained: None,
            failures_in_row: 0,
            failing: None,
            first_seen: now,
            last_seen: now,
            jobs_done: 0,
            records_done: 0,
        }
    }
}

/// A row of `job_types`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeRow {
    pub(crate) plugin: String,
    pub(crate) measured: Measured,
    /// How fast it did its samples, as its hand-ins said; verbs never change it.
    pub(crate) sampled: Measured,
    /// When results of this plugin were last accepted; 0 while none were.
    pub(crate) accepted_at: Moment,
}

impl TypeRow {
    /// What is known of its speed.
    pub(crate) fn speed(&self) -> Speed {
        Speed::of(self.measured, self.sampled)
    }
}
