//! What was handed in and what came of it, in MySQL or MariaDB: [`Ledger`].

use async_trait::async_trait;
use mysql_async::params;
use nightshift_rules::sizing::Measured;
use nightshift_wire::BatchId;

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
    sql,
};
use crate::{Computed, Input, Ledger, Noted, Refusal, StoreError};

#[async_trait]
impl Ledger for MysqlStore {
    async fn note_input(&self, batch: BatchId, input: &Input) -> Result<Noted, StoreError> {
        let noted = in_rounds!(self.writers, |tx, in_doubt| note(tx, batch, input, in_doubt));
        noted.map_err(|failure| failure.of("noting what a batch was made of"))
    }

    async fn input_of_key(&self, key: &str) -> Result<Option<(BatchId, Input)>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| of_key(tx, key));
        found.map_err(|failure| failure.of("looking for the batch of a key"))
    }

    async fn input(&self, batch: BatchId) -> Result<Option<Input>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| of_batch(tx, batch));
        found.map_err(|failure| failure.of("reading what a batch was made of"))
    }

    async fn speed(&self, plugin: &str) -> Result<Measured, StoreError> {
        let measured = in_rounds!(self.readers, |tx, _in_doubt| speed(tx, plugin));
        measured.map_err(|failure| failure.of("reading how fast a plugin is"))
    }

    async fn computed(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<Computed>, StoreError> {
        let computed = in_rounds!(self.readers, |tx, _in_doubt| computed(tx, batch, from, to));
        computed.map_err(|failure| failure.of("counting results by release"))
    }

    async fn jobs_with_errors(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<u64>, StoreError> {
        let places = in_rounds!(self.readers, |tx, _in_doubt| with_errors(tx, batch, from, to));
        places.map_err(|failure| failure.of("looking for results that are errors"))
    }
}

async fn note(tx: &mut Tx, batch: BatchId, input: &Input, in_doubt: bool) -> Result<Noted, Failure> {
    if in_doubt && of_batch(tx, batch).await?.is_some() {
        return Ok(Noted::First);
    }
    if let Some(key) = &input.key {
        tx.change(sql::FREE_KEY, params! { "key" => key }).await?;
        // Another server that notes the same key just now makes the INSERT fail for its duplicate: the next round sees it.
        if let Some((batch, input)) = of_key(tx, key).await? {
            return Ok(Noted::Before { batch, input });
        }
    }
    let noted = params! {
        "batch" => batch,
        "key" => &input.key,
        "digest" => &input.digest,
        "bytes" => input.bytes,
        "parameters" => &input.parameters,
    };
    match tx.change(sql::INSERT_INPUT, noted).await? {
        1 => Ok(Noted::First),
        _ => Err(Refusal::NotReceiving(batch).into()),
    }
}

async fn of_key(tx: &mut Tx, key: &str) -> Result<Option<(BatchId, Input)>, Failure> {
    tx.first(sql::INPUT_OF_KEY, params! { "key" => key }).await?.map(read).transpose()
}

async fn of_batch(tx: &mut Tx, batch: BatchId) -> Result<Option<Input>, Failure> {
    let row = tx.first(sql::INPUT, params! { "batch" => batch }).await?;
    row.map(|row| read(row).map(|(_, input)| input)).transpose()
}

fn read(mut row: Fields) -> Result<(BatchId, Input), Failure> {
    let input = Input {
        digest: row.get("digest")?,
        bytes: row.get("bytes")?,
        parameters: row.get("parameters")?,
        key: row.get("owner_key")?,
    };
    Ok((row.get("batch_id")?, input))
}

async fn speed(tx: &mut Tx, plugin: &str) -> Result<Measured, Failure> {
    match tx.first(sql::SPEED, params! { "plugin" => plugin }).await? {
        None => Ok(Measured::default()),
        Some(mut row) => Ok(Measured { records: row.get("records")?, work_ms: row.get("work_ms")? }),
    }
}

async fn computed(tx: &mut Tx, batch: BatchId, from: u64, to: u64) -> Result<Vec<Computed>, Failure> {
    let rows = tx.all(sql::COMPUTED, params! { "batch" => batch, "from" => from, "to" => to }).await?;
    let read = |mut row: Fields| {
        Ok(Computed {
            release: row.get("release")?,
            commit: row.get("release_commit")?,
            worker: row.get("worker")?,
            position: row.reached()?,
            jobs: row.get("jobs")?,
            results: row.get("results")?,
            errors: row.get("errors")?,
        })
    };
    rows.into_iter().map(read).collect()
}

async fn with_errors(tx: &mut Tx, batch: BatchId, from: u64, to: u64) -> Result<Vec<u64>, Failure> {
    let rows = tx.all(sql::JOBS_WITH_ERRORS, params! { "batch" => batch, "from" => from, "to" => to }).await?;
    rows.into_iter().map(|mut row| row.get("seq")).collect()
}
