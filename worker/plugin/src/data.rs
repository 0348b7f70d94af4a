//! The data that a plugin's own code may ask: queries that only read, on the plugin's tables, whichever runtime it is of.
//!
//! Where the tables are is the manifest's `[data]`; each place implements [`Queries`]. The `sql` runtime joins its block
//! with the tables and has no need of this.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use nightshift_manifest::plugin::{DataSource, PluginManifest};

use crate::clock::Alarm;
use crate::field::Field;
use crate::sql::{self, ReplicaReader, SqliteReader};
use crate::{Data, Host, OpenError};

/// A place where a plugin's tables are.
pub(crate) trait Queries: Send {
    /// Runs `sql`, which may only read, with `parameters` for its question marks, and hands each row to `row` as it comes,
    /// until that breaks off. Statements are kept prepared.
    ///
    /// # Errors
    /// Why there are no (more) rows. It ends early when the plugin's alarm rings.
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Field<'_>],
        row: &mut dyn FnMut(&[Field<'_>]) -> ControlFlow<()>,
    ) -> Result<(), QueryError>;
}

/// Why a query has no (more) rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// The plugin's alarm rang.
    #[error("the query was broken off")]
    BrokenOff,
    /// The replica is away: neither the query is at fault nor a record.
    #[error("the data on {replica} are away: {reason}")]
    Away { replica: String, reason: String },
    /// The query is at fault.
    #[error("the query failed: {0}")]
    Failed(String),
}

impl QueryError {
    /// The query `has` other than the `given` number of parameters.
    pub(crate) fn parameters(has: usize, given: usize) -> QueryError {
        QueryError::Failed(format!("it has {has} parameters, and the plugin gave {given}"))
    }
}

/// Opens the tables that `manifest` names, for the plugin in `folder` of the release in `tree`. A query ends when `alarm`
/// rings.
///
/// # Errors
/// The table's file at fault, or why the replica is of no use; one that is only away is looked for again by each query.
pub(crate) fn open(
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
    data: Data,
    host: &Host,
    alarm: &Arc<Alarm>,
) -> Result<Box<dyn Queries>, OpenError> {
    match manifest.source {
        DataSource::Repo => Ok(Box::new(SqliteReader::open(folder, tree, manifest, data, alarm)?)),
        DataSource::Replica => {
            let replica = sql::replica_for(folder, tree, manifest, data, host)?;
            Ok(Box::new(ReplicaReader::open(replica, manifest, alarm)?))
        }
    }
}
