//! A batch comes in: opened, appended to job by job, sealed; or it breaks off and is removed.

use mysql_async::params;
use nightshift_rules::life::{self, JobEvent};
use nightshift_wire::{BatchId, JobState, Moment, RecordId};

use super::{
    connection::Tx,
    failure::Failure,
    rows::{self, RowOf},
    sql,
};
use crate::{NewBatch, Refusal, words::Word as _};

/// So many jobs of an abandoned batch are removed in one step.
const REMOVED_AT_ONCE: u32 = 20;

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
        "columns" => serde_json::to_string(&batch.columns)?,
        "outputs" => serde_json::to_string(&batch.outputs)?,
        "lease_ms" => batch.lease_ms,
        "max_attempts" => batch.max_attempts,
        "now" => now,
    };
    tx.change(sql::OPEN_BATCH, new).await?;
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

/// Appends a job under the numbers taken for its records.
pub(super) async fn append(
    tx: &mut Tx,
    batch: BatchId,
    new: &NewJob,
    first_record: RecordId,
    in_doubt: bool,
) -> Result<(), Failure> {
    if in_doubt && tx.first(sql::RECORD_JOB, params! { "record" => first_record }).await?.is_some() {
        return Ok(());
    }
    let row = tx.first(sql::RECEIVING_BATCH, params! { "batch" => batch }).await?;
    let mut row = row.ok_or(Refusal::NotReceiving(batch))?;
    let columns: usize = row.get("columns")?;
    if new.records.is_empty() {
        return Err(Refusal::NoRecords(batch).into());
    }
    if let Some(&fields) = new.widths.iter().find(|&&fields| fields != columns) {
        return Err(Refusal::Ragged { batch, fields, columns }.into());
    }

    let inserted = params! {
        "batch" => batch,
        "seq" => row.get::<u64>("jobs")?,
        "plugin" => row.get::<String>("plugin")?,
        "priority" => row.get::<i32>("priority")?,
        "first_record" => first_record,
        "records" => new.records.len(),
    };
    let job = tx.insert(sql::INSERT_JOB, inserted).await?;
    let row = |(record, id): (&String, RecordId)| -> RowOf<3> { [id.into(), job.into(), record.as_str().into()] };
    rows::insert(tx, sql::INSERT_RECORDS, new.records.iter().zip(first_record..).map(row)).await?;
    let counted = params! { "batch" => batch, "records" => new.records.len() };
    match tx.change(sql::COUNT_APPENDED_JOB, counted).await? {
        1 => Ok(()),
        _ => Err(Failure::Changed(format!("batch {batch}"))),
    }
}

pub(super) async fn seal(tx: &mut Tx, batch: BatchId, in_doubt: bool) -> Result<(), Failure> {
    let Some(mut row) = tx.first(sql::RECEIVING_BATCH, params! { "batch" => batch }).await? else {
        let sealed_before = in_doubt && state(tx, batch).await?.is_some_and(|state| state != "abandoned");
        return if sealed_before { Ok(()) } else { Err(Refusal::NotReceiving(batch).into()) };
    };
    let jobs: u64 = row.get("jobs")?;
    if jobs == 0 {
        return Err(Refusal::NoRecords(batch).into());
    }
    let from = JobState::Receiving;
    let to = life::after(from, JobEvent::Sealed)?;
    let sealing = params! { "batch" => batch, "from" => from.word(), "to" => to.word() };
    let sealed = tx.change(sql::SEAL_JOBS, sealing).await?;
    if sealed != jobs {
        return Err(Failure::Contradiction(format!("{sealed} of {jobs} jobs of batch {batch} sealed")));
    }
    tx.change(sql::SEAL_BATCH, params! { "batch" => batch }).await?;
    Ok(())
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

/// How far the removal of an abandoned batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// There is more: call again.
    GoesOn,
    /// Nothing of the batch is left.
    Finished,
}

/// Removes some jobs of a batch whose hand-in broke off, at last the batch itself. The first step abandons it, unless that
/// was done.
pub(super) async fn remove_some(tx: &mut Tx, batch: BatchId) -> Result<Removal, Failure> {
    tx.change(sql::ABANDON_BATCH, params! { "batch" => batch }).await?;
    let jobs = tx.all(sql::ABANDONED_JOBS, params! { "batch" => batch, "limit" => REMOVED_AT_ONCE }).await?;
    let more = !jobs.is_empty();
    for mut job in jobs {
        let records = params! {
            "first_record" => job.get::<RecordId>("first_record")?,
            "records" => job.get::<u64>("records")?,
        };
        tx.change(sql::DELETE_RECORDS, records).await?;
        tx.change(sql::DELETE_JOB, params! { "job" => job.get::<i64>("id")? }).await?;
    }
    if more {
        return Ok(Removal::GoesOn);
    }
    tx.change(sql::DELETE_BATCH, params! { "batch" => batch }).await?;
    Ok(Removal::Finished)
}

/// A hand-in that is not finished, or not removed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) batch: BatchId,
    /// The server that began it.
    pub(super) receiver: String,
}

pub(super) async fn unfinished(tx: &mut Tx) -> Result<Vec<Unfinished>, Failure> {
    let rows = tx.all(sql::UNFINISHED_BATCHES, ()).await?;
    let read =
        |mut row: super::connection::Fields| Ok(Unfinished { batch: row.get("id")?, receiver: row.get("receiver")? });
    rows.into_iter().map(read).collect()
}

/// The state of a batch as it stands in the table, `abandoned` included; `None` when there is no such batch.
async fn state(tx: &mut Tx, batch: BatchId) -> Result<Option<String>, Failure> {
    match tx.first(sql::BATCH_STATE, params! { "batch" => batch }).await? {
        None => Ok(None),
        Some(mut row) => Ok(Some(row.get("state")?)),
    }
}
