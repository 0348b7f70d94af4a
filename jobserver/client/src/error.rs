//! What can go wrong between a caller and the job server.

use nightshift_wire::{Problem, code};

/// The deepest cause of a failure on the way, without the addresses that the error around it names already.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address in the list cannot be one of a job server.
    #[error("reading the job server's address {address:?}: {reason}")]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The list of addresses is empty.
    #[error("no job server is named; give its address, like http://10.0.0.5:7070")]
    NoServer,
    /// The HTTP client could not be made.
    #[error("preparing to ask the job server")]
    Setup(#[source] Cause),
    /// No server answered.
    #[error("{doing}: no answer from {tried}; check that the job server runs and can be reached")]
    Away {
        /// What was being done.
        doing: String,
        /// The servers tried.
        tried: String,
        /// Why the last of them did not answer.
        #[source]
        cause: Cause,
    },
    /// The answer broke off.
    #[error("{doing}: the answer of {server} broke off; ask again")]
    BrokeOff {
        /// What was being done.
        doing: String,
        /// The server that answered.
        server: String,
        /// Why it broke off.
        #[source]
        cause: Cause,
    },
    /// The answer cannot be taken in: it is too long, or not what its head says.
    #[error("{doing}: the answer of {server} cannot be taken in")]
    BadBody {
        /// What was being done.
        doing: String,
        /// The server that answered.
        server: String,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// The server was gone before it said what became of a hand-in that had begun.
    #[error("{doing}: {server} was gone before it answered; look at the list of batches before trying again")]
    Unknown {
        /// What was being done.
        doing: String,
        /// The server that got it.
        server: String,
        /// Why it did not answer.
        #[source]
        cause: Cause,
    },
    /// The records to hand in could not be read to their end; the server keeps nothing of them.
    #[error("{doing}: the records could not be read to their end, nothing of them is kept")]
    Input {
        /// What was being done.
        doing: String,
        /// Why reading failed.
        #[source]
        cause: Cause,
    },
    /// The server refused, and said why.
    #[error("{}", .problem.detail)]
    Refused {
        /// The refusal.
        problem: Problem,
    },
    /// The answer is not one of a job server of this version.
    #[error("{doing}: {server} answered {status}, but not as a job server of this version does; check the address")]
    Strange {
        /// What was being done.
        doing: String,
        /// The server that answered.
        server: String,
        /// The HTTP status.
        status: u16,
    },
}

impl ClientError {
    /// Whether the same request may succeed later: true when the server was away, broke off, or had a fault of its
    /// own; false when it understood the request and refused it.
    pub fn is_retryable(&self) -> bool {
        match self {
            ClientError::Away { .. }
            | ClientError::BrokeOff { .. }
            | ClientError::BadBody { .. }
            | ClientError::Unknown { .. } => true,
            ClientError::Refused { problem } => problem.code == code::STORE_AWAY || passes(problem.status),
            ClientError::Strange { status, .. } => passes(*status),
            ClientError::Address { .. } | ClientError::NoServer | ClientError::Setup(_) | ClientError::Input { .. } => {
                false
            }
        }
    }

    /// The server's refusal, when it was one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused { problem } => Some(problem),
            _ => None,
        }
    }
}

/// Statuses that speak of the moment and not of the request.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// The deepest cause as a text of its own: what `reqwest` and `hyper` wrap around it only says "error sending".
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> Cause {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> ClientError {
        ClientError::Refused { problem: Problem { code: code.to_owned(), status, detail: "x".to_owned() } }
    }

    #[test]
    fn a_refusal_is_final_and_a_fault_of_the_moment_is_not() {
        assert!(!refused(409, code::NOT_WANTED).is_retryable());
        assert!(!refused(422, code::BAD_CSV).is_retryable());
        assert!(!refused(404, code::NOT_FOUND).is_retryable());
        assert!(refused(503, code::STORE_AWAY).is_retryable());
        assert!(refused(500, code::INTERNAL).is_retryable());
        assert!(refused(408, code::BAD_REQUEST).is_retryable());
        assert!(!ClientError::NoServer.is_retryable());
    }
}
