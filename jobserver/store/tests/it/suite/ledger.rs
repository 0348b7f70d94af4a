//! Promises about what was handed in and what came of it.

use nightshift_rules::sizing::Measured;
use nightshift_store::{Computed, Input, Noted, Refusal, Store};
use nightshift_wire::{BatchId, BatchState};

use crate::{
    hands::{PLUGIN, claim, compute, finish, hand_in, job_records, new_batch, refusal, submission},
    place::Place,
};

fn input(key: Option<&str>) -> Input {
    Input {
        digest: "0123456789abcdef".repeat(4),
        bytes: 12,
        parameters: "{\"plugin\":\"match-person\"}".to_owned(),
        key: key.map(str::to_owned),
    }
}

/// A batch whose records are all there.
async fn appended(store: &dyn Store) -> BatchId {
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(batch, job_records(0, 2)).await.expect("append");
    batch
}

pub(crate) async fn a_key_stands_for_one_batch(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.input_of_key("monday").await.expect("looked up"), None);
    let first = appended(&*store).await;
    assert_eq!(store.note_input(first, &input(Some("monday"))).await.expect("noted"), Noted::First);
    store.seal_batch(first).await.expect("sealed");

    let second = appended(&*store).await;
    let other = Input { digest: "f".repeat(64), ..input(Some("monday")) };
    let before = Noted::Before { batch: first, input: input(Some("monday")) };
    assert_eq!(store.note_input(second, &other).await.expect("answered"), before);
    assert_eq!(store.note_input(second, &input(Some("Monday"))).await.expect("noted"), Noted::First, "another key");
    assert_eq!(store.input_of_key("monday").await.expect("looked up"), Some((first, input(Some("monday")))));
    assert_eq!(store.input(first).await.expect("read"), Some(input(Some("monday"))));
}

pub(crate) async fn batches_without_a_key_are_never_one(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..2 {
        let batch = appended(&*store).await;
        assert_eq!(store.note_input(batch, &input(None)).await.expect("noted"), Noted::First);
        store.seal_batch(batch).await.expect("sealed");
        assert_eq!(store.input(batch).await.expect("read"), Some(input(None)));
    }
    let unnoted = hand_in(&*store, &[1]).await;
    assert_eq!(store.input(unnoted).await.expect("read"), None);
}

pub(crate) async fn of_hand_ins_with_one_key_at_the_same_instant_one_is_first(place: &dyn Place) {
    let store = place.open().await;
    let batches = [appended(&*store).await, appended(&*store).await, appended(&*store).await];
    let key = input(Some("monday"));
    let (one, two, three) = tokio::join!(
        store.note_input(batches[0], &key),
        store.note_input(batches[1], &key),
        store.note_input(batches[2], &key)
    );
    let noted = [one, two, three].map(|noted| noted.expect("noted"));
    let first = noted.iter().position(|noted| *noted == Noted::First).expect("one is the first");
    for (index, noted) in noted.iter().enumerate().filter(|(index, _)| *index != first) {
        assert_eq!(*noted, Noted::Before { batch: batches[first], input: key.clone() }, "hand-in {index}");
    }
}

pub(crate) async fn a_key_is_free_again_when_its_hand_in_broke_off(place: &dyn Place) {
    let store = place.open().await;
    let gone = appended(&*store).await;
    store.note_input(gone, &input(Some("monday"))).await.expect("noted");
    store.abandon_batch(gone).await.expect("abandoned");
    assert_eq!(store.input_of_key("monday").await.expect("looked up"), None);

    // A server that dies between noting and sealing leaves nothing either.
    let dead = appended(&*store).await;
    assert_eq!(store.note_input(dead, &input(Some("monday"))).await.expect("noted"), Noted::First);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.input_of_key("monday").await.expect("looked up"), None);
    let kept = appended(&*store).await;
    assert_eq!(store.note_input(kept, &input(Some("monday"))).await.expect("noted"), Noted::First);
    assert_eq!(store.seal_batch(kept).await.expect("sealed").state, BatchState::Open);
}

pub(crate) async fn an_input_is_noted_only_while_its_batch_is_handed_in(place: &dyn Place) {
    let store = place.open().await;
    let sealed = hand_in(&*store, &[1]).await;
    for batch in [sealed, sealed + 1_000] {
        let refused = store.note_input(batch, &input(Some("late"))).await;
        assert_eq!(refusal(refused), Refusal::NotReceiving(batch));
    }
    assert_eq!(store.input_of_key("late").await.expect("looked up"), None);
}

pub(crate) async fn results_are_counted_by_release_and_worker(place: &dyn Place) {
    let store = place.open().await;
    // Every fourth record is an error.
    let batch = hand_in(&*store, &[4, 4, 4, 2]).await;
    for (worker, release) in [("a", "v1.0.0"), ("b", "v1.0.0"), ("b", "v1.1.0")] {
        let claim = claim(&*store, worker, 0).await;
        let mut submission = submission(&claim, compute(&*store, &claim).await);
        submission.provenance.release = release.to_owned();
        store.submit(claim.attempt, submission, 1).await.expect("accepted");
    }
    let computed = |release: &str, worker: &str| Computed {
        release: release.to_owned(),
        commit: "c".repeat(40),
        worker: worker.to_owned(),
        position: None,
        jobs: 1,
        results: 4,
        errors: 1,
    };
    let all = [computed("v1.0.0", "a"), computed("v1.0.0", "b"), computed("v1.1.0", "b")];
    assert_eq!(store.computed(batch, 0, 10).await.expect("counted"), all);
    assert_eq!(store.computed(batch, 1, 3).await.expect("counted"), all[1..]);
    assert_eq!(store.computed(batch, 3, 10).await.expect("counted"), []);
}

pub(crate) async fn jobs_with_errors_are_found_by_their_places(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1, 1, 1, 1, 4]).await;
    for worker in ["a", "b", "c", "d", "e"] {
        finish(&*store, &claim(&*store, worker, 0).await, 1).await;
    }
    // Record 4 is an error; the last job has one too, once it is done.
    assert_eq!(store.jobs_with_errors(batch, 0, 10).await.expect("found"), [3]);
    finish(&*store, &claim(&*store, "f", 0).await, 1).await;
    assert_eq!(store.jobs_with_errors(batch, 0, 10).await.expect("found"), [3, 5]);
    assert_eq!(store.jobs_with_errors(batch, 4, 5).await.expect("found"), [0_u64; 0]);
}

pub(crate) async fn the_speed_of_a_plugin_is_that_of_accepted_work(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.speed(PLUGIN).await.expect("asked"), Measured::default());
    hand_in(&*store, &[3]).await;
    finish(&*store, &claim(&*store, "w", 0).await, 1).await;
    assert_eq!(store.speed(PLUGIN).await.expect("asked"), Measured { records: 3, work_ms: 10 });
}
