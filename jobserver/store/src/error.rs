//! How a verb of the store fails: refused for a reason that repeating does not change, not done at all, or gone before
//! anybody knows whether it was done.

use std::error::Error;

use nightshift_rules::acceptance::{NotWanted, OtherPrimary, WrongResults};
use nightshift_wire::code;

use crate::access::AccessRefusal;

/// Why a verb did nothing, or may have done nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store understood and refuses; the stored state is as it was.
    #[error("{0}")]
    Refused(Refusal),
    /// The store is locked, full or unreachable: nothing was done, and the same verb may succeed later.
    #[error("{doing}: the store cannot be used just now; nothing was changed, try again later")]
    Away {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store was gone before it said whether it was done. Whoever repeats the verb finds it done, or does it then; what
    /// only counts or adds may be there twice.
    #[error("{doing}: the store was gone before it said whether it was done")]
    Unknown {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A fault: the database contradicts what the store knows of it. Nothing was done; repeating does not help.
    #[error("{doing}: the store is at fault; see the job server's log")]
    Fault {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same verb may succeed when it is tried again, unchanged, a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Away { .. } | StoreError::Unknown { .. })
    }

    /// The refusal, when it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            StoreError::Refused(refusal) => Some(refusal),
            StoreError::Away { .. } | StoreError::Unknown { .. } | StoreError::Fault { .. } => None,
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        StoreError::Refused(refusal)
    }
}

/// Why the store refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such batch.
    #[error("there is no batch {0}")]
    NoSuchBatch(i64),
    /// There is no such job.
    #[error("there is no job {0}")]
    NoSuchJob(i64),
    /// There is no such worker.
    #[error("there is no worker {0}")]
    NoSuchWorker(String),
    /// The batch is still being handed in.
    #[error("batch {0} is still being handed in: wait for its last record, or abandon the hand-in")]
    StillReceiving(i64),
    /// There is no such attempt.
    #[error("there is no attempt {0}")]
    NoSuchAttempt(i64),
    /// The batch takes no records any more.
    #[error("batch {0} is not being handed in: it takes no more records")]
    NotReceiving(i64),
    /// A batch or job without records.
    #[error("batch {0} has no records: a batch needs at least one")]
    NoRecords(i64),
    /// A record with more or fewer fields than the batch has columns.
    #[error("batch {batch}: a record has {fields} fields, its columns are {columns}")]
    Ragged {
        /// The batch.
        batch: i64,
        /// Fields of the record.
        fields: usize,
        /// Columns of the batch.
        columns: usize,
    },
    /// The secret is not the attempt's.
    #[error("the secret is not that of attempt {0}")]
    WrongSecret(i64),
    /// Something about tokens, or about workers that want to join.
    #[error("{0}")]
    Access(AccessRefusal),
    /// The job does not need this attempt.
    #[error("{0}")]
    NotWanted(NotWanted),
    /// The results were computed on another primary's data.
    #[error("{0}")]
    OtherPrimary(OtherPrimary),
    /// The results are not one for each record.
    #[error("{0}")]
    WrongResults(WrongResults),
    /// A result that some store could never take.
    #[error(
        "the result of record {record} has {bytes} bytes, more than the {} a result may have",
        crate::work::submitted::LONGEST_RESULT
    )]
    ResultTooLong {
        /// The record.
        record: i64,
        /// Bytes of its result in JSON.
        bytes: usize,
    },
    /// A position that some store could never keep.
    #[error("the position of the results is none: it names no primary, or is longer than any")]
    NoPosition,
    /// The batch has no such column.
    #[error("the batch has no column `{column}`; its columns are {columns}")]
    MissingColumn {
        /// The column asked for.
        column: String,
        /// The columns there are, for people.
        columns: String,
    },
}

impl Refusal {
    /// The status and the code by which the HTTP API tells it, and whoever speaks as the API does.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            Refusal::NoSuchBatch(_) | Refusal::NoSuchAttempt(_) | Refusal::NoSuchJob(_) | Refusal::NoSuchWorker(_) => {
                (404, code::NOT_FOUND)
            }
            Refusal::StillReceiving(_) => (409, code::NOT_READY),
            Refusal::Access(refusal) => refusal.code(),
            Refusal::WrongSecret(_) => (403, code::WRONG_SECRET),
            Refusal::NotWanted(_) | Refusal::NotReceiving(_) => (409, code::NOT_WANTED),
            Refusal::OtherPrimary(_) => (409, code::OTHER_PRIMARY),
            Refusal::WrongResults(_) | Refusal::NoPosition => (422, code::WRONG_RESULTS),
            Refusal::ResultTooLong { .. } => (413, code::TOO_LARGE),
            Refusal::MissingColumn { .. } => (422, code::MISSING_COLUMN),
            Refusal::NoRecords(_) | Refusal::Ragged { .. } => (422, code::BAD_CSV),
        }
    }
}
