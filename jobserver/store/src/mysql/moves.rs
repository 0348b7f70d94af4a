//! A job moves: the one place where a job's state and its attempt change together, and what that changes in batches.
//!
//! The procedure: read attempt and job in one statement; ask the rules what the event leads to; write it if the job is
//! still as it was read (if not, another server was first: the verb is undone and begins again); at the end of the verb
//! count all its moves in their batches ([`Ledger::settle`]).
//!
//! Every verb locks in the same order: jobs, attempts, results, workers, job types, batches by number. A batch's row is
//! the one that everybody wants, so it is locked last and for the shortest time.

use std::collections::BTreeMap;

use mysql_async::params;
use nightshift_rules::{
    attempt::{AttemptFacts, AttemptState, JobFacts},
    life::{self, JobEvent},
};
use nightshift_wire::{AttemptId, BatchId, JobId, JobState, Moment};

use super::{
    connection::{Fields, Tx},
    failure::Failure,
    sql,
};
use crate::{Refusal, words::Word as _};

/// A job as it was read.
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) batch: BatchId,
    pub(super) plugin: String,
    pub(super) facts: JobFacts,
    pub(super) failures: u32,
    pub(super) lease_ms: u64,
    pub(super) max_attempts: u32,
}

impl JobRow {
    pub(super) async fn read(tx: &mut Tx, job: JobId) -> Result<JobRow, Failure> {
        let row = tx.first(sql::JOB, params! { "job" => job }).await?;
        JobRow::of(&mut row.ok_or_else(|| Failure::Contradiction(format!("there is no job {job}")))?)
    }

    fn of(row: &mut Fields) -> Result<JobRow, Failure> {
        Ok(JobRow {
            id: row.get("id")?,
            batch: row.get("batch_id")?,
            plugin: row.get("plugin")?,
            facts: JobFacts {
                state: row.word("state")?,
                revision: row.get("revision")?,
                attempt: row.get("held_by")?,
                first_record: row.get("first_record")?,
                records: row.get("records")?,
            },
            failures: row.get("failures")?,
            lease_ms: row.get("lease_ms")?,
            max_attempts: row.get("max_attempts")?,
        })
    }
}

/// An attempt as it was read, with its job at the same moment.
pub(super) struct AttemptRow {
    pub(super) facts: AttemptFacts,
    pub(super) job: JobRow,
    pub(super) worker: String,
    pub(super) lease_ms: u64,
    secret: String,
}

impl AttemptRow {
    pub(super) async fn read(tx: &mut Tx, attempt: AttemptId) -> Result<AttemptRow, Failure> {
        let row = tx.first(sql::ATTEMPT, params! { "attempt" => attempt }).await?;
        let mut row = row.ok_or(Failure::Refused(Refusal::NoSuchAttempt(attempt)))?;
        Ok(AttemptRow {
            facts: AttemptFacts {
                id: row.get("attempt_id")?,
                state: row.word("attempt_state")?,
                revision: row.get("attempt_revision")?,
            },
            worker: row.get("worker")?,
            lease_ms: row.get("attempt_lease_ms")?,
            secret: row.get("secret")?,
            job: JobRow::of(&mut row)?,
        })
    }

    /// Reads an attempt for somebody who claims to be its worker.
    pub(super) async fn prove(tx: &mut Tx, attempt: AttemptId, secret: &str) -> Result<AttemptRow, Failure> {
        let row = AttemptRow::read(tx, attempt).await?;
        if row.secret == secret { Ok(row) } else { Err(Refusal::WrongSecret(attempt).into()) }
    }
}

/// What happens to a job, and what shall be known of it afterwards.
pub(super) struct Move<'a> {
    pub(super) event: JobEvent,
    /// The attempt that holds or did the job from now on, and its worker.
    pub(super) holder: Option<(AttemptId, &'a str)>,
    /// Why it stands there, for people.
    pub(super) reason: &'a str,
    /// Results that are accepted with it.
    pub(super) results: Counted,
}

/// Results, and how many of them are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    pub(super) results: u64,
    pub(super) errors: u64,
}

/// What the moves of one verb change in their batches.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<BatchId, Entry>);

#[derive(Debug, Default)]
struct Entry {
    running: i64,
    done: i64,
    quarantined: i64,
    results: u64,
    errors: u64,
}

impl Ledger {
    fn note(&mut self, batch: BatchId, from: JobState, to: JobState, results: Counted) {
        let difference = |state: JobState| i64::from(to == state) - i64::from(from == state);
        let entry = self.0.entry(batch).or_default();
        entry.running += difference(JobState::Running);
        entry.done += difference(JobState::Done);
        entry.quarantined += difference(JobState::Quarantined);
        entry.results += results.results;
        entry.errors += results.errors;
    }

    /// Counts the moves; the last step of a verb that moves jobs.
    pub(super) async fn settle(self, tx: &mut Tx, now: Moment) -> Result<(), Failure> {
        for (batch, entry) in self.0 {
            let count = params! {
                "batch" => batch,
                "running" => entry.running,
                "done" => entry.done,
                "quarantined" => entry.quarantined,
                "results" => entry.results,
                "errors" => entry.errors,
                "now" => now,
            };
            tx.change(sql::COUNT_MOVE, count).await?;
        }
        Ok(())
    }
}

/// Moves a job as the rules say.
pub(super) async fn make(
    tx: &mut Tx,
    ledger: &mut Ledger,
    job: &JobRow,
    change: &Move<'_>,
    now: Moment,
) -> Result<(), Failure> {
    let from = job.facts.state;
    let to = life::after(from, change.event)?;
    let claimed = change.event == JobEvent::Claimed;
    let failed = matches!(change.event, JobEvent::Failed | JobEvent::GivenUp);
    let moved = params! {
        "job" => job.id,
        "from" => from.word(),
        "revision" => job.facts.revision,
        "held_by" => job.facts.attempt,
        "to" => to.word(),
        "reason" => change.reason,
        "attempt" => change.holder.map(|(attempt, _)| attempt),
        "worker" => change.holder.map(|(_, worker)| worker),
        "pickups" => i64::from(claimed),
        "failures" => i64::from(failed),
        "started_at" => claimed.then_some(now),
        "finished_at" => (to == JobState::Done).then_some(now),
    };
    if tx.change(sql::MOVE_JOB, moved).await? != 1 {
        return Err(Failure::Changed(format!("job {}", job.id)));
    }
    ledger.note(job.batch, from, to, change.results);
    Ok(())
}

/// Ends a running attempt without results; its job waits again or is quarantined, as the event says.
pub(super) async fn end_attempt(
    tx: &mut Tx,
    ledger: &mut Ledger,
    attempt: &AttemptRow,
    to: AttemptState,
    (event, reason): (JobEvent, &str),
    now: Moment,
) -> Result<(), Failure> {
    let ended = Move { event, holder: None, reason, results: Counted::default() };
    make(tx, ledger, &attempt.job, &ended, now).await?;
    close_attempt(tx, attempt.facts.id, to, reason, now).await
}

/// Notes that a running attempt ended.
pub(super) async fn close_attempt(
    tx: &mut Tx,
    attempt: AttemptId,
    to: AttemptState,
    reason: &str,
    now: Moment,
) -> Result<(), Failure> {
    let end = params! { "attempt" => attempt, "to" => to.word(), "reason" => reason, "now" => now };
    match tx.change(sql::END_ATTEMPT, end).await? {
        1 => Ok(()),
        _ => Err(Failure::Changed(format!("attempt {attempt}"))),
    }
}
