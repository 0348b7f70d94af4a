//! From a claim to accepted results, and the waiting before it.

use std::sync::Arc;
use std::time::Duration;

use nightshift_server::catalogue::Catalogue;
use nightshift_wire::{BatchState, ClaimRequest, GiveBack, GiveBackCause, Heartbeat, JobState, code};

use crate::running::{LEASE, TestServer, catalogue, claim_request, refusal, waiting_claim};

#[tokio::test]
async fn a_job_runs_to_its_end() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\nBobby\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    assert_eq!((claim.batch, claim.plugin.as_str(), claim.records), (batch.id, "count", 2));
    assert_eq!(claim.lease_ms, LEASE.as_millis() as u64);
    let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 1 };
    let lease = server.client.heartbeat(claim.attempt, &heartbeat).await.expect("renewed");
    assert_eq!(lease.lease_ms, Some(claim.lease_ms));
    let submission = server.process(&claim).await;
    let receipt = server.client.submit(claim.attempt, &submission).await.expect("accepted");
    assert_eq!((receipt.job, receipt.repeated), (claim.job, false));
    let again = server.client.submit(claim.attempt, &submission).await.expect("acknowledged");
    assert_eq!((again.job, again.repeated), (claim.job, true));
    let batch = server.client.batch(batch.id).await.expect("there");
    assert_eq!((batch.state, batch.results, batch.errors), (BatchState::Done, 2, 0));
}

#[tokio::test]
async fn a_waiting_claim_is_woken_by_a_hand_in() {
    let server = TestServer::start().await;
    let request = waiting_claim("w-1");
    let (claim, batch) = tokio::join!(server.client.claim(&request), server.hand_in("name\nAnn\n"));
    assert_eq!(claim.expect("answered").expect("a job").batch, batch.expect("good").id);
}

#[tokio::test]
async fn every_waiting_worker_gets_its_job() {
    let server = TestServer::start().await;
    let requests = ["w-1", "w-2", "w-3"].map(waiting_claim);
    let [one, two, three] = &requests;
    let (one, two, three, batch) = tokio::join!(
        server.client.claim(one),
        server.client.claim(two),
        server.client.claim(three),
        server.hand_in("name\na\nb\nc\nd\ne\nf\n"),
    );
    batch.expect("good");
    let mut jobs = [one, two, three].map(|claim| claim.expect("answered").expect("a job").job);
    jobs.sort_unstable();
    assert!(jobs[0] < jobs[1] && jobs[1] < jobs[2], "three workers, three jobs: {jobs:?}");
}

#[tokio::test]
async fn a_waiting_claim_is_woken_when_a_job_comes_back() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    let given = GiveBack { secret: held.secret.clone(), cause: GiveBackCause::Stopped, reason: "drained".to_owned() };
    let request = waiting_claim("w-2");
    let (claim, given) = tokio::join!(server.client.claim(&request), server.client.give_back(held.attempt, &given));
    given.expect("taken");
    assert_eq!(claim.expect("answered").expect("a job").job, held.job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_gives_the_job_to_a_worker_that_waits() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    server.pass(LEASE - Duration::from_millis(1));
    assert_eq!(server.claim("w-2").await, None);
    let request = waiting_claim("w-2");
    let pass = async { server.pass(Duration::from_millis(1)) };
    let (claim, ()) = tokio::join!(server.client.claim(&request), pass);
    let claim = claim.expect("answered").expect("a job");
    assert_eq!(claim.job, held.job);
    assert_ne!((claim.attempt, &claim.secret), (held.attempt, &held.secret));
}

#[tokio::test]
async fn a_newer_claim_of_a_worker_ends_its_older_one() {
    let server = TestServer::start().await;
    let request = waiting_claim("w-1");
    let (one, other) = (Box::pin(server.client.claim(&request)), Box::pin(server.client.claim(&request)));
    let (older, newer) = futures_util::future::select(one, other).await.factor_first();
    assert_eq!(older.expect("answered"), None, "it is over");
    let (_, claim) = tokio::join!(server.hand_in("name\nAnn\n"), newer);
    let claim = claim.expect("answered").expect("the newest claim gets the job");
    let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 0 };
    let lease = server.client.heartbeat(claim.attempt, &heartbeat).await.expect("answered");
    assert!(lease.lease_ms.is_some(), "and nobody takes it away: {}", lease.reason);
}

#[tokio::test]
async fn a_claim_without_work_ends_when_its_wait_is_over() {
    let server = TestServer::start().await;
    let request = ClaimRequest { wait_ms: 10, ..claim_request("w-1") };
    assert_eq!(server.client.claim(&request).await.expect("answered"), None);
}

#[tokio::test]
async fn a_claim_waits_no_longer_than_the_server_allows() {
    let limits =
        nightshift_server::serve::Limits { longest_wait: Duration::from_millis(10), ..crate::running::limits() };
    let server = TestServer::start_with(limits).await;
    assert_eq!(server.client.claim(&waiting_claim("w-1")).await.expect("answered"), None);
}

#[tokio::test]
async fn no_job_is_handed_out_while_the_repository_holds_a_stop_flag() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let stopped = Catalogue { stopped: Some("fire drill".to_owned()), ..catalogue() };
    server.catalogue.send_replace(Arc::new(stopped));
    assert_eq!(server.claim("w-1").await, None);
    assert_eq!(server.client.status().await.expect("answered").stopped.as_deref(), Some("fire drill"));

    let request = waiting_claim("w-1");
    let start = async { server.catalogue.send_replace(Arc::new(catalogue())) };
    let (claim, _) = tokio::join!(server.client.claim(&request), start);
    assert!(claim.expect("answered").is_some(), "the claim goes on as soon as the flag is gone");
}

#[tokio::test]
async fn a_worker_that_forgot_an_attempt_gets_its_job_again() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let lost = server.claim("w-1").await.expect("a job");
    let holding = ClaimRequest { holding: vec![lost.attempt], ..claim_request("w-1") };
    assert_eq!(server.client.claim(&holding).await.expect("answered"), None, "it still holds it");
    let again = server.claim("w-1").await.expect("the job is back");
    assert_eq!(again.job, lost.job);
    assert_ne!(again.attempt, lost.attempt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_too_often_is_quarantined() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good");
    for _ in 0..2 {
        let claim = server.claim("w-1").await.expect("a job");
        let given = GiveBack { secret: claim.secret, cause: GiveBackCause::Failed, reason: "no such table".to_owned() };
        server.client.give_back(claim.attempt, &given).await.expect("taken");
        assert_eq!(server.claim("w-1").await, None, "not at once after a failure");
        server.pass(Duration::from_secs(30));
    }
    assert_eq!(server.claim("w-1").await, None);
    let batch = server.client.batch(batch.id).await.expect("there");
    assert_eq!((batch.state, batch.jobs_quarantined), (BatchState::Incomplete, 1));
    let job = &server.client.jobs(batch.id).await.expect("listed")[0];
    assert_eq!((job.state, job.failures), (JobState::Quarantined, 2));
    assert!(job.reason.contains("no such table"), "{}", job.reason);
}

#[tokio::test]
async fn results_that_do_not_match_the_records_are_refused_whole() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\nBob\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let mut submission = server.process(&claim).await;
    let missing = submission.results.pop().expect("two");
    let error = server.client.submit(claim.attempt, &submission).await.expect_err("one is missing");
    assert_eq!((refusal(&error).status, refusal(&error).code.as_str()), (422, code::WRONG_RESULTS));
    assert_eq!(server.client.batch(batch.id).await.expect("there").results, 0);
    submission.results.push(missing);
    server.client.submit(claim.attempt, &submission).await.expect("whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_attempt_counts_as_long_as_the_job_needs_it_and_not_longer() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let late = server.claim("w-1").await.expect("a job");
    let slow = server.process(&late).await;
    server.pass(LEASE);
    let request = waiting_claim("w-2");
    let other = server.client.claim(&request).await.expect("answered").expect("the job again");
    server.client.submit(late.attempt, &slow).await.expect("still needed");
    let heartbeat = Heartbeat { secret: other.secret.clone(), done: 0 };
    let lease = server.client.heartbeat(other.attempt, &heartbeat).await.expect("answered");
    assert_eq!(lease.lease_ms, None);
    assert!(lease.reason.contains("done"), "{}", lease.reason);
}

#[tokio::test]
async fn a_worker_gets_only_the_columns_it_asks_for_in_its_order() {
    let server = TestServer::start().await;
    server.hand_in("name,town,id\nAnn,York,1\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let columns = ["id".to_owned(), "name".to_owned()];
    let records = server.client.records(claim.attempt, &claim.secret, &columns).await.expect("there");
    assert_eq!(records.columns, columns);
    assert_eq!(records.records[0].values, ["1", "Ann"]);
}
