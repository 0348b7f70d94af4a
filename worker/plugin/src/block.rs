//! The way of a block through a plugin, the same for every runtime.
//!
//! 1. Records that do not have the types of `[input]` get an error and never reach the plugin.
//! 2. The others are run; a run that fails is repeated on halves, down to the records at fault ([`crate::isolate`]).
//! 3. Each record gets exactly one outcome: the plugin's, or why it has none ([`Answers`]).
//!
//! What a run is, is the runtime's business.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{Outcome, RecordId, RecordResult, Records};

use crate::BlockError;
use crate::field::{TypedRecord, places, typed};
use crate::isolate::{Fault, isolate};

/// The answers to one block hold no more bytes of text than this: as much as a job server takes for a whole job.
pub(crate) const LARGEST_ANSWER: usize = 64 << 20;
/// A part of a block that is tried again gets its share of the block's time, but at least this.
const SHORTEST_RUN: Duration = Duration::from_secs(1);

/// Has `run` process a block: one result for each record, in the order of the records.
///
/// `run` gets some of the block's records, the time it may take and how many bytes of text its answers may still hold,
/// which it lowers by what they do; it gives an outcome for each record, in order.
///
/// # Errors
/// When the block cannot be taken, or the fault is the plugin's.
pub(crate) fn process(
    manifest: &PluginManifest,
    block: &Records,
    mut run: impl FnMut(&[TypedRecord<'_>], Duration, &mut usize) -> Result<Vec<Outcome>, Fault>,
) -> Result<Vec<RecordResult>, BlockError> {
    let places = places(manifest, block)?;
    let mut seen = HashSet::with_capacity(block.records.len());
    if let Some(record) = block.records.iter().find(|record| !seen.insert(record.id)) {
        return Err(BlockError::RepeatedRecord { record: record.id });
    }
    let mut records = Vec::with_capacity(block.records.len());
    let mut untyped: HashMap<RecordId, String> = HashMap::new();
    for record in &block.records {
        match typed(record, &places) {
            Ok(typed) => records.push(typed),
            Err(problem) => drop(untyped.insert(record.id, problem)),
        }
    }

    let limit = manifest.time_per_block;
    let mut room = LARGEST_ANSWER;
    let part = |range: Range<usize>| {
        let share = limit.mul_f64(range.len() as f64 / records.len() as f64);
        run(&records[range], share.max(SHORTEST_RUN.min(limit)), &mut room)
    };
    let mut outcomes = isolate(&manifest.name, records.len(), part)?.into_iter();
    let results = block.records.iter().map(|record| RecordResult {
        id: record.id,
        outcome: match untyped.remove(&record.id) {
            Some(problem) => Outcome::Error(problem),
            None => outcomes.next().unwrap_or_else(|| Answer::None.into_outcome()),
        },
    });
    Ok(results.collect())
}

/// What a plugin answers in one run, sorted by record.
pub(crate) struct Answers {
    places: HashMap<RecordId, usize>,
    answers: Vec<Answer>,
}

impl Answers {
    /// None yet, for any of `records`.
    pub(crate) fn to(records: &[TypedRecord<'_>]) -> Answers {
        let places = records.iter().enumerate().map(|(place, record)| (record.id, place)).collect();
        Answers { places, answers: vec![Answer::None; records.len()] }
    }

    /// Whether `id` was asked for.
    pub(crate) fn is_asked(&self, id: RecordId) -> bool {
        self.places.contains_key(&id)
    }

    /// Notes an answer for the record `id`; nothing when it was not asked for.
    pub(crate) fn note(&mut self, id: RecordId, outcome: Outcome) {
        let Some(&place) = self.places.get(&id) else { return };
        let answer = &mut self.answers[place];
        *answer = match std::mem::replace(answer, Answer::None) {
            Answer::None => Answer::One(outcome),
            Answer::One(_) => Answer::Many(2),
            Answer::Many(number) => Answer::Many(number.saturating_add(1)),
        };
    }

    /// An outcome for each record, in order.
    pub(crate) fn into_outcomes(self) -> Vec<Outcome> {
        self.answers.into_iter().map(Answer::into_outcome).collect()
    }
}

/// What came back for one record.
#[derive(Clone)]
enum Answer {
    None,
    One(Outcome),
    Many(u32),
}

impl Answer {
    fn into_outcome(self) -> Outcome {
        match self {
            Answer::None => Outcome::Error("the plugin returned no result for this record".to_owned()),
            Answer::One(outcome) => outcome,
            Answer::Many(number) => Outcome::Error(format!("the plugin returned {number} results for this record")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_one_answer_that_came_for_it_or_an_error() {
        let record = |id| TypedRecord { id, fields: Vec::new() };
        let mut answers = Answers::to(&[record(7), record(8), record(9)]);
        let good = Outcome::Ok(Default::default());
        for id in [9, 7, 9] {
            answers.note(id, good.clone());
        }
        assert!(answers.is_asked(8) && !answers.is_asked(1));
        let error = |text: &str| Outcome::Error(format!("the plugin returned {text} for this record"));
        assert_eq!(answers.into_outcomes(), [good, error("no result"), error("2 results")]);
    }
}
