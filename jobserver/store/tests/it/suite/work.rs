//! Promises about claims, submissions and give-backs.

use std::collections::BTreeSet;

use nightshift_rules::{acceptance::WrongResults, sizing::Measured};
use nightshift_store::{NewBatch, Refusal};
use nightshift_wire::{BatchState, ClaimRequest, GiveBackCause, Heartbeat, JobState, Outcome, Receipt, RecordResult};

use crate::{
    hands::{
        BACK_OFF, LEASE, PLUGIN, claim, claim_as, compute, finish, give_back, hand_in, hand_in_as, new_batch, refusal,
        request, see, submission, submit, try_claim,
    },
    place::Place,
};

pub(crate) async fn the_highest_priority_goes_first_then_the_oldest_batch_then_the_place_in_it(place: &dyn Place) {
    let store = place.open().await;
    let low = hand_in_as(&*store, NewBatch { priority: -1, ..new_batch() }, &[1]).await;
    let first = hand_in(&*store, &[1, 1]).await;
    let second = hand_in(&*store, &[1]).await;
    let urgent = hand_in_as(&*store, NewBatch { priority: 7, ..new_batch() }, &[1]).await;
    let mut order = Vec::new();
    for worker in ["a", "b", "c", "d", "e"] {
        let claim = claim(&*store, worker, 0).await;
        order.push((claim.batch, claim.job));
    }
    let batches: Vec<i64> = order.iter().map(|(batch, _)| *batch).collect();
    assert_eq!(batches, [urgent, first, first, second, low]);
    assert!(order[1].1 < order[2].1, "{order:?}");
}

pub(crate) async fn a_worker_gets_only_jobs_of_its_plugins(place: &dyn Place) {
    let store = place.open().await;
    for (plugin, priority) in [("count", 9), ("resize", 5), ("match", 1)] {
        hand_in_as(&*store, NewBatch { plugin: plugin.to_owned(), priority, ..new_batch() }, &[1]).await;
    }
    let with = |plugins: &[&str]| ClaimRequest {
        plugins: plugins.iter().map(|plugin| (*plugin).to_owned()).collect(),
        ..request("w")
    };
    assert_eq!(claim_as(&*store, &with(&[]), 0).await, None);
    assert_eq!(claim_as(&*store, &with(&["other"]), 0).await, None);
    let claim = claim_as(&*store, &with(&["match", "other", "resize"]), 0).await.expect("a job");
    assert_eq!(claim.plugin, "resize");
}

pub(crate) async fn claims_at_the_same_time_get_different_jobs(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1; 20]).await;
    let store: std::sync::Arc<dyn nightshift_store::Store> = store.into();
    let claims: Vec<_> = (0..30)
        .map(|worker| {
            let store = store.clone();
            tokio::spawn(async move { try_claim(&*store, &format!("w{worker}"), 0).await })
        })
        .collect();
    let mut jobs = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for claim in claims {
        if let Some(claim) = claim.await.expect("the task ends well") {
            assert!(jobs.insert(claim.job), "job {} was handed out twice", claim.job);
            attempts.insert(claim.attempt);
            secrets.insert(claim.secret);
        }
    }
    assert_eq!((jobs.len(), attempts.len(), secrets.len()), (20, 20, 20));
}

pub(crate) async fn the_last_results_finish_the_batch(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[4, 5]).await;
    let first = claim(&*store, "a", 10).await;
    let second = claim(&*store, "b", 11).await;
    let running = store.batch(batch).await.expect("batch");
    assert_eq!((running.jobs_running, running.jobs_done, running.results), (2, 0, 0));

    assert_eq!(finish(&*store, &second, 20).await, Receipt { job: second.job, repeated: false });
    let open = store.batch(batch).await.expect("batch");
    assert_eq!((open.state, open.jobs_running, open.jobs_done, open.results), (BatchState::Open, 1, 1, 5));
    assert_eq!(open.finished_at, None);

    finish(&*store, &first, 30).await;
    let seen = see(&*store, batch).await;
    let done = &seen.batch;
    assert_eq!((done.state, done.jobs_running, done.jobs_done), (BatchState::Done, 0, 2));
    assert_eq!((done.records, done.results, done.finished_at), (9, 9, Some(30)));
    let outcomes: Vec<&Outcome> =
        seen.results.iter().flat_map(|job| &job.records).filter_map(|row| row.outcome.as_ref()).collect();
    assert_eq!(outcomes.len(), 9);
    let errors = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Error(_))).count();
    assert_eq!(done.errors, errors as u64);
    assert!(errors > 0, "the plugin of these tests makes errors");
    assert_eq!(seen.jobs.iter().map(|job| job.finished_at).collect::<Vec<_>>(), [Some(30), Some(20)]);
    assert_eq!(seen.jobs[1].worker.as_deref(), Some("b"));
}

pub(crate) async fn a_claim_and_an_acceptance_outlive_the_server(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[3, 2]).await;
    let claimed = claim(&*store, "w", 0).await;
    drop(store);

    let store = place.open().await;
    assert_eq!(claim(&*store, "x", 1).await.records, 2);
    finish(&*store, &claimed, 2).await;
    let seen = see(&*store, batch).await;
    drop(store);

    let store = place.open().await;
    assert_eq!(see(&*store, batch).await, seen);
    assert_eq!(seen.batch.jobs_done, 1);
}

pub(crate) async fn the_same_submission_again_is_acknowledged_and_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[3]).await;
    let claim = claim(&*store, "w", 0).await;
    let results = compute(&*store, &claim).await;
    submit(&*store, &claim, results.clone(), 1).await.expect("accepted");
    let seen = see(&*store, batch).await;
    drop(store);

    let store = place.open().await;
    for again in [results.clone(), results[..1].to_vec(), Vec::new()] {
        let receipt = submit(&*store, &claim, again, 2).await.expect("acknowledged");
        assert_eq!(receipt, Receipt { job: claim.job, repeated: true });
    }
    assert_eq!(see(&*store, batch).await, seen);
    assert_eq!(store.workers().await.expect("workers")[0].jobs_done, 1);
}

pub(crate) async fn results_that_do_not_match_the_records_change_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[4, 4]).await;
    let claim = claim(&*store, "w", 0).await;
    let results = compute(&*store, &claim).await;
    let seen = see(&*store, batch).await;
    let ids: Vec<i64> = results.iter().map(|result| result.id).collect();
    let with = |id: i64| RecordResult { id, outcome: Outcome::Error("x".to_owned()) };
    let more = |id: i64| [results.clone(), vec![with(id)]].concat();

    let cases = [
        (results[1..].to_vec(), WrongResults::Missing(ids[0])),
        (Vec::new(), WrongResults::Missing(ids[0])),
        (more(ids[2]), WrongResults::Repeated(ids[2])),
        ([results[..3].to_vec(), vec![with(ids[0])]].concat(), WrongResults::Repeated(ids[0])),
        (more(ids[3] + 1), WrongResults::Foreign(ids[3] + 1)),
        ([results[..3].to_vec(), vec![with(ids[0] - 1)]].concat(), WrongResults::Foreign(ids[0] - 1)),
    ];
    for (wrong, reason) in cases {
        assert_eq!(refusal(submit(&*store, &claim, wrong, 1).await), Refusal::WrongResults(reason));
        assert_eq!(see(&*store, batch).await, seen);
    }
    submit(&*store, &claim, results, 2).await.expect("the whole set is accepted");
}

pub(crate) async fn a_wrong_secret_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2, 2]).await;
    let other = claim(&*store, "other", 0).await;
    let claim = claim(&*store, "w", 0).await;
    let results = compute(&*store, &claim).await;
    let seen = see(&*store, batch).await;
    for secret in [String::new(), other.secret] {
        let thief = nightshift_wire::Claim { secret: secret.clone(), ..claim.clone() };
        let wrong = Refusal::WrongSecret(claim.attempt);
        assert_eq!(refusal(submit(&*store, &thief, results.clone(), 1).await), wrong);
        assert_eq!(refusal(store.records(claim.attempt, &secret, &[]).await), wrong);
        let heartbeat = Heartbeat { secret: secret.clone(), done: 0 };
        assert_eq!(refusal(store.heartbeat(claim.attempt, &heartbeat, 1).await), wrong);
        let back = nightshift_wire::GiveBack { secret, cause: GiveBackCause::Failed, reason: "mischief".to_owned() };
        assert_eq!(refusal(store.give_back(claim.attempt, &back, 1).await), wrong);
    }
    assert_eq!(see(&*store, batch).await, seen);
}

pub(crate) async fn an_attempt_that_never_was_is_refused(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[2]).await;
    let claim = claim(&*store, "w", 0).await;
    let submission = submission(&claim, compute(&*store, &claim).await);
    assert_eq!(refusal(store.submit(99, submission, 1).await), Refusal::NoSuchAttempt(99));
    assert_eq!(refusal(store.records(99, &claim.secret, &[]).await), Refusal::NoSuchAttempt(99));
}

pub(crate) async fn a_stop_is_not_counted_against_the_job(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    for round in 0..10 {
        let claim = claim(&*store, "w", round).await;
        give_back(&*store, &claim, GiveBackCause::Stopped, "the stop flag is up", round).await;
    }
    let job = see(&*store, batch).await.jobs.remove(0);
    assert_eq!((job.state, job.pickups, job.failures, job.worker), (JobState::Waiting, 10, 0, None));
    assert_eq!(job.reason, "the stop flag is up");
    finish(&*store, &claim(&*store, "w", 11).await, 12).await;
    assert_eq!(see(&*store, batch).await.jobs[0].reason, "");
}

pub(crate) async fn a_job_that_fails_too_often_is_quarantined_with_the_reason(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2, 1]).await;
    let other = claim(&*store, "other", 0).await;
    for failure in 1..=3 {
        let claim = claim(&*store, "w", failure * BACK_OFF).await;
        give_back(&*store, &claim, GiveBackCause::Failed, "the query does not parse", failure * BACK_OFF).await;
    }
    assert_eq!(try_claim(&*store, "w", 4 * BACK_OFF).await, None);
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Open);
    finish(&*store, &other, 5).await;

    let seen = see(&*store, batch).await;
    let quarantined = &seen.jobs[1];
    assert_eq!((quarantined.state, quarantined.failures), (JobState::Quarantined, 3));
    assert_eq!(quarantined.reason, "the query does not parse");
    let batch = seen.batch;
    assert_eq!((batch.state, batch.jobs_quarantined, batch.finished_at), (BatchState::Incomplete, 1, Some(5)));
    assert_eq!((batch.records, batch.results), (3, 2));
    assert_eq!(seen.results[1].records[0].outcome, None);
    let missing = format!("not processed: job {} is quarantined: the query does not parse", quarantined.id);
    assert_eq!(seen.results[1].missing(), Some(missing));
    assert_eq!(seen.results[0].missing(), None);
}

pub(crate) async fn giving_back_again_is_acknowledged_and_counted_once(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    for now in 1..=5 {
        let ended = give_back(&*store, &claimed, GiveBackCause::Failed, "no such table", now).await;
        assert_eq!(ended, now == 1, "the attempt ends once");
    }
    let job = see(&*store, batch).await.jobs.remove(0);
    assert_eq!((job.state, job.failures), (JobState::Waiting, 1));

    let again = claim(&*store, "w", 6 + BACK_OFF).await;
    finish(&*store, &again, 7 + BACK_OFF).await;
    assert!(!give_back(&*store, &again, GiveBackCause::Failed, "too late", 8).await, "it was accepted before");
    assert_eq!(see(&*store, batch).await.jobs[0].state, JobState::Done);
}

pub(crate) async fn a_lease_follows_the_measured_time(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[10, 100]).await;
    hand_in_as(&*store, NewBatch { plugin: "other".to_owned(), priority: -1, ..new_batch() }, &[1_000]).await;
    let first = claim(&*store, "w", 0).await;
    assert_eq!(first.lease_ms, LEASE);
    let mut slow = submission(&first, compute(&*store, &first).await);
    slow.provenance.work_ms = 10_000;
    store.submit(first.attempt, slow, 1).await.expect("accepted");

    let second = claim(&*store, "w", 2).await;
    assert_eq!(second.lease_ms, 2 * 100 * 1_000, "a second for each record, twice");
    let plugins = vec![PLUGIN.to_owned(), "other".to_owned()];
    let other = claim_as(&*store, &ClaimRequest { plugins, ..request("x") }, 3).await.expect("a job");
    assert_eq!(other.lease_ms, LEASE, "another plugin was never measured");
}

pub(crate) async fn a_lease_follows_the_samples_until_a_job_was_done(place: &dyn Place) {
    let store = place.open().await;
    // Ten seconds a record.
    let sampled = Some(Measured { records: 2, work_ms: 20_000 });
    let batch = hand_in_as(&*store, NewBatch { sampled, ..new_batch() }, &[1, 100, 100]).await;
    hand_in_as(&*store, NewBatch { plugin: "other".to_owned(), priority: -1, ..new_batch() }, &[1_000]).await;
    let short = claim(&*store, "w", 0).await;
    assert_eq!(short.lease_ms, LEASE, "no shorter than the grid's setting");
    drop(store);
    let store = place.open().await;
    let long = claim(&*store, "x", 1).await;
    assert_eq!(long.lease_ms, 2 * 100 * 10_000, "ten seconds for each record, twice");
    assert_eq!(store.speed(PLUGIN).await.expect("known"), Measured::default(), "samples are no measured work");

    let mut quick = submission(&short, compute(&*store, &short).await);
    quick.provenance.work_ms = 1_000;
    store.submit(short.attempt, quick, 2).await.expect("accepted");
    let next = claim(&*store, "w", 3).await;
    assert_eq!((next.batch, next.lease_ms), (batch, 2 * 100 * 1_000), "by the job that was done");
    let plugins = vec!["other".to_owned()];
    let other = claim_as(&*store, &ClaimRequest { plugins, ..request("y") }, 4).await.expect("a job");
    assert_eq!(other.lease_ms, LEASE, "nothing is known of the other plugin");
}

pub(crate) async fn an_impossible_time_of_work_is_no_reason_to_refuse_results(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    let mut endless = submission(&claimed, compute(&*store, &claimed).await);
    endless.provenance.work_ms = u64::MAX;
    let receipt = store.submit(claimed.attempt, endless, 1).await.expect("accepted");
    assert!(!receipt.repeated);
    assert_eq!(store.batch(batch).await.expect("batch").results, 2);
}
