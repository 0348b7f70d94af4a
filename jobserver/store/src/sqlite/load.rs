//! Loads what verbs need into the working set.
//!
//! A job brings its lane, its batch and its plugin's type with it, unless they are there. Nothing is locked: the writer is
//! the only one who changes the database, and its transaction began as one that writes.

use std::sync::Arc;

use nightshift_rules::{gates::Lane, sizing::Measured};
use nightshift_wire::{AttemptId, AttemptState, BatchId, ErrorRate, JobId, JobState, Machine, Requirements};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{
    columns::{self, Column},
    failure::Failure,
    sql,
};
use crate::work::{
    leases::OVER_AT_ONCE,
    queue::{BLOCK, OpenLane, Waiting},
    rows::{AttemptRow, BatchCounts, BatchRow, JobRow, LaneId, LaneRow, TypeRow, WorkerRow},
    set::{Need, WorkingSet},
};

/// Loads one thing, unless it is there.
pub(super) fn load(connection: &Connection, set: &mut WorkingSet, need: &Need) -> Result<(), Failure> {
    match need {
        Need::Attempt(id) => attempt(connection, set, *id),
        Need::Job(id) => job(connection, set, *id),
        Need::Batch(id) => batch(connection, set, *id),
        Need::Worker(worker) => {
            if !set.has_worker(worker) {
                set.load_worker(worker, read_worker(connection, worker)?);
            }
            Ok(())
        }
        Need::Type(plugin) => job_type(connection, set, plugin),
        Need::Lane(batch, kind) => {
            let lane = lane_like(connection, *batch, kind)?;
            set.load_lane(lane);
            Ok(())
        }
        Need::Held(worker) => {
            if !set.has_held(worker) {
                let held = ids(connection, sql::RUNNING_ATTEMPTS, named_params! { ":worker": worker })?;
                set.load_held(worker, held);
            }
            Ok(())
        }
        Need::Over(now) => {
            let over = named_params! { ":now": now, ":limit": OVER_AT_ONCE };
            set.load_over(ids(connection, sql::ATTEMPTS_OVER, over)?);
            Ok(())
        }
        Need::Lanes => {
            set.load_lanes(open_lanes(connection)?);
            Ok(())
        }
        Need::Block { lane, from } => {
            set.load_block(*lane, *from, &waiting(connection, *lane, *from)?);
            Ok(())
        }
    }
}

/// The number of the next attempt.
pub(super) fn next_attempt(connection: &Connection) -> Result<AttemptId, Failure> {
    Ok(connection.prepare_cached(sql::NEXT_ATTEMPT)?.query_row([], |row| row.get(0))?)
}

fn attempt(connection: &Connection, set: &mut WorkingSet, id: AttemptId) -> Result<(), Failure> {
    if set.has_attempt(id) {
        return Ok(());
    }
    let row = read_attempt(connection, id)?;
    let its_job = row.as_ref().map(|row| row.job);
    set.load_attempt(id, row);
    its_job.map_or(Ok(()), |its_job| job(connection, set, its_job))
}

/// An attempt; `None` when there is none.
pub(super) fn read_attempt(connection: &Connection, id: AttemptId) -> Result<Option<AttemptRow>, Failure> {
    let row = connection
        .prepare_cached(sql::ATTEMPT)?
        .query_row(named_params! { ":attempt": id }, |row| {
            Ok(AttemptRow {
                id,
                job: row.get("job_id")?,
                secret: row.get("secret")?,
                worker: row.get("worker")?,
                revision: row.get("revision")?,
                release: row.get("release")?,
                commit: row.get("release_commit")?,
                state: row.get::<_, Column<AttemptState>>("state")?.0,
                reason: row.get("reason")?,
                lease_ms: row.get("lease_ms")?,
                lease_until: row.get("lease_until")?,
                records_done: row.get("records_done")?,
                work_ms: row.get("work_ms")?,
                position: columns::reached(row)?,
                started_at: row.get("started_at")?,
                ended_at: row.get("ended_at")?,
            })
        })
        .optional()?;
    Ok(row)
}

/// A job; `None` when there is none.
pub(super) fn read_job(connection: &Connection, id: JobId) -> Result<Option<JobRow>, Failure> {
    Ok(connection.prepare_cached(sql::JOB)?.query_row(named_params! { ":job": id }, job_row).optional()?)
}

fn job(connection: &Connection, set: &mut WorkingSet, id: JobId) -> Result<(), Failure> {
    if set.has_job(id) {
        return Ok(());
    }
    let row = read_job(connection, id)?;
    if let Some(row) = &row {
        if !set.has_lane(row.lane) {
            let found = connection.prepare_cached(sql::LANE)?.query_row(named_params! { ":lane": row.lane }, lane_row);
            let lane = lane(found?)?;
            let plugin = lane.kind.plugin.clone();
            set.load_lane(lane);
            job_type(connection, set, &plugin)?;
        }
        batch(connection, set, row.batch)?;
    }
    set.load_job(id, row);
    Ok(())
}

fn job_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let attempt: Option<AttemptId> = row.get("attempt_id")?;
    let worker: Option<String> = row.get("worker")?;
    Ok(JobRow {
        id: row.get("id")?,
        batch: row.get("batch_id")?,
        seq: row.get("seq")?,
        lane: row.get("lane_id")?,
        state: row.get::<_, Column<JobState>>("state")?.0,
        reason: row.get("reason")?,
        revision: row.get("revision")?,
        first_record: row.get("first_record")?,
        records: row.get("records")?,
        errors: row.get("errors")?,
        pickups: row.get("pickups")?,
        failures: row.get("failures")?,
        losses: row.get("losses")?,
        not_before: row.get("not_before")?,
        holder: attempt.zip(worker),
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn batch(connection: &Connection, set: &mut WorkingSet, id: BatchId) -> Result<(), Failure> {
    if set.has_batch(id) {
        return Ok(());
    }
    let row = connection
        .prepare_cached(sql::BATCH_AT_WORK)?
        .query_row(named_params! { ":batch": id }, |row| {
            Ok(BatchRow {
                id,
                suspended: row.get("suspended")?,
                lease_ms: row.get("lease_ms")?,
                max_attempts: row.get("max_attempts")?,
                error_rate: ErrorRate::per_mille(row.get("error_rate")?),
                position: columns::position(row)?.map(Arc::new),
                counts: BatchCounts {
                    running: row.get("jobs_running")?,
                    done: row.get("jobs_done")?,
                    quarantined: row.get("jobs_quarantined")?,
                    suspended: row.get("jobs_suspended")?,
                    deleted: row.get("jobs_deleted")?,
                    results: row.get("results")?,
                    errors: row.get("errors")?,
                    judged_results: row.get("judged_results")?,
                    judged_errors: row.get("judged_errors")?,
                },
                counted_at: row.get("counted_at")?,
            })
        })
        .optional()?;
    set.load_batch(id, row);
    Ok(())
}

fn job_type(connection: &Connection, set: &mut WorkingSet, plugin: &str) -> Result<(), Failure> {
    if set.has_type(plugin) {
        return Ok(());
    }
    let row = connection
        .prepare_cached(sql::JOB_TYPE)?
        .query_row(named_params! { ":plugin": plugin }, |row| {
            Ok(TypeRow {
                plugin: plugin.to_owned(),
                measured: Measured { records: row.get("records")?, work_ms: row.get("work_ms")? },
                sampled: Measured { records: row.get("sampled_records")?, work_ms: row.get("sampled_ms")? },
                accepted_at: row.get("accepted_at")?,
            })
        })
        .optional()?;
    set.load_type(plugin, row);
    Ok(())
}

/// A lane as its columns stand, requirements still as text.
type LaneColumns = (LaneId, BatchId, String, i32, String);

fn lane_row(row: &Row<'_>) -> rusqlite::Result<LaneColumns> {
    Ok((row.get("id")?, row.get("batch_id")?, row.get("plugin")?, row.get("priority")?, row.get("requirements")?))
}

fn lane((id, batch, plugin, priority, requirements): LaneColumns) -> Result<LaneRow, Failure> {
    let requirements: Requirements = serde_json::from_str(&requirements)?;
    Ok(LaneRow { id, batch, kind: Lane { plugin, priority, requirements } })
}

/// The lane of a batch for such jobs, made when there is none.
pub(super) fn lane_like(connection: &Connection, batch: BatchId, kind: &Lane) -> Result<LaneRow, Failure> {
    let requirements = serde_json::to_string(&kind.requirements)?;
    let like = named_params! {
        ":batch": batch,
        ":plugin": kind.plugin,
        ":priority": kind.priority,
        ":requirements": requirements,
    };
    let found = connection.prepare_cached(sql::LANE_LIKE)?.query_row(like, lane_row).optional()?;
    if let Some(found) = found {
        return lane(found);
    }
    connection.prepare_cached(sql::INSERT_LANE)?.execute(like)?;
    Ok(LaneRow { id: connection.last_insert_rowid(), batch, kind: kind.clone() })
}

fn open_lanes(connection: &Connection) -> Result<Vec<OpenLane>, Failure> {
    let open: Vec<(LaneColumns, bool)> = connection
        .prepare_cached(sql::OPEN_LANES)?
        .query_map([], |row| Ok((lane_row(row)?, row.get("suspended")?)))?
        .collect::<Result<_, _>>()?;
    open.into_iter().map(|(columns, suspended)| Ok(OpenLane { lane: lane(columns)?, suspended })).collect()
}

fn waiting(connection: &Connection, lane: LaneId, from: u64) -> Result<Vec<Waiting>, Failure> {
    let waiting = connection
        .prepare_cached(sql::WAITING_JOBS)?
        .query_map(named_params! { ":lane": lane, ":from": from, ":limit": BLOCK }, |row| {
            Ok(Waiting { job: row.get("id")?, seq: row.get("seq")?, not_before: row.get("not_before")? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(waiting)
}

fn read_worker(connection: &Connection, worker: &str) -> Result<Option<WorkerRow>, Failure> {
    let mut query = connection.prepare_cached(sql::WORKER_AT_WORK)?;
    let mut rows = query.query(named_params! { ":worker": worker })?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let failing_job: Option<JobId> = row.get("failing_job")?;
    Ok(Some(WorkerRow {
        worker: worker.to_owned(),
        name: row.get("name")?,
        plugins: serde_json::from_str(text("plugins")?)?,
        machine: Machine { memory_mb: row.get("memory_mb")?, disk_mb: row.get("disk_mb")? },
        tags: serde_json::from_str(text("tags")?)?,
        drained: row.get("drained")?,
        failures_in_row: row.get("failures_in_row")?,
        failing: failing_job.zip(row.get("failing_since")?),
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        jobs_done: row.get("jobs_done")?,
        records_done: row.get("records_done")?,
    }))
}

fn ids(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<i64>, Failure> {
    let ids = connection.prepare_cached(sql)?.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}
