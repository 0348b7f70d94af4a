//! How a connection is set up before anything else uses it.

use std::time::Duration;

use rusqlite::{Connection, config::DbConfig};

use super::sql;

/// How long a statement waits for another program that has the database locked (a person with a shell, a backup).
const BUSY: Duration = Duration::from_secs(1);

/// Kibibytes of pages the writer keeps in memory.
const WRITER_CACHE_KIB: i64 = 48 * 1024;

/// The log is copied into the database when it has so many pages, and shrunk to so many bytes afterwards.
const CHECKPOINT_PAGES: i64 = 4_000;
const LOG_BYTES: i64 = 64 * 1024 * 1024;

/// Whether another program's tables are in the database.
pub(super) fn is_foreign(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(BUSY)?;
    connection.query_row(sql::IS_FOREIGN, [], |row| row.get(0))
}

/// Of the writer: write-ahead log, every commit on disk before it returns, foreign keys checked.
pub(super) fn prepare_to_write(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    stable_plans(connection)?;
    // What a savepoint may have to undo is kept in memory; otherwise SQLite writes much of it to a file for every verb.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Of a reader.
pub(super) fn prepare_to_read(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    stable_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Of one that copies everything. It cannot be `query_only`: to SQLite a copy is written.
pub(super) fn prepare_to_copy(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)
}

/// A prepared statement keeps its plan whatever is bound to it. Otherwise SQLite prepares every statement anew, each
/// time it runs, in which a parameter is compared with what a partial index asks for (`state = :from`).
fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}
