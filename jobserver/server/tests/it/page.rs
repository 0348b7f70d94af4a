//! The status page, as a browser gets it, and what workers say of themselves.

use std::sync::Arc;
use std::time::Duration;

use nightshift_server::catalogue::Catalogue;
use nightshift_wire::{Report, StepReport, WorkerState};

use crate::running::{TestServer, catalogue};

fn report(worker: &str, state: WorkerState) -> Report {
    Report {
        worker: worker.to_owned(),
        host: "<pc-17>".to_owned(),
        state,
        reason: "the release cannot be \"trusted\" & so".to_owned(),
        release: "v1.0.0".to_owned(),
        refused: vec!["v1.1.0: signed by nobody we know".to_owned()],
        trial: None,
        steps: vec![
            StepReport { step: "look".to_owned(), ok: true, found: "fine".to_owned(), next: String::new() },
            StepReport {
                step: "sync".to_owned(),
                ok: false,
                found: "v1.1.0 is refused".to_owned(),
                next: "Cut a signed release".to_owned(),
            },
        ],
    }
}

#[tokio::test]
async fn an_empty_grid_says_what_to_do_first() {
    let server = TestServer::start().await;
    server.catalogue.send_replace(Arc::new(Catalogue::empty("the repository has no release that is believed")));
    let page = server.ask("GET", "/", "", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    insta::assert_snapshot!(page.body);
}

#[tokio::test]
async fn the_page_shows_batches_and_workers_with_everything_escaped() {
    let server = TestServer::start().await;
    let batch = server
        .ask(
            "POST",
            "/v1/batches?plugin=count&name=%3Cscript%3Ealert(1)%3C/script%3E",
            "text/csv",
            "name\nAnn\n\"\"\nBob\n",
        )
        .await;
    assert_eq!(batch.status, 201, "{}", batch.body);
    let claim = server.claim("w-1").await.expect("a job");
    let submission = server.process(&claim).await;
    server.client.submit(claim.attempt, &submission).await.expect("accepted");
    server.leap(Duration::from_secs(3 * 60));
    server.client.report(&report("w-2", WorkerState::Blocked)).await.expect("taken");
    let stopped = Catalogue { stopped: Some("<b>fire</b>.".to_owned()), ..catalogue() };
    server.catalogue.send_replace(Arc::new(stopped));
    server.leap(Duration::from_secs(13 * 60));
    let page = server.ask("GET", "/", "", "").await;
    assert!(!page.body.contains("<script") && !page.body.contains("<b>fire") && !page.body.contains("<pc-17>"));
    insta::assert_snapshot!(page.body);
}

#[tokio::test]
async fn the_page_may_load_its_own_style_and_nothing_else() {
    let server = TestServer::start().await;
    let page = server.ask("GET", "/", "", "").await;
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let style = server.ask("GET", "/page.css", "", "").await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
}

#[tokio::test]
async fn a_report_is_listed_with_the_address_it_came_from() {
    let server = TestServer::start().await;
    let sent = report("w-2", WorkerState::Resting);
    server.client.report(&sent).await.expect("taken");
    let workers = server.client.workers().await.expect("listed");
    assert_eq!(workers.len(), 1);
    assert_eq!((&workers[0].report, workers[0].address.as_str()), (&sent, "127.0.0.1"));
    assert_eq!(server.client.status().await.expect("answered").workers, 1);
    server.leap(Duration::from_secs(121));
    assert_eq!(server.client.status().await.expect("answered").workers, 0);
}

#[tokio::test]
async fn the_status_names_the_release_and_counts_jobs() {
    let server = TestServer::start().await;
    server.hand_in("name\na\nb\nc\n").await.expect("good");
    server.claim("w-1").await.expect("a job");
    let status = server.client.status().await.expect("answered");
    assert_eq!((status.release.as_deref(), status.release_problem.as_str()), (Some("v1.0.0"), ""));
    assert_eq!((status.jobs_waiting, status.jobs_running, status.jobs_done, status.jobs_quarantined), (1, 1, 0, 0));
    assert_eq!(server.ask("GET", "/healthz", "", "").await.body, "ok\n");
}
