//! Checks the results of a demo, record by record. Pure: results come in as text.

use anyhow::{Context, ensure};
use nightshift_testbed::people::{Matching, Names, PERSON_ID, RECORD_ID, Record};

use super::data::Data;

/// Results of a batch: a table with the columns that were asked for.
struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    fn read(csv: &str, names: &[&str]) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let header = reader.headers().context("reading the results")?.clone();
        let places: Vec<usize> = names
            .iter()
            .map(|name| header.iter().position(|column| column == *name).with_context(|| format!("no column {name}")))
            .collect::<anyhow::Result<_>>()
            .context("reading the results")?;
        let rows = reader
            .records()
            .map(|row| {
                let row = row.context("reading the results")?;
                Ok(places.iter().map(|place| row.get(*place).unwrap_or_default().to_owned()).collect())
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { rows })
    }
}

/// Exactly one result for each record, in the order of the records, none of them an error.
fn check_complete(records: &[Record], results: &Columns) -> anyhow::Result<()> {
    ensure!(
        records.len() == results.rows.len(),
        "{} records were handed in, {} came back",
        records.len(),
        results.rows.len()
    );
    for (record, row) in records.iter().zip(&results.rows) {
        ensure!(record.id == row[0], "the result of record {} stands where that of {} should", row[0], record.id);
        let error = row.last().map_or("", String::as_str);
        ensure!(error.is_empty(), "record {} came back with an error: {error}", record.id);
    }
    Ok(())
}

/// Checks the results of `match-person`, and says how many are right; `None` when the truth is not known.
pub(super) fn matching(data: &Data, csv: &str) -> anyhow::Result<Option<Matching>> {
    let results = Columns::read(csv, &[RECORD_ID, PERSON_ID, "error"])?;
    check_complete(&data.records, &results)?;
    let answer = |row: &'_ Vec<String>| -> (String, Option<String>) {
        (row[0].clone(), Some(row[1].clone()).filter(|person| !person.is_empty()))
    };
    let answers: Vec<(String, Option<String>)> = results.rows.iter().map(answer).collect();
    let answers = answers.iter().map(|(record, person)| (record.as_str(), person.as_deref()));
    Ok(data.truth_known.then(|| Matching::judge(&data.records, answers)))
}

/// Checks the results of `name-count` against a plain look at every name; how many agree.
pub(super) fn counting(data: &Data, csv: &str) -> anyhow::Result<u64> {
    let results = Columns::read(csv, &[RECORD_ID, "name_count", "word_counts", "error"])?;
    check_complete(data.names(), &results)?;
    let names = Names::of(&data.people);
    let agrees = |(record, row): &(&Record, &Vec<String>)| {
        let (whole, words) = names.count(&record.fields.name());
        row[1] == whole.to_string() && row[2] == words
    };
    Ok(data.names().iter().zip(&results.rows).filter(agrees).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_testbed::people::{Fields, Person};

    fn data() -> Data {
        let fields = |given: &str| {
            let mut fields = Fields::default();
            fields.0[0] = given.to_owned();
            fields
        };
        let record = |id: &str, truth: Option<&str>| Record {
            id: id.to_owned(),
            fields: fields("ann"),
            truth: truth.map(str::to_owned),
        };
        Data {
            people: vec![Person { id: "p".into(), fields: fields("Annabel") }],
            records: vec![record("a", Some("p")), record("b", None)],
            truth_known: true,
            origin: String::new(),
        }
    }

    #[test]
    fn right_and_wrong_matches_are_told_apart() {
        let matching = matching(&data(), "rec_id,person_id,error\na,p,\nb,p,\n").expect("complete").expect("truth");
        assert_eq!((matching.right, matching.wrong), (1, 1));
    }

    #[test]
    fn counts_are_compared_with_a_plain_search() {
        let csv = "rec_id,name_count,word_counts,error\na,1,1,\nb,2,1,\n";
        assert_eq!(counting(&data(), csv).expect("complete"), 1);
    }

    #[test]
    fn a_lost_repeated_or_failed_record_is_noticed() {
        for (csv, problem) in [
            ("rec_id,person_id,error\na,p,\n", "2 records were handed in, 1 came back"),
            ("rec_id,person_id,error\na,p,\na,p,\n", "the result of record a stands where that of b should"),
            ("rec_id,person_id,error\na,p,\nb,,broken\n", "record b came back with an error: broken"),
            ("rec_id,error\na,\nb,\n", "reading the results"),
        ] {
            assert_eq!(matching(&data(), csv).expect_err(csv).to_string(), problem);
        }
    }
}
