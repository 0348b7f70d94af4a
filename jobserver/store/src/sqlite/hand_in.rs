//! A batch comes in: opened, appended to job by job, sealed; or it breaks off and is removed, as is one that is deleted.

use nightshift_rules::{
    gates::Lane,
    life::{self, JobEvent},
    sizing::Measured,
};
use nightshift_wire::{BatchId, JobState, Moment, RecordId};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{columns::Column, failure::Failure, load, sql};
use crate::{
    NewBatch, Refusal,
    leftovers::{Leftover, Removal},
};

pub(super) fn open(connection: &Connection, batch: &NewBatch, now: Moment) -> Result<BatchId, Failure> {
    connection.prepare_cached(sql::OPEN_BATCH)?.execute(named_params! {
        ":name": batch.name,
        ":plugin": batch.plugin,
        ":priority": batch.priority,
        ":requirements": serde_json::to_string(&batch.requirements)?,
        ":columns": serde_json::to_string(&batch.columns)?,
        ":outputs": serde_json::to_string(&batch.outputs)?,
        ":lease_ms": batch.lease_ms,
        ":max_attempts": batch.max_attempts,
        ":error_rate": batch.error_rate.as_per_mille(),
        ":data_primary": batch.position.as_ref().map(|position| &position.primary),
        ":data_gtid": batch.position.as_ref().map(|position| &position.gtid),
        ":data_noted": batch.position.as_ref().map(|position| position.noted),
        ":now": now,
    })?;
    let id = connection.last_insert_rowid();
    if let Some(Measured { records, work_ms }) = batch.sampled.filter(|sampled| sampled.records > 0) {
        let sampled = named_params! { ":plugin": batch.plugin, ":records": records, ":work_ms": work_ms };
        connection.prepare_cached(sql::NOTE_SAMPLES)?.execute(sampled)?;
    }
    let NewBatch { plugin, priority, requirements, .. } = batch.clone();
    load::lane_like(connection, id, &Lane { plugin, priority, requirements })?;
    Ok(id)
}

/// The records of one job, ready to be stored: turned into JSON before the writer's turn comes.
pub(super) struct NewJob {
    json: String,
    pub(super) records: usize,
    /// Different numbers of fields that were seen; a whole job has one.
    widths: Vec<usize>,
}

impl NewJob {
    pub(super) fn new(records: &[Vec<String>]) -> Result<NewJob, Failure> {
        let mut widths: Vec<usize> = records.iter().map(Vec::len).collect();
        widths.dedup();
        Ok(NewJob { json: serde_json::to_string(records)?, records: records.len(), widths })
    }
}

/// Appends jobs to a batch that is being received, in their order.
pub(super) fn append(connection: &Connection, batch: BatchId, jobs: &[NewJob]) -> Result<(), Failure> {
    let (lane, columns, seq) = connection
        .prepare_cached(sql::RECEIVING_BATCH)?
        .query_row(named_params! { ":batch": batch }, |row| {
            Ok((row.get::<_, i64>("lane")?, row.get::<_, usize>("columns")?, row.get::<_, u64>("jobs")?))
        })
        .optional()?
        .ok_or(Refusal::NotReceiving(batch))?;

    let mut next_record: RecordId = connection.prepare_cached(sql::NEXT_RECORD)?.query_row([], |row| row.get(0))?;
    let mut insert_job = connection.prepare_cached(sql::INSERT_JOB)?;
    let mut insert_records = connection.prepare_cached(sql::INSERT_RECORDS)?;
    let mut records = 0;
    for (seq, new) in (seq..).zip(jobs) {
        if new.records == 0 {
            return Err(Refusal::NoRecords(batch).into());
        }
        if let Some(&fields) = new.widths.iter().find(|&&fields| fields != columns) {
            return Err(Refusal::Ragged { batch, fields, columns }.into());
        }
        insert_job.execute(named_params! {
            ":batch": batch,
            ":seq": seq,
            ":lane": lane,
            ":first_record": next_record,
            ":records": new.records,
        })?;
        let inserted = insert_records.execute(named_params! {
            ":first_record": next_record,
            ":job": connection.last_insert_rowid(),
            ":records": new.json,
        })?;
        if inserted != new.records {
            return Err(Failure::Contradiction(format!("{inserted} of {} records stored", new.records)));
        }
        next_record = next_record.saturating_add_unsigned(new.records as u64);
        records += new.records;
    }
    connection
        .prepare_cached(sql::COUNT_APPENDED_JOBS)?
        .execute(named_params! { ":batch": batch, ":jobs": jobs.len(), ":records": records })?;
    Ok(())
}

pub(super) fn seal(connection: &Connection, batch: BatchId) -> Result<(), Failure> {
    let jobs: u64 = connection
        .prepare_cached(sql::RECEIVING_BATCH)?
        .query_row(named_params! { ":batch": batch }, |row| row.get("jobs"))
        .optional()?
        .ok_or(Refusal::NotReceiving(batch))?;
    if jobs == 0 {
        return Err(Refusal::NoRecords(batch).into());
    }
    let from = JobState::Receiving;
    let to = life::after(from, JobEvent::Sealed)?;
    let sealed = connection
        .prepare_cached(sql::SEAL_JOBS)?
        .execute(named_params! { ":batch": batch, ":from": Column(from), ":to": Column(to) })?;
    if u64::try_from(sealed) != Ok(jobs) {
        return Err(Failure::Contradiction(format!("{sealed} of {jobs} jobs of batch {batch} sealed")));
    }
    connection.prepare_cached(sql::SEAL_BATCH)?.execute(named_params! { ":batch": batch })?;
    Ok(())
}

/// Marks a batch as being removed; from here on it takes no jobs and nobody sees it.
pub(super) fn abandon(connection: &Connection, batch: BatchId) -> Result<(), Failure> {
    match connection.prepare_cached(sql::ABANDON_BATCH)?.execute(named_params! { ":batch": batch })? {
        0 => Err(Refusal::NotReceiving(batch).into()),
        _ => Ok(()),
    }
}

/// Marks every batch whose hand-in broke off when a server died.
pub(super) fn abandon_all(connection: &Connection) -> Result<(), Failure> {
    connection.prepare_cached(sql::ABANDON_UNFINISHED_BATCHES)?.execute([])?;
    Ok(())
}

/// Marks a batch that was handed in as being removed, when all its jobs are over; whether it is.
pub(super) fn take_away(connection: &Connection, batch: BatchId) -> Result<bool, Failure> {
    let marked = connection.prepare_cached(sql::REMOVE_BATCH)?.execute(named_params! { ":batch": batch })?;
    Ok(marked == 1)
}

/// Removes some jobs of a batch whose hand-in broke off or that was deleted, at last the batch itself. The first step
/// abandons it, unless that was done.
pub(super) fn remove_some(connection: &Connection, batch: BatchId) -> Result<Removal, Failure> {
    connection.prepare_cached(sql::ABANDON_BATCH)?.execute(named_params! { ":batch": batch })?;
    let jobs: Vec<(i64, RecordId, u64)> = connection
        .prepare_cached(sql::ABANDONED_JOBS)?
        .query_map(named_params! { ":batch": batch, ":limit": Removal::JOBS_AT_ONCE }, |row| {
            Ok((row.get("id")?, row.get("first_record")?, row.get("records")?))
        })?
        .collect::<Result<_, _>>()?;
    let mut removed = 0;
    for &(job, first_record, records) in &jobs {
        if removed >= Removal::RECORDS_AT_ONCE {
            break;
        }
        removed += records;
        for sql in [sql::DELETE_SUPERSEDED_RESULTS, sql::DELETE_ATTEMPTS] {
            connection.prepare_cached(sql)?.execute(named_params! { ":job": job })?;
        }
        for sql in [sql::DELETE_RESULTS, sql::DELETE_RECORDS] {
            let of = named_params! { ":first_record": first_record, ":records": records };
            connection.prepare_cached(sql)?.execute(of)?;
        }
        connection.prepare_cached(sql::DELETE_JOB)?.execute(named_params! { ":job": job })?;
    }
    if !jobs.is_empty() {
        return Ok(Removal::GoesOn);
    }
    connection.prepare_cached(sql::DELETE_LANES)?.execute(named_params! { ":batch": batch })?;
    connection.prepare_cached(sql::DELETE_BATCH)?.execute(named_params! { ":batch": batch })?;
    connection.prepare_cached(sql::DELETE_OWNER)?.execute(named_params! { ":batch": batch })?;
    Ok(Removal::Finished)
}

/// Batches whose hand-in broke off when a server died, or which it did not live to remove.
pub(super) fn unfinished(connection: &Connection) -> Result<Vec<Leftover>, Failure> {
    let unfinished = connection
        .prepare_cached(sql::UNFINISHED_BATCHES)?
        .query_map([], |row| {
            Ok(Leftover {
                batch: row.get("id")?,
                name: row.get("name")?,
                plugin: row.get("plugin")?,
                owner: row.get("owner")?,
                records: row.get("records")?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(unfinished)
}
