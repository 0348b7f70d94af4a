//! What workers and people look at; each function sees one snapshot and changes nothing.

use std::collections::{BTreeMap, HashMap};

use mysql_async::params;
use nightshift_rules::acceptance;
use nightshift_wire::{AttemptId, Batch, BatchId, Job, Moment, Outcome, Record, RecordId, Records, Report, Worker};

use super::{
    connection::{Fields, Tx},
    failure::Failure,
    moves::AttemptRow,
    sql,
};
use crate::{Counts, JobResults, RecordWithOutcome, Refusal};

pub(super) async fn records(
    tx: &mut Tx,
    attempt: AttemptId,
    secret: &str,
    asked: &[String],
) -> Result<Records, Failure> {
    let attempt = AttemptRow::prove(tx, attempt, secret).await?;
    let job = &attempt.job;
    acceptance::needed(&job.facts, &attempt.facts).map_err(Refusal::NotWanted)?;
    let columns = tx.first(sql::BATCH_COLUMNS, params! { "batch" => job.batch }).await?;
    let columns: Vec<String> = match columns {
        Some(mut row) => row.json("columns")?,
        None => return Err(Failure::Contradiction(format!("job {} without a batch", job.id))),
    };
    let places = if asked.is_empty() { None } else { Some(places(&columns, asked)?) };
    let range = params! { "first_record" => job.facts.first_record, "records" => job.facts.records };
    let rows = tx.all(sql::RECORDS, range).await?;
    let mut records = Vec::with_capacity(rows.len());
    for mut row in rows {
        let id = row.get("id")?;
        let fields: Vec<String> = row.json("data")?;
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

pub(super) async fn batches(tx: &mut Tx, limit: u32) -> Result<Vec<Batch>, Failure> {
    let rows = tx.all(sql::BATCHES, params! { "limit" => limit }).await?;
    rows.into_iter().map(read_batch).collect()
}

pub(super) async fn batch(tx: &mut Tx, batch: BatchId) -> Result<Batch, Failure> {
    match tx.first(sql::BATCH, params! { "batch" => batch }).await? {
        Some(row) => read_batch(row),
        None => Err(Refusal::NoSuchBatch(batch).into()),
    }
}

fn read_batch(mut row: Fields) -> Result<Batch, Failure> {
    Ok(Batch {
        id: row.get("id")?,
        name: row.get("name")?,
        plugin: row.get("plugin")?,
        state: row.word("state")?,
        priority: row.get("priority")?,
        columns: row.json("columns")?,
        outputs: row.json("outputs")?,
        records: row.get("records")?,
        results: row.get("results")?,
        errors: row.get("errors")?,
        jobs: row.get("jobs")?,
        jobs_done: row.get("jobs_done")?,
        jobs_running: row.get("jobs_running")?,
        jobs_quarantined: row.get("jobs_quarantined")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
    })
}

pub(super) async fn jobs(tx: &mut Tx, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, Failure> {
    self::batch(tx, batch).await?;
    let rows = tx.all(sql::JOBS, params! { "batch" => batch, "from" => from, "limit" => limit }).await?;
    rows.into_iter().map(job).collect()
}

fn job(mut row: Fields) -> Result<Job, Failure> {
    Ok(Job {
        id: row.get("id")?,
        batch: row.get("batch_id")?,
        seq: row.get("seq")?,
        state: row.word("state")?,
        reason: row.get("reason")?,
        records: row.get("records")?,
        pickups: row.get("pickups")?,
        failures: row.get("failures")?,
        worker: row.get("worker")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

pub(super) async fn results(tx: &mut Tx, batch: BatchId, seq: u64) -> Result<Option<JobResults>, Failure> {
    self::batch(tx, batch).await?;
    let Some(mut job) = tx.first(sql::JOB_AT, params! { "batch" => batch, "seq" => seq }).await? else {
        return Ok(None);
    };
    let range = params! {
        "first_record" => job.get::<RecordId>("first_record")?,
        "records" => job.get::<u64>("records")?,
    };
    let records = tx.all(sql::RESULTS, range).await?.into_iter().map(|mut row| {
        let record = Record { id: row.get("id")?, values: row.json("data")? };
        Ok(RecordWithOutcome { record, outcome: outcome(&mut row)? })
    });
    Ok(Some(JobResults {
        job: job.get("id")?,
        state: job.word("state")?,
        reason: job.get("reason")?,
        records: records.collect::<Result<_, Failure>>()?,
    }))
}

fn outcome(row: &mut Fields) -> Result<Option<Outcome>, Failure> {
    if let Some(error) = row.get("error")? {
        return Ok(Some(Outcome::Error(error)));
    }
    let value: Option<Vec<u8>> = row.get("result")?;
    let values: Option<BTreeMap<String, serde_json::Value>> =
        value.map(|value| serde_json::from_slice(&value)).transpose()?;
    Ok(values.map(Outcome::Ok))
}

pub(super) async fn workers(tx: &mut Tx) -> Result<Vec<Worker>, Failure> {
    let rows = tx.all(sql::WORKERS, ()).await?;
    rows.into_iter().map(worker).collect()
}

fn worker(mut row: Fields) -> Result<Worker, Failure> {
    Ok(Worker {
        report: Report {
            worker: row.get("worker")?,
            host: row.get("host")?,
            state: row.word("state")?,
            reason: row.get("reason")?,
            release: row.get("release")?,
            refused: row.json("refused")?,
            steps: row.json("steps")?,
        },
        address: row.get("address")?,
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        jobs_done: row.get("jobs_done")?,
        records_done: row.get("records_done")?,
    })
}

pub(super) async fn counts(tx: &mut Tx, active_since: Moment) -> Result<Counts, Failure> {
    let workers = tx.first(sql::COUNT_WORKERS, params! { "active_since" => active_since }).await?;
    let jobs = tx.first(sql::COUNT_JOBS, ()).await?;
    let (Some(mut workers), Some(mut jobs)) = (workers, jobs) else {
        return Err(Failure::Contradiction("a count without a row".to_owned()));
    };
    Ok(Counts {
        jobs_waiting: jobs.get("waiting")?,
        jobs_running: jobs.get("running")?,
        jobs_done: jobs.get("done")?,
        jobs_quarantined: jobs.get("quarantined")?,
        workers: workers.get("workers")?,
    })
}
