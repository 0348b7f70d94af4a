//! What `--json` prints is a contract: scripts rely on its fields. This records which there are; a field that goes away or
//! changes its meaning raises the version.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use nightshift_testbed::wait::{self, SOON};
use serde_json::Value;

use crate::grid::Running;

#[test]
fn the_fields_of_json_output_change_only_on_purpose() {
    let grid = Running::new();
    let person = &grid.person;
    fs::write(person.clone_dir().join("people.csv"), "name\nAda\nGrace\n").expect("written");
    person.in_clone(&["batch", "submit", "people.csv", "--plugin", "shout", "--wait"]).expect_code(0);
    // What a worker tells differs with what it does.
    let worker = wait::until("the worker to wait for the next job", SOON, || {
        let workers = grid.json(&["worker", "list"]);
        let first = &workers["workers"][0];
        (first["state"] == "waiting").then(|| first["worker"].as_str().expect("an id").to_owned())
    });
    let worker = worker.expect("a worker");
    let commands: [&[&str]; 17] = [
        &["status"],
        &["batch", "list"],
        &["batch", "show", "1"],
        &["batch", "receipt", "1"],
        &["batch", "submit", "people.csv", "--plugin", "shout", "--dry-run"],
        &["job", "list", "--batch", "1"],
        &["job", "show", "1"],
        &["job", "explain", "1"],
        &["worker", "list"],
        &["worker", "show", &worker],
        &["worker", "rules", "list"],
        &["artifact", "list"],
        &["release", "status"],
        &["context", "list"],
        &["stats", "--by", "plugin", "--against", "before"],
        &["stats", "baseline", "list"],
        &["doctor"],
    ];
    let record = ["stats", "baseline", "record", "before", "--pcs", "50"];
    wait::until("what was done to be counted", SOON, || (person.in_clone(&record).code == 0).then_some(()))
        .expect("a baseline");
    let mut contract = String::new();
    for command in commands {
        let name: Vec<&str> = command.iter().map(|word| if *word == worker { "WORKER" } else { word }).collect();
        let _ = writeln!(contract, "==== nightshift {} --json", name.join(" "));
        let mut fields = BTreeSet::new();
        outline(&grid.json(command), "", &mut fields);
        // Empty until workers were counted, once a minute; what is in it is in `statistics_in_json_have_these_fields`.
        fields.retain(|field| !field.starts_with("stats.time[]"));
        fields.iter().for_each(|field| {
            let _ = writeln!(contract, "{field}");
        });
    }
    insta::assert_snapshot!(contract);
}

/// The paths of a document with the kinds of their values. The entries of a list share one path.
fn outline(json: &Value, path: &str, fields: &mut BTreeSet<String>) {
    match json {
        Value::Object(object) => {
            let dot = if path.is_empty() { "" } else { "." };
            object.iter().for_each(|(key, value)| outline(value, &format!("{path}{dot}{key}"), fields));
        }
        Value::Array(list) if list.is_empty() => {
            fields.insert(format!("{path}[]"));
        }
        Value::Array(list) => list.iter().for_each(|entry| outline(entry, &format!("{path}[]"), fields)),
        Value::Null => {
            fields.insert(format!("{path}: null"));
        }
        Value::Bool(_) => {
            fields.insert(format!("{path}: true or false"));
        }
        Value::Number(_) => {
            fields.insert(format!("{path}: number"));
        }
        Value::String(_) => {
            fields.insert(format!("{path}: text"));
        }
    }
}
