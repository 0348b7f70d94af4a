//! States as text columns: the words of the API and of the CHECK constraints.

use nightshift_rules::attempt::AttemptState;
use nightshift_wire::{BatchState, JobState, WorkerState};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A state on its way into or out of a text column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column<T>(pub(super) T);

macro_rules! text_column {
    ($type:ident { $($variant:ident: $text:literal),* $(,)? }) => {
        impl ToSql for Column<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let text = match self.0 { $($type::$variant => $text,)* };
                Ok(ToSqlOutput::from(text))
            }
        }

        impl FromSql for Column<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok(Column($type::$variant)),)*
                    other => Err(FromSqlError::Other(format!("`{other}` is not a known state").into())),
                }
            }
        }
    };
}

text_column!(JobState {
    Receiving: "receiving",
    Waiting: "waiting",
    Running: "running",
    Done: "done",
    Quarantined: "quarantined",
});

text_column!(BatchState { Receiving: "receiving", Open: "open", Done: "done", Incomplete: "incomplete" });

text_column!(AttemptState {
    Running: "running",
    Lost: "lost",
    GivenBack: "given_back",
    Accepted: "accepted",
    Superseded: "superseded",
});

text_column!(WorkerState {
    Working: "working",
    Waiting: "waiting",
    Resting: "resting",
    Stopped: "stopped",
    Blocked: "blocked",
});
