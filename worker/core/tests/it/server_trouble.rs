//! A job server that is away, loses answers, or does not want an attempt any more.

use std::sync::Arc;

use nightshift_contract::message::FromCore;
use nightshift_core::moments::Moment;
use nightshift_core::{Ended, Orders};
use nightshift_wire::{GiveBackCause, code};

use crate::fake::{Failure, FakeServer, Verb, assert_doubled};
use crate::worker::{ENDLESS, Worker};

#[tokio::test]
async fn whichever_answer_is_lost_every_record_has_exactly_one_result() {
    for verb in [Verb::Claim, Verb::Records, Verb::Heartbeat, Verb::Submit] {
        for failure in [Failure::Away, Failure::AnswerLost] {
            let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
            let job = server.add_job("double", 35);
            for _ in 0..2 {
                server.fail_next(verb, failure);
            }
            let core = worker.core("v1.0.0", server.clone());
            core.drain_after(async { server.until_all_done().await }).await;
            assert_doubled(&server, job, 35);
            assert!(verb == Verb::Heartbeat || server.has_failed_enough(), "{verb:?} {failure:?}");
            assert_eq!(worker.attempts_on_disk(), 0);
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_long_loses_no_finished_work_and_the_reason_is_told() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    for _ in 0..50 {
        server.fail_next(Verb::Submit, Failure::Away);
    }
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    core.drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 35);
    assert_eq!(server.attempts(job), 1);
    let waiting = "the job server (handing in results): the job server is away: the cable is cut";
    assert!(told.all().contains(&FromCore::Waiting(waiting.into())), "{:?}", told.all());
}

#[tokio::test]
async fn a_core_that_drains_while_the_server_is_away_leaves_its_results_to_the_next() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    for _ in 0..1000 {
        server.fail_next(Verb::Submit, Failure::Away);
    }
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let away = |message: &FromCore| matches!(message, FromCore::Waiting(what) if what.contains("handing in"));
    let ended = core.drain_after(told.until(away)).await;
    assert_eq!(ended, Ended::Drained("the test is over".to_owned()));
    assert_eq!(worker.attempts_on_disk(), 1);

    server.come_back();
    worker.core("v1.0.0", server.clone()).drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 35);
    assert_eq!(server.attempts(job), 1);
}

#[tokio::test]
async fn an_attempt_that_is_not_wanted_any_more_is_dropped_in_the_middle_of_a_block() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    server.add_job("endless", 5);
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let dropped = async {
        told.until(|message| matches!(message, FromCore::Working { .. })).await;
        server.want_no_more();
        server.until(|server| server.claims().iter().skip(1).any(|claim| claim.holding.is_empty())).await;
    };
    let stop = |orders: &mut Orders| orders.stop = Some("enough".to_owned());
    core.order_after(dropped, stop).await;
}

#[tokio::test]
async fn results_that_nobody_wants_any_more_are_dropped() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    server.add_job("double", 35);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::Finished).await;
    server.want_no_more();
    let core = worker.core("v1.0.0", server.clone());
    let holds_nothing = |server: &FakeServer| server.claims().iter().skip(1).any(|claim| claim.holding.is_empty());
    core.drain_after(server.until(holds_nothing)).await;
    assert_eq!(worker.attempts_on_disk(), 0);
    assert!(server.given_back().iter().all(|(_, cause, _)| *cause == GiveBackCause::Stopped));
}

#[tokio::test]
async fn a_job_that_does_not_fit_goes_back_as_failed_with_the_servers_reason() {
    for (verb, code) in [(Verb::Records, code::MISSING_COLUMN), (Verb::Submit, code::WRONG_RESULTS)] {
        let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
        let job = server.add_job("double", 35);
        server.fail_next(verb, Failure::Refused(code));
        let core = worker.core("v1.0.0", server.clone());
        core.drain_after(async { server.until_all_done().await }).await;
        let (back, cause, reason) = server.given_back().remove(0);
        assert_eq!((back, cause), (job, GiveBackCause::Failed));
        assert!(reason.contains(&format!("refused as {code}")), "{reason}");
        assert_eq!(worker.attempts_on_disk(), 0);
    }
}

#[tokio::test]
async fn a_server_that_refuses_to_give_work_is_asked_again() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    server.fail_next(Verb::Claim, Failure::Refused(code::BAD_REQUEST));
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    core.drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 35);
    let waiting = "the job server (claiming a job): refused as bad_request";
    assert!(told.all().contains(&FromCore::Waiting(waiting.into())), "{:?}", told.all());
}

#[tokio::test]
async fn a_field_that_is_no_number_costs_one_error_and_not_the_job() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job_of("double", vec!["1".into(), "one".into(), "".into()]);
    worker.core("v1.0.0", server.clone()).drain_after(async { server.until_all_done().await }).await;
    let (results, _) = server.results(job).expect("done");
    let errors: Vec<bool> =
        results.iter().map(|result| matches!(result.outcome, nightshift_wire::Outcome::Error(_))).collect();
    assert_eq!(errors, [false, true, false]);
}
