//! Finds the records on which a plugin fails, so that they cost no other record its result.
//!
//! A run that fails is repeated on its two halves, down to single records. When too many runs fail, or every record
//! fails by itself, the plugin is at fault and not a record.

use std::ops::Range;

use crate::BlockError;
use crate::outcome::Outcomes;

/// So many runs of one block may fail; enough to find eight poisonous records in a block of 250.
const MOST_FAILED_RUNS: u32 = 64;
/// A block of at least so many records that all fail, each by itself, shows a fault of the plugin.
const TELLING_BLOCK: usize = 8;

/// Why a run over a part of the block gave no outcomes.
pub(crate) enum Fault {
    /// A record of it may be the cause.
    OfRun(String),
    /// No record is.
    OfBlock(BlockError),
}

/// Runs over `count` records; `run` gives one outcome for each record of the range it gets, in order.
pub(crate) fn isolate(
    plugin: &str,
    count: usize,
    mut run: impl FnMut(Range<usize>) -> Result<Outcomes, Fault>,
) -> Result<Outcomes, BlockError> {
    let mut outcomes = Outcomes::default();
    let mut first_reason: Option<String> = None;
    let (mut failed_runs, mut failed_records) = (0, 0);
    let mut to_do: Vec<Range<usize>> = std::iter::once(0..count).collect();
    while let Some(range) = to_do.pop() {
        if range.is_empty() {
            continue;
        }
        let reason = match run(range.clone()) {
            Ok(part) => {
                outcomes.extend(part);
                continue;
            }
            Err(Fault::OfBlock(error)) => return Err(error),
            Err(Fault::OfRun(reason)) => reason,
        };
        failed_runs += 1;
        if range.len() == 1 {
            failed_records += 1;
            outcomes.push_error(&reason);
        } else {
            let middle = range.start + range.len() / 2;
            to_do.extend([middle..range.end, range.start..middle]);
        }
        let first = first_reason.get_or_insert(reason);
        let fails = |reason| Err(BlockError::Fails { plugin: plugin.to_owned(), reason });
        if failed_records == count && count >= TELLING_BLOCK {
            return fails(std::mem::take(first));
        }
        if failed_runs > MOST_FAILED_RUNS {
            return fails(format!("it failed on {failed_runs} parts of the block, on the first because {first}"));
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Kind;

    const GOOD: &str = r#""ok":{}"#;

    fn error(why: &str) -> String {
        format!("\"error\":\"{why}\"")
    }

    /// The outcomes of a plugin that fails on these records, and how often it was run.
    fn run_with(poison: &[usize], count: usize) -> (Result<Vec<String>, BlockError>, u32) {
        let mut runs = 0;
        let result = isolate("p", count, |range| {
            runs += 1;
            match range.clone().find(|index| poison.contains(index)) {
                Some(index) => Err(Fault::OfRun(format!("poison {index}"))),
                None => {
                    let mut outcomes = Outcomes::default();
                    range.for_each(|_| outcomes.push(GOOD.as_bytes(), Kind::Values));
                    Ok(outcomes)
                }
            }
        });
        let texts = |outcomes: Outcomes| {
            outcomes.iter().map(|(text, _)| String::from_utf8(text.to_vec()).expect("UTF-8")).collect()
        };
        (result.map(texts), runs)
    }

    #[test]
    fn a_poisonous_record_costs_only_its_own_result() {
        let (result, runs) = run_with(&[3, 177], 250);
        let outcomes = result.expect("two records fail, not the block");
        assert_eq!(outcomes.len(), 250);
        for (index, outcome) in outcomes.iter().enumerate() {
            assert_eq!(
                *outcome == error(&format!("poison {index}")),
                [3, 177].contains(&index),
                "record {index}: {outcome:?}"
            );
        }
        assert!(runs < 40, "{runs} runs");
    }

    #[test]
    fn a_block_without_faults_is_run_once_and_an_empty_one_never() {
        assert_eq!(run_with(&[], 250).1, 1);
        let (result, runs) = run_with(&[], 0);
        assert_eq!((result.expect("nothing to do").len(), runs), (0, 0));
    }

    #[test]
    fn a_plugin_that_fails_on_everything_fails_the_block_with_its_first_reason() {
        for count in [8, 250] {
            let all: Vec<usize> = (0..count).collect();
            let (result, runs) = run_with(&all, count);
            let message = result.expect_err("the plugin fails").to_string();
            assert!(message.contains("poison 0") && runs < 70, "{message}, {runs} runs");
        }
    }

    #[test]
    fn a_single_record_that_fails_is_an_error_of_its_own() {
        let (result, _) = run_with(&[0], 1);
        assert_eq!(result.expect("the record fails"), [error("poison 0")]);
    }
}
