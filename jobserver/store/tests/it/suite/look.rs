//! Promises about what people look at.

use nightshift_store::{Counts, Refusal};
use nightshift_wire::{GiveBackCause, JobState, Outcome, Report, WorkerState};

use crate::{
    hands::{BACK_OFF, claim, finish, give_back, hand_in, new_batch, refusal, report, see, try_claim},
    place::Place,
};

pub(crate) async fn results_come_in_input_order_job_by_job(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[3, 2, 3]).await;
    let first = claim(&*store, "a", 0).await;
    let second = claim(&*store, "b", 0).await;
    finish(&*store, &second, 1).await;

    let results = see(&*store, batch).await.results;
    let names: Vec<&str> = results.iter().flat_map(|job| &job.records).map(|row| &*row.record.values[0]).collect();
    let expected = ["0/0", "0/1", "0/2", "1/0", "1/1", "2/0", "2/1", "2/2"].map(|place| format!("name {place}"));
    assert_eq!(names, expected);
    let done: Vec<bool> = results.iter().map(|job| job.records.iter().all(|row| row.outcome.is_some())).collect();
    assert_eq!(done, [false, true, false]);
    assert_eq!(results[0].missing().as_deref(), Some("not processed yet"));
    assert_eq!(store.results(batch, 3).await.expect("results"), None);

    finish(&*store, &first, 2).await;
    for row in &see(&*store, batch).await.results[0].records {
        let name = &row.record.values[0];
        match row.outcome.as_ref().expect("an outcome") {
            Outcome::Error(error) => assert_eq!(*error, format!("nobody is called {name}")),
            Outcome::Ok(values) => {
                assert_eq!((&values["person"], &values["score"]), (&name.as_str().into(), &0.1.into()));
            }
        }
    }
}

pub(crate) async fn jobs_come_in_pages_and_tell_their_story(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 2, 3, 4]).await;
    let failing = claim(&*store, "a", 5).await;
    give_back(&*store, &failing, GiveBackCause::Failed, "no such table: people", 6).await;
    let running = claim(&*store, "b", BACK_OFF).await;

    let jobs = store.jobs(batch, 0, 10).await.expect("jobs");
    assert_eq!(jobs.iter().map(|job| job.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(jobs.iter().map(|job| job.records).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let first = &jobs[0];
    assert_eq!((first.id, first.state, first.pickups, first.failures), (running.job, JobState::Running, 2, 1));
    assert_eq!((first.worker.as_deref(), first.started_at, &*first.reason), (Some("b"), Some(BACK_OFF), ""));
    assert_eq!(store.jobs(batch, 1, 2).await.expect("jobs"), jobs[1..3]);
    assert_eq!(store.jobs(batch, 4, 2).await.expect("jobs"), []);
}

pub(crate) async fn batches_come_newest_first(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.batches(5).await.expect("batches"), []);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, hand_in(&*store, &[1]).await);
    }
    ids.insert(0, store.open_batch(new_batch(), 0).await.expect("open"));
    let batches = store.batches(3).await.expect("batches");
    assert_eq!(batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), ids[..3]);
    assert_eq!(batches[1].columns, ["name", "born"]);
    assert_eq!(batches[1].outputs, ["person", "score"]);
}

pub(crate) async fn the_grid_is_counted(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.counts(0).await.expect("counts"), Counts::default());
    hand_in(&*store, &[1; 6]).await;
    let receiving = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(receiving, crate::hands::job_records(0, 1)).await.expect("append");
    for failure in 0..3 {
        let claim = claim(&*store, "failing", failure * BACK_OFF).await;
        give_back(&*store, &claim, GiveBackCause::Failed, "no", failure * BACK_OFF).await;
    }
    let now = 3 * BACK_OFF;
    finish(&*store, &claim(&*store, "early", now + 10).await, now + 10).await;
    claim(&*store, "a", now + 20).await;
    claim(&*store, "b", now + 30).await;
    let counts = Counts {
        jobs_waiting: 2,
        jobs_running: 2,
        jobs_done: 1,
        jobs_quarantined: 1,
        jobs_suspended: 0,
        jobs_deleted: 0,
        workers: 2,
    };
    assert_eq!(store.counts(now + 20).await.expect("counts"), counts);
    assert_eq!(store.counts(0).await.expect("counts").workers, 4);
}

pub(crate) async fn a_worker_is_known_by_its_last_report(place: &dyn Place) {
    let store = place.open().await;
    store.report(&report("w1"), "10.0.0.1", 5).await.expect("report");
    store.report(&report("w2"), "10.0.0.2", 6).await.expect("report");
    let stopped = Report { state: WorkerState::Stopped, reason: "STOP".to_owned(), ..report("w1") };
    store.report(&stopped, "10.0.0.9", 7).await.expect("report");

    let workers = store.workers().await.expect("workers");
    let names: Vec<&str> = workers.iter().map(|worker| worker.report.worker.as_str()).collect();
    assert_eq!(names, ["w1", "w2"]);
    assert_eq!(workers[0].report, stopped);
    assert_eq!((workers[0].first_seen, workers[0].last_seen, &*workers[0].address), (5, 7, "10.0.0.9"));

    // A clock that went back does not make a worker look gone.
    store.report(&report("w1"), "10.0.0.1", 1).await.expect("report");
    assert_eq!(store.workers().await.expect("workers")[0].last_seen, 7);
}

pub(crate) async fn a_worker_that_never_reported_is_known_by_its_work(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[3, 4]).await;
    for now in [10, 20] {
        finish(&*store, &claim(&*store, "w", now).await, now).await;
    }
    assert_eq!(try_claim(&*store, "idle", 30).await, None);
    let workers = store.workers().await.expect("workers");
    assert_eq!(workers.len(), 1);
    let worker = &workers[0];
    assert_eq!((worker.jobs_done, worker.records_done), (2, 7));
    assert_eq!((worker.first_seen, worker.last_seen), (10, 20));

    store.report(&report("w"), "10.0.0.1", 25).await.expect("report");
    let worker = store.workers().await.expect("workers").remove(0);
    assert_eq!((worker.jobs_done, worker.first_seen, worker.report), (2, 10, report("w")));
}

pub(crate) async fn what_does_not_exist_is_not_found(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(refusal(store.batch(7).await), Refusal::NoSuchBatch(7));
    assert_eq!(refusal(store.jobs(7, 0, 1).await), Refusal::NoSuchBatch(7));
    assert_eq!(refusal(store.results(7, 0).await), Refusal::NoSuchBatch(7));
    assert_eq!(refusal(store.seal_batch(7).await), Refusal::NotReceiving(7));
    assert_eq!(refusal(store.abandon_batch(7).await), Refusal::NotReceiving(7));
}
