//! Promises about workers that are late, frozen, killed or doubled.

use nightshift_rules::acceptance::NotWanted;
use nightshift_store::{LostAttempt, Refusal};
use nightshift_wire::{BatchState, ClaimRequest, GiveBackCause, JobState};

use crate::{
    hands::{
        LEASE, beat, claim, claim_as, compute, finish, give_back, hand_in, refusal, request, see, submit, try_claim,
    },
    place::Place,
};

const OVER: i64 = LEASE as i64;

pub(crate) async fn a_lease_that_ran_out_puts_the_job_back(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    assert_eq!(store.expire(OVER - 1).await.expect("expire"), []);
    assert_eq!(try_claim(&*store, "x", OVER - 1).await, None);

    let lost = LostAttempt {
        attempt: claimed.attempt,
        job: claimed.job,
        worker: "w".to_owned(),
        state: JobState::Waiting,
        reason: format!("the lease of attempt {} ran out", claimed.attempt),
    };
    assert_eq!(store.expire(OVER).await.expect("expire"), [lost]);
    assert_eq!(store.expire(OVER).await.expect("expire"), []);
    let job = see(&*store, batch).await.jobs.remove(0);
    assert_eq!((job.state, job.failures, job.worker), (JobState::Waiting, 0, None));
    assert_eq!(job.reason, format!("the lease of attempt {} ran out", claimed.attempt));

    let again = claim(&*store, "x", OVER + 1).await;
    assert_eq!(again.job, claimed.job);
    assert!(again.attempt > claimed.attempt);
    assert_eq!(see(&*store, batch).await.jobs[0].pickups, 2);
}

pub(crate) async fn a_heartbeat_keeps_the_lease(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    let lease = beat(&*store, &claimed, OVER - 1).await;
    assert_eq!((lease.lease_ms, lease.reason.as_str()), (Some(LEASE), ""));
    assert_eq!(store.expire(2 * OVER - 2).await.expect("expire"), []);
    assert_eq!(store.expire(2 * OVER - 1).await.expect("expire").len(), 1);
}

pub(crate) async fn attempts_the_worker_no_longer_holds_are_lost(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1, 1, 1]).await;
    let held = claim(&*store, "w", 0).await;
    let holding = |attempts: &[i64]| ClaimRequest { holding: attempts.to_vec(), ..request("w") };
    let forgotten = claim_as(&*store, &holding(&[held.attempt]), 1).await.expect("a job");
    let others = claim(&*store, "x", 1).await;

    // The worker was killed before it noted its second claim: it gets that very job again.
    let again = claim_as(&*store, &holding(&[held.attempt]), 2).await.expect("a job");
    assert_eq!(again.job, forgotten.job);
    let jobs = see(&*store, batch).await.jobs;
    let running = jobs.iter().filter(|job| job.state == JobState::Running).count();
    assert_eq!(running, 3, "held, claimed again, and the other worker's");
    assert!(beat(&*store, &held, 3).await.lease_ms.is_some());
    assert!(beat(&*store, &others, 3).await.lease_ms.is_some());
    assert_eq!(beat(&*store, &forgotten, 3).await.lease_ms, None);

    // Also when there is nothing to claim for it, its jobs go back.
    let nothing = ClaimRequest { plugins: Vec::new(), ..holding(&[]) };
    assert_eq!(claim_as(&*store, &nothing, 4).await, None);
    let jobs = see(&*store, batch).await.jobs;
    assert_eq!(jobs.iter().filter(|job| job.state == JobState::Running).count(), 1);
}

pub(crate) async fn a_lost_attempt_takes_its_job_up_again_when_nobody_has_it(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    store.expire(OVER).await.expect("expire");
    let lease = beat(&*store, &claimed, 10 * OVER).await;
    assert_eq!(lease.lease_ms, Some(LEASE));

    let job = see(&*store, batch).await.jobs.remove(0);
    assert_eq!((job.state, job.pickups, job.worker.as_deref()), (JobState::Running, 1, Some("w")));
    assert_eq!(try_claim(&*store, "x", 10 * OVER).await, None);
    assert_eq!(store.expire(11 * OVER - 1).await.expect("expire"), []);
    finish(&*store, &claimed, 11 * OVER).await;
}

pub(crate) async fn a_lost_attempt_hears_that_somebody_else_has_its_job(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[2]).await;
    let frozen = claim(&*store, "w", 0).await;
    store.expire(OVER).await.expect("expire");
    let other = claim(&*store, "x", OVER).await;
    let lease = beat(&*store, &frozen, OVER).await;
    assert_eq!(lease.lease_ms, None);
    assert_eq!(lease.reason, format!("the job is in the hands of attempt {}", other.attempt));

    finish(&*store, &other, OVER + 1).await;
    assert_eq!(beat(&*store, &frozen, OVER + 2).await.reason, "the job is done: its results were accepted");
    assert_eq!(beat(&*store, &other, OVER + 2).await.lease_ms, None);
}

pub(crate) async fn a_late_attempt_is_accepted_while_the_job_waits_again(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[3]).await;
    let frozen = claim(&*store, "w", 0).await;
    let results = compute(&*store, &frozen).await;
    store.expire(OVER).await.expect("expire");
    submit(&*store, &frozen, results, 5 * OVER).await.expect("accepted");
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Done);
    assert_eq!(try_claim(&*store, "x", 5 * OVER).await, None);
}

pub(crate) async fn the_first_of_two_attempts_is_accepted_and_the_other_not_wanted(place: &dyn Place) {
    let store = place.open().await;
    for late_first in [true, false] {
        let batch = hand_in(&*store, &[3]).await;
        let frozen = claim(&*store, "w", 0).await;
        let results = compute(&*store, &frozen).await;
        store.expire(OVER).await.expect("expire");
        let other = claim(&*store, "x", OVER).await;
        let (first, second) = if late_first { (&frozen, &other) } else { (&other, &frozen) };

        submit(&*store, first, results.clone(), OVER + 1).await.expect("accepted");
        let seen = see(&*store, batch).await;
        let late = refusal(submit(&*store, second, results.clone(), OVER + 2).await);
        assert_eq!(late, Refusal::NotWanted(NotWanted::Done));
        assert_eq!(see(&*store, batch).await, seen);
        assert_eq!((seen.batch.results, seen.batch.jobs_running), (3, 0));
        let worker = if late_first { "w" } else { "x" };
        assert_eq!(seen.jobs[0].worker.as_deref(), Some(worker));
        assert!(submit(&*store, first, results, OVER + 3).await.expect("acknowledged").repeated);
        assert_eq!(store.expire(100 * OVER).await.expect("expire"), [], "nothing is left running");
    }
}

pub(crate) async fn of_two_submissions_at_the_same_time_one_is_accepted(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..5 {
        let batch = hand_in(&*store, &[50]).await;
        let frozen = claim(&*store, "w", 0).await;
        let results = compute(&*store, &frozen).await;
        store.expire(OVER).await.expect("expire");
        let other = claim(&*store, "x", OVER).await;
        let (one, two) =
            tokio::join!(submit(&*store, &frozen, results.clone(), OVER), submit(&*store, &other, results, OVER));
        let (accepted, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        assert!(!accepted.expect("one is accepted").repeated);
        assert_eq!(refusal(refused), Refusal::NotWanted(NotWanted::Done));
        assert_eq!(store.batch(batch).await.expect("batch").results, 50);
    }
}

pub(crate) async fn a_lost_attempt_may_still_read_its_records_while_they_are_needed(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[3]).await;
    let frozen = claim(&*store, "w", 0).await;
    store.expire(OVER).await.expect("expire");
    assert_eq!(compute(&*store, &frozen).await.len(), 3);
    let other = claim(&*store, "x", OVER).await;
    assert_eq!(compute(&*store, &frozen).await.len(), 3);
    finish(&*store, &other, OVER + 1).await;
    let records = store.records(frozen.attempt, &frozen.secret, &[]).await;
    assert_eq!(refusal(records), Refusal::NotWanted(NotWanted::Done));
}

pub(crate) async fn a_late_give_back_does_not_touch_the_next_attempt(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[3]).await;
    let frozen = claim(&*store, "w", 0).await;
    store.expire(OVER).await.expect("expire");
    let other = claim(&*store, "x", OVER).await;
    let seen = see(&*store, batch).await;
    give_back(&*store, &frozen, GiveBackCause::Failed, "woke up", OVER + 1).await;
    assert_eq!(see(&*store, batch).await, seen);
    finish(&*store, &other, OVER + 2).await;
}

pub(crate) async fn a_clock_that_goes_back_makes_no_lease_longer(place: &dyn Place) {
    let year = 365 * 24 * 60 * 60 * 1000;
    let lease = i64::try_from(LEASE).expect("short");
    let store = place.open().await;
    hand_in(&*store, &[2, 2]).await;
    let gone = claim(&*store, "gone", year).await;
    assert_eq!(store.expire(year).await.expect("expire"), []);
    assert_eq!(store.expire(0).await.expect("the clock goes back"), [], "the worker keeps its lease");
    let other = claim(&*store, "other", 1).await;
    let lost = store.expire(lease).await.expect("expire");
    assert_eq!(lost.iter().map(|lost| lost.attempt).collect::<Vec<_>>(), [gone.attempt]);

    beat(&*store, &other, year).await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.expire(lease).await.expect("a server starts with a clock that is back"), []);
    let lost = store.expire(2 * lease).await.expect("expire");
    assert_eq!(lost.iter().map(|lost| lost.attempt).collect::<Vec<_>>(), [other.attempt]);
}
