//! SQLite's errors in sentences: which line of which file, and what the guard denied.

use nightshift_manifest::file_error::FileError;
use rusqlite::{Error, ErrorCode};

/// The error of a plugin's file whose text is `sql`; `denied` is what the guard did not allow.
pub(super) fn in_file(file: &str, sql: &str, error: &Error, denied: Option<String>) -> FileError {
    if let Some(denied) = denied {
        return FileError::whole(
            file,
            format!("not allowed: {denied}; change temporary tables in open.sqlite.sql only"),
        );
    }
    match error {
        // `rest` is the text from the failing statement on.
        Error::SqlInputError { msg, sql: rest, offset, .. } if *offset >= 0 && rest.len() <= sql.len() => {
            FileError::at(file, sql, sql.len() - rest.len() + *offset as usize, with_advice(msg))
        }
        Error::MultipleStatement => FileError::whole(file, "more than one statement: keep only the query"),
        error => FileError::whole(file, with_advice(&message(error))),
    }
}

/// SQLite's words, with what to do about the commonest of them.
fn with_advice(said: &str) -> String {
    match said.strip_prefix("no such table: ") {
        Some(table) => format!("{said}; if it is a data table, name {table} among the tables of [data] in plugin.toml"),
        None => said.to_owned(),
    }
}

/// SQLite's own words, without the text of the statement.
pub(super) fn message(error: &Error) -> String {
    match error {
        error if error.sqlite_error_code() == Some(ErrorCode::OutOfMemory) => {
            "it needs more memory than this machine has for plugins; keep less of the tables at once".to_owned()
        }
        Error::SqlInputError { msg, .. } | Error::SqliteFailure(_, Some(msg)) => msg.clone(),
        error => error.to_string(),
    }
}

/// Whether the alarm ended the statement.
pub(super) fn is_interrupted(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}
