//! `nightshift plugin new` and `nightshift plugin test`.

use std::fs;

use crate::person::Person;

#[test]
fn a_new_plugin_passes_its_own_samples() {
    let person = Person::with_grid();
    let ended = person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    insta::assert_snapshot!(ended.stderr);
    person.in_clone(&["plugin", "test", "shout"]).expect_code(0).says("plugin shout: 2 sample records as expected");
    let plugin = fs::read_to_string(person.clone_dir().join("plugins/shout/plugin.toml")).expect("written");
    assert!(!plugin.contains("{{"), "{plugin}");
}

#[test]
fn a_new_plugin_of_every_runtime_passes_its_own_samples_and_can_be_released() {
    let person = Person::with_grid();
    for runtime in ["wasm", "process"] {
        let name = format!("shout-{runtime}");
        person.in_clone(&["plugin", "new", &name, "--runtime", runtime]).expect_code(0);
        let plugin = person.clone_dir().join("plugins").join(&name);
        let manifest = fs::read_to_string(plugin.join("plugin.toml")).expect("written");
        assert!(manifest.contains(&format!("runtime = \"{runtime}\"")) && !manifest.contains("{{"), "{manifest}");
        person
            .in_clone(&["plugin", "test", &name])
            .expect_code(0)
            .says("sample records as expected")
            .says(" a record, ");
    }
    person
        .in_clone(&["release", "cut", "1.0.0", "--yes"])
        .expect_code(0)
        .says("plugin shout-wasm: ")
        .says("plugin shout-process: ");
}

#[test]
fn a_new_plugin_is_a_query_unless_another_runtime_is_named() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    let manifest = std::fs::read_to_string(person.clone_dir().join("plugins/shout/plugin.toml")).expect("written");
    assert!(manifest.contains("runtime = \"sql\""), "{manifest}");
}

#[test]
fn a_new_plugin_never_replaces_one() {
    let person = Person::with_grid();
    person
        .in_clone(&["plugin", "new", "name-count", "--runtime", "sql"])
        .expect_code(2)
        .says("there is a plugin name-count");
    person.in_clone(&["plugin", "new", "Name_Count", "--runtime", "sql"]).expect_code(2).says("lower-case letters");
    person.in_clone(&["plugin", "new", "x", "--runtime", "cobol"]).expect_code(2);
    person.in_clone(&["plugin", "test", "nobody"]).expect_code(3).says("there is no plugin nobody");
    assert_eq!(person.git(&person.clone_dir(), &["status", "--porcelain"]), "");
}

#[test]
fn the_sample_plugins_of_a_new_grid_pass_their_samples() {
    let person = Person::with_grid();
    for plugin in ["match-person", "name-count"] {
        person.in_clone(&["plugin", "test", plugin]).expect_code(0).says("as expected");
    }
}

#[test]
fn a_plugin_that_fails_its_samples_is_told_where_and_what_to_do() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    person.write("plugins/shout/samples/expected.csv", "shouted,letters\nADA LOVELACE,12\nALAN TURING,12\n");
    person
        .in_clone(&["plugin", "test", "shout"])
        .expect_code(1)
        .says("plugins/shout/samples/expected.csv, line 3: letters should be \"12\" and is \"11\"")
        .says("plugin shout fails its own samples; change the plugin, or samples/expected.csv");
}

#[test]
fn a_plugin_is_tried_on_any_records() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    fs::write(person.home().join("r.csv"), "id,name\r\n7,ann\r\n8,\"berg, b\"").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(0);
    assert_eq!(ended.stdout, "name,shouted,letters,error\nann,ANN,3,\n\"berg, b\",\"BERG, B\",7,\n");

    person.write(
        "plugins/shout/query.sqlite.sql",
        "SELECT record_id, upper(name) AS shouted, length(name) AS letters,\n\
         CASE WHEN name = 'ann' THEN 'not her again' END AS error FROM records\n",
    );
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(5);
    assert!(ended.stdout.contains("ann,,,not her again\n"), "{}", ended.stdout);
}

#[test]
fn records_that_do_not_fit_are_refused_with_their_file() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    fs::write(person.home().join("r.csv"), "id\n1\n").expect("file");
    person
        .in_clone(&["plugin", "test", "shout", "../../r.csv"])
        .expect_code(2)
        .says("../../r.csv, line 1: there is no column name");
}

#[test]
fn what_a_record_and_a_job_take_is_told() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    person
        .in_clone(&["plugin", "test", "shout"])
        .expect_code(0)
        .says(" a record, opened in ")
        .says("  a job of 1,000 records takes ");
    let json = person.in_clone(&["plugin", "test", "shout", "--json"]).expect_code(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let test = &told["test"];
    assert_eq!((&told["version"], &test["good"], &test["records"]), (&1.into(), &true.into(), &2.into()), "{json}");
    let speed = |name: &str| test["speed"][name].as_f64().unwrap_or_default();
    assert!(speed("record_us") > 0.0 && speed("records") >= 250.0, "{json}");
    assert!((speed("job_ms") - speed("record_us")).abs() <= 0.01 * speed("job_ms"), "1,000 records: {json}");
}

#[test]
fn what_a_plugin_costs_that_is_wrong_is_not_measured() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    person.write("plugins/shout/samples/expected.csv", "shouted,letters\nADA LOVELACE,12\nALAN TURING,12\n");
    let ended = person.in_clone(&["plugin", "test", "shout", "--json"]).expect_code(1);
    insta::assert_snapshot!(ended.stdout);
}

#[test]
fn records_that_make_a_plugin_fail_cost_the_others_no_result_in_a_test() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    let query = "SELECT record_id, upper(name) AS shouted,\n\
                 length(name) + CASE WHEN name = 'JUNK' THEN abs(-9223372036854775807 - 1) ELSE 0 END AS letters FROM records\n";
    person.write("plugins/shout/query.sqlite.sql", query);
    fs::write(person.home().join("r.csv"), "name\nann\nJUNK\nbob\n").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(5);
    assert!(ended.stdout.contains("ann,ANN,3,\nJUNK,,,the query failed"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nbob,BOB,3,\n"), "{}", ended.stdout);
    assert!(ended.stderr.contains(" a record, opened in "), "measured on the others: {}", ended.stderr);

    fs::write(person.home().join("r.csv"), "name\nJUNK\nJUNK\n").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(5);
    assert!(ended.stderr.contains("was not measured: none has a result"), "{}", ended.stderr);
}

#[test]
fn a_query_without_end_is_ended_in_a_test_after_the_time_that_its_block_has() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    person.write(
        "plugins/shout/query.sqlite.sql",
        "SELECT record_id, upper(name) AS shouted, CASE WHEN name = 'LOOP' THEN (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL \
         SELECT i + 1 FROM n) SELECT count(*) FROM n) ELSE length(name) END AS letters FROM records\n",
    );
    let manifest = person.clone_dir().join("plugins/shout/plugin.toml");
    let text = fs::read_to_string(&manifest).expect("written");
    assert!(text.contains("seconds_per_block = 60"), "{text}");
    person.write("plugins/shout/plugin.toml", &text.replace("seconds_per_block = 60", "seconds_per_block = 1"));
    fs::write(person.home().join("r.csv"), "name\nann\nLOOP\nbob\n").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(5);
    assert!(ended.stdout.contains("LOOP,,,the query was not done after 1 s\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("ann,ANN,3,\n") && ended.stdout.contains("bob,BOB,3,\n"), "{}", ended.stdout);
    assert!(ended.stderr.contains(" a record, opened in "), "measured on the others: {}", ended.stderr);
}

#[test]
fn a_blank_line_is_tried_as_a_batch_would_take_it() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    fs::write(person.home().join("r.csv"), "name\nann\n\nbob\n").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(0);
    assert_eq!(ended.stdout, "name,shouted,letters,error\nann,ANN,3,\n,,0,\nbob,BOB,3,\n");
    fs::write(person.home().join("r.csv"), "name,age\n\nann,1\n\nbob,2\n").expect("file");
    let ended = person.nightshift(&person.clone_dir(), &["plugin", "test", "shout", "../../r.csv"]).expect_code(0);
    assert_eq!(ended.stdout, "name,shouted,letters,error\nann,ANN,3,\nbob,BOB,3,\n");
}

#[test]
fn what_is_missing_or_means_nothing_in_a_plugin_is_told_with_what_to_write() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout"]).expect_code(0);
    let test = || person.in_clone(&["plugin", "test", "shout"]).expect_code(2);
    let query = person.clone_dir().join("plugins/shout/query.sqlite.sql");
    fs::remove_file(&query).expect("there");
    test().says("plugins/shout/query.sqlite.sql: the file is missing: write the query into it");
    let manifest = person.clone_dir().join("plugins/shout/plugin.toml");
    let text = fs::read_to_string(&manifest).expect("written");
    person.write("plugins/shout/plugin.toml", &text.replace("\"sql\"", "\"sequel\""));
    test()
        .says("plugins/shout/plugin.toml, line ")
        .says("`sequel` means nothing here: write one of `sql`, `wasm`, `process`");
    person.write("plugins/shout/plugin.toml", &text.replace("\"sql\"", "\"process\"\ncommand = \"x\""));
    test().says("the text \"x\" cannot stand here: write a list, as in");
    person.write("plugins/shout/plugin.toml", &text.replace("\"sql\"", "\"wasm\""));
    test().says("plugins/shout/plugin.wasm: the module is missing: build it");
    fs::remove_file(&manifest).expect("there");
    test().says("plugins/shout/plugin.toml: the file is missing: write what the plugin is");
}

#[test]
fn a_machine_without_git_is_told_so() {
    let person = Person::with_grid();
    let folder = person.clone_dir();
    let empty = tempfile::tempdir().expect("a folder");
    let path = format!("PATH={}", empty.path().display());
    person
        .run("env", &folder, &[&path, env!("CARGO_BIN_EXE_nightshift"), "plugin", "test", "name-count"])
        .expect_code(2)
        .says("git cannot be started; is it installed and in PATH?");
}
