//! `nightshift plan`, which asks nobody.

use std::fs;

use crate::person::Person;

#[test]
fn the_articles_grid_makes_four_hundred_jobs_of_a_hundred_and_is_drawn() {
    let person = Person::new();
    let words = ["plan", "--articles", "--svg", "grid.svg", "--goal", "800"];
    let ended = person.nightshift(&person.home(), &words).expect_code(0).says("chart in");
    for text in
        ["one PC is 0.067 of the server", "15 PCs do as much", "400 jobs a day instead of 100", "too large", "--pcs"]
    {
        assert!(ended.stdout.contains(text), "{text:?} is missing in {}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 120), "{}", ended.stdout);
    let svg = fs::read_to_string(person.home().join("grid.svg")).expect("drawn");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

#[test]
fn the_same_flags_give_the_same_plan() {
    let person = Person::new();
    let plan =
        || person.nightshift(&person.home(), &["plan", "--pcs", "7", "--seed", "3", "--json"]).expect_code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&plan()).expect("JSON");
    assert_eq!((json["version"].as_i64(), json["plan"]["office"]["pcs"].as_i64()), (Some(1), Some(7)));
    assert_eq!(plan(), plan());
}

#[test]
fn an_office_that_makes_no_sense_is_refused_with_what_to_write() {
    let person = Person::new();
    let refused = |words: &[&str], says: &str| {
        person.nightshift(&person.home(), &[&["plan"], words].concat()).expect_code(2).says(says);
    };
    refused(&["--pcs", "0"], "--pcs is beyond what can be planned");
    refused(&["--idle", "25h"], "from 1h to 24h a day");
    refused(&["--speed", "fast"], "give a share such as 10%");
    refused(&["--job-size", "1000000"], "give a job size from 1 to 100000");
    refused(&["--goal", "NaN"], "--goal");
}
