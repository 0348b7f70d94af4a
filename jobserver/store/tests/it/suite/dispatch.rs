//! Promises about who gets which jobs, when, and for how long.

use std::{collections::BTreeMap, sync::Arc};

use nightshift_store::{NewBatch, Refusal, Store};
use nightshift_wire::{
    BatchState, ClaimRequest, ErrorRate, GiveBackCause, JobState, Machine, Outcome, RecordResult, Requirements,
    WorkerChange,
};

use crate::{
    hands::{
        BACK_OFF, LEASE, beat, claim, claim_as, compute, finish, give_back, hand_in, hand_in_as, new_batch, report,
        request, see, submission, submit, try_claim,
    },
    place::Place,
};

pub(crate) async fn a_worker_gets_as_many_jobs_as_it_asks_for_in_their_order(place: &dyn Place) {
    let store = place.open().await;
    let first = hand_in(&*store, &[1, 1]).await;
    let urgent = hand_in_as(&*store, NewBatch { priority: 3, ..new_batch() }, &[1]).await;
    let last = hand_in(&*store, &[1; 3]).await;
    let claims = store.claim(&ClaimRequest { max: 5, ..request("w") }, 0).await.expect("claim");
    let batches: Vec<i64> = claims.iter().map(|claim| claim.batch).collect();
    assert_eq!(batches, [urgent, first, first, last, last]);
    assert_eq!(store.claim(&ClaimRequest { max: 100, ..request("x") }, 0).await.expect("claim").len(), 1);
    for claim in &claims {
        finish(&*store, claim, 1).await;
    }
}

pub(crate) async fn a_prefetched_job_has_the_lease_of_the_one_before_it_as_well(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1; 5]).await;
    let first = claim(&*store, "w", 0).await;
    let holding = vec![first.attempt];
    let behind = ClaimRequest { behind: Some(first.attempt), holding, max: 2, ..request("w") };
    let next = store.claim(&behind, 0).await.expect("claim");
    assert_eq!(next.iter().map(|claim| claim.lease_ms).collect::<Vec<_>>(), [2 * LEASE, 3 * LEASE]);
    assert_eq!(beat(&*store, &next[0], 1).await.lease_ms, Some(2 * LEASE));
    // What is in hand counts with its own length: leases do not grow from job to job.
    let holding = vec![first.attempt, next[0].attempt, next[1].attempt];
    let ahead = ClaimRequest { behind: Some(next[1].attempt), holding, ..request("w") };
    assert_eq!(claim_as(&*store, &ahead, 1).await.expect("a job").lease_ms, 2 * LEASE);
    // Behind what another worker has, nothing is longer.
    let other = claim_as(&*store, &ClaimRequest { behind: Some(first.attempt), ..request("x") }, 0).await;
    assert_eq!(other.expect("a job").lease_ms, LEASE);
}

pub(crate) async fn a_job_goes_only_to_a_worker_that_meets_its_requirements(place: &dyn Place) {
    let store = place.open().await;
    let tags = ["gpu".to_owned()].into();
    let asked = Requirements { memory_mb: 512, disk_mb: 100, tags, release: Some("1.0.0".to_owned()) };
    hand_in_as(&*store, NewBatch { requirements: asked, priority: 5, ..new_batch() }, &[1, 1]).await;
    let easy = hand_in(&*store, &[1]).await;
    let machine = Machine { memory_mb: 512, disk_mb: 100 };
    store.report(&report("w"), "10.0.0.1", 0).await.expect("report");
    let able = ClaimRequest { machine, ..request("w") };
    let got = claim_as(&*store, &able, 0).await.expect("a job");
    assert_eq!(got.batch, easy, "it lacks the tag");
    let able = ClaimRequest { holding: vec![got.attempt], ..able };
    assert_eq!(claim_as(&*store, &able, 0).await, None);

    let tagged = WorkerChange::Tags(["gpu".to_owned(), "big".to_owned()].into());
    store.change_worker("w", &tagged, 1).await.expect("a known worker");
    for short in [
        ClaimRequest { machine: Machine { memory_mb: 511, ..machine }, ..able.clone() },
        ClaimRequest { machine: Machine { disk_mb: 0, ..machine }, ..able.clone() },
        ClaimRequest { release: "v0.9.0".to_owned(), ..able.clone() },
    ] {
        assert_eq!(claim_as(&*store, &short, 2).await, None, "{short:?}");
    }
    assert!(claim_as(&*store, &able, 3).await.is_some());
}

pub(crate) async fn a_job_that_failed_waits_longer_each_time(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_as(&*store, NewBatch { max_attempts: 9, ..new_batch() }, &[1]).await;
    let mut now = 1_000;
    for wait in [30_000, 60_000, 120_000] {
        let failing = claim(&*store, "w", now).await;
        give_back(&*store, &failing, GiveBackCause::Failed, "no such table", now).await;
        assert_eq!(see(&*store, batch).await.jobs[0].not_before, Some(now + wait));
        assert_eq!(try_claim(&*store, "w", now + wait - 1).await, None);
        now += wait;
    }
    // Also a server that was restarted keeps to it.
    give_back(&*store, &claim(&*store, "w", now).await, GiveBackCause::Failed, "no", now).await;
    drop(store);
    let store = place.open().await;
    assert_eq!(try_claim(&*store, "w", now + 239_999).await, None);
    finish(&*store, &claim(&*store, "w", now + 240_000).await, now + 240_000).await;
}

pub(crate) async fn a_job_that_failed_does_not_wait_for_a_clock_that_went_back(place: &dyn Place) {
    let year = 365 * 24 * 60 * 60 * 1000;
    let store = place.open().await;
    hand_in_as(&*store, NewBatch { max_attempts: 9, ..new_batch() }, &[1]).await;
    give_back(&*store, &claim(&*store, "w", year).await, GiveBackCause::Failed, "no such table", year).await;
    assert_eq!(try_claim(&*store, "w", year + 1).await, None);
    let again = claim(&*store, "w", 1).await;
    give_back(&*store, &again, GiveBackCause::Failed, "no such table", 1).await;
    assert_eq!(try_claim(&*store, "w", 60_000).await, None, "by the clock as it is now it waits");
    finish(&*store, &claim(&*store, "w", 60_001).await, 60_002).await;
}

pub(crate) async fn a_job_that_lost_its_worker_ten_times_is_quarantined(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1]).await;
    let lease = i64::try_from(LEASE).expect("short");
    for loss in 1..=10 {
        claim(&*store, "w", loss * lease).await;
        let lost = store.expire((loss + 1) * lease).await.expect("expire");
        let state = if loss < 10 { JobState::Waiting } else { JobState::Quarantined };
        assert_eq!(lost.iter().map(|lost| lost.state).collect::<Vec<_>>(), [state], "what whoever asked is told");
    }
    let job = see(&*store, batch).await.jobs.remove(0);
    assert_eq!((job.state, job.losses, job.failures), (JobState::Quarantined, 10, 0));
    assert!(job.reason.contains("10 times"), "{}", job.reason);
    assert_eq!(try_claim(&*store, "w", 20 * lease).await, None);
}

pub(crate) async fn leases_are_extended_once_by_the_time_without_a_server(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1]).await;
    let lease = i64::try_from(LEASE).expect("short");
    assert_eq!(store.alive(0).await.expect("alive"), None);
    let held = claim(&*store, "w", 0).await;
    assert_eq!(store.alive(10_000).await.expect("alive"), None, "a short time is none");
    drop(store);

    let store = place.open().await;
    let back = 10_000 + 2 * lease;
    assert_eq!(store.alive(back).await.expect("alive"), Some(2 * LEASE));
    assert_eq!(store.alive(back).await.expect("alive"), None, "once");
    assert_eq!(store.expire(3 * lease - 1).await.expect("expire"), []);
    let lost = store.expire(3 * lease).await.expect("expire");
    assert_eq!(lost.iter().map(|lost| lost.attempt).collect::<Vec<_>>(), [held.attempt]);
}

pub(crate) async fn of_several_submissions_each_is_judged_by_itself(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2, 2, 2]).await;
    let claims = store.claim(&ClaimRequest { max: 3, ..request("w") }, 0).await.expect("claim");
    let mut submissions = Vec::new();
    for claim in &claims {
        submissions.push((claim.attempt, submission(claim, compute(&*store, claim).await)));
    }
    submissions[1].1.results.pop();
    submissions.push((submissions[0].0, submissions[0].1.clone()));
    submissions.push((999, submissions[0].1.clone()));
    let answers = store.submit_many(submissions, 1).await;
    let told: Vec<Result<bool, Refusal>> = answers
        .into_iter()
        .map(|answer| {
            answer.map(|receipt| receipt.repeated).map_err(|error| error.refusal().cloned().expect("refused"))
        })
        .collect();
    assert!(matches!(told[1], Err(Refusal::WrongResults(_))), "{told:?}");
    assert_eq!((&told[0], &told[2], &told[3]), (&Ok(false), &Ok(false), &Ok(true)));
    assert_eq!(told[4], Err(Refusal::NoSuchAttempt(999)));
    let seen = store.batch(batch).await.expect("batch");
    assert_eq!((seen.jobs_done, seen.jobs_running, seen.results), (2, 1, 4));
}

pub(crate) async fn a_result_that_a_database_could_never_take_is_refused_for_good(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1]).await;
    let claimed = claim(&*store, "w", 0).await;
    let mut large = submission(&claimed, compute(&*store, &claimed).await);
    let (record, longest) = (large.results[0].id, 8 << 20);
    large.results[0].outcome = Outcome::Error("x".repeat(longest + 1));
    let refused = store.submit(claimed.attempt, large.clone(), 1).await.expect_err("too long");
    assert_eq!(refused.refusal(), Some(&Refusal::ResultTooLong { record, bytes: longest + 1 }));
    large.results[0].outcome = Outcome::Error("x".repeat(longest));
    store.submit(claimed.attempt, large, 2).await.expect("accepted");
}

pub(crate) async fn a_machine_may_say_anything_of_itself(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1]).await;
    let machine = Machine { memory_mb: u64::MAX, disk_mb: u64::MAX };
    let claims = store.claim(&ClaimRequest { machine, ..request("w") }, 0).await.expect("claim");
    assert_eq!(claims.len(), 1);
}

/// Does a job of which every result is an error.
async fn do_badly(store: &dyn Store, now: i64) {
    let claimed = claim(store, "w", now).await;
    let records = store.records(claimed.attempt, &claimed.secret, &[]).await.expect("records").records;
    let error = Outcome::Error("no such person".to_owned());
    let results = records.into_iter().map(|record| RecordResult { id: record.id, outcome: error.clone() });
    submit(store, &claimed, results.collect(), now).await.expect("accepted");
}

pub(crate) async fn a_batch_that_fails_too_much_is_suspended_until_it_is_resumed(place: &dyn Place) {
    let store = place.open().await;
    let new = NewBatch { error_rate: ErrorRate::per_mille(100), ..new_batch() };
    let batch = hand_in_as(&*store, new, &[150; 5]).await;
    let bad = async |now: i64| do_badly(&*store, now).await;
    bad(1).await;
    assert_eq!(store.batch(batch).await.expect("batch").suspended, None, "too few to judge");
    let running = claim(&*store, "x", 2).await;
    bad(3).await;
    let reason = store.batch(batch).await.expect("batch").suspended.expect("the breaker tripped");
    assert!(reason.starts_with("300 of 300 results are errors"), "{reason}");
    assert_eq!(try_claim(&*store, "w", 4).await, None);
    finish(&*store, &running, 5).await;

    assert_eq!(store.resume_batch(batch, None, 6).await.expect("resumed").suspended, None);
    bad(7).await;
    assert_eq!(store.batch(batch).await.expect("batch").suspended, None, "counted anew");
    bad(8).await;
    let seen = store.batch(batch).await.expect("batch");
    assert!(seen.suspended.is_some() && seen.results == 750, "{seen:?}");
}

pub(crate) async fn a_batch_whose_errors_are_right_goes_on_when_more_of_them_are_allowed(place: &dyn Place) {
    let store = place.open().await;
    let new = NewBatch { error_rate: ErrorRate::per_mille(100), ..new_batch() };
    let batch = hand_in_as(&*store, new, &[200; 3]).await;
    let allowed = async || store.batch(batch).await.expect("batch").error_rate;
    assert_eq!(allowed().await, ErrorRate::per_mille(100));
    let fail = async |now: i64| {
        do_badly(&*store, now).await;
        store.batch(batch).await.expect("batch").suspended
    };
    assert!(fail(1).await.is_some_and(|why| why.contains("the 10 % this batch is allowed")));
    store.resume_batch(batch, Some(ErrorRate::per_mille(1_000)), 2).await.expect("resumed");
    assert_eq!(allowed().await, ErrorRate::per_mille(1_000));
    assert_eq!((fail(3).await, fail(4).await), (None, None));
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Done);
}

pub(crate) async fn a_worker_that_fails_where_others_succeed_is_drained(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1; 6]).await;
    let fail = async |now: i64| {
        let failing = claim(&*store, "bad", now).await;
        give_back(&*store, &failing, GiveBackCause::Failed, "it crashed", now).await;
    };
    fail(0).await;
    fail(1).await;
    finish(&*store, &claim(&*store, "good", 2).await, 2).await;
    assert_eq!(store.worker("bad").await.expect("a worker").drained, None);
    fail(3).await;
    let reason = store.worker("bad").await.expect("a worker").drained.expect("drained");
    assert!(reason.contains("3 jobs failed"), "{reason}");
    assert_eq!(try_claim(&*store, "bad", BACK_OFF).await, None);
    assert!(try_claim(&*store, "good", BACK_OFF).await.is_some());
    store.change_worker("bad", &WorkerChange::Resume, BACK_OFF).await.expect("resumed");
    assert!(try_claim(&*store, "bad", BACK_OFF).await.is_some());
}

pub(crate) async fn a_success_by_a_clock_that_went_back_drains_nobody(place: &dyn Place) {
    let year = 365 * 24 * 60 * 60 * 1000;
    let store = place.open().await;
    hand_in(&*store, &[1; 9]).await;
    finish(&*store, &claim(&*store, "good", year).await, year).await;
    let fail = async |now: i64| {
        let failing = claim(&*store, "bad", now).await;
        give_back(&*store, &failing, GiveBackCause::Failed, "it crashed", now).await;
        store.worker("bad").await.expect("a worker").drained.is_some()
    };
    assert!(!fail(1).await && !fail(2).await && !fail(3).await && !fail(4).await);
    finish(&*store, &claim(&*store, "good", 5).await, 5).await;
    assert!(fail(6).await, "a success by the clock as it is now counts");
}

pub(crate) async fn more_jobs_than_the_queue_holds_go_out_in_order(place: &dyn Place) {
    let store = place.open().await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    let jobs = (0..1_300).map(|job| crate::hands::job_records(job, 1)).collect();
    store.append_jobs(batch, jobs).await.expect("append");
    store.seal_batch(batch).await.expect("seal");
    let mut last = 0;
    let mut got = 0;
    for round in 0..14 {
        let all = ClaimRequest { max: 100, ..request(&format!("w{round}")) };
        for claim in store.claim(&all, 0).await.expect("claim") {
            assert!(claim.job > last, "job {} after {last}", claim.job);
            last = claim.job;
            got += 1;
        }
    }
    assert_eq!(got, 1_300);
    // All come back, and go out in the same order.
    while !store.expire(i64::MAX / 2).await.expect("expire").is_empty() {}
    let again = store.claim(&ClaimRequest { max: 100, ..request("x") }, 0).await.expect("claim");
    let seen = store.jobs(batch, 0, 100).await.expect("jobs");
    assert!(again.iter().map(|claim| claim.job).eq(seen.iter().map(|job| job.id)));
}

/// More rows differ from one another here than any statement of a store takes at once, and no number of them is a round one.
pub(crate) async fn what_many_workers_do_at_the_same_time_stays_with_each_of_them(place: &dyn Place) {
    const WORKERS: usize = 13;
    const EACH: u32 = 83;
    let store: Arc<dyn Store> = place.open().await.into();
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    let jobs = (0..WORKERS * EACH as usize).map(|job| crate::hands::job_records(job, 1)).collect();
    store.append_jobs(batch, jobs).await.expect("append");
    store.seal_batch(batch).await.expect("seal");
    let work = (0..WORKERS).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (worker, now) = (format!("w{number}"), 100 * number as i64);
            let all = ClaimRequest { max: EACH, ..request(&worker) };
            let claims = store.claim(&all, now).await.expect("claim");
            let mut submissions = Vec::with_capacity(claims.len());
            for claim in &claims {
                submissions.push((claim.attempt, submission(claim, compute(&*store, claim).await)));
            }
            for answer in store.submit_many(submissions, now + 7).await {
                assert!(!answer.expect("accepted").repeated);
            }
            claims.into_iter().map(move |claim| (claim.job, (worker.clone(), now, claim.attempt))).collect::<Vec<_>>()
        })
    });
    let mut did = BTreeMap::new();
    for worked in work.collect::<Vec<_>>() {
        did.extend(worked.await.expect("a worker that ends well"));
    }
    let seen = see(&*store, batch).await;
    assert_eq!((did.len(), seen.batch.state), (WORKERS * EACH as usize, BatchState::Done));
    for (job, results) in seen.jobs.iter().zip(&seen.results) {
        let (worker, now, attempt) = &did[&job.id];
        assert_eq!((job.worker.as_ref(), job.started_at, job.finished_at), (Some(worker), Some(*now), Some(now + 7)));
        let history = store.job(job.id).await.expect("the job");
        let ended: Vec<_> = history.attempts.iter().map(|one| (one.id, &one.worker, one.ended_at)).collect();
        assert_eq!(ended, [(*attempt, worker, Some(now + 7))]);
        assert_eq!((results.job, results.records.len()), (job.id, 1));
    }
}
