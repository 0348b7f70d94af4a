//! Promises about who may ask, kept by every store: tokens, workers that join, rules of joining, whose a batch is.

use std::net::IpAddr;

use nightshift_rules::access::TokenFault;
use nightshift_rules::enrolment::{Decision, NoJoin};
use nightshift_store::{
    Access, AccessRefusal, Decided, KnownToken, Refusal, Store, StoreError, mysql::MysqlStore, sqlite::SqliteStore,
};
use nightshift_testbed::database::Make;
use nightshift_wire::{Enrolment, EnrolmentState, JobFilter, JoinRequest, JoinRule, Role, Token, WorkerChange};
use sha2::{Digest, Sha256};

use crate::hands::{claim, hand_in, new_batch, report};
use crate::place::{MysqlPlace, SqlitePlace};

/// A store with its access, open; a second one on the same place where several servers may share it.
struct Open {
    store: Box<dyn Both>,
    other: Option<Box<dyn Both>>,
    _place: Box<dyn std::any::Any + Send>,
}

trait Both: Store + Access {}
impl Both for SqliteStore {}
impl Both for MysqlStore {}

async fn sqlite() -> Option<Open> {
    let place = SqlitePlace::fresh();
    let store = Box::new(SqliteStore::open(&place.database()).expect("open the store"));
    Some(Open { store, other: None, _place: Box::new(place) })
}

async fn mysql(make: Make) -> Option<Open> {
    let place = MysqlPlace::fresh(make).await?;
    let (store, other) = (Box::new(place.store().await), Box::new(place.store().await));
    Some(Open { store, other: Some(other), _place: Box::new(place) })
}

macro_rules! on_every_store {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::sqlite().await.expect("always there")).await;
            })*
        }
        mod on_mariadb {
            $(#[tokio::test]
            async fn $promise() {
                let Some(open) = super::mysql(super::Make::MariaDb).await else { return };
                super::$promise(&open).await;
            })*
        }
        mod on_mysql {
            $(#[tokio::test]
            async fn $promise() {
                let Some(open) = super::mysql(super::Make::MySql).await else { return };
                super::$promise(&open).await;
            })*
        }
    };
}

on_every_store!(
    a_token_is_kept_as_its_hash_and_known_from_its_change_on,
    a_name_that_is_taken_is_refused_until_its_token_is_over,
    a_revoked_token_stays_revoked_and_every_server_hears_of_it,
    a_token_is_known_by_when_it_was_last_used,
    a_worker_that_asks_waits_for_a_person_and_is_let_in_once,
    a_join_token_lets_so_many_workers_ask_and_no_more,
    a_join_token_that_is_over_or_used_from_elsewhere_changes_nothing,
    a_rule_approves_as_many_as_it_may,
    of_two_workers_that_ask_at_the_same_time_a_rule_for_one_approves_one,
    a_revoked_worker_is_never_let_in_again,
    a_worker_is_called_what_it_was_let_in_as_until_somebody_names_it,
    an_identity_that_comes_back_with_another_credential_changes_nothing,
    a_batch_belongs_to_whoever_was_noted_first,
    a_batch_that_is_gone_is_nobodys,
    an_attempt_is_known_by_its_worker,
    what_does_not_exist_is_refused_by_name,
);

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

fn token(name: &str, role: Role) -> KnownToken {
    let token = Token {
        name: name.to_owned(),
        role,
        network: None,
        limit: None,
        uses: 0,
        created_at: 5,
        created_by: "first".to_owned(),
        expires_at: None,
        revoked_at: None,
        last_used: None,
    };
    KnownToken { token, hash: hash(&format!("secret of {name}")) }
}

fn limited(name: &str, network: Option<&str>, limit: Option<u32>, expires_at: Option<i64>) -> KnownToken {
    let mut known = token(name, Role::Join);
    known.token = Token { network: network.map(str::to_owned), limit, expires_at, ..known.token };
    known
}

fn asks(worker: &str, join_token: &str) -> JoinRequest {
    JoinRequest {
        worker: worker.to_owned(),
        host: "pc-17".to_owned(),
        machine: format!("machine of {worker}"),
        credential: hash(worker),
        token: Some(format!("secret of {join_token}")),
    }
}

fn here() -> IpAddr {
    "10.1.2.3".parse().expect("an address")
}

fn decided(decision: Decision) -> Decided {
    Decided { decision, name: None, reason: "a person said so".to_owned(), by: "admin".to_owned() }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> AccessRefusal {
    match outcome {
        Err(StoreError::Refused(Refusal::Access(refusal))) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

async fn state_of(store: &dyn Both, worker: &str) -> EnrolmentState {
    let changes = store.access_changes(0).await.expect("changes");
    let known = changes.workers.into_iter().find(|known| known.enrolment.worker == worker);
    known.expect("it asked").enrolment.state
}

async fn a_token_is_kept_as_its_hash_and_known_from_its_change_on(open: &Open) {
    let store = &*open.store;
    let before = store.access_changes(0).await.expect("changes");
    let anna = limited("anna", Some("10.0.0.0/8"), Some(3), Some(100));
    store.add_token(anna.clone(), 5).await.expect("added");
    let after = store.access_changes(before.last).await.expect("changes");
    assert_eq!(after.tokens, [anna]);
    assert!(after.last > before.last);
    assert_eq!(store.access_changes(after.last).await.expect("changes").tokens, []);
}

async fn a_name_that_is_taken_is_refused_until_its_token_is_over(open: &Open) {
    let store = &*open.store;
    store.add_token(token("anna", Role::Owner), 5).await.expect("added");
    let again = |role| {
        let mut again = token("anna", role);
        again.hash = hash("another secret");
        again
    };
    let taken = AccessRefusal::NameTaken("anna".to_owned());
    assert_eq!(refusal(store.add_token(again(Role::Owner), 6).await), taken);
    store.revoke_token("anna", 7).await.expect("revoked");
    assert_eq!(refusal(store.add_token(again(Role::Admin), 8).await), taken, "a name does not change its role");
    store.add_token(again(Role::Owner), 8).await.expect("in its place");
    let known = store.access_changes(0).await.expect("changes").tokens;
    assert_eq!((known.len(), &*known[0].hash, known[0].token.revoked_at), (1, &*hash("another secret"), None));
}

async fn a_revoked_token_stays_revoked_and_every_server_hears_of_it(open: &Open) {
    let store = &*open.store;
    store.add_token(token("anna", Role::Owner), 5).await.expect("added");
    let other = open.other.as_deref().unwrap_or(store);
    let before = other.access_changes(0).await.expect("changes").last;
    store.revoke_token("anna", 7).await.expect("revoked");
    store.revoke_token("anna", 9).await.expect("again");
    let known = other.access_changes(before).await.expect("changes").tokens;
    assert_eq!(known.iter().map(|known| known.token.revoked_at).collect::<Vec<_>>(), [Some(7)]);
}

async fn a_token_is_known_by_when_it_was_last_used(open: &Open) {
    let store = &*open.store;
    store.add_token(token("anna", Role::Owner), 5).await.expect("added");
    let gone = ("nobody".to_owned(), 30);
    store.tokens_used(&[("anna".to_owned(), 20), gone]).await.expect("noted");
    store.tokens_used(&[("anna".to_owned(), 10)]).await.expect("noted");
    let known = store.access_changes(0).await.expect("changes").tokens;
    assert_eq!(known[0].token.last_used, Some(20));
}

async fn a_worker_that_asks_waits_for_a_person_and_is_let_in_once(open: &Open) {
    let store = &*open.store;
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    let asked = store.join(&asks("w-1", "image"), here(), 10).await.expect("asked");
    assert_eq!((asked.state, asked.asked_at, &*asked.address), (EnrolmentState::Pending, 10, "10.1.2.3"));
    assert!(asked.reason.contains("nightshift worker approve w-1"), "{}", asked.reason);
    let without_token = JoinRequest { token: None, ..asks("w-1", "image") };
    assert_eq!(store.join(&without_token, here(), 20).await.expect("asked again"), asked, "and changes nothing");

    let approval = Decided { name: Some("desk 17".to_owned()), ..decided(Decision::Approve) };
    let approved = store.decide("w-1", &approval, 30).await.expect("approved");
    let expected = Enrolment {
        state: EnrolmentState::Approved,
        name: "desk 17".to_owned(),
        reason: "a person said so".to_owned(),
        decided_at: Some(30),
        decided_by: Some("admin".to_owned()),
        ..asked
    };
    assert_eq!(approved, expected);
    assert_eq!(store.join(&without_token, here(), 40).await.expect("asked again"), expected);
    let known = store.access_changes(0).await.expect("changes");
    assert_eq!((known.workers.len(), &*known.workers[0].credential), (1, &*hash("w-1")));
    assert_eq!(known.tokens[0].token.uses, 1);
}

async fn a_join_token_lets_so_many_workers_ask_and_no_more(open: &Open) {
    let store = &*open.store;
    store.add_token(limited("image", None, Some(2), None), 5).await.expect("added");
    for worker in ["w-1", "w-2"] {
        store.join(&asks(worker, "image"), here(), 10).await.expect("asked");
    }
    let used_up = AccessRefusal::NoJoin(NoJoin::UsedUp { name: "image".to_owned(), limit: 2 });
    assert_eq!(refusal(store.join(&asks("w-3", "image"), here(), 10).await), used_up);
    store.join(&asks("w-2", "image"), here(), 11).await.expect("who has asked may ask again");
    assert_eq!(store.access_changes(0).await.expect("changes").workers.len(), 2);
}

async fn a_join_token_that_is_over_or_used_from_elsewhere_changes_nothing(open: &Open) {
    let store = &*open.store;
    store.add_token(limited("image", Some("10.1.0.0/16"), None, Some(50)), 5).await.expect("added");
    store.add_token(token("anna", Role::Owner), 5).await.expect("added");
    let fault = |fault| AccessRefusal::NoJoin(NoJoin::Token { name: "image".to_owned(), fault });
    assert_eq!(refusal(store.join(&asks("w-1", "image"), here(), 50).await), fault(TokenFault::Expired));
    let outside = "192.0.2.1".parse().expect("an address");
    assert_eq!(refusal(store.join(&asks("w-1", "image"), outside, 10).await), fault(TokenFault::WrongNetwork));
    let no_token = AccessRefusal::NoJoin(NoJoin::NoToken);
    assert_eq!(refusal(store.join(&asks("w-1", "forged"), here(), 10).await), no_token);
    assert_eq!(refusal(store.join(&asks("w-1", "anna"), here(), 10).await), no_token);
    let without = JoinRequest { token: None, ..asks("w-1", "image") };
    assert_eq!(refusal(store.join(&without, here(), 10).await), no_token);
    let known = store.access_changes(0).await.expect("changes");
    assert_eq!(known.workers, []);
    assert!(known.tokens.iter().all(|known| known.token.uses == 0));
}

fn rule(limit: u32) -> JoinRule {
    JoinRule {
        name: "second floor".to_owned(),
        network: "10.1.0.0/16".to_owned(),
        limit,
        approved: 0,
        expires_at: 100,
        created_at: 5,
        created_by: "admin".to_owned(),
    }
}

async fn a_rule_approves_as_many_as_it_may(open: &Open) {
    let store = &*open.store;
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    store.add_join_rule(&rule(1)).await.expect("added");
    assert_eq!(refusal(store.add_join_rule(&rule(9)).await), AccessRefusal::NameTaken("second floor".to_owned()));
    let first = store.join(&asks("w-1", "image"), here(), 10).await.expect("asked");
    assert_eq!((first.state, first.decided_by.as_deref()), (EnrolmentState::Approved, Some("second floor")));
    let second = store.join(&asks("w-2", "image"), here(), 10).await.expect("asked");
    assert_eq!(second.state, EnrolmentState::Pending);
    assert_eq!(store.join_rules().await.expect("rules"), [JoinRule { approved: 1, ..rule(1) }]);
    store.remove_join_rule("second floor").await.expect("removed");
    assert_eq!(store.join_rules().await.expect("rules"), []);
    assert_eq!(state_of(store, "w-1").await, EnrolmentState::Approved);
}

async fn of_two_workers_that_ask_at_the_same_time_a_rule_for_one_approves_one(open: &Open) {
    let store = &*open.store;
    let other = open.other.as_deref().unwrap_or(store);
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    store.add_join_rule(&rule(1)).await.expect("added");
    let (one, two) = (asks("w-1", "image"), asks("w-2", "image"));
    let (one, two) = tokio::join!(store.join(&one, here(), 10), other.join(&two, here(), 10));
    let approved = [one.expect("asked"), two.expect("asked")];
    assert_eq!(approved.iter().filter(|asked| asked.state == EnrolmentState::Approved).count(), 1);
}

async fn a_revoked_worker_is_never_let_in_again(open: &Open) {
    let store = &*open.store;
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    store.join(&asks("w-1", "image"), here(), 10).await.expect("asked");
    store.decide("w-1", &decided(Decision::Approve), 20).await.expect("approved");
    let before = store.access_changes(0).await.expect("changes").last;
    store.decide("w-1", &decided(Decision::Revoke), 30).await.expect("revoked");
    let heard = open.other.as_deref().unwrap_or(store).access_changes(before).await.expect("changes").workers;
    assert_eq!(heard.iter().map(|known| known.enrolment.state).collect::<Vec<_>>(), [EnrolmentState::Revoked]);
    let settled = AccessRefusal::Settled { worker: "w-1".to_owned(), state: "revoked" };
    assert_eq!(refusal(store.decide("w-1", &decided(Decision::Approve), 40).await), settled);
    let again = store.join(&asks("w-1", "image"), here(), 50).await.expect("it hears where it stands");
    assert_eq!(again.state, EnrolmentState::Revoked);
}

async fn a_worker_is_called_what_it_was_let_in_as_until_somebody_names_it(open: &Open) {
    let store = &*open.store;
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    for (worker, name) in [("w-1", Some("desk 17")), ("w-2", None)] {
        store.join(&asks(worker, "image"), here(), 10).await.expect("asked");
        let named = Decided { name: name.map(str::to_owned), ..decided(Decision::Approve) };
        store.decide(worker, &named, 20).await.expect("approved");
        store.report(&report(worker), "10.1.2.3", 30).await.expect("heard");
    }
    store.report(&report("w-3"), "10.1.2.3", 30).await.expect("heard, and never asked to join");
    let named = async || {
        let workers = store.workers().await.expect("listed");
        let mut names: Vec<_> = workers.into_iter().map(|worker| (worker.report.worker, worker.name)).collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(named().await, ["desk 17", "", ""]);
    let seen = store.change_worker("w-1", &WorkerChange::Name("anna's".to_owned()), 40).await.expect("known");
    assert_eq!(seen.name, "anna's");
    assert_eq!(named().await, ["anna's", "", ""]);
    assert_eq!(store.worker("w-2").await.expect("known").name, "");
}

async fn an_identity_that_comes_back_with_another_credential_changes_nothing(open: &Open) {
    let store = &*open.store;
    store.add_token(token("image", Role::Join), 5).await.expect("added");
    store.join(&asks("w-1", "image"), here(), 10).await.expect("asked");
    let thief = JoinRequest { credential: hash("another"), ..asks("w-1", "image") };
    let again = AccessRefusal::NoJoin(NoJoin::EnrolAgain);
    assert_eq!(refusal(store.join(&thief, here(), 20).await), again);
    let copy = JoinRequest { machine: "another".to_owned(), ..asks("w-1", "image") };
    assert_eq!(refusal(store.join(&copy, here(), 20).await), again);
    let known = store.access_changes(0).await.expect("changes").workers;
    assert_eq!((known.len(), &*known[0].credential), (1, &*hash("w-1")));
}

async fn a_batch_belongs_to_whoever_was_noted_first(open: &Open) {
    let store = &*open.store;
    let mut batches = Vec::new();
    for owner in ["anna", "anna", "bert"] {
        let batch = hand_in(store, &[1]).await;
        store.own_batch(batch, owner).await.expect("noted");
        batches.push(batch);
    }
    let nobodys = hand_in(store, &[1]).await;
    store.own_batch(batches[0], "bert").await.expect("noted already");
    assert_eq!(store.owner_of_batch(batches[0]).await.expect("found").as_deref(), Some("anna"));
    assert_eq!(store.owner_of_batch(nobodys).await.expect("looked"), None);
    assert_eq!(store.batches_of("anna", 10).await.expect("listed"), [batches[1], batches[0]]);
    assert_eq!(store.batches_of("anna", 1).await.expect("listed"), [batches[1]]);
    let job = store.jobs(batches[2], 0, 1).await.expect("jobs")[0].id;
    assert_eq!(store.owner_of_job(job).await.expect("found").as_deref(), Some("bert"));
    let annas = JobFilter { owner: Some("anna".to_owned()), ..JobFilter::default() };
    let found = store.find_jobs(&annas, 0, 10).await.expect("jobs").jobs;
    assert_eq!(found.iter().map(|job| job.batch).collect::<Vec<_>>(), batches[..2]);
}

async fn a_batch_that_is_gone_is_nobodys(open: &Open) {
    let store = &*open.store;
    let (kept, deleted) = (hand_in(store, &[1]).await, hand_in(store, &[1]).await);
    let broken_off = store.open_batch(new_batch(), 0).await.expect("opened");
    for batch in [kept, deleted, broken_off] {
        store.own_batch(batch, "anna").await.expect("noted");
    }
    store.delete_batch(deleted, 1).await.expect("deleted");
    store.abandon_batch(broken_off).await.expect("abandoned");
    assert_eq!(store.batches_of("anna", 10).await.expect("listed"), [kept]);
    assert_eq!(store.owner_of_batch(deleted).await.expect("looked"), None);
    assert_eq!(store.owner_of_batch(broken_off).await.expect("looked"), None);
}

async fn an_attempt_is_known_by_its_worker(open: &Open) {
    let store = &*open.store;
    hand_in(store, &[1]).await;
    let claim = claim(store, "w-1", 10).await;
    assert_eq!(store.worker_of_attempt(claim.attempt).await.expect("found").as_deref(), Some("w-1"));
    assert_eq!(store.worker_of_attempt(claim.attempt + 1).await.expect("looked"), None);
}

async fn what_does_not_exist_is_refused_by_name(open: &Open) {
    let store = &*open.store;
    assert_eq!(refusal(store.revoke_token("x", 1).await), AccessRefusal::NoSuchToken("x".to_owned()));
    let decision = decided(Decision::Approve);
    assert_eq!(refusal(store.decide("x", &decision, 1).await), AccessRefusal::NoSuchWorker("x".to_owned()));
    assert_eq!(refusal(store.remove_join_rule("x").await), AccessRefusal::NoSuchRule("x".to_owned()));
}
