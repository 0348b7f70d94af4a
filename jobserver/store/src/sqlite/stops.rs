//! Stops in SQLite: [`Stops`].

use async_trait::async_trait;
use nightshift_wire::{Moment, OwnStop};
use rusqlite::{Connection, named_params};

use super::{SqliteStore, failure::Failure};
use crate::{
    StoreError,
    stops::{NewStop, Stops, read, written},
};

mod sql;

#[async_trait]
impl Stops for SqliteStore {
    async fn add_stop(&self, stop: &NewStop, now: Moment) -> Result<(), StoreError> {
        const DOING: &str = "raising a stop";
        let scope = written(&stop.scope).map_err(|source| StoreError::Fault { doing: DOING, source })?;
        let NewStop { reason, by, .. } = stop.clone();
        let added = self.writer.change(move |connection| {
            let new = named_params! { ":scope": scope, ":reason": reason, ":by": by, ":now": now };
            connection.prepare_cached(sql::ADD)?.execute(new)?;
            Ok(())
        });
        added.await.map_err(|failure| failure.of(DOING))
    }

    async fn stops(&self) -> Result<Vec<OwnStop>, StoreError> {
        let stops = self.readers.call(all).await;
        stops.map_err(|failure| failure.of("reading what is stopped"))
    }

    async fn clear_stops(&self) -> Result<Vec<OwnStop>, StoreError> {
        let cleared = self.writer.change(move |connection| {
            let stops = all(connection)?;
            connection.prepare_cached(sql::CLEAR)?.execute([])?;
            Ok(stops)
        });
        cleared.await.map_err(|failure| failure.of("taking the stops away"))
    }
}

fn all(connection: &Connection) -> Result<Vec<OwnStop>, Failure> {
    let mut query = connection.prepare_cached(sql::ALL)?;
    let rows = query.query_map([], |row| {
        Ok(OwnStop {
            id: row.get("id")?,
            reason: row.get("reason")?,
            scope: read(&row.get::<_, String>("scope")?),
            by: row.get("stopped_by")?,
            at: row.get("stopped_at")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
