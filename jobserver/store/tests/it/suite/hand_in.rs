//! Promises about batches that come in.

use nightshift_store::Refusal;
use nightshift_wire::BatchState;

use crate::{
    hands::{claim, finish, hand_in, job_records, new_batch, refusal, see, try_claim},
    place::Place,
};

pub(crate) async fn a_batch_can_be_claimed_only_after_its_last_byte(place: &dyn Place) {
    let store = place.open().await;
    let batch = store.open_batch(new_batch(), 5).await.expect("open");
    store.append_job(batch, job_records(0, 3)).await.expect("append");
    store.append_job(batch, job_records(1, 2)).await.expect("append");
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Receiving);
    assert_eq!(try_claim(&*store, "w", 6).await, None);

    let sealed = store.seal_batch(batch).await.expect("seal");
    assert_eq!((sealed.state, sealed.jobs, sealed.records, sealed.created_at), (BatchState::Open, 2, 5, 5));
    assert_eq!(claim(&*store, "w", 7).await.records, 3);
    assert_eq!(claim(&*store, "x", 7).await.records, 2);
}

pub(crate) async fn records_come_back_as_they_came_in(place: &dyn Place) {
    let store = place.open().await;
    let odd =
        ["", " ", "\"quoted\", comma", "back\\slash", "two\r\nlines", "ta\tb", "Łukasz 😀 \u{1}\u{7f}", "{\"a\":[1]}"];
    let records: Vec<Vec<String>> = odd.iter().map(|text| vec![(*text).to_owned(), "x\0y".to_owned()]).collect();
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(batch, records.clone()).await.expect("append");
    store.seal_batch(batch).await.expect("seal");

    let claim = claim(&*store, "w", 0).await;
    let given = store.records(claim.attempt, &claim.secret, &[]).await.expect("records");
    let values: Vec<Vec<String>> = given.records.into_iter().map(|record| record.values).collect();
    assert_eq!(values, records);
    finish(&*store, &claim, 1).await;
    let results = see(&*store, batch).await.results.remove(0);
    let values: Vec<Vec<String>> = results.records.into_iter().map(|row| row.record.values).collect();
    assert_eq!(values, records);
}

pub(crate) async fn a_worker_gets_the_columns_it_asks_for_in_its_order(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[2]).await;
    let claim = claim(&*store, "w", 0).await;
    let columns = ["born", "name", "born"].map(str::to_owned);
    let records = store.records(claim.attempt, &claim.secret, &columns).await.expect("records");
    assert_eq!(records.columns, columns);
    assert_eq!(records.records[1].values, ["1", "name 0/1", "1"]);

    let missing = store.records(claim.attempt, &claim.secret, &["street".to_owned()]).await;
    let missing = refusal(missing).to_string();
    assert_eq!(missing, "the batch has no column `street`; its columns are name, born");
}

pub(crate) async fn an_abandoned_batch_leaves_nothing(place: &dyn Place) {
    let store = place.open().await;
    let kept = hand_in(&*store, &[1]).await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    for job in 0..50 {
        store.append_job(batch, job_records(job, 2)).await.expect("append");
    }
    store.abandon_batch(batch).await.expect("abandon");
    assert_eq!(refusal(store.batch(batch).await), Refusal::NoSuchBatch(batch));
    assert_eq!(refusal(store.seal_batch(batch).await), Refusal::NotReceiving(batch));
    assert_eq!(refusal(store.append_job(batch, job_records(0, 1)).await), Refusal::NotReceiving(batch));
    let batches = store.batches(10).await.expect("batches");
    assert_eq!(batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [kept]);
    assert_eq!(claim(&*store, "w", 0).await.batch, kept);
    assert_eq!(try_claim(&*store, "x", 0).await, None);
}

pub(crate) async fn a_hand_in_that_its_server_did_not_survive_is_out_of_sight_at_once_and_removed_later(
    place: &dyn Place,
) {
    let store = place.open().await;
    let sealed = hand_in(&*store, &[2]).await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(batch, job_records(0, 2)).await.expect("append");
    let seen = see(&*store, sealed).await;
    drop(store);

    let store = place.open().await;
    for _before_and_after_its_rows_are_gone in 0..2 {
        assert_eq!(refusal(store.batch(batch).await), Refusal::NoSuchBatch(batch));
        assert_eq!(refusal(store.append_job(batch, job_records(1, 2)).await), Refusal::NotReceiving(batch));
        assert_eq!(see(&*store, sealed).await, seen);
        store.tidy().await.expect("tidied");
    }
}

pub(crate) async fn a_batch_or_job_without_records_is_refused(place: &dyn Place) {
    let store = place.open().await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    assert_eq!(refusal(store.seal_batch(batch).await), Refusal::NoRecords(batch));
    assert_eq!(refusal(store.append_job(batch, Vec::new()).await), Refusal::NoRecords(batch));
    assert_eq!(store.batch(batch).await.expect("batch").jobs, 0);
}

pub(crate) async fn a_ragged_record_is_refused_with_its_whole_job(place: &dyn Place) {
    let store = place.open().await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    for width in [1, 3] {
        let mut records = job_records(0, 3);
        records[1] = vec!["x".to_owned(); width];
        let ragged = refusal(store.append_job(batch, records).await);
        assert_eq!(ragged, Refusal::Ragged { batch, fields: width, columns: 2 });
    }
    let batch = store.batch(batch).await.expect("batch");
    assert_eq!((batch.jobs, batch.records), (0, 0));
}

pub(crate) async fn a_sealed_batch_is_closed(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1]).await;
    let seen = see(&*store, batch).await;
    assert_eq!(refusal(store.append_job(batch, job_records(1, 1)).await), Refusal::NotReceiving(batch));
    assert_eq!(refusal(store.seal_batch(batch).await), Refusal::NotReceiving(batch));
    assert_eq!(refusal(store.abandon_batch(batch).await), Refusal::NotReceiving(batch));
    assert_eq!(see(&*store, batch).await, seen);
}

pub(crate) async fn record_numbers_of_a_job_follow_one_another_and_are_never_used_again(place: &dyn Place) {
    let store = place.open().await;
    let mut last = 0;
    for round in 0..3 {
        // Two hand-ins at the same time: their jobs take turns.
        let kept = store.open_batch(new_batch(), 0).await.expect("open");
        let gone = store.open_batch(new_batch(), 0).await.expect("open");
        for job in 0..3 {
            store.append_job(kept, job_records(job, 4)).await.expect("append");
            store.append_job(gone, job_records(job, 5)).await.expect("append");
        }
        store.abandon_batch(gone).await.expect("abandon");
        store.seal_batch(kept).await.expect("seal");
        for job in see(&*store, kept).await.results {
            let ids: Vec<i64> = job.records.iter().map(|row| row.record.id).collect();
            assert!(ids[0] > last, "round {round}: {ids:?} after {last}");
            assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
            last = ids[ids.len() - 1];
        }
    }
}
