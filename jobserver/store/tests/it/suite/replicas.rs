//! Promises about positions of the primary's data, failovers, replicas as workers report them, and permits to rebuild.

use nightshift_rules::{acceptance::OtherPrimary, rebuild};
use nightshift_store::{NewBatch, Refusal, Store};
use nightshift_wire::{
    BatchId, BatchState, Claim, DataPosition, GiveBackCause, JobAction, JobFilter, Moment, ReachedPosition,
    RebuildPermit, RebuildRequest, Repin, ReplicaReport, ReplicaState, Report, Submission,
};

use crate::{
    hands::{BACK_OFF, claim, compute, finish, give_back, hand_in, hand_in_as, new_batch, refusal, report, submission},
    place::Place,
};

fn position(primary: &str, gtid: &str, noted: Moment) -> DataPosition {
    DataPosition { primary: primary.to_owned(), gtid: gtid.to_owned(), noted }
}

fn reached(primary: &str, gtid: &str) -> ReachedPosition {
    ReachedPosition { primary: primary.to_owned(), gtid: gtid.to_owned() }
}

async fn hand_in_at(store: &dyn Store, at: &DataPosition, jobs: &[usize]) -> BatchId {
    hand_in_as(store, NewBatch { position: Some(at.clone()), ..new_batch() }, jobs).await
}

/// What a worker hands in whose replica had reached a position.
async fn computed_at(store: &dyn Store, claim: &Claim, at: Option<ReachedPosition>) -> Submission {
    let mut submission = submission(claim, compute(store, claim).await);
    submission.provenance.position = at;
    submission
}

pub(crate) async fn every_claim_carries_the_position_of_its_batch(place: &dyn Place) {
    let store = place.open().await;
    let gtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
    let at = position("mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562", gtids, 12);
    let pinned = hand_in_at(&*store, &at, &[1, 1]).await;
    let unpinned = hand_in(&*store, &[1]).await;
    let first = claim(&*store, "w", 20).await;
    assert_eq!((first.batch, first.position.as_ref()), (pinned, Some(&at)));
    drop(store);
    let store = place.open().await;
    let second = claim(&*store, "x", 30).await;
    assert_eq!((second.batch, second.position.as_ref()), (pinned, Some(&at)));
    let third = claim(&*store, "y", 30).await;
    assert_eq!((third.batch, third.position), (unpinned, None));
    assert_eq!(store.batch(pinned).await.expect("the batch").position, Some(at.clone()));
    assert_eq!(store.job(first.job).await.expect("the job").position, Some(at));
    assert_eq!(store.batch(unpinned).await.expect("the batch").position, None);
}

pub(crate) async fn results_keep_the_position_that_their_data_had_reached(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[2, 2, 2]).await;
    let later = reached("mariadb:7", "0-7-15");
    for at in [Some(later.clone()), Some(later.clone()), None] {
        let held = claim(&*store, "w", 2).await;
        store.submit(held.attempt, computed_at(&*store, &held, at.clone()).await, 3).await.expect("accepted");
        let attempts = store.job(held.job).await.expect("the job").attempts;
        assert_eq!(attempts[0].position, at);
    }
    let counted: Vec<_> = store.computed(batch, 0, 3).await.expect("counted");
    let by_position: Vec<_> = counted.into_iter().map(|part| (part.position, part.jobs, part.results)).collect();
    assert_eq!(by_position, [(None, 1, 2), (Some(later), 2, 4)]);
}

pub(crate) async fn a_position_that_no_store_could_keep_is_refused(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[1]).await;
    let held = claim(&*store, "w", 2).await;
    for (primary, gtid) in [("", "0-7-1"), (&*"p".repeat(256), "0-7-1"), ("mariadb:7", &*"0".repeat(70_000))] {
        let odd = computed_at(&*store, &held, Some(reached(primary, gtid))).await;
        assert_eq!(refusal(store.submit(held.attempt, odd, 3).await), Refusal::NoPosition);
    }
    let long = computed_at(&*store, &held, Some(reached(&"p".repeat(255), &"0".repeat(60_000)))).await;
    store.submit(held.attempt, long, 3).await.expect("accepted");
}

pub(crate) async fn results_of_another_primarys_data_change_nothing(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[2]).await;
    let held = claim(&*store, "w", 2).await;
    let other = computed_at(&*store, &held, Some(reached("mariadb:8", "0-8-99"))).await;
    let expected = OtherPrimary { pinned: "mariadb:7".to_owned(), reached: "mariadb:8".to_owned() };
    for _ in 0..2 {
        assert_eq!(
            refusal(store.submit(held.attempt, other.clone(), 3).await),
            Refusal::OtherPrimary(expected.clone())
        );
    }
    let seen = store.batch(batch).await.expect("the batch");
    assert_eq!((seen.state, seen.results, seen.jobs_running), (BatchState::Open, 0, 1));
    // Its worker no longer has it: the job is somebody's again.
    let again = claim(&*store, "w", 4).await;
    assert_eq!(again.job, held.job);
    let right = computed_at(&*store, &again, Some(reached("mariadb:7", "0-7-12"))).await;
    store.submit(again.attempt, right, 5).await.expect("accepted");
}

pub(crate) async fn what_is_not_done_gets_a_position_of_the_new_primary_on_the_record(place: &dyn Place) {
    let store = place.open().await;
    let (old, new) = (position("mariadb:7", "0-7-12", 1), position("mariadb:8", "0-8-13", 50));
    let done = hand_in_at(&*store, &old, &[1]).await;
    finish(&*store, &claim(&*store, "w", 2).await, 2).await;
    let open = hand_in_at(&*store, &old, &[1, 1]).await;
    finish(&*store, &claim(&*store, "w", 2).await, 2).await;
    let of_the_new = hand_in_at(&*store, &position("mariadb:8", "0-8-14", 49), &[1]).await;
    let unpinned = hand_in(&*store, &[1]).await;
    let pinned = NewBatch { position: Some(old.clone()), ..new_batch() };
    let arriving = store.open_batch(pinned, 0).await.expect("opened");

    assert_eq!(store.repin(&position("mariadb:7", "0-7-40", 50), 50).await.expect("looked").len(), 1);
    let back = store.repin(&old, 50).await.expect("looked");
    assert_eq!(back, [], "a position of the same primary stays");
    let repinned = store.repin(&new, 51).await.expect("repinned");
    let repin = |jobs_done| Repin { at: 51, from: old.clone(), to: new.clone(), jobs_done };
    let found: Vec<(BatchId, u64)> = repinned.iter().map(|one| (one.batch, one.repin.jobs_done)).collect();
    assert_eq!(found, [(open, 1), (of_the_new, 0), (arriving, 0)]);
    assert_eq!(repinned[0].repin, repin(1));
    assert_eq!(store.repin(&new, 52).await.expect("again"), []);
    drop(store);

    let store = place.open().await;
    let at = async |batch| store.batch(batch).await.expect("the batch").position;
    assert_eq!((at(done).await, at(open).await), (Some(old.clone()), Some(new.clone())));
    assert_eq!(at(unpinned).await, None);
    assert_eq!(store.repins(open).await.expect("read"), [repin(1)]);
    assert_eq!(store.repins(of_the_new).await.expect("read").len(), 2, "there and back, both on the record");
    assert_eq!(store.repins(done).await.expect("read"), []);
    assert_eq!(claim(&*store, "w", 60).await.position, Some(new));
}

pub(crate) async fn a_job_that_was_claimed_before_a_failover_is_done_again(place: &dyn Place) {
    let store = place.open().await;
    hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[1]).await;
    let held = claim(&*store, "w", 2).await;
    store.repin(&position("mariadb:8", "0-8-13", 50), 50).await.expect("repinned");
    let old = computed_at(&*store, &held, Some(reached("mariadb:7", "0-7-12"))).await;
    assert!(matches!(refusal(store.submit(held.attempt, old, 51).await), Refusal::OtherPrimary(_)));
    let again = claim(&*store, "w", 52).await;
    assert_eq!(again.job, held.job);
    assert_eq!(again.position.as_ref().map(|position| &*position.primary), Some("mariadb:8"));
}

pub(crate) async fn a_batch_that_was_given_up_is_repinned_before_it_is_retried(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[1]).await;
    for failure in 1..=3 {
        let failing = claim(&*store, "w", failure * BACK_OFF).await;
        give_back(&*store, &failing, GiveBackCause::Failed, "no", failure * BACK_OFF).await;
    }
    assert_eq!(store.batch(batch).await.expect("the batch").state, BatchState::Incomplete);
    let new = position("mariadb:8", "0-8-13", 4 * BACK_OFF);
    store.repin(&new, 4 * BACK_OFF).await.expect("repinned");
    let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
    let retry = nightshift_store::JobChange { action: JobAction::Retry, filter, reason: String::new(), dry_run: false };
    store.change_jobs(&retry, 0, 4 * BACK_OFF).await.expect("retried");
    assert_eq!(claim(&*store, "x", 5 * BACK_OFF).await.position, Some(new));
}

pub(crate) async fn a_deleted_batch_takes_the_record_of_its_positions_with_it(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[1]).await;
    store.repin(&position("mariadb:8", "0-8-13", 2), 2).await.expect("repinned");
    store.delete_batch(batch, 3).await.expect("deleted");
    store.tidy().await.expect("tidied");
    assert_eq!(store.repins(batch).await.expect("read"), []);
}

fn asks(worker: &str) -> RebuildRequest {
    RebuildRequest { worker: worker.to_owned(), reason: "its position is purged on the primary".to_owned() }
}

async fn may(store: &dyn Store, worker: &str, now: Moment) -> bool {
    let permit: RebuildPermit = store.permit_rebuild(&asks(worker), 2, now).await.expect("answered");
    assert_eq!(permit.lease_ms.is_none(), !permit.reason.is_empty(), "{permit:?}");
    permit.lease_ms.is_some()
}

pub(crate) async fn so_many_workers_rebuild_at_once_and_the_next_when_one_has_ended(place: &dyn Place) {
    let store = place.open().await;
    assert!(may(&*store, "a", 0).await && may(&*store, "b", 0).await);
    assert!(!may(&*store, "c", 1).await);
    assert!(may(&*store, "a", 1).await, "who builds goes on");
    store.end_rebuild("b").await.expect("ended");
    store.end_rebuild("b").await.expect("ended again");
    drop(store);
    let store = place.open().await;
    assert!(may(&*store, "c", 2).await && !may(&*store, "b", 2).await);
}

pub(crate) async fn a_permit_of_a_worker_that_went_away_runs_out(place: &dyn Place) {
    let store = place.open().await;
    let over = i64::try_from(rebuild::LEASE_MS).expect("a moment");
    assert!(may(&*store, "a", 0).await && may(&*store, "b", 10).await);
    assert!(!may(&*store, "c", over - 1).await);
    assert!(may(&*store, "c", over).await);
    assert!(!may(&*store, "a", over).await, "it is late, and another has its place");
}

pub(crate) async fn of_several_that_ask_for_a_rebuild_at_the_same_instant_two_may(place: &dyn Place) {
    let store = place.open().await;
    let ask = |worker| may(&*store, worker, 5);
    let (a, b, c, d) = tokio::join!(ask("a"), ask("b"), ask("c"), ask("d"));
    assert_eq!([a, b, c, d].into_iter().filter(|may| *may).count(), 2);
}

pub(crate) async fn a_failover_that_is_seen_several_times_at_once_is_noted_once(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in_at(&*store, &position("mariadb:7", "0-7-12", 1), &[1]).await;
    let seen = [position("mariadb:8", "0-8-13", 50), position("mariadb:8", "0-8-14", 51)];
    let (one, two, three) =
        tokio::join!(store.repin(&seen[0], 50), store.repin(&seen[1], 51), store.repin(&seen[0], 52));
    let told: Vec<_> = [one, two, three].into_iter().flat_map(|repinned| repinned.expect("looked")).collect();
    let noted = store.repins(batch).await.expect("read");
    assert_eq!((told.len(), noted.len()), (1, 1), "{told:?} {noted:?}");
    assert_eq!(store.batch(batch).await.expect("the batch").position, Some(noted[0].to.clone()));
}

pub(crate) async fn a_workers_replica_is_known_as_it_was_reported_last(place: &dyn Place) {
    let store = place.open().await;
    let replica = ReplicaReport {
        state: ReplicaState::Behind,
        reason: "its data lie 90 s back".to_owned(),
        behind_ms: Some(90_000),
        primary: "mariadb:7".to_owned(),
        gtid: "0-7-12".to_owned(),
        server: "MariaDB 10.11.19".to_owned(),
    };
    let with = Report { replica: Some(replica.clone()), ..report("w") };
    store.report(&with, "10.0.0.1", 1).await.expect("kept");
    assert_eq!(store.worker("w").await.expect("the worker").report.replica, Some(replica));
    store.report(&report("w"), "10.0.0.1", 2).await.expect("kept");
    assert_eq!(store.workers().await.expect("the workers")[0].report.replica, None);
}
