//! `nightshift demo`, with few people so that it is quick.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nightshift_testbed::grid::processes_in;
use nightshift_testbed::people;
use nightshift_testbed::wait::{self, SOON};

use crate::person::Person;

/// Files with people and records, in a form of a person's own.
fn own_files(person: &Person) -> [String; 2] {
    let everybody = people::people(300, 1);
    let records = people::records(&everybody, 1_000, 1);
    let path = |name: &str| person.home().join(name);
    people::write_people(&everybody, File::create(path("people.csv")).expect("file")).expect("written");
    people::write_records(&records, File::create(path("records.csv")).expect("file")).expect("written");
    ["people.csv".to_owned(), "records.csv".to_owned()]
}

/// The demo's folder, in the person's own temporary folder.
fn demo_folder(temporary: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(temporary).ok()?;
    Some(entries.next()?.ok()?.path())
}

#[test]
fn the_demo_tells_its_story_and_leaves_only_results() {
    let person = Person::new();
    let [people, records] = own_files(&person);
    let words = ["demo", "--people", &people, "--records", &records];
    let ended = person.nightshift(&person.home(), &words).expect_code(0);
    for promise in [
        "worker-1 took it after",
        "worker-2 took it after",
        "worker-3 took it after",
        "worker-1 stopped after",
        "worker-2 stopped after",
        "worker-3 stopped after",
    ] {
        assert!(ended.stderr.contains(promise), "{promise}: {}", ended.stderr);
    }
    assert!(ended.stdout.contains("match-person  1,000 in, 1,000 out, each once"), "{}", ended.stdout);
    assert!(ended.stdout.contains("all 1,000 counts are those of a plain search"), "{}", ended.stdout);
    let folder = demo_folder(&person.temporary()).expect("the demo's folder");
    assert_eq!(fs::read_dir(&folder).expect("folder").count(), 1);
    for file in ["match-person.csv", "name-count.csv"] {
        let rows = fs::read_to_string(folder.join("results").join(file)).expect("results");
        assert_eq!(rows.lines().count(), 1_001, "{file}");
    }
    assert_eq!(processes_in(&person.home()), []);
}

#[test]
fn an_interrupted_demo_ends_everything_it_started() {
    let person = Person::new();
    let demo = person.start(env!("CARGO_BIN_EXE_nightshift"), &person.home(), &["demo"]);
    let cores = || processes_in(&person.home()).into_iter().filter(|process| process.name == "nightshift-core").count();
    wait::until("the workers to work", SOON, || (cores() == 3).then_some(())).expect("workers");
    demo.interrupt();
    wait::until("everything to end", SOON, || processes_in(&person.home()).is_empty().then_some(())).expect("ended");
}

#[test]
fn own_data_without_the_columns_is_refused_by_file_and_line() {
    let person = Person::new();
    let [people, records] = own_files(&person);
    fs::write(person.home().join("wrong.csv"), "rec_id,given_name\n1,ann\n").expect("file");
    let wrong = ["demo", "--people", &people, "--records", "wrong.csv"];
    person.nightshift(&person.home(), &wrong).expect_code(2).says("wrong.csv, line 1: there is no column surname");
    person.nightshift(&person.home(), &["demo", "--records", &records]).expect_code(2).says("--people <FILE>");
    assert_eq!(demo_folder(&person.temporary()), None);
}
