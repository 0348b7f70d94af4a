//! States as text columns of SQLite.

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
