//! What `--json` prints is a contract: scripts rely on its fields. This records which there are; a field that goes away or
//! changes its meaning raises the version.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use nightshift_client::{Client, Timeouts};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::JoinRequest;
use serde_json::Value;

use crate::grid::Running;
use crate::keys::fingerprint;
use crate::person::{Ended, Person};

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
    let commands: [&[&str]; 18] = [
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
        &["stats", "baseline", "remove", "before"],
        &["doctor"],
    ];
    let record = ["stats", "baseline", "record", "before", "--pcs", "50"];
    wait::until("what was done to be counted", SOON, || (person.in_clone(&record).code == 0).then_some(()))
        .expect("a baseline");
    let mut contract = Contract::default();
    for command in commands {
        let name: Vec<&str> = command.iter().map(|word| if *word == worker { "WORKER" } else { word }).collect();
        contract.add(&name, &grid.json(command));
    }
    insta::assert_snapshot!(contract.0);
}

#[test]
fn the_fields_that_a_release_manager_gets_as_json_change_only_on_purpose() {
    let person = Person::new();
    let mut contract = Contract::default();
    contract.add(&["init", "grid"], &json(person.nightshift(&person.home(), &["init", "grid", "--json"])));
    let plan = "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n[[rollout.ring]]\nname = \"all\"\n";
    person.write("nightshift.toml", plan);
    let old_key = fingerprint(&person.signing_key());
    let commands: [&[&str]; 15] = [
        &["plugin", "new", "shout"],
        &["release", "cut", "1.0.0", "--yes"],
        &["release", "approve", "1.0.0"],
        &["release", "promote", "1.0.0", "canary"],
        &["release", "pause", "--reason", "month's end"],
        &["release", "resume"],
        &["release", "pause", "--release", "1.0.0", "--beyond", "canary"],
        &["release", "resume", "--release", "1.0.0"],
        &["release", "cut", "1.1.0", "--yes"],
        &["release", "deny", "1.1.0", "--reason", "wrong prices", "--yes"],
        &["release", "rollback", "1.0.0", "--yes"],
        &["key", "rotate"],
        &["key", "revoke", &old_key],
        &["context", "use"],
        &["plugin", "test", "shout"],
    ];
    for command in commands {
        let name: Vec<&str> = command.iter().map(|word| if *word == old_key { "KEY" } else { word }).collect();
        contract.add(&name, &json(person.in_clone(&[command, &["--json"]].concat())));
    }
    insta::assert_snapshot!(contract.0);
}

#[test]
fn the_fields_that_an_admin_gets_as_json_change_only_on_purpose() {
    let grid = Running::new();
    let person = &grid.person;
    let mut contract = Contract::default();
    let token = grid.json(&["token", "create", "image", "--role", "join"]);
    contract.add(&["token", "create"], &token);
    let asked = JoinRequest {
        worker: "pc-17".to_owned(),
        host: "pc-17".to_owned(),
        machine: "m".repeat(32),
        credential: "c".repeat(64),
        token: token["token"]["token"].as_str().map(str::to_owned),
    };
    let client = Client::new([grid.jobserver.clone()], Timeouts::default()).expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(client.join(&asked)).expect("waits for approval");
    let waits = grid.json(&["worker", "list"]);
    assert_eq!(waits["waiting_to_join"][0]["worker"], "pc-17");
    assert_eq!(grid.json(&["status"])["status"]["waiting_to_join"], 1);
    person.in_clone(&["worker", "show", "pc-17"]).expect_code(0);
    fs::write(person.clone_dir().join("tool.bin"), "not a real tool\n").expect("file");
    let put = grid.json(&["artifact", "put", "tool.bin"]);
    contract.add(&["artifact", "put"], &put);
    let sha256 = put["artifact"]["sha256"].as_str().expect("a name").to_owned();
    let approve = ["worker", "approve", "pc-17"];
    contract.add(&approve, &grid.json(&approve));
    assert_eq!(grid.json(&["worker", "list"])["awaited"][0]["worker"], "pc-17");
    let rule = ["worker", "rules", "add", "floor", "--network", "10.1.0.0/16", "--limit", "5", "--expires", "8h"];
    let commands: [&[&str]; 7] = [
        &["worker", "revoke", "pc-17", "--reason", "sold", "--yes"],
        &rule,
        &["worker", "rules", "remove", "floor"],
        &["token", "list"],
        &["token", "revoke", "image", "--yes"],
        &["artifact", "get", &sha256, "--output", "again.bin"],
        &["artifact", "delete", &sha256],
    ];
    for command in commands {
        let name: Vec<&str> = command.iter().map(|word| if *word == sha256 { "SHA256" } else { word }).collect();
        contract.add(&name, &grid.json(command));
    }
    let words = ["login", grid.jobserver.as_str(), "--context", "here", "--json"];
    contract.add(&["login"], &json(person.typing(&person.clone_dir(), &words, "ns_viewer_1\n")));
    let open = ["login", grid.jobserver.as_str(), "--context", "here"];
    person.typing(&person.clone_dir(), &open, "").expect_code(0).says("asks nobody for a token");
    contract.add(&["context", "use", "here"], &grid.json(&["context", "use", "here"]));
    insta::assert_snapshot!(contract.0);
}

/// What a command printed that was asked for JSON; what it told is elsewhere.
#[track_caller]
fn json(ended: Ended) -> Value {
    let ended = ended.expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {}", ended.stdout))
}

/// Which fields there are, command by command.
#[derive(Default)]
struct Contract(String);

impl Contract {
    fn add(&mut self, command: &[&str], document: &Value) {
        let _ = writeln!(self.0, "==== nightshift {} --json", command.join(" "));
        let mut fields = BTreeSet::new();
        outline(document, "", &mut fields);
        // Empty until workers were counted, once a minute; what is in it is in `statistics_in_json_have_these_fields`.
        fields.retain(|field| !field.starts_with("stats.time[]"));
        fields.iter().for_each(|field| {
            let _ = writeln!(self.0, "{field}");
        });
    }
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
