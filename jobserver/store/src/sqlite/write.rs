//! Writes what a group of verbs changed in the working set.
//!
//! The order: attempts that ended (a job has one running attempt at a time), attempts that run, jobs, results, the
//! batches' counters, workers and plugins' types. Each row is written once, however many verbs changed it.

use nightshift_wire::AttemptState;
use rusqlite::{Connection, named_params};

use super::{columns::Column, failure::Failure, sql};
use crate::work::{
    rows::{AttemptRow, BatchCounts, BatchRow, JobRow, TypeRow, WorkerRow},
    set::{ResultsChange, WorkingSet},
};

/// Writes every change; from then on the set has none.
pub(super) fn write(connection: &Connection, set: &mut WorkingSet) -> Result<(), Failure> {
    let mut attempts: Vec<(&AttemptRow, Option<&AttemptRow>)> = set.changed_attempts().collect();
    let runs_or_is_new = |row: &AttemptRow, new: bool| new || row.state == AttemptState::Running;
    attempts.sort_unstable_by_key(|(row, stored)| (runs_or_is_new(row, stored.is_none()), row.id));
    for (row, stored) in attempts {
        attempt(connection, row, stored)?;
    }
    for (row, stored) in set.changed_jobs() {
        job(connection, row, stored)?;
    }
    for change in set.results() {
        results(connection, change)?;
    }
    for (row, stored) in set.changed_batches() {
        batch(connection, row, stored)?;
    }
    for (row, stored) in set.changed_workers() {
        worker(connection, row, stored)?;
    }
    for (row, _) in set.changed_types() {
        job_type(connection, row)?;
    }
    set.written();
    Ok(())
}

/// A statement that changes the one row it names.
fn one(changed: usize, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if changed == 1 { Ok(()) } else { Err(Failure::Contradiction(format!("{} is gone", what()))) }
}

fn attempt(connection: &Connection, row: &AttemptRow, stored: Option<&AttemptRow>) -> Result<(), Failure> {
    if stored.is_some() {
        let changed = connection.prepare_cached(sql::WRITE_ATTEMPT)?.execute(named_params! {
            ":attempt": row.id,
            ":state": Column(row.state),
            ":reason": row.reason,
            ":release": row.release,
            ":commit": row.commit,
            ":lease_until": row.lease_until,
            ":records_done": row.records_done,
            ":work_ms": row.work_ms,
            ":data_primary": row.position.as_ref().map(|reached| &reached.primary),
            ":data_gtid": row.position.as_ref().map(|reached| &reached.gtid),
            ":ended_at": row.ended_at,
        })?;
        return one(changed, || format!("attempt {}", row.id));
    }
    connection.prepare_cached(sql::INSERT_ATTEMPT)?.execute(named_params! {
        ":attempt": row.id,
        ":job": row.job,
        ":secret": row.secret,
        ":worker": row.worker,
        ":revision": row.revision,
        ":release": row.release,
        ":commit": row.commit,
        ":state": Column(row.state),
        ":reason": row.reason,
        ":lease_ms": row.lease_ms,
        ":lease_until": row.lease_until,
        ":records_done": row.records_done,
        ":work_ms": row.work_ms,
        ":started_at": row.started_at,
        ":ended_at": row.ended_at,
    })?;
    Ok(())
}

fn job(connection: &Connection, row: &JobRow, stored: Option<&JobRow>) -> Result<(), Failure> {
    let changed = connection.prepare_cached(sql::WRITE_JOB)?.execute(named_params! {
        ":job": row.id,
        ":state": Column(row.state),
        ":reason": row.reason,
        ":revision": row.revision,
        ":errors": row.errors,
        ":pickups": row.pickups,
        ":failures": row.failures,
        ":losses": row.losses,
        ":not_before": row.not_before,
        ":attempt": row.holder.as_ref().map(|(attempt, _)| attempt),
        ":worker": row.holder.as_ref().map(|(_, worker)| worker),
        ":started_at": row.started_at,
        ":finished_at": row.finished_at,
    })?;
    one(changed, || format!("job {}", row.id))?;
    if stored.is_some_and(|stored| stored.lane != row.lane) {
        let moved = named_params! { ":job": row.id, ":lane": row.lane };
        connection.prepare_cached(sql::MOVE_TO_LANE)?.execute(moved)?;
    }
    Ok(())
}

fn results(connection: &Connection, change: &ResultsChange) -> Result<(), Failure> {
    match change {
        ResultsChange::Superseded { first, records } => {
            for sql in [sql::SUPERSEDE_RESULTS, sql::DELETE_RESULTS] {
                let of = named_params! { ":first_record": first, ":records": records };
                connection.prepare_cached(sql)?.execute(of)?;
            }
        }
        ResultsChange::Accepted { job, attempt, submitted } => {
            let mut insert = connection.prepare_cached(sql::INSERT_RESULT)?;
            for result in &submitted.results {
                insert.execute(named_params! {
                    ":record": result.record,
                    ":job": job,
                    ":attempt": attempt,
                    ":result": result.value,
                    ":error": result.error,
                })?;
            }
        }
    }
    Ok(())
}

fn batch(connection: &Connection, row: &BatchRow, stored: Option<&BatchRow>) -> Result<(), Failure> {
    let none = BatchCounts::default();
    let more = row.counts.since(stored.map_or(&none, |stored| &stored.counts));
    if more != none {
        let changed = connection.prepare_cached(sql::COUNT_BATCH)?.execute(named_params! {
            ":batch": row.id,
            ":running": more.running,
            ":done": more.done,
            ":quarantined": more.quarantined,
            ":suspended": more.suspended,
            ":deleted": more.deleted,
            ":results": more.results,
            ":errors": more.errors,
            ":judged_results": more.judged_results,
            ":judged_errors": more.judged_errors,
            ":now": row.counted_at,
        })?;
        one(changed, || format!("batch {}", row.id))?;
    }
    if stored.is_some_and(|stored| stored.suspended != row.suspended) {
        let suspended = named_params! { ":batch": row.id, ":reason": row.suspended };
        connection.prepare_cached(sql::SUSPEND_BATCH)?.execute(suspended)?;
    }
    if stored.is_some_and(|stored| stored.error_rate != row.error_rate) {
        let allowed = named_params! { ":batch": row.id, ":error_rate": row.error_rate.as_per_mille() };
        connection.prepare_cached(sql::ALLOW_ERRORS)?.execute(allowed)?;
    }
    Ok(())
}

fn worker(connection: &Connection, row: &WorkerRow, stored: Option<&WorkerRow>) -> Result<(), Failure> {
    let credited = |stored: &WorkerRow| WorkerRow {
        last_seen: row.last_seen,
        jobs_done: row.jobs_done,
        records_done: row.records_done,
        ..stored.clone()
    };
    if stored.is_some_and(|stored| credited(stored) == *row) {
        let changed = connection.prepare_cached(sql::CREDIT_WORKER)?.execute(named_params! {
            ":worker": row.worker,
            ":last_seen": row.last_seen,
            ":jobs_done": row.jobs_done,
            ":records_done": row.records_done,
        })?;
        return one(changed, || format!("worker {}", row.worker));
    }
    let (plugins, tags) = (serde_json::to_string(&row.plugins)?, serde_json::to_string(&row.tags)?);
    let values = named_params! {
        ":worker": row.worker,
        ":name": row.name,
        ":plugins": plugins,
        ":memory_mb": row.machine.memory_mb,
        ":disk_mb": row.machine.disk_mb,
        ":tags": tags,
        ":drained": row.drained,
        ":failures_in_row": row.failures_in_row,
        ":failing_job": row.failing.map(|(job, _)| job),
        ":failing_since": row.failing.map(|(_, since)| since),
        ":last_seen": row.last_seen,
        ":jobs_done": row.jobs_done,
        ":records_done": row.records_done,
    };
    if stored.is_some() {
        let changed = connection.prepare_cached(sql::WRITE_WORKER)?.execute(values)?;
        return one(changed, || format!("worker {}", row.worker));
    }
    let first_seen: &[(&str, &dyn rusqlite::ToSql)] = named_params! { ":first_seen": row.first_seen };
    let all: Vec<(&str, &dyn rusqlite::ToSql)> = values.iter().chain(first_seen).copied().collect();
    connection.prepare_cached(sql::MEET_WORKER)?.execute(all.as_slice())?;
    Ok(())
}

fn job_type(connection: &Connection, row: &TypeRow) -> Result<(), Failure> {
    connection.prepare_cached(sql::WRITE_JOB_TYPE)?.execute(named_params! {
        ":plugin": row.plugin,
        ":records": row.measured.records,
        ":work_ms": row.measured.work_ms,
        ":accepted_at": row.accepted_at,
    })?;
    Ok(())
}
