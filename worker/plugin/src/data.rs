//! The data that a plugin's own code may ask: queries that only read, on the plugin's tables, whichever runtime it is of.
//!
//! Where the tables are is the manifest's `[data]`; each place implements [`Queries`]. The `sql` runtime joins its block
//! with the tables and has no need of this.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{DataSource, PluginManifest};

use crate::clock::Alarm;
use crate::field::Field;
use crate::sql::SqliteReader;
use crate::{Data, OpenError};

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
    /// The query is at fault.
    #[error("the query failed: {0}")]
    Failed(String),
}

/// Opens the tables that `manifest` names, for the plugin in `folder` of the release in `tree`. A query ends when `alarm`
/// rings.
///
/// # Errors
/// The table's file at fault, or that there is no such place for this runtime.
pub(crate) fn open(
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
    data: Data,
    alarm: &Arc<Alarm>,
) -> Result<Box<dyn Queries>, OpenError> {
    match manifest.source {
        DataSource::Repo => Ok(Box::new(SqliteReader::open(folder, tree, manifest, data, alarm)?)),
        DataSource::Replica => {
            let problem = "a module cannot query the replica yet: write source = \"repo\", or runtime = \"sql\"";
            Err(FileError::whole(&PluginManifest::path_of(&manifest.name), problem).into())
        }
    }
}
