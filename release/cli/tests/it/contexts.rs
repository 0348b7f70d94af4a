//! Contexts: several grids in one person's configuration.

use std::fs;

use crate::person::Person;

const WRITTEN: &str = "# ours\njobserver = \"http://127.0.0.1:1\"\ncontext = \"office\"\n\n\
                       [contexts.office]\njobserver = \"http://127.0.0.1:2\"\n\n[contexts.lab]\njobserver = \"http://127.0.0.1:3\"\n";

fn with_two() -> Person {
    let person = Person::new();
    let folder = person.home().join("config/nightshift");
    fs::create_dir_all(&folder).expect("folder");
    fs::write(folder.join("config.toml"), WRITTEN).expect("written");
    person
}

#[test]
fn commands_ask_the_job_server_of_the_context_in_use_or_of_the_one_named() {
    let person = with_two();
    let home = person.home();
    let asked = |words: &[&str], port: &str| {
        person.nightshift(&home, words).expect_code(75).says(&format!("127.0.0.1:{port}"));
    };
    asked(&["batch", "list"], "2");
    asked(&["batch", "list", "--context", "lab"], "3");
    asked(&["--context", "lab", "status"], "3");
    asked(&["batch", "list", "--context", "lab", "--jobserver", "http://127.0.0.1:4"], "4");
    person.nightshift(&home, &["context", "use", "lab"]).expect_code(0).says("lab is in use");
    asked(&["batch", "list"], "3");
    person.nightshift(&home, &["context", "use"]).expect_code(0);
    asked(&["batch", "list"], "1");
    let written = fs::read_to_string(home.join("config/nightshift/config.toml")).expect("there");
    assert!(written.starts_with("# ours\n") && written.contains("[contexts.lab]"), "{written}");
}

#[test]
fn contexts_are_listed_and_one_that_is_not_there_is_refused_with_what_makes_it() {
    let person = with_two();
    let home = person.home();
    let listed = person.nightshift(&home, &["context", "list"]).expect_code(0).stdout;
    assert_eq!(
        listed,
        "IN USE  CONTEXT  JOB SERVER\n        lab      http://127.0.0.1:3\n*       office   http://127.0.0.1:2\n"
    );
    let json = person.nightshift(&home, &["context", "list", "--json"]).expect_code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((json["version"].as_i64(), json["contexts"][1]["in_use"].as_bool()), (Some(1), Some(true)));
    person
        .nightshift(&home, &["status", "--context", "labs"])
        .expect_code(2)
        .says("nightshift login URL --context labs");
    person.nightshift(&home, &["context", "use", "labs"]).expect_code(3).says("there is: lab, office");
}
