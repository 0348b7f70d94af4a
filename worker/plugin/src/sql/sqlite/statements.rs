//! The statements that depend on a plugin's columns and so cannot stand in `.sql` files.

use nightshift_manifest::plugin::{ColumnType, Columns};

/// Empties the block's table.
pub(super) const CLEAR: &str = "DELETE FROM temp.records";
/// Temporary tables never touch the disk.
pub(super) const TEMPORARY_IN_MEMORY: &str = "PRAGMA temp_store = MEMORY";

/// What all connections of the process may take together.
pub(super) const MEMORY_LIMIT: &str = "hard_heap_limit";

/// A data table: every column is text.
pub(super) fn create_data_table(table: &str, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("{} TEXT", quoted(column))).collect();
    format!("CREATE TABLE main.{} ({})", quoted(table), columns.join(", "))
}

/// One row of a data table.
pub(super) fn insert_data_row(table: &str, columns: usize) -> String {
    format!("INSERT INTO main.{} VALUES ({})", quoted(table), places(columns))
}

/// The block's table.
pub(super) fn create_records(input: &Columns) -> String {
    let columns: String =
        input.iter().map(|(name, column_type)| format!(", {} {}", quoted(name), sql_type(*column_type))).collect();
    format!("CREATE TEMP TABLE records (record_id INTEGER PRIMARY KEY{columns})")
}

/// One record of the block.
pub(super) fn insert_record(input: &Columns) -> String {
    format!("INSERT INTO temp.records VALUES ({})", places(1 + input.len()))
}

fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text => "TEXT",
        ColumnType::Integer => "INTEGER",
        ColumnType::Real => "REAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_name_cannot_break_out_of_its_quotes() {
        let statement = create_data_table("t", &["a\" TEXT); DROP TABLE t; --".to_owned()]);
        assert_eq!(statement, "CREATE TABLE main.\"t\" (\"a\"\" TEXT); DROP TABLE t; --\" TEXT)");
    }
}
