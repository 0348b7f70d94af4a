//! What a worker's own database server needs: the way to the primary, and leave to build a replica anew.
//!
//! Every error is as at [`Client::claim`]: the server is away, breaks off or refuses.

use nightshift_wire::{RebuildPermit, RebuildRequest, Replication};

use crate::ask::Ask;
use crate::{Client, ClientError};

impl Client {
    /// The way to the primary; it has a password in it.
    ///
    /// # Errors
    /// See [`Client::claim`]; a job server that hands none out says so as `not_found`.
    pub async fn replication(&self) -> Result<Replication, ClientError> {
        self.ask(Ask::get("asking how to copy the primary", "v1/replication")).await?.json().await
    }

    /// Asks to build the worker's replica anew, or to go on building it.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn permit_rebuild(&self, request: &RebuildRequest) -> Result<RebuildPermit, ClientError> {
        let doing = "asking whether the replica may be built anew";
        self.ask(Ask::post(doing, "v1/rebuilds", request)).await?.json().await
    }

    /// Says that the worker builds its replica no more. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn end_rebuild(&self, worker: &str) -> Result<(), ClientError> {
        self.ask(Ask::delete("saying that no replica is built any more", "v1/rebuilds").below(worker)).await?;
        Ok(())
    }
}
