//! Queries that mean harm, one test each: each gets a named error, and the server and the instance live on.

use std::sync::mpsc;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::BlockError;
use nightshift_testbed::database::Make;
use nightshift_testbed::wait;

use super::site::{COUNT, MANIFEST, Site, Tree, block, shown};

/// The query does not even open, and the server and its data are as before.
fn is_refused(query: &str, says: &[&str]) {
    for site in Site::each() {
        let message = Tree::new(query).refusal(site);
        assert!(
            message.starts_with("plugins/p/query.mysql.sql") && says.iter().any(|says| message.contains(says)),
            "{query} on {:?}: {message}",
            site.make()
        );
        all_is_well(site);
    }
}

fn all_is_well(site: &Site) {
    assert_eq!(Tree::new(COUNT).outcomes(site, &[("Anna", "1")]), ["2"]);
    assert!(site.administer("SELECT 1 FROM company.written").is_empty(), "something was written");
}

/// No query with this in it runs any more. A server that was told to end one looks for that now and then.
fn is_gone(site: &Site, query: &str) {
    let gone = || (site.running("reader", query) == 0).then_some(());
    wait::until(format!("{query:?} to be gone from {:?}", site.make()), wait::SOON, gone).expect("it ends");
}

/// The query ends by the plugin's time limit, is gone from the server, and the same instance goes on.
fn is_ended_in_time(query: &str) {
    for site in Site::each() {
        let manifest = MANIFEST.replace("seconds_per_block = 2", "seconds_per_block = 1");
        let query = format!("/* ended in time */ {query}");
        let mut plugin = Tree::new(&query).with("plugin.toml", &manifest).open(&site.host()).expect("opens");
        let outcomes = shown(plugin.process(&block(&[("slow", "1")])).expect("the record is at fault"));
        assert_eq!(outcomes, ["the query was not done after 1 s"], "{:?}", site.make());
        is_gone(site, "ended in time");
        assert_eq!(shown(plugin.process(&block(&[("quick", "1")])).expect("has results")), ["1"]);
    }
}

#[test]
fn a_query_that_deletes_is_refused() {
    is_refused("DELETE FROM people", &["error in your SQL syntax", "denied"]);
}

#[test]
fn a_query_that_deletes_behind_its_own_with_is_refused() {
    is_refused(
        "WITH x AS (SELECT 1 AS a) DELETE FROM people WHERE person_id IN (SELECT a FROM x)",
        &["error in your SQL syntax", "denied"],
    );
}

#[test]
fn a_query_that_updates_is_refused() {
    is_refused("UPDATE people SET name = 'x'", &["error in your SQL syntax", "denied"]);
}

#[test]
fn a_query_that_writes_a_file_is_refused() {
    is_refused("SELECT record_id, 1 AS hits FROM records INTO OUTFILE '/tmp/nightshift-out'", &["not allowed: INTO"]);
}

#[test]
fn a_query_that_reads_a_file_is_refused() {
    is_refused("SELECT record_id, load_file('/etc/passwd') AS hits FROM records", &["not allowed: LOAD_FILE()"]);
}

#[test]
fn a_query_that_sleeps_is_refused() {
    is_refused("SELECT record_id, SLEEP(1e9) AS hits FROM records", &["not allowed: SLEEP()"]);
}

#[test]
fn a_query_that_takes_a_lock_by_name_is_refused() {
    is_refused("SELECT record_id, get_lock('x', 1) AS hits FROM records", &["not allowed: GET_LOCK()"]);
}

#[test]
fn a_query_that_locks_rows_is_refused() {
    is_refused("SELECT record_id, 1 AS hits FROM records, people FOR UPDATE", &["locking rows"]);
}

#[test]
fn a_query_that_changes_a_setting_is_refused() {
    is_refused("SET GLOBAL max_connections = 1", &["error in your SQL syntax", "denied"]);
}

#[test]
fn a_query_that_kills_is_refused() {
    is_refused("KILL 1", &["error in your SQL syntax", "denied"]);
}

#[test]
fn a_query_of_several_statements_is_refused() {
    is_refused(&format!("{COUNT}; DROP TABLE people"), &["more than one statement"]);
}

#[test]
fn a_query_hidden_in_a_comment_that_one_make_runs_is_refused() {
    is_refused("SELECT record_id, 1 AS hits FROM records /*!50000 INTO OUTFILE '/tmp/x' */", &["servers of one make"]);
}

#[test]
fn a_stored_function_with_side_effects_is_not_run() {
    is_refused("SELECT record_id, company.writes() AS hits FROM records", &["denied", "READ ONLY transaction"]);
}

#[test]
fn a_stored_function_with_side_effects_writes_nothing_even_with_the_right_to_run_it() {
    for site in Site::each() {
        // The rights come after opening: only the session's being read only stands in the way.
        let host = nightshift_plugin::Host { replica: Some(site.replica_as("late")), ..Default::default() };
        site.administer("CREATE USER late@'127.0.0.1'");
        site.administer("GRANT SELECT ON company.* TO late@'127.0.0.1'");
        site.administer("CREATE VIEW company.writing AS SELECT person_id, company.writes() AS one FROM company.people");
        let tree = Tree::new("SELECT r.record_id, w.one AS hits FROM records r JOIN writing w ON w.person_id = r.age");
        let results = tree.open(&host).map(|mut plugin| shown(plugin.process(&block(&[("a", "1")])).expect("results")));
        let said = results.unwrap_or_else(|error| vec![error.to_string()]);
        assert!(said[0].contains("READ ONLY transaction"), "{said:?} on {:?}", site.make());
        site.administer("DROP VIEW company.writing");
        site.administer("DROP USER late@'127.0.0.1'");
        all_is_well(site);
    }
}

#[test]
fn a_cross_join_without_end_is_ended() {
    is_ended_in_time(
        "SELECT record_id, CASE name WHEN 'slow' THEN (SELECT sum(a.person_id + b.person_id + c.person_id + d.person_id \
         * r.age) FROM people z, people y, people x, people w, people v, people u, people t, people s, people a, people b, \
         people c, people d, people e, people f, people g, people h, people i, people j) ELSE 1 END AS hits FROM records r",
    );
}

#[test]
fn a_recursion_without_end_is_an_error_of_the_query() {
    for site in Site::each() {
        let query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                     SELECT record_id, (SELECT count(*) FROM n) AS hits FROM records";
        let outcomes = Tree::new(query).outcomes(site, &[("a", "1")]);
        match site.make() {
            // MariaDB ends it after max_recursive_iterations, without an error.
            Make::MariaDb => assert!(outcomes[0].parse::<u32>().is_ok_and(|count| count > 900), "{outcomes:?}"),
            Make::MySql => assert!(outcomes[0].contains("Recursive query aborted after 1001"), "{outcomes:?}"),
        }
        all_is_well(site);
    }
}

#[test]
fn a_huge_answer_fails_the_block_before_it_fills_the_memory() {
    for site in Site::each() {
        let manifest = MANIFEST
            .replace("hits = \"integer\"", "hits = \"text\"")
            .replace("seconds_per_block = 2", "seconds_per_block = 60");
        let answer = |mib: usize, records: usize| {
            let query = format!("SELECT record_id, repeat('x', {mib} << 20) AS hits FROM records");
            let mut plugin = Tree::new(&query).with("plugin.toml", &manifest).open(&site.host()).expect("opens");
            plugin.process(&block(&vec![("a", "1"); records]))
        };
        let error = answer(4, 20).expect_err("80 MiB are too much");
        assert!(matches!(error, BlockError::TooMuch { .. }), "{error}");
        let outcomes = shown(answer(5, 2).expect("has results"));
        assert_eq!(outcomes, ["the plugin returned 5 MiB for this record, and a result holds 4 at most"; 2]);
        all_is_well(site);
    }
}

#[test]
fn an_answer_with_rows_without_end_is_broken_off() {
    for site in Site::each() {
        let query = "/* endless */ SELECT record_id + 0 * a.person_id AS record_id, 1 AS hits FROM records, people a, people b, \
                     people c, people d, people e, people f, people g, people h, people i, people j, people k, people l, people m, \
                     people n, people o, people p, people q, people r, people s, people t";
        let outcomes = Tree::new(query).outcomes(site, &[("a", "1")]);
        assert!(outcomes[0].starts_with("the query was not done after"), "{outcomes:?}");
        is_gone(site, "endless");
        all_is_well(site);
    }
}

#[test]
fn a_query_that_lifts_the_servers_own_limit_is_killed_through_another_connection() {
    let Some(site) = Site::each().find(|site| site.make() == Make::MySql) else { return };
    let query = "SELECT /*+ MAX_EXECUTION_TIME(0) */ record_id, CASE name WHEN 'slow' THEN (SELECT count(*) FROM people a, \
                 people b, people c, people d, people e, people f, people g, people h, people i, people j, people k, people l, \
                 people m, people n, people o, people p, people q, people r, people s, people t WHERE a.person_id + b.person_id \
                 + c.person_id + d.person_id + e.person_id > age) ELSE 1 END AS hits FROM records";
    let manifest = MANIFEST.replace("seconds_per_block = 2", "seconds_per_block = 1");
    let mut plugin = Tree::new(query).with("plugin.toml", &manifest).open(&site.host()).expect("opens");
    let outcomes = shown(plugin.process(&block(&[("slow", "1")])).expect("the record is at fault"));
    assert_eq!(outcomes, ["the query was not done after 1 s"]);
    is_gone(site, "MAX_EXECUTION_TIME(0)");
    assert_eq!(shown(plugin.process(&block(&[("quick", "1")])).expect("has results")), ["1"]);
}

#[test]
fn a_stop_breaks_off_the_query_on_the_server_and_the_instance_goes_on() {
    for site in Site::each() {
        let query = "SELECT record_id, CASE name WHEN 'slow' THEN (SELECT /* stopped */ sum(a.person_id * r.age) FROM people a, \
                     people b, people c, people d, people e, people f, people g, people h, people i, people j, people k, people l, \
                     people m, people n, people o, people p, people q, people s, people t) ELSE 1 END AS hits FROM records r";
        let manifest = MANIFEST.replace("seconds_per_block = 2", "seconds_per_block = 600");
        PluginManifest::parse("p", &manifest).expect("a good manifest");
        let mut plugin = Tree::new(query).with("plugin.toml", &manifest).open(&site.host()).expect("opens");
        let stop = plugin.stopper();
        let (done, ended) = mpsc::channel();
        let working = std::thread::spawn(move || {
            let result = plugin.process(&block(&[("slow", "1")]));
            done.send(()).expect("the test listens");
            (plugin, result)
        });
        wait::until("the query to run", wait::SOON, || (site.running("reader", "stopped") == 1).then_some(()))
            .expect("it runs");
        stop();
        let gone = || (site.running("reader", "stopped") == 0).then_some(());
        wait::until("the query to be gone from the server", wait::SOON, gone).expect("it is gone");
        ended.recv_timeout(Duration::from_secs(30)).expect("the block ends");
        let (mut plugin, result) = working.join().expect("no panic");
        assert!(
            matches!(&result, Err(BlockError::DataAway { reason, .. }) if reason.contains("broken off")),
            "{result:?}"
        );
        assert_eq!(shown(plugin.process(&block(&[("quick", "1")])).expect("has results")), ["1"]);
    }
}
