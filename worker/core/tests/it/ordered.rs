//! What the launcher orders, and what the core tells it.

use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::message::FromCore;
use nightshift_core::moments::Moment;
use nightshift_core::{Ended, Orders};
use nightshift_wire::GiveBackCause;

use crate::fake::{FakeServer, assert_doubled};
use crate::worker::{AT_ONCE, BROKEN, DOUBLE, ENDLESS, Worker};

fn is_working(message: &FromCore) -> bool {
    matches!(message, FromCore::Working { .. })
}

#[tokio::test]
async fn a_stop_ends_the_core_at_once_even_in_a_query_without_end() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    server.add_job("endless", 5);
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let mut orders = core.ordering.subscribe();
    let stop = |orders: &mut Orders| orders.stop = Some("STOP was pushed".to_owned());
    let too_late = async {
        orders.wait_for(|orders| orders.stop.is_some()).await.expect("the order is given");
        tokio::time::sleep(AT_ONCE).await;
    };
    tokio::select! {
        ended = core.order_after(told.until(is_working), stop) => {
            assert_eq!(ended, Ended::Stopped("STOP was pushed".to_owned()));
        }
        () = too_late => panic!("the core did not stop at once"),
    }
    assert_eq!(worker.attempts_on_disk(), 1, "the attempt stays for the next core");
    assert!(server.given_back().is_empty());
}

#[tokio::test]
async fn a_drain_finishes_the_job_in_hand_and_takes_no_other() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let jobs = [server.add_job("double", 300), server.add_job("double", 10)];
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let ended = core.drain_after(told.until(is_working)).await;
    assert_eq!(ended, Ended::Drained("the test is over".to_owned()));
    assert_doubled(&server, jobs[0], 300);
    assert_eq!(server.attempts(jobs[1]), 0);
}

#[tokio::test]
async fn a_job_that_comes_while_the_core_drains_goes_back_at_once() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let core = worker.core("v1.0.0", server.clone());
    let asks = server.until(|server| !server.claims().is_empty());
    let late = async {
        server.until(|server| !server.claims().is_empty()).await;
        server.add_job("double", 10)
    };
    let (ended, job) = tokio::join!(core.drain_after(asks), late);
    assert_eq!(ended, Ended::Drained("the test is over".to_owned()));
    assert_eq!(server.given_back(), [(job, GiveBackCause::Stopped, "the test is over".to_owned())]);
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn a_new_release_takes_over_after_the_job_in_hand_without_a_restart() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let next = worker.release("v1.1.0", &[("double", DOUBLE), ("treble", DOUBLE)]);
    let first = server.add_job("double", 300);
    let core = worker.core("v1.0.0", server.clone());
    let (told, ordering) = (core.told.clone(), core.ordering.clone());
    let second = async {
        told.until(is_working).await;
        ordering.send_modify(|orders| orders.release = Some(next));
        told.until(|message| *message == FromCore::Using("v1.1.0".into())).await;
        server.add_job("treble", 10);
        server.until_all_done().await;
    };
    core.drain_after(second).await;
    assert_doubled(&server, first, 300);
    assert_eq!(server.results(first).expect("done").1.release, "v1.0.0");
    assert_eq!(server.results(2).expect("done").1.release, "v1.1.0");
}

#[tokio::test]
async fn a_new_release_takes_over_at_once_while_the_core_waits_for_work() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let next = worker.release("v1.1.0", &[("double", DOUBLE)]);
    let core = worker.core("v1.0.0", server.clone());
    let (told, ordering) = (core.told.clone(), core.ordering.clone());
    let taken_over = async {
        server.until(|server| !server.claims().is_empty()).await;
        ordering.send_modify(|orders| orders.release = Some(next));
        server.until(|server| server.claims().len() == 2).await;
        server.add_job("double", 10);
        server.until_all_done().await;
    };
    core.drain_after(taken_over).await;
    let releases: Vec<String> = server.claims().into_iter().map(|claim| claim.release).collect();
    assert_eq!(releases[..2], ["v1.0.0", "v1.1.0"]);
    assert!(told.all().contains(&FromCore::Using("v1.1.0".into())));
}

#[tokio::test]
async fn a_plugin_that_does_not_open_is_left_out_and_the_reason_is_told() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("torn", "SELECT 1")]);
    let job = server.add_job("double", 10);
    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    core.drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 10);
    assert_eq!(server.claims()[0].plugins, ["double"]);
    let waiting = "work; torn is left out: plugins/torn/query.sqlite.sql: the query returns 1, which [output] does not \
                   name: add it there or drop it";
    assert!(told.all().contains(&FromCore::Waiting(waiting.into())), "{:?}", told.all());
}

#[tokio::test]
async fn a_release_without_a_plugin_that_works_asks_for_no_work_until_another_comes() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v2.0.0", &[("torn", "SELECT")]);
    let core = worker.core("v2.0.0", server.clone());
    let (told, ordering) = (core.told.clone(), core.ordering.clone());
    let job = server.add_job("double", 10);
    let mended = async {
        told.until(|message| matches!(message, FromCore::Waiting(what) if what.contains("torn is left out"))).await;
        assert!(server.claims().is_empty());
        ordering.send_modify(|orders| orders.release = Some(worker.release_args("v1.0.0")));
        server.until_all_done().await;
    };
    core.drain_after(mended).await;
    assert_doubled(&server, job, 10);
}

#[tokio::test]
async fn a_plugin_that_fails_gives_the_job_back_as_failed_with_the_reason() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("broken", BROKEN)]);
    let job = server.add_job("broken", 10);
    worker.core("v1.0.0", server.clone()).drain_after(async { server.until_all_done().await }).await;
    let reason = "plugin broken fails on this block: the query failed: malformed JSON".to_owned();
    assert_eq!(server.given_back(), [(job, GiveBackCause::Failed, reason)]);
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn a_full_disk_gives_the_job_back_uncounted_and_no_other_is_taken_for_a_while() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    server.add_job("double", 10);
    // A core that has come this far begins its journal next.
    worker.core("v1.0.0", server.clone()).kill_at(Moment::RecordsSaved).await;
    let journal = worker.state().attempts().join("1").join("journal.new");
    std::os::unix::fs::symlink("/dev/full", journal).expect("makes a file on which nothing fits");

    let core = worker.core("v1.0.0", server.clone());
    let told = core.told.clone();
    let full =
        |message: &FromCore| matches!(message, FromCore::Waiting(what) if what.starts_with("room on the disk: "));
    core.drain_after(told.until(full)).await;
    let (_, cause, reason) = server.given_back().remove(0);
    assert_eq!(cause, GiveBackCause::Stopped);
    assert!(reason.contains("beginning the journal") && reason.contains("No space left"), "{reason}");
    assert_eq!(server.claims().len(), 1, "no job is claimed while the disk is full");
}

#[tokio::test]
async fn heartbeats_go_on_during_a_long_block() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    server.add_job("endless", 5);
    let stop = |orders: &mut Orders| orders.stop = Some("enough".to_owned());
    let beats = server.until(|server| server.heartbeats().len() >= 3);
    worker.core("v1.0.0", server.clone()).order_after(beats, stop).await;
}

#[tokio::test]
async fn a_plugin_that_no_limit_reaches_fails_its_job_and_ends_its_core() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    server.add_job("endless", 5);
    let mut stuck = worker.core("v1.0.0", server.clone());
    (stuck.core.pace.block_limits, stuck.core.pace.block_grace) = (0, Duration::from_millis(50));
    let error = stuck.core.run().await.expect_err("only a new core can go on");
    assert_eq!(error.to_string(), "plugin endless was not done with a block after 0.05 s; only a new core can go on");
    let (_, cause, reason) = server.given_back().remove(0);
    assert_eq!(
        (cause, reason.as_str()),
        (GiveBackCause::Failed, "plugin endless was not done with a block after 0.05 s")
    );
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn the_cap_on_transfers_comes_with_the_release() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let next = worker.release("v1.1.0", &[("double", DOUBLE)]);
    std::fs::write(next.slot.join("tree/nightshift.toml"), "[workers]\nbandwidth = \"2MB/s\"\n").expect("writes");
    let core = worker.core("v1.0.0", server.clone());
    let (told, ordering) = (core.told.clone(), core.ordering.clone());
    let changed = async {
        ordering.send_modify(|orders| orders.release = Some(next));
        told.until(|message| *message == FromCore::Using("v1.1.0".into())).await;
    };
    core.drain_after(changed).await;
    assert_eq!(server.caps(), [None, Some(2_000_000)]);
}
