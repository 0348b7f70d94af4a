//! What can go wrong inside a verb, and what the caller is told: whether SQLite is away (locked, full, its disk failing)
//! or at fault is read from its error code, never from its words.

use std::{error::Error, sync::Arc};

use nightshift_rules::life::IllegalMove;
use rusqlite::ErrorCode;

use crate::{Refusal, StoreError, work::task::Fault};

/// Why a verb's own work failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A rule says no.
    #[error("refused")]
    Refused(Refusal),
    /// SQLite says no.
    #[error("SQLite could not do it")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored text that is not what this version writes.
    #[error("a stored text cannot be read")]
    Text(#[from] serde_json::Error),
    /// A move that no job makes.
    #[error("the job's life has no such move")]
    Move(#[from] IllegalMove),
    /// Two stored facts contradict each other.
    #[error("the stored facts contradict each other: {0}")]
    Contradiction(String),
    /// The transaction it was part of was not committed.
    #[error("the transaction was not committed")]
    NotCommitted(#[source] Arc<Failure>),
    /// What did the work ended without an answer: a fault of the store's own.
    #[error("the work ended without an answer")]
    Ended,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => Failure::Refused(refusal),
            Fault::Contradiction(what) => Failure::Contradiction(what),
            Fault::Ended => Failure::Ended,
        }
    }
}

impl Failure {
    /// Whether the same may succeed later.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Failure::Sqlite(error) => is_away(error),
            Failure::NotCommitted(failure) => failure.is_away(),
            Failure::Refused(_) | Failure::Text(_) | Failure::Move(_) | Failure::Contradiction(_) | Failure::Ended => {
                false
            }
        }
    }

    /// As the verb's caller hears it.
    pub(super) fn of(self, doing: &'static str) -> StoreError {
        if let Failure::Refused(refusal) = self {
            return StoreError::Refused(refusal);
        }
        let away = self.is_away();
        let source: Box<dyn Error + Send + Sync> = Box::new(self);
        if away { StoreError::Away { doing, source } } else { StoreError::Fault { doing, source } }
    }
}

/// Locked, full, or a disk that fails (Linux then makes it read-only): the same may succeed later.
fn is_away(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, ReadOnly, SystemIoFailure};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure | CannotOpen | OutOfMemory | ReadOnly)
    )
}
