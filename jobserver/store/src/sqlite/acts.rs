//! Acts in SQLite: [`Acts`].

use async_trait::async_trait;
use rusqlite::named_params;

use super::SqliteStore;
use crate::{Act, Acts, NewAct, StoreError};

mod sql;

#[async_trait]
impl Acts for SqliteStore {
    async fn note_act(&self, act: &NewAct) -> Result<(), StoreError> {
        let act = act.clone();
        let noted = self.writer.change(move |connection| {
            let new = named_params! { ":at": act.at, ":by": act.by, ":did": act.did, ":why": act.why };
            connection.prepare_cached(sql::INSERT)?.execute(new)?;
            Ok(())
        });
        noted.await.map_err(|failure| failure.of("noting who did what"))
    }

    async fn acts(&self, before: i64, limit: u32) -> Result<Vec<Act>, StoreError> {
        let acts = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::NEWEST)?;
            let rows = query.query_map(named_params! { ":before": before, ":limit": limit }, |row| {
                let act = NewAct {
                    at: row.get("done_at")?,
                    by: row.get("done_by")?,
                    did: row.get("did")?,
                    why: row.get("why")?,
                };
                Ok(Act { id: row.get("id")?, act })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        acts.await.map_err(|failure| failure.of("reading who did what"))
    }
}
