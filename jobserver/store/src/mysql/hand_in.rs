//! A batch comes in: opened, appended to, sealed; or it breaks off and is removed, as is one that is deleted.

use mysql_async::params;
use nightshift_rules::{gates::Lane, sizing::Measured};
use nightshift_wire::{BatchId, JobId, Moment, RecordId};

use super::{
    connection::Tx,
    failure::Failure,
    load,
    rows::{self, RowOf},
    sql,
};
use crate::{
    NewBatch, Refusal,
    leftovers::{Leftover, Removal},
};

/// Opens a batch under the number taken for it.
pub(super) async fn open(
    tx: &mut Tx,
    (id, batch): (BatchId, &NewBatch),
    receiver: &str,
    now: Moment,
    in_doubt: bool,
) -> Result<BatchId, Failure> {
    if in_doubt && state(tx, id).await?.is_some() {
        return Ok(id);
    }
    let new = params! {
        "batch" => id,
        "name" => &batch.name,
        "plugin" => &batch.plugin,
        "receiver" => receiver,
        "priority" => batch.priority,
        "requirements" => serde_json::to_string(&batch.requirements)?,
        "columns" => serde_json::to_string(&batch.columns)?,
        "outputs" => serde_json::to_string(&batch.outputs)?,
        "lease_ms" => batch.lease_ms,
        "max_attempts" => batch.max_attempts,
        "error_rate" => batch.error_rate.as_per_mille(),
        "data_primary" => batch.position.as_ref().map(|position| &position.primary),
        "data_gtid" => batch.position.as_ref().map(|position| &position.gtid),
        "data_noted" => batch.position.as_ref().map(|position| position.noted),
        "now" => now,
    };
    tx.change(sql::OPEN_BATCH, new).await?;
    if let Some(Measured { records, work_ms }) = batch.sampled.filter(|sampled| sampled.records > 0) {
        let sampled = params! { "plugin" => &batch.plugin, "records" => records, "work_ms" => work_ms };
        tx.change(sql::NOTE_SAMPLES, sampled).await?;
    }
    let NewBatch { plugin, priority, requirements, .. } = batch.clone();
    load::lane_like(tx, id, &Lane { plugin, priority, requirements }).await?;
    Ok(id)
}

/// The records of one job, ready to be stored: turned into JSON before the transaction begins.
pub(super) struct NewJob {
    records: Vec<String>,
    /// Different numbers of fields that were seen; a whole job has one.
    widths: Vec<usize>,
}

impl NewJob {
    pub(super) fn new(records: &[Vec<String>]) -> Result<NewJob, Failure> {
        let mut widths: Vec<usize> = records.iter().map(Vec::len).collect();
        widths.dedup();
        let records = records.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        Ok(NewJob { records, widths })
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}

/// Appends jobs, in their order, under the numbers taken for them and for their records; all of them in one step.
pub(super) async fn append(
    tx: &mut Tx,
    batch: BatchId,
    jobs: &[NewJob],
    (first_job, first_record): (JobId, RecordId),
    in_doubt: bool,
) -> Result<(), Failure> {
    if in_doubt && tx.first(sql::RECORD_JOB, params! { "record" => first_record }).await?.is_some() {
        return Ok(());
    }
    let row = tx.first(sql::RECEIVING_BATCH, params! { "batch" => batch }).await?;
    let mut row = row.ok_or(Refusal::NotReceiving(batch))?;
    let (columns, seq, lane) = (row.get::<usize>("columns")?, row.get::<u64>("jobs")?, row.get::<i64>("lane")?);
    for new in jobs {
        if new.records.is_empty() {
            return Err(Refusal::NoRecords(batch).into());
        }
        if let Some(&fields) = new.widths.iter().find(|&&fields| fields != columns) {
            return Err(Refusal::Ragged { batch, fields, columns }.into());
        }
    }
    let mut job_rows: Vec<RowOf<6>> = Vec::with_capacity(jobs.len());
    let mut records: Vec<(RecordId, JobId, &str)> = Vec::new();
    let mut record = first_record;
    for ((job, seq), new) in (first_job..).zip(seq..).zip(jobs) {
        let (first, count) = (record.into(), new.records.len().into());
        job_rows.push([job.into(), batch.into(), seq.into(), lane.into(), first, count]);
        for text in &new.records {
            records.push((record, job, text));
            record += 1;
        }
    }
    rows::insert(tx, sql::INSERT_JOBS, job_rows.into_iter()).await?;
    let row = |&(id, job, text): &(RecordId, JobId, &str)| -> RowOf<3> { [id.into(), job.into(), text.into()] };
    let records = rows::insert(tx, sql::INSERT_RECORDS, records.iter().map(row)).await?;
    let counted = params! { "batch" => batch, "jobs" => jobs.len(), "records" => records };
    match tx.change(sql::COUNT_APPENDED_JOBS, counted).await? {
        1 => Ok(()),
        _ => Err(Failure::Changed(format!("batch {batch}"))),
    }
}

/// Opens a batch to workers: its jobs are stored as waiting and are hidden by its state alone.
pub(super) async fn seal(tx: &mut Tx, batch: BatchId, in_doubt: bool) -> Result<(), Failure> {
    let Some(mut row) = tx.first(sql::RECEIVING_BATCH, params! { "batch" => batch }).await? else {
        let sealed_before = in_doubt && state(tx, batch).await?.is_some_and(|state| state != "abandoned");
        return if sealed_before { Ok(()) } else { Err(Refusal::NotReceiving(batch).into()) };
    };
    if row.get::<u64>("jobs")? == 0 {
        return Err(Refusal::NoRecords(batch).into());
    }
    tx.change(sql::SEAL_BATCH, params! { "batch" => batch }).await?;
    Ok(())
}

/// Marks a batch that was handed in as being removed, when all its jobs are over; whether it is.
pub(super) async fn take_away(tx: &mut Tx, batch: BatchId, by: &str, in_doubt: bool) -> Result<bool, Failure> {
    if tx.change(sql::REMOVE_BATCH, params! { "batch" => batch, "receiver" => by }).await? == 1 {
        return Ok(true);
    }
    Ok(in_doubt && state(tx, batch).await?.is_none_or(|state| state == "abandoned"))
}

/// Marks a batch as being removed; from here on it takes no jobs and nobody sees it.
pub(super) async fn abandon(tx: &mut Tx, batch: BatchId, in_doubt: bool) -> Result<(), Failure> {
    if tx.change(sql::ABANDON_BATCH, params! { "batch" => batch }).await? == 1 {
        return Ok(());
    }
    // In doubt, somebody else may even have removed it by now.
    let abandoned_before = in_doubt && state(tx, batch).await?.is_none_or(|state| state == "abandoned");
    if abandoned_before { Ok(()) } else { Err(Refusal::NotReceiving(batch).into()) }
}

/// Removes some jobs of a batch whose hand-in broke off or that was deleted, at last the batch itself. The first step
/// abandons it, unless that was done.
pub(super) async fn remove_some(tx: &mut Tx, batch: BatchId) -> Result<Removal, Failure> {
    tx.change(sql::ABANDON_BATCH, params! { "batch" => batch }).await?;
    let jobs = tx.all(sql::ABANDONED_JOBS, params! { "batch" => batch, "limit" => Removal::JOBS_AT_ONCE }).await?;
    let more = !jobs.is_empty();
    let mut removed = 0;
    for mut job in jobs {
        if removed >= Removal::RECORDS_AT_ONCE {
            break;
        }
        let id: JobId = job.get("id")?;
        for sql in [sql::DELETE_SUPERSEDED_RESULTS, sql::DELETE_ATTEMPTS] {
            tx.change(sql, params! { "job" => id }).await?;
        }
        let first: RecordId = job.get("first_record")?;
        let records: u64 = job.get("records")?;
        removed += records;
        for sql in [sql::DELETE_RESULTS, sql::DELETE_RECORDS] {
            tx.change(sql, params! { "first_record" => first, "records" => records }).await?;
        }
        tx.change(sql::DELETE_JOB, params! { "job" => id }).await?;
    }
    if more {
        return Ok(Removal::GoesOn);
    }
    tx.change(sql::DELETE_LANES, params! { "batch" => batch }).await?;
    tx.change(sql::DELETE_BATCH, params! { "batch" => batch }).await?;
    tx.change(sql::DELETE_OWNER, params! { "batch" => batch }).await?;
    Ok(Removal::Finished)
}

/// A hand-in that is not finished, or not removed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) left: Leftover,
    /// The server that began it.
    pub(super) receiver: String,
}

pub(super) async fn unfinished(tx: &mut Tx) -> Result<Vec<Unfinished>, Failure> {
    let rows = tx.all(sql::UNFINISHED_BATCHES, ()).await?;
    let read = |mut row: super::connection::Fields| {
        let left = Leftover {
            batch: row.get("id")?,
            name: row.get("name")?,
            plugin: row.get("plugin")?,
            owner: row.get("owner")?,
            records: row.get("records")?,
        };
        Ok(Unfinished { left, receiver: row.get("receiver")? })
    };
    rows.into_iter().map(read).collect()
}

/// The state of a batch as it stands in the table, `abandoned` included; `None` when there is no such batch.
async fn state(tx: &mut Tx, batch: BatchId) -> Result<Option<String>, Failure> {
    match tx.first(sql::BATCH_STATE, params! { "batch" => batch }).await? {
        None => Ok(None),
        Some(mut row) => Ok(Some(row.get("state")?)),
    }
}
