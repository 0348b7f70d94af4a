//! A submission, its results turned into text columns before a store's turn comes.

use nightshift_rules::lease;
use nightshift_wire::{Outcome, Provenance, RecordId, Submission};

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
    pub(crate) fn new(submission: Submission) -> Result<Submitted, serde_json::Error> {
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
            results.push(ResultRow { record: result.id, value, error });
        }
        // A worker's clock may say anything; no job takes longer than the longest lease.
        let work_ms = submission.provenance.work_ms.min(lease::CEILING_MS);
        let provenance = Provenance { work_ms, ..submission.provenance };
        Ok(Submitted { secret: submission.secret, provenance, results, errors })
    }
}
