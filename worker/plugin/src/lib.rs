//! Runs a release's plugins over blocks of records.
//!
//! [`open`] makes an instance of a plugin out of a release's tree; it stays loaded between jobs. [`Plugin::process`]
//! takes a block and gives exactly one result for each of its records, whatever the plugin does. [`samples`] runs a
//! plugin over its own sample records, as `plugin test`, `release cut` and a release's trial do. Which blocks there are
//! and what becomes of the results is the caller's business; so is verifying the files of the tree.
//!
//! There are two runtimes so far, [`sql`] and [`process`], and one kind of data, tables that travel in the release itself.

mod block;
mod clock;
mod csv_file;
mod field;
mod host;
mod isolate;
mod memory;
pub mod process;
pub mod samples;
pub mod speed;
mod sql;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{PluginManifest, Runtime};
use nightshift_wire::{RecordResult, Records};

pub use crate::host::Host;

/// A plugin that is open and ready for blocks.
pub trait Plugin: Send {
    /// Processes a block: exactly one result for each record, in the order of the records.
    ///
    /// # Errors
    /// When the fault is the plugin's and not a record's; the block has no results then.
    fn process(&mut self, block: &Records) -> Result<Vec<RecordResult>, BlockError>;

    /// Bytes of memory that the plugin's own process had at most so far; `None` where it has none, and lives in this one.
    fn memory(&self) -> Option<u64> {
        None
    }

    /// Breaks off the block under way, from any thread; the block has no results then. Between blocks it may do nothing.
    fn stopper(&self) -> Stopper;
}

/// Breaks off what a plugin does.
pub type Stopper = Arc<dyn Fn() + Send + Sync>;

/// Which data tables a plugin works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The release's: `TREE/data/NAME.csv`.
    Release,
    /// The plugin's sample tables, `samples/NAME.csv` in its folder, and the release's where it has none.
    Samples,
}

/// Why a plugin cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One of its files cannot be read.
    #[error("reading {file}")]
    Read {
        /// The file, as the release's tree names it.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// One of its files says something that cannot be taken.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its `open.sqlite.sql` takes too long.
    #[error("running {file}: not done after {} s; prepare less, or in fewer steps", limit.as_secs())]
    TooSlow {
        /// The file.
        file: String,
        /// How long it was given.
        limit: Duration,
    },
    /// SQLite failed before any file of the plugin was used.
    #[error("preparing SQLite for plugin {plugin}")]
    Sqlite {
        /// The plugin.
        plugin: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Why a block has no results: the plugin is at fault, or its caller.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The block lacks a column of `[input]`.
    #[error("plugin {plugin} needs column {column}, which the block does not have")]
    MissingColumn {
        /// The plugin.
        plugin: String,
        /// The column.
        column: String,
    },
    /// The block names a record twice.
    #[error("the block holds record {record} twice")]
    RepeatedRecord {
        /// The record's number.
        record: i64,
    },
    /// The plugin answered for something that is not in the block.
    #[error(
        "plugin {plugin} returned a row for record_id {found}, which is not in the block; return each record's own"
    )]
    ForeignRow {
        /// The plugin.
        plugin: String,
        /// What stood in `record_id`.
        found: String,
    },
    /// The plugin answered with more than a job's results can hold.
    #[error(
        "plugin {plugin} returned more than {} MiB for one block; return less for a record, or set a smaller block in plugin.toml",
        most >> 20
    )]
    TooMuch {
        /// The plugin.
        plugin: String,
        /// Bytes that one block may bring.
        most: usize,
    },
    /// The plugin fails, not only on single records.
    #[error("plugin {plugin} fails on this block: {reason}")]
    Fails {
        /// The plugin.
        plugin: String,
        /// Why it failed first.
        reason: String,
    },
    /// SQLite failed while the block was handed to the plugin.
    #[error("handing the block to plugin {plugin}")]
    Sqlite {
        /// The plugin.
        plugin: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Opens the plugin that `manifest` describes; its folder is `TREE/plugins/NAME`.
///
/// # Errors
/// The file at fault, where there is one the line, and what to do.
pub fn open(tree: &Path, manifest: &PluginManifest, data: Data, host: &Host) -> Result<Box<dyn Plugin>, OpenError> {
    open_in(&tree.join("plugins").join(&manifest.name), tree, manifest, data, host)
}

fn open_in(
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
    data: Data,
    _host: &Host,
) -> Result<Box<dyn Plugin>, OpenError> {
    match manifest.runtime {
        Runtime::Sql => Ok(Box::new(sql::SqlPlugin::open(folder, tree, manifest, data)?)),
        Runtime::Wasm => Err(FileError::whole(
            &PluginManifest::path_of(&manifest.name),
            "this version of Nightshift runs no wasm: write another runtime",
        )
        .into()),
        Runtime::Process => Ok(Box::new(process::ProcessPlugin::open(folder, manifest))),
    }
}
