//! A job moves: the one place where a job's state, its attempt and its batch's counters change together.
//!
//! The procedure: read the job; ask the rules what the event leads to; write it if the job is still as it was read; count
//! the move in its batch. All of it in the verb's savepoint.

use nightshift_rules::{
    attempt::{AttemptFacts, AttemptState, JobFacts},
    life::{self, JobEvent},
    sizing::Measured,
};
use nightshift_wire::{AttemptId, BatchId, JobId, JobState, Moment};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{columns::Column, failure::Failure, sql};
use crate::Refusal;

/// A job as it was read.
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) batch: BatchId,
    pub(super) plugin: String,
    pub(super) priority: i32,
    pub(super) facts: JobFacts,
    pub(super) failures: u32,
    pub(super) lease_ms: u64,
    pub(super) max_attempts: u32,
    /// How fast its plugin is.
    pub(super) measured: Measured,
}

impl JobRow {
    /// The waiting job of a plugin that goes out next.
    pub(super) fn next(connection: &Connection, plugin: &str) -> Result<Option<JobRow>, Failure> {
        let mut query = connection.prepare_cached(sql::NEXT_JOB)?;
        Ok(query.query_row(named_params! { ":plugin": plugin }, JobRow::of).optional()?)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<JobRow> {
        Ok(JobRow {
            id: row.get("id")?,
            batch: row.get("batch_id")?,
            plugin: row.get("plugin")?,
            priority: row.get("priority")?,
            facts: JobFacts {
                state: row.get::<_, Column<JobState>>("state")?.0,
                revision: row.get("revision")?,
                attempt: row.get("attempt_id")?,
                first_record: row.get("first_record")?,
                records: row.get("records")?,
            },
            failures: row.get("failures")?,
            lease_ms: row.get("lease_ms")?,
            max_attempts: row.get("max_attempts")?,
            measured: Measured {
                records: row.get::<_, Option<u64>>("measured_records")?.unwrap_or_default(),
                work_ms: row.get::<_, Option<u64>>("measured_ms")?.unwrap_or_default(),
            },
        })
    }
}

/// An attempt as it was read.
pub(super) struct AttemptRow {
    pub(super) facts: AttemptFacts,
    pub(super) worker: String,
    pub(super) lease_ms: u64,
    secret: String,
}

impl AttemptRow {
    /// Reads an attempt and its job.
    pub(super) fn read(connection: &Connection, attempt: AttemptId) -> Result<(AttemptRow, JobRow), Failure> {
        connection
            .prepare_cached(sql::ATTEMPT)?
            .query_row(named_params! { ":attempt": attempt }, |row| {
                let attempt = AttemptRow {
                    facts: AttemptFacts {
                        id: row.get("attempt")?,
                        state: row.get::<_, Column<AttemptState>>("attempt_state")?.0,
                        revision: row.get("attempt_revision")?,
                    },
                    worker: row.get("attempt_worker")?,
                    lease_ms: row.get("attempt_lease_ms")?,
                    secret: row.get("secret")?,
                };
                Ok((attempt, JobRow::of(row)?))
            })
            .optional()?
            .ok_or(Failure::Refused(Refusal::NoSuchAttempt(attempt)))
    }

    /// Reads an attempt and its job for somebody who claims to be its worker.
    pub(super) fn prove(
        connection: &Connection,
        attempt: AttemptId,
        secret: &str,
    ) -> Result<(AttemptRow, JobRow), Failure> {
        let (row, job) = AttemptRow::read(connection, attempt)?;
        if row.secret == secret { Ok((row, job)) } else { Err(Refusal::WrongSecret(attempt).into()) }
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

/// Moves a job as the rules say.
pub(super) fn make(connection: &Connection, job: &JobRow, change: &Move<'_>, now: Moment) -> Result<(), Failure> {
    let from = job.facts.state;
    let to = life::after(from, change.event)?;
    let claimed = change.event == JobEvent::Claimed;
    let failed = matches!(change.event, JobEvent::Failed | JobEvent::GivenUp);
    let changed = connection.prepare_cached(sql::MOVE_JOB)?.execute(named_params! {
        ":job": job.id,
        ":from": Column(from),
        ":revision": job.facts.revision,
        ":held_by": job.facts.attempt,
        ":to": Column(to),
        ":reason": change.reason,
        ":attempt": change.holder.map(|(attempt, _)| attempt),
        ":worker": change.holder.map(|(_, worker)| worker),
        ":pickups": i64::from(claimed),
        ":failures": i64::from(failed),
        ":started_at": claimed.then_some(now),
        ":finished_at": (to == JobState::Done).then_some(now),
    })?;
    if changed != 1 {
        return Err(Failure::Contradiction(format!("job {} changed while it was being changed", job.id)));
    }
    let difference = |state: JobState| i64::from(to == state) - i64::from(from == state);
    connection.prepare_cached(sql::COUNT_MOVE)?.execute(named_params! {
        ":batch": job.batch,
        ":running": difference(JobState::Running),
        ":done": difference(JobState::Done),
        ":quarantined": difference(JobState::Quarantined),
        ":results": change.results.results,
        ":errors": change.results.errors,
        ":now": now,
    })?;
    Ok(())
}

/// Ends a running attempt without results; its job waits again or is quarantined, as the event says.
pub(super) fn end_attempt(
    connection: &Connection,
    attempt: &AttemptRow,
    to: AttemptState,
    job: &JobRow,
    (event, reason): (JobEvent, &str),
    now: Moment,
) -> Result<(), Failure> {
    close_attempt(connection, attempt.facts.id, to, reason, now)?;
    make(connection, job, &Move { event, holder: None, reason, results: Counted::default() }, now)
}

/// Notes that a running attempt ended.
pub(super) fn close_attempt(
    connection: &Connection,
    attempt: AttemptId,
    to: AttemptState,
    reason: &str,
    now: Moment,
) -> Result<(), Failure> {
    let ended = connection
        .prepare_cached(sql::END_ATTEMPT)?
        .execute(named_params! { ":attempt": attempt, ":to": Column(to), ":reason": reason, ":now": now })?;
    if ended == 1 { Ok(()) } else { Err(Failure::Contradiction(format!("attempt {attempt} was not running"))) }
}
