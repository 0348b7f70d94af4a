//! The next job is got ready while one is in hand, and finished ones are handed in beside it.

use std::sync::Arc;

use nightshift_contract::message::FromCore;
use nightshift_core::Orders;
use nightshift_core::moments::Moment;
use nightshift_wire::{GiveBackCause, JobId};

use crate::fake::{Failure, FakeServer, Verb, assert_doubled};
use crate::worker::{DOUBLE, ENDLESS, TestCore, Worker};

/// A worker whose plugin `endless` keeps a job in hand for as long as the test likes.
fn with_endless() -> (Worker, Arc<FakeServer>, JobId) {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    let job = server.add_job("endless", 5);
    (worker, server, job)
}

fn stop(orders: &mut Orders) {
    orders.stop = Some("enough".to_owned());
}

/// Kills a core at the last of these moments of two jobs, lets another finish, and checks every result.
async fn kill_and_go_on(moments: &[Moment]) -> [u32; 2] {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let jobs = [server.add_job("double", 25), server.add_job("double", 15)];
    worker.core("v1.0.0", server.clone()).ahead().kill_at_last_of(moments).await;
    worker.core("v1.0.0", server.clone()).ahead().drain_after(server.until_all_done()).await;
    assert_doubled(&server, jobs[0], 25);
    assert_doubled(&server, jobs[1], 15);
    assert_eq!(worker.attempts_on_disk(), 0);
    jobs.map(|job| server.attempts(job))
}

#[tokio::test]
async fn a_core_killed_at_any_moment_with_a_job_ahead_loses_nothing_and_doubles_nothing() {
    use Moment::*;
    let after = [
        Ahead,
        Processed { done: 10 },
        BlockSaved { done: 10 },
        Processed { done: 25 },
        BlockSaved { done: 25 },
        Finished,
        Accepted,
        Removed,
    ];
    for moment in after {
        let moments: &[Moment] = if moment == Ahead { &[Ahead] } else { &[Ahead, moment] };
        let attempts = kill_and_go_on(moments).await;
        assert_eq!(attempts, [1, 1], "killed at {moment:?}, the same attempts go on");
    }
}

#[tokio::test]
async fn a_core_killed_while_it_gets_the_next_job_ready_loses_nothing_and_doubles_nothing() {
    use Moment::*;
    for moment in [Noted, Fetched, RecordsSaved] {
        assert_eq!(kill_and_go_on(&[moment, moment]).await, [1, 1], "killed at {moment:?}");
    }
    assert_eq!(kill_and_go_on(&[Claimed, Claimed]).await, [1, 2], "what was not noted is claimed once more");
}

#[tokio::test]
async fn a_claim_ahead_names_the_job_in_hand_and_holds_it() {
    let (worker, server, _) = with_endless();
    server.add_job("double", 10);
    let core = worker.core("v1.0.0", server.clone()).ahead();
    let told = core.told.clone();
    core.order_after(server.until(|server| server.claims().len() >= 2), stop).await;
    let claims = server.claims();
    assert_eq!((claims[0].behind, claims[0].holding.as_slice()), (None, &[0i64; 0][..]));
    assert_eq!((claims[1].behind, claims[1].holding.as_slice(), claims[1].wait_ms), (Some(1), &[1i64][..], 0));
    let waiting = |message: &&FromCore| matches!(message, FromCore::Waiting(_));
    let told = told.all();
    let in_hand = told.iter().skip_while(|message| !matches!(message, FromCore::Working { .. }));
    assert_eq!(in_hand.filter(waiting).count(), 0, "a core with a job in hand waits for nothing");
}

#[tokio::test]
async fn only_one_job_is_got_ready_and_it_gets_heartbeats_too() {
    let (worker, server, _) = with_endless();
    for _ in 0..3 {
        server.add_job("double", 10);
    }
    let core = worker.core("v1.0.0", server.clone()).ahead();
    let beats = server.until(|server| [1, 2].iter().all(|attempt| server.beats_of(*attempt) >= 3));
    core.order_after(beats, stop).await;
    assert_eq!(worker.attempts_on_disk(), 2);
    assert_eq!([1, 2, 3, 4].map(|job| server.attempts(job)), [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_drain_gives_the_job_ahead_back_at_once_and_finishes_the_one_in_hand() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let jobs = [server.add_job("double", 2000), server.add_job("double", 10)];
    let core = worker.core("v1.0.0", server.clone()).ahead();
    core.drain_after(server.until(|server| server.beats_of(2) > 0 || server.has_handed_out_records_of(2))).await;
    assert_doubled(&server, jobs[0], 2000);
    assert_eq!(server.given_back(), [(jobs[1], GiveBackCause::Stopped, "the test is over".to_owned())]);
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn a_release_change_gives_the_job_ahead_back_while_the_one_in_hand_goes_on() {
    let (worker, server, _) = with_endless();
    let next = worker.release("v1.1.0", &[("double", DOUBLE)]);
    let ahead = server.add_job("double", 10);
    let core = worker.core("v1.0.0", server.clone()).ahead();
    let ordering = core.ordering.clone();
    let changed = async {
        server.until(|server| server.has_handed_out_records_of(2)).await;
        ordering.send_modify(|orders| orders.release = Some(next));
        server.until(|server| !server.given_back().is_empty()).await;
        let beats = server.beats_of(1);
        server.until(|server| server.beats_of(1) >= beats + 5).await;
    };
    core.order_after(changed, stop).await;
    assert_eq!(server.given_back(), [(ahead, GiveBackCause::Stopped, "v1.1.0 takes over".to_owned())]);
    assert_eq!(worker.attempts_on_disk(), 1, "the one in hand stays");
}

#[tokio::test]
async fn a_job_ahead_that_is_not_wanted_any_more_is_dropped_while_the_one_in_hand_goes_on() {
    let (worker, server, _) = with_endless();
    server.add_job("double", 10);
    let core = worker.core("v1.0.0", server.clone()).ahead();
    let dropped = async {
        server.until(|server| server.has_handed_out_records_of(2)).await;
        server.do_not_want(2);
        server
            .until(|server| {
                server.claims().last().is_some_and(|claim| claim.holding == [1] && server.claims().len() > 2)
            })
            .await;
    };
    core.order_after(dropped, stop).await;
    assert!(server.given_back().is_empty());
}

#[tokio::test]
async fn a_server_away_for_a_whole_job_idles_nobody_and_gets_both_results_when_it_is_back() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let jobs = [server.add_job("double", 500), server.add_job("double", 300)];
    let core = worker.core("v1.0.0", server.clone()).ahead();
    let told = core.told.clone();
    let back = async {
        server.until(|server| server.has_handed_out_records_of(2)).await;
        server.go_away();
        let second = |message: &FromCore| matches!(message, FromCore::Working { job: 2, done: 300, .. });
        told.until(second).await;
        assert!(!server.is_done(jobs[0]) && !server.is_done(jobs[1]));
        server.come_back();
        server.until_all_done().await;
    };
    core.drain_after(back).await;
    assert_doubled(&server, jobs[0], 500);
    assert_doubled(&server, jobs[1], 300);
    assert_eq!(jobs.map(|job| server.attempts(job)), [1, 1]);
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn whichever_answer_is_lost_with_a_job_ahead_every_record_has_exactly_one_result() {
    for verb in [Verb::Claim, Verb::Records, Verb::Heartbeat, Verb::Submit] {
        for failure in [Failure::Away, Failure::AnswerLost, Failure::Fault] {
            let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
            let jobs: Vec<JobId> = (0..4).map(|_| server.add_job("double", 25)).collect();
            for _ in 0..5 {
                server.fail_next(verb, failure);
            }
            worker.core("v1.0.0", server.clone()).ahead().drain_after(server.until_all_done()).await;
            for job in jobs {
                assert_doubled(&server, job, 25);
            }
            assert_eq!(worker.attempts_on_disk(), 0, "{verb:?} {failure:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_claimed_ahead_on_a_disk_that_is_short() {
    let (worker, server, _) = with_endless();
    server.add_job("double", 10);
    let mut core: TestCore = worker.core("v1.0.0", server.clone()).ahead();
    core.core.pace.ahead.least_disk = u64::MAX;
    core.order_after(server.until(|server| server.heartbeats().len() >= 3), stop).await;
    assert_eq!(server.claims().len(), 1);
}
