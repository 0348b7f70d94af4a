//! What clients may do, and how much of it: names, rates, bodies, compression.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use nightshift_client::{Client, Timeouts};
use nightshift_server::rate::Rate;
use nightshift_server::serve::Limits;
use nightshift_wire::{HandIn, JobSize, Problem, Records, code};

use crate::running::{TestServer, asks_for, limits, pieces, plain_http, refusal};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("a vector takes it");
    packed.finish().expect("a vector takes it")
}

fn problem(body: &str) -> Problem {
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no problem: {body}"))
}

/// Bytes that bodies hold of the memory for them, as the metrics say.
async fn held(server: &TestServer) -> u64 {
    let metrics = server.ask("GET", "/metrics", "", "").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("nightshift_http_bodies_held_bytes "));
    line.expect("the metric").parse().expect("a number")
}

#[tokio::test]
async fn a_request_for_a_server_of_another_name_is_refused_however_it_names_it() {
    let server = TestServer::start().await;
    let asked = |host: &'static str| {
        plain_http().get(format!("http://{}/v1/status", server.address)).header("host", host).send()
    };
    for own in ["grid.example", "GRID.example:80", "localhost", "10.1.2.3:7070"] {
        assert_eq!(asked(own).await.expect("an answer").status(), 200, "{own}");
    }
    for strange in ["evil.example", "grid.example.evil.example"] {
        let answer = asked(strange).await.expect("an answer");
        assert_eq!(answer.status(), 421, "{strange}");
        let problem = problem(&answer.text().await.expect("a body"));
        assert!(
            problem.code == code::WRONG_HOST && problem.detail.contains("`hosts` in jobserver.toml"),
            "{problem:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_one_secret_after_the_other_is_told_to_wait_and_the_right_one_passes_all_the_same() {
    let failures = Rate { burst: 3.0, per_second: 0.1 };
    let server = TestServer::start_with(Limits { failures, ..limits() }).await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let records = format!("/v1/attempts/{}/records", claim.attempt);
    let mut statuses = Vec::new();
    for guess in 0..5 {
        statuses.push(server.ask("GET", &format!("{records}?secret={guess}"), "", "").await.status);
    }
    assert_eq!(statuses, [403, 403, 403, 429, 429]);
    let answer = server.ask("GET", &format!("{records}?secret=6"), "", "").await;
    assert_eq!((answer.header("retry-after"), problem(&answer.body).code.as_str()), ("10", code::TOO_MANY_REQUESTS));
    assert_eq!(server.process(&claim).await.results.len(), 1);
    server.pass(Duration::from_secs(10));
    assert_eq!(server.ask("GET", &format!("{records}?secret=7"), "", "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_of_strangers_take_a_bounded_part_of_memory_and_small_ones_still_pass() {
    let small = Limits { bodies: 100 * 1024, bodies_wait: Duration::from_millis(20), ..limits() };
    let server = TestServer::start_with(small).await;
    let url = format!("http://{}/v1/attempts/7/results", server.address);
    let (sent, taken) = tokio::sync::oneshot::channel();
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from(vec![b' '; 90 * 1024])) });
    let rest = stream::once(async move {
        sent.send(()).expect("the test waits");
        std::future::pending().await
    });
    let http = plain_http();
    let stalled = http.post(&url).header("content-type", "application/json");
    let stalled = tokio::spawn(stalled.body(reqwest::Body::wrap_stream(first.chain(rest))).send());
    taken.await.expect("it is sent");
    // Of two that want more than there is, either may be sent away: this one has to be first.
    server.eventually("the memory is held", || async { (held(&server).await >= 90 * 1024).then_some(()) }).await;
    let large = || server.ask("POST", "/v1/attempts/8/results", "application/json", vec![b' '; 50 * 1024]);
    let answer = large().await;
    assert_eq!(answer.status, 503, "a body too many is sent away: {}", answer.body);
    assert_eq!((answer.header("retry-after"), problem(&answer.body).code.as_str()), ("5", code::STORE_AWAY));
    assert_eq!(server.ask("POST", "/v1/claims", "application/json", "{}").await.status, 400, "a small one is read");
    stalled.abort();
    server.eventually("the memory is given back", || async { (large().await.status == 400).then_some(()) }).await;
}

#[tokio::test]
async fn a_body_of_very_many_values_is_refused_before_they_take_more_memory_than_there_is() {
    let small = Limits { bodies: 1024 * 1024, ..limits() };
    let server = TestServer::start_with(small).await;
    let http = plain_http();
    let url = format!("http://{}/v1/attempts/7/results", server.address);
    let submit = async |values: usize| {
        let results = format!("{{\"results\":[{{\"id\":1,\"ok\":{{\"n\":[0{}]}}}}]}}", ",0".repeat(values));
        let request = http.post(&url).header("content-type", "application/json").header("content-encoding", "gzip");
        let answer = request.body(gzip(results.as_bytes())).send().await.expect("an answer");
        (answer.status().as_u16(), problem(&answer.text().await.expect("a body")))
    };
    let (status, refused) = submit(20_000).await;
    assert_eq!((status, refused.code.as_str()), (413, code::TOO_LARGE));
    assert!(refused.detail.contains("it has so many values"), "{}", refused.detail);
    assert_eq!(submit(10_000).await.0, 400, "it is read, and names no secret");
    assert_eq!(held(&server).await, 0, "all is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_ins_that_never_end_take_a_bounded_part_of_memory_and_small_ones_still_pass() {
    let small = Limits { hand_ins: 250 * 1024, bodies_wait: Duration::from_millis(20), ..limits() };
    let server = TestServer::start_with(small).await;
    let large_jobs = HandIn { job_size: Some(JobSize::Records(100_000)), ..asks_for("count") };
    let record = Bytes::from(format!("{}\n", "x".repeat(100 * 1024)));
    let begun = stream::iter([Ok::<_, Infallible>(Bytes::from("name\n")), Ok(record.clone())]);
    let client = Client::new([format!("http://{}", server.address)], Timeouts::default()).expect("an address");
    let asked = large_jobs.clone();
    let stalled = tokio::spawn(async move { client.hand_in(&asked, begun.chain(stream::pending())).await });
    let large = || {
        let csv = pieces([Bytes::from("name\n"), record.clone(), record.clone()]);
        server.client.hand_in(&large_jobs, csv)
    };
    // Of two that want more than there is, either may be sent away: this one has to be first.
    server.eventually("the memory is held", || async { (held(&server).await >= 100 * 1024).then_some(()) }).await;
    let refused = large().await.expect_err("a hand-in too many is sent away");
    let problem = refusal(&refused);
    assert_eq!((problem.status, problem.code.as_str()), (503, code::STORE_AWAY));
    assert!(problem.detail.contains("too many large jobs arrive at once"), "{}", problem.detail);
    server.hand_in("name\nAnn\n").await.expect("a small one passes");
    stalled.abort();
    server.eventually("the memory is given back", || async { large().await.ok() }).await;
}

#[tokio::test]
async fn a_body_may_come_gzipped_and_counts_as_what_it_unpacks_to() {
    let server = TestServer::start_with(Limits { submission: 100_000, ..limits() }).await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let submission = server.process(&claim).await;
    let http = plain_http();
    let submit = async |body: Vec<u8>| {
        let url = format!("http://{}/v1/attempts/{}/results", server.address, claim.attempt);
        let request = http.post(url).header("content-type", "application/json").header("content-encoding", "gzip");
        request.body(body).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(submit(gzip(&vec![b' '; 10_000_000])).await, 413);
    assert_eq!(submit(gzip(&serde_json::to_vec(&submission).expect("JSON"))).await, 200);
}

#[tokio::test]
async fn records_are_gzipped_for_who_takes_that_and_for_nobody_else() {
    let server = TestServer::start().await;
    server.hand_in(format!("name\n{}\n", "Ann".repeat(1_000))).await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let url = format!("http://{}/v1/attempts/{}/records?secret={}", server.address, claim.attempt, claim.secret);
    let plain = plain_http().get(&url).send().await.expect("an answer");
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain: Records = plain.json().await.expect("records");
    let packed = plain_http().get(&url).header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.expect("a body");
    assert!(packed.len() < 500);
    let mut unpacked = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
    assert_eq!(serde_json::from_str::<Records>(&unpacked).expect("records"), plain);
}
