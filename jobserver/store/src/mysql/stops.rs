//! Stops in MySQL and MariaDB, twin of `sqlite/stops.rs`. Several servers share them: each reads them every second.

use async_trait::async_trait;
use mysql_async::params;
use nightshift_wire::{Moment, OwnStop};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
};
use crate::{
    StoreError,
    stops::{NewStop, Stops, read, written},
};

mod sql;

#[async_trait]
impl Stops for MysqlStore {
    async fn add_stop(&self, stop: &NewStop, now: Moment) -> Result<(), StoreError> {
        const DOING: &str = "raising a stop";
        let scope = written(&stop.scope).map_err(|source| StoreError::Fault { doing: DOING, source })?;
        // A round after a commit in doubt replaces what the one before wrote by the same.
        let added = in_rounds!(self.writers, |tx, _in_doubt| async {
            let new = params! { "scope" => &scope, "reason" => &stop.reason, "by" => &stop.by, "now" => now };
            tx.change(sql::ADD, new).await?;
            Ok::<_, Failure>(())
        });
        added.map_err(|failure| failure.of(DOING))
    }

    async fn stops(&self) -> Result<Vec<OwnStop>, StoreError> {
        let stops = in_rounds!(self.readers, |tx, _in_doubt| all(tx, sql::ALL));
        stops.map_err(|failure| failure.of("reading what is stopped"))
    }

    async fn clear_stops(&self) -> Result<Vec<OwnStop>, StoreError> {
        // What a round before found: if that was committed, it is what was taken away.
        let mut before = Vec::new();
        let cleared = in_rounds!(self.writers, |tx, in_doubt| clear(tx, &mut before, in_doubt));
        cleared.map_err(|failure| failure.of("taking the stops away"))
    }
}

async fn all(tx: &mut Tx, sql: &str) -> Result<Vec<OwnStop>, Failure> {
    let stop = |mut row: Fields| {
        Ok(OwnStop {
            id: row.get("id")?,
            reason: row.get("reason")?,
            scope: read(&row.get::<String>("scope")?),
            by: row.get("stopped_by")?,
            at: row.get("stopped_at")?,
        })
    };
    tx.all(sql, ()).await?.into_iter().map(stop).collect()
}

/// Takes away the stops that are there, and none that another server raises meanwhile.
async fn clear(tx: &mut Tx, before: &mut Vec<OwnStop>, in_doubt: bool) -> Result<Vec<OwnStop>, Failure> {
    if !in_doubt {
        *before = all(tx, sql::ALL_TO_CLEAR).await?;
    }
    for stop in before.iter() {
        tx.change(sql::CLEAR, params! { "id" => stop.id }).await?;
    }
    Ok(before.clone())
}
