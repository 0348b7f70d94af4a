//! What can go wrong inside a verb: whether it is worth repeating at once, and what the caller is told in the end. Judged
//! by error numbers and kinds, never by words.

use std::{error::Error, sync::Arc, time::Duration};

use mysql_async::{DriverError, Error as Database, FromValueError};

use crate::{Refusal, StoreError, work::task::Fault};

/// Why a verb's own work failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A rule says no.
    #[error("refused")]
    Refused(Refusal),
    /// The database says no, or is gone.
    #[error("the database could not do it")]
    Database(#[from] Database),
    /// The database did not say whether it committed.
    #[error("the database did not say whether it committed")]
    CommitUnknown(#[source] Box<Failure>),
    /// The database was silent for too long.
    #[error("the database did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// Another server changed the same rows first.
    #[error("{0} changed while it was being changed")]
    Changed(String),
    /// A stored text that is not what this version writes.
    #[error("a stored text cannot be read")]
    Text(#[from] serde_json::Error),
    /// A stored value that is not what this version writes.
    #[error("a stored value cannot be read")]
    Value(#[from] FromValueError),
    /// Two stored facts contradict each other.
    #[error("the stored facts contradict each other: {0}")]
    Contradiction(String),
    /// The transaction it was part of failed.
    #[error("the transaction failed")]
    NotCommitted(#[source] Arc<Failure>),
    /// What did the work ended without an answer: a fault of the store's own.
    #[error("the work ended without an answer")]
    Ended,
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

/// A duplicate key. Under compare-and-set only another server's row can be in the way, so it is a change like any other.
const DUPLICATE: u16 = 1062;

/// Everything of the transaction is undone and the same may succeed at once: lock wait (1205), deadlock or a Galera
/// certification that failed (1213), row changed since read (1020).
const UNDONE: [u16; 3] = [1205, 1213, 1020];

/// The connection or its node is of no use now: Galera node not ready (1047), error during commit (1180), shutdown in
/// progress (1053), query or connection killed (1317, 1927), gone away or lost (2006, 2013), too many connections
/// (1040), broken packets (1158 to 1161), access taken away while the server shuts down is none of them.
const LOST: [u16; 12] = [1047, 1180, 1053, 1317, 1927, 2006, 2013, 1040, 1158, 1159, 1160, 1161];

/// Repeating at once does not help, but a person may make room or switch back: disk full (1021), table full (1114), read
/// only (1290, 1792, 1836), errors of the file system (1026, 1030), out of memory (1037, 1041), memory of a statement
/// exceeded (3170), all connections of the user taken (1203, 1226).
const AWAY: [u16; 12] = [1021, 1114, 1290, 1792, 1836, 1026, 1030, 1037, 1041, 3170, 1203, 1226];

impl Failure {
    /// Whether the whole verb, in a new transaction, may succeed at once or in a moment.
    pub(super) fn is_worth_repeating(&self) -> bool {
        match self {
            Failure::Changed(_) => true,
            Failure::CommitUnknown(cause) => cause.is_worth_repeating(),
            Failure::NotCommitted(cause) => cause.is_worth_repeating(),
            Failure::Database(error) => match code(error) {
                Some(code) => code == DUPLICATE || UNDONE.contains(&code) || LOST.contains(&code),
                None => is_lost(error),
            },
            // It was given its time already: whoever asked hears so instead of waiting for ever.
            Failure::Silent(_) => false,
            Failure::Refused(_) | Failure::Text(_) | Failure::Value(_) | Failure::Contradiction(_) | Failure::Ended => {
                false
            }
        }
    }

    /// As an error of `COMMIT`: only those that undo the transaction say that nothing was committed.
    pub(super) fn of_commit(self) -> Failure {
        match &self {
            Failure::Database(error) if code(error).is_some_and(|code| UNDONE.contains(&code)) => self,
            _ => Failure::CommitUnknown(Box::new(self)),
        }
    }

    /// Whether the same may succeed later.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Failure::Database(error) => {
                code(error).is_some_and(|code| AWAY.contains(&code)) || self.is_worth_repeating()
            }
            Failure::NotCommitted(cause) => cause.is_away(),
            Failure::CommitUnknown(_) | Failure::Silent(_) | Failure::Changed(_) => true,
            Failure::Refused(_) | Failure::Text(_) | Failure::Value(_) | Failure::Contradiction(_) | Failure::Ended => {
                false
            }
        }
    }

    /// Whether it may have been done all the same.
    fn is_unknown(&self) -> bool {
        match self {
            Failure::CommitUnknown(_) => true,
            Failure::NotCommitted(cause) => cause.is_unknown(),
            _ => false,
        }
    }

    /// As the last failure of a verb of which an earlier round may be committed.
    pub(super) fn in_doubt(self) -> Failure {
        match self {
            failure if failure.is_away() && !failure.is_unknown() => Failure::CommitUnknown(Box::new(failure)),
            failure => failure,
        }
    }

    /// As the verb's caller hears it.
    pub(super) fn of(self, doing: &'static str) -> StoreError {
        let (away, unknown) = match &self {
            Failure::Refused(refusal) => return StoreError::Refused(refusal.clone()),
            failure => (failure.is_away(), failure.is_unknown()),
        };
        let source: Box<dyn Error + Send + Sync> = Box::new(self);
        match (unknown, away) {
            (true, _) => StoreError::Unknown { doing, source },
            (false, true) => StoreError::Away { doing, source },
            (false, false) => StoreError::Fault { doing, source },
        }
    }
}

/// The number of an error that the server reported.
fn code(error: &Database) -> Option<u16> {
    match error {
        Database::Server(error) => Some(error.code),
        _ => None,
    }
}

/// The connection broke or could not be made: the client's 2006 and 2013.
fn is_lost(error: &Database) -> bool {
    match error {
        Database::Io(_) => true,
        Database::Driver(error) => matches!(
            error,
            DriverError::ConnectionClosed | DriverError::PoolDisconnected | DriverError::PacketOutOfOrder
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::*;

    fn server(code: u16) -> Failure {
        Failure::Database(Database::Server(ServerError { code, message: String::new(), state: String::new() }))
    }

    #[test]
    fn what_passes_by_itself_is_repeated() {
        for code in [1205, 1213, 1047, 1180, 2006, 2013] {
            assert!(server(code).is_worth_repeating(), "{code}");
            assert!(matches!(server(code).of("testing"), StoreError::Away { .. }), "{code}");
        }
        let lost = Failure::Database(Database::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        assert!(lost.is_worth_repeating());
        assert!(Failure::Changed("job 7".to_owned()).is_worth_repeating());
    }

    #[test]
    fn a_full_disk_or_a_silent_database_is_away_and_not_asked_again_at_once() {
        for failure in [server(1021), server(1114), server(1290), Failure::Silent(Duration::from_secs(1))] {
            assert!(!failure.is_worth_repeating(), "{failure:?}");
            assert!(matches!(failure.of("testing"), StoreError::Away { .. }));
        }
    }

    #[test]
    fn a_rule_of_the_tables_that_is_broken_is_a_fault() {
        for code in [3819, 4025, 1146, 1064, 1452] {
            assert!(!server(code).is_worth_repeating(), "{code}");
            assert!(matches!(server(code).of("testing"), StoreError::Fault { .. }), "{code}");
        }
    }

    #[test]
    fn only_an_undone_commit_is_known_to_have_done_nothing() {
        assert!(matches!(server(1213).of_commit(), Failure::Database(_)));
        for failure in [server(1180), server(1047), Failure::Silent(Duration::from_secs(1))] {
            let failure = failure.of_commit();
            assert!(matches!(failure, Failure::CommitUnknown(_)));
            let of_group = Failure::NotCommitted(Arc::new(failure));
            assert!(matches!(of_group.of("testing"), StoreError::Unknown { .. }));
        }
    }

    #[test]
    fn a_database_that_is_away_after_a_commit_in_doubt_is_not_said_to_have_done_nothing() {
        assert!(matches!(server(1053).in_doubt().of("testing"), StoreError::Unknown { .. }));
        assert!(matches!(server(4025).in_doubt().of("testing"), StoreError::Fault { .. }));
        let refused = Failure::Refused(Refusal::NoSuchBatch(7));
        assert!(matches!(refused.in_doubt().of("testing"), StoreError::Refused(_)));
    }
}
