//! Positions of another primary, and permits to build replicas anew, in MySQL and MariaDB: [`Replicas`].
//!
//! Several servers may see a failover at the same instant: a batch is repinned only as it was read, and no row that is not
//! is locked, for groups of verbs want them all the time. Permits are given one after the other. A round after a commit in
//! doubt finds what the one before did, and repeats nothing.

use async_trait::async_trait;
use mysql_async::params;
use nightshift_rules::{primary, rebuild};
use nightshift_wire::{BatchId, DataPosition, Moment, RebuildPermit, RebuildRequest, Repin};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
};
use crate::{Repinned, Replicas, StoreError};

mod sql;

#[async_trait]
impl Replicas for MysqlStore {
    async fn repin(&self, seen: &DataPosition, now: Moment) -> Result<Vec<Repinned>, StoreError> {
        let repinned = in_rounds!(self.writers, |tx, _in_doubt| repin(tx, seen, now));
        repinned.map_err(|failure| failure.of("giving batches a position of the new primary"))
    }

    async fn repins(&self, batch: BatchId) -> Result<Vec<Repin>, StoreError> {
        let repins = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::REPINS, params! { "batch" => batch }).await?;
            rows.into_iter().map(read_repin).collect::<Result<Vec<_>, Failure>>()
        });
        repins.map_err(|failure| failure.of("reading how a batch's position changed"))
    }

    async fn permit_rebuild(
        &self,
        request: &RebuildRequest,
        at_once: u32,
        now: Moment,
    ) -> Result<RebuildPermit, StoreError> {
        let permit = in_rounds!(self.writers, |tx, _in_doubt| async {
            tx.change(sql::TURN, ()).await?;
            let RebuildRequest { worker, reason } = request;
            let verdict = rebuild::judge(worker, &builders(tx).await?, at_once, now);
            if let Ok(until) = verdict {
                let permit = params! { "worker" => worker, "reason" => reason, "now" => now, "until" => until };
                tx.change(sql::PERMIT, permit).await?;
            }
            Ok::<_, Failure>(rebuild::answer(verdict))
        });
        permit.map_err(|failure| failure.of("permitting a rebuild"))
    }

    async fn end_rebuild(&self, worker: &str) -> Result<(), StoreError> {
        let ended =
            in_rounds!(self.writers, |tx, _in_doubt| tx.change(sql::END_REBUILD, params! { "worker" => worker }));
        ended.map(drop).map_err(|failure| failure.of("ending a rebuild"))
    }
}

async fn repin(tx: &mut Tx, seen: &DataPosition, now: Moment) -> Result<Vec<Repinned>, Failure> {
    let mut repinned = Vec::new();
    for mut row in tx.all(sql::TO_REPIN, params! { "primary" => &seen.primary }).await? {
        let (batch, jobs_done): (BatchId, u64) = (row.get("id")?, row.get("jobs_done")?);
        let pinned = DataPosition {
            primary: row.get("data_primary")?,
            gtid: row.get("data_gtid")?,
            noted: row.get("data_noted")?,
        };
        let Some(repin) = primary::repin(&pinned, jobs_done, seen, now) else { continue };
        let DataPosition { primary, gtid, noted } = &repin.to;
        let to = params! {
            "batch" => batch, "from_primary" => &pinned.primary, "primary" => primary, "gtid" => gtid, "noted" => noted,
        };
        if tx.change(sql::REPIN, to).await? == 0 {
            continue;
        }
        let note = params! {
            "batch" => batch, "now" => now, "jobs_done" => jobs_done,
            "from_primary" => &pinned.primary, "from_gtid" => &pinned.gtid, "from_noted" => pinned.noted,
            "primary" => primary, "gtid" => gtid, "noted" => noted,
        };
        tx.change(sql::NOTE_REPIN, note).await?;
        repinned.push(Repinned { batch, repin });
    }
    Ok(repinned)
}

fn read_repin(mut row: Fields) -> Result<Repin, Failure> {
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

async fn builders(tx: &mut Tx) -> Result<Vec<rebuild::Builder>, Failure> {
    let builder = |mut row: Fields| Ok(rebuild::Builder { worker: row.get("worker")?, until: row.get("until")? });
    tx.all(sql::BUILDERS, ()).await?.into_iter().map(builder).collect()
}
