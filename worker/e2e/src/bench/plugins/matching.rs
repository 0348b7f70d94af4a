//! `match_*`: `match-person` on FEBRL's 5,000 people and 5,000 corrupted records, block by block on one thread.
//!
//! Beside the rate, in turn: the plugin's two scripts run by plain SQLite on the same tables, with nothing checked and
//! nothing kept. Precision and recall stand beside 1, all there is.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Data, Host};
use nightshift_testbed::people::{self, COLUMNS, Matching, PERSON_ID, Person, Record};
use nightshift_wire::{Outcome, RecordResult, Records};
use rusqlite::{Connection, params_from_iter};

use super::super::Group;
use super::super::figure::{Figure, Line, Target};
use super::super::measure::{Moment, median, own_cpu};

pub(super) const GROUP: Group = Group { names: &[PRECISION, RECALL, RATE], run };

const PRECISION: &str = "match_precision";
const RECALL: &str = "match_recall";
const RATE: &str = "match_rps";
const PLUGIN: &str = "match-person";
const ROUNDS: usize = 5;

fn run() -> Result<Vec<Line>> {
    let (people, records) = people::febrl_or_generated()?;
    let tree = tempfile::tempdir().context("making a temporary folder")?;
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli/samples/plugins").join(PLUGIN);
    let folder = tree.path().join("plugins").join(PLUGIN);
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(tree.path().join("data"))?;
    for file in ["plugin.toml", "open.sqlite.sql", "query.sqlite.sql"] {
        fs::copy(sample.join(file), folder.join(file))?;
    }
    people::write_people(&people, fs::File::create(tree.path().join("data/people.csv"))?)?;
    let manifest = PluginManifest::parse(PLUGIN, &fs::read_to_string(folder.join("plugin.toml"))?)?;
    let mut plugin = nightshift_plugin::open(tree.path(), &manifest, Data::Release, &Host::default())?;
    let blocks = blocks(&records, manifest.block as usize);
    let raw = Raw::open(&folder, &people)?;

    let (mut rates, mut raw_rates, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        results.clear();
        let (begun, cpu) = (Moment::now(), own_cpu()?);
        for block in &blocks {
            results.extend(plugin.process(block)?);
        }
        // Of one core: what waits for the processor on a busy machine is not the plugin's.
        let used = (own_cpu()? - cpu).min(Moment::now() - begun);
        rates.push(records.len() as f64 / used.as_secs_f64());
        let (begun, cpu) = (Moment::now(), own_cpu()?);
        for block in &blocks {
            raw.run(block)?;
        }
        let used = (own_cpu()? - cpu).min(Moment::now() - begun);
        raw_rates.push(records.len() as f64 / used.as_secs_f64());
    }
    let matching = judge(&records, &results);
    let quality =
        |name, value| Line::Measured(Figure::new(name, value, "", Target::AtLeast(0.999), "all there are", 1.0));
    let beside = "plain SQLite on the same tables";
    let rate = Figure::new(RATE, median(rates), "/s", Target::AtLeast(15_000.0), beside, median(raw_rates));
    Ok(vec![
        quality(PRECISION, matching.precision()),
        quality(RECALL, matching.recall(&records)),
        Line::Measured(rate.noting(matching.to_string())),
    ])
}

fn blocks(records: &[Record], size: usize) -> Vec<Records> {
    let columns: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    let numbered: Vec<nightshift_wire::Record> = (1..)
        .zip(records)
        .map(|(id, record)| nightshift_wire::Record { id, values: record.fields.0.to_vec() })
        .collect();
    numbered.chunks(size).map(|block| Records { columns: columns.clone(), records: block.to_vec() }).collect()
}

fn judge(records: &[Record], results: &[RecordResult]) -> Matching {
    let found: Vec<HashMap<_, _>> = results
        .iter()
        .map(|result| match &result.outcome {
            Outcome::Ok(values) => values.iter().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect(),
            Outcome::Error(_) => HashMap::new(),
        })
        .collect();
    let answers =
        records.iter().zip(&found).map(|(record, values)| (record.id.as_str(), values.get(PERSON_ID).copied()));
    Matching::judge(records, answers)
}

/// The plugin's scripts in plain SQLite.
struct Raw {
    database: Connection,
    query: String,
}

impl Raw {
    fn open(folder: &Path, people: &[Person]) -> Result<Raw> {
        let database = Connection::open_in_memory()?;
        database.execute_batch(&format!(
            "PRAGMA temp_store = MEMORY; CREATE TABLE people ({}); CREATE TEMP TABLE records ({})",
            [&[PERSON_ID], &COLUMNS[..]].concat().join(" TEXT, ") + " TEXT",
            [&["record_id INTEGER PRIMARY KEY"], &COLUMNS[..]].concat().join(", "),
        ))?;
        let places = vec!["?"; 1 + COLUMNS.len()].join(", ");
        let transaction = database.unchecked_transaction()?;
        let mut insert = transaction.prepare(&format!("INSERT INTO people VALUES ({places})"))?;
        for person in people {
            insert.execute(params_from_iter([&person.id].into_iter().chain(&person.fields.0)))?;
        }
        drop(insert);
        transaction.commit()?;
        database.execute_batch(&fs::read_to_string(folder.join("open.sqlite.sql"))?)?;
        Ok(Raw { database, query: fs::read_to_string(folder.join("query.sqlite.sql"))? })
    }

    fn run(&self, block: &Records) -> Result<()> {
        let transaction = self.database.unchecked_transaction()?;
        transaction.execute("DELETE FROM temp.records", [])?;
        let places = vec!["?"; 1 + COLUMNS.len()].join(", ");
        let mut insert = transaction.prepare_cached(&format!("INSERT INTO temp.records VALUES ({places})"))?;
        for record in &block.records {
            let id = record.id.to_string();
            insert.execute(params_from_iter([&id].into_iter().chain(&record.values)))?;
        }
        drop(insert);
        transaction.commit()?;
        let mut query = self.database.prepare_cached(&self.query)?;
        let mut rows = query.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}
