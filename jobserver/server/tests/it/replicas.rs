//! Workers' replicas as the job server sees and serves them: the way to the primary, leave to rebuild, what is reported.

use nightshift_server::primary::CompanyData;
use nightshift_wire::{
    EnrolmentDecision, RebuildRequest, ReplicaReport, ReplicaState, Replication as Way, ReplicationTls, Report, Role,
    WorkerState, access_code, code,
};

use crate::guarded::{Guarded, Spoken, asks_to_join, machine, refused};
use crate::running::{TestServer, limits};

const SECRET: &str = "the replication's password";

fn way() -> Way {
    Way {
        host: "db.example.org".to_owned(),
        port: 3307,
        user: "copy".to_owned(),
        password: SECRET.to_owned(),
        tls: ReplicationTls::Verify { ca: "-----BEGIN CERTIFICATE-----".to_owned() },
        schemas: vec!["company".to_owned()],
        primary: None,
        heartbeat: None,
        now: None,
        donor: None,
    }
}

fn told() -> CompanyData {
    CompanyData { way: Some(way()), ..CompanyData::default() }
}

fn asks(worker: &str) -> RebuildRequest {
    RebuildRequest { worker: worker.to_owned(), reason: "its position is purged".to_owned() }
}

#[tokio::test]
async fn only_a_worker_that_is_let_in_is_told_how_to_copy_the_primary() {
    let server = Guarded::start_with(Spoken::Tls, told()).await;
    let (join, _) = server.token("join", Role::Join).await;
    let worker = server.worker("w-1", &join).await;
    assert_eq!(worker.replication().await.expect("told"), way());

    for role in [Role::Viewer, Role::Owner, Role::Operator, Role::Admin] {
        let (_, person) = server.token(&format!("some-{role}"), role).await;
        assert_eq!(refused(person.replication().await), (403, access_code::NOT_ALLOWED.to_owned()), "{role}");
    }
    assert_eq!(refused(server.client(None).replication().await).0, 401);
    server.admin.join(&asks_to_join("w-2", Some(&join))).await.expect("asked");
    let waiting = server.worker_on("w-2", &machine("w-2"));
    assert_eq!(refused(waiting.replication().await), (403, access_code::NOT_APPROVED.to_owned()));
    let revoke = EnrolmentDecision::Revoke { reason: "it was stolen".to_owned() };
    server.admin.decide("w-1", &revoke).await.expect("revoked");
    assert_eq!(refused(worker.replication().await), (401, access_code::REVOKED.to_owned()));
    server.end().await;
}

#[tokio::test]
async fn a_job_server_without_replication_says_that_replicas_are_set_up_by_hand() {
    let server = TestServer::start().await;
    let answer = server.ask("GET", "/v1/replication", "", "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains(code::NOT_FOUND) && answer.body.contains("[replication]"), "{}", answer.body);
}

#[tokio::test]
async fn nobody_keeps_the_answer_with_the_password() {
    let server = TestServer::start_replicated(limits(), told()).await;
    let answer = server.ask("GET", "/v1/replication", "", "").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert!(answer.body.contains(SECRET), "this machine's own may have it in the clear");
}

#[tokio::test]
async fn a_password_that_was_changed_in_its_file_is_the_one_that_is_told_from_then_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("copy.password");
    let write = |password: &str| std::fs::write(&file, password).expect("written");
    write("the first\n");
    let replication = CompanyData { password_file: Some(file.clone()), ..told() };
    let server = TestServer::start_replicated(limits(), replication).await;
    let password = async || server.client.replication().await.map(|way| way.password);
    assert_eq!(password().await.expect("told"), "the first");
    write("the second\n");
    assert_eq!(password().await.expect("told"), "the second");
    // As while somebody writes it: nobody is told half of one.
    write("");
    let answer = server.ask("GET", "/v1/replication", "", "").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("copy.password") && answer.body.contains("[replication]"), "{}", answer.body);
}

#[tokio::test]
async fn two_workers_build_their_replicas_at_once_and_each_asks_for_itself() {
    let server = Guarded::start_with(Spoken::Plain, told()).await;
    let (join, _) = server.token("join", Role::Join).await;
    let mut workers = Vec::new();
    for worker in ["w-1", "w-2", "w-3"] {
        workers.push(server.worker(worker, &join).await);
    }
    for (client, worker) in workers.iter().zip(["w-1", "w-2"]) {
        let permit = client.permit_rebuild(&asks(worker)).await.expect("answered");
        assert!(permit.lease_ms.is_some_and(|lease| lease > permit.ask_again_ms), "{permit:?}");
    }
    let waits = workers[2].permit_rebuild(&asks("w-3")).await.expect("answered");
    assert_eq!(waits.lease_ms, None);
    assert!(waits.reason.contains("2 other workers build their replicas"), "{}", waits.reason);

    let not_allowed = (403, access_code::NOT_ALLOWED.to_owned());
    assert_eq!(refused(workers[2].permit_rebuild(&asks("w-1")).await), not_allowed);
    assert_eq!(refused(workers[2].end_rebuild("w-1").await), not_allowed);
    workers[0].end_rebuild("w-1").await.expect("noted");
    assert!(workers[2].permit_rebuild(&asks("w-3")).await.expect("answered").lease_ms.is_some());
    server.end().await;
}

#[tokio::test]
async fn a_replica_is_shown_as_its_worker_reports_it() {
    let server = TestServer::start().await;
    let replica = ReplicaReport {
        state: ReplicaState::Behind,
        reason: "its data lie 90 s back; it catches up by itself".to_owned(),
        behind_ms: Some(90_500),
        primary: "mariadb:7".to_owned(),
        gtid: "0-7-12".to_owned(),
        server: "MariaDB 10.11.19".to_owned(),
    };
    let report = Report {
        worker: "w-1".to_owned(),
        host: "pc-17".to_owned(),
        state: WorkerState::Waiting,
        reason: String::new(),
        release: "v1.0.0".to_owned(),
        refused: Vec::new(),
        trial: None,
        replica: Some(replica.clone()),
        spool: nightshift_wire::Spool::default(),
        steps: Vec::new(),
    };
    server.client.report(&report).await.expect("heard");
    let none = Report { worker: "w-2".to_owned(), replica: None, ..report };
    server.client.report(&none).await.expect("heard");
    assert_eq!(server.client.worker("w-1").await.expect("the worker").report.replica, Some(replica));
    let page = server.ask("GET", "/workers", "", "").await.body;
    assert!(page.contains("behind by 1m 30s"), "{page}");
    let page = server.ask("GET", "/workers/w-1", "", "").await.body;
    assert!(page.contains("behind, 1m 30s behind its primary: its data lie 90 s back"), "{page}");
    let metrics = server.ask("GET", "/metrics", "", "").await.body;
    for line in [
        "nightshift_replicas{state=\"behind\"} 1\n",
        "nightshift_replica_behind_seconds{worker=\"w-1\"} 90.5\n",
        "nightshift_primary_up 0\n",
    ] {
        assert!(metrics.contains(line), "{line} of\n{metrics}");
    }
}
