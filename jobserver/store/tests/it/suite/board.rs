//! Promises about what the dashboard shows.

use nightshift_store::{BatchFilter, HourOfWork, ReplicasNow, SpoolNow, WorkNow, WorkerFilter, WorkersWhy};
use nightshift_wire::{
    BatchId, BatchState, GiveBackCause, Reason, ReplicaReport, ReplicaState, Spool, WorkerChange, WorkerState,
};

use crate::{
    hands::{PLUGIN, claim, finish, give_back, hand_in, refusal, report},
    place::Place,
};

const HOUR: i64 = 3_600_000;

pub(crate) async fn all_batches_are_counted_together(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.work_now().await.expect("counted"), WorkNow::default());
    hand_in(&*store, &[4, 4]).await;
    hand_in(&*store, &[3]).await;
    for _ in 0..2 {
        finish(&*store, &claim(&*store, "a", 0).await, 1).await;
    }
    let now = WorkNow { results: 8, open_batches: 1, open_records: 3, open_results: 0 };
    assert_eq!(store.work_now().await.expect("counted"), now);
}

pub(crate) async fn batches_are_paged_by_number_and_found_by_where_they_stand(place: &dyn Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(hand_in(&*store, &[1]).await);
    }
    finish(&*store, &claim(&*store, "a", 0).await, 1).await;
    let found = async |state, before, limit| {
        let filter = BatchFilter { state, owner: None };
        let found = store.find_batches(&filter, before, limit).await.expect("found");
        found.into_iter().map(|batch| batch.id).collect::<Vec<_>>()
    };
    assert_eq!(found(None, BatchId::MAX, 2).await, [ids[2], ids[1]]);
    assert_eq!(found(None, ids[1], 2).await, [ids[0]]);
    assert_eq!(found(Some(BatchState::Done), BatchId::MAX, 9).await, [ids[0]]);
    assert_eq!(found(Some(BatchState::Open), BatchId::MAX, 9).await, [ids[2], ids[1]]);
    let nobodys = BatchFilter { state: None, owner: Some("anna".to_owned()) };
    assert_eq!(store.find_batches(&nobodys, BatchId::MAX, 9).await.expect("found"), []);
}

pub(crate) async fn workers_are_counted_and_found_as_they_are_shown(place: &dyn Place) {
    let store = place.open().await;
    for (worker, release, behind_ms, at) in
        [("w-1", "v1.0.0", None, 5), ("w-2", "v1.0.0", Some(7_000), 100), ("w-3", "v1.1.0", Some(9_000), 100)]
    {
        let state = if behind_ms.is_some() { ReplicaState::Behind } else { ReplicaState::Current };
        let replica = ReplicaReport { state, behind_ms, ..replica() };
        let mut said = report(worker);
        said.reason = "the office is open".to_owned();
        (said.release, said.replica) = (release.to_owned(), Some(replica));
        said.spool = behind_ms.map(|behind_ms| Spool { jobs: 2, bytes: behind_ms }).unwrap_or_default();
        store.report(&said, "10.0.0.1", at).await.expect("kept");
    }
    let shown = store.worker("w-2").await.expect("known").report.state;
    let shown = serde_json::to_value(shown).expect("a word").as_str().expect("a word").to_owned();
    let drain = WorkerChange::Drain(Reason { reason: "hot".to_owned() });
    store.change_worker("w-3", &drain, 100).await.expect("drained");

    let now = store.workers_now(50).await.expect("counted");
    let state = |word: &str| now.states.iter().find(|(state, _)| state == word).map(|(_, workers)| *workers);
    assert_eq!((state("away"), state("drained"), state(&shown)), (Some(1), Some(1), Some(1)), "{now:?}");
    let why = |shown: &str, why: &str| WorkersWhy { shown: shown.to_owned(), why: why.to_owned(), workers: 1 };
    for reason in [why("away", ""), why("drained", "hot"), why(&shown, "the office is open")] {
        assert!(now.reasons.contains(&reason), "{reason:?} of {:?}", now.reasons);
    }
    assert_eq!(now.releases, [("v1.0.0".to_owned(), 1), ("v1.1.0".to_owned(), 1)], "who is away runs nothing");
    assert_eq!(now.replicas, [ReplicasNow { state: ReplicaState::Behind, workers: 2, behind_ms: Some(9_000) }]);

    assert_eq!(now.spool, SpoolNow { workers: 2, spool: Spool { jobs: 4, bytes: 16_000 } });
    assert_eq!(store.worker("w-2").await.expect("known").report.spool, Spool { jobs: 2, bytes: 7_000 });

    let found = async |filter: WorkerFilter, after: &str, limit| {
        let found = store.find_workers(&WorkerFilter { away_before: 50, ..filter }, after, limit).await.expect("found");
        found.into_iter().map(|worker| worker.report.worker).collect::<Vec<_>>()
    };
    let all = WorkerFilter::default;
    assert_eq!(found(all(), "", 2).await, ["w-1", "w-2"]);
    assert_eq!(found(all(), "w-2", 2).await, ["w-3"]);
    assert_eq!(found(WorkerFilter { shown: Some("away".to_owned()), ..all() }, "", 9).await, ["w-1"]);
    assert_eq!(found(WorkerFilter { shown: Some("drained".to_owned()), ..all() }, "", 9).await, ["w-3"]);
    assert_eq!(found(WorkerFilter { release: Some("v1.0.0".to_owned()), ..all() }, "", 9).await, ["w-1", "w-2"]);
    assert_eq!(found(WorkerFilter { text: Some("W-2".to_owned()), ..all() }, "", 9).await, ["w-2"]);
    assert_eq!(found(WorkerFilter { text: Some("%".to_owned()), ..all() }, "", 9).await, [""; 0], "no pattern");

    let mut at_work = report("w-2");
    (at_work.state, at_work.reason) = (WorkerState::Working, "job 7 (names), 3 of 9 records".to_owned());
    store.report(&at_work, "10.0.0.1", 100).await.expect("kept");
    let now = store.workers_now(50).await.expect("counted");
    assert!(now.reasons.contains(&why("working", "")), "each job would be a reason of its own: {:?}", now.reasons);
}

fn replica() -> ReplicaReport {
    serde_json::from_value(serde_json::json!({ "state": "current", "reason": "" })).expect("the rest may be left out")
}

pub(crate) async fn work_is_counted_by_the_hour_in_which_it_ended(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[4; 4]).await;
    let [one, two, three, four] = [
        claim(&*store, "a", 0).await,
        claim(&*store, "b", 0).await,
        claim(&*store, "c", 0).await,
        claim(&*store, "d", 0).await,
    ];
    finish(&*store, &one, 1).await;
    finish(&*store, &two, HOUR - 1).await;
    finish(&*store, &three, HOUR).await;
    give_back(&*store, &four, GiveBackCause::Failed, "it broke", HOUR + 1).await;
    assert_eq!(store.hours(0).await.expect("read"), [], "nothing is counted by itself");
    for attempts in [[one.attempt, three.attempt], [two.attempt, four.attempt]] {
        store.count_work(&attempts).await.expect("counted");
    }
    let hour = |hour, jobs, failures| HourOfWork {
        hour,
        plugin: PLUGIN.to_owned(),
        jobs,
        records: 4 * jobs,
        // Of any four records that follow one another one is an error.
        errors: jobs,
        work_ms: 10 * jobs,
        failures,
    };
    assert_eq!(store.hours(0).await.expect("read"), [hour(0, 2, 0), hour(HOUR, 1, 1)]);
    assert_eq!(store.hours(1).await.expect("read"), [hour(HOUR, 1, 1)]);
}

pub(crate) async fn a_batch_is_drawn_by_when_its_jobs_were_done(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[4; 4]).await;
    hand_in(&*store, &[4]).await;
    assert_eq!(store.batch_over_time(batch, 1_000).await.expect("read"), []);
    for at in [5, 999, 2_000] {
        finish(&*store, &claim(&*store, "a", 0).await, at).await;
    }
    assert_eq!(store.batch_over_time(batch, 1_000).await.expect("read"), [(0, 8, 2), (2_000, 4, 1)]);
}

pub(crate) async fn errors_that_are_alike_are_counted_together(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[8, 8]).await;
    assert_eq!(store.errors_by_kind(batch, 100).await.expect("read"), []);
    for _ in 0..2 {
        finish(&*store, &claim(&*store, "a", 0).await, 1).await;
    }
    let kinds = store.errors_by_kind(batch, 100).await.expect("read");
    assert_eq!(kinds.iter().map(|(_, records)| records).sum::<u64>(), 4, "{kinds:?}");
    assert_eq!(store.errors_by_kind(batch, 3).await.expect("read").iter().map(|(_, records)| records).sum::<u64>(), 3);
    refusal(store.errors_by_kind(batch + 1, 100).await);
}
