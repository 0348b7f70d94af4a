//! Sessions in SQLite: [`Sessions`].

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, named_params};

use super::SqliteStore;
use crate::{Session, Sessions, StoreError};

mod sql;

#[async_trait]
impl Sessions for SqliteStore {
    async fn open_session(&self, session: &Session) -> Result<(), StoreError> {
        let session = session.clone();
        let opened = self.writer.change(move |connection| {
            connection.prepare_cached(sql::OVER)?.execute(named_params! { ":now": session.opened_at })?;
            connection.prepare_cached(sql::INSERT)?.execute(named_params! {
                ":hash": session.hash,
                ":token_hash": session.token_hash,
                ":opened_at": session.opened_at,
                ":expires_at": session.expires_at,
            })?;
            Ok(())
        });
        opened.await.map_err(|failure| failure.of("opening a session"))
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>, StoreError> {
        let hash = hash.to_owned();
        let found = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::ONE)?;
            let session = query.query_row(named_params! { ":hash": hash }, |row| {
                Ok(Session {
                    hash: row.get("hash")?,
                    token_hash: row.get("token_hash")?,
                    opened_at: row.get("opened_at")?,
                    expires_at: row.get("expires_at")?,
                })
            });
            Ok(session.optional()?)
        });
        found.await.map_err(|failure| failure.of("looking for a session"))
    }

    async fn end_session(&self, hash: &str) -> Result<(), StoreError> {
        let hash = hash.to_owned();
        let ended = self.writer.change(move |connection| {
            connection.prepare_cached(sql::END)?.execute(named_params! { ":hash": hash })?;
            Ok(())
        });
        ended.await.map_err(|failure| failure.of("ending a session"))
    }
}
