//! The ten minutes of the README, with the real job server and a real worker.

use std::fs;
use std::net::TcpListener;

use nightshift_testbed::grid::{Programs, processes_in};
use nightshift_testbed::wait::{self, SOON};

use crate::person::{Background, Person};

/// A grid whose job server and worker run as `init` configured them.
pub(crate) struct Running {
    pub(crate) person: Person,
    /// The job server's URL.
    pub(crate) jobserver: String,
    _programs: [Background; 2],
}

impl Running {
    /// One release with the plugin `shout`.
    pub(crate) fn new() -> Self {
        let person = Person::new();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let jobserver = format!("http://127.0.0.1:{port}");
        person.nightshift(&person.home(), &["init", "grid", "--jobserver", &jobserver]).expect_code(0);
        person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
        person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
        let programs = Programs::beside_this_one().expect("built");
        let grid = person.home().join("grid");
        let server = programs.path("nightshift-jobserver");
        let server = person.start(server, &grid, &["serve", "--config", "jobserver.toml"]);
        wait::until("the job server to know the release", SOON, || {
            let ended = person.nightshift(&grid, &["status", "--json"]);
            (ended.code == 0 && ended.stdout.contains("\"release\": \"v1.0.0\"")).then_some(())
        })
        .expect("the job server");
        let worker = programs.path("nightshift-worker");
        let worker = person.start(worker, &grid, &["run", "--config", "worker.toml"]);
        Self { person, jobserver, _programs: [worker, server] }
    }

    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let ended = self.person.in_clone(&[words, &["--json"]].concat()).expect_code(0);
        let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(document["version"], 1, "{words:?}");
        document
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for process in processes_in(&self.person.home()) {
            let _ = process.kill();
        }
    }
}

#[test]
fn artifacts_and_rules_of_joining_are_made_seen_and_taken_away() {
    let grid = Running::new();
    let person = &grid.person;
    fs::write(person.clone_dir().join("tool.bin"), "not a real tool\n").expect("file");
    let ended = person.in_clone(&["artifact", "put", "tool.bin"]).expect_code(0).says("tool.bin: 1 kB put");
    let sha256 = ended.stdout.trim();
    assert_eq!(grid.json(&["artifact", "list"])["artifacts"][0]["sha256"], sha256);
    person.in_clone(&["artifact", "get", sha256, "-o", "again.bin"]).expect_code(0);
    let again = fs::read_to_string(person.clone_dir().join("again.bin")).expect("written");
    assert_eq!(again, "not a real tool\n");
    person.in_clone(&["artifact", "delete", sha256]).expect_code(0).says("is deleted");
    person.in_clone(&["artifact", "get", sha256, "-o", "gone.bin"]).expect_code(3);
    assert!(!person.clone_dir().join("gone.bin").exists());

    let add = ["worker", "rules", "add", "first-floor", "--network", "10.1.0.0/16", "--limit", "5", "--expires"];
    person.in_clone(&[&add[..], &["soon"]].concat()).expect_code(2).says("--expires: \"soon\" is no duration");
    let added = person.in_clone(&[&add[..], &["8h"]].concat()).expect_code(0);
    added.says("the rule first-floor lets 5 workers of 10.1.0.0/16 in until");
    assert_eq!(grid.json(&["worker", "rules", "list"])["rules"][0]["limit"], 5);
    person.in_clone(&["worker", "rules", "remove", "first-floor"]).expect_code(0);
    person.in_clone(&["worker", "rules", "remove", "first-floor"]).expect_code(3).says("there is no join rule");
    person.in_clone(&["worker", "rules", "list"]).expect_code(0).says("there is no rule");
}

#[test]
fn doctor_sees_that_repository_and_job_server_are_of_two_grids() {
    let grid = Running::new();
    let person = &grid.person;
    let doctor = |folder: &str| {
        let words = ["doctor", "--jobserver", &grid.jobserver];
        person.nightshift(&person.home().join(folder), &words)
    };
    let ours = doctor("grid/grid").expect_code(0).stdout;
    assert!(!ours.contains("two grids"), "{ours}");
    person.nightshift(&person.home(), &["init", "other"]).expect_code(0);
    let other = person.home().join("other/grid");
    let without = doctor("other/grid").expect_code(1).stdout;
    assert!(without.contains("v1.0.0, which is not in file://"), "{without}");
    person.nightshift(&other, &["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let with = doctor("other/grid").expect_code(1).stdout;
    assert!(
        with.contains("v1.0.0, which is another one in file://") && with.contains("they are of two grids"),
        "{with}"
    );
}

#[test]
fn a_context_without_a_repository_sends_nothing_to_the_job_server_of_another_grid() {
    let grid = Running::new();
    let person = &grid.person;
    person.nightshift(&person.home(), &["init", "other", "--jobserver", "http://127.0.0.1:1"]).expect_code(0);
    let other = person.home().join("other/grid");
    let central = person.home().join("other/central.git");
    let contexts = format!(
        "[contexts.other]\njobserver = \"http://127.0.0.1:1\"\nrepository = \"file://{}\"\n",
        central.display()
    );
    fs::write(person.home().join("config/nightshift/config.toml"), contexts).expect("written");
    let login = ["login", grid.jobserver.as_str(), "--context", "first"];
    person.typing(&person.home(), &login, "").expect_code(0);
    let flags = || person.git(&central, &["ls-tree", "--name-only", "control"]);
    let own_stops = || grid.json(&["status"])["status"]["stopped"].clone();
    // Before the other grid has a release its control branch tells, and after that its tag of the same name.
    for cut in [false, true] {
        if cut {
            person.nightshift(&other, &["release", "cut", "1.0.0", "--yes"]).expect_code(0);
        }
        let ended = person.nightshift(&other, &["stop", "--reason", "the other"]).expect_code(0);
        ended.says("it is not asked, because").says(&format!("{} is not of file://", grid.jobserver));
        assert_eq!((flags().as_str(), own_stops()), ("README.md\nSTOP", serde_json::Value::Null));
        person.nightshift(&other, &["start"]).expect_code(75).says("it is not asked");
    }
    // A context that is named for a command is about that grid, whatever clone one stands in.
    for context in ["first", "other"] {
        let named = |words: &[&str]| {
            let folder = if context == "first" { other.clone() } else { person.clone_dir() };
            person.nightshift(&folder, &[&["--context", context], words].concat())
        };
        for words in [&["stop"][..], &["release", "deny", "1.0.0", "--reason", "x", "--yes"], &["release", "pause"]] {
            named(words).expect_code(2).says("is about another grid than this clone").says("Nothing was changed");
        }
    }
    assert_eq!(flags(), "README.md");
    assert_eq!(own_stops(), serde_json::Value::Null);
    person.nightshift(&person.clone_dir(), &["--context", "first", "stop", "--no-wait"]).expect_code(0).says("is told");
}

#[test]
fn a_worker_goes_by_its_name_and_a_mistaken_one_is_said() {
    let grid = Running::new();
    let person = &grid.person;
    let worker = wait::until("the worker to report", SOON, || {
        grid.json(&["worker", "list"])["workers"][0]["worker"].as_str().map(str::to_owned)
    });
    let worker = worker.expect("a worker");
    person.in_clone(&["worker", "set", &worker[..13], "--name", "Anna's desk"]).expect_code(0);
    let shown = person.in_clone(&["worker", "show", "anna's desk"]).expect_code(0).stdout;
    assert!(shown.contains(&worker), "{shown}");
    person.in_clone(&["worker", "drain", "anna's desk", "--reason", "hot"]).expect_code(0).says("gets no further jobs");
    person.in_clone(&["worker", "resume", "Anna's desk"]).expect_code(0);
    for words in
        [&["worker", "drain", "pc-9"][..], &["job", "list", "--worker", "pc-9"], &["stats", "--worker", "pc-9"]]
    {
        person.in_clone(words).expect_code(3).says("there is no worker pc-9; see which there are");
    }
    person
        .in_clone(&["worker", "revoke", "anna's desk"])
        .expect_code(2)
        .says(&format!("worker {worker} (Anna's desk, on "))
        .says("say --yes");
    let desk = person.in_clone(&["stop", "--worker", "anna's desk", "--no-wait"]).expect_code(0);
    assert!(!desk.stderr.contains("no such worker"), "{}", desk.stderr);
    let stops = grid.json(&["status"])["status"]["stops"].clone();
    assert_eq!(stops[0]["worker"], worker.as_str());
    person.in_clone(&["start"]).expect_code(0);
    let nobody = person.in_clone(&["stop", "--worker", "pc-9", "--no-wait"]).expect_code(0);
    nobody.says("the job server knows no such worker now");
    person.in_clone(&["start"]).expect_code(0);
    person.in_clone(&["job", "show", "twelve"]).expect_code(2).says("batches and jobs go by numbers, such as 12");
}

#[test]
fn a_batch_goes_from_csv_to_csv() {
    let grid = Running::new();
    let person = &grid.person;
    let file = |name: &str, text: &str| fs::write(person.clone_dir().join(name), text).expect("file");
    file("people.csv", "name\nAda Lovelace\nAlan Turing\n");

    let ended = person.in_clone(&["batch", "submit", "people.csv", "--plugin", "shout", "--wait"]).expect_code(0);
    assert_eq!(ended.stdout, "1\n");
    assert!(ended.stderr.contains("batch 1: 2 records in 1 job for shout"), "{}", ended.stderr);
    person.in_clone(&["batch", "results", "1", "-o", "answers.csv"]).expect_code(0).says("answers.csv: 2 records");
    let answers = fs::read_to_string(person.clone_dir().join("answers.csv")).expect("written");
    assert_eq!(answers, "name,shouted,letters,error\nAda Lovelace,ADA LOVELACE,12,\nAlan Turing,ALAN TURING,11,\n");
    let printed = person.in_clone(&["batch", "results", "1"]).expect_code(0).stdout;
    assert_eq!(printed, answers);

    assert_eq!(grid.json(&["batch", "list"])["batches"][0]["name"], "people");
    assert_eq!(grid.json(&["batch", "show", "1"])["batch"]["state"], "done");
    assert_eq!(grid.json(&["job", "list", "--batch", "1"])["jobs"][0]["pickups"], 1);
    assert_eq!(grid.json(&["worker", "list"])["workers"][0]["release"], "v1.0.0");
    assert_eq!(grid.json(&["status"])["status"]["jobs_done"], 1);
    assert_eq!(grid.json(&["release", "status"])["releases"][0]["rollout"]["on_release"], 1);
    let releases = person.in_clone(&["release", "status"]).expect_code(0).stdout;
    assert!(releases.contains("v1.0.0   newest   1  ada@localhost"), "{releases}");
    let shown = person.in_clone(&["batch", "show", "1"]).expect_code(0).stdout;
    assert!(shown.contains("records    2 records, 2 with a result (100.0 %), 0 of them an error"), "{shown}");

    // What cannot be taken is refused whole, with its file, line and an exit code of its own.
    file("ragged.csv", "id,name\n1,Ada\n2\n");
    person
        .in_clone(&["batch", "submit", "ragged.csv", "--plugin", "shout"])
        .expect_code(2)
        .says("nightshift: ragged.csv, line 3: 1 field, but the header names 2 columns; add what is missing");
    file("other.csv", "id\n1\n");
    person.in_clone(&["batch", "submit", "other.csv", "--plugin", "shout"]).expect_code(2).says("name");
    person.in_clone(&["batch", "submit", "people.csv", "--plugin", "shuot"]).expect_code(3).says("shout");
    person.in_clone(&["batch", "submit", "nothing.csv", "--plugin", "shout"]).expect_code(3).says("nothing.csv");
    person.in_clone(&["batch", "show", "99"]).expect_code(3);
    person.in_clone(&["batch", "results", "99", "-o", "none.csv"]).expect_code(3);
    assert!(!person.clone_dir().join("none.csv").exists());
    assert_eq!(grid.json(&["batch", "list"])["batches"].as_array().map(Vec::len), Some(1));

    // Standard input is as good as a file.
    let typed = |text| person.typing(&person.clone_dir(), &["batch", "submit", "-", "--plugin", "shout"], text);
    assert_eq!(typed("name\nAda Lovelace\n").expect_code(0).stdout, "2\n");
    assert_eq!(grid.json(&["batch", "list"])["batches"][0]["name"], "stdin");
    typed("name\nAda,Lovelace\n").expect_code(2).says("nightshift: standard input, line 2: 2 fields");
}

#[test]
fn a_batch_is_looked_at_first_handed_in_once_and_proved() {
    let grid = Running::new();
    let person = &grid.person;
    let file = |name: &str, text: &str| fs::write(person.clone_dir().join(name), text).expect("file");
    file("people.csv", "id,name\n1,Ada Lovelace\n2,Alan Turing\n");
    file("ragged.csv", "id,name\n1\n2,Alan Turing,x\n");

    // A dry run says what would happen, and what is wrong, and stores nothing.
    let submit = |words: &[&str]| person.in_clone(&[&["batch", "submit", "--plugin", "shout"], words].concat());
    let seen = submit(&["people.csv", "--dry-run"]).expect_code(0).stdout;
    assert!(seen.contains("ignored    id\n") && seen.contains("records    2, all of them\n"), "{seen}");
    assert!(seen.contains("record 1   \"1\", \"Ada Lovelace\"\n"), "{seen}");
    let seen = submit(&["ragged.csv", "--dry-run", "--json"]).expect_code(2).stdout;
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(seen["preview"]["problems"].as_array().map(Vec::len), Some(2), "{seen}");
    assert!(submit(&["people.csv", "--dry-run=1"]).expect_code(0).stdout.contains("was not read to its end"));
    assert_eq!(grid.json(&["batch", "list"])["batches"].as_array().map(Vec::len), Some(0));

    // Handed in twice under one key, it is one batch; the key stands for nothing else.
    assert_eq!(submit(&["people.csv", "--key", "monday", "--wait"]).expect_code(0).stdout, "1\n");
    let again = submit(&["people.csv", "--key", "monday"]).expect_code(0);
    assert_eq!(again.stdout, "1\n");
    assert!(again.stderr.contains("handed in before under this key; nothing was stored now"), "{}", again.stderr);
    file("other.csv", "id,name\n1,Grace Hopper\n");
    submit(&["other.csv", "--key", "monday"]).expect_code(2).says("stands for batch 1");

    // The receipt's digests are those of the two files.
    person.in_clone(&["batch", "results", "1", "-o", "out.csv"]).expect_code(0);
    let receipt = person.in_clone(&["batch", "receipt", "1"]).expect_code(0).stdout;
    assert!(receipt.contains("verdict    in = out: 2 records in, 2 results out, 0 of them an error\n"), "{receipt}");
    for (name, line) in [("people.csv", "input      sha256 "), ("out.csv", "output     sha256 ")] {
        let printed = person.run("sha256sum", &person.clone_dir(), &[name]).stdout;
        let digest = printed.split_whitespace().next().expect("a digest");
        assert!(receipt.contains(&format!("{line}{digest}")), "{name} {digest}: {receipt}");
    }
    assert_eq!(grid.json(&["batch", "receipt", "1"])["receipt"]["in_is_out"], true);

    // Parameters and JSON lines are records, too.
    let typed = submit(&["--param", "id=1,name=Ada", "--param", "id=2,name=Alan", "--wait"]).expect_code(0);
    assert_eq!(typed.stdout, "2\n");
    person.in_clone(&["batch", "results", "2", "-o", "out.jsonl"]).expect_code(0).says("out.jsonl: 2 records");
    let lines = fs::read_to_string(person.clone_dir().join("out.jsonl")).expect("written");
    assert_eq!(
        lines.lines().next(),
        Some("{\"id\":\"1\",\"name\":\"Ada\",\"shouted\":\"ADA\",\"letters\":3,\"error\":null}")
    );
    assert_eq!(person.in_clone(&["batch", "errors", "2"]).expect_code(0).stdout, "id,name,shouted,letters,error\n");
    person.in_clone(&["batch", "errors", "2", "-o", "errors.csv"]).expect_code(0).says("0 records with an error");
    submit(&["--table", "people", "--key-column", "name", "--from", "1", "--to", "9"])
        .expect_code(2)
        .says("plugin shout does not read the table \"people\"; the tables it reads: none");
}

#[test]
fn an_admin_suspends_explains_edits_and_deletes_jobs_and_drains_the_worker() {
    let grid = Running::new();
    let person = &grid.person;
    let run = |words: &[&str]| person.in_clone(words);
    fs::write(person.clone_dir().join("people.csv"), "name\nAda Lovelace\nAlan Turing\n").expect("file");
    run(&["batch", "submit", "people.csv", "--plugin", "shout", "--wait"]).expect_code(0);
    let worker = grid.json(&["worker", "list"])["workers"][0]["worker"].as_str().expect("an id").to_owned();
    run(&["worker", "drain", &worker, "--reason", "too hot"]).expect_code(0).says("too hot");
    run(&["worker", "set", &worker, "--name", "window", "--tag", "gpu"]).expect_code(0);
    assert_eq!(grid.json(&["worker", "show", &worker])["worker"]["tags"][0], "gpu");

    run(&["batch", "submit", "people.csv", "--plugin", "shout", "--job-size", "1"]).expect_code(0);
    let jobs = grid.json(&["job", "list", "--batch", "2", "--state", "waiting"]);
    let job = jobs["jobs"][0]["id"].to_string();
    let explained = run(&["job", "explain", &job]).expect_code(0).stdout;
    assert!(explained.contains("no worker may take it; 1 worker: drained (too hot)"), "{explained}");
    run(&["job", "suspend", "--batch", "2"]).expect_code(2).says("2 of 2 chosen jobs would be suspended").says("--yes");
    run(&["job", "suspend", "--batch", "2", "--yes"]).expect_code(0).says("2 of 2 chosen jobs are suspended");
    run(&["job", "retry", &job]).expect_code(1).says("neither done nor quarantined");
    run(&["job", "resume", "--batch", "2", "--yes"]).expect_code(0);
    run(&["job", "edit", &job, "--priority", "9", "--tag", "gpu"]).expect_code(0);
    let shown = run(&["job", "show", &job]).expect_code(0).stdout;
    assert!(shown.contains("priority   9\nrequires   tag gpu\nrevision   2\n"), "{shown}");
    assert_eq!(grid.json(&["job", "delete", &job, "--reason", "not needed", "--yes"])["report"]["changed"], 1);
    run(&["batch", "suspend", "2", "--reason", "wrong file"]).expect_code(0).says("wrong file");
    run(&["batch", "resume", "2"]).expect_code(0);
    run(&["batch", "suspend", "1"]).expect_code(1).says("it is finished");
    run(&["worker", "resume", &worker]).expect_code(0);
    run(&["job", "show", "99"]).expect_code(3);
    run(&["job", "delete", "99", "--yes"]).expect_code(3);
    run(&["worker", "show", "nobody"]).expect_code(3);

    run(&["job", "retry", "--release", "1.0.0", "--batch", "1", "--yes"])
        .expect_code(0)
        .says("1 of 1 chosen job is retried");
    run(&["batch", "retry", "1", "--yes"]).expect_code(0);
    run(&["batch", "delete", "2"]).expect_code(2).says("nothing was");
    run(&["batch", "delete", "2", "--yes"]).expect_code(0);
    run(&["batch", "show", "2"]).expect_code(3);
}

#[test]
fn a_batch_for_a_job_server_that_is_down_was_not_handed_in_and_that_is_said() {
    let person = Person::new();
    fs::write(person.home().join("people.csv"), "name\nAda Lovelace\n").expect("file");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let jobserver = format!("http://{free}");
    let words = ["batch", "submit", "people.csv", "--plugin", "shout", "--jobserver", &jobserver];
    person
        .nightshift(&person.home(), &words)
        .expect_code(75)
        .says("nightshift: people.csv: nothing was handed in; start the job server or name it with --jobserver");
}
