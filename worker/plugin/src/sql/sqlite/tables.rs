//! Loads data tables from CSV files into an instance's own database.

use std::path::Path;

use nightshift_manifest::file_error::FileError;
use rusqlite::Connection;

use super::errors::message;
use super::statements;
use crate::Data;
use crate::csv_file::{self, CsvFile};

/// Loads `table` for the plugin in `folder` of the release in `tree`. Every column becomes text.
pub(super) fn load(
    connection: &Connection,
    table: &str,
    folder: &Path,
    tree: &Path,
    data: Data,
) -> Result<(), FileError> {
    let (path, name) = csv_file::of_table(table, folder, tree, data);
    let mut csv = CsvFile::open(&path, &name)?;
    let refused =
        |error: rusqlite::Error| FileError::whole(&name, format!("SQLite does not take it: {}", message(&error)));

    let transaction = connection.unchecked_transaction().map_err(refused)?;
    transaction.execute_batch(&statements::create_data_table(table, &csv.columns)).map_err(refused)?;
    let mut insert = transaction.prepare(&statements::insert_data_row(table, csv.columns.len())).map_err(refused)?;
    while let Some(row) = csv.next()? {
        insert
            .execute(rusqlite::params_from_iter(&row.fields))
            .map_err(|error| FileError { line: usize::try_from(row.line).ok(), ..refused(error) })?;
    }
    drop(insert);
    transaction.commit().map_err(refused)
}
