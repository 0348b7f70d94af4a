//! The statements that depend on a plugin or a number and so cannot stand in `.sql` files.

use std::time::Duration;

use nightshift_manifest::plugin::{ColumnType, Columns};

use super::session::Make;
use crate::field::{Field, TypedRecord};

/// What is fixed, one statement a file.
pub(super) const SERVER: &str = include_str!("server.sql");
pub(super) const SESSION: &str = include_str!("session.sql");
pub(super) const READ_COMMITTED: &str = include_str!("read_committed.sql");
pub(super) const READ_ONLY: &str = include_str!("read_only.sql");
pub(super) const GRANTS: &str = include_str!("grants.sql");

/// The schema of a plugin's samples on a private server, and the account that reads it.
pub(super) const PRIVATE_NAME: &str = "nightshift_samples";
pub(super) const PRIVATE_DATABASE: &str = include_str!("private_database.sql");
/// A column whose values are no longer, in characters, can be indexed as a whole.
const INDEXABLE: usize = 255;

/// A sample table: every column is text.
pub(super) fn create_sample_table(
    table: &str,
    columns: &[String],
    rows: &[Vec<String>],
    collation: Option<&str>,
) -> String {
    let column = |(place, name): (usize, &String)| {
        let short = rows.iter().all(|row| row[place].chars().count() <= INDEXABLE);
        let text = if short { format!("VARCHAR({INDEXABLE})") } else { "LONGTEXT".to_owned() };
        let collation = collation.map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        format!("{} {text} CHARACTER SET utf8mb4{collation} NOT NULL", quoted(name))
    };
    let columns: Vec<String> = columns.iter().enumerate().map(column).collect();
    format!("CREATE TABLE {PRIVATE_NAME}.{} ({})", quoted(table), columns.join(", "))
}

/// Rows of a sample table.
pub(super) fn insert_sample_rows(table: &str, columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("INSERT INTO {PRIVATE_NAME}.{} VALUES {}", quoted(table), vec![row; rows].join(", "))
}

/// The block as a common table expression, on one line: `records(record_id, the input columns)` from a list of lists in
/// JSON, its one parameter. Whatever does not fit a column is an error and not NULL.
pub(super) fn records(input: &Columns, collation: &str) -> String {
    let column = |(place, (name, column_type)): (usize, (&String, &ColumnType))| {
        let column_type = match column_type {
            ColumnType::Text => format!("LONGTEXT CHARACTER SET utf8mb4 COLLATE {collation}"),
            ColumnType::Integer => "BIGINT".to_owned(),
            ColumnType::Real => "DOUBLE".to_owned(),
        };
        format!(", {} {column_type} PATH '$[{}]' ERROR ON ERROR", quoted(name), place + 1)
    };
    let columns: String = input.iter().enumerate().map(column).collect();
    format!(
        "records AS (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (record_id BIGINT PATH '$[0]' ERROR ON ERROR{columns})) \
         AS block)"
    )
}

/// The block's records as [`records`] reads them.
pub(super) fn block(records: &[TypedRecord<'_>]) -> serde_json::Result<Vec<u8>> {
    let rows: Vec<Vec<Written<'_>>> = records
        .iter()
        .map(|record| {
            let id = Written::Integer(record.id);
            std::iter::once(id).chain(record.fields.iter().map(|field| Written::from(*field))).collect()
        })
        .collect();
    serde_json::to_vec(&rows)
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Null,
    Text(&'a str),
    Integer(i64),
    Real(f64),
}

impl<'a> From<Field<'a>> for Written<'a> {
    fn from(field: Field<'a>) -> Self {
        match field {
            Field::Null => Written::Null,
            Field::Text(text) => Written::Text(text),
            Field::Integer(number) => Written::Integer(number),
            Field::Real(number) => Written::Real(number),
        }
    }
}

/// Texts are UTF-8, compared as `collation` says, or as the server does by itself.
pub(super) fn set_names(collation: Option<&str>) -> String {
    match collation {
        Some(collation) => format!("SET NAMES utf8mb4 COLLATE {collation}"),
        None => "SET NAMES utf8mb4".to_owned(),
    }
}

/// The server itself ends a query that takes longer.
pub(super) fn limit_time(make: Make, time: Duration) -> String {
    match make {
        Make::MariaDb => format!("SET SESSION max_statement_time = {:.3}", time.as_secs_f64().max(0.001)),
        Make::MySql => format!("SET SESSION max_execution_time = {}", time.as_millis().max(1)),
    }
}

/// Ends what the connection `id` does, and not the connection.
pub(super) fn kill(id: u32) -> String {
    format!("KILL QUERY {id}")
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_every_character_and_every_digit() {
        let fields = [Field::Text("a\0\"\\\u{10ffff}"), Field::Null, Field::Integer(i64::MIN), Field::Real(0.1)];
        let block = block(&[TypedRecord { id: 7, fields: &fields }]).expect("can be written");
        let text = String::from_utf8(block).expect("JSON");
        assert_eq!(text, "[[7,\"a\\u0000\\\"\\\\\u{10ffff}\",null,-9223372036854775808,0.1]]");
    }

    #[test]
    fn each_make_is_told_the_time_in_its_own_words() {
        let time = Duration::from_millis(1500);
        assert_eq!(limit_time(Make::MariaDb, time), "SET SESSION max_statement_time = 1.500");
        assert_eq!(limit_time(Make::MySql, time), "SET SESSION max_execution_time = 1500");
    }
}
