//! How records and results travel: compressed where the server is elsewhere and takes that, under a cap, never longer than a limit.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nightshift_client::{Client, ClientError, Timeouts};
use nightshift_wire::{Heartbeat, Outcome, Provenance, RecordResult, Records, Submission};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::answers::{answer, client, problem};

/// What a server was asked: the head in small letters, and the body.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that gives these answers one after the other and notes what it was asked. It leads here, but its address does not
/// say so.
async fn server(answers: Vec<Vec<u8>>) -> (Client, Asked) {
    server_at("0.0.0.0", answers).await
}

async fn server_at(host: &str, answers: Vec<Vec<u8>>) -> (Client, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{host}:{}", listener.local_addr().expect("bound").port());
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(char::from(stream.read_u8().await.expect("a head")));
            }
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
            stream.read_exact(&mut body).await.expect("a body");
            notes.lock().expect("no panic").push((head, body));
            stream.write_all(&answer).await.expect("written");
        }
    });
    (client(&[&url], Timeouts::default()), asked)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("packs");
    encoder.finish().expect("packs")
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut body).expect("a whole gzip");
    body
}

/// An answer with a compressed body.
fn gzip_answer(body: &str) -> Vec<u8> {
    let body = packed(body.as_bytes());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn receipt() -> Vec<u8> {
    answer("200 OK", "application/json", "{\"job\":1,\"repeated\":false}").into_bytes()
}

const RECORDS: &str = "{\"columns\":[\"n\"],\"records\":[{\"id\":7,\"values\":[\"x\"]}]}";

fn submission() -> Submission {
    let provenance = Provenance { release: "v1.0.0".to_owned(), commit: "c".to_owned(), work_ms: 1, position: None };
    let result = |id| RecordResult { id, outcome: Outcome::Error("the same again and again".to_owned()) };
    Submission { secret: "s".to_owned(), provenance, results: (0..500).map(result).collect() }
}

fn is_packed(head: &str) -> bool {
    head.contains("content-encoding: gzip")
}

#[tokio::test]
async fn records_are_asked_for_compressed_and_unpacked() {
    let (client, asked) = server(vec![gzip_answer(RECORDS)]).await;
    let records: Records = client.records(1, "s", &["n".to_owned()]).await.expect("arrives");
    assert_eq!(records.records[0].values, ["x"]);
    assert!(asked.lock().expect("no panic")[0].0.contains("accept-encoding: gzip"));
}

#[tokio::test]
async fn results_are_compressed_once_the_server_has_shown_that_it_takes_that() {
    let answers = vec![receipt(), gzip_answer(RECORDS), receipt()];
    let (client, asked) = server(answers).await;
    client.submit(1, &submission()).await.expect("taken");
    client.records(1, "s", &[]).await.expect("arrives");
    client.submit(1, &submission()).await.expect("taken");
    let asked = asked.lock().expect("no panic");
    assert!(!is_packed(&asked[0].0) && is_packed(&asked[2].0));
    assert_eq!(unpacked(&asked[2].1), asked[0].1);
    assert!(asked[2].1.len() < asked[0].1.len() / 5, "{} bytes", asked[2].1.len());
}

#[tokio::test]
async fn nothing_is_compressed_for_a_server_on_the_same_machine() {
    let (client, asked) = server_at("127.0.0.1", vec![gzip_answer(RECORDS), receipt()]).await;
    client.records(1, "s", &[]).await.expect("arrives, compressed all the same");
    client.submit(1, &submission()).await.expect("taken");
    let asked = asked.lock().expect("no panic");
    assert!(!asked[0].0.contains("accept-encoding: gzip") && !is_packed(&asked[1].0));
    assert_eq!(asked[1].1, serde_json::to_vec(&submission()).expect("text"));
}

#[tokio::test]
async fn a_server_that_refuses_the_compression_gets_the_same_as_it_is() {
    let unsupported = problem(415, "bad_request", "no such coding").into_bytes();
    let (client, asked) = server(vec![gzip_answer(RECORDS), unsupported, receipt(), receipt()]).await;
    client.records(1, "s", &[]).await.expect("arrives");
    client.submit(1, &submission()).await.expect("taken at the second try");
    client.submit(1, &submission()).await.expect("taken");
    let asked = asked.lock().expect("no panic");
    let coded: Vec<bool> = asked.iter().map(|(head, _)| is_packed(head)).collect();
    assert_eq!(coded, [false, true, false, false]);
    assert_eq!(asked[2].1, asked[3].1);
}

#[tokio::test]
async fn an_answer_that_unfolds_without_end_is_not_taken_in() {
    let (client, _) = server(vec![gzip_answer(&" ".repeat(17 << 20))]).await;
    let heartbeat = Heartbeat { secret: "s".to_owned(), done: 0 };
    let error = client.heartbeat(1, &heartbeat).await.expect_err("too long");
    assert!(matches!(error, ClientError::BadBody { .. }) && error.is_retryable(), "{error:?}");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "it is longer than 16 MiB");
}

#[tokio::test]
async fn the_cap_holds_results_back_and_no_heartbeat() {
    let lease = answer("200 OK", "application/json", "{\"lease_ms\":1000,\"reason\":\"\"}").into_bytes();
    let (client, asked) = server(vec![lease, receipt()]).await;
    client.cap_bulk(Some(1));
    let heartbeat = Heartbeat { secret: "s".to_owned(), done: 0 };
    client.heartbeat(1, &heartbeat).await.expect("it goes at once");
    let submission = submission();
    let submitted = tokio::time::timeout(Duration::from_millis(20), client.submit(1, &submission)).await;
    assert!(submitted.is_err(), "a byte a second is not enough");
    assert_eq!(asked.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn what_is_sent_under_a_cap_arrives_whole() {
    let (client, asked) = server(vec![receipt()]).await;
    client.cap_bulk(Some(10 << 20));
    client.submit(1, &submission()).await.expect("taken");
    let sent: Submission = serde_json::from_slice(&asked.lock().expect("no panic")[0].1).expect("JSON");
    assert_eq!(sent, submission());
}
