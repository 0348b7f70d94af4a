//! A worker asks for jobs.
//!
//! 1. Running attempts on its name that it does not hold are lost: it was killed before it noted them.
//! 2. What it said about itself is noted, when it is known.
//! 3. The queue gives the next jobs of lanes it may take from, judged once per lane. A job that does not wait after all
//!    (on a store that others change too) is dropped from the queue, and the queue asked again.
//! 4. Each job gets an attempt with a number never used before, a secret, and a lease.

use nightshift_rules::{
    auto_size::Speed,
    gates::{self, WorkerFacts},
    lease,
    life::JobEvent,
    retry,
};
use nightshift_wire::{
    AttemptId, AttemptState, BatchId, Claim, ClaimRequest, JobId, JobState, Machine, Moment, WorkerState,
};
use uuid::Uuid;

use super::{
    moves::{self, Move},
    queue::Waiting,
    rows::{AttemptRow, JobRow, LaneId, TypeRow},
    set::{Halt, Need, WorkingSet},
    task::Verb,
    workers,
};

/// A claim on its way to the store.
#[derive(Debug)]
pub(crate) struct ClaimJobs {
    request: ClaimRequest,
    /// One for each job it may get, made before the store's turn.
    secrets: Vec<String>,
    now: Moment,
}

impl ClaimJobs {
    pub(crate) fn new(request: &ClaimRequest, now: Moment) -> ClaimJobs {
        let most = request.max.clamp(1, nightshift_wire::MOST_AT_ONCE);
        let secrets = (0..most).map(|_| Uuid::new_v4().simple().to_string()).collect();
        // A machine may say anything; a database's whole numbers end here.
        let whole = i64::MAX.unsigned_abs();
        let Machine { memory_mb, disk_mb } = request.machine;
        let machine = Machine { memory_mb: memory_mb.min(whole), disk_mb: disk_mb.min(whole) };
        ClaimJobs { request: ClaimRequest { machine, ..request.clone() }, secrets, now }
    }

    /// Whether the worker says that it has an attempt.
    fn holds(&self, attempt: AttemptId) -> bool {
        self.request.holding.contains(&attempt)
    }

    /// Gives the worker one job; its lease includes `before_ms`.
    fn begin(&self, set: &mut WorkingSet, job: JobId, secret: &str, before_ms: u64) -> Result<Claim, Halt> {
        let row = set.known_job(job)?;
        let kind = set.kind(row.lane)?;
        let batch = set.known_batch(row.batch)?;
        let lease_ms = lease::behind(own_ms(set, row)?, before_ms);
        let claim = Claim {
            attempt: 0,
            secret: secret.to_owned(),
            job,
            revision: row.revision,
            batch: row.batch,
            plugin: kind.plugin.clone(),
            records: row.records,
            lease_ms,
            position: batch.position.as_deref().cloned(),
        };
        let claim = Claim { attempt: set.number()?, ..claim };
        let request = &self.request;
        let claimed = Move {
            event: JobEvent::Claimed,
            holder: Some((claim.attempt, &request.worker)),
            reason: "",
            errors: 0,
            lane: None,
        };
        moves::make(set, job, &claimed, self.now)?;
        set.put_attempt(AttemptRow {
            id: claim.attempt,
            job,
            secret: secret.to_owned(),
            worker: request.worker.clone(),
            revision: claim.revision,
            release: request.release.clone(),
            commit: request.commit.clone(),
            state: AttemptState::Running,
            reason: String::new(),
            lease_ms,
            lease_until: Some(lease::renew(self.now, lease_ms)),
            records_done: 0,
            work_ms: None,
            position: None,
            started_at: self.now,
            ended_at: None,
        });
        Ok(claim)
    }

    /// The lease of the attempt that comes first; 0 when there is none that runs on this worker. It counts with its own
    /// length, not with that of the one that came before it: leases of a worker that always looks ahead would grow from job
    /// to job up to a day.
    fn before_ms(&self, set: &WorkingSet) -> Result<u64, Halt> {
        let Some(behind) = self.request.behind else { return Ok(0) };
        let before = set.attempt(behind)?;
        let runs = |row: &&AttemptRow| row.state == AttemptState::Running && row.worker == self.request.worker;
        let Some(before) = before.filter(runs) else { return Ok(0) };
        match set.job(before.job)? {
            Some(job) => Ok(before.lease_ms.min(own_ms(set, job)?)),
            None => Ok(before.lease_ms),
        }
    }

    /// The next jobs for this worker, loaded and waiting.
    fn next(&self, set: &mut WorkingSet, most: usize) -> Result<Vec<JobId>, Halt> {
        let worker = set.worker(&self.request.worker)?.cloned();
        let now = self.now;
        let nothing = std::collections::BTreeSet::new();
        let facts = WorkerFacts {
            last_seen: now,
            state: WorkerState::Working,
            drained: worker.as_ref().and_then(|worker| worker.drained.as_deref()),
            release: &self.request.release,
            plugins: &self.request.plugins,
            machine: self.request.machine,
            tags: worker.as_ref().map_or(&nothing, |worker| &worker.tags),
        };
        if facts.drained.is_some() || facts.plugins.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let fits = |lane: &gates::Lane| gates::first_failed(&facts, lane, false, now).is_none();
            let found = set.queue.next(most, now, fits)?;
            let unknown: Vec<Need> =
                found.iter().filter(|(_, _, job)| !set.has_job(*job)).map(|(_, _, job)| Need::Job(*job)).collect();
            if !unknown.is_empty() {
                return Err(Halt::Missing(unknown));
            }
            let mut next = Vec::with_capacity(found.len());
            let mut dropped = false;
            for &(lane, seq, job) in &found {
                match waits(set, lane, job, now)? {
                    Waits::Yes => next.push(job),
                    Waits::Later(not_before) => {
                        set.queue.waits(lane, Waiting { job, seq, not_before });
                        dropped = true;
                    }
                    Waits::No => {
                        set.queue.gone(lane, seq);
                        dropped = true;
                    }
                    // All of its batch is passed over: one by one they would keep everybody waiting.
                    Waits::Suspended(batch) => {
                        set.queue.suspend(batch, true);
                        dropped = true;
                    }
                }
            }
            if !dropped {
                return Ok(next);
            }
        }
    }
}

/// The lease of a job by itself.
fn own_ms(set: &WorkingSet, job: &JobRow) -> Result<u64, Halt> {
    let kind = set.kind(job.lane)?;
    let speed = set.plugin(&kind.plugin)?.map_or(Speed::Unknown, TypeRow::speed);
    Ok(lease::length(job.records, speed, set.known_batch(job.batch)?.lease_ms))
}

/// Whether a job can be handed out.
enum Waits {
    Yes,
    Later(Moment),
    /// Nor can any other of this batch.
    Suspended(BatchId),
    No,
}

fn waits(set: &WorkingSet, lane: LaneId, job: JobId, now: Moment) -> Result<Waits, Halt> {
    Ok(match set.job(job)? {
        Some(row) if row.state == JobState::Waiting && row.lane == lane => {
            // Another server, or another writer of this one, may have suspended the batch since the queue was read.
            if set.known_batch(row.batch)?.suspended.is_some() {
                Waits::Suspended(row.batch)
            } else if !retry::is_due(row.not_before, now) {
                Waits::Later(row.not_before)
            } else {
                Waits::Yes
            }
        }
        _ => Waits::No,
    })
}

impl Verb for ClaimJobs {
    type Answer = Vec<Claim>;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        match set.loaded_held(&self.request.worker) {
            Some(held) => needs.extend(held.iter().filter(|held| !self.holds(**held)).map(|held| Need::Attempt(*held))),
            None => needs.push(Need::Held(self.request.worker.clone())),
        }
        needs.push(Need::Worker(self.request.worker.clone()));
        needs.extend(self.request.behind.filter(|behind| !set.has_attempt(*behind)).map(Need::Attempt));
    }

    fn run(&self, set: &mut WorkingSet) -> Result<Vec<Claim>, Halt> {
        let worker = &self.request.worker;
        let gone: Vec<AttemptId> = set.held(worker)?.into_iter().filter(|held| !self.holds(*held)).collect();
        let unknown: Vec<Need> = gone.iter().filter(|id| !set.has_attempt(**id)).map(|id| Need::Attempt(*id)).collect();
        if !unknown.is_empty() {
            return Err(Halt::Missing(unknown));
        }
        for attempt in gone {
            let reason = format!("worker {worker} no longer has attempt {attempt}");
            moves::lose(set, attempt, &reason, self.now)?;
        }
        workers::describe(set, worker, &self.request.plugins, self.request.machine)?;
        let mut before_ms = self.before_ms(set)?;
        let jobs = self.next(set, self.secrets.len())?;
        if !jobs.is_empty() {
            workers::see(set, worker, self.now)?;
        }
        let mut claims = Vec::with_capacity(jobs.len());
        for (job, secret) in jobs.into_iter().zip(&self.secrets) {
            let claim = self.begin(set, job, secret, before_ms)?;
            before_ms = claim.lease_ms;
            claims.push(claim);
        }
        if !claims.is_empty() {
            workers::describe(set, worker, &self.request.plugins, self.request.machine)?;
        }
        Ok(claims)
    }

    fn weight(&self) -> usize {
        self.takes()
    }

    fn takes(&self) -> usize {
        self.secrets.len()
    }

    fn claims(&self) -> Option<&ClaimRequest> {
        Some(&self.request)
    }

    fn asked_at(&self) -> Option<Moment> {
        Some(self.now)
    }

    fn happens_at(&mut self, now: Moment) {
        self.now = now;
    }
}
