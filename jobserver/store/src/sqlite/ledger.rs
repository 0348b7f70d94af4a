//! What was handed in and what came of it, in SQLite: [`Ledger`].

use async_trait::async_trait;
use nightshift_rules::sizing::Measured;
use nightshift_wire::BatchId;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{SqliteStore, columns, failure::Failure, sql};
use crate::{Computed, Input, Ledger, Noted, Refusal, StoreError};

#[async_trait]
impl Ledger for SqliteStore {
    async fn note_input(&self, batch: BatchId, input: &Input) -> Result<Noted, StoreError> {
        let input = input.clone();
        let noted = self.writer.change(move |connection| note(connection, batch, &input)).await;
        noted.map_err(|failure| failure.of("noting what a batch was made of"))
    }

    async fn input_of_key(&self, key: &str) -> Result<Option<(BatchId, Input)>, StoreError> {
        let key = key.to_owned();
        let found = self.readers.call(move |connection| of_key(connection, &key)).await;
        found.map_err(|failure| failure.of("looking for the batch of a key"))
    }

    async fn input(&self, batch: BatchId) -> Result<Option<Input>, StoreError> {
        let found = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::INPUT)?;
            Ok(query.query_row(named_params! { ":batch": batch }, read).optional()?.map(|(_, input)| input))
        });
        found.await.map_err(|failure| failure.of("reading what a batch was made of"))
    }

    async fn speed(&self, plugin: &str) -> Result<Measured, StoreError> {
        let plugin = plugin.to_owned();
        let measured = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::SPEED)?;
            let measured = query.query_row(named_params! { ":plugin": plugin }, |row| {
                Ok(Measured { records: row.get("records")?, work_ms: row.get("work_ms")? })
            });
            Ok(measured.optional()?.unwrap_or_default())
        });
        measured.await.map_err(|failure| failure.of("reading how fast a plugin is"))
    }

    async fn computed(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<Computed>, StoreError> {
        let computed = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::COMPUTED)?;
            let rows = query.query_map(named_params! { ":batch": batch, ":from": from, ":to": to }, |row| {
                Ok(Computed {
                    release: row.get("release")?,
                    commit: row.get("release_commit")?,
                    worker: row.get("worker")?,
                    position: columns::reached(row)?,
                    jobs: row.get("jobs")?,
                    results: row.get("results")?,
                    errors: row.get("errors")?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        computed.await.map_err(|failure| failure.of("counting results by release"))
    }

    async fn jobs_with_errors(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<u64>, StoreError> {
        let places = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::JOBS_WITH_ERRORS)?;
            let range = named_params! { ":batch": batch, ":from": from, ":to": to };
            Ok(query.query_map(range, |row| row.get("seq"))?.collect::<Result<_, _>>()?)
        });
        places.await.map_err(|failure| failure.of("looking for results that are errors"))
    }
}

fn note(connection: &Connection, batch: BatchId, input: &Input) -> Result<Noted, Failure> {
    if let Some(key) = &input.key {
        connection.prepare_cached(sql::FREE_KEY)?.execute(named_params! { ":key": key })?;
        if let Some((batch, input)) = of_key(connection, key)? {
            return Ok(Noted::Before { batch, input });
        }
    }
    let noted = connection.prepare_cached(sql::INSERT_INPUT)?.execute(named_params! {
        ":batch": batch,
        ":key": input.key,
        ":digest": input.digest,
        ":bytes": input.bytes,
        ":parameters": input.parameters,
    })?;
    if noted == 1 { Ok(Noted::First) } else { Err(Refusal::NotReceiving(batch).into()) }
}

fn of_key(connection: &Connection, key: &str) -> Result<Option<(BatchId, Input)>, Failure> {
    Ok(connection.prepare_cached(sql::INPUT_OF_KEY)?.query_row(named_params! { ":key": key }, read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<(BatchId, Input)> {
    let input = Input {
        digest: row.get("digest")?,
        bytes: row.get("bytes")?,
        parameters: row.get("parameters")?,
        key: row.get("owner_key")?,
    };
    Ok((row.get("batch_id")?, input))
}
