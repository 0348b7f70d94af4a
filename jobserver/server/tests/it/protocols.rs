//! What is spoken on a connection, and what becomes of those who speak it badly.

use std::time::Duration;

use futures_util::future::join_all;
use nightshift_server::serve::Limits;
use nightshift_testbed::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frames::{self, BEGIN};
use crate::running::{FOREVER, TestServer, builder, claim_request, limits, plain_http, waiting_claim};

const SHORT: Duration = Duration::from_millis(20);

/// A client that speaks HTTP/2 from its first byte.
fn http2() -> reqwest::Client {
    builder().http2_prior_knowledge().build().expect("an HTTP client")
}

async fn connected(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.address).await.expect("connected")
}

/// Reads until the server closes the connection, which it must.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A connection may be closed with a reset as well.
    let _ = timeout(wait::SOON, stream.read_to_end(&mut said)).await.expect("the server closes it");
    said
}

#[tokio::test]
async fn http_1_and_http_2_are_spoken_on_one_port() {
    let server = TestServer::start().await;
    let url = format!("http://{}/v1/status", server.address);
    for (http, version) in [(plain_http(), reqwest::Version::HTTP_11), (http2(), reqwest::Version::HTTP_2)] {
        let answer = http.get(&url).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
}

#[tokio::test]
async fn requests_that_wait_share_one_connection_with_those_that_do_not() {
    let server = TestServer::start().await;
    let http = http2();
    let url = |path: &str| format!("http://{}{path}", server.address);
    let long = url(&format!("/v1/stop?seen=none&wait_ms={}", FOREVER.as_millis()));
    let waiting = (0..50).map(|_| http.get(&long).send());
    let waiting = tokio::spawn(join_all(waiting.collect::<Vec<_>>()));
    for _ in 0..50 {
        assert_eq!(http.get(url("/healthz")).send().await.expect("an answer").status(), 200);
    }
    let metrics = http.get(url("/metrics")).send().await.expect("an answer").text().await.expect("text");
    assert!(metrics.contains("nightshift_http_connections{protocol=\"http2\"} 1\n"), "{metrics}");
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_connection_that_says_nothing_more_is_closed_whatever_it_began_to_speak() {
    let server = TestServer::start_with(Limits { idle: SHORT, stalled: SHORT, ..limits() }).await;
    let begun: [&[u8]; 6] = [
        b"",
        b"PRI * HT",
        &BEGIN[..30],
        BEGIN,
        b"GET /healthz HTTP/1.1\r\nhost: loc",
        &[BEGIN, b"\0\0\x10\x01\x05"].concat(),
    ];
    for begun in begun {
        let mut stream = connected(&server).await;
        stream.write_all(begun).await.expect("written");
        closed(stream).await;
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_for_ever_is_not_waited_for() {
    let server = TestServer::start_with(Limits { idle: Duration::from_millis(100), ..limits() }).await;
    let (mut reader, mut writer) = connected(&server).await.into_split();
    writer.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("written");
    let trickle = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        // Until the server has closed the connection.
        while writer.write_all(b"x: y\r\n").await.is_ok() {
            ticks.tick().await;
        }
    };
    let mut said = Vec::new();
    let listen = timeout(wait::SOON, reader.read_to_end(&mut said));
    let (_, heard) = tokio::join!(timeout(wait::SOON, trickle), listen);
    assert!(heard.is_ok(), "it was closed");
}

#[tokio::test]
async fn whoever_resets_request_after_request_is_cut_off_and_nobody_else_notices() {
    let server = TestServer::start().await;
    let mut stream = connected(&server).await;
    let mut flood = BEGIN.to_vec();
    for request in 0..2_000 {
        flood.extend(frames::get(2 * request + 1, "/v1/stop?seen=none&wait_ms=60000"));
        flood.extend(frames::reset(2 * request + 1));
    }
    // It may be cut off before it has said everything.
    let _ = stream.write_all(&flood).await;
    closed(stream).await;
    assert_eq!(server.ask("GET", "/healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn a_client_that_closed_its_side_takes_no_job_any_more() {
    let server = TestServer::start().await;
    let body = serde_json::to_string(&waiting_claim("w-gone")).expect("JSON");
    let mut stream = connected(&server).await;
    let head = format!(
        "POST /v1/claims HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("written");
    stream.shutdown().await.expect("shut down");
    assert_eq!(closed(stream).await, b"", "it is not answered");
    server.hand_in("name\nAnn\n").await.expect("good");
    let claim = server.client.claim(&claim_request("w-1")).await.expect("the server answers");
    assert!(claim.is_some(), "nobody else has it");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = TestServer::start().await;
    let large = "x".repeat(300_000);
    let mut stream = connected(&server).await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {large}\r\n\r\n");
    // It may be refused before it is sent whole.
    let _ = stream.write_all(head.as_bytes()).await;
    let said = closed(stream).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&said));
    let asked = http2().get(format!("http://{}/healthz", server.address)).header("x", large).send().await;
    assert!(asked.is_err() || asked.is_ok_and(|answer| answer.status() == 431));
    assert_eq!(server.ask("GET", "/healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn requests_open_on_http_2_are_answered_when_the_server_ends() {
    let server = TestServer::start().await;
    let http = http2();
    let url = format!("http://{}/v1/stop?seen=none&wait_ms={}", server.address, FOREVER.as_millis());
    http.get(format!("http://{}/healthz", server.address)).send().await.expect("connected");
    let end = async { server.stopping.cancel() };
    let (answer, ()) = tokio::join!(http.get(url).send(), end);
    assert_eq!(answer.expect("an answer").status(), 200);
    server.end().await;
}

#[tokio::test]
async fn no_more_connections_are_taken_than_there_are_places_and_the_next_has_to_wait() {
    let server = TestServer::start_with(Limits { connections: 1, ..limits() }).await;
    let first = connected(&server).await;
    let mut second = connected(&server).await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("written");
    drop(first);
    let said = String::from_utf8(closed(second).await).expect("text");
    assert!(said.ends_with("ok\n"), "{said}");
}
