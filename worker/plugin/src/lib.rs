//! Runs a release's plugins over blocks of records.
//!
//! [`open`] makes an instance of a plugin out of a release's tree; it stays loaded between jobs. [`Plugin::work`]
//! takes a block and gives exactly one result for each of its records, whatever the plugin does. [`samples`] runs a
//! plugin over its own sample records, as `plugin test`, `release cut` and a release's trial do. Which blocks there are
//! and what becomes of the results is the caller's business; so is verifying the files of the tree.
//!
//! There are three runtimes, [`sql`], [`wasm`] and [`process`] (which runs programs in a [`sandbox`]), and two kinds of data:
//! tables that travel in the release itself, and those on the worker's replica of the company's MySQL or MariaDB
//! ([`Replica`]). What runtimes share: the way of a block ([`block`]), how a record at fault is found ([`isolate`]), what an
//! answer must be ([`outcome`]), and the data that code may query ([`data`]).

mod block;
mod clock;
mod csv_file;
mod data;
mod field;
mod host;
mod isolate;
mod log_lines;
mod memory;
mod outcome;
pub mod process;
mod replica;
mod results;
pub mod samples;
pub mod sandbox;
pub mod speed;
mod sql;
mod wasm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{DataSource, PluginManifest, Runtime};
use nightshift_wire::{Record, RecordResult, Records};

pub use crate::host::Host;
pub use crate::replica::{Replica, ReplicaError, SCRATCH_SCHEMA};
pub use crate::results::Results;

/// Some records of a job, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Names of the columns.
    pub columns: &'a [String],
    /// The records; their values stand in the order of `columns`.
    pub records: &'a [Record],
}

impl<'a> From<&'a Records> for Block<'a> {
    fn from(records: &'a Records) -> Block<'a> {
        Block { columns: &records.columns, records: &records.records }
    }
}

/// A plugin that is open and ready for blocks.
pub trait Plugin: Send {
    /// Processes a block: exactly one result for each record, in the order of the records.
    ///
    /// # Errors
    /// When the fault is the plugin's and not a record's; the block has no results then.
    fn work(&mut self, block: Block<'_>) -> Result<Results, BlockError>;

    /// As [`Plugin::work`], for whoever looks into the results.
    ///
    /// # Errors
    /// As there.
    fn process(&mut self, block: &Records) -> Result<Vec<RecordResult>, BlockError> {
        self.work(block.into()).map(|results| results.decoded())
    }

    /// Bytes of memory that the plugin's own processes take now; `None` where it has none, and lives in this one.
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
    /// The plugin's sample tables, `samples/NAME.csv` in its folder, and the release's where it has none. A query for the
    /// replica runs on them by its twin for SQLite, or on a private server ([`Host::private_server`]).
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
    /// Its `open.sqlite.sql` or `open.mysql.sql` takes too long.
    #[error("running {file}: not done after {} s; prepare less, or in fewer steps", limit.as_secs())]
    TooSlow {
        /// The file.
        file: String,
        /// How long it was given.
        limit: Duration,
    },
    /// Its program may not be run on this machine.
    #[error("plugin {plugin} is not run: {reason}")]
    NotAllowed {
        /// The plugin.
        plugin: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Its program cannot be started, or cannot open its data.
    #[error("plugin {plugin} has no program that runs: {reason}")]
    Program {
        /// The plugin.
        plugin: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Its data are on the replica, and there is none here.
    #[error(
        "plugin {plugin} reads tables on the replica, and there is none here: `nightshift-worker doctor` says why on a \
         worker; where you try the plugin, name one with --data"
    )]
    NoReplica {
        /// The plugin.
        plugin: String,
    },
    /// Its samples need a server of their own, and there is none here.
    #[error(
        "the samples of plugin {plugin} were not run: they need a MySQL or MariaDB of their own (install \
         mariadb-server-core and mariadb-client); a query needs none with query.sqlite.sql beside query.mysql.sql"
    )]
    NoPrivateServer {
        /// The plugin.
        plugin: String,
    },
    /// The replica with its data is away. [`open`] itself lets that pass: the first block says it.
    #[error("plugin {plugin} does not get at its data on {replica}: {reason}")]
    DataAway {
        /// The plugin.
        plugin: String,
        /// The replica, without a password.
        replica: String,
        /// Why.
        reason: String,
    },
    /// The account on the replica has more rights than plugins may have.
    #[error("plugin {plugin} is not opened on {replica}: {problem}")]
    Rights {
        /// The plugin.
        plugin: String,
        /// The replica, without a password.
        replica: String,
        /// What the account can do, and what cures it.
        problem: String,
    },
    /// The machine gives no means to wait for a server.
    #[error("preparing to wait for the replica, for plugin {plugin}")]
    Runtime {
        /// The plugin.
        plugin: String,
        /// Why.
        #[source]
        source: std::io::Error,
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

/// Why a block has no results: the plugin is at fault, its caller, or the data are away.
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
    /// The block was broken off on purpose.
    #[error("plugin {plugin} was stopped in the middle of a block")]
    Stopped {
        /// The plugin.
        plugin: String,
    },
    /// The plugin fails, not only on single records.
    #[error("plugin {plugin} fails on this block: {reason}")]
    Fails {
        /// The plugin.
        plugin: String,
        /// Why it failed first.
        reason: String,
    },
    /// The replica with the plugin's data is away: neither the plugin nor a record is at fault.
    #[error("plugin {plugin} does not get at its data on {replica}: {reason}")]
    DataAway {
        /// The plugin.
        plugin: String,
        /// The replica, without a password.
        replica: String,
        /// Why.
        reason: String,
    },
    /// The plugin had to be opened again, and does not any more.
    #[error("opening the plugin again after its connection was lost")]
    Reopening(#[source] FileError),
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
    host: &Host,
) -> Result<Box<dyn Plugin>, OpenError> {
    match manifest.runtime {
        Runtime::Sql if manifest.source == DataSource::Replica && !(data == Data::Samples && has_twin(folder)) => {
            let replica = sql::replica_for(folder, tree, manifest, data, host)?;
            Ok(Box::new(sql::ReplicaPlugin::open(folder, manifest, replica)?))
        }
        Runtime::Sql => Ok(Box::new(sql::SqlPlugin::open(folder, tree, manifest, data)?)),
        Runtime::Wasm => Ok(Box::new(wasm::WasmPlugin::open(folder, tree, manifest, data, host)?)),
        Runtime::Process => Ok(Box::new(process::ProcessPlugin::open(folder, tree, manifest, data, host)?)),
    }
}

/// Whether a query for the replica has a twin for SQLite, which its samples run by.
fn has_twin(folder: &Path) -> bool {
    folder.join(sql::SQLITE_QUERY).exists()
}
