//! Results come in: stored and their job completed in one step, or refused whole.
//!
//! 1. The attempt is proved by its secret; the rules say whether the job needs it, the data were those of the
//!    job's primary, and the results are one for each record.
//! 2. Whoever else holds the job is superseded; the attempt is accepted; the job is done; the results are stored.
//! 3. The plugin's speed and the worker's record follow. A batch that fails too much is suspended.

use std::sync::Arc;

use nightshift_rules::{
    acceptance::{self, Primaries, Verdict},
    breaker,
    life::JobEvent,
};
use nightshift_wire::{AttemptId, AttemptState, BatchId, Moment, Receipt};

use super::{
    attempts::prove,
    moves::{self, Move},
    rows::{AttemptRow, TypeRow},
    set::{Halt, Need, ResultsChange, WorkingSet},
    submitted::Submitted,
    task::Verb,
    workers,
};
use crate::{Refusal, statistics::Ended};

/// A submission on its way to the store.
#[derive(Debug)]
pub(crate) struct Submits {
    pub(crate) attempt: AttemptId,
    pub(crate) submitted: Arc<Submitted>,
    pub(crate) now: Moment,
}

/// What a submission came to.
#[derive(Debug)]
pub(crate) struct HandedIn {
    pub(crate) receipt: Receipt,
    /// What is counted of it; `None` when it was accepted before, or other attempts at its job have to be looked up.
    pub(crate) ended: Option<Ended>,
}

impl Submits {
    /// Stores the results and completes the job, whoever holds it.
    fn accept(&self, set: &mut WorkingSet, attempt: AttemptRow) -> Result<Option<Ended>, Halt> {
        let (id, now) = (attempt.id, self.now);
        let job = set.known_job(attempt.job)?;
        let (job, batch, records, pickups) = (job.id, job.batch, job.records, job.pickups);
        let other = set.known_job(job)?.holder.as_ref().map(|(holder, _)| *holder).filter(|holder| *holder != id);
        let plugin = set.kind(set.known_job(job)?.lane)?.plugin.clone();
        if let Some(other) = other {
            let reason = format!("the results of attempt {id} were accepted first");
            moves::end(set, other, AttemptState::Superseded, &reason, now)?;
        }
        let done = Move {
            event: JobEvent::Accepted,
            holder: Some((id, &attempt.worker)),
            reason: "",
            errors: self.submitted.errors,
            lane: None,
        };
        moves::make(set, job, &done, now)?;
        workers::credit(set, &attempt.worker, records, now)?;
        let provenance = &self.submitted.provenance;
        let ended = (pickups == 1).then(|| Ended {
            release: provenance.release.clone(),
            worker: attempt.worker.clone(),
            plugin: plugin.clone(),
            accepted: true,
            records,
            errors: self.submitted.errors,
            work_ms: provenance.work_ms,
            pickups: 1,
            picked_up: attempt.started_at,
            ended_at: now,
        });
        set.put_attempt(AttemptRow {
            state: AttemptState::Accepted,
            reason: String::new(),
            release: provenance.release.clone(),
            commit: provenance.commit.clone(),
            work_ms: Some(provenance.work_ms),
            position: provenance.position.clone(),
            records_done: records,
            lease_until: None,
            ended_at: Some(now),
            ..attempt
        });
        set.change_results(ResultsChange::Accepted { job, attempt: id, submitted: Arc::clone(&self.submitted) });

        let known = set.plugin(&plugin)?;
        let (measured, sampled) = known.map_or_else(Default::default, |plugin| (plugin.measured, plugin.sampled));
        let measured = measured.with(records, provenance.work_ms);
        set.put_type(TypeRow { plugin, measured, sampled, accepted_at: now });
        judge_batch(set, batch)?;
        Ok(ended)
    }
}

/// Suspends a batch whose results are errors too often.
fn judge_batch(set: &mut WorkingSet, batch: BatchId) -> Result<(), Halt> {
    let row = set.known_batch(batch)?;
    if row.suspended.is_some() {
        return Ok(());
    }
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let tripped = breaker::judge(count(row.counts.judged_results), count(row.counts.judged_errors), row.error_rate);
    if let Some(tripped) = tripped {
        let mut row = row.clone();
        row.suspended = Some(tripped.to_string());
        set.put_batch(row);
    }
    Ok(())
}

impl Verb for Submits {
    type Answer = HandedIn;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        if !set.has_attempt(self.attempt) {
            needs.push(Need::Attempt(self.attempt));
        }
    }

    fn run(&self, set: &mut WorkingSet) -> Result<HandedIn, Halt> {
        let attempt = prove(set, self.attempt, &self.submitted.secret)?;
        let job = set.known_job(attempt.job)?;
        let id = job.id;
        let records = self.submitted.results.iter().map(|result| result.record);
        let primaries = Primaries {
            pinned: set.known_batch(job.batch)?.position.as_ref().map(|pinned| &*pinned.primary),
            reached: self.submitted.provenance.position.as_ref().map(|reached| &*reached.primary),
        };
        match acceptance::judge(&job.facts(), &attempt.facts(), primaries, records) {
            Verdict::Accept => {
                let ended = self.accept(set, attempt)?;
                Ok(HandedIn { receipt: Receipt { job: id, repeated: false }, ended })
            }
            Verdict::Repeated => Ok(HandedIn { receipt: Receipt { job: id, repeated: true }, ended: None }),
            Verdict::NotWanted(reason) => Err(Refusal::NotWanted(reason).into()),
            Verdict::OtherPrimary(other) => Err(Refusal::OtherPrimary(other).into()),
            Verdict::WrongResults(wrong) => Err(Refusal::WrongResults(wrong).into()),
        }
    }

    fn weight(&self) -> usize {
        self.submitted.results.len()
    }

    fn hands_in(&self) -> Option<AttemptId> {
        Some(self.attempt)
    }

    fn asked_at(&self) -> Option<Moment> {
        Some(self.now)
    }

    fn happens_at(&mut self, now: Moment) {
        self.now = now;
    }

    fn makes_nothing_wait(&self) -> bool {
        true
    }
}
