//! Acts in MySQL and MariaDB, twin of `sqlite/acts.rs`.

use async_trait::async_trait;
use mysql_async::params;

use super::{
    MysqlStore,
    connection::{Fields, in_rounds},
    failure::Failure,
};
use crate::{Act, Acts, NewAct, StoreError};

mod sql;

#[async_trait]
impl Acts for MysqlStore {
    async fn note_act(&self, act: &NewAct) -> Result<(), StoreError> {
        // A round after a commit in doubt may note it twice: better than not at all.
        let noted = in_rounds!(self.writers, |tx, _in_doubt| async {
            let new = params! { "at" => act.at, "by" => &act.by, "did" => &act.did, "why" => &act.why };
            tx.change(sql::INSERT, new).await?;
            Ok::<_, Failure>(())
        });
        noted.map_err(|failure| failure.of("noting who did what"))
    }

    async fn acts(&self, before: i64, limit: u32) -> Result<Vec<Act>, StoreError> {
        let act = |mut row: Fields| {
            let act =
                NewAct { at: row.get("done_at")?, by: row.get("done_by")?, did: row.get("did")?, why: row.get("why")? };
            Ok::<_, Failure>(Act { id: row.get("id")?, act })
        };
        let acts = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::NEWEST, params! { "before" => before, "limit" => limit }).await?;
            rows.into_iter().map(act).collect::<Result<Vec<_>, Failure>>()
        });
        acts.map_err(|failure| failure.of("reading who did what"))
    }
}
