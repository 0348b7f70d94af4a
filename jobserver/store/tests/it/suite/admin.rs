//! Promises about what people do to jobs, batches and workers, and what they find out.

use nightshift_rules::acceptance::NotWanted;
use nightshift_store::{Changed, JobChange, Refusal, Store};
use nightshift_wire::{
    AttemptState, BatchState, ClaimRequest, GiveBackCause, JobAction, JobEdit, JobFilter, JobPage, JobState, Reason,
    WorkerChange,
};

use crate::{
    hands::{
        BACK_OFF, beat, claim, claim_as, compute, finish, give_back, hand_in, refusal, report, request, see, submit,
        try_claim,
    },
    place::Place,
};

async fn act(store: &dyn Store, action: JobAction, filter: JobFilter, now: i64) -> Changed {
    let change = JobChange { action, filter, reason: "a person wants it".to_owned(), dry_run: false };
    store.change_jobs(&change, 0, now).await.expect("change")
}

fn of_batch(batch: i64) -> JobFilter {
    JobFilter { batch: Some(batch), ..JobFilter::default() }
}

fn one(job: i64) -> JobFilter {
    JobFilter { ids: vec![job], ..JobFilter::default() }
}

pub(crate) async fn a_suspended_job_is_lost_to_its_worker_and_resumed_later(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    let held = claim(&*store, "w", 0).await;
    let changed = act(&*store, JobAction::Suspend, JobFilter { batch: Some(batch), ..JobFilter::default() }, 1).await;
    assert_eq!((changed.matched, changed.changed, changed.next), (2, 2, None));
    let lease = beat(&*store, &held, 2).await;
    assert_eq!((lease.lease_ms, &*lease.reason), (None, "the job is suspended"));
    assert_eq!(try_claim(&*store, "x", 2).await, None);
    let seen = see(&*store, batch).await;
    assert_eq!((seen.batch.state, seen.batch.jobs_suspended, seen.batch.jobs_running), (BatchState::Open, 2, 0));
    assert_eq!((&*seen.jobs[0].reason, seen.jobs[0].losses), ("a person wants it", 0));

    let again = act(&*store, JobAction::Suspend, one(held.job), 3).await;
    assert_eq!((again.changed, &*again.unchanged[0].why), (0, "it is suspended already"));
    act(&*store, JobAction::Resume, JobFilter { batch: Some(batch), ..JobFilter::default() }, 3).await;
    assert_eq!(claim(&*store, "x", 4).await.job, held.job);
}

pub(crate) async fn results_of_a_suspended_job_are_accepted(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let held = claim(&*store, "w", 0).await;
    let results = compute(&*store, &held).await;
    act(&*store, JobAction::Suspend, one(held.job), 1).await;
    submit(&*store, &held, results, 2).await.expect("the work is needed all the same");
    let seen = store.batch(batch).await.expect("batch");
    assert_eq!((seen.state, seen.jobs_done, seen.jobs_suspended), (BatchState::Done, 1, 0));
}

pub(crate) async fn an_edited_job_goes_to_other_workers_at_a_higher_revision(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2, 2]).await;
    let held = claim(&*store, "w", 0).await;
    let results = compute(&*store, &held).await;
    let second = see(&*store, batch).await.jobs[1].id;
    let plugin = JobEdit { plugin: Some("name-count".to_owned()), ..JobEdit::default() };
    assert_eq!(act(&*store, JobAction::Edit(plugin), one(held.job), 1).await.changed, 1);
    let urgent = JobEdit { priority: Some(9), ..JobEdit::default() };
    assert_eq!(act(&*store, JobAction::Edit(urgent), one(second), 1).await.changed, 1);

    assert_eq!(beat(&*store, &held, 2).await.lease_ms, None);
    let stale = Refusal::NotWanted(NotWanted::StaleRevision { given: 1, now: 2 });
    assert_eq!(refusal(submit(&*store, &held, results, 2).await), stale);
    let plugins = vec!["name-count".to_owned(), crate::hands::PLUGIN.to_owned()];
    let both = ClaimRequest { plugins, max: 2, ..request("x") };
    let claims = store.claim(&both, 3).await.expect("claim");
    let got: Vec<(i64, u32, &str)> = claims.iter().map(|job| (job.job, job.revision, &*job.plugin)).collect();
    assert_eq!(got, [(second, 2, crate::hands::PLUGIN), (held.job, 2, "name-count")]);
    let seen = see(&*store, batch).await;
    assert_eq!((&*seen.jobs[0].plugin, seen.jobs[1].priority, seen.jobs[0].revision), ("name-count", 9, 2));
    drop(store);
    let store = place.open().await;
    finish(&*store, &claims[1], 4).await;
}

pub(crate) async fn an_edit_that_changes_nothing_raises_no_revision(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let held = claim(&*store, "w", 0).await;
    let same = JobEdit { priority: Some(0), ..JobEdit::default() };
    let changed = act(&*store, JobAction::Edit(same), one(held.job), 1).await;
    assert_eq!((changed.matched, changed.changed, &*changed.unchanged[0].why), (1, 0, "it is so already"));
    assert_eq!(see(&*store, batch).await.jobs[0].revision, 1);
    assert!(beat(&*store, &held, 2).await.lease_ms.is_some());
}

pub(crate) async fn a_quarantined_job_is_retried_without_its_failures(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    finish(&*store, &claim(&*store, "w", 0).await, 0).await;
    for failure in 1..=3 {
        let failing = claim(&*store, "w", failure * BACK_OFF).await;
        give_back(&*store, &failing, GiveBackCause::Failed, "no", failure * BACK_OFF).await;
    }
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Incomplete);
    let quarantined = JobFilter { batch: Some(batch), state: Some(JobState::Quarantined), ..JobFilter::default() };
    assert_eq!(act(&*store, JobAction::Retry, quarantined, 4 * BACK_OFF).await.changed, 1);
    let seen = see(&*store, batch).await;
    assert_eq!((seen.batch.state, seen.batch.finished_at), (BatchState::Open, None));
    assert_eq!((seen.jobs[1].failures, seen.jobs[1].revision, seen.jobs[1].not_before), (0, 2, None));
    finish(&*store, &claim(&*store, "w", 4 * BACK_OFF).await, 5 * BACK_OFF).await;
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Done);
}

pub(crate) async fn jobs_of_a_bad_release_are_processed_anew_and_the_old_results_kept(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[4, 4]).await;
    let first = claim(&*store, "w", 0).await;
    let mut other = crate::hands::submission(&first, compute(&*store, &first).await);
    other.provenance.release = "v1.1.0".to_owned();
    store.submit(first.attempt, other.clone(), 1).await.expect("accepted");
    finish(&*store, &claim(&*store, "w", 2).await, 2).await;
    let done = store.batch(batch).await.expect("batch");
    assert_eq!((done.state, done.results), (BatchState::Done, 8));

    let bad = JobFilter { release: Some("v1.1.0".to_owned()), ..JobFilter::default() };
    let changed = act(&*store, JobAction::Retry, bad, 3).await;
    assert_eq!((changed.matched, changed.changed), (1, 1));
    let seen = see(&*store, batch).await;
    assert_eq!((seen.batch.state, seen.batch.results, seen.batch.jobs_waiting), (BatchState::Open, 4, 1));
    assert!(seen.results[0].records.iter().all(|row| row.outcome.is_none()));
    // The worker did not hear its answer: its results were accepted, then.
    assert!(store.submit(first.attempt, other, 4).await.expect("acknowledged").repeated);

    let again = claim(&*store, "x", 5).await;
    assert_eq!((again.job, again.revision), (first.job, 2));
    finish(&*store, &again, 6).await;
    let history = store.job(first.job).await.expect("the job");
    let attempts: Vec<(i64, AttemptState, u32)> =
        history.attempts.iter().map(|attempt| (attempt.id, attempt.state, attempt.revision)).collect();
    let expected = [(again.attempt, AttemptState::Accepted, 2), (first.attempt, AttemptState::Accepted, 1)];
    assert_eq!(attempts, expected);
    let seen = store.batch(batch).await.expect("batch");
    assert_eq!((seen.state, seen.results, seen.errors), (BatchState::Done, 8, done.errors));
}

pub(crate) async fn a_deleted_job_says_so_among_the_results(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    let held = claim(&*store, "w", 0).await;
    let results = compute(&*store, &held).await;
    assert_eq!(act(&*store, JobAction::Delete, one(held.job), 1).await.changed, 1);
    assert_eq!(refusal(submit(&*store, &held, results, 2).await), Refusal::NotWanted(NotWanted::Deleted));
    finish(&*store, &claim(&*store, "w", 3).await, 3).await;
    let seen = see(&*store, batch).await;
    assert_eq!((seen.batch.state, seen.batch.jobs_deleted), (BatchState::Incomplete, 1));
    let missing = format!("not processed: job {} was deleted: a person wants it", held.job);
    assert_eq!(seen.results[0].missing(), Some(missing));
    let retried = act(&*store, JobAction::Retry, one(held.job), 4).await;
    assert_eq!(&*retried.unchanged[0].why, "it was deleted");
}

pub(crate) async fn a_dry_run_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    finish(&*store, &claim(&*store, "w", 0).await, 0).await;
    let seen = see(&*store, batch).await;
    let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
    let change = JobChange { action: JobAction::Delete, filter, reason: String::new(), dry_run: true };
    let would = store.change_jobs(&change, 0, 1).await.expect("judged");
    assert_eq!((would.matched, would.changed, would.unchanged.len()), (2, 1, 1));
    assert_eq!(see(&*store, batch).await, seen);
}

pub(crate) async fn a_filter_without_any_part_chooses_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    let seen = see(&*store, batch).await;
    assert_eq!(act(&*store, JobAction::Delete, JobFilter::default(), 1).await, Changed::default());
    assert_eq!(see(&*store, batch).await, seen);
}

pub(crate) async fn a_suspended_batch_hands_out_nothing_and_running_jobs_go_on(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[1, 1]).await;
    let other = hand_in(&*store, &[1]).await;
    let held = claim(&*store, "w", 0).await;
    let suspended = store.suspend_batch(batch, "wrong file", 1).await.expect("suspended");
    assert_eq!(suspended.suspended.as_deref(), Some("wrong file"));
    assert_eq!(claim(&*store, "x", 2).await.batch, other);
    assert_eq!(try_claim(&*store, "y", 2).await, None);
    assert!(beat(&*store, &held, 3).await.lease_ms.is_some());
    drop(store);

    let store = place.open().await;
    assert_eq!(try_claim(&*store, "y", 4).await, None);
    finish(&*store, &held, 4).await;
    store.resume_batch(batch, None, 5).await.expect("resumed");
    assert_eq!(claim(&*store, "y", 6).await.batch, batch);
    assert_eq!(refusal(store.suspend_batch(99, "x", 7).await), Refusal::NoSuchBatch(99));
}

pub(crate) async fn a_deleted_batch_leaves_nothing(place: &dyn Place) {
    let store = place.open().await;
    let kept = hand_in(&*store, &[1]).await;
    let gone = hand_in(&*store, &[2; 30]).await;
    let first = claim(&*store, "w", 0).await;
    finish(&*store, &first, 0).await;
    let done = claim(&*store, "w", 1).await;
    finish(&*store, &done, 1).await;
    act(&*store, JobAction::Retry, one(done.job), 2).await;
    finish(&*store, &claim(&*store, "w", 2).await, 2).await;
    let held = claim(&*store, "w", 3).await;
    assert_eq!((first.batch, held.batch), (kept, gone));
    let results = compute(&*store, &held).await;

    let arriving = store.open_batch(crate::hands::new_batch(), 3).await.expect("open");
    assert_eq!(refusal(store.delete_batch(arriving, 4).await), Refusal::StillReceiving(arriving));
    store.delete_batch(gone, 4).await.expect("deleted");
    for _before_and_after_its_rows_are_gone in 0..2 {
        assert_eq!(refusal(store.batch(gone).await), Refusal::NoSuchBatch(gone));
        assert_eq!(refusal(store.delete_batch(gone, 5).await), Refusal::NoSuchBatch(gone));
        assert_eq!(refusal(store.job(held.job).await), Refusal::NoSuchJob(held.job));
        assert_eq!(
            store.batches(10).await.expect("batches").len(),
            2,
            "the one that is kept, and the one that arrives"
        );
        let found = store.find_jobs(&of_batch(gone), 0, 10).await.expect("jobs");
        assert_eq!(found, JobPage { jobs: Vec::new(), next: None });
        let answer = refusal(submit(&*store, &held, results.clone(), 5).await);
        assert_eq!(answer, Refusal::NoSuchAttempt(held.attempt));
        assert_eq!(try_claim(&*store, "x", 5).await, None);
        store.tidy().await.expect("tidied");
    }
    assert_eq!(store.batch(kept).await.expect("batch").state, BatchState::Done);
}

pub(crate) async fn a_drained_worker_gets_nothing_until_it_is_resumed(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1, 1]).await;
    store.report(&report("w"), "10.0.0.1", 0).await.expect("report");
    let held = claim(&*store, "w", 0).await;
    let drain = WorkerChange::Drain(Reason { reason: "a noisy fan".to_owned() });
    let worker = store.change_worker("w", &drain, 1).await.expect("drained");
    assert_eq!((worker.drained.as_deref(), worker.jobs_running), (Some("a noisy fan"), 1));
    let holding = ClaimRequest { holding: vec![held.attempt], ..request("w") };
    assert_eq!(claim_as(&*store, &holding, 2).await, None);
    finish(&*store, &held, 3).await;
    let name = WorkerChange::Name("the one by the window".to_owned());
    store.change_worker("w", &name, 4).await.expect("named");
    let worker = store.change_worker("w", &WorkerChange::Resume, 4).await.expect("resumed");
    assert_eq!((worker.drained, &*worker.name), (None, "the one by the window"));
    assert!(claim_as(&*store, &request("w"), 5).await.is_some());
    let nobody = refusal(store.change_worker("nobody", &WorkerChange::Resume, 6).await);
    assert_eq!(nobody, Refusal::NoSuchWorker("nobody".to_owned()));
}

pub(crate) async fn jobs_are_found_by_what_they_are(place: &dyn Place) {
    let store = place.open().await;
    let first = hand_in(&*store, &[1; 3]).await;
    let second = hand_in(&*store, &[1; 3]).await;
    finish(&*store, &claim(&*store, "a", 0).await, 0).await;
    let held = claim(&*store, "b", 0).await;
    let all = store.find_jobs(&JobFilter::default(), 0, 10).await.expect("jobs");
    let numbers: Vec<i64> = all.jobs.iter().map(|job| job.id).collect();
    assert_eq!((numbers.len(), all.next), (6, None));
    assert!(numbers.is_sorted());
    let of = |filter: JobFilter| {
        let store = &store;
        async move {
            let found = store.find_jobs(&filter, 0, 10).await.expect("jobs").jobs;
            found.iter().map(|job| job.id).collect::<Vec<i64>>()
        }
    };
    let none = JobFilter::default;
    assert_eq!(of(JobFilter { batch: Some(first), ..none() }).await, numbers[..3]);
    assert_eq!(of(JobFilter { batch: Some(second), state: Some(JobState::Waiting), ..none() }).await, numbers[3..]);
    assert_eq!(of(JobFilter { state: Some(JobState::Done), ..none() }).await, numbers[..1]);
    assert_eq!(of(JobFilter { worker: Some("b".to_owned()), ..none() }).await, [held.job]);
    assert_eq!(of(JobFilter { release: Some("v1.0.0".to_owned()), ..none() }).await, numbers[..1]);
    assert_eq!(of(JobFilter { plugin: Some("other".to_owned()), ..none() }).await, [0; 0]);
    assert_eq!(of(JobFilter { ids: vec![numbers[5], 999_999, numbers[0]], ..none() }).await, [numbers[0], numbers[5]]);
    assert_eq!(of(JobFilter { batch: Some(99), ..none() }).await, [0; 0]);
    let named = || JobFilter { ids: vec![numbers[5], numbers[1], numbers[5], numbers[0]], ..none() };
    assert_eq!(of(JobFilter { batch: Some(first), ..named() }).await, numbers[..2]);
    assert_eq!(of(JobFilter { state: Some(JobState::Done), ..named() }).await, numbers[..1]);
    let page = store.find_jobs(&named(), numbers[1], 1).await.expect("jobs");
    assert_eq!((page.jobs[0].id, page.next), (numbers[1], Some(numbers[1] + 1)));

    let page = store.find_jobs(&none(), 0, 4).await.expect("jobs");
    assert_eq!(page.jobs.len(), 4);
    let rest = store.find_jobs(&none(), page.next.expect("more"), 4).await.expect("jobs");
    assert_eq!((rest.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), rest.next), (numbers[4..].to_vec(), None));
}

pub(crate) async fn a_job_tells_of_every_attempt(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[3]).await;
    let failing = claim(&*store, "a", 5).await;
    give_back(&*store, &failing, GiveBackCause::Failed, "no such table: people", 6).await;
    let done = claim(&*store, "b", BACK_OFF).await;
    finish(&*store, &done, BACK_OFF + 9).await;
    let history = store.job(done.job).await.expect("the job");
    assert_eq!((history.job.state, history.job.failures), (JobState::Done, 1));
    let [accepted, failed] = &history.attempts[..] else { panic!("{history:?}") };
    assert_eq!((accepted.id, accepted.state, accepted.work_ms), (done.attempt, AttemptState::Accepted, Some(10)));
    assert_eq!((accepted.started_at, accepted.ended_at), (BACK_OFF, Some(BACK_OFF + 9)));
    assert_eq!((failed.state, &*failed.reason), (AttemptState::GivenBack, "no such table: people"));
    assert_eq!((&*failed.worker, &*failed.release, failed.ended_at), ("a", "v1.0.0", Some(6)));
    assert_eq!(refusal(store.job(999).await), Refusal::NoSuchJob(999));
}

pub(crate) async fn what_a_job_waits_for_is_known(place: &dyn Place) {
    let store = place.open().await;
    let first = hand_in(&*store, &[1, 1]).await;
    let second = hand_in(&*store, &[1, 1]).await;
    store.report(&report("w"), "10.0.0.1", 0).await.expect("report");
    let job = see(&*store, second).await.jobs[1].id;
    let facts = store.explain(job).await.expect("facts");
    assert_eq!((facts.job.id, facts.ahead, facts.batch_suspended), (job, 3, None));
    assert_eq!(facts.workers.len(), 1);
    claim(&*store, "w", 1).await;
    store.suspend_batch(first, "x", 1).await.expect("suspended");
    assert_eq!(store.explain(job).await.expect("facts").ahead, 1);
    store.suspend_batch(second, "later", 1).await.expect("suspended");
    assert_eq!(store.explain(job).await.expect("facts").batch_suspended.as_deref(), Some("later"));
    assert_eq!(refusal(store.explain(999).await), Refusal::NoSuchJob(999));
}
