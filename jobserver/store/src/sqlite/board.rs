//! What the dashboard shows, from SQLite: [`Board`].

use async_trait::async_trait;
use nightshift_wire::{Batch, BatchId, Moment, Spool, Worker};
use rusqlite::{Connection, named_params};

use super::{SqliteStore, columns::Column, failure::Failure, read};
use crate::{
    BatchFilter, Board, HourOfWork, ReplicasNow, SpoolNow, StoreError, WorkNow, WorkerFilter, WorkersNow, WorkersWhy,
    board::replica_state,
};

mod sql;

#[async_trait]
impl Board for SqliteStore {
    async fn work_now(&self) -> Result<WorkNow, StoreError> {
        let read = self.readers.call(|connection| {
            let now = connection.prepare_cached(sql::WORK_NOW)?.query_row([], |row| {
                Ok(WorkNow {
                    results: row.get("results")?,
                    open_batches: row.get("open_batches")?,
                    open_records: row.get("open_records")?,
                    open_results: row.get("open_results")?,
                })
            })?;
            Ok(now)
        });
        read.await.map_err(|failure| failure.of("counting what is done"))
    }

    async fn workers_now(&self, away_before: Moment) -> Result<WorkersNow, StoreError> {
        let read = self.readers.call(move |connection| workers_now(connection, away_before));
        read.await.map_err(|failure| failure.of("counting the workers"))
    }

    async fn find_batches(&self, filter: &BatchFilter, before: BatchId, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let filter = filter.clone();
        let found = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::BATCHES)?;
            read::read_batches(&mut query.query(named_params! {
                ":before": before,
                ":state": filter.state.map(Column),
                ":owner": filter.owner,
                ":limit": limit,
            })?)
        });
        found.await.map_err(|failure| failure.of("looking for batches"))
    }

    async fn find_workers(&self, filter: &WorkerFilter, after: &str, limit: u32) -> Result<Vec<Worker>, StoreError> {
        let (filter, after) = (filter.clone(), after.to_owned());
        let found = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::WORKERS)?;
            read::read_workers(&mut query.query(named_params! {
                ":after": after,
                ":shown": filter.shown,
                ":away_before": filter.away_before,
                ":release": filter.release,
                ":text": filter.text,
                ":limit": limit,
            })?)
        });
        found.await.map_err(|failure| failure.of("looking for workers"))
    }

    async fn hours(&self, since: Moment) -> Result<Vec<HourOfWork>, StoreError> {
        let read = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::HOURS)?;
            let rows = query.query_map(named_params! { ":since": since }, |row| {
                Ok(HourOfWork {
                    hour: row.get("hour")?,
                    plugin: row.get("plugin")?,
                    jobs: row.get("jobs")?,
                    records: row.get("records")?,
                    errors: row.get("errors")?,
                    work_ms: row.get("work_ms")?,
                    failures: row.get("failures")?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        read.await.map_err(|failure| failure.of("reading what each hour did"))
    }

    async fn batch_over_time(&self, batch: BatchId, each: Moment) -> Result<Vec<(Moment, u64, u64)>, StoreError> {
        let read = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::BATCH_OVER_TIME)?;
            let rows = query.query_map(named_params! { ":batch": batch, ":each": each.max(1) }, |row| {
                Ok((row.get("began")?, row.get("records")?, row.get("errors")?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        read.await.map_err(|failure| failure.of("reading when a batch was done"))
    }

    async fn errors_by_kind(&self, batch: BatchId, most: u32) -> Result<Vec<(String, u64)>, StoreError> {
        let read = self.readers.call(move |connection| {
            read::batch(connection, batch)?;
            let mut query = connection.prepare_cached(sql::ERRORS_BY_KIND)?;
            let rows = query.query_map(named_params! { ":batch": batch, ":most": most }, |row| {
                Ok((row.get("error")?, row.get("records")?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        read.await.map_err(|failure| failure.of("counting the errors of a batch"))
    }
}

fn workers_now(connection: &Connection, away_before: Moment) -> Result<WorkersNow, Failure> {
    let away = named_params! { ":away_before": away_before };
    let mut states = connection.prepare_cached(sql::WORKERS_BY_STATE)?;
    let states = states.query_map(away, |row| Ok((row.get("shown")?, row.get("workers")?)))?;
    let mut reasons = connection.prepare_cached(sql::WORKERS_BY_REASON)?;
    let reasons = reasons.query_map(away, |row| {
        Ok(WorkersWhy { shown: row.get("shown")?, why: row.get("why")?, workers: row.get("workers")? })
    })?;
    let mut releases = connection.prepare_cached(sql::WORKERS_BY_RELEASE)?;
    let releases = releases.query_map(away, |row| Ok((row.get("release")?, row.get("workers")?)))?;
    let mut query = connection.prepare_cached(sql::WORKERS_BY_REPLICA)?;
    let mut rows = query.query(away)?;
    let mut replicas = Vec::new();
    while let Some(row) = rows.next()? {
        let state = replica_state(row.get("state")?)?;
        replicas.push(ReplicasNow { state, workers: row.get("workers")?, behind_ms: row.get("behind_ms")? });
    }
    let spool = connection.prepare_cached(sql::SPOOL)?.query_row([], |row| {
        let spool = Spool { jobs: row.get("jobs")?, bytes: row.get("bytes")? };
        Ok(SpoolNow { workers: row.get("workers")?, spool })
    })?;
    Ok(WorkersNow {
        spool,
        states: states.collect::<Result<_, _>>()?,
        reasons: reasons.collect::<Result<_, _>>()?,
        releases: releases.collect::<Result<_, _>>()?,
        replicas,
    })
}
