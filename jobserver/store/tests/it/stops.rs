//! What every store promises about stops that operators raise.

use nightshift_store::NewStop;
use nightshift_store::Stops;
use nightshift_testbed::database::Make;
use nightshift_wire::StopScope;

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

#[tokio::test]
async fn on_mariadb() {
    let Some(place) = MysqlPlace::fresh(Make::MariaDb).await else { return };
    a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(&place.store().await).await;
}

#[tokio::test]
async fn on_mysql() {
    let Some(place) = MysqlPlace::fresh(Make::MySql).await else { return };
    a_stop_is_one_for_each_scope_and_all_are_taken_away_at_once(&place.store().await).await;
}
