//! What every store promises about sessions, and about the list of who did what.

use nightshift_store::sqlite::SqliteStore;
use nightshift_store::{Access, Acts as _, NewAct, Session};
use nightshift_testbed::database::Make;

use crate::place::MysqlPlace;

fn session(name: char, opened_at: i64) -> Session {
    let hash = |sign: char| sign.to_string().repeat(64);
    Session { hash: hash(name), token_hash: hash('f'), opened_at, expires_at: opened_at + 100 }
}

async fn a_session_is_found_until_it_is_ended_or_long_over(store: &dyn Access) {
    let (one, two, late) = (session('1', 0), session('2', 50), session('3', 120));
    for session in [&one, &two] {
        store.open_session(session).await.expect("opened");
    }
    assert_eq!(store.session(&one.hash).await.expect("read"), Some(one.clone()));
    assert_eq!(store.session(&late.hash).await.expect("read"), None);
    store.open_session(&late).await.expect("opened");
    assert_eq!(store.session(&one.hash).await.expect("read"), None, "what is over is removed");
    assert_eq!(store.session(&two.hash).await.expect("read"), Some(two.clone()));
    for _ in 0..2 {
        store.end_session(&two.hash).await.expect("ended, and again is acknowledged");
    }
    assert_eq!(store.session(&two.hash).await.expect("read"), None);
}

async fn acts_are_kept_in_their_order_and_read_from_the_newest(store: &dyn Access) {
    for number in 0..5 {
        let did = format!("suspended batch {number}");
        let act = NewAct { at: number, by: "anna".to_owned(), did, why: "<b>fire</b>".to_owned() };
        store.note_act(&act).await.expect("noted");
    }
    let newest = store.acts(i64::MAX, 2).await.expect("read");
    let told = |acts: &[nightshift_store::Act]| acts.iter().map(|act| act.act.at).collect::<Vec<_>>();
    assert_eq!(told(&newest), [4, 3]);
    assert_eq!((newest[0].act.by.as_str(), newest[0].act.why.as_str()), ("anna", "<b>fire</b>"));
    let rest = store.acts(newest[1].id, 9).await.expect("read");
    assert_eq!(told(&rest), [2, 1, 0]);
}

async fn every_promise(store: &dyn Access) {
    a_session_is_found_until_it_is_ended_or_long_over(store).await;
    acts_are_kept_in_their_order_and_read_from_the_newest(store).await;
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).expect("a new store");
    every_promise(&store).await;
    drop(store);
    let shell = rusqlite::Connection::open(&path).expect("a person's shell");
    let changed = shell.execute("UPDATE acts SET done_by = 'bert'", []).expect_err("nobody changes it");
    assert!(changed.to_string().contains("what was done is not changed"), "{changed}");
    let store = SqliteStore::open(&path).expect("opened again");
    assert_eq!(store.acts(i64::MAX, 9).await.expect("read").len(), 5, "a restart forgets nothing");
}

#[tokio::test]
async fn on_mariadb() {
    let Some(place) = MysqlPlace::fresh(Make::MariaDb).await else { return };
    every_promise(&place.store().await).await;
}

#[tokio::test]
async fn on_mysql() {
    let Some(place) = MysqlPlace::fresh(Make::MySql).await else { return };
    every_promise(&place.store().await).await;
}
