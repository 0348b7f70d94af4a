//! A core that is killed, and the one that comes after it.

use std::sync::Arc;

use nightshift_contract::message::FromCore;
use nightshift_core::moments::Moment;
use nightshift_wire::GiveBackCause;

use crate::fake::{FakeServer, assert_doubled};
use crate::worker::{DOUBLE, Worker};

/// Kills a core at `moment` of a job of 35 records, lets another finish, and checks every result.
async fn kill_and_go_on(moment: Moment) -> (FakeServerAfter, Vec<FromCore>) {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    worker.core("v1.0.0", server.clone()).kill_at(moment).await;

    let second = worker.core("v1.0.0", server.clone());
    let told = second.told.clone();
    let done = server.clone();
    let all_done = async move { done.until_all_done().await };
    second.drain_after(all_done).await;
    assert_doubled(&server, job, 35);
    assert_eq!(worker.attempts_on_disk(), 0);
    (FakeServerAfter { attempts: server.attempts(job) }, told.all())
}

struct FakeServerAfter {
    attempts: u32,
}

#[tokio::test]
async fn a_core_killed_at_any_moment_loses_nothing_and_doubles_nothing() {
    let moments = [
        Moment::Noted,
        Moment::Fetched,
        Moment::RecordsSaved,
        Moment::Processed { done: 10 },
        Moment::BlockSaved { done: 10 },
        Moment::Processed { done: 35 },
        Moment::BlockSaved { done: 35 },
        Moment::Finished,
        Moment::Accepted,
        Moment::Removed,
    ];
    for moment in moments {
        let (server, _) = kill_and_go_on(moment).await;
        assert_eq!(server.attempts, 1, "killed at {moment:?}, the same attempt goes on");
    }
}

#[tokio::test]
async fn a_core_killed_before_it_noted_its_claim_gets_the_job_again() {
    let (server, _) = kill_and_go_on(Moment::Claimed).await;
    assert_eq!(server.attempts, 2);
}

#[tokio::test]
async fn a_core_goes_on_behind_the_last_whole_block() {
    let first_said_done = |told: &[FromCore]| {
        told.iter().find_map(|message| match message {
            FromCore::Working { done, .. } => Some(*done),
            _ => None,
        })
    };
    for (moment, done) in [
        (Moment::Processed { done: 20 }, 10),
        (Moment::BlockSaved { done: 20 }, 20),
        (Moment::Processed { done: 35 }, 30),
    ] {
        let (_, told) = kill_and_go_on(moment).await;
        assert_eq!(first_said_done(&told), Some(done), "killed at {moment:?}");
    }
}

#[tokio::test]
async fn finished_work_is_handed_in_without_being_done_again() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 12);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::Finished).await;
    let second = worker.core("v1.0.0", server.clone());
    let told = second.told.clone();
    second.drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 12);
    assert!(!told.all().iter().any(|message| matches!(message, FromCore::Working { .. })), "{:?}", told.all());
    assert!(server.claims().iter().skip(1).all(|claim| claim.holding == [1] || claim.holding.is_empty()));
}

#[tokio::test]
async fn on_another_release_the_job_starts_again_from_its_first_record() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v2.0.0", &[("double", DOUBLE)]);
    let job = server.add_job("double", 35);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::BlockSaved { done: 20 }).await;
    let second = worker.core("v2.0.0", server.clone());
    let told = second.told.clone();
    second.drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 35);
    let (_, provenance) = server.results(job).expect("the job is done");
    assert_eq!((provenance.release.as_str(), provenance.commit.as_str()), ("v2.0.0", "commit of v2.0.0"));
    let working = FromCore::Working { job, plugin: "double".into(), done: 0, total: 35 };
    assert!(told.all().contains(&working), "{:?}", told.all());
    assert_eq!(server.attempts(job), 1);
}

#[tokio::test]
async fn work_finished_on_an_older_release_is_handed_in_under_its_name() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v2.0.0", &[]);
    let job = server.add_job("double", 35);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::Finished).await;
    worker.core("v2.0.0", server.clone()).drain_after(async { server.until_all_done().await }).await;
    assert_doubled(&server, job, 35);
    assert_eq!(server.results(job).expect("the job is done").1.release, "v1.0.0");
}

#[tokio::test]
async fn a_job_whose_plugin_the_new_release_lacks_goes_back_uncounted() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    worker.release("v2.0.0", &[("treble", DOUBLE)]);
    let job = server.add_job("double", 35);
    worker.core("v1.0.0", server.clone()).kill_at(Moment::BlockSaved { done: 10 }).await;
    worker.core("v2.0.0", server.clone()).drain_after(server.until(|server| !server.given_back().is_empty())).await;
    let (back, cause, reason) = server.given_back().remove(0);
    assert_eq!((back, cause), (job, GiveBackCause::Stopped));
    assert_eq!(reason, "plugin double does not run in release v2.0.0: it is not part of it");
    assert_eq!(worker.attempts_on_disk(), 0);
}

#[tokio::test]
async fn a_job_with_which_every_core_dies_is_given_back_as_failed_in_the_end() {
    let (worker, server) = (Worker::new(), Arc::new(FakeServer::new()));
    let job = server.add_job("double", 35);
    for _ in 0..11 {
        worker.core("v1.0.0", server.clone()).kill_at(Moment::Processed { done: 20 }).await;
    }
    worker.core("v1.0.0", server.clone()).drain_after(async { server.until_all_done().await }).await;
    let reason = "10 cores died after record 10 with double".to_owned();
    assert_eq!(server.given_back(), [(job, GiveBackCause::Failed, reason)]);
    assert_eq!(server.attempts(job), 1);
}
