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
use nightshift_wire::{Record, RecordId};

use crate::field::{Field, TypedRecord, places, typed};
use crate::isolate::{Fault, isolate};
use crate::outcome::{Kind, Outcomes, Written};
use crate::{Block, BlockError, Results};

/// The answers to one block hold no more bytes of text than this: as much as a job server takes for a whole job.
pub(crate) const LARGEST_ANSWER: usize = 64 << 20;
/// A part of a block that is tried again gets its share of the block's time, but at least this (and never more than the
/// block itself): a run may have to start a program again or fill a cache first, and on a busy machine one second was not
/// enough for that, so that good records failed beside a bad one. Not much more either: 64 failed runs, each this long, must
/// come to an end before the core takes the plugin for stuck.
const SHORTEST_RUN: Duration = Duration::from_secs(5);

/// Has `run` process a block: one result for each record, in the order of the records.
///
/// `run` gets some of the block's records, the time it may take and how many bytes of text its answers may still hold,
/// which it lowers by what they do; it gives an outcome for each record, in order.
///
/// # Errors
/// When the block cannot be taken, or the fault is the plugin's.
pub(crate) fn process(
    manifest: &PluginManifest,
    block: Block<'_>,
    mut run: impl FnMut(&[TypedRecord<'_>], Duration, &mut usize) -> Result<Outcomes, Fault>,
) -> Result<Results, BlockError> {
    let places = places(manifest, block.columns)?;
    if let Some(record) = repeated(block.records) {
        return Err(BlockError::RepeatedRecord { record });
    }
    // The values of all records in one list, and whose they are.
    let mut fields: Vec<Field<'_>> = Vec::with_capacity(block.records.len() * places.len());
    let mut ids = Vec::with_capacity(block.records.len());
    // Where records that never reach the plugin stand in the block, and why.
    let mut untyped: Vec<(usize, String)> = Vec::new();
    for (place, record) in block.records.iter().enumerate() {
        match typed(record, &places, &mut fields) {
            Ok(()) => ids.push(record.id),
            Err(problem) => untyped.push((place, problem)),
        }
    }
    let own = |index: usize| &fields[index * places.len()..][..places.len()];
    let records: Vec<_> =
        ids.iter().enumerate().map(|(index, id)| TypedRecord { id: *id, fields: own(index) }).collect();

    let limit = manifest.time_per_block;
    let mut room = LARGEST_ANSWER;
    let part = |range: Range<usize>| {
        let share = limit.mul_f64(range.len() as f64 / records.len() as f64);
        run(&records[range], share.max(SHORTEST_RUN.min(limit)), &mut room)
    };
    let outcomes = isolate(&manifest.name, records.len(), part)?;
    let outcomes = if untyped.is_empty() { outcomes } else { with_untyped(&outcomes, &untyped) };
    Ok(Results::of(block.records.iter().map(|record| record.id), &outcomes))
}

/// The first record that stands twice in the block. Most blocks come sorted, and then none does.
fn repeated(records: &[Record]) -> Option<RecordId> {
    if records.is_sorted_by(|one, next| one.id < next.id) {
        return None;
    }
    let mut seen = HashSet::with_capacity(records.len());
    records.iter().map(|record| record.id).find(|id| !seen.insert(*id))
}

/// The outcomes with those of the records between them that never reached the plugin.
fn with_untyped(outcomes: &Outcomes, untyped: &[(usize, String)]) -> Outcomes {
    let (mut all, mut outcomes, mut place) = (Outcomes::default(), outcomes.iter(), 0);
    for (untyped, problem) in untyped {
        for (outcome, kind) in outcomes.by_ref().take(untyped - place) {
            all.push(outcome, kind);
        }
        all.push_error(problem);
        place = untyped + 1;
    }
    outcomes.for_each(|(outcome, kind)| all.push(outcome, kind));
    all
}

/// What a plugin answers in one run, sorted by record.
pub(crate) struct Answers<'r> {
    records: &'r [TypedRecord<'r>],
    /// The record that is answered next, where answers come in order.
    next: usize,
    /// Where each record stands; made when one comes out of order.
    places: HashMap<RecordId, usize>,
    /// The outcomes as they came.
    text: Vec<u8>,
    answers: Vec<Answer>,
}

/// A record that was asked for, by its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked(usize);

impl<'r> Answers<'r> {
    /// None yet, for any of `records`; about `bytes` of text are expected.
    pub(crate) fn to(records: &'r [TypedRecord<'r>], bytes: usize) -> Answers<'r> {
        let answers = vec![Answer::None; records.len()];
        Answers { records, next: 0, places: HashMap::new(), text: Vec::with_capacity(bytes), answers }
    }

    /// The record `id`, if it was asked for.
    pub(crate) fn asked(&mut self, id: RecordId) -> Option<Asked> {
        if self.records.get(self.next).is_some_and(|record| record.id == id) {
            self.next += 1;
            return Some(Asked(self.next - 1));
        }
        if self.places.is_empty() {
            self.places = self.records.iter().enumerate().map(|(place, record)| (record.id, place)).collect();
        }
        let place = *self.places.get(&id)?;
        self.next = place + 1;
        Some(Asked(place))
    }

    /// Notes an answer for a record, as `write` writes it; how many bytes of text it holds.
    ///
    /// # Errors
    /// That of `write`; the answers mean nothing then.
    pub(crate) fn note<E>(
        &mut self,
        Asked(place): Asked,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Written, E>,
    ) -> Result<usize, E> {
        let begin = self.text.len();
        let Written { kind, size } = write(&mut self.text)?;
        let answer = &mut self.answers[place];
        *answer = match answer {
            Answer::None => Answer::One(begin..self.text.len(), kind),
            Answer::One(..) => Answer::Many(2),
            Answer::Many(number) => Answer::Many(number.saturating_add(1)),
        };
        Ok(size)
    }

    /// An outcome for each record, in order.
    pub(crate) fn into_outcomes(self) -> Outcomes {
        if let Some(ends) = self.ends_in_order() {
            return Outcomes::written(self.text, ends);
        }
        let mut outcomes = Outcomes::default();
        for answer in self.answers {
            match answer {
                Answer::None => outcomes.push_error("the plugin returned no result for this record"),
                Answer::One(place, kind) => outcomes.push(&self.text[place], kind),
                Answer::Many(number) => {
                    outcomes.push_error(&format!("the plugin returned {number} results for this record"));
                }
            }
        }
        outcomes
    }

    /// Where each outcome ends and what it is, when there is one for each record and they came in order, as most do.
    fn ends_in_order(&self) -> Option<Vec<(usize, Kind)>> {
        let mut before = 0;
        let end = |answer: &Answer| match answer {
            Answer::One(place, kind) if place.start == before => {
                before = place.end;
                Some((place.end, *kind))
            }
            _ => None,
        };
        self.answers.iter().map(end).collect()
    }
}

/// What came back for one record.
#[derive(Clone)]
enum Answer {
    None,
    /// An outcome, and where it stands in the text.
    One(Range<usize>, Kind),
    Many(u32),
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn texts(outcomes: &Outcomes) -> Vec<String> {
        outcomes.iter().map(|(text, _)| String::from_utf8(text.to_vec()).expect("UTF-8")).collect()
    }

    #[test]
    fn a_record_has_the_one_answer_that_came_for_it_or_an_error() {
        let records = [7, 8, 9, 10].map(|id| TypedRecord { id, fields: &[] });
        let answered = |ids: &[RecordId]| {
            let mut answers = Answers::to(&records, 0);
            for id in ids {
                let asked = answers.asked(*id).expect("it was asked for");
                let size = answers.note(asked, |text| {
                    text.extend(format!("\"ok\":{id}").bytes());
                    Ok::<_, Infallible>(Written { kind: Kind::Values, size: 3 })
                });
                assert_eq!(size, Ok(3));
            }
            answers
        };
        let mut answers = answered(&[9, 7, 9, 10]);
        assert!(answers.asked(8).is_some() && answers.asked(1).is_none());
        let error = |text: &str| format!("\"error\":\"the plugin returned {text} for this record\"");
        let expected = ["\"ok\":7".to_owned(), error("no result"), error("2 results"), "\"ok\":10".to_owned()];
        assert_eq!(texts(&answers.into_outcomes()), expected);
        for in_whatever_order in [[7, 8, 9, 10], [10, 8, 7, 9]] {
            let each = [7, 8, 9, 10].map(|id| format!("\"ok\":{id}"));
            assert_eq!(texts(&answered(&in_whatever_order).into_outcomes()), each);
        }
    }

    #[test]
    fn records_that_never_reached_the_plugin_have_their_errors_where_they_stand() {
        let mut outcomes = Outcomes::default();
        for number in 0..3 {
            outcomes.push(format!("{number}").as_bytes(), Kind::Values);
        }
        let untyped = [0, 2, 3, 6].map(|place| (place, place.to_string()));
        let error = |place: usize| format!("\"error\":\"{place}\"");
        let expected = [error(0), "0".into(), error(2), error(3), "1".into(), "2".into(), error(6)];
        assert_eq!(texts(&with_untyped(&outcomes, &untyped)), expected);
    }

    #[test]
    fn a_record_that_stands_twice_in_a_block_is_found_in_any_order() {
        let repeated = |ids: &[RecordId]| {
            let records: Vec<Record> = ids.iter().map(|id| Record { id: *id, values: Vec::new() }).collect();
            repeated(&records)
        };
        assert_eq!((repeated(&[1, 2, 9]), repeated(&[9, 1, 2]), repeated(&[])), (None, None, None));
        assert_eq!((repeated(&[1, 1]), repeated(&[3, 1, 2, 3])), (Some(1), Some(3)));
    }
}
