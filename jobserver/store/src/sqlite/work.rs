//! Work goes out and comes back: claims, heartbeats, submissions, give-backs, leases that run out.
//!
//! Each function finds the facts, asks `jobserver/rules`, and writes the answer down inside the verb's savepoint.

use std::cmp::Reverse;

use nightshift_rules::{
    acceptance::{self, Verdict},
    attempt::AttemptState,
    lease::{self, Beat},
    life::JobEvent,
    retry,
};
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, GiveBackCause, Heartbeat, JobId, Lease, Moment, Outcome, Provenance,
    Receipt, RecordId, Submission,
};
use rusqlite::{Connection, Params, named_params};

use super::{
    columns::Column,
    failure::Failure,
    moves::{self, AttemptRow, Counted, JobRow, Move},
    sql,
};
use crate::{LostAttempt, Refusal};

/// So many leases are taken back in one step.
const EXPIRED_AT_ONCE: u32 = 200;

pub(super) fn claim(
    connection: &Connection,
    request: &ClaimRequest,
    secret: String,
    now: Moment,
) -> Result<Option<Claim>, Failure> {
    for attempt in ids(connection, sql::RUNNING_ATTEMPTS, named_params! { ":worker": request.worker })? {
        if !request.holding.contains(&attempt) {
            let reason = format!("worker {} no longer has attempt {attempt}", request.worker);
            lose(connection, attempt, &reason, now)?;
        }
    }

    let Some(job) = next_job(connection, &request.plugins)? else {
        return Ok(None);
    };
    let lease_ms = lease::length(job.facts.records, job.measured, job.lease_ms);
    connection.prepare_cached(sql::INSERT_ATTEMPT)?.execute(named_params! {
        ":job": job.id,
        ":secret": secret,
        ":worker": request.worker,
        ":revision": job.facts.revision,
        ":release": request.release,
        ":commit": request.commit,
        ":lease_ms": lease_ms,
        ":lease_until": lease::renew(now, lease_ms),
        ":now": now,
    })?;
    let attempt = connection.last_insert_rowid();
    let holder = Some((attempt, request.worker.as_str()));
    let claimed = Move { event: JobEvent::Claimed, holder, reason: "", results: Counted::default() };
    moves::make(connection, &job, &claimed, now)?;
    see_worker(connection, &request.worker, now)?;
    Ok(Some(Claim {
        attempt,
        secret,
        job: job.id,
        revision: job.facts.revision,
        batch: job.batch,
        plugin: job.plugin,
        records: job.facts.records,
        lease_ms,
    }))
}

/// The waiting job of the highest priority, then the lowest number, among these plugins.
fn next_job(connection: &Connection, plugins: &[String]) -> Result<Option<JobRow>, Failure> {
    let mut next: Option<JobRow> = None;
    for plugin in plugins {
        let first = JobRow::next(connection, plugin)?;
        next = next.into_iter().chain(first).min_by_key(|job| (Reverse(job.priority), job.id));
    }
    Ok(next)
}

pub(super) fn heartbeat(
    connection: &Connection,
    attempt: AttemptId,
    heartbeat: &Heartbeat,
    now: Moment,
) -> Result<Lease, Failure> {
    let (attempt, job) = AttemptRow::prove(connection, attempt, &heartbeat.secret)?;
    match lease::heartbeat(&job.facts, &attempt.facts) {
        Beat::Renew => {}
        Beat::TakeUp => {
            let holder = Some((attempt.facts.id, attempt.worker.as_str()));
            let taken_up = Move { event: JobEvent::TakenUp, holder, reason: "", results: Counted::default() };
            moves::make(connection, &job, &taken_up, now)?;
        }
        Beat::NotWanted(reason) => return Ok(Lease { lease_ms: None, reason: reason.to_string() }),
    }
    connection.prepare_cached(sql::RENEW_LEASE)?.execute(named_params! {
        ":attempt": attempt.facts.id,
        ":lease_until": lease::renew(now, attempt.lease_ms),
        ":records_done": heartbeat.done.min(job.facts.records),
    })?;
    see_worker(connection, &attempt.worker, now)?;
    Ok(Lease { lease_ms: Some(attempt.lease_ms), reason: String::new() })
}

/// A submission, its results turned into text columns before the writer's turn comes.
pub(super) struct Submitted {
    secret: String,
    provenance: Provenance,
    results: Vec<ResultRow>,
    counted: Counted,
}

struct ResultRow {
    record: RecordId,
    value: Option<String>,
    error: Option<String>,
}

impl Submitted {
    pub(super) fn new(submission: Submission) -> Result<Submitted, Failure> {
        let mut results = Vec::with_capacity(submission.results.len());
        let mut counted = Counted::default();
        for result in submission.results {
            counted.results += 1;
            let (value, error) = match result.outcome {
                Outcome::Ok(values) => (Some(serde_json::to_string(&values)?), None),
                Outcome::Error(error) => {
                    counted.errors += 1;
                    (None, Some(error))
                }
            };
            results.push(ResultRow { record: result.id, value, error });
        }
        // A worker's clock may say anything; no job takes longer than the longest lease.
        let work_ms = submission.provenance.work_ms.min(lease::CEILING_MS);
        let provenance = Provenance { work_ms, ..submission.provenance };
        Ok(Submitted { secret: submission.secret, provenance, results, counted })
    }
}

pub(super) fn submit(
    connection: &Connection,
    attempt: AttemptId,
    submitted: &Submitted,
    now: Moment,
) -> Result<Receipt, Failure> {
    let (attempt, job) = AttemptRow::prove(connection, attempt, &submitted.secret)?;
    match acceptance::judge(&job.facts, &attempt.facts, submitted.results.iter().map(|result| result.record)) {
        Verdict::Accept => accept(connection, &job, &attempt, submitted, now)?,
        Verdict::Repeated => return Ok(Receipt { job: job.id, repeated: true }),
        Verdict::NotWanted(reason) => return Err(Refusal::NotWanted(reason).into()),
        Verdict::WrongResults(wrong) => return Err(Refusal::WrongResults(wrong).into()),
    }
    Ok(Receipt { job: job.id, repeated: false })
}

/// Stores the results and completes the job, whoever holds it.
fn accept(
    connection: &Connection,
    job: &JobRow,
    attempt: &AttemptRow,
    submitted: &Submitted,
    now: Moment,
) -> Result<(), Failure> {
    let id = attempt.facts.id;
    if let Some(other) = job.facts.attempt.filter(|&holder| holder != id) {
        let reason = format!("the results of attempt {id} were accepted first");
        moves::close_attempt(connection, other, AttemptState::Superseded, &reason, now)?;
    }
    let accepted = connection.prepare_cached(sql::ACCEPT_ATTEMPT)?.execute(named_params! {
        ":attempt": id,
        ":from": Column(attempt.facts.state),
        ":release": submitted.provenance.release,
        ":commit": submitted.provenance.commit,
        ":work_ms": submitted.provenance.work_ms,
        ":records": job.facts.records,
        ":now": now,
    })?;
    if accepted != 1 {
        return Err(Failure::Contradiction(format!("attempt {id} changed while it was being accepted")));
    }
    let mut insert = connection.prepare_cached(sql::INSERT_RESULT)?;
    for result in &submitted.results {
        insert.execute(named_params! {
            ":record": result.record,
            ":job": job.id,
            ":attempt": id,
            ":result": result.value,
            ":error": result.error,
        })?;
    }
    let holder = Some((id, attempt.worker.as_str()));
    let done = Move { event: JobEvent::Accepted, holder, reason: "", results: submitted.counted };
    moves::make(connection, job, &done, now)?;

    let measured = job.measured.with(job.facts.records, submitted.provenance.work_ms);
    connection.prepare_cached(sql::SET_MEASURED)?.execute(named_params! {
        ":plugin": job.plugin,
        ":records": measured.records,
        ":work_ms": measured.work_ms,
    })?;
    let mut credit = connection.prepare_cached(sql::CREDIT_WORKER)?;
    let credited = named_params! { ":worker": attempt.worker, ":records": job.facts.records, ":now": now };
    if credit.execute(credited)? == 0 {
        see_worker(connection, &attempt.worker, now)?;
        credit.execute(credited)?;
    }
    Ok(())
}

pub(super) fn give_back(
    connection: &Connection,
    attempt: AttemptId,
    give_back: &GiveBack,
    now: Moment,
) -> Result<(), Failure> {
    let (attempt, job) = AttemptRow::prove(connection, attempt, &give_back.secret)?;
    if attempt.facts.state != AttemptState::Running {
        return Ok(());
    }
    let event = match give_back.cause {
        GiveBackCause::Stopped => JobEvent::Stopped,
        GiveBackCause::Failed => retry::after_failure(job.failures.saturating_add(1), job.max_attempts),
    };
    let reason = match give_back.reason.trim() {
        "" => format!("worker {} gave it back without a reason", attempt.worker),
        reason => reason.to_owned(),
    };
    moves::end_attempt(connection, &attempt, AttemptState::GivenBack, &job, (event, &reason), now)?;
    see_worker(connection, &attempt.worker, now)
}

/// The clock may have gone back: leases given by a later one would keep the jobs of workers that are gone until it is
/// there again.
pub(super) fn shorten_leases(connection: &Connection, now: Moment) -> Result<(), Failure> {
    connection.prepare_cached(sql::SHORTEN_LEASES)?.execute(named_params! { ":now": now })?;
    Ok(())
}

pub(super) fn expire(connection: &Connection, now: Moment) -> Result<Vec<LostAttempt>, Failure> {
    let over = ids(connection, sql::ATTEMPTS_OVER, named_params! { ":now": now, ":limit": EXPIRED_AT_ONCE })?;
    over.into_iter()
        .map(|attempt| {
            let reason = format!("the lease of attempt {attempt} ran out");
            let (job, worker) = lose(connection, attempt, &reason, now)?;
            Ok(LostAttempt { attempt, job, worker })
        })
        .collect()
}

/// Takes a running attempt's job back.
fn lose(connection: &Connection, attempt: AttemptId, reason: &str, now: Moment) -> Result<(JobId, String), Failure> {
    let (attempt, job) = AttemptRow::read(connection, attempt)?;
    moves::end_attempt(connection, &attempt, AttemptState::Lost, &job, (JobEvent::Lost, reason), now)?;
    Ok((job.id, attempt.worker))
}

fn see_worker(connection: &Connection, worker: &str, now: Moment) -> Result<(), Failure> {
    let seen = named_params! { ":worker": worker, ":now": now };
    if connection.prepare_cached(sql::SEE_WORKER)?.execute(seen)? == 0 {
        connection.prepare_cached(sql::MEET_WORKER)?.execute(seen)?;
    }
    Ok(())
}

fn ids(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<i64>, Failure> {
    let ids = connection.prepare_cached(sql)?.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}
