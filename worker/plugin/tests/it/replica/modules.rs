//! Modules on the replica: the same answers as on SQLite, and what they ask can do no harm.

use std::fs;
use std::path::Path;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Host, OpenError, samples};
use nightshift_testbed::database::Make;
use nightshift_testbed::wait;

use super::site::{MANIFEST, Site, Tree, block, shown};
use crate::sample_plugins::{run_open, sample_tree};
use crate::wasm_runtime::asking;

/// A plugin whose module asks `sql` with the encoded `parameters`; its answer is the number of rows.
fn tree(sql: &str, parameters: &str) -> Tree {
    // More than a busy machine takes for what comes to an end.
    tree_within(20, sql, parameters)
}

fn tree_within(seconds: u32, sql: &str, parameters: &str) -> Tree {
    let manifest = MANIFEST.replace("runtime = \"sql\"", "runtime = \"wasm\"\nmodule = \"plugin.wat\"");
    let manifest = manifest.replace("seconds_per_block = 2", &format!("seconds_per_block = {seconds}"));
    Tree::new("").with("plugin.toml", &manifest).with("plugin.wat", &asking(sql, parameters, 98))
}

/// What a block of one record comes to.
fn one(site: &Site, sql: &str, parameters: &str) -> String {
    tree(sql, parameters).outcomes(site, &[("Anna", "1")]).remove(0)
}

/// The sample `name-count` as a module in a tree with the sample people, its data in `source`.
fn name_count(source: &str) -> (tempfile::TempDir, PluginManifest) {
    let tree = tempfile::tempdir().expect("a folder");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/name-count-wasm");
    let folder = tree.path().join("plugins/name-count-wasm");
    fs::create_dir_all(folder.join("samples")).expect("a folder");
    for file in ["plugin.wasm", "samples/records.csv", "samples/expected.csv"] {
        fs::copy(from.join(file), folder.join(file)).expect("copies it");
    }
    let text = fs::read_to_string(from.join("plugin.toml")).expect("the manifest");
    let text = text.replace("source = \"repo\"", &format!("source = \"{source}\""));
    fs::write(folder.join("plugin.toml"), &text).expect("writes it");
    fs::create_dir(tree.path().join("data")).expect("a folder");
    fs::copy(sample_tree().join("data/people.csv"), tree.path().join("data/people.csv")).expect("copies it");
    (tree, PluginManifest::parse("name-count-wasm", &text).expect("a good manifest"))
}

#[test]
fn name_count_as_a_module_gives_the_same_answers_on_a_replica_as_on_sqlite() {
    let terms = ["anna", "an", "", "smith", "%", "de la", "e", "\u{c9}", "x y z"];
    let answers = |source: &str, host: &Host| {
        let (tree, manifest) = name_count(source);
        let mut plugin = nightshift_plugin::open(tree.path(), &manifest, Data::Samples, host).expect("opens");
        run_open(&mut *plugin, &manifest, &["name"], terms.iter().map(|term| vec![(*term).to_owned()]).collect())
    };
    let expected = answers("repo", &Host::default());
    for site in Site::each() {
        let (private, _alone) = site.private();
        let host = Host { private_server: Some(private), ..Host::default() };
        assert_eq!(answers("replica", &host), expected, "{:?}", site.make());
    }
}

#[test]
fn the_samples_of_a_module_on_the_replica_run_on_a_private_server_or_not_at_all() {
    let (tree, _) = name_count("replica");
    let folder = tree.path().join("plugins/name-count-wasm");
    let people = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/name-count-wasm/samples/people.csv");
    fs::copy(people, folder.join("samples/people.csv")).expect("copies it");
    assert!(samples::need_server(&folder).expect("a good manifest"));
    let error = samples::run(&folder, tree.path(), &Host::default()).expect_err("no server");
    assert!(error.is_for_want_of_a_server(), "{error}");
    for site in Site::each() {
        let (private, _alone) = site.private();
        let host = Host { private_server: Some(private), ..Host::default() };
        let report = samples::run(&folder, tree.path(), &host).expect("runs");
        assert!(report.is_good() && report.records >= 2, "{:?}: {:?}", site.make(), report.differences);
    }
}

#[test]
fn a_module_asks_the_replica_with_parameters_again_and_again() {
    for site in Site::each() {
        // One parameter, the text "Anna".
        let anna = "\\01\\00\\00\\00\\03\\04\\00\\00\\00\\41\\6e\\6e\\61";
        let mut plugin = tree("SELECT person_id FROM people WHERE name = ?", anna).open(&site.host()).expect("opens");
        for _ in 0..3 {
            assert_eq!(shown(plugin.process(&block(&[("a", "1")])).expect("has results")), ["2"], "{:?}", site.make());
        }
        assert_eq!(one(site, "SELECT 1 FROM people WHERE name = 'x'", ""), "0");
    }
}

#[test]
fn a_query_of_a_module_that_writes_or_cannot_be_answered_is_refused_with_its_reason() {
    for site in Site::each() {
        for (sql, says) in [
            ("DELETE FROM people", "not allowed: DELETE; a query only reads"),
            ("SET SESSION TRANSACTION READ WRITE", "not allowed: SET"),
            ("WITH a AS (SELECT 1) DELETE FROM people", "the query failed: "),
            ("SELECT company.writes()", "READ ONLY"),
            ("SELECT 1 INTO OUTFILE '/tmp/x'", "not allowed: INTO"),
            ("SELECT SLEEP(9)", "not allowed: SLEEP()"),
            ("SELECT salary FROM people", "Unknown column 'salary'"),
            ("SELECT 1 FROM people WHERE name = ?", "it has 1 parameters, and the plugin gave 0"),
            ("SELECT 1, X'ff00'", "column 2 holds 2 bytes that are no text (CONVERT them USING utf8mb4, or HEX them)"),
        ] {
            let error = one(site, sql, "");
            assert!(
                error.starts_with("the query failed: ") && error.contains(says),
                "{sql} on {:?}: {error}",
                site.make()
            );
        }
        assert_eq!(one(site, "SELECT name FROM people", ""), "3", "nothing was deleted");
        assert!(site.administer("SELECT 1 FROM company.written").is_empty(), "something was written");
    }
}

/// Joins the people so often that no server comes to an end while a test waits.
fn endless(what: &str, times: usize) -> String {
    let tables: Vec<String> = (0..times).map(|n| format!("people t{n}")).collect();
    format!("SELECT {what} FROM {}", tables.join(", "))
}

#[test]
fn an_endless_query_of_a_module_is_ended_on_the_server_and_the_instance_goes_on() {
    for site in Site::each() {
        let mut plugin = tree_within(1, &endless("sum(t0.person_id + t1.person_id) AS of_a_module", 18), "")
            .open(&site.host())
            .expect("opens");
        for _ in 0..2 {
            let outcomes = shown(plugin.process(&block(&[("a", "1")])).expect("the record is at fault"));
            assert_eq!(outcomes, ["it was not done after 1 s"], "{:?}", site.make());
            let gone = || (site.running("reader", "of_a_module") == 0).then_some(());
            wait::until("the query to be gone", wait::SOON, gone).expect("it is");
        }
    }
}

#[test]
fn rows_without_end_stop_when_the_module_has_enough() {
    for site in Site::each() {
        let mut plugin = tree(&endless("t0.name AS for_a_module", 12), "").open(&site.host()).expect("opens");
        for _ in 0..2 {
            let outcomes = shown(plugin.process(&block(&[("a", "1")])).expect("has results"));
            assert_eq!(outcomes, ["10000"], "{:?}", site.make());
        }
        let gone = || (site.running("reader", "for_a_module") == 0).then_some(());
        wait::until("the query to be gone", wait::SOON, gone).expect("it is");
    }
}

#[test]
fn a_stop_breaks_off_a_query_of_a_module_on_the_server() {
    for site in Site::each() {
        let endless = endless("sum(t0.person_id + t1.person_id) AS stopped_module", 18);
        let mut plugin = tree_within(3_600, &endless, "").open(&site.host()).expect("opens");
        let stop = plugin.stopper();
        let working = std::thread::spawn(move || plugin.process(&block(&[("a", "1")])).map(drop));
        let running = || (site.running("reader", "stopped_module") == 1).then_some(());
        wait::until("the query to run", wait::SOON, running).expect("it runs");
        stop();
        let error = working.join().expect("no panic").expect_err("broken off").to_string();
        assert_eq!(error, "plugin p fails on this block: it was stopped", "{:?}", site.make());
        let gone = || (site.running("reader", "stopped_module") == 0).then_some(());
        wait::until("the query to be gone", wait::SOON, gone).expect("it is");
    }
}

#[test]
fn a_module_needs_a_replica_and_an_account_that_cannot_write() {
    let tree = tree("SELECT 1", "");
    assert!(matches!(tree.open(&Host::default()), Err(OpenError::NoReplica { .. })));
    for site in Site::each() {
        site.administer("CREATE USER module_writer@'127.0.0.1'");
        site.administer("GRANT SELECT, UPDATE ON company.* TO module_writer@'127.0.0.1'");
        let host = Host { replica: Some(site.replica_as("module_writer")), ..Host::default() };
        assert!(matches!(tree.open(&host), Err(OpenError::Rights { .. })), "{:?}", site.make());
        site.administer("DROP USER module_writer@'127.0.0.1'");
    }
}

#[test]
fn a_replica_that_is_away_costs_a_modules_records_nothing_and_comes_back() {
    for mut site in [Make::MariaDb, Make::MySql].into_iter().filter_map(Site::fresh) {
        site.administer("ALTER TABLE company.people ADD given_name VARCHAR(9) NOT NULL DEFAULT 'Anna', ADD surname VARCHAR(9) NOT NULL DEFAULT 'Berg'");
        let mut plugin = tree("SELECT name FROM people", "").open(&site.host()).expect("opens");
        let record = block(&[("a", "1")]);
        assert_eq!(shown(plugin.process(&record).expect("has results")), ["3"]);
        let ids = site.administer("SELECT id FROM information_schema.processlist WHERE user = 'reader'");
        site.administer(&format!("KILL {}", ids[0].get::<u64, _>(0).expect("a number")));
        assert_eq!(shown(plugin.process(&record).expect("is connected again")), ["3"], "{:?}", site.make());
        site.server.crash();
        for _ in 0..2 {
            let error = plugin.process(&record).expect_err("the data are away");
            assert!(matches!(error, BlockError::DataAway { .. }), "{error}");
        }
        // One that asks when it is opened.
        let (folder, manifest) = name_count("replica");
        let opened = nightshift_plugin::open(folder.path(), &manifest, Data::Release, &site.host());
        let mut second = opened.expect("a replica may be away for now");
        assert!(matches!(second.process(&record), Err(BlockError::DataAway { .. })));
        site.server.restart().expect("starts again");
        assert_eq!(shown(plugin.process(&record).expect("has results")), ["3"], "{:?}", site.make());
        let terms = vec![vec!["na ber".to_owned()]];
        let counted = format!("{:?}", run_open(&mut *second, &manifest, &["name"], terms));
        assert!(counted.contains("\"name_count\": Number(3)"), "{counted}");
    }
}
