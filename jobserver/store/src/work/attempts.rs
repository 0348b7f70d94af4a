//! The holder of an attempt gives a sign of life, or gives its job back.

use nightshift_rules::{
    lease::{self, Beat},
    life::JobEvent,
    retry,
};
use nightshift_wire::{AttemptId, AttemptState, GiveBack, GiveBackCause, Heartbeat, Lease, Moment};

use super::{
    moves::{self, Move},
    rows::AttemptRow,
    set::{Halt, Need, WorkingSet},
    task::Verb,
    workers,
};
use crate::Refusal;

/// An attempt for somebody who claims to be its worker.
pub(super) fn prove(set: &WorkingSet, attempt: AttemptId, secret: &str) -> Result<AttemptRow, Halt> {
    match set.attempt(attempt)? {
        None => Err(Refusal::NoSuchAttempt(attempt).into()),
        Some(row) if row.secret != secret => Err(Refusal::WrongSecret(attempt).into()),
        Some(row) => Ok(row.clone()),
    }
}

/// A sign of life on its way to the store.
#[derive(Debug)]
pub(crate) struct Beats {
    pub(crate) attempt: AttemptId,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) now: Moment,
}

impl Verb for Beats {
    type Answer = Lease;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        if !set.has_attempt(self.attempt) {
            needs.push(Need::Attempt(self.attempt));
        }
    }

    fn run(&self, set: &mut WorkingSet) -> Result<Lease, Halt> {
        let attempt = prove(set, self.attempt, &self.heartbeat.secret)?;
        let job = set.known_job(attempt.job)?;
        let records = job.records;
        match lease::heartbeat(&job.facts(), &attempt.facts()) {
            Beat::Renew => {}
            Beat::TakeUp => {
                let taken_up = Move {
                    event: JobEvent::TakenUp,
                    holder: Some((attempt.id, &attempt.worker)),
                    reason: "",
                    errors: 0,
                    lane: None,
                };
                moves::make(set, attempt.job, &taken_up, self.now)?;
            }
            Beat::NotWanted(reason) => return Ok(Lease { lease_ms: None, reason: reason.to_string() }),
        }
        workers::see(set, &attempt.worker, self.now)?;
        let lease_ms = attempt.lease_ms;
        set.put_attempt(AttemptRow {
            state: AttemptState::Running,
            reason: String::new(),
            lease_until: Some(lease::renew(self.now, lease_ms)),
            records_done: self.heartbeat.done.min(records),
            ended_at: None,
            ..attempt
        });
        Ok(Lease { lease_ms: Some(lease_ms), reason: String::new() })
    }

    fn makes_nothing_wait(&self) -> bool {
        true
    }
}

/// A give-back on its way to the store.
#[derive(Debug)]
pub(crate) struct GivesBack {
    pub(crate) attempt: AttemptId,
    pub(crate) give_back: GiveBack,
    pub(crate) now: Moment,
}

impl Verb for GivesBack {
    /// Whether the attempt ended just now.
    type Answer = bool;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        if !set.has_attempt(self.attempt) {
            needs.push(Need::Attempt(self.attempt));
        }
    }

    fn run(&self, set: &mut WorkingSet) -> Result<bool, Halt> {
        let attempt = prove(set, self.attempt, &self.give_back.secret)?;
        if attempt.state != AttemptState::Running {
            return Ok(false);
        }
        let job = set.known_job(attempt.job)?;
        let event = match self.give_back.cause {
            GiveBackCause::Stopped => JobEvent::Stopped,
            GiveBackCause::Failed => {
                let most = set.known_batch(job.batch)?.max_attempts;
                retry::after_failure(job.failures.saturating_add(1), most)
            }
        };
        let reason = match self.give_back.reason.trim() {
            "" => format!("worker {} gave it back without a reason", attempt.worker),
            reason => reason.to_owned(),
        };
        let plugin = set.kind(job.lane)?.plugin.clone();
        moves::end(set, attempt.id, AttemptState::GivenBack, &reason, self.now)?;
        moves::make(set, attempt.job, &Move::released(event, &reason), self.now)?;
        match self.give_back.cause {
            GiveBackCause::Stopped => workers::see(set, &attempt.worker, self.now),
            GiveBackCause::Failed => workers::failed(set, &attempt.worker, attempt.job, &plugin, self.now),
        }?;
        Ok(true)
    }
}
