//! A replica that goes away: it costs no record its result and no plugin its good name.

use nightshift_plugin::{BlockError, Host};
use nightshift_testbed::database::Make;
use nightshift_testbed::wait;

use super::site::{COUNT, MANIFEST, Site, Tree, block, shown};

fn fresh() -> impl Iterator<Item = Site> {
    [Make::MariaDb, Make::MySql].into_iter().filter_map(Site::fresh)
}

/// With a table that only `open.mysql.sql` makes.
fn with_a_script() -> Tree {
    Tree::new("SELECT record_id, n AS hits FROM records, nightshift_scratch.kept AS kept")
        .with("open.mysql.sql", "CREATE TEMPORARY TABLE nightshift_scratch.kept AS SELECT count(*) AS n FROM people")
}

#[test]
fn a_connection_that_is_lost_is_made_again_with_its_temporary_tables() {
    for site in fresh() {
        let mut plugin = with_a_script().open(&site.host()).expect("opens");
        assert_eq!(shown(plugin.process(&block(&[("a", "1")])).expect("has results")), ["3"]);
        let ids = site.administer("SELECT id FROM information_schema.processlist WHERE user = 'reader'");
        let id: u64 = ids[0].get(0).expect("a number");
        site.administer(&format!("KILL {id}"));
        assert_eq!(shown(plugin.process(&block(&[("a", "1")])).expect("has results")), ["3"], "{:?}", site.make());
    }
}

#[test]
fn a_replica_that_crashes_is_neither_the_records_nor_the_plugins_fault_and_comes_back() {
    for mut site in fresh() {
        let mut plugin = with_a_script().open(&site.host()).expect("opens");
        let records = vec![("a", "1"); 20];
        site.server.crash();
        for _ in 0..2 {
            let error = plugin.process(&block(&records)).expect_err("the data are away");
            assert!(matches!(error, BlockError::DataAway { .. }), "{error}");
            assert!(
                error.to_string().starts_with("plugin p does not get at its data on mysql://127.0.0.1:"),
                "{error}"
            );
        }
        let mut second = with_a_script().open(&site.host()).expect("a replica may be away for now");
        assert!(matches!(second.process(&block(&records)), Err(BlockError::DataAway { .. })));
        site.server.restart().expect("starts again");
        assert_eq!(shown(plugin.process(&block(&records)).expect("has results")), vec!["3"; 20], "{:?}", site.make());
        assert_eq!(shown(second.process(&block(&records)).expect("has results")), vec!["3"; 20], "{:?}", site.make());
    }
}

#[test]
fn a_replica_that_accepts_and_stays_silent_is_away_and_not_waited_for_without_end() {
    for site in fresh() {
        let manifest = MANIFEST.replace("seconds_per_block = 2", "seconds_per_block = 1");
        let mut plugin = Tree::new(COUNT).with("plugin.toml", &manifest).open(&site.host()).expect("opens");
        site.server.freeze();
        // It stops one thread after the other: a block may still slip through.
        let mut failing = || plugin.process(&block(&[("Anna", "1"); 20])).err();
        let error = wait::until("the server to be silent", wait::SOON, &mut failing).expect("it is silent");
        assert!(matches!(error, BlockError::DataAway { .. }), "{error}");
        site.server.thaw();
        assert_eq!(shown(plugin.process(&block(&[("Anna", "1")])).expect("has results")), ["2"], "{:?}", site.make());
    }
}

#[test]
fn a_replica_that_lets_the_account_in_no_more_is_said_in_the_servers_words() {
    for site in Site::each() {
        site.administer("CREATE USER closed@'127.0.0.1' IDENTIFIED BY 's3cret'");
        let host = Host { replica: Some(site.replica_as("closed")), ..Host::default() };
        let mut plugin = Tree::new(COUNT).open(&host).expect("an admin may write the password yet");
        let message = plugin.process(&block(&[("a", "1")])).expect_err("no such account").to_string();
        assert!(message.contains("Access denied for user 'closed'"), "{message}");
    }
}
