//! Commits in doubt, by construction: a proxy lets COMMIT through and loses the answer, or loses COMMIT itself. The store
//! cannot know which, and has to do each thing exactly once all the same.

use std::sync::Arc;

use mysql_async::{Opts, prelude::Queryable as _};
use nightshift_store::{
    NewStop, Refusal, Stops, Store, StoreError,
    mysql::{Limits, MysqlStore},
};
use nightshift_testbed::{database::Make, faults::Proxy};
use nightshift_wire::{BatchState, GiveBackCause, JobState, StopScope};
use tokio::task::JoinSet;

use crate::{
    hands::{
        LEASE, beat, claim, compute, finish, give_back, hand_in, job_records, new_batch, refusal, see, submit,
        try_claim,
    },
    makes::on_both,
    place::{MysqlPlace, open},
};

on_both!(
    a_claim_in_doubt_is_one_attempt,
    a_submission_in_doubt_is_accepted_once,
    a_job_given_back_in_doubt_fails_once,
    groups_in_doubt_while_others_follow_are_each_done_once,
    a_batch_sealed_in_doubt_is_sealed_once,
    a_hand_in_in_doubt_has_every_job_once,
    a_heartbeat_in_doubt_renews_the_lease,
    leases_taken_back_in_doubt_are_told_once,
    a_batch_abandoned_in_doubt_is_gone,
    stops_taken_away_in_doubt_are_told_all_the_same,
    what_is_in_doubt_to_the_end_is_not_said_to_be_undone,
);

/// A store that reaches its database through a proxy.
struct Scene {
    place: MysqlPlace,
    proxy: Proxy,
    store: MysqlStore,
}

/// What becomes of the commits that are lost.
#[derive(Debug, Clone, Copy)]
enum Lost {
    /// Each took place, and the store does not hear of it; so many in a row.
    Answers(u32),
    /// None took place, and the store does not hear of it.
    Commits(u32),
}

const EVERY_DOUBT: [Lost; 4] = [Lost::Answers(1), Lost::Answers(2), Lost::Commits(1), Lost::Commits(2)];

impl Scene {
    async fn set(make: Make) -> Option<Scene> {
        let place = MysqlPlace::fresh(make).await?;
        let port = Opts::from_url(place.url()).expect("an address").tcp_port();
        let proxy = Proxy::before_database(port).expect("a proxy");
        let store = open(&proxy.instead(place.url()), Limits::default()).await;
        Some(Scene { place, proxy, store })
    }

    /// Does something while commits are lost; afterwards the way is free again.
    async fn in_doubt<T>(&self, lost: Lost, verb: impl Future<Output = T>) -> T {
        let before = self.proxy.lost();
        match lost {
            Lost::Answers(times) => self.proxy.lose_answers_to_commits(times),
            Lost::Commits(times) => self.proxy.lose_commits(times),
        }
        let answer = verb.await;
        self.proxy.lose_commits(0);
        assert!(self.proxy.lost() > before, "{lost:?}: nothing was lost, so nothing was in doubt");
        answer
    }

    /// A count, as a person with a shell sees it.
    async fn count(&self, sql: &str) -> i64 {
        self.place.shell().await.query_first(sql).await.expect("a query").expect("a row")
    }
}

async fn a_claim_in_doubt_is_one_attempt(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for (attempts, lost) in (1..).zip(EVERY_DOUBT) {
        let batch = hand_in(&scene.store, &[2, 2]).await;
        let worker = format!("w{attempts}");
        let claimed = scene.in_doubt(lost, claim(&scene.store, &worker, 0)).await;
        assert_eq!(scene.count("SELECT count(*) FROM attempts WHERE state <> 'accepted'").await, 1, "{lost:?}");
        let seen = see(&scene.store, batch).await;
        let states: Vec<_> = seen.jobs.iter().map(|job| (job.state, job.pickups)).collect();
        assert_eq!(states, [(JobState::Running, 1), (JobState::Waiting, 0)], "{lost:?}");
        assert_eq!((seen.batch.jobs_running, seen.jobs[0].worker.as_deref()), (1, Some(worker.as_str())));
        assert!(!finish(&scene.store, &claimed, 1).await.repeated, "its secret is the attempt's");
        let other = claim(&scene.store, "other", 1).await;
        finish(&scene.store, &other, 2).await;
        assert_eq!(scene.store.batch(batch).await.expect("batch").state, BatchState::Done);
    }
}

async fn a_submission_in_doubt_is_accepted_once(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for (done, lost) in (1..).zip(EVERY_DOUBT) {
        let batch = hand_in(&scene.store, &[50]).await;
        let claimed = claim(&scene.store, "w", 0).await;
        let results = compute(&scene.store, &claimed).await;
        let receipt = scene.in_doubt(lost, submit(&scene.store, &claimed, results.clone(), 1)).await;
        assert!(!receipt.expect("accepted").repeated, "{lost:?}: it is the first time for whoever asks");
        let seen = see(&scene.store, batch).await;
        assert_eq!((seen.batch.state, seen.batch.results, seen.batch.jobs_done), (BatchState::Done, 50, 1));
        assert_eq!(scene.count("SELECT count(*) FROM job_results").await, 50 * done, "{lost:?}");
        let worker = scene.store.workers().await.expect("workers").remove(0);
        assert_eq!((worker.jobs_done, worker.records_done), (done as u64, 50 * done as u64), "{lost:?}");
        let again = submit(&scene.store, &claimed, results, 2).await.expect("acknowledged");
        assert!(again.repeated);
        assert_eq!(see(&scene.store, batch).await, seen);
    }
}

async fn a_job_given_back_in_doubt_fails_once(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    // A worker that fails three jobs would get no more.
    for (lost, worker) in EVERY_DOUBT.into_iter().zip(["a", "b", "c", "d"]) {
        let batch = hand_in(&scene.store, &[2]).await;
        let claimed = claim(&scene.store, worker, 0).await;
        let given = give_back(&scene.store, &claimed, GiveBackCause::Failed, "it fell over", 1);
        scene.in_doubt(lost, given).await;
        let job = see(&scene.store, batch).await.jobs.remove(0);
        assert_eq!((job.state, job.pickups, job.failures), (JobState::Waiting, 1, 1), "{lost:?}");
        // Far behind any pause between two attempts.
        finish(&scene.store, &claim(&scene.store, "x", 1_000_000_000).await, 1_000_000_001).await;
    }
}

/// Workers who come at the same time share commits, and one commit follows on the heels of another.
async fn groups_in_doubt_while_others_follow_are_each_done_once(make: Make) {
    const WORKERS: i64 = 12;
    const EACH: i64 = 6;
    let Some(scene) = Scene::set(make).await else { return };
    for (round, lost) in (1..).zip(EVERY_DOUBT) {
        let batch = hand_in(&scene.store, &[1; (WORKERS * EACH) as usize]).await;
        let store = Arc::new(open(&scene.proxy.instead(scene.place.url()), Limits::default()).await);
        let work = async {
            let mut workers = JoinSet::new();
            for worker in 0..WORKERS {
                let store = Arc::clone(&store);
                workers.spawn(async move {
                    for _ in 0..EACH {
                        let claimed = claim(&*store, &format!("w{worker}"), 0).await;
                        assert!(!finish(&*store, &claimed, 1).await.repeated);
                    }
                });
            }
            workers.join_all().await;
        };
        scene.in_doubt(lost, work).await;
        let seen = see(&scene.store, batch).await;
        assert_eq!((seen.batch.state, seen.batch.results), (BatchState::Done, (WORKERS * EACH) as u64), "{lost:?}");
        assert!(seen.jobs.iter().all(|job| job.pickups == 1), "{lost:?}: {:?}", seen.jobs);
        let all = round * WORKERS * EACH;
        assert_eq!(scene.count("SELECT count(*) FROM attempts").await, all, "{lost:?}");
        assert_eq!(scene.count("SELECT count(*) FROM attempts WHERE state = 'accepted'").await, all, "{lost:?}");
        assert_eq!(scene.count("SELECT count(*) FROM job_results").await, all, "{lost:?}");
        assert_eq!(scene.count("SELECT CAST(sum(jobs_done) AS SIGNED) FROM workers").await, all, "{lost:?}");
    }
}

async fn a_batch_sealed_in_doubt_is_sealed_once(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        let batch = scene.store.open_batch(new_batch(), 0).await.expect("open");
        for job in 0..3 {
            scene.store.append_job(batch, job_records(job, 2)).await.expect("append");
        }
        let sealed = scene.in_doubt(lost, scene.store.seal_batch(batch)).await.expect("sealed");
        assert_eq!((sealed.id, sealed.state, sealed.jobs), (batch, BatchState::Open, 3), "{lost:?}");
        assert_eq!(refusal(scene.store.seal_batch(batch).await), Refusal::NotReceiving(batch));
        for _ in 0..3 {
            let claimed = claim(&scene.store, "w", 0).await;
            assert_eq!(claimed.batch, batch);
            finish(&scene.store, &claimed, 1).await;
        }
        assert_eq!(try_claim(&scene.store, "w", 0).await, None);
    }
}

async fn a_hand_in_in_doubt_has_every_job_once(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        let batch = scene.in_doubt(lost, scene.store.open_batch(new_batch(), 0)).await.expect("open");
        for job in 0..3 {
            scene.in_doubt(lost, scene.store.append_job(batch, job_records(job, 4))).await.expect("append");
        }
        let jobs = (0..2).map(|job| job_records(3 + job, 4)).collect();
        scene.in_doubt(lost, scene.store.append_jobs(batch, jobs)).await.expect("append");
        let sealed = scene.store.seal_batch(batch).await.expect("sealed");
        assert_eq!((sealed.jobs, sealed.records), (5, 20), "{lost:?}");
        let seen = see(&scene.store, batch).await;
        let names: Vec<_> = seen.results.iter().flat_map(|job| &job.records).map(|row| &row.record.values).collect();
        let expected: Vec<_> = (0..5).flat_map(|job| job_records(job, 4)).collect();
        assert_eq!(names, expected.iter().collect::<Vec<_>>(), "{lost:?}");
    }
    assert_eq!(scene.count("SELECT count(*) FROM batches").await, EVERY_DOUBT.len() as i64);
    assert_eq!(scene.count("SELECT count(*) FROM job_records").await, 20 * EVERY_DOUBT.len() as i64);
}

async fn a_heartbeat_in_doubt_renews_the_lease(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        hand_in(&scene.store, &[2]).await;
        let claimed = claim(&scene.store, "w", 0).await;
        let soon_over = LEASE as i64 - 1;
        let lease = scene.in_doubt(lost, beat(&scene.store, &claimed, soon_over)).await;
        assert_eq!(lease.lease_ms, Some(LEASE), "{lost:?}");
        assert_eq!(scene.store.expire(soon_over + 1).await.expect("expire"), []);
        finish(&scene.store, &claimed, soon_over + 1).await;
    }
}

async fn leases_taken_back_in_doubt_are_told_once(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        let batch = hand_in(&scene.store, &[2]).await;
        let claimed = claim(&scene.store, "w", 0).await;
        let told = scene.in_doubt(lost, scene.store.expire(LEASE as i64)).await.expect("expire");
        let attempts: Vec<_> = told.iter().map(|lost| lost.attempt).collect();
        assert_eq!(attempts, [claimed.attempt], "{lost:?}");
        assert_eq!(scene.store.expire(LEASE as i64).await.expect("expire"), []);
        let job = see(&scene.store, batch).await.jobs.remove(0);
        assert_eq!((job.state, job.pickups), (JobState::Waiting, 1), "{lost:?}");
        finish(&scene.store, &claimed, LEASE as i64).await;
    }
}

async fn a_batch_abandoned_in_doubt_is_gone(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        let batch = scene.store.open_batch(new_batch(), 0).await.expect("open");
        scene.store.append_job(batch, job_records(0, 2)).await.expect("append");
        scene.in_doubt(lost, scene.store.abandon_batch(batch)).await.expect("abandoned");
        assert_eq!(refusal(scene.store.batch(batch).await), Refusal::NoSuchBatch(batch));
    }
    assert_eq!(scene.count("SELECT count(*) FROM job_records").await, 0);
    assert_eq!(scene.count("SELECT count(*) FROM batches").await, 0);
}

async fn what_is_in_doubt_to_the_end_is_not_said_to_be_undone(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    let mut unsealed = 0;
    for (lost, state) in [(Lost::Answers(u32::MAX), BatchState::Open), (Lost::Commits(u32::MAX), BatchState::Receiving)]
    {
        let batch = scene.store.open_batch(new_batch(), 0).await.expect("open");
        scene.store.append_job(batch, job_records(0, 2)).await.expect("append");
        let error = scene.in_doubt(lost, scene.store.seal_batch(batch)).await.expect_err("every answer is lost");
        assert!(matches!(error, StoreError::Unknown { .. }) && error.is_retryable(), "{lost:?}: {error:?}");
        let receiving = scene.count("SELECT count(*) FROM batches WHERE state = 'receiving'").await == 1;
        assert_eq!(receiving, state == BatchState::Receiving, "{lost:?}");
        unsealed = batch;
    }
    assert_eq!(scene.store.seal_batch(unsealed).await.expect("sealed now").state, BatchState::Open);
    let claimed = claim(&scene.store, "w", 0).await;
    let results = compute(&scene.store, &claimed).await;
    let submit = || submit(&scene.store, &claimed, results.clone(), 1);
    let error = scene.in_doubt(Lost::Commits(u32::MAX), submit()).await.expect_err("every commit is lost");
    assert!(matches!(error, StoreError::Unknown { .. }), "{error:?}");
    assert!(!submit().await.expect("accepted").repeated, "handing in again is safe");
    let read = scene.store.batches(1);
    scene.proxy.close();
    assert!(matches!(read.await, Err(StoreError::Away { .. })), "who only reads has no doubt");
    scene.proxy.heal();
}

async fn stops_taken_away_in_doubt_are_told_all_the_same(make: Make) {
    let Some(scene) = Scene::set(make).await else { return };
    for lost in EVERY_DOUBT {
        let fire = NewStop { reason: "fire".to_owned(), scope: StopScope::default(), by: "anna".to_owned() };
        scene.store.add_stop(&fire, 1).await.expect("raised");
        let told = scene.in_doubt(lost, scene.store.clear_stops()).await.expect("cleared");
        assert_eq!(told.len(), 1, "{lost:?}");
        assert_eq!(scene.store.stops().await.expect("read"), []);
    }
}
