//! Sessions in MySQL and MariaDB, twin of `sqlite/sessions.rs`: whoever logged in at one job server is known to all.

use async_trait::async_trait;
use mysql_async::params;

use super::{MysqlStore, connection::in_rounds, failure::Failure};
use crate::{Session, Sessions, StoreError};

mod sql;

#[async_trait]
impl Sessions for MysqlStore {
    async fn open_session(&self, session: &Session) -> Result<(), StoreError> {
        let opened = in_rounds!(self.writers, |tx, in_doubt| async {
            if in_doubt && tx.first(sql::ONE, params! { "hash" => &session.hash }).await?.is_some() {
                return Ok(());
            }
            tx.change(sql::OVER, params! { "now" => session.opened_at }).await?;
            let new = params! {
                "hash" => &session.hash,
                "token_hash" => &session.token_hash,
                "opened_at" => session.opened_at,
                "expires_at" => session.expires_at,
            };
            tx.change(sql::INSERT, new).await?;
            Ok::<_, Failure>(())
        });
        opened.map_err(|failure| failure.of("opening a session"))
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| async {
            let Some(mut row) = tx.first(sql::ONE, params! { "hash" => hash }).await? else { return Ok(None) };
            Ok::<_, Failure>(Some(Session {
                hash: row.get("hash")?,
                token_hash: row.get("token_hash")?,
                opened_at: row.get("opened_at")?,
                expires_at: row.get("expires_at")?,
            }))
        });
        found.map_err(|failure| failure.of("looking for a session"))
    }

    async fn end_session(&self, hash: &str) -> Result<(), StoreError> {
        let ended = in_rounds!(self.writers, |tx, _in_doubt| tx.change(sql::END, params! { "hash" => hash }));
        ended.map(drop).map_err(|failure| failure.of("ending a session"))
    }
}
