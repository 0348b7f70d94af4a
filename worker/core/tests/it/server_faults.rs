//! A job server that is there, and fails at one attempt again and again: other work goes on, and nothing is lost.

use std::sync::Arc;

use nightshift_contract::message::FromCore;
use nightshift_core::Ended;
use nightshift_core::moments::Moment;
use nightshift_wire::{GiveBackCause, code};

use crate::fake::{Failure, FakeServer, Verb, assert_doubled};
use crate::worker::Worker;

#[tokio::test]
async fn a_server_that_fails_at_one_jobs_records_gets_it_back_and_the_others_are_done() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let bad = server.add_job("double", 35);
    let good: Vec<_> = (0..3).map(|_| server.add_job("double", 35)).collect();
    server.fail_at(Verb::Records, bad);
    let core = worker.core("v1.0.0", server.clone());
    core.drain_after(server.until(|server| good.iter().all(|job| server.is_done(*job)))).await;
    for job in good {
        assert_doubled(&server, job, 35);
        assert_eq!(server.attempts(job), 1);
    }
    let (back, cause, reason) = server.given_back().remove(0);
    assert_eq!((back, cause), (bad, GiveBackCause::Stopped));
    assert!(reason.contains("its records cannot be had: the job server failed: its row is broken"), "{reason}");
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn results_that_the_server_fails_to_take_are_held_on_disk_and_handed_in_between_other_jobs() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let (bad, good) = (server.add_job("double", 35), server.add_job("double", 35));
    server.fail_at(Verb::Submit, bad);
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let mended = async {
        let works_on = |server: &FakeServer| {
            server.is_done(good) && server.claims().last().is_some_and(|claim| claim.holding == [1])
        };
        server.until(works_on).await;
        let kept = "work; the results of job 1 are kept until the job server takes them: the job server failed";
        told.until(|message| matches!(message, FromCore::Waiting(what) if what.starts_with(kept))).await;
        told.until(|message| matches!(message, FromCore::Spooled { jobs: 1, bytes: 1.. })).await;
        assert_eq!(worker.attempts_on_disk(), 1);
        server.come_back();
        server.until_all_done().await;
    };
    core.drain_after(mended).await;
    for job in [bad, good] {
        assert_doubled(&server, job, 35);
        assert_eq!(server.attempts(job), 1, "the work is done once");
    }
    assert!(server.claims().iter().skip(1).any(|claim| claim.holding == [1]), "it goes on holding the attempt");
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn results_set_aside_survive_a_kill_and_the_next_core_works_on_before_the_server_takes_them() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let bad = server.add_job("double", 35);
    server.fail_at(Verb::Submit, bad);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::SetAside).await;

    let good = server.add_job("double", 35);
    let core = worker.core("v1.0.0", server.clone());
    let ended = core.drain_after(server.until(|server| server.is_done(good))).await;
    assert_eq!(ended, Ended::Drained("the test is over".to_owned()));
    assert_eq!(worker.attempts_on_disk(), 1, "a drain leaves them to the next core");

    server.come_back();
    worker.core("v1.0.0", server.clone()).drain_after(server.until_all_done()).await;
    assert_doubled(&server, bad, 35);
    assert_eq!((server.attempts(bad), worker.attempts_on_disk()), (1, 0));
}

#[tokio::test]
async fn results_set_aside_that_nobody_wants_any_more_are_dropped() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let bad = server.add_job("double", 35);
    server.fail_at(Verb::Submit, bad);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::SetAside).await;
    server.come_back();
    server.want_no_more();
    let core = worker.core("v1.0.0", server.clone());
    let holds_nothing = |server: &FakeServer| server.claims().iter().skip(1).any(|claim| claim.holding.is_empty());
    core.drain_after(server.until(holds_nothing)).await;
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn a_server_that_takes_no_results_at_all_is_given_no_further_work_until_it_does() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let jobs: Vec<_> = (0..12).map(|_| server.add_job("double", 5)).collect();
    for job in &jobs {
        server.fail_at(Verb::Submit, *job);
    }
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let mended = async {
        told.until(|message| matches!(message, FromCore::Waiting(what) if what.starts_with("the job server to take")))
            .await;
        assert_eq!((worker.attempts_on_disk(), server.attempts(jobs[8])), (8, 0));
        server.come_back();
        server.until_all_done().await;
    };
    core.drain_after(mended).await;
    assert!(jobs.iter().all(|job| server.attempts(*job) == 1));
}

#[tokio::test]
async fn a_job_that_the_server_fails_to_take_back_does_not_keep_the_worker() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let (bad, good) = (server.add_job("double", 35), server.add_job("double", 35));
    server.fail_at(Verb::Records, bad);
    server.fail_at(Verb::GiveBack, bad);
    let core = worker.core("v1.0.0", server.clone());
    core.drain_after(server.until(|server| server.is_done(good))).await;
    assert!(server.given_back().is_empty());
}

#[tokio::test]
async fn results_too_large_for_the_server_give_the_job_back_with_advice() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    server.add_job("double", 35);
    server.fail_next(Verb::Submit, Failure::Refused(code::TOO_LARGE));
    worker.core("v1.0.0", server.clone()).drain_after(server.until_all_done()).await;
    let (_, cause, reason) = server.given_back().remove(0);
    assert_eq!(cause, GiveBackCause::Failed);
    assert!(reason.contains("smaller --job-size"), "{reason}");
}

#[tokio::test]
async fn a_fault_of_the_moment_costs_nothing() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    for verb in [Verb::Claim, Verb::Records, Verb::Submit] {
        for _ in 0..9 {
            server.fail_next(verb, Failure::Fault);
        }
    }
    worker.core("v1.0.0", server.clone()).drain_after(server.until_all_done()).await;
    assert_doubled(&server, job, 35);
    assert_eq!(server.attempts(job), 1);
}
