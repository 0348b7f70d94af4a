//! A database of a plugin's own for its samples, on a server that nobody else uses: tables from its CSV files, every column
//! as text, and an account that may only read them. The plugin runs there as it does on a replica.
//!
//! Temporary tables on the replica would not do: MySQL opens one once in a query, and a good plugin would fail.

use std::path::Path;

use mysql_async::Value;
use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;

use super::failure::Failure;
use super::session::Administrator;
use super::statements;
use crate::csv_file::CsvFile;
use crate::replica::Replica;
use crate::sql::table_file;
use crate::{Data, OpenError};

/// Rows inserted by one statement.
const ROWS: usize = 500;

/// Makes the database anew on `server` and gives the way to it.
pub(super) async fn make(
    server: &Replica,
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
) -> Result<Replica, OpenError> {
    let failed = |failure: Failure| OpenError::DataAway {
        plugin: manifest.name.clone(),
        replica: server.to_string(),
        reason: failure.in_words(),
    };
    let mut administrator = Administrator::connect(server).await.map_err(failed)?;
    for statement in statements::PRIVATE_DATABASE.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        administrator.run(statement, Vec::new()).await.map_err(failed)?;
    }
    for table in &manifest.tables {
        let (path, name) = table_file(table, folder, tree, Data::Samples);
        let mut csv = CsvFile::open(&path, &name)?;
        let mut rows: Vec<Vec<String>> = Vec::new();
        while let Some(row) = csv.next()? {
            rows.push(row.fields);
        }
        let refused =
            |failure: Failure| FileError::whole(&name, format!("the server does not take it: {}", failure.in_words()));
        let create = statements::create_sample_table(table, &csv.columns, &rows, manifest.collation.as_deref());
        administrator.run(&create, Vec::new()).await.map_err(refused)?;
        for rows in rows.chunks(ROWS) {
            let values = rows.iter().flatten().map(|field| Value::from(field.as_str())).collect();
            let insert = statements::insert_sample_rows(table, csv.columns.len(), rows.len());
            administrator.run(&insert, values).await.map_err(refused)?;
        }
    }
    Ok(server.as_account(statements::PRIVATE_NAME, statements::PRIVATE_NAME))
}
