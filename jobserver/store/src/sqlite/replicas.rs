//! Positions of another primary, and permits to build replicas anew, in SQLite: [`Replicas`].

use async_trait::async_trait;
use nightshift_rules::{primary, rebuild};
use nightshift_wire::{BatchId, DataPosition, Moment, RebuildPermit, RebuildRequest, Repin};
use rusqlite::{Connection, Row, named_params};

use super::{SqliteStore, failure::Failure};
use crate::{Repinned, Replicas, StoreError};

mod sql;

#[async_trait]
impl Replicas for SqliteStore {
    async fn repin(&self, seen: &DataPosition, now: Moment) -> Result<Vec<Repinned>, StoreError> {
        let seen = seen.clone();
        let repinned = self.writer.change(move |connection| repin(connection, &seen, now));
        repinned.await.map_err(|failure| failure.of("giving batches a position of the new primary"))
    }

    async fn repins(&self, batch: BatchId) -> Result<Vec<Repin>, StoreError> {
        let repins = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::REPINS)?;
            let rows = query.query_map(named_params! { ":batch": batch }, read_repin)?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        repins.await.map_err(|failure| failure.of("reading how a batch's position changed"))
    }

    async fn permit_rebuild(
        &self,
        request: &RebuildRequest,
        at_once: u32,
        now: Moment,
    ) -> Result<RebuildPermit, StoreError> {
        let request = request.clone();
        let permit = self.writer.change(move |connection| {
            let RebuildRequest { worker, reason } = &request;
            let verdict = rebuild::judge(worker, &builders(connection)?, at_once, now);
            if let Ok(until) = verdict {
                let permit = named_params! { ":worker": worker, ":reason": reason, ":now": now, ":until": until };
                connection.prepare_cached(sql::PERMIT)?.execute(permit)?;
            }
            Ok(rebuild::answer(verdict))
        });
        permit.await.map_err(|failure| failure.of("permitting a rebuild"))
    }

    async fn end_rebuild(&self, worker: &str) -> Result<(), StoreError> {
        let worker = worker.to_owned();
        let ended = self.writer.change(move |connection| {
            connection.prepare_cached(sql::END_REBUILD)?.execute(named_params! { ":worker": worker })?;
            Ok(())
        });
        ended.await.map_err(|failure| failure.of("ending a rebuild"))
    }
}

fn repin(connection: &Connection, seen: &DataPosition, now: Moment) -> Result<Vec<Repinned>, Failure> {
    let mut query = connection.prepare_cached(sql::TO_REPIN)?;
    let rows = query.query_map(named_params! { ":primary": seen.primary }, |row| {
        let pinned = DataPosition {
            primary: row.get("data_primary")?,
            gtid: row.get("data_gtid")?,
            noted: row.get("data_noted")?,
        };
        Ok((row.get::<_, BatchId>("id")?, pinned, row.get::<_, u64>("jobs_done")?))
    })?;
    let pinned: Vec<(BatchId, DataPosition, u64)> = rows.collect::<Result<_, _>>()?;
    let mut repinned = Vec::with_capacity(pinned.len());
    for (batch, pinned, jobs_done) in pinned {
        let Some(repin) = primary::repin(&pinned, jobs_done, seen, now) else { continue };
        let DataPosition { primary, gtid, noted } = &repin.to;
        connection.prepare_cached(sql::NOTE_REPIN)?.execute(named_params! {
            ":batch": batch, ":now": now, ":jobs_done": jobs_done,
            ":from_primary": pinned.primary, ":from_gtid": pinned.gtid, ":from_noted": pinned.noted,
            ":primary": primary, ":gtid": gtid, ":noted": noted,
        })?;
        connection.prepare_cached(sql::REPIN)?.execute(named_params! {
            ":batch": batch, ":from_primary": pinned.primary, ":primary": primary, ":gtid": gtid, ":noted": noted,
        })?;
        repinned.push(Repinned { batch, repin });
    }
    Ok(repinned)
}

fn read_repin(row: &Row<'_>) -> rusqlite::Result<Repin> {
    Ok(Repin {
        at: row.get("repinned_at")?,
        from: DataPosition {
            primary: row.get("from_primary")?,
            gtid: row.get("from_gtid")?,
            noted: row.get("from_noted")?,
        },
        to: DataPosition { primary: row.get("to_primary")?, gtid: row.get("to_gtid")?, noted: row.get("to_noted")? },
        jobs_done: row.get("jobs_done")?,
    })
}

fn builders(connection: &Connection) -> Result<Vec<rebuild::Builder>, Failure> {
    let mut query = connection.prepare_cached(sql::BUILDERS)?;
    let rows =
        query.query_map([], |row| Ok(rebuild::Builder { worker: row.get("worker")?, until: row.get("until")? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
