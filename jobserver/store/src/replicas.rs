//! What a store knows of the primary and of workers' replicas: how positions of batches changed, and who builds anew.
//!
//! A batch's own position is among its columns ([`NewBatch::position`](crate::NewBatch::position)), and goes out with each
//! claim. What counts as another primary, and who may build, is decided in `jobserver/rules`.

use async_trait::async_trait;
use nightshift_wire::{BatchId, DataPosition, Moment, RebuildPermit, RebuildRequest, Repin};

use crate::StoreError;

/// A batch that got a position of another primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repinned {
    /// The batch.
    pub batch: BatchId,
    /// How its position changed.
    pub repin: Repin,
}

/// The part of a store that knows of replicas. When a verb answers `Ok`, what it did is durable.
#[async_trait]
pub trait Replicas: Send + Sync {
    /// Gives every batch that is not done, and whose position is of another primary than `seen`, the position `seen`, on
    /// the record. Those that were changed, by number.
    async fn repin(&self, seen: &DataPosition, now: Moment) -> Result<Vec<Repinned>, StoreError>;

    /// How the position of a batch changed, the first time first.
    async fn repins(&self, batch: BatchId) -> Result<Vec<Repin>, StoreError>;

    /// A worker asks to build its replica anew, or to go on building: `at_once` workers may in the whole grid.
    async fn permit_rebuild(
        &self,
        request: &RebuildRequest,
        at_once: u32,
        now: Moment,
    ) -> Result<RebuildPermit, StoreError>;

    /// A worker builds no more; again changes nothing.
    async fn end_rebuild(&self, worker: &str) -> Result<(), StoreError>;
}
