//! Numbers of batches, jobs, records and attempts, taken before they are used and never given twice.
//!
//! Who knows its numbers beforehand can look for what it wrote when a commit was cut off, and the jobs of a hand-in and the
//! records of a job follow one another however many servers hand in at the same time. Most are taken many at a time; what
//! is left when a server ends is never used.

use std::ops::Range;

use mysql_async::params;
use nightshift_wire::{AttemptId, BatchId, JobId, RecordId};
use tokio::sync::Mutex;

use super::{
    connection::{Connections, Tx, in_rounds},
    failure::Failure,
    sql,
};

/// So many numbers of jobs, and of records, are taken at a time.
const AT_ONCE: i64 = 65_536;

/// So many numbers of attempts are taken at a time.
const ATTEMPTS_AT_ONCE: i64 = 10_000;

/// The numbers this server has in stock.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    jobs: Mutex<Range<JobId>>,
    records: Mutex<Range<RecordId>>,
}

impl Numbers {
    /// The number of a new batch.
    pub(super) async fn batch(&self, connections: &Connections) -> Result<BatchId, Failure> {
        in_rounds!(connections, |tx, _in_doubt| take(tx, "batches", 1))
    }

    /// The first of so many numbers of jobs that follow one another.
    pub(super) async fn jobs(&self, connections: &Connections, count: usize) -> Result<JobId, Failure> {
        from_stock(&self.jobs, "jobs", connections, count).await
    }

    /// The first of so many numbers of records that follow one another.
    pub(super) async fn records(&self, connections: &Connections, count: usize) -> Result<RecordId, Failure> {
        from_stock(&self.records, "records", connections, count).await
    }

    /// Numbers of attempts, no less than so many.
    pub(super) async fn attempts(&self, connections: &Connections, count: usize) -> Result<Range<AttemptId>, Failure> {
        let count = signed(count)?.max(ATTEMPTS_AT_ONCE);
        let first = in_rounds!(connections, |tx, _in_doubt| take(tx, "attempts", count))?;
        Ok(first..first + count)
    }
}

async fn from_stock(
    stock: &Mutex<Range<i64>>,
    name: &str,
    connections: &Connections,
    count: usize,
) -> Result<i64, Failure> {
    let count = signed(count)?;
    let mut stock = stock.lock().await;
    if stock.end - stock.start < count {
        let at_once = count.max(AT_ONCE);
        let first = in_rounds!(connections, |tx, _in_doubt| take(tx, name, at_once))?;
        *stock = first..first + at_once;
    }
    let first = stock.start;
    stock.start += count;
    Ok(first)
}

fn signed(count: usize) -> Result<i64, Failure> {
    i64::try_from(count).map_err(|_| Failure::Contradiction("more numbers than there are".to_owned()))
}

async fn take(tx: &mut Tx, name: &str, count: i64) -> Result<i64, Failure> {
    tx.insert(sql::TAKE_NUMBERS, params! { "name" => name, "count" => count }).await
}
