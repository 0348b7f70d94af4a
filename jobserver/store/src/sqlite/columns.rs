//! States and positions as columns of SQLite.

use nightshift_wire::{DataPosition, ReachedPosition};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::words::Word;

/// A state on its way into or out of a text column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column<T>(pub(super) T);

impl<T: Word> ToSql for Column<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.word()))
    }
}

impl<T: Word> FromSql for Column<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        T::of(word).map(Column).ok_or_else(|| FromSqlError::Other(format!("`{word}` is not a known state").into()))
    }
}

/// The position in the columns `data_primary`, `data_gtid` and `data_noted`.
pub(super) fn position(row: &Row<'_>) -> rusqlite::Result<Option<DataPosition>> {
    let Some(ReachedPosition { primary, gtid }) = reached(row)? else { return Ok(None) };
    Ok(Some(DataPosition { primary, gtid, noted: row.get("data_noted")? }))
}

/// The position in the columns `data_primary` and `data_gtid`.
pub(super) fn reached(row: &Row<'_>) -> rusqlite::Result<Option<ReachedPosition>> {
    let (primary, gtid): (Option<String>, Option<String>) = (row.get("data_primary")?, row.get("data_gtid")?);
    Ok(primary.zip(gtid).map(|(primary, gtid)| ReachedPosition { primary, gtid }))
}
