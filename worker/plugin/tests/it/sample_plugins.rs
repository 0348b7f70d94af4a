//! The plugins that every fresh repository begins with, on their own samples, on FEBRL's data and on generated people.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nightshift_manifest::plugin::PluginManifest;
use nightshift_manifest::settings::GridSettings;
use nightshift_plugin::{Data, Host, Plugin, samples};
use nightshift_testbed::people::{self, COLUMNS, Matching, Names, Person, Record};
use nightshift_wire::{Outcome, RecordResult, Records};

pub(crate) fn sample_tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli/samples")
}

/// The sample plugins in a tree of their own, with `people` as the data table.
fn tree_with(people: &[Person]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a temporary folder");
    for plugin in ["name-count", "match-person"] {
        let (from, to) = (sample_tree().join("plugins").join(plugin), tree.path().join("plugins").join(plugin));
        fs::create_dir_all(&to).expect("creates the plugin's folder");
        for file in ["plugin.toml", "open.sqlite.sql", "query.sqlite.sql"] {
            fs::copy(from.join(file), to.join(file)).expect("copies the plugin's file");
        }
    }
    fs::create_dir(tree.path().join("data")).expect("creates the data folder");
    let table = File::create(tree.path().join("data/people.csv")).expect("creates the table");
    people::write_people(people, table).expect("writes the table");
    tree
}

/// Runs `plugin` over `records`, block by block as the core does.
fn run(plugin: &str, tree: &Path, columns: &[&str], records: Vec<Vec<String>>) -> Vec<RecordResult> {
    let text = fs::read_to_string(tree.join("plugins").join(plugin).join("plugin.toml")).expect("reads the manifest");
    let manifest = PluginManifest::parse(plugin, &text).expect("a good manifest");
    let mut open = nightshift_plugin::open(tree, &manifest, Data::Release, &Host::default()).expect("opens");
    run_open(&mut *open, &manifest, columns, records)
}

/// Runs an open plugin over `records`, block by block as the core does.
pub(crate) fn run_open(
    open: &mut dyn Plugin,
    manifest: &PluginManifest,
    columns: &[&str],
    records: Vec<Vec<String>>,
) -> Vec<RecordResult> {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let records: Vec<_> = (1..).zip(records).map(|(id, values)| nightshift_wire::Record { id, values }).collect();
    let blocks = records.chunks(manifest.block as usize);
    blocks
        .flat_map(|block| {
            let block = Records { columns: columns.clone(), records: block.to_vec() };
            open.process(&block).expect("processes the block")
        })
        .collect()
}

fn match_records(people: &[Person], records: &[Record]) -> Matching {
    let tree = tree_with(people);
    let values = records.iter().map(|record| record.fields.0.to_vec()).collect();
    judge(records, &run("match-person", tree.path(), &COLUMNS, values))
}

/// How well `match-person` linked the records.
pub(crate) fn judge(records: &[Record], results: &[RecordResult]) -> Matching {
    assert_eq!(results.len(), records.len());
    let answers = records.iter().zip(results).map(|(record, result)| match &result.outcome {
        Outcome::Ok(values) => {
            assert_eq!(values.contains_key("score"), values.contains_key("person_id"), "{values:?}");
            (record.id.as_str(), values.get("person_id").and_then(serde_json::Value::as_str))
        }
        Outcome::Error(error) => panic!("record {}: {error}", record.id),
    });
    Matching::judge(records, answers)
}

#[test]
fn the_sample_plugins_pass_their_own_samples() {
    for plugin in ["name-count", "match-person"] {
        let report =
            samples::run(&sample_tree().join("plugins").join(plugin), &sample_tree(), &Host::default()).expect("runs");
        let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
        assert!(report.is_good() && report.records >= 7, "{plugin}: {differences:#?}");
    }
}

#[test]
fn the_sample_settings_and_people_are_as_a_fresh_repository_needs_them() {
    let settings = fs::read_to_string(sample_tree().join("nightshift.toml")).expect("reads the settings");
    assert_eq!(GridSettings::parse(&settings, "nightshift.toml"), Ok(GridSettings::default()));
    let mut generated = Vec::new();
    people::write_people(&people::people(200, 2024), &mut generated).expect("writes to memory");
    let table = fs::read(sample_tree().join("data/people.csv")).expect("reads the table");
    assert!(table == generated, "data/people.csv is not what the generator makes with seed 2024");
}

#[test]
fn match_person_finds_all_but_one_in_a_thousand_of_febrls_people_and_hardly_errs() {
    let (people, records) = people::febrl_or_generated().expect("reads the people");
    let matching = match_records(&people, &records);
    assert!(matching.precision() >= 0.999 && matching.recall(&records) >= 0.999, "{matching}");
}

#[test]
fn match_person_is_as_good_on_people_it_was_not_made_for() {
    for seed in [11, 12] {
        let people = people::people(4_000, seed);
        let records = people::records(&people, 6_000, seed);
        let matching = match_records(&people, &records);
        assert!(matching.precision() >= 0.999 && matching.recall(&records) >= 0.999, "seed {seed}: {matching}");
    }
}

#[test]
fn match_person_links_nobody_when_the_person_is_not_in_the_table() {
    let (mut people, mut records) = people::febrl_or_generated().expect("reads the people");
    people.truncate(2_500);
    let known: HashMap<&str, ()> = people.iter().map(|person| (person.id.as_str(), ())).collect();
    for record in &mut records {
        record.truth = record.truth.take().filter(|truth| known.contains_key(truth.as_str()));
    }
    let matching = match_records(&people, &records);
    assert!(matching.precision() >= 0.999 && matching.left_alone > 2_000, "{matching}");
}

#[test]
fn name_count_counts_exactly_as_a_plain_substring_query_does() {
    let (people, records) = people::febrl_or_generated().expect("reads the people");
    let mut terms: Vec<String> = records.iter().take(1_500).map(|record| record.fields.name()).collect();
    let awkward = ["", " ", "%", "_", "a", "AN", "O'", "a\"b\\c", "  anna   w ", "É", "de la", "x\ty", "\u{10ffff}"];
    terms.extend(awkward.map(str::to_owned));
    let tree = tree_with(&people);
    let names = Names::of(&people);
    let results = run("name-count", tree.path(), &["name"], terms.iter().map(|term| vec![term.clone()]).collect());
    assert_eq!(results.len(), terms.len());
    for (term, result) in terms.iter().zip(results) {
        let (whole, words) = names.count(term);
        let expected = [("name_count".to_owned(), whole.into()), ("word_counts".to_owned(), words.into())];
        assert_eq!(result.outcome, Outcome::Ok(expected.into()), "{term:?}");
    }
}
