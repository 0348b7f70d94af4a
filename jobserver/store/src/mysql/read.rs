//! What workers and people look at; each function sees one snapshot and changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::{Value, params};
use nightshift_rules::{
    acceptance,
    attempt::{AttemptFacts, JobFacts},
};
use nightshift_wire::{
    Attempt, AttemptId, Batch, BatchId, BatchState, ErrorRate, Job, JobFilter, JobHistory, JobId, JobPage, JobState,
    Machine, Moment, Outcome, Record, RecordId, Records, Report, Spool, Worker,
};

use super::{
    connection::{Fields, Tx},
    failure::Failure,
    sql,
};
use crate::{Counts, ExplainFacts, JobResults, RecordWithOutcome, Refusal};

pub(super) async fn records(
    tx: &mut Tx,
    attempt: AttemptId,
    secret: &str,
    asked: &[String],
) -> Result<Records, Failure> {
    let row = tx.first(sql::ATTEMPT, params! { "attempt" => attempt }).await?;
    let mut row = row.ok_or(Refusal::NoSuchAttempt(attempt))?;
    if row.get::<String>("secret")? != secret {
        return Err(Refusal::WrongSecret(attempt).into());
    }
    let facts = AttemptFacts { id: attempt, state: row.word("attempt_state")?, revision: row.get("attempt_revision")? };
    let job = JobFacts {
        state: row.word("state")?,
        revision: row.get("revision")?,
        attempt: row.get("held_by")?,
        first_record: row.get("first_record")?,
        records: row.get("records")?,
    };
    acceptance::needed(&job, &facts).map_err(Refusal::NotWanted)?;
    let columns = tx.first(sql::BATCH_COLUMNS, params! { "batch" => row.get::<BatchId>("batch_id")? }).await?;
    let columns: Vec<String> = match columns {
        Some(mut row) => row.json("columns")?,
        None => return Err(Failure::Contradiction(format!("attempt {attempt} without a batch"))),
    };
    let places = if asked.is_empty() { None } else { Some(places(&columns, asked)?) };
    let range = params! { "first_record" => job.first_record, "records" => job.records };
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

pub(super) fn read_batch(mut row: Fields) -> Result<Batch, Failure> {
    let mut batch = Batch {
        id: row.get("id")?,
        name: row.get("name")?,
        plugin: row.get("plugin")?,
        state: row.word("state")?,
        suspended: row.get("suspended")?,
        priority: row.get("priority")?,
        requirements: row.json("requirements")?,
        position: row.position()?,
        error_rate: ErrorRate::per_mille(row.get("error_rate")?),
        columns: row.json("columns")?,
        outputs: row.json("outputs")?,
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

pub(super) async fn jobs(tx: &mut Tx, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, Failure> {
    self::batch(tx, batch).await?;
    let rows = tx.all(sql::JOBS, params! { "batch" => batch, "from" => from, "limit" => limit }).await?;
    rows.into_iter().map(job).collect()
}

/// Jobs that a filter chooses, by number.
pub(super) async fn find(tx: &mut Tx, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, Failure> {
    let (mut from, mut to) = (from, JobId::MAX);
    if let Some(batch) = filter.batch {
        let range = tx.first(sql::BATCH_RANGE, params! { "batch" => batch }).await?;
        let mut range = range.ok_or_else(|| Failure::Contradiction("a range without a row".to_owned()))?;
        let (Some(first), Some(last)) = (range.get::<Option<JobId>>("first")?, range.get::<Option<JobId>>("last")?)
        else {
            return Ok(JobPage { jobs: Vec::new(), next: None });
        };
        (from, to) = (from.max(first), last);
    }
    // Either what is searched, or what is looked up.
    let (query, mut chosen) = if filter.ids.is_empty() {
        (sql::FIND_JOBS, vec![("from", Value::from(from)), ("to", Value::from(to))])
    } else {
        let named: BTreeSet<&JobId> = filter.ids.iter().filter(|id| (from..=to).contains(*id)).collect();
        (sql::FIND_NAMED_JOBS, vec![("ids", Value::from(serde_json::to_string(&named)?))])
    };
    chosen.extend([
        ("batch", filter.batch.into()),
        ("state", filter.state.map(JobState::word).into()),
        ("plugin", (&filter.plugin).into()),
        ("worker", (&filter.worker).into()),
        ("release", (&filter.release).into()),
        ("owner", (&filter.owner).into()),
        ("limit", limit.into()),
    ]);
    let jobs: Vec<Job> = tx.all(query, chosen).await?.into_iter().map(job).collect::<Result<_, _>>()?;
    let full = u32::try_from(jobs.len()).is_ok_and(|found| found == limit);
    let next = jobs.last().filter(|_| full).map(|last| last.id + 1);
    Ok(JobPage { jobs, next })
}

/// A job with its attempts.
pub(super) async fn history(tx: &mut Tx, job: JobId) -> Result<JobHistory, Failure> {
    let shown = one_job(tx, job).await?;
    let attempts = tx.all(sql::ATTEMPTS_SHOWN, params! { "job" => job }).await?;
    let position = batch(tx, shown.batch).await?.position;
    Ok(JobHistory { job: shown, position, attempts: attempts.into_iter().map(attempt).collect::<Result<_, _>>()? })
}

fn attempt(mut row: Fields) -> Result<Attempt, Failure> {
    Ok(Attempt {
        id: row.get("id")?,
        revision: row.get("revision")?,
        state: row.word("state")?,
        reason: row.get("reason")?,
        worker: row.get("worker")?,
        release: row.get("release")?,
        commit: row.get("release_commit")?,
        records_done: row.get("records_done")?,
        work_ms: row.get("work_ms")?,
        position: row.reached()?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        lease_until: row.get("lease_until")?,
    })
}

/// What the rules have to know to say why a job waits.
pub(super) async fn explain(tx: &mut Tx, job: JobId) -> Result<ExplainFacts, Failure> {
    let job = one_job(tx, job).await?;
    let place = params! { "priority" => job.priority, "batch" => job.batch, "seq" => job.seq };
    let ahead = match tx.first(sql::JOBS_AHEAD, place).await? {
        Some(mut row) => row.get("ahead")?,
        None => 0,
    };
    let batch_suspended = batch(tx, job.batch).await?.suspended;
    Ok(ExplainFacts { job, batch_suspended, ahead, workers: workers(tx).await? })
}

async fn one_job(tx: &mut Tx, id: JobId) -> Result<Job, Failure> {
    match tx.first(sql::JOB_SHOWN, params! { "job" => id }).await? {
        Some(row) => job(row),
        None => Err(Refusal::NoSuchJob(id).into()),
    }
}

fn job(mut row: Fields) -> Result<Job, Failure> {
    Ok(Job {
        id: row.get("id")?,
        batch: row.get("batch_id")?,
        seq: row.get("seq")?,
        plugin: row.get("plugin")?,
        priority: row.get("priority")?,
        requirements: row.json("requirements")?,
        revision: row.get("revision")?,
        state: row.word("state")?,
        reason: row.get("reason")?,
        records: row.get("records")?,
        pickups: row.get("pickups")?,
        failures: row.get("failures")?,
        losses: row.get("losses")?,
        not_before: Some(row.get("not_before")?).filter(|moment| *moment != 0),
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
    rows.into_iter().map(read_worker).collect()
}

pub(super) async fn worker(tx: &mut Tx, worker: &str) -> Result<Worker, Failure> {
    match tx.first(sql::WORKER, params! { "worker" => worker }).await? {
        Some(row) => read_worker(row),
        None => Err(Refusal::NoSuchWorker(worker.to_owned()).into()),
    }
}

pub(super) fn read_worker(mut row: Fields) -> Result<Worker, Failure> {
    Ok(Worker {
        report: Report {
            worker: row.get("worker")?,
            host: row.get("host")?,
            state: row.word("state")?,
            reason: row.get("reason")?,
            release: row.get("release")?,
            refused: row.json("refused")?,
            trial: None,
            replica: row.get::<Option<String>>("replica")?.map(|text| serde_json::from_str(&text)).transpose()?,
            spool: Spool { jobs: row.get("spool_jobs")?, bytes: row.get("spool_bytes")? },
            steps: row.json("steps")?,
        },
        address: row.get("address")?,
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        jobs_done: row.get("jobs_done")?,
        records_done: row.get("records_done")?,
        name: row.get("name")?,
        tags: row.json("tags")?,
        drained: row.get("drained")?,
        plugins: row.json("plugins")?,
        machine: Machine { memory_mb: row.get("memory_mb")?, disk_mb: row.get("disk_mb")? },
        jobs_running: row.get("jobs_running")?,
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
        jobs_suspended: jobs.get("suspended")?,
        jobs_deleted: jobs.get("deleted")?,
        workers: workers.get("workers")?,
    })
}
