//! The people and records of a demo: generated, or a person's own.

use std::collections::HashSet;
use std::path::Path;

use nightshift_contract::exit::Exit;
use nightshift_testbed::people::{self, COLUMNS, Fields, PERSON_ID, Person, RECORD_ID, Record};

use crate::refusal::{OrRefuse, refusal};

/// How many people and records are generated, and how many names are counted.
const PEOPLE: usize = 5_000;
const RECORDS: usize = 20_000;
const NAMES: usize = 1_000;
/// The same people at every demo.
const SEED: u64 = 2;

/// What the demo works on.
#[derive(Debug)]
pub(crate) struct Data {
    /// The data table.
    pub(super) people: Vec<Person>,
    /// The batch for `match-person`; the first of them give the names for `name-count`.
    pub(super) records: Vec<Record>,
    /// It is known whom each record denotes.
    pub(super) truth_known: bool,
    /// Where they come from, in words.
    pub(super) origin: String,
}

impl Data {
    /// Generated people, and records about them with typing errors.
    pub(crate) fn generated() -> Self {
        let people = people::people(PEOPLE, SEED);
        let records = people::records(&people, RECORDS, SEED);
        Self { people, records, truth_known: true, origin: "generated".to_owned() }
    }

    /// A person's own files. When their ids look like FEBRL's (`rec-17-org`, `rec-17-dup-0`), the truth is known.
    pub(crate) fn read(people_file: &Path, records_file: &Path) -> anyhow::Result<Self> {
        let people: Vec<Person> =
            read(people_file, &[PERSON_ID, RECORD_ID])?.into_iter().map(|(id, fields)| Person { id, fields }).collect();
        let ids: HashSet<&str> = people.iter().map(|person| person.id.as_str()).collect();
        if ids.len() < people.len() {
            let text = format!("{}: an id is there twice; give every person one of their own", people_file.display());
            return Err(refusal(Exit::Usage, text));
        }
        let rows = read(records_file, &[RECORD_ID, "id"])?;
        let meant = |id: &str| Some(format!("rec-{}-org", id.strip_prefix("rec-")?.split_once("-dup-")?.0));
        let truth_known = rows.iter().all(|(id, _)| meant(id).is_some_and(|person| ids.contains(person.as_str())));
        let truth = |id: &str| if truth_known { meant(id) } else { None };
        let records = rows.into_iter().map(|(id, fields)| Record { truth: truth(&id), id, fields }).collect();
        Ok(Self { people, records, truth_known, origin: format!("from {}", people_file.display()) })
    }

    /// The records whose names are counted.
    pub(super) fn names(&self) -> &[Record] {
        &self.records[..self.records.len().min(NAMES)]
    }
}

/// Rows of a CSV as ids and fields. The id stands in the first of `id_columns` that is there.
fn read(file: &Path, id_columns: &[&str]) -> anyhow::Result<Vec<(String, Fields)>> {
    let reading = || format!("reading {}", file.display());
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).or_refuse(Exit::NotFound, reading)?;
    let header = csv.headers().or_refuse(Exit::Usage, reading)?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|column| place(column).is_none()).collect();
    if !missing.is_empty() {
        let text = format!(
            "{}, line 1: there is no column {}; match-person needs {}",
            file.display(),
            missing.join(", "),
            COLUMNS.join(", ")
        );
        return Err(refusal(Exit::Usage, text));
    }
    let Some(id_place) = id_columns.iter().find_map(|column| place(column)) else {
        let text = format!("{}, line 1: there is no column {}", file.display(), id_columns.join(" or "));
        return Err(refusal(Exit::Usage, text));
    };
    let places: Vec<usize> = COLUMNS.into_iter().filter_map(place).collect();
    let mut rows = Vec::new();
    for row in csv.records() {
        let row = row.or_refuse(Exit::Usage, reading)?;
        let value = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let mut values = places.iter().map(|place| value(*place));
        rows.push((value(id_place), Fields(std::array::from_fn(|_| values.next().unwrap_or_default()))));
    }
    if rows.is_empty() {
        return Err(refusal(Exit::Usage, format!("{}: there are no rows after the header", file.display())));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, name: &str, rows: &str) -> std::path::PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, rows).expect("file");
        path
    }

    #[test]
    fn files_in_febrls_shape_bring_their_truth() {
        let folder = tempfile::tempdir().expect("folder");
        let header = format!("rec_id, {}\r\n", COLUMNS.join(", "));
        let people = file(&folder, "a.csv", &format!("{header}rec-7-org, ann, berg, 1, a, b, c, 1, d, 1, 2\r\n"));
        let records = file(&folder, "b.csv", &format!("{header}rec-7-dup-0, an, berg, 1, a, b, c, 1, d, 1, 2"));
        let data = Data::read(&people, &records).expect("read");
        assert!(data.truth_known);
        assert_eq!(data.records[0].truth.as_deref(), Some("rec-7-org"));
        assert_eq!(data.people[0].fields.name(), "ann berg");
    }

    #[test]
    fn a_missing_column_is_named_with_file_and_line() {
        let folder = tempfile::tempdir().expect("folder");
        let path = file(&folder, "a.csv", "person_id,given_name,surname\n1,a,b\n");
        let error = read(&path, &[PERSON_ID]).expect_err("incomplete").to_string();
        assert!(error.contains("a.csv, line 1: there is no column street_number, address_1"), "{error}");
        let path = file(&folder, "b.csv", &format!("{}\n", COLUMNS.join(",")));
        let error = read(&path, &[PERSON_ID]).expect_err("no id").to_string();
        assert!(error.ends_with("b.csv, line 1: there is no column person_id"), "{error}");
    }
}
