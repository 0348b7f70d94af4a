//! Results of records as they travel and are kept: the JSON of a list of [`RecordResult`]s, written once.
//!
//! A result goes from its plugin into the journal, and from there to the job server, without being looked at again, so it is
//! never more than text on the way. What has to be known of it beside the text is whose it is, and whether it is an error.

use nightshift_wire::{RecordId, RecordResult};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::outcome::{Kind, Outcomes};

/// Results of records, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// The results with commas between them.
    text: String,
    ids: Vec<RecordId>,
    errors: usize,
}

/// As much of a result as tells whose it is and of which kind.
#[derive(Deserialize)]
struct Label {
    id: RecordId,
    ok: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

impl Results {
    /// The outcomes of the records with these numbers, one for each, in the same order.
    pub(crate) fn of(ids: impl ExactSizeIterator<Item = RecordId>, outcomes: &Outcomes) -> Results {
        let (mut text, mut errors) =
            (Vec::with_capacity(outcomes.size() + ids.len() * "{\"id\":1234567890},".len()), 0);
        let mut kept = Vec::with_capacity(ids.len());
        for (id, (outcome, kind)) in ids.zip(outcomes.iter()) {
            text.extend_from_slice(if text.is_empty() { b"{\"id\":" } else { b",{\"id\":" });
            crate::outcome::json_into(&mut text, id);
            text.push(b',');
            text.extend_from_slice(outcome);
            text.push(b'}');
            errors += usize::from(kind == Kind::Error);
            kept.push(id);
        }
        Results { text: String::from_utf8(text).expect("JSON is written in UTF-8"), ids: kept, errors }
    }

    /// Reads a list of results that was written before.
    ///
    /// # Errors
    /// When it is no such list.
    pub fn read(list: &str) -> Result<Results, serde_json::Error> {
        let labels: Vec<Label> = serde_json::from_str(list)?;
        if labels.iter().any(|label| label.ok.is_some() == label.error.is_some()) {
            return Err(serde::de::Error::custom("a result has neither ok nor error, or both"));
        }
        let text = list.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
        let errors = labels.iter().filter(|label| label.error.is_some()).count();
        Ok(Results { text, ids: labels.into_iter().map(|label| label.id).collect(), errors })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whose they are.
    pub fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Appends the JSON list of them to `bytes`.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.text.len() + 2);
        bytes.push(b'[');
        bytes.extend_from_slice(self.text.as_bytes());
        bytes.push(b']');
    }

    /// Puts others behind them.
    pub fn extend(&mut self, others: Results) {
        if self.is_empty() {
            *self = others;
        } else if !others.is_empty() {
            self.text.push(',');
            self.text.push_str(&others.text);
            self.ids.extend(others.ids);
            self.errors += others.errors;
        }
    }

    /// Each of them, for whoever looks into them.
    pub fn decoded(&self) -> Vec<RecordResult> {
        serde_json::from_str(&format!("[{}]", self.text)).expect("they are results, whoever wrote them")
    }
}

impl From<&[RecordResult]> for Results {
    /// The same results, written.
    fn from(results: &[RecordResult]) -> Results {
        let list = serde_json::to_string(results).expect("results have text keys only and always serialize");
        Results::read(&list).expect("what was written can be read")
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Outcome;

    use super::*;

    fn results() -> Vec<RecordResult> {
        let values = [("a".to_owned(), "],[\"".into()), ("b".to_owned(), 1.5.into())];
        let result = |id, outcome| RecordResult { id, outcome };
        vec![
            result(7, Outcome::Ok(values.into())),
            result(-8, Outcome::Error("no \"name\"\n]".to_owned())),
            result(9, Outcome::Ok([].into())),
        ]
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let written = Results::from(&results()[..]);
        assert_eq!((written.len(), written.errors(), written.ids()), (3, 1, &[7, -8, 9][..]));
        assert_eq!(written.decoded(), results());
        let mut bytes = Vec::new();
        written.write(&mut bytes);
        let list = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(list, serde_json::to_string(&results()).expect("text"));
        assert_eq!(Results::read(&list).expect("a list"), written);
    }

    #[test]
    fn results_put_behind_others_are_one_list() {
        let all = results();
        let mut together = Results::default();
        for part in [&all[..1], &all[1..1], &all[1..]] {
            together.extend(part.into());
        }
        assert_eq!(together, Results::from(&all[..]));
    }

    #[test]
    fn what_is_no_list_of_results_is_refused() {
        for list in ["", "{}", "[{\"id\":1}]", "[{\"id\":1,\"ok\":{},\"error\":\"x\"}]", "[{\"ok\":{}}]", "[1]"] {
            assert!(Results::read(list).is_err(), "{list}");
        }
        assert_eq!(Results::read("[]").expect("an empty list"), Results::default());
    }
}
