//! What the sql runtime promises plugin authors, the good ones and the careless ones.

use std::fs;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Host, OpenError, Plugin, samples};
use nightshift_wire::{Outcome, Record, RecordResult, Records};

/// A release tree with one plugin `p`: input `name` (text) and `age` (integer), output `hits` (integer).
struct Tree(tempfile::TempDir);

const MANIFEST: &str = "runtime = \"sql\"\n[input]\nname = \"text\"\nage = \"integer\"\n[output]\nhits = \"integer\"\n\
                        [data]\nsource = \"repo\"\ntables = [\"people\"]\n[limits]\nseconds_per_block = 1\n";

impl Tree {
    fn new(query: &str) -> Tree {
        let tree = Tree(tempfile::tempdir().expect("a temporary folder"));
        tree.write("plugins/p/plugin.toml", MANIFEST);
        tree.write("plugins/p/query.sqlite.sql", query);
        tree.write("data/people.csv", "person_id, name\r\n1, Anna\r\n2, Bert\r\n3, Anna");
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates the folder");
        fs::write(path, text).expect("writes the file");
    }

    fn with(self, file: &str, text: &str) -> Tree {
        self.write(file, text);
        self
    }

    fn open(&self) -> Result<Box<dyn Plugin>, OpenError> {
        self.open_as(MANIFEST)
    }

    fn open_as(&self, manifest: &str) -> Result<Box<dyn Plugin>, OpenError> {
        let manifest = PluginManifest::parse("p", manifest).expect("a good manifest");
        nightshift_plugin::open(self.0.path(), &manifest, Data::Release, &Host::default())
    }

    fn refusal(&self) -> String {
        self.open().err().expect("the plugin does not open").to_string()
    }

    fn process(&self, records: &[(&str, &str)]) -> Result<Vec<RecordResult>, BlockError> {
        self.open().expect("opens").process(&block(records))
    }

    /// Outcomes in short: hits, or the error.
    fn outcomes(&self, records: &[(&str, &str)]) -> Vec<String> {
        let results = self.process(records).expect("the block has results");
        assert_eq!(
            results.iter().map(|result| result.id).collect::<Vec<_>>(),
            block(records).records.iter().map(|r| r.id).collect::<Vec<_>>()
        );
        shown(results)
    }
}

/// Hits, or the error.
fn shown(results: Vec<RecordResult>) -> Vec<String> {
    results
        .into_iter()
        .map(|result| match result.outcome {
            Outcome::Ok(values) => values.get("hits").map_or("null".to_owned(), ToString::to_string),
            Outcome::Error(error) => error,
        })
        .collect()
}

fn block(records: &[(&str, &str)]) -> Records {
    // Numbers that are no places, and columns in another order than the manifest's, with one too many.
    let columns = ["age", "note", "name"].map(str::to_owned).to_vec();
    let record = |(index, (name, age)): (usize, &(&str, &str))| Record {
        id: 1000 - 3 * index as i64,
        values: [*age, "x", *name].map(str::to_owned).to_vec(),
    };
    Records { columns, records: records.iter().enumerate().map(record).collect() }
}

const COUNT: &str = "SELECT r.record_id, (SELECT count(*) FROM people p WHERE p.name = r.name) AS hits FROM records r";

#[test]
fn a_query_sees_the_block_and_the_data_tables_and_every_record_gets_its_result_in_order() {
    let tree = Tree::new(COUNT);
    assert_eq!(tree.outcomes(&[("Anna", "1"), ("Cleo", ""), ("Bert", "3")]), ["2", "0", "1"]);
    assert_eq!(tree.outcomes(&[]), [""; 0]);
}

#[test]
fn an_instance_takes_block_after_block_and_keeps_nothing_of_the_last() {
    let mut plugin =
        Tree::new("SELECT record_id, (SELECT count(*) FROM records) AS hits FROM records").open().expect("opens");
    for count in [3, 1, 2] {
        let records = vec![("a", "1"); count];
        let results = plugin.process(&block(&records)).expect("processes");
        let expected = Outcome::Ok([("hits".to_owned(), count.into())].into());
        assert!(results.len() == count && results.iter().all(|result| result.outcome == expected), "{results:?}");
    }
}

#[test]
fn the_open_script_prepares_temporary_tables_and_indexes() {
    let tree = Tree::new("SELECT record_id, people AS hits FROM records JOIN tally USING (name)").with(
        "plugins/p/open.sqlite.sql",
        "CREATE TEMP TABLE tally AS SELECT name, count(*) AS people FROM people GROUP BY name;\n\
         CREATE INDEX temp.by_name ON tally (name);\nANALYZE temp;\n\
         CREATE TEMP VIEW everybody AS SELECT * FROM people; -- the end",
    );
    assert_eq!(tree.outcomes(&[("Anna", "1")]), ["2"]);
}

#[test]
fn a_record_without_a_row_or_with_several_gets_an_error_of_its_own() {
    let tree = Tree::new("SELECT record_id, 1 AS hits FROM records, people WHERE people.name = records.name");
    let expected =
        ["the plugin returned 2 results for this record", "the plugin returned no result for this record", "1"];
    assert_eq!(tree.outcomes(&[("Anna", "1"), ("Cleo", "1"), ("Bert", "1")]), expected);
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_of_its_record() {
    let query =
        "SELECT record_id, CASE name WHEN 'a' THEN 1 WHEN 'b' THEN 'one' WHEN 'c' THEN 1.5 END AS hits FROM records";
    let outcomes = Tree::new(query).outcomes(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    assert_eq!(outcomes[1], "the plugin returned the text \"one\" as hits, which [output] declares as integer");
    assert_eq!((&*outcomes[0], &*outcomes[3]), ("1", "null"));
    assert!(outcomes[2].contains("the real 1.5"), "{outcomes:?}");
}

#[test]
fn a_field_that_is_no_number_is_an_error_of_its_record_and_never_reaches_the_query() {
    let tree = Tree::new("SELECT record_id, age AS hits FROM records");
    let outcomes = tree.outcomes(&[("a", "41"), ("b", "12 years"), ("c", "")]);
    assert_eq!(outcomes, ["41", "column age is \"12 years\", which is not of type integer", "null"]);
}

#[test]
fn the_error_column_turns_a_row_into_an_error() {
    let query = "SELECT record_id, 1 AS hits, CASE WHEN name = '' THEN 'there is no name' END AS error FROM records";
    assert_eq!(Tree::new(query).outcomes(&[("a", "1"), ("", "1")]), ["1", "there is no name"]);
}

#[test]
fn a_record_on_which_the_query_fails_costs_no_other_record_its_result() {
    let tree = Tree::new("SELECT record_id, json_extract(name, '$.n') AS hits FROM records");
    let mut records = vec![("{\"n\": 7}", "1"); 40];
    records[13] = ("{", "1");
    let outcomes = tree.outcomes(&records);
    assert_eq!(outcomes[13], "the query failed: malformed JSON");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "7").count(), 39);
}

#[test]
fn a_query_without_end_is_ended_and_costs_only_the_record_that_brought_it() {
    let query = "SELECT record_id, CASE WHEN name = 'loop' THEN (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                 SELECT count(*) FROM n) ELSE 1 END AS hits FROM records";
    let outcomes = Tree::new(query).outcomes(&[("a", "1"), ("loop", "1")]);
    assert_eq!(outcomes[0], "1");
    assert!(outcomes[1].starts_with("the query was not done after 1 s"), "{outcomes:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the limit is a whole process's, and other tests share this one")]
fn a_query_that_needs_more_memory_than_plugins_may_have_costs_only_the_record_that_brought_it() {
    let program = std::env::current_exe().expect("this test program");
    let test = ["--exact", "sql_runtime::runs_out_of_memory", "--ignored"];
    let ran = std::process::Command::new(program).args(test).output().expect("starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "fills the memory of its process; the test above gives it one of its own"]
fn runs_out_of_memory() {
    let lower = rusqlite::Connection::open_in_memory().expect("opens");
    lower.pragma_update(None, "hard_heap_limit", 1 << 30).expect("lowers the limit");
    let query = "SELECT record_id, CASE WHEN name = 'fat' THEN (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 \
                 FROM n), kept AS MATERIALIZED (SELECT i, zeroblob(60000000) AS b FROM n) SELECT count(*) FROM kept) \
                 ELSE 1 END AS hits FROM records";
    let mut plugin = Tree::new(query).open_as(&MANIFEST.replace("block = 1", "block = 60")).expect("opens");
    let outcomes = shown(plugin.process(&block(&[("a", "1"), ("fat", "1")])).expect("has results"));
    assert_eq!(outcomes[0], "1");
    assert!(outcomes[1].starts_with("the query failed: it needs more memory than"), "{outcomes:?}");
    assert_eq!(shown(plugin.process(&block(&[("a", "1")])).expect("has results")), ["1"], "the instance goes on");
}

#[test]
fn a_result_that_is_too_large_is_an_error_of_its_record_and_too_many_of_them_fail_the_block() {
    let manifest = MANIFEST.replace("hits = \"integer\"", "hits = \"text\"");
    let answer = |mib: usize, records: usize| {
        let query = format!("SELECT record_id, printf('%.*c', {mib} << 20, 'x') AS hits FROM records");
        Tree::new(&query).open_as(&manifest).expect("opens").process(&block(&vec![("a", "1"); records]))
    };
    let largest = answer(4, 1).expect("has results");
    assert!(matches!(largest[0].outcome, Outcome::Ok(_)), "four MiB are not too large");
    let outcomes = shown(answer(5, 2).expect("has results"));
    assert_eq!(outcomes, ["the plugin returned 5 MiB for this record, and a result holds 4 at most"; 2]);
    let message = answer(4, 20).expect_err("80 MiB are too much").to_string();
    assert!(message.contains("returned more than 64 MiB for one block; return less"), "{message}");
}

#[test]
fn a_plugin_that_fails_on_every_record_fails_the_block_and_says_why() {
    let error = Tree::new("SELECT record_id, json_extract(name, '$') AS hits FROM records")
        .process(&[("{", "1"); 20])
        .expect_err("the plugin is at fault");
    assert_eq!(error.to_string(), "plugin p fails on this block: the query failed: malformed JSON");
}

#[test]
fn a_row_for_a_record_of_another_block_fails_the_block() {
    for (id, says) in [("record_id + 1", "record_id 1001"), ("NULL", "record_id NULL"), ("name", "the text \"a\"")] {
        let error = Tree::new(&format!("SELECT {id} AS record_id, 1 AS hits FROM records")).process(&[("a", "1")]);
        let message = error.expect_err("no row has a record").to_string();
        assert!(message.contains(says) && message.contains("not in the block"), "{message}");
    }
}

#[test]
fn a_block_that_lacks_a_column_or_names_a_record_twice_is_refused() {
    let mut plugin = Tree::new(COUNT).open().expect("opens");
    let mut lacking = block(&[("a", "1")]);
    lacking.columns[2] = "surname".to_owned();
    let message = plugin.process(&lacking).expect_err("no column name").to_string();
    assert_eq!(message, "plugin p needs column name, which the block does not have");
    let mut twice = block(&[("a", "1"), ("b", "1")]);
    twice.records[1].id = twice.records[0].id;
    assert!(matches!(plugin.process(&twice), Err(BlockError::RepeatedRecord { record: 1000 })));
}

#[test]
fn a_query_that_changes_anything_does_not_open() {
    for (query, says) in [
        ("DELETE FROM people", "changing people"),
        ("INSERT INTO temp.records (record_id) VALUES (1) RETURNING record_id, 1 AS hits", "changing records"),
        ("PRAGMA user_version", "pragma user_version"),
        ("ATTACH ':memory:' AS other", "attaching a database"),
        ("BEGIN", "a transaction of its own"),
        ("CREATE TABLE t (a)", "creating or dropping what is not temporary"),
    ] {
        let message = Tree::new(query).refusal();
        assert!(
            message.starts_with("plugins/p/query.sqlite.sql: not allowed: ") && message.contains(says),
            "{message}"
        );
    }
}

#[test]
fn an_open_script_that_touches_more_than_the_temporary_schema_does_not_open() {
    for (script, says) in [
        ("CREATE TABLE t (a);", "creating or dropping what is not temporary"),
        ("CREATE INDEX by_name ON people (name);", "creating or dropping what is not temporary"),
        ("UPDATE people SET name = '';", "changing people"),
        ("DROP TABLE people;", "creating or dropping what is not temporary"),
        ("ATTACH 'x' AS x;", "attaching a database"),
        ("VACUUM INTO 'x';", "not allowed"),
        ("SELECT load_extension('x');", "load_extension"),
        ("CREATE VIRTUAL TABLE temp.v USING fts5(a);", "not allowed"),
        ("COMMIT;", "a transaction of its own"),
    ] {
        let message = Tree::new(COUNT).with("plugins/p/open.sqlite.sql", script).refusal();
        assert!(message.starts_with("plugins/p/open.sqlite.sql: ") && message.contains(says), "{script} {message}");
    }
}

#[test]
fn a_mistake_in_sql_is_reported_with_its_file_and_line() {
    let message = Tree::new("SELECT record_id,\n  1 AS hits\nFORM records").refusal();
    assert!(message.starts_with("plugins/p/query.sqlite.sql, line 3: near \"FORM\""), "{message}");
    let message = Tree::new("SELECT record_id, \"nmae\" AS hits FROM records").refusal();
    assert!(message.contains("no such column: \"nmae\""), "a misspelt column in quotes is no text: {message}");
    let message = Tree::new(COUNT).with("plugins/p/open.sqlite.sql", "SELECT 1;\n\nSELECT nowhere;").refusal();
    assert!(message.starts_with("plugins/p/open.sqlite.sql, line 3: no such column: nowhere"), "{message}");
}

#[test]
fn a_query_is_exactly_one_statement_without_parameters() {
    for (query, says) in [
        ("", "there is no query"),
        ("-- nothing yet", "there is no query"),
        (&format!("{COUNT}; SELECT 2"), "more than one statement"),
        ("SELECT record_id, ? AS hits FROM records", "has a parameter"),
    ] {
        let message = Tree::new(query).refusal();
        assert!(message.contains(says), "{query}: {message}");
    }
    let ended = Tree::new(&format!("{COUNT};\n-- done\n"));
    assert_eq!(ended.outcomes(&[("Anna", "1")]), ["2"]);
}

#[test]
fn a_missing_or_ragged_data_table_is_reported_with_its_line() {
    let tree = Tree::new(COUNT).with("data/people.csv", "person_id,name\n1,Anna\n2\n");
    assert_eq!(tree.refusal(), "data/people.csv, line 3: 1 fields where the header has 2: mend the row");
    fs::remove_file(tree.0.path().join("data/people.csv")).expect("removes the table");
    assert_eq!(tree.refusal(), "data/people.csv: the file is missing: add it");
    fs::remove_file(tree.0.path().join("plugins/p/query.sqlite.sql")).expect("removes the query");
    fs::write(tree.0.path().join("data/people.csv"), "name\n").expect("writes the table");
    assert_eq!(tree.refusal(), "plugins/p/query.sqlite.sql: the file is missing: write the query into it");
}

#[test]
fn samples_that_differ_are_shown_with_line_column_and_both_values() {
    let tree = Tree::new(COUNT)
        .with("plugins/p/samples/records.csv", "name,age\nAnna,1\nBert,x\n")
        .with("plugins/p/samples/expected.csv", "hits,error\n3,\n1,\n");
    let folder = tree.0.path().join("plugins/p");
    let report = samples::run(&folder, tree.0.path(), &Host::default()).expect("runs");
    let shown: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "plugins/p/samples/expected.csv, line 2: hits should be \"3\" and is \"2\"",
            "plugins/p/samples/expected.csv, line 3: the record should have a result, and failed: column age is \"x\", which is not of type integer",
        ]
    );
    tree.write("plugins/p/samples/people.csv", "name\nAnna\nAnna\nAnna\n");
    let report = samples::run(&folder, tree.0.path(), &Host::default()).expect("runs");
    assert_eq!(report.differences.len(), 1, "the sample table takes the place of the release's");
}

#[test]
fn samples_that_are_missing_or_too_few_are_an_error() {
    let tree = Tree::new(COUNT);
    let error = || {
        samples::run(&tree.0.path().join("plugins/p"), tree.0.path(), &Host::default())
            .expect_err("no good samples")
            .to_string()
    };
    assert_eq!(error(), "plugins/p/samples/records.csv: the file is missing: add it");
    tree.write("plugins/p/samples/records.csv", "name,age\nAnna,1\n");
    tree.write("plugins/p/samples/expected.csv", "hits\n");
    assert!(error().contains("0 expected results for 1 records"), "{}", error());
    tree.write("plugins/p/samples/records.csv", "name\nAnna\n");
    assert_eq!(error(), "plugins/p/samples/records.csv, line 1: there is no column age: add it");
}
