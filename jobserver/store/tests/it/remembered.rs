//! What a server remembers of the attempts it gave out is no more than a guess: what happened to them since, at another
//! server or in another way, decides.

use std::time::Duration;

use nightshift_rules::acceptance::{NotWanted, WrongResults};
use nightshift_store::{JobChange, Refusal, Rollouts as _, Store as _};
use nightshift_testbed::database::Make;
use nightshift_wire::{
    Claim, GiveBackCause, JobAction, JobEdit, JobFilter, JobState, Moment, Reason, Receipt, RecordResult, Submission,
    WorkerChange,
};
use tokio::time::timeout;

use crate::{
    hands::{
        LEASE, beat, claim, claim_as, compute, finish, give_back, hand_in, refusal, request, see, submission, submit,
    },
    makes::on_both,
    place::MysqlPlace,
};

on_both!(
    what_another_server_did_to_a_job_is_what_its_results_meet,
    a_job_that_was_lost_and_taken_up_elsewhere_is_done_where_it_was_given_out,
    what_a_worker_failed_at_elsewhere_is_forgotten_when_it_does_a_job,
    of_results_handed_in_at_once_each_meets_its_own_answer,
    a_worker_that_is_drained_gets_no_more_wherever_it_asks,
    what_a_worker_no_longer_has_is_lost_when_it_asks_for_more,
    a_drain_elsewhere_outlives_a_worker_that_says_two_things_at_once,
    a_job_that_somebody_else_had_in_between_is_counted_with_all_its_pickups,
    a_job_that_is_handed_in_elsewhere_is_not_lost_here,
    an_attempt_that_is_remembered_no_more_is_lost_with_its_worker_all_the_same,
);

async fn count(place: &MysqlPlace, sql: &str) -> i64 {
    use mysql_async::prelude::Queryable as _;
    place.shell().await.query_first(sql).await.expect("counted").expect("a number")
}

/// A worker that was killed before it noted what it got asks again, within the second in which the server knows it.
async fn an_attempt_that_is_remembered_no_more_is_lost_with_its_worker_all_the_same(make: Make) {
    const LONG_AFTER: Moment = 25_000;
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    hand_in(&store, &[2; 8]).await;
    for attempt in 0..3 {
        let refused = claim(&store, "refused", attempt).await;
        let results = submit(&store, &refused, Vec::new(), attempt).await;
        refusal(results);
        let again = claim(&store, "refused", attempt).await;
        assert_eq!(again.job, refused.job, "its results were refused, and it runs on");

        let now = (attempt + 1) * 2 * LONG_AFTER;
        let old = claim(&store, "old", now).await;
        claim(&store, "other", now + LONG_AFTER).await;
        let again = claim(&store, "old", now + LONG_AFTER).await;
        assert_eq!(again.job, old.job, "it was given out long ago");
    }
}

async fn what_another_server_did_to_a_job_is_what_its_results_meet(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    let batch = hand_in(&here, &[2; 6]).await;
    let mut given = Vec::new();
    for worker in ["a", "b", "c", "d", "e", "f"] {
        let claim = claim(&here, worker, 0).await;
        let results = compute(&here, &claim).await;
        given.push((claim, results));
    }
    // One job is deleted, one edited, one given back, one handed in, one suspended: all of it elsewhere.
    let change = |action, job| JobChange {
        action,
        filter: JobFilter { ids: vec![job], ..JobFilter::default() },
        reason: "elsewhere".to_owned(),
        dry_run: false,
    };
    let edit = JobAction::Edit(JobEdit { priority: Some(7), ..JobEdit::default() });
    for (action, place) in [(JobAction::Delete, 0), (edit, 1), (JobAction::Suspend, 5)] {
        let changed = there.change_jobs(&change(action, given[place].0.job), 0, 1).await.expect("changed");
        assert_eq!(changed.changed, 1);
    }
    give_back(&there, &given[2].0, GiveBackCause::Stopped, "stop", 1).await;
    submit(&there, &given[3].0, given[3].1.clone(), 1).await.expect("handed in elsewhere");
    let before = see(&there, batch).await;

    let hand_in = async |place: usize, now: Moment| {
        let (claim, results) = &given[place];
        submit(&here, claim, results.clone(), now).await
    };
    assert_eq!(refusal(hand_in(0, 2).await), Refusal::NotWanted(NotWanted::Deleted));
    assert_eq!(refusal(hand_in(1, 2).await), Refusal::NotWanted(NotWanted::StaleRevision { given: 1, now: 2 }));
    assert!(hand_in(3, 2).await.expect("known").repeated);
    assert_eq!(see(&there, batch).await, before, "nothing of it is stored");

    // A job that waits again, or for a person, takes late results; one that runs is done.
    assert!(!hand_in(2, 3).await.expect("late and welcome").repeated);
    assert!(!hand_in(4, 3).await.expect("as given out").repeated);
    assert!(!hand_in(5, 3).await.expect("late and welcome").repeated);
    let jobs = see(&there, batch).await.jobs;
    let done: Vec<bool> = jobs.iter().map(|job| job.state == JobState::Done).collect();
    assert_eq!(done, [false, false, true, true, true, true]);
}

async fn a_job_that_was_lost_and_taken_up_elsewhere_is_done_where_it_was_given_out(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    let batch = hand_in(&here, &[2]).await;
    let given = claim(&here, "w", 0).await;
    let results = compute(&here, &given).await;
    let over = Moment::try_from(given.lease_ms.max(LEASE)).expect("short") + 1;
    assert_eq!(there.expire(over).await.expect("expired").len(), 1);
    assert!(beat(&there, &given, over + 1).await.lease_ms.is_some(), "nobody else has it");
    submit(&here, &given, results, over + 2).await.expect("accepted");
    let job = &see(&there, batch).await.jobs[0];
    assert_eq!((job.state, job.losses), (JobState::Done, 1), "that it was lost stays known");
}

async fn what_a_worker_failed_at_elsewhere_is_forgotten_when_it_does_a_job(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    hand_in(&here, &[2; 2]).await;
    let first = claim(&here, "w", 0).await;
    let mut next = request("w");
    next.holding = vec![first.attempt];
    let second = claim_as(&here, &next, 0).await.expect("the other job");
    let results = compute(&here, &first).await;
    give_back(&there, &second, GiveBackCause::Failed, "it broke", 1).await;
    assert_eq!(count(&place, "SELECT CAST(sum(failures_in_row) AS SIGNED) FROM workers").await, 1);
    submit(&here, &first, results, 2).await.expect("accepted");
    assert_eq!(count(&place, "SELECT CAST(sum(failures_in_row) AS SIGNED) FROM workers").await, 0);
    assert_eq!(count(&place, "SELECT CAST(sum(jobs_done) AS SIGNED) FROM workers").await, 1);
}

async fn of_results_handed_in_at_once_each_meets_its_own_answer(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    let batch = hand_in(&store, &[2; 6]).await;
    let mut given: Vec<(Claim, Vec<RecordResult>)> = Vec::new();
    for worker in ["a", "b", "c", "d", "e", "f"] {
        let claim = claim(&store, worker, 0).await;
        let results = compute(&store, &claim).await;
        given.push((claim, results));
    }
    let sound = |place: usize| submission(&given[place].0, given[place].1.clone());
    let hand_in = |place: usize, submission| store.submit(given[place].0.attempt, submission, 1);
    let (whole, forged, short, one, other, foreign) = tokio::join!(
        hand_in(0, sound(0)),
        hand_in(1, Submission { secret: "f".repeat(32), ..sound(1) }),
        hand_in(2, submission(&given[2].0, given[2].1[..1].to_vec())),
        hand_in(3, sound(3)),
        hand_in(3, sound(3)),
        hand_in(4, submission(&given[4].0, given[5].1.clone())),
    );
    let receipt = |place: usize, repeated| Receipt { job: given[place].0.job, repeated };
    assert_eq!(whole.expect("accepted"), receipt(0, false));
    assert!(matches!(refusal(forged), Refusal::WrongSecret(_)));
    assert!(matches!(refusal(short), Refusal::WrongResults(WrongResults::Missing(_))));
    let twice = [one.expect("accepted"), other.expect("accepted")];
    assert_eq!(twice.iter().filter(|receipt| receipt.repeated).count(), 1, "{twice:?}");
    assert!(matches!(refusal(foreign), Refusal::WrongResults(_)));
    let done = |seen: &[nightshift_wire::Job]| seen.iter().filter(|job| job.state == JobState::Done).count();
    assert_eq!(done(&see(&store, batch).await.jobs), 2);

    // Those that were refused are still wanted.
    for place in [1, 2, 4, 5] {
        assert_eq!(
            store.submit(given[place].0.attempt, sound(place), 2).await.expect("accepted"),
            receipt(place, false)
        );
    }
    assert_eq!(done(&see(&store, batch).await.jobs), 6);
}

async fn a_worker_that_is_drained_gets_no_more_wherever_it_asks(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    hand_in(&here, &[1; 60]).await;
    let drain = WorkerChange::Drain(Reason { reason: "a fan is loud".to_owned() });
    let mut known = request("w");
    known.holding.push(claim(&here, "w", 0).await.attempt);
    known.holding.push(claim_as(&here, &known, 0).await.expect("it is known now").attempt);

    here.change_worker("w", &drain, 1).await.expect("drained");
    assert!(claim_as(&here, &known, 1).await.is_none(), "the server that drained it knows at once");
    here.change_worker("w", &WorkerChange::Resume, 1).await.expect("resumed");
    known.holding.push(claim_as(&here, &known, 1).await.expect("it may again").attempt);

    // Another one hears of it within a second or so.
    there.change_worker("w", &drain, 2).await.expect("drained");
    let hears = async {
        while let Some(more) = claim_as(&here, &known, 2).await {
            known.holding.push(more.attempt);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), hears).await.expect("it hears of it");
    assert!(known.holding.len() < 60, "before it was given everything");
}

async fn what_a_worker_no_longer_has_is_lost_when_it_asks_for_more(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    let batch = hand_in(&store, &[1; 4]).await;
    let first = claim(&store, "w", 0).await;
    let mut holds = request("w");
    holds.holding.push(first.attempt);
    let second = claim_as(&store, &holds, 1).await.expect("another");
    finish(&store, &first, 2).await;
    // It was killed before it noted the second one.
    let third = claim_as(&store, &holds, 3).await.expect("what was lost");
    assert_eq!((third.job, third.revision), (second.job, second.revision));
    holds.holding.push(third.attempt);
    let fourth = claim_as(&store, &holds, 4).await.expect("another");
    assert!(![first.job, second.job].contains(&fourth.job));
    let running = see(&store, batch).await.jobs.iter().filter(|job| job.state == JobState::Running).count();
    assert_eq!(running, 2);
}

async fn a_drain_elsewhere_outlives_a_worker_that_says_two_things_at_once(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    hand_in(&here, &[1; 200]).await;
    for worker in 0..20 {
        let worker = format!("w{worker}");
        let mut says = request(&worker);
        for _ in 0..2 {
            says.holding.push(claim_as(&here, &says, 0).await.expect("it is known now").attempt);
        }
        let drain = WorkerChange::Drain(Reason { reason: "a fan is loud".to_owned() });
        there.change_worker(&worker, &drain, 1).await.expect("drained");
        let mut says_more = says.clone();
        says_more.plugins.push("another".to_owned());
        let (one, other) = tokio::join!(here.claim(&says, 2), here.claim(&says_more, 2));
        one.and(other).expect("answered");
        let seen = there.worker(&worker).await.expect("known");
        assert_eq!(seen.drained.as_deref(), Some("a fan is loud"), "{worker}");
    }
}

async fn a_job_that_somebody_else_had_in_between_is_counted_with_all_its_pickups(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    hand_in(&here, &[1]).await;
    here.count_work(&[]).await.expect("from now on it counts");
    let first = claim(&here, "w", 0).await;
    let results = compute(&here, &first).await;
    let second = claim(&there, "w", 1).await;
    assert_eq!(second.job, first.job, "it says that it has nothing");
    give_back(&there, &second, GiveBackCause::Stopped, "stop", 2).await;
    assert!(beat(&here, &first, 3).await.lease_ms.is_some(), "nobody else has it");
    submit(&here, &first, results, 4).await.expect("accepted");
    here.count_work(&[first.attempt]).await.expect("counted");
    assert_eq!(count(&place, "SELECT CAST(sum(pickups) AS SIGNED) FROM work_done").await, 2);
}

async fn a_job_that_is_handed_in_elsewhere_is_not_lost_here(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (here, there) = (place.store().await, place.store().await);
    let batch = hand_in(&here, &[1; 12]).await;
    for now in 0..12 {
        let claim = claim(&here, "w", now).await;
        assert!(!finish(&there, &claim, now).await.repeated);
    }
    let jobs = see(&here, batch).await.jobs;
    assert!(jobs.iter().all(|job| (job.state, job.losses, job.pickups) == (JobState::Done, 0, 1)), "{jobs:?}");
}
