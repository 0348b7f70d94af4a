//! What workers and people look at; each function sees one snapshot and changes nothing.

use std::collections::{BTreeMap, HashMap};

use nightshift_rules::acceptance;
use nightshift_wire::{
    Attempt, AttemptId, AttemptState, Batch, BatchId, BatchState, ErrorRate, Job, JobFilter, JobHistory, JobId,
    JobPage, JobState, Machine, Moment, Outcome, Record, RecordId, Records, Report, Spool, Worker, WorkerState,
};
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, named_params};

use super::{
    columns::{self, Column},
    failure::Failure,
    load, sql,
};
use crate::{Counts, ExplainFacts, JobResults, RecordWithOutcome, Refusal};

pub(super) fn records(
    connection: &Connection,
    attempt: AttemptId,
    secret: &str,
    asked: &[String],
) -> Result<Records, Failure> {
    let row = load::read_attempt(connection, attempt)?.ok_or(Refusal::NoSuchAttempt(attempt))?;
    if row.secret != secret {
        return Err(Refusal::WrongSecret(attempt).into());
    }
    let job = load::read_job(connection, row.job)?.ok_or(Refusal::NoSuchAttempt(attempt))?;
    acceptance::needed(&job.facts(), &row.facts()).map_err(Refusal::NotWanted)?;
    let columns: String = connection
        .prepare_cached(sql::BATCH_COLUMNS)?
        .query_row(named_params! { ":batch": job.batch }, |row| row.get("columns"))?;
    let columns: Vec<String> = serde_json::from_str(&columns)?;
    let places = if asked.is_empty() { None } else { Some(places(&columns, asked)?) };

    let mut query = connection.prepare_cached(sql::RECORDS)?;
    let mut rows = query.query(named_params! { ":first_record": job.first_record, ":records": job.records })?;
    let mut records = Vec::with_capacity(usize::try_from(job.records).unwrap_or(0));
    while let Some(row) = rows.next()? {
        let id = row.get("id")?;
        let fields = fields(row)?;
        if fields.len() != columns.len() {
            return Err(Failure::Contradiction(format!("record {id} has {} fields", fields.len())));
        }
        let values = match &places {
            None => fields,
            Some(places) => places.iter().map(|&place| fields[place].clone()).collect(),
        };
        records.push(Record { id, values });
    }
    let columns = if places.is_some() { asked.to_vec() } else { columns };
    Ok(Records { columns, records })
}

/// Where the columns asked for stand among all. Tables may be wide, so no column is searched for twice.
fn places(columns: &[String], asked: &[String]) -> Result<Vec<usize>, Refusal> {
    let all: HashMap<&str, usize> = columns.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    asked
        .iter()
        .map(|column| {
            let missing = || Refusal::MissingColumn { column: column.clone(), columns: columns.join(", ") };
            all.get(column.as_str()).copied().ok_or_else(missing)
        })
        .collect()
}

pub(super) fn batches(connection: &Connection, limit: u32) -> Result<Vec<Batch>, Failure> {
    let mut query = connection.prepare_cached(sql::BATCHES)?;
    read_batches(&mut query.query(named_params! { ":limit": limit })?)
}

pub(super) fn read_batches(rows: &mut Rows<'_>) -> Result<Vec<Batch>, Failure> {
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        batches.push(read_batch(row)?);
    }
    Ok(batches)
}

pub(super) fn batch(connection: &Connection, batch: BatchId) -> Result<Batch, Failure> {
    let mut query = connection.prepare_cached(sql::BATCH)?;
    let mut rows = query.query(named_params! { ":batch": batch })?;
    match rows.next()? {
        Some(row) => read_batch(row),
        None => Err(Refusal::NoSuchBatch(batch).into()),
    }
}

pub(super) fn jobs(connection: &Connection, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, Failure> {
    self::batch(connection, batch)?;
    let mut query = connection.prepare_cached(sql::JOBS)?;
    read_jobs(&mut query.query(named_params! { ":batch": batch, ":from": from, ":limit": limit })?)
}

/// Jobs that a filter chooses, by number.
pub(super) fn find(connection: &Connection, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, Failure> {
    let (mut from, mut to) = (from, JobId::MAX);
    if let Some(batch) = filter.batch {
        let range =
            connection.prepare_cached(sql::BATCH_RANGE)?.query_row(named_params! { ":batch": batch }, |row| {
                Ok((row.get::<_, Option<JobId>>("first")?, row.get::<_, Option<JobId>>("last")?))
            })?;
        let (Some(first), Some(last)) = range else {
            return Ok(JobPage { jobs: Vec::new(), next: None });
        };
        (from, to) = (from.max(first), last);
    }
    let ids = if filter.ids.is_empty() { None } else { Some(serde_json::to_string(&filter.ids)?) };
    if let (Some(first), Some(last)) = (filter.ids.iter().min(), filter.ids.iter().max()) {
        (from, to) = (from.max(*first), to.min(*last));
    }
    let mut query = connection.prepare_cached(sql::FIND_JOBS)?;
    let jobs = read_jobs(&mut query.query(named_params! {
        ":from": from,
        ":to": to,
        ":batch": filter.batch,
        ":ids": ids,
        ":state": filter.state.map(Column),
        ":plugin": filter.plugin,
        ":worker": filter.worker,
        ":release": filter.release,
        ":owner": filter.owner,
        ":limit": limit,
    })?)?;
    let full = u32::try_from(jobs.len()).is_ok_and(|found| found == limit);
    let next = jobs.last().filter(|_| full).map(|last| last.id + 1);
    Ok(JobPage { jobs, next })
}

/// A job with its attempts.
pub(super) fn history(connection: &Connection, job: JobId) -> Result<JobHistory, Failure> {
    let shown = one_job(connection, job)?;
    let attempts = connection
        .prepare_cached(sql::ATTEMPTS_SHOWN)?
        .query_map(named_params! { ":job": job }, |row| {
            Ok(Attempt {
                id: row.get("id")?,
                revision: row.get("revision")?,
                state: row.get::<_, Column<AttemptState>>("state")?.0,
                reason: row.get("reason")?,
                worker: row.get("worker")?,
                release: row.get("release")?,
                commit: row.get("release_commit")?,
                records_done: row.get("records_done")?,
                work_ms: row.get("work_ms")?,
                position: columns::reached(row)?,
                started_at: row.get("started_at")?,
                ended_at: row.get("ended_at")?,
                lease_until: row.get("lease_until")?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let position = batch(connection, shown.batch)?.position;
    Ok(JobHistory { job: shown, position, attempts })
}

/// What is known about a job and who might take it.
pub(super) fn explain(connection: &Connection, job: JobId) -> Result<ExplainFacts, Failure> {
    let job = one_job(connection, job)?;
    let ahead = connection
        .prepare_cached(sql::JOBS_AHEAD)?
        .query_row(named_params! { ":priority": job.priority, ":batch": job.batch, ":seq": job.seq }, |row| {
            row.get(0)
        })?;
    let batch_suspended = batch(connection, job.batch)?.suspended;
    Ok(ExplainFacts { job, batch_suspended, ahead, workers: workers(connection)? })
}

fn one_job(connection: &Connection, job: JobId) -> Result<Job, Failure> {
    let mut query = connection.prepare_cached(sql::JOB_SHOWN)?;
    let found = read_jobs(&mut query.query(named_params! { ":job": job })?)?;
    found.into_iter().next().ok_or(Failure::Refused(Refusal::NoSuchJob(job)))
}

fn read_jobs(rows: &mut Rows<'_>) -> Result<Vec<Job>, Failure> {
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(Job {
            id: row.get("id")?,
            batch: row.get("batch_id")?,
            seq: row.get("seq")?,
            plugin: row.get("plugin")?,
            priority: row.get("priority")?,
            requirements: json(row, "requirements")?,
            revision: row.get("revision")?,
            state: row.get::<_, Column<JobState>>("state")?.0,
            reason: row.get("reason")?,
            records: row.get("records")?,
            pickups: row.get("pickups")?,
            failures: row.get("failures")?,
            losses: row.get("losses")?,
            not_before: Some(row.get("not_before")?).filter(|moment| *moment != 0),
            worker: row.get("worker")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
        });
    }
    Ok(jobs)
}

pub(super) fn results(connection: &Connection, batch: BatchId, seq: u64) -> Result<Option<JobResults>, Failure> {
    self::batch(connection, batch)?;
    let job = connection
        .prepare_cached(sql::JOB_AT)?
        .query_row(named_params! { ":batch": batch, ":seq": seq }, |row| {
            let results = JobResults {
                job: row.get("id")?,
                state: row.get::<_, Column<JobState>>("state")?.0,
                reason: row.get("reason")?,
                records: Vec::new(),
            };
            Ok((results, row.get::<_, RecordId>("first_record")?, row.get::<_, u64>("records")?))
        })
        .optional()?;
    let Some((mut job, first_record, records)) = job else {
        return Ok(None);
    };
    let mut query = connection.prepare_cached(sql::RESULTS)?;
    let mut rows = query.query(named_params! { ":first_record": first_record, ":records": records })?;
    job.records.reserve_exact(usize::try_from(records).unwrap_or(0));
    while let Some(row) = rows.next()? {
        let record = Record { id: row.get("id")?, values: fields(row)? };
        job.records.push(RecordWithOutcome { record, outcome: outcome(row)? });
    }
    Ok(Some(job))
}

pub(super) fn workers(connection: &Connection) -> Result<Vec<Worker>, Failure> {
    let mut query = connection.prepare_cached(sql::WORKERS)?;
    read_workers(&mut query.query([])?)
}

pub(super) fn worker(connection: &Connection, worker: &str) -> Result<Worker, Failure> {
    let mut query = connection.prepare_cached(sql::WORKER)?;
    let found = read_workers(&mut query.query(named_params! { ":worker": worker })?)?;
    found.into_iter().next().ok_or_else(|| Failure::Refused(Refusal::NoSuchWorker(worker.to_owned())))
}

pub(super) fn read_workers(rows: &mut Rows<'_>) -> Result<Vec<Worker>, Failure> {
    let mut workers = Vec::new();
    while let Some(row) = rows.next()? {
        workers.push(Worker {
            report: Report {
                worker: row.get("worker")?,
                host: row.get("host")?,
                state: row.get::<_, Column<WorkerState>>("state")?.0,
                reason: row.get("reason")?,
                release: row.get("release")?,
                refused: json(row, "refused")?,
                trial: None,
                replica: row
                    .get::<_, Option<String>>("replica")?
                    .map(|text| serde_json::from_str(&text))
                    .transpose()?,
                spool: Spool { jobs: row.get("spool_jobs")?, bytes: row.get("spool_bytes")? },
                steps: json(row, "steps")?,
            },
            address: row.get("address")?,
            first_seen: row.get("first_seen")?,
            last_seen: row.get("last_seen")?,
            jobs_done: row.get("jobs_done")?,
            records_done: row.get("records_done")?,
            name: row.get("name")?,
            tags: json(row, "tags")?,
            drained: row.get("drained")?,
            plugins: json(row, "plugins")?,
            machine: Machine { memory_mb: row.get("memory_mb")?, disk_mb: row.get("disk_mb")? },
            jobs_running: row.get("jobs_running")?,
        });
    }
    Ok(workers)
}

pub(super) fn counts(connection: &Connection, active_since: Moment) -> Result<Counts, Failure> {
    let workers = connection
        .prepare_cached(sql::COUNT_WORKERS)?
        .query_row(named_params! { ":active_since": active_since }, |row| row.get(0))?;
    let counts = connection.prepare_cached(sql::COUNT_JOBS)?.query_row([], |row| {
        Ok(Counts {
            jobs_waiting: row.get("waiting")?,
            jobs_running: row.get("running")?,
            jobs_done: row.get("done")?,
            jobs_quarantined: row.get("quarantined")?,
            jobs_suspended: row.get("suspended")?,
            jobs_deleted: row.get("deleted")?,
            workers,
        })
    })?;
    Ok(counts)
}

fn read_batch(row: &Row<'_>) -> Result<Batch, Failure> {
    let mut batch = Batch {
        id: row.get("id")?,
        name: row.get("name")?,
        plugin: row.get("plugin")?,
        state: row.get::<_, Column<BatchState>>("state")?.0,
        suspended: row.get("suspended")?,
        priority: row.get("priority")?,
        requirements: json(row, "requirements")?,
        position: columns::position(row)?,
        error_rate: ErrorRate::per_mille(row.get("error_rate")?),
        columns: json(row, "columns")?,
        outputs: json(row, "outputs")?,
        records: row.get("records")?,
        results: row.get("results")?,
        errors: row.get("errors")?,
        jobs: row.get("jobs")?,
        jobs_waiting: 0,
        jobs_done: row.get("jobs_done")?,
        jobs_running: row.get("jobs_running")?,
        jobs_quarantined: row.get("jobs_quarantined")?,
        jobs_suspended: row.get("jobs_suspended")?,
        jobs_deleted: row.get("jobs_deleted")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
    };
    if batch.state != BatchState::Receiving {
        let elsewhere =
            batch.jobs_done + batch.jobs_running + batch.jobs_quarantined + batch.jobs_suspended + batch.jobs_deleted;
        batch.jobs_waiting = batch.jobs.saturating_sub(elsewhere);
    }
    Ok(batch)
}

/// The fields of a record, in the order of the batch's columns.
fn fields(row: &Row<'_>) -> Result<Vec<String>, Failure> {
    json(row, "data")
}

fn outcome(row: &Row<'_>) -> Result<Option<Outcome>, Failure> {
    if let Some(error) = row.get("error")? {
        return Ok(Some(Outcome::Error(error)));
    }
    let value = row.get_ref("result")?.as_str_or_null().map_err(rusqlite::Error::from)?;
    let values: Option<BTreeMap<String, serde_json::Value>> = value.map(serde_json::from_str).transpose()?;
    Ok(values.map(Outcome::Ok))
}

/// A JSON column, read from where SQLite keeps it.
fn json<T: for<'a> serde::Deserialize<'a>>(row: &Row<'_>, column: &str) -> Result<T, Failure> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(serde_json::from_str(text)?)
}
