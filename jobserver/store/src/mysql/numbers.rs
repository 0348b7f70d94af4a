//! Numbers of batches and records, taken before they are used and never given twice.
//!
//! Who knows its numbers beforehand can look for what it wrote when a commit was cut off, and the records of a job follow
//! one another however many servers hand in at the same time. Numbers of records are taken many at a time; what is left
//! when a server ends is never used.

use std::ops::Range;

use mysql_async::params;
use nightshift_wire::{BatchId, RecordId};
use tokio::sync::Mutex;

use super::{
    connection::{Connections, Tx, in_rounds},
    failure::Failure,
    sql,
};

/// So many numbers of records are taken at a time.
const RECORDS_AT_ONCE: i64 = 65_536;

/// The numbers this server has in stock.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    records: Mutex<Range<RecordId>>,
}

impl Numbers {
    /// The number of a new batch.
    pub(super) async fn batch(&self, connections: &Connections) -> Result<BatchId, Failure> {
        in_rounds!(connections, |tx, _in_doubt| take(tx, "batches", 1))
    }

    /// The first of so many numbers of records that follow one another.
    pub(super) async fn records(&self, connections: &Connections, count: usize) -> Result<RecordId, Failure> {
        let count = i64::try_from(count).map_err(|_| Failure::Contradiction("a job without end".to_owned()))?;
        let mut stock = self.records.lock().await;
        if stock.end - stock.start < count {
            let at_once = count.max(RECORDS_AT_ONCE);
            let first = in_rounds!(connections, |tx, _in_doubt| take(tx, "records", at_once))?;
            *stock = first..first + at_once;
        }
        let first = stock.start;
        stock.start += count;
        Ok(first)
    }
}

async fn take(tx: &mut Tx, name: &str, count: i64) -> Result<i64, Failure> {
    tx.insert(sql::TAKE_NUMBERS, params! { "name" => name, "count" => count }).await
}
