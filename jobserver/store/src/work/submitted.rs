//! A submission, its results turned into text columns before a store's turn comes.

use nightshift_rules::lease;
use nightshift_wire::{Outcome, Provenance, ReachedPosition, RecordId, Submission};

use crate::Refusal;

/// The most letters of a primary, and the most bytes of a position on it.
const LONGEST_PRIMARY: usize = 255;
const LONGEST_GTID: usize = 64 << 10;

/// The most bytes of one result: a packet of MySQL's and a column take twice as many.
pub(crate) const LONGEST_RESULT: usize = 8 << 20;

/// A submission, ready to be judged and stored.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) secret: String,
    pub(crate) provenance: Provenance,
    pub(crate) results: Vec<ResultRow>,
    /// Of the results, those that are errors.
    pub(crate) errors: u64,
}

/// A result, ready to be stored.
#[derive(Debug)]
pub(crate) struct ResultRow {
    pub(crate) record: RecordId,
    pub(crate) value: Option<String>,
    pub(crate) error: Option<String>,
}

impl Submitted {
    /// Refuses a result, or a position, that some store could never take: trying it again would go on for ever.
    pub(crate) fn new<E>(submission: Submission) -> Result<Submitted, E>
    where
        E: From<Refusal> + From<serde_json::Error>,
    {
        if let Some(ReachedPosition { primary, gtid }) = &submission.provenance.position
            && (!(1..=LONGEST_PRIMARY).contains(&primary.chars().count()) || gtid.len() > LONGEST_GTID)
        {
            return Err(Refusal::NoPosition.into());
        }
        let mut results = Vec::with_capacity(submission.results.len());
        let mut errors = 0;
        for result in submission.results {
            let (value, error) = match result.outcome {
                Outcome::Ok(values) => (Some(serde_json::to_string(&values)?), None),
                Outcome::Error(error) => {
                    errors += 1;
                    (None, Some(error))
                }
            };
            let bytes = value.as_ref().or(error.as_ref()).map_or(0, String::len);
            if bytes > LONGEST_RESULT {
                return Err(Refusal::ResultTooLong { record: result.id, bytes }.into());
            }
            results.push(ResultRow { record: result.id, value, error });
        }
        // A worker's clock may say anything; no job takes longer than the longest lease.
        let work_ms = submission.provenance.work_ms.min(lease::CEILING_MS);
        let provenance = Provenance { work_ms, ..submission.provenance };
        Ok(Submitted { secret: submission.secret, provenance, results, errors })
    }
}
