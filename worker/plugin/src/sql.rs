//! The `sql` runtime: a plugin is a query over the block and the data tables.
//!
//! [`sqlite`] runs it where the tables travel in the release (`source = "repo"`), [`mysql`] where they are on the worker's
//! replica of the company's MySQL or MariaDB. What a query has to return is the same on all servers ([`answer`]).
//!
//! A query that fails or takes too long is tried again on halves of the block, down to the record at fault
//! ([`crate::isolate`]): one poisonous record costs its own result and no other.

mod answer;
mod mysql;
mod sqlite;

use std::io::ErrorKind;
use std::path::Path;

use nightshift_manifest::file_error::FileError;

use crate::OpenError;

pub(crate) use mysql::{ReplicaPlugin, ReplicaReader, look, of_opening, replica_for};
pub(crate) use sqlite::{QUERY_FILE as SQLITE_QUERY, SqlPlugin, SqliteReader};

/// How long a plugin's preparatory script may take, and looking at its query.
const OPEN_LIMIT: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// Why a run has no answers; `E` is how the query itself fails.
enum RunFault<E> {
    /// The query failed.
    Query(E),
    /// It answered for something that is not in the block.
    ForeignRow(String),
    /// It answered with more than the block may bring.
    TooMuch,
}

/// A file in a plugin's folder that `name` stands for in messages.
fn read(folder: &Path, file: &str, name: &str) -> Result<String, OpenError> {
    std::fs::read_to_string(folder.join(file)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => FileError::whole(name, "the file is missing: write the query into it").into(),
        ErrorKind::InvalidData => FileError::whole(name, "it is not UTF-8: save it as UTF-8").into(),
        _ => OpenError::Read { file: name.to_owned(), source: error },
    })
}
