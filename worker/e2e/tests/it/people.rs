//! The sample plugins on real data, through real processes: FEBRL's 5,000 people and 5,000 corrupted records.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nightshift_e2e::scene::Scene;
use nightshift_testbed::database::{Company, Founding, Make};
use nightshift_testbed::people::{self, Matching, Names, Person, Record};
use nightshift_wire::BatchId;

#[test]
fn match_person_links_febrls_records_and_name_count_counts_as_a_plain_query_does() -> Result<()> {
    let (people, records) = people::febrl_or_generated()?;
    let scene = scene_with(&people)?;
    let workers = [scene.worker("w1")?, scene.worker("w2")?];
    let _cycles = workers.iter().map(|worker| worker.start_cycle()).collect::<Result<Vec<_>>>()?;

    let matching = scene.hand_in("match-person", &csv_of(|to| people::write_records(&records, to))?, 500)?;
    let counting = scene.hand_in("name-count", &csv_of(|to| people::write_names(&records[..1000], to))?, 200)?;

    check_matching(&scene, matching.id, &records)?;

    let counting = scene.done(counting.id)?;
    assert_eq!((counting.results, counting.errors), (1000, 0));
    let names = Names::of(&people);
    let rows = rows_of(&scene.results(counting.id)?)?;
    assert_eq!(rows[0], vec![people::RECORD_ID, "name", "name_count", "word_counts", "error"]);
    for (record, row) in records.iter().zip(&rows[1..]) {
        let (whole, words) = names.count(&row[1]);
        ensure!(row[0] == record.id && row[2] == whole.to_string() && row[3] == words, "{row:?}: {whole}, {words}");
    }
    Ok(())
}

#[test]
fn febrls_records_are_linked_on_a_replicated_table_as_well_as_on_one_of_the_release() -> Result<()> {
    let (people, records) = people::febrl_or_generated()?;
    for make in [Make::MariaDb, Make::MySql] {
        let Some(company) = Company::found(make, Founding { people: &people, ..Founding::default() })? else {
            // Past the test harness, which would swallow it.
            writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}: {}", make.advice())?;
            continue;
        };
        let mut scene = Scene::set_with(&company.for_job_server(""))?;
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli/samples");
        scene.central.put_folder("", &samples)?;
        let manifest = "plugins/match-person/plugin.toml";
        let text = std::fs::read_to_string(samples.join(manifest))?;
        scene.central.put(manifest, text.replace("source = \"repo\"", "source = \"replica\""))?;
        scene.central.cut("1.0.0")?;
        let worker = scene.grid.worker("w1", &company.for_workers())?;
        let _cycle = worker.start_cycle()?;
        let batch = scene.hand_in("match-person", &csv_of(|to| people::write_records(&records, to))?, 1000)?;
        check_matching(&scene, batch.id, &records).with_context(|| worker.said())?;
    }
    Ok(())
}

/// Every record has its result, and nearly all are right.
fn check_matching(scene: &Scene, batch: BatchId, records: &[Record]) -> Result<()> {
    let matching = scene.done(batch)?;
    assert_eq!((matching.results, matching.errors), (5000, 0));
    let rows = rows_of(&scene.results(matching.id)?)?;
    let column = |name: &str| rows[0].iter().position(|heading| heading == name).context("a column is missing");
    let (id, person) = (column(people::RECORD_ID)?, column(people::PERSON_ID)?);
    let answers = rows[1..].iter().map(|row| (&row[id], Some(&row[person]).filter(|person| !person.is_empty())));
    let judged = Matching::judge(records, answers);
    assert!(judged.precision() >= 0.999 && judged.recall(records) >= 0.999, "{judged}");
    Ok(())
}

/// A scene whose release holds the sample plugins, with `people` as their data table.
fn scene_with(people: &[Person]) -> Result<Scene> {
    let mut scene = Scene::set()?;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli/samples");
    scene.central.put_folder("", &samples)?;
    scene.central.put("data/people.csv", csv_of(|to| people::write_people(people, to))?)?;
    scene.central.cut("1.0.0")?;
    Ok(scene)
}

fn csv_of(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<String> {
    let mut csv = Vec::new();
    write(&mut csv)?;
    Ok(String::from_utf8(csv)?)
}

/// The rows of a CSV, its heading first.
fn rows_of(csv: &str) -> Result<Vec<csv::StringRecord>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    Ok(reader.records().collect::<Result<_, _>>()?)
}
