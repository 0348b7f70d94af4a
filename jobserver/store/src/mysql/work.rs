//! Work goes out and comes back: claims, heartbeats, submissions, give-backs, leases that run out.
//!
//! Each function finds the facts, asks `jobserver/rules`, and writes the answer down in one transaction. When the commit
//! of an earlier round is in doubt, it first looks whether the work is done.

use mysql_async::params;
use nightshift_rules::{
    acceptance::{self, Verdict},
    attempt::AttemptState,
    lease::{self, Beat},
    life::JobEvent,
    retry,
    sizing::Measured,
};
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, GiveBackCause, Heartbeat, JobId, Lease, Moment, Outcome, Provenance,
    Receipt, RecordId, Submission,
};

use super::{
    connection::Tx,
    failure::Failure,
    moves::{self, AttemptRow, Counted, JobRow, Ledger, Move},
    rows::{self, RowOf},
    sql,
};
use crate::{LostAttempt, Refusal, words::Word as _};

/// So many leases are taken back in one step.
const EXPIRED_AT_ONCE: u32 = 200;

pub(super) async fn claim(
    tx: &mut Tx,
    request: &ClaimRequest,
    secret: &str,
    now: Moment,
    in_doubt: bool,
) -> Result<Option<Claim>, Failure> {
    if in_doubt && let Some(claim) = claimed_before(tx, request, secret).await? {
        return Ok(Some(claim));
    }
    let mut ledger = Ledger::default();
    let not_held = params! { "worker" => &request.worker, "holding" => serde_json::to_string(&request.holding)? };
    for attempt in ids(tx, sql::ATTEMPTS_NOT_HELD, not_held).await? {
        let reason = format!("worker {} no longer has attempt {attempt}", request.worker);
        lose(tx, &mut ledger, attempt, &reason, now).await?;
    }
    let claim = match next_job(tx, &request.plugins).await? {
        None => None,
        Some(job) => Some(begin_attempt(tx, &mut ledger, job, request, secret, now).await?),
    };
    ledger.settle(tx, now).await?;
    Ok(claim)
}

/// The job that a worker with these plugins gets, locked.
///
/// Each plugin's first job is looked at without a lock, and locks are tried in that order until what is locked is better
/// than anything left: with nobody else about, that is the first.
async fn next_job(tx: &mut Tx, plugins: &[String]) -> Result<Option<JobId>, Failure> {
    let mut first: Vec<((i64, JobId), &String)> = Vec::with_capacity(plugins.len());
    match plugins {
        [only] => first.push(((i64::MIN, JobId::MIN), only)),
        several => {
            for plugin in several {
                if let Some(place) = place(tx, sql::FIRST_WAITING, plugin).await? {
                    first.push((place, plugin));
                }
            }
        }
    }
    first.sort_unstable();
    first.dedup();
    let mut best: Option<(i64, JobId)> = None;
    for (place_seen, plugin) in first {
        if best.is_some_and(|best| best < place_seen) {
            break;
        }
        if let Some(locked) = place(tx, sql::NEXT_JOB, plugin).await? {
            best = Some(best.map_or(locked, |best| best.min(locked)));
        }
    }
    Ok(best.map(|(_, job)| job))
}

/// Where a plugin's first job stands among all: lower goes first.
async fn place(tx: &mut Tx, sql: &str, plugin: &str) -> Result<Option<(i64, JobId)>, Failure> {
    match tx.first(sql, params! { "plugin" => plugin }).await? {
        None => Ok(None),
        Some(mut row) => Ok(Some((-row.get::<i64>("priority")?, row.get("id")?))),
    }
}

async fn begin_attempt(
    tx: &mut Tx,
    ledger: &mut Ledger,
    job: JobId,
    request: &ClaimRequest,
    secret: &str,
    now: Moment,
) -> Result<Claim, Failure> {
    let job = JobRow::read(tx, job).await?;
    let measured = measured(tx, &job.plugin).await?;
    let lease_ms = lease::length(job.facts.records, measured, job.lease_ms);
    let new = params! {
        "job" => job.id,
        "secret" => secret,
        "worker" => &request.worker,
        "revision" => job.facts.revision,
        "release" => &request.release,
        "commit" => &request.commit,
        "lease_ms" => lease_ms,
        "lease_until" => lease::renew(now, lease_ms),
        "now" => now,
    };
    let attempt = tx.insert(sql::INSERT_ATTEMPT, new).await?;
    let holder = Some((attempt, request.worker.as_str()));
    let claimed = Move { event: JobEvent::Claimed, holder, reason: "", results: Counted::default() };
    moves::make(tx, ledger, &job, &claimed, now).await?;
    see_worker(tx, &request.worker, now).await?;
    Ok(answer(job, attempt, secret, lease_ms))
}

fn answer(job: JobRow, attempt: AttemptId, secret: &str, lease_ms: u64) -> Claim {
    Claim {
        attempt,
        secret: secret.to_owned(),
        job: job.id,
        revision: job.facts.revision,
        batch: job.batch,
        plugin: job.plugin,
        records: job.facts.records,
        lease_ms,
    }
}

/// The claim of an earlier round, when it was committed after all.
async fn claimed_before(tx: &mut Tx, request: &ClaimRequest, secret: &str) -> Result<Option<Claim>, Failure> {
    let before = tx.first(sql::CLAIMED_BEFORE, params! { "worker" => &request.worker, "secret" => secret }).await?;
    let Some(mut before) = before else { return Ok(None) };
    let job = JobRow::read(tx, before.get("job_id")?).await?;
    Ok(Some(answer(job, before.get("id")?, secret, before.get("lease_ms")?)))
}

pub(super) async fn heartbeat(
    tx: &mut Tx,
    attempt: AttemptId,
    heartbeat: &Heartbeat,
    now: Moment,
) -> Result<Lease, Failure> {
    let attempt = AttemptRow::prove(tx, attempt, &heartbeat.secret).await?;
    let mut ledger = Ledger::default();
    match lease::heartbeat(&attempt.job.facts, &attempt.facts) {
        Beat::Renew => {}
        Beat::TakeUp => {
            let holder = Some((attempt.facts.id, attempt.worker.as_str()));
            let taken_up = Move { event: JobEvent::TakenUp, holder, reason: "", results: Counted::default() };
            moves::make(tx, &mut ledger, &attempt.job, &taken_up, now).await?;
        }
        Beat::NotWanted(reason) => return Ok(Lease { lease_ms: None, reason: reason.to_string() }),
    }
    let renewed = params! {
        "attempt" => attempt.facts.id,
        "from" => attempt.facts.state.word(),
        "lease_until" => lease::renew(now, attempt.lease_ms),
        "records_done" => heartbeat.done.min(attempt.job.facts.records),
    };
    if tx.change(sql::RENEW_LEASE, renewed).await? != 1 {
        return Err(Failure::Changed(format!("attempt {}", attempt.facts.id)));
    }
    see_worker(tx, &attempt.worker, now).await?;
    ledger.settle(tx, now).await?;
    Ok(Lease { lease_ms: Some(attempt.lease_ms), reason: String::new() })
}

/// A submission, its results turned into text columns before the transaction begins.
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
        // In the order of their keys, which is the order of the table: the fastest, and the same for everybody.
        results.sort_unstable_by_key(|result| result.record);
        // A worker's clock may say anything; no job takes longer than the longest lease.
        let work_ms = submission.provenance.work_ms.min(lease::CEILING_MS);
        let provenance = Provenance { work_ms, ..submission.provenance };
        Ok(Submitted { secret: submission.secret, provenance, results, counted })
    }
}

pub(super) async fn submit(
    tx: &mut Tx,
    attempt: AttemptId,
    submitted: &Submitted,
    now: Moment,
    in_doubt: bool,
) -> Result<Receipt, Failure> {
    let attempt = AttemptRow::prove(tx, attempt, &submitted.secret).await?;
    let job = attempt.job.id;
    let results = submitted.results.iter().map(|result| result.record);
    match acceptance::judge(&attempt.job.facts, &attempt.facts, results) {
        Verdict::Accept => accept(tx, &attempt, submitted, now).await?,
        // In doubt, it was this very submission that was accepted.
        Verdict::Repeated => return Ok(Receipt { job, repeated: !in_doubt }),
        Verdict::NotWanted(reason) => return Err(Refusal::NotWanted(reason).into()),
        Verdict::WrongResults(wrong) => return Err(Refusal::WrongResults(wrong).into()),
    }
    Ok(Receipt { job, repeated: false })
}

/// Stores the results and completes the job, whoever holds it.
async fn accept(tx: &mut Tx, attempt: &AttemptRow, submitted: &Submitted, now: Moment) -> Result<(), Failure> {
    let (id, job) = (attempt.facts.id, &attempt.job);
    let mut ledger = Ledger::default();
    let holder = Some((id, attempt.worker.as_str()));
    let done = Move { event: JobEvent::Accepted, holder, reason: "", results: submitted.counted };
    moves::make(tx, &mut ledger, job, &done, now).await?;
    if let Some(other) = job.facts.attempt.filter(|&holder| holder != id) {
        let reason = format!("the results of attempt {id} were accepted first");
        moves::close_attempt(tx, other, AttemptState::Superseded, &reason, now).await?;
    }
    let accepted = params! {
        "attempt" => id,
        "from" => attempt.facts.state.word(),
        "release" => &submitted.provenance.release,
        "commit" => &submitted.provenance.commit,
        "work_ms" => submitted.provenance.work_ms,
        "records" => job.facts.records,
        "now" => now,
    };
    if tx.change(sql::ACCEPT_ATTEMPT, accepted).await? != 1 {
        return Err(Failure::Changed(format!("attempt {id}")));
    }
    let row = |result: &ResultRow| -> RowOf<5> {
        [result.record.into(), job.id.into(), id.into(), result.value.as_deref().into(), result.error.as_deref().into()]
    };
    rows::insert(tx, sql::INSERT_RESULT, submitted.results.iter().map(row)).await?;
    see_worker(tx, &attempt.worker, now).await?;
    let credit = params! { "worker" => &attempt.worker, "records" => job.facts.records };
    tx.change(sql::CREDIT_WORKER, credit).await?;
    let measured = measured(tx, &job.plugin).await?.with(job.facts.records, submitted.provenance.work_ms);
    let speed = params! { "plugin" => &job.plugin, "records" => measured.records, "work_ms" => measured.work_ms };
    tx.change(sql::SET_MEASURED, speed).await?;
    ledger.settle(tx, now).await
}

pub(super) async fn give_back(
    tx: &mut Tx,
    attempt: AttemptId,
    give_back: &GiveBack,
    now: Moment,
) -> Result<(), Failure> {
    let attempt = AttemptRow::prove(tx, attempt, &give_back.secret).await?;
    if attempt.facts.state != AttemptState::Running {
        return Ok(());
    }
    let event = match give_back.cause {
        GiveBackCause::Stopped => JobEvent::Stopped,
        GiveBackCause::Failed => retry::after_failure(attempt.job.failures.saturating_add(1), attempt.job.max_attempts),
    };
    let reason = match give_back.reason.trim() {
        "" => format!("worker {} gave it back without a reason", attempt.worker),
        reason => reason.to_owned(),
    };
    let mut ledger = Ledger::default();
    moves::end_attempt(tx, &mut ledger, &attempt, AttemptState::GivenBack, (event, &reason), now).await?;
    see_worker(tx, &attempt.worker, now).await?;
    ledger.settle(tx, now).await
}

/// The clock may have gone back: leases given by a later one would keep the jobs of workers that are gone until it is
/// there again.
pub(super) async fn shorten_leases(tx: &mut Tx, now: Moment) -> Result<(), Failure> {
    tx.change(sql::SHORTEN_LEASES, params! { "now" => now }).await?;
    Ok(())
}

/// `lost_before` is what earlier rounds took back, in case they were committed after all.
pub(super) async fn expire(
    tx: &mut Tx,
    now: Moment,
    lost_before: &mut Vec<LostAttempt>,
    in_doubt: bool,
) -> Result<Vec<LostAttempt>, Failure> {
    if in_doubt && all_lost(tx, lost_before).await? {
        return Ok(lost_before.clone());
    }
    lost_before.clear();
    let mut ledger = Ledger::default();
    for attempt in ids(tx, sql::ATTEMPTS_OVER, params! { "now" => now, "limit" => EXPIRED_AT_ONCE }).await? {
        let reason = format!("the lease of attempt {attempt} ran out");
        let (job, worker) = lose(tx, &mut ledger, attempt, &reason, now).await?;
        lost_before.push(LostAttempt { attempt, job, worker });
    }
    ledger.settle(tx, now).await?;
    Ok(lost_before.clone())
}

async fn all_lost(tx: &mut Tx, attempts: &[LostAttempt]) -> Result<bool, Failure> {
    for lost in attempts {
        let state = tx.first(sql::ATTEMPT_STATE, params! { "attempt" => lost.attempt }).await?;
        let Some(mut state) = state else { return Ok(false) };
        if state.word::<AttemptState>("state")? != AttemptState::Lost {
            return Ok(false);
        }
    }
    Ok(!attempts.is_empty())
}

/// Takes a running attempt's job back.
async fn lose(
    tx: &mut Tx,
    ledger: &mut Ledger,
    attempt: AttemptId,
    reason: &str,
    now: Moment,
) -> Result<(JobId, String), Failure> {
    let attempt = AttemptRow::read(tx, attempt).await?;
    moves::end_attempt(tx, ledger, &attempt, AttemptState::Lost, (JobEvent::Lost, reason), now).await?;
    Ok((attempt.job.id, attempt.worker))
}

async fn measured(tx: &mut Tx, plugin: &str) -> Result<Measured, Failure> {
    match tx.first(sql::MEASURED, params! { "plugin" => plugin }).await? {
        None => Ok(Measured::default()),
        Some(mut row) => Ok(Measured { records: row.get("records")?, work_ms: row.get("work_ms")? }),
    }
}

async fn see_worker(tx: &mut Tx, worker: &str, now: Moment) -> Result<(), Failure> {
    tx.change(sql::SEE_WORKER, params! { "worker" => worker, "now" => now }).await?;
    Ok(())
}

async fn ids(tx: &mut Tx, sql: &str, params: impl Into<mysql_async::Params>) -> Result<Vec<i64>, Failure> {
    tx.all(sql, params).await?.iter_mut().map(|row| row.get("id")).collect()
}
