//! SQLite's values as the runtime's own.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::sql::answer::Cell;

/// What stands in column `index`.
pub(super) fn cell<'r>(row: &'r Row<'_>, index: usize) -> rusqlite::Result<Cell<'r>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => Cell::Text(text.into()),
        ValueRef::Blob(bytes) => Cell::Other(format!("a blob of {} bytes", bytes.len())),
    })
}
