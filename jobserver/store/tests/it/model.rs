//! A small model of job control, written from the design and not from the store: what the store must answer.
//!
//! It knows nothing of SQL, transactions, queues or batches' counters; it keeps jobs and attempts in memory and does the
//! obvious.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_wire::{
    AttemptId, BatchId, Claim, ClaimRequest, GiveBackCause, JobAction, JobId, JobState, Moment, RecordId,
};

use crate::hands::MAX_ATTEMPTS;

/// The tag that some jobs ask for.
pub(crate) const TAG: &str = "gpu";

/// A job as the model has it.
#[derive(Debug, Clone)]
pub(crate) struct ModelJob {
    pub(crate) batch: BatchId,
    pub(crate) seq: u64,
    pub(crate) plugin: String,
    pub(crate) priority: i32,
    /// It asks for [`TAG`].
    pub(crate) tagged: bool,
    pub(crate) records: Vec<RecordId>,
    pub(crate) state: JobState,
    pub(crate) revision: u32,
    pub(crate) pickups: u32,
    pub(crate) failures: u32,
    pub(crate) losses: u32,
    pub(crate) not_before: Moment,
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

/// A worker as the model has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelWorker {
    pub(crate) tagged: bool,
    pub(crate) drained: bool,
    /// Different jobs that failed on it in a row, the last of them, and when the first did.
    failed: u32,
    failing: Option<(JobId, Moment)>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) jobs: BTreeMap<JobId, ModelJob>,
    pub(crate) attempts: BTreeMap<AttemptId, ModelAttempt>,
    pub(crate) workers: BTreeMap<String, ModelWorker>,
    pub(crate) suspended: BTreeSet<BatchId>,
    /// When results of a plugin were last accepted.
    accepted: BTreeMap<String, Moment>,
    last_alive: Option<Moment>,
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
                self.lose(attempt);
            }
        }
    }

    /// The jobs that a worker must get, in their order.
    pub(crate) fn next(&self, request: &ClaimRequest, now: Moment) -> Vec<JobId> {
        let worker = self.workers.get(&request.worker).cloned().unwrap_or_default();
        if worker.drained {
            return Vec::new();
        }
        let fits = |job: &ModelJob| {
            job.state == JobState::Waiting
                && (job.not_before <= now || job.not_before > now + 16 * 60_000)
                && !self.suspended.contains(&job.batch)
                && request.plugins.contains(&job.plugin)
                && (worker.tagged || !job.tagged)
        };
        let mut waiting: Vec<(&JobId, &ModelJob)> = self.jobs.iter().filter(|(_, job)| fits(job)).collect();
        waiting.sort_by_key(|(_, job)| (-i64::from(job.priority), job.batch, job.seq));
        waiting.into_iter().take(request.max as usize).map(|(id, _)| *id).collect()
    }

    pub(crate) fn claimed(&mut self, claim: Claim, worker: &str, now: Moment) {
        let job = self.jobs.get_mut(&claim.job).expect("a known job");
        assert_eq!((claim.revision, &claim.plugin), (job.revision, &job.plugin));
        job.state = JobState::Running;
        job.pickups += 1;
        job.not_before = 0;
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
        let same = attempt.claim.revision == job.revision;
        let taken_up = attempt.fate == Fate::Lost && job.state == JobState::Waiting && same;
        if attempt.fate != Fate::Running && !taken_up {
            return false;
        }
        attempt.fate = Fate::Running;
        attempt.until = now + i64::try_from(attempt.claim.lease_ms).expect("a lease that fits");
        job.state = JobState::Running;
        job.not_before = 0;
        job.attempt = Some(id);
        true
    }

    /// A submission of one result for each of these records.
    pub(crate) fn submit(&mut self, id: AttemptId, results: &[RecordId], now: Moment) -> Answer {
        let attempt = &self.attempts[&id];
        let job = self.jobs.get_mut(&attempt.claim.job).expect("a known job");
        if attempt.fate == Fate::Accepted {
            return Answer::Acknowledged;
        }
        let mut sorted = results.to_vec();
        sorted.sort_unstable();
        let open = matches!(job.state, JobState::Waiting | JobState::Running | JobState::Suspended);
        if !open || attempt.claim.revision != job.revision || sorted != job.records {
            return Answer::Refused;
        }
        let holder = job.attempt.replace(id);
        job.state = JobState::Done;
        job.not_before = 0;
        self.accepted.insert(job.plugin.clone(), now);
        let worker = self.workers.entry(attempt.worker.clone()).or_default();
        (worker.failed, worker.failing) = (0, None);
        if let Some(other) = holder.filter(|&holder| holder != id) {
            self.attempts.get_mut(&other).expect("a known attempt").fate = Fate::Superseded;
        }
        self.attempts.get_mut(&id).expect("a known attempt").fate = Fate::Accepted;
        Answer::Accepted
    }

    pub(crate) fn give_back(&mut self, id: AttemptId, cause: GiveBackCause, now: Moment) {
        if self.attempts[&id].fate != Fate::Running {
            return;
        }
        let (number, name) = (self.attempts[&id].claim.job, self.attempts[&id].worker.clone());
        self.end(id, Fate::GivenBack, JobState::Waiting);
        if cause == GiveBackCause::Stopped {
            return;
        }
        let job = self.jobs.get_mut(&number).expect("a known job");
        job.failures += 1;
        job.not_before = now + (30_000_i64 << (job.failures - 1)).min(15 * 60_000);
        if job.failures == MAX_ATTEMPTS {
            job.state = JobState::Quarantined;
            job.not_before = 0;
        }
        let worker = self.workers.entry(name).or_default();
        if worker.failing.is_none_or(|(last, _)| last != number) {
            let since = worker.failing.map_or(now, |(_, since)| since.min(now));
            worker.failing = Some((number, since));
            worker.failed += 1;
            let others = self.accepted.get(&job.plugin).is_some_and(|accepted| (since..=now).contains(accepted));
            worker.drained |= worker.failed >= 3 && others;
        }
    }

    /// An admin resumes a worker.
    pub(crate) fn resume_worker(&mut self, worker: &str) {
        let worker = self.workers.entry(worker.to_owned()).or_default();
        (worker.drained, worker.failed, worker.failing) = (false, 0, None);
    }

    /// A server says that it is alive; leases are extended by a long time without one.
    pub(crate) fn alive(&mut self, now: Moment) -> Option<u64> {
        let last = self.last_alive.replace(now)?;
        let gap = now - last;
        if gap < 0 {
            self.shorten(now);
        }
        if gap <= 10_000 {
            return None;
        }
        self.attempts.values_mut().for_each(|attempt| attempt.until += gap);
        u64::try_from(gap).ok()
    }

    /// Takes back every job whose lease is over; the attempts that are lost.
    pub(crate) fn expire(&mut self, now: Moment) -> BTreeSet<AttemptId> {
        self.shorten(now);
        let over = |attempt: &ModelAttempt| attempt.fate == Fate::Running && attempt.until <= now;
        let lost: BTreeSet<AttemptId> =
            self.attempts.iter().filter(|(_, attempt)| over(attempt)).map(|(id, _)| *id).collect();
        for &attempt in &lost {
            self.lose(attempt);
        }
        lost
    }

    /// No lease reaches further than its length from now.
    fn shorten(&mut self, now: Moment) {
        for attempt in self.attempts.values_mut() {
            let longest = now + i64::try_from(attempt.claim.lease_ms).expect("a lease that fits");
            attempt.until = attempt.until.min(longest);
        }
    }

    /// An admin does something to a job; whether it is changed.
    pub(crate) fn act(&mut self, id: JobId, action: &JobAction) -> bool {
        use JobState::{Deleted, Done, Quarantined, Receiving, Running, Suspended, Waiting};
        let job = self.jobs.get_mut(&id).expect("a known job");
        let before = job.state;
        let (after, revised) = match (action, before) {
            (JobAction::Suspend, Waiting | Running) => (Suspended, false),
            (JobAction::Resume, Suspended) => (Waiting, false),
            (JobAction::Retry, Done | Quarantined) => (Waiting, true),
            (JobAction::Delete, Waiting | Running | Suspended | Quarantined) => (Deleted, false),
            (JobAction::Edit(edit), Waiting | Running | Suspended | Quarantined) => {
                let after = (
                    edit.priority.unwrap_or(job.priority),
                    edit.plugin.clone().unwrap_or_else(|| job.plugin.clone()),
                    edit.requirements.as_ref().map_or(job.tagged, |asked| asked.tags.contains(TAG)),
                );
                if after == (job.priority, job.plugin.clone(), job.tagged) {
                    return false;
                }
                (job.priority, job.plugin, job.tagged) = after;
                (if before == Running { Waiting } else { before }, true)
            }
            (_, Receiving | Waiting | Running | Suspended | Quarantined | Done | Deleted) => return false,
        };
        job.revision += u32::from(revised);
        if *action == JobAction::Retry {
            (job.failures, job.losses) = (0, 0);
        }
        if !matches!(action, JobAction::Edit(_)) {
            job.not_before = 0;
        }
        match (before, job.attempt) {
            (Running, Some(attempt)) => self.end(attempt, Fate::Lost, after),
            _ => (job.state, job.attempt) = (after, None),
        }
        true
    }

    /// A batch is deleted, with everything in it; the attempts that are gone with it.
    pub(crate) fn delete(&mut self, batch: BatchId) -> Vec<ModelAttempt> {
        self.jobs.retain(|_, job| job.batch != batch);
        self.suspended.remove(&batch);
        let jobs = &self.jobs;
        let gone = self.attempts.extract_if(.., |_, attempt| !jobs.contains_key(&attempt.claim.job));
        gone.map(|(_, attempt)| attempt).collect()
    }

    /// Nothing is heard of an attempt any more.
    fn lose(&mut self, id: AttemptId) {
        let job = self.jobs.get_mut(&self.attempts[&id].claim.job).expect("a known job");
        job.losses += 1;
        let state = if job.losses < 10 { JobState::Waiting } else { JobState::Quarantined };
        self.end(id, Fate::Lost, state);
    }

    fn end(&mut self, id: AttemptId, fate: Fate, state: JobState) {
        let attempt = self.attempts.get_mut(&id).expect("a known attempt");
        attempt.fate = fate;
        let job = self.jobs.get_mut(&attempt.claim.job).expect("a known job");
        job.state = state;
        job.attempt = None;
    }
}
