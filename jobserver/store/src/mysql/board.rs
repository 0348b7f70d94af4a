//! What the dashboard shows, from MySQL and MariaDB; twin of `sqlite/board.rs`.

use async_trait::async_trait;
use mysql_async::{Params, params};
use nightshift_wire::{Batch, BatchId, Moment, Spool, Worker};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
    read,
};
use crate::{
    BatchFilter, Board, HourOfWork, ReplicasNow, SpoolNow, StoreError, WorkNow, WorkerFilter, WorkersNow, WorkersWhy,
    board::replica_state, words::Word as _,
};

mod sql;

#[async_trait]
impl Board for MysqlStore {
    async fn work_now(&self) -> Result<WorkNow, StoreError> {
        let now = in_rounds!(self.readers, |tx, _in_doubt| async {
            let row = tx.first(sql::WORK_NOW, ()).await?;
            let mut row = row.ok_or_else(|| Failure::Contradiction("a count without a row".to_owned()))?;
            Ok::<_, Failure>(WorkNow {
                results: row.get("results")?,
                open_batches: row.get("open_batches")?,
                open_records: row.get("open_records")?,
                open_results: row.get("open_results")?,
            })
        });
        now.map_err(|failure| failure.of("counting what is done"))
    }

    async fn workers_now(&self, away_before: Moment) -> Result<WorkersNow, StoreError> {
        let now = in_rounds!(self.readers, |tx, _in_doubt| workers_now(tx, away_before));
        now.map_err(|failure| failure.of("counting the workers"))
    }

    async fn find_batches(&self, filter: &BatchFilter, before: BatchId, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| async {
            let chosen = params! {
                "before" => before,
                "state" => filter.state.map(|state| state.word()),
                "owner" => &filter.owner,
                "limit" => limit,
            };
            tx.all(sql::BATCHES, chosen).await?.into_iter().map(read::read_batch).collect::<Result<Vec<_>, _>>()
        });
        found.map_err(|failure| failure.of("looking for batches"))
    }

    async fn find_workers(&self, filter: &WorkerFilter, after: &str, limit: u32) -> Result<Vec<Worker>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| async {
            let chosen = params! {
                "after" => after,
                "shown" => &filter.shown,
                "away_before" => filter.away_before,
                "release" => &filter.release,
                "text" => &filter.text,
                "limit" => limit,
            };
            tx.all(sql::WORKERS, chosen).await?.into_iter().map(read::read_worker).collect::<Result<Vec<_>, _>>()
        });
        found.map_err(|failure| failure.of("looking for workers"))
    }

    async fn hours(&self, since: Moment) -> Result<Vec<HourOfWork>, StoreError> {
        let hour = |mut row: Fields| {
            Ok::<_, Failure>(HourOfWork {
                hour: row.get("hour")?,
                plugin: row.get("plugin")?,
                jobs: row.get("jobs")?,
                records: row.get("records")?,
                errors: row.get("errors")?,
                work_ms: row.get("work_ms")?,
                failures: row.get("failures")?,
            })
        };
        let hours = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::HOURS, params! { "since" => since }).await?;
            rows.into_iter().map(hour).collect::<Result<Vec<_>, Failure>>()
        });
        hours.map_err(|failure| failure.of("reading what each hour did"))
    }

    async fn batch_over_time(&self, batch: BatchId, each: Moment) -> Result<Vec<(Moment, u64, u64)>, StoreError> {
        let read = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::BATCH_OVER_TIME, params! { "batch" => batch, "each" => each.max(1) }).await?;
            let stretch = |mut row: Fields| Ok((row.get("began")?, row.get("records")?, row.get("errors")?));
            rows.into_iter().map(stretch).collect::<Result<Vec<_>, Failure>>()
        });
        read.map_err(|failure| failure.of("reading when a batch was done"))
    }

    async fn errors_by_kind(&self, batch: BatchId, most: u32) -> Result<Vec<(String, u64)>, StoreError> {
        let errors = in_rounds!(self.readers, |tx, _in_doubt| async {
            read::batch(tx, batch).await?;
            let rows = tx.all(sql::ERRORS_BY_KIND, params! { "batch" => batch, "most" => most }).await?;
            let kind = |mut row: Fields| Ok((row.get("error")?, row.get("records")?));
            rows.into_iter().map(kind).collect::<Result<Vec<_>, Failure>>()
        });
        errors.map_err(|failure| failure.of("counting the errors of a batch"))
    }
}

async fn workers_now(tx: &mut Tx, away_before: Moment) -> Result<WorkersNow, Failure> {
    let away: Params = params! { "away_before" => away_before };
    let counted = |name: &'static str| move |mut row: Fields| Ok::<_, Failure>((row.get(name)?, row.get("workers")?));
    let states = tx.all(sql::WORKERS_BY_STATE, away.clone()).await?;
    let reasons = tx.all(sql::WORKERS_BY_REASON, away.clone()).await?.into_iter().map(|mut row| {
        Ok::<_, Failure>(WorkersWhy { shown: row.get("shown")?, why: row.get("why")?, workers: row.get("workers")? })
    });
    let reasons = reasons.collect::<Result<_, _>>()?;
    let releases = tx.all(sql::WORKERS_BY_RELEASE, away.clone()).await?;
    let replicas = tx.all(sql::WORKERS_BY_REPLICA, away).await?.into_iter().map(|mut row| {
        let state = replica_state(row.get("state")?)?;
        Ok::<_, Failure>(ReplicasNow { state, workers: row.get("workers")?, behind_ms: row.get("behind_ms")? })
    });
    let spool = tx.first(sql::SPOOL, ()).await?.map(|mut row| {
        let spool = Spool { jobs: row.get("jobs")?, bytes: row.get("bytes")? };
        Ok::<_, Failure>(SpoolNow { workers: row.get("workers")?, spool })
    });
    Ok(WorkersNow {
        spool: spool.transpose()?.unwrap_or_default(),
        states: states.into_iter().map(counted("shown")).collect::<Result<_, _>>()?,
        reasons,
        releases: releases.into_iter().map(counted("release")).collect::<Result<_, _>>()?,
        replicas: replicas.collect::<Result<_, _>>()?,
    })
}
