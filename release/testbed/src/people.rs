//! People and records about them in the column shape of FEBRL's dataset 4, with the truth known.
//!
//! Two sources give the same types: [`generate`] (seeded: the same seed makes the same people for ever) and
//! [`febrl`] (the real data set, where it is at hand). What matching finds is checked by [`Matching`], what counting
//! finds by [`Names`], a plain substring count. The words of the generator stand in `people/words.rs`.

mod febrl;
mod generate;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::io::Write;

use anyhow::Context;

pub use febrl::{febrl, febrl_folder, febrl_or_generated};
pub use generate::{people, records};

/// The columns of a person and of a record about a person, besides the id.
pub const COLUMNS: [&str; 10] = [
    "given_name",
    "surname",
    "street_number",
    "address_1",
    "address_2",
    "suburb",
    "postcode",
    "state",
    "date_of_birth",
    "soc_sec_id",
];

/// The column of a person's id in the data table.
pub const PERSON_ID: &str = "person_id";
/// The column of a record's id in a batch; never shown to a plugin.
pub const RECORD_ID: &str = "rec_id";

/// The values of [`COLUMNS`], lower case; missing ones are empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Fields(pub [String; COLUMNS.len()]);

/// Someone in the data table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `rec-17-org`.
    pub id: String,
    /// The person's values.
    pub fields: Fields,
}

/// A record about someone, with typing errors, missing and swapped fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `rec-17-dup-0`.
    pub id: String,
    /// The values as they were written down.
    pub fields: Fields,
    /// The id of the person meant; `None` when it is nobody in the data table.
    pub truth: Option<String>,
}

impl Fields {
    /// Given name and surname, as far as they are there.
    pub fn name(&self) -> String {
        let [given, surname, ..] = &self.0;
        format!("{given} {surname}").trim().to_owned()
    }
}

/// People as the data table `people.csv`: the id as `person_id`, then [`COLUMNS`].
pub fn write_people(people: &[Person], to: impl Write) -> anyhow::Result<()> {
    write(PERSON_ID, people.iter().map(|person| (&person.id, &person.fields)), to).context("writing people as CSV")
}

/// Records as a batch: the id as `rec_id`, then [`COLUMNS`].
pub fn write_records(records: &[Record], to: impl Write) -> anyhow::Result<()> {
    write(RECORD_ID, records.iter().map(|record| (&record.id, &record.fields)), to).context("writing records as CSV")
}

/// The names of records as a batch for counting: `rec_id`, `name`.
pub fn write_names(records: &[Record], to: impl Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record([RECORD_ID, "name"])?;
    for record in records {
        csv.write_record([&record.id, &record.fields.name()])?;
    }
    csv.flush().context("writing names as CSV")
}

fn write<'a>(
    id_column: &str,
    rows: impl Iterator<Item = (&'a String, &'a Fields)>,
    to: impl Write,
) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record([id_column].into_iter().chain(COLUMNS))?;
    for (id, fields) in rows {
        csv.write_record([id].into_iter().chain(&fields.0))?;
    }
    Ok(csv.flush()?)
}

/// How good the answers of a matching plugin are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matching {
    /// Records linked to the person they are about.
    pub right: u64,
    /// Records linked to another person, or linked although they are about nobody.
    pub wrong: u64,
    /// Records about someone that were not linked.
    pub missed: u64,
    /// Records about nobody that were not linked.
    pub left_alone: u64,
}

impl Matching {
    /// Compares answers (record's id, person's id or nothing) with the truth. A record without an answer counts as not
    /// linked, an answer about an unknown record as wrong.
    pub fn judge<'a>(records: &[Record], answers: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Matching {
        let mut answers: HashMap<&str, Option<&str>> = answers.into_iter().collect();
        let mut matching = Matching::default();
        for record in records {
            let answer = answers.remove(record.id.as_str()).flatten();
            match (record.truth.as_deref(), answer) {
                (Some(truth), Some(answer)) if truth == answer => matching.right += 1,
                (_, Some(_)) => matching.wrong += 1,
                (Some(_), None) => matching.missed += 1,
                (None, None) => matching.left_alone += 1,
            }
        }
        matching.wrong += answers.values().filter(|answer| answer.is_some()).count() as u64;
        matching
    }

    /// The share of links that are right; 1 when nothing was linked.
    pub fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// The share of records about someone that were linked to this person; 1 when there are none.
    pub fn recall(&self, records: &[Record]) -> f64 {
        share(self.right, records.iter().filter(|record| record.truth.is_some()).count() as u64)
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 1.0 } else { part as f64 / of as f64 }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Matching { right, wrong, missed, left_alone } = self;
        write!(f, "{right} right, {wrong} wrong, {missed} missed, {left_alone} rightly left alone")
    }
}

/// The names of all people, to count in the plainest way there is: look at every name.
pub struct Names(Vec<String>);

impl Names {
    /// The names of `people`.
    pub fn of(people: &[Person]) -> Names {
        Names(people.iter().map(|person| person.fields.name().to_ascii_lowercase()).collect())
    }

    /// The people whose name contains `term`, in any ASCII case.
    pub fn containing(&self, term: &str) -> u64 {
        let term = term.to_ascii_lowercase();
        self.0.iter().filter(|name| name.contains(&term)).count() as u64
    }

    /// What `name-count` shall answer: the count of the whole name, and the counts of its words parted by blanks.
    pub fn count(&self, name: &str) -> (u64, String) {
        let words = name.split(' ').filter(|word| !word.is_empty());
        let counts: Vec<String> = words.map(|word| self.containing(word).to_string()).collect();
        (self.containing(name), counts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_people_and_records() {
        let (one, two) = (people(300, 7), people(300, 7));
        assert_eq!(one, two);
        assert_eq!(records(&one, 500, 3), records(&two, 500, 3));
        assert_ne!(people(300, 8), one);
    }

    #[test]
    fn ids_and_numbers_are_unique_and_the_truth_is_a_person() {
        let people = people(2_000, 1);
        let ids: std::collections::HashSet<_> = people.iter().map(|person| &person.id).collect();
        let numbers: std::collections::HashSet<_> = people.iter().map(|person| &person.fields.0[9]).collect();
        assert_eq!((ids.len(), numbers.len()), (2_000, 2_000));
        let records = records(&people, 4_000, 2);
        assert!(records.iter().filter_map(|record| record.truth.as_ref()).all(|truth| ids.contains(truth)));
        let record_ids: std::collections::HashSet<_> = records.iter().map(|record| &record.id).collect();
        assert_eq!(record_ids.len(), 4_000);
    }

    #[test]
    fn some_records_are_about_nobody_and_most_have_errors() {
        let people = people(1_000, 1);
        let records = records(&people, 2_000, 2);
        let nobody = records.iter().filter(|record| record.truth.is_none()).count();
        assert!((50..200).contains(&nobody), "{nobody} of 2000 records are about nobody");
        let by_id: HashMap<_, _> = people.iter().map(|person| (&person.id, &person.fields)).collect();
        let clean =
            records.iter().filter(|record| record.truth.as_ref().is_some_and(|id| by_id[id] == &record.fields)).count();
        assert!(clean < 400, "{clean} of 2000 records have no error at all");
    }

    #[test]
    fn names_have_one_to_four_words() {
        let people = people(3_000, 1);
        let words = |count| people.iter().filter(|p| p.fields.name().split(' ').count() == count).count();
        assert!(words(2) > 1_500 && words(3) > 100 && words(4) > 5, "{} {} {}", words(2), words(3), words(4));
        assert_eq!(words(1) + words(2) + words(3) + words(4), 3_000);
    }

    #[test]
    fn people_and_records_are_written_as_csv_with_their_ids_first() {
        let people = people(2, 1);
        let mut csv = Vec::new();
        write_people(&people, &mut csv).expect("writes to memory");
        let text = String::from_utf8(csv).expect("UTF-8");
        assert!(text.starts_with("person_id,given_name,surname,"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_link_to_another_person_or_of_nobody_is_wrong_and_no_link_is_missed() {
        let record = |id: &str, truth: Option<&str>| Record {
            id: id.into(),
            fields: Fields::default(),
            truth: truth.map(str::to_owned),
        };
        let records = [
            record("a", Some("p")),
            record("b", Some("q")),
            record("c", None),
            record("d", Some("r")),
            record("e", None),
        ];
        let answers = [("a", Some("p")), ("b", Some("p")), ("c", Some("p")), ("d", None), ("e", None)];
        let matching = Matching::judge(&records, answers);
        assert_eq!(matching, Matching { right: 1, wrong: 2, missed: 1, left_alone: 1 });
        assert!((matching.recall(&records) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn names_are_counted_by_plain_substrings() {
        let person = |name: &str| Person { id: String::new(), fields: fields(name) };
        fn fields(name: &str) -> Fields {
            let mut fields = Fields::default();
            fields.0[1] = name.to_owned();
            fields
        }
        let names = Names::of(&[person("Anna Berg"), person("joanna bergman"), person("50% off")]);
        assert_eq!(names.count("ANNA berg"), (2, "2 2".to_owned()));
        assert_eq!(names.count("%"), (1, "1".to_owned()));
        assert_eq!(names.count("_"), (0, "0".to_owned()));
    }
}
