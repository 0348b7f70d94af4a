//! A small model of job control, written from the design and not from the store: what the store must answer.
//!
//! It knows nothing of SQL, transactions or batches' counters; it keeps jobs and attempts in memory and does the obvious.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_wire::{AttemptId, BatchId, Claim, GiveBackCause, JobId, JobState, Moment, RecordId};

use crate::hands::MAX_ATTEMPTS;

/// A job as the model has it.
#[derive(Debug, Clone)]
pub(crate) struct ModelJob {
    pub(crate) batch: BatchId,
    pub(crate) plugin: String,
    pub(crate) priority: i32,
    pub(crate) records: Vec<RecordId>,
    pub(crate) state: JobState,
    pub(crate) pickups: u32,
    pub(crate) failures: u32,
    /// The attempt that holds it or did it.
    pub(crate) attempt: Option<AttemptId>,
}

/// An attempt as the model has it: what its worker was told, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct ModelAttempt {
    pub(crate) claim: Claim,
    pub(crate) worker: String,
    pub(crate) until: Moment,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Running,
    Lost,
    GivenBack,
    Accepted,
    Superseded,
}

/// What a submission must be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Acknowledged,
    Refused,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) jobs: BTreeMap<JobId, ModelJob>,
    pub(crate) attempts: BTreeMap<AttemptId, ModelAttempt>,
}

impl Model {
    /// The running attempts on a worker's name.
    pub(crate) fn held_by(&self, worker: &str) -> Vec<AttemptId> {
        let running = |attempt: &ModelAttempt| attempt.fate == Fate::Running && attempt.worker == worker;
        self.attempts.iter().filter(|(_, attempt)| running(attempt)).map(|(id, _)| *id).collect()
    }

    /// A worker says what it holds; the rest of its attempts is lost.
    pub(crate) fn holds_only(&mut self, worker: &str, holding: &[AttemptId]) {
        for attempt in self.held_by(worker) {
            if !holding.contains(&attempt) {
                self.end(attempt, Fate::Lost, JobState::Waiting);
            }
        }
    }

    /// The job that a worker with these plugins must get.
    pub(crate) fn next(&self, plugins: &[String]) -> Option<JobId> {
        let fits = |job: &ModelJob| job.state == JobState::Waiting && plugins.contains(&job.plugin);
        let waiting = self.jobs.iter().filter(|(_, job)| fits(job));
        waiting.min_by_key(|(id, job)| (-i64::from(job.priority), **id)).map(|(id, _)| *id)
    }

    pub(crate) fn claimed(&mut self, claim: Claim, worker: &str, now: Moment) {
        let job = self.jobs.get_mut(&claim.job).expect("a known job");
        job.state = JobState::Running;
        job.pickups += 1;
        job.attempt = Some(claim.attempt);
        let until = now + i64::try_from(claim.lease_ms).expect("a lease that fits");
        let attempt = ModelAttempt { until, worker: worker.to_owned(), fate: Fate::Running, claim };
        let again = self.attempts.insert(attempt.claim.attempt, attempt);
        assert!(again.is_none(), "an attempt's number is never used again");
    }

    /// A sign of life; whether it must be answered with a lease.
    pub(crate) fn beat(&mut self, id: AttemptId, now: Moment) -> bool {
        let attempt = self.attempts.get_mut(&id).expect("a known attempt");
        let job = self.jobs.get_mut(&attempt.claim.job).expect("a known job");
        let taken_up = attempt.fate == Fate::Lost && job.state == JobState::Waiting;
        if attempt.fate != Fate::Running && !taken_up {
            return false;
        }
        attempt.fate = Fate::Running;
        attempt.until = now + i64::try_from(attempt.claim.lease_ms).expect("a lease that fits");
        job.state = JobState::Running;
        job.attempt = Some(id);
        true
    }

    /// A submission of one result for each of these records.
    pub(crate) fn submit(&mut self, id: AttemptId, results: &[RecordId]) -> Answer {
        let attempt = &self.attempts[&id];
        let job = self.jobs.get_mut(&attempt.claim.job).expect("a known job");
        if attempt.fate == Fate::Accepted {
            return Answer::Acknowledged;
        }
        let mut sorted = results.to_vec();
        sorted.sort_unstable();
        if !matches!(job.state, JobState::Waiting | JobState::Running) || sorted != job.records {
            return Answer::Refused;
        }
        let holder = job.attempt.replace(id);
        job.state = JobState::Done;
        if let Some(other) = holder.filter(|&holder| holder != id) {
            self.attempts.get_mut(&other).expect("a known attempt").fate = Fate::Superseded;
        }
        self.attempts.get_mut(&id).expect("a known attempt").fate = Fate::Accepted;
        Answer::Accepted
    }

    pub(crate) fn give_back(&mut self, id: AttemptId, cause: GiveBackCause) {
        if self.attempts[&id].fate != Fate::Running {
            return;
        }
        let job = self.jobs.get_mut(&self.attempts[&id].claim.job).expect("a known job");
        let mut state = JobState::Waiting;
        if cause == GiveBackCause::Failed {
            job.failures += 1;
            if job.failures == MAX_ATTEMPTS {
                state = JobState::Quarantined;
            }
        }
        self.end(id, Fate::GivenBack, state);
    }

    /// Takes back every job whose lease is over; the attempts that are lost.
    pub(crate) fn expire(&mut self, now: Moment) -> BTreeSet<AttemptId> {
        for attempt in self.attempts.values_mut() {
            let longest = now + i64::try_from(attempt.claim.lease_ms).expect("a lease that fits");
            attempt.until = attempt.until.min(longest);
        }
        let over = |attempt: &ModelAttempt| attempt.fate == Fate::Running && attempt.until <= now;
        let lost: BTreeSet<AttemptId> =
            self.attempts.iter().filter(|(_, attempt)| over(attempt)).map(|(id, _)| *id).collect();
        for &attempt in &lost {
            self.end(attempt, Fate::Lost, JobState::Waiting);
        }
        lost
    }

    fn end(&mut self, id: AttemptId, fate: Fate, state: JobState) {
        let attempt = self.attempts.get_mut(&id).expect("a known attempt");
        attempt.fate = fate;
        let job = self.jobs.get_mut(&attempt.claim.job).expect("a known job");
        job.state = state;
        job.attempt = None;
    }
}
