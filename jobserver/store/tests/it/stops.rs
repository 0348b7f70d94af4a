//! What every store promises about stops that operators raise.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use nightshift_store::NewStop;
use nightshift_store::Stops;
use nightshift_testbed::{database::Make, wait::SOON};
use nightshift_wire::StopScope;
use tokio::time::timeout;

use crate::place::MysqlPlace;

fn stop(reason: &str, plugin: Option<&str>) -> NewStop {
    let scope = StopScope { plugin: plugin.map(ToOwned::to_owned), ..StopScope::default() };
    NewStop { reason: reason.into(), scope, by: "anna".into() }
}

async fn a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(store: &dyn Stops) {
    assert_eq!(store.stops().await.expect("read"), []);
    store.add_stop(&stop("fire", None), 1).await.expect("raised");
    store.add_stop(&stop("odd", Some("name-count")), 2).await.expect("raised");
    store.add_stop(&stop("flood", None), 3).await.expect("raised again");
    let stops = store.stops().await.expect("read");
    let told: Vec<_> = stops.iter().map(|stop| (stop.reason.as_str(), stop.scope.plugin.as_deref(), stop.at)).collect();
    assert_eq!(told, [("flood", None, 3), ("odd", Some("name-count"), 2)]);
    assert_eq!(store.clear_stops().await.expect("cleared"), stops);
    assert_eq!(store.stops().await.expect("read"), []);
    assert_eq!(store.clear_stops().await.expect("nothing to clear"), []);
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let store = nightshift_store::sqlite::SqliteStore::open(&path).expect("a new store");
    a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(&store).await;
    store.add_stop(&stop("fire", None), 1).await.expect("raised");
    drop(store);
    let store = nightshift_store::sqlite::SqliteStore::open(&path).expect("opened again");
    assert_eq!(store.stops().await.expect("read").len(), 1, "a restart forgets no stop");
}

/// Another server raises a stop while this one takes all away: it stays, or is among those that were taken away.
async fn a_stop_that_another_server_raises_meanwhile_is_never_lost(place: &MysqlPlace) {
    const WAITS: &str = "SELECT count(*) FROM information_schema.innodb_trx AS waiting \
                         JOIN information_schema.processlist ON processlist.id = waiting.trx_mysql_thread_id \
                         WHERE waiting.trx_state = 'LOCK WAIT' AND processlist.db = DATABASE()";
    // The server looks for those that wait when nobody has asked for a tenth of a second.
    const ASKED_AGAIN: Duration = Duration::from_millis(150);
    let store = place.store().await;
    store.add_stop(&stop("fire", None), 1).await.expect("raised");
    let (mut other, mut shell) = (place.shell().await, place.shell().await);
    other.query_drop("BEGIN").await.expect("begun");
    let raise =
        "INSERT INTO stops (scope, reason, stopped_by, stopped_at) VALUES ('{\"plugin\":\"p\"}', 'odd', 'bob', 2)";
    other.query_drop(raise).await.expect("raised, and not committed");
    let clear = store.clear_stops();
    let commit = async {
        let waits = async {
            while shell.query_first::<u64, _>(WAITS).await.expect("asked") != Some(1) {
                tokio::time::sleep(ASKED_AGAIN).await;
            }
        };
        timeout(SOON, waits).await.expect("whoever takes the stops away waits for the one that is being raised");
        other.query_drop("COMMIT").await.expect("committed");
    };
    let (cleared, ()) = tokio::join!(clear, commit);
    let cleared = cleared.expect("cleared");
    let seen = cleared.into_iter().chain(store.stops().await.expect("read"));
    let reasons: Vec<String> = seen.map(|stop| stop.reason).collect();
    assert_eq!(reasons, ["fire", "odd"]);
}

#[tokio::test]
async fn on_mariadb() {
    let Some(place) = MysqlPlace::fresh(Make::MariaDb).await else { return };
    a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(&place.store().await).await;
    a_stop_that_another_server_raises_meanwhile_is_never_lost(&place).await;
}

#[tokio::test]
async fn on_mysql() {
    let Some(place) = MysqlPlace::fresh(Make::MySql).await else { return };
    a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(&place.store().await).await;
    a_stop_that_another_server_raises_meanwhile_is_never_lost(&place).await;
}
