//! `nightshift demo`, with few people so that it is quick.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nightshift_testbed::database::Make;
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

/// The demo on a primary and replicas of that make.
fn replicated_on(make: Make) {
    let Some(program) = make.program() else {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}: {}", make.advice()).expect("stderr");
        return;
    };
    let person = Person::new();
    let [people, records] = own_files(&person);
    let mysqld = (make == Make::MySql).then_some(program);
    let words = ["demo", "--mysql", "--people", &people, "--records", &records];
    let ended = person.nightshift_with_mysqld(mysqld.as_deref(), &words).expect_code(0);
    for promise in [
        &*format!("a primary, {make}, with 300 people"),
        "worker-1 built its replica and follows",
        "worker-2 built its replica and follows",
        "worker-3 built its replica and follows",
        "worker-1 saw it after",
        "worker-1 built it anew; it follows again after",
        "worker-3 took it after",
        "worker-3 stopped after",
    ] {
        assert!(ended.stderr.contains(promise), "{promise}: {}", ended.stderr);
    }
    assert!(ended.stdout.contains("match-person  1,000 in, 1,000 out, each once"), "{}", ended.stdout);
    assert_eq!(processes_in(&person.home()), []);
}

#[test]
fn the_demo_with_replicas_breaks_one_and_heals_it_on_mariadb() {
    replicated_on(Make::MariaDb);
}

#[test]
fn the_demo_with_replicas_breaks_one_and_heals_it_on_mysql() {
    replicated_on(Make::MySql);
}

#[test]
fn an_interrupted_demo_ends_everything_it_started() {
    let person = Person::new();
    let demo = person.start(env!("CARGO_BIN_EXE_nightshift"), &person.home(), &["demo"]);
    let cores = || processes_in(&person.home()).into_iter().filter(|process| process.name == "nightshift-core").count();
    wait::until("the workers to work", SOON, || (cores() == 3).then_some(())).expect("workers");
    // Its commands go to its own job server: at the usual address there may be a grid at work.
    let folder = demo_folder(&person.temporary()).expect("the demo's folder");
    let config = fs::read_to_string(folder.join("config/config.toml")).expect("a configuration");
    let config: toml::Table = config.parse().expect("TOML");
    let address = config["jobserver"].as_str().expect("an address");
    let port = address.strip_prefix("http://127.0.0.1:").and_then(|port| port.parse::<u16>().ok());
    assert!(port.is_some_and(|port| port > 1023 && port != 7070), "{address}");
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
