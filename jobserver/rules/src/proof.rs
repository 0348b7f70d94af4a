//! Whether as many results came out as records went in: the verdict of a batch's receipt.
//!
//! The counts come from rows, counted one by one, and not from the batch's own counters alone; where they differ, that
//! is said and nothing is proved.

use nightshift_wire::{BatchState, grouped};

/// What was counted of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Records that were handed in, by the batch's own counter.
    pub handed_in: u64,
    /// Records found among the rows.
    pub records: u64,
    /// Records found with a result.
    pub results: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Results counted by the release that computed them.
    pub by_release: u64,
}

/// The verdict: whether in = out, and the sentence that says so.
pub fn verdict(state: BatchState, counted: Counted) -> (bool, String) {
    let Counted { handed_in, records, results, errors, by_release } = counted;
    if records != handed_in || results != by_release || results > records {
        let text = format!(
            "the counts contradict each other ({handed_in} records handed in, {records} found; {results} results \
             found, {by_release} by release): look at the job server's log"
        );
        return (false, text);
    }
    let missing = records - results;
    let (lost, all) = (grouped(missing), grouped(records));
    match (missing, state) {
        (0, BatchState::Done) => {
            let (results, errors) = (grouped(results), grouped(errors));
            (true, format!("in = out: {all} records in, {results} results out, {errors} of them an error"))
        }
        (_, BatchState::Incomplete) => {
            (false, format!("in ≠ out: {lost} of {all} records have no result, and nothing more is under way"))
        }
        _ => (false, format!("not finished: {lost} of {all} records have no result yet")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Counted = Counted { handed_in: 5, records: 5, results: 5, errors: 1, by_release: 5 };

    #[test]
    fn as_many_results_as_records_are_a_proof() {
        let (same, text) = verdict(BatchState::Done, ALL);
        assert!(same);
        assert_eq!(text, "in = out: 5 records in, 5 results out, 1 of them an error");
    }

    #[test]
    fn what_is_missing_is_counted_and_no_proof() {
        let some = Counted { results: 3, by_release: 3, ..ALL };
        assert_eq!(
            verdict(BatchState::Open, some),
            (false, "not finished: 2 of 5 records have no result yet".to_owned())
        );
        assert_eq!(
            verdict(BatchState::Incomplete, some),
            (false, "in ≠ out: 2 of 5 records have no result, and nothing more is under way".to_owned())
        );
    }

    #[test]
    fn counts_that_contradict_each_other_prove_nothing() {
        for wrong in [
            Counted { records: 4, ..ALL },
            Counted { by_release: 6, ..ALL },
            Counted { results: 6, by_release: 6, ..ALL },
        ] {
            let (same, text) = verdict(BatchState::Done, wrong);
            assert!(!same && text.contains("contradict"), "{text}");
        }
    }
}
