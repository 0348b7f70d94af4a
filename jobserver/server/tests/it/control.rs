//! How stops are told, and how the server says that it is well.

use std::sync::Arc;
use std::time::Duration;

use nightshift_server::catalogue::Catalogue;
use nightshift_wire::{JobQuery, JobState, StopRequest, StopView};

use crate::running::{FOREVER, TestServer, catalogue};

fn stopped(reason: &str) -> Arc<Catalogue> {
    Arc::new(Catalogue { stopped: Some(reason.to_owned()), ..catalogue() })
}

async fn view(server: &TestServer, seen: &str, wait: Duration) -> StopView {
    server.client.stop(seen, wait).await.expect("the server answers")
}

#[tokio::test]
async fn a_stop_is_told_at_once_to_everybody_who_waits() {
    let server = TestServer::start().await;
    let before = view(&server, "", FOREVER).await;
    assert_eq!(before.stopped, None);
    let stop = async { server.catalogue.send_replace(stopped("fire")) };
    let (heard, _) = tokio::join!(view(&server, &before.etag, FOREVER), stop);
    assert_eq!(heard.stopped.as_deref(), Some("fire"));
    assert_eq!(view(&server, &before.etag, FOREVER).await, heard, "also to who asks later");
    server.catalogue.send_replace(Arc::new(catalogue()));
    assert_eq!(view(&server, &heard.etag, FOREVER).await, before);
}

#[tokio::test]
async fn who_has_seen_the_view_waits_no_longer_than_asked_and_another_release_is_no_other_view() {
    let server = TestServer::start().await;
    let before = view(&server, "", FOREVER).await;
    let release = Catalogue { release: Some("v1.1.0".to_owned()), ..catalogue() };
    server.catalogue.send_replace(Arc::new(release));
    assert_eq!(view(&server, &before.etag, Duration::from_millis(10)).await, before);
    let answer = server.ask("GET", "/v1/stop", "", "").await;
    assert_eq!(answer.header("etag"), format!("\"{}\"", before.etag));
}

#[tokio::test]
async fn a_stop_raised_here_is_told_keeps_jobs_back_and_is_taken_away() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let before = view(&server, "", FOREVER).await;
    let plugin = server.claim("w-0").await.expect("a job").plugin;
    let stop = StopRequest { reason: "odd\nresults".into(), plugin: Some(plugin.clone()), ..StopRequest::default() };
    let raised = async { server.client.raise_stop(&stop).await.expect("taken") };
    let (heard, raised) = tokio::join!(view(&server, &before.etag, FOREVER), raised);
    assert_eq!((raised.stops.len(), heard.stops.len()), (1, 1));
    let again = StopRequest { reason: String::new(), ..stop };
    assert_eq!(server.client.raise_stop(&again).await.expect("taken"), raised, "its reason stays");
    assert_eq!(heard.stops[0].scope.plugin.as_deref(), Some(plugin.as_str()));
    server.hand_in("name\nBob\n").await.expect("a batch may come in");
    assert!(server.claim("w-1").await.is_none(), "its jobs are kept back");
    let page = server.client.find_jobs(&JobQuery { state: Some(JobState::Waiting), ..JobQuery::default() }).await;
    let job = page.expect("listed").jobs[0].id;
    let why = server.client.explain(job).await.expect("explained").summary;
    assert!(why.contains(&format!("plugin {plugin} is stopped: odd")), "{why}");
    assert_eq!(server.client.status().await.expect("answered").stopped, None, "the grid as such is not");
    assert_eq!(server.client.clear_stops().await.expect("taken away"), raised);
    assert!(server.claim("w-1").await.is_some());
    assert_eq!(view(&server, "", FOREVER).await, before);
}

#[tokio::test]
async fn a_stop_that_nobody_understands_is_refused_because_there_is_somebody_to_ask() {
    let server = TestServer::start().await;
    let stop = StopRequest { worker: Some("[ab]".into()), ..StopRequest::default() };
    let error = server.client.raise_stop(&stop).await.expect_err("refused");
    assert!(error.to_string().contains("worker = \"[ab]\" not understood"), "{error}");
    let answer = server.ask("POST", "/v1/stop", "application/json", "{\"colour\":\"red\"}").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_ready_server_says_so_and_one_that_ends_says_why_it_is_not() {
    let server = TestServer::start().await;
    let answer = server.ask("GET", "/readyz", "", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    server.stopping.cancel();
    let answer = server.ask("GET", "/readyz", "", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "server: it is ending\n"));
}

#[tokio::test]
async fn what_happens_is_counted_where_it_happens() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\nBob\nCid\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let submission = server.process(&claim).await;
    server.client.submit(claim.attempt, &submission).await.expect("accepted");
    server.client.submit(claim.attempt, &submission).await.expect("repeated");
    assert_eq!(server.ask("GET", "/v1/batches/7", "", "").await.status, 404);
    assert_eq!(server.ask("BREW", "/tea", "", "").await.status, 404);
    let metrics = server.ask("GET", "/metrics", "", "").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "nightshift_http_requests_total{method=\"GET\",route=\"/v1/batches/{batch}\",status=\"404\"} 1",
        "nightshift_http_requests_total{method=\"OTHER\",route=\"none\",status=\"404\"} 1",
        "nightshift_http_request_seconds_count{route=\"/v1/claims\"} 1",
        "nightshift_store_verb_seconds_count{verb=\"submit\"} 2",
        "nightshift_attempts_total 1",
        "nightshift_jobs_completed_total 1",
        "nightshift_results_accepted_total 2",
        "nightshift_jobs{state=\"waiting\"} 1",
        "nightshift_jobs{state=\"done\"} 1",
        "nightshift_workers{state=\"blocked\"} 0",
        "nightshift_store_up 1",
        "nightshift_repository_seen 1",
    ] {
        assert!(metrics.body.lines().any(|has| has == line), "{line} is not in\n{}", metrics.body);
    }
}
