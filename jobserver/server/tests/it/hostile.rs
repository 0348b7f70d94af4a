//! What no honest client sends: each is refused in the usual form, or taken as it is, and nobody else notices.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nightshift_server::serve::Limits;
use nightshift_testbed::wait;
use nightshift_wire::{HandIn, JobSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::running::{TestServer, asks_for, limits, pieces};

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_with_a_problem() {
    let server = TestServer::start().await;
    for path in ["/v1/batches/%FF", "/v1/batches/%FF/results", "/v1/batches/%FF/jobs", "/v1/attempts/%FF/records"] {
        let answer = server.ask("GET", path, "", "").await;
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"), "{path}");
        assert!(answer.body.contains("its number is a whole number"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_column_of_a_jobs_records_is_told_once_however_often_it_is_asked_for() {
    let server = TestServer::start().await;
    server.hand_in("name,town\nAnn,York\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let records = format!("/v1/attempts/{}/records?secret={}", claim.attempt, claim.secret);
    assert_eq!(server.ask("GET", &format!("{records}&column=town&column=name"), "", "").await.status, 200);
    let answer = server.ask("GET", &format!("{records}&column=name&column=town&column=name"), "", "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("the column \\\"name\\\" is named twice"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_in_an_encoding_nobody_here_knows_is_refused_and_not_misread() {
    let server = TestServer::start().await;
    let http = crate::running::plain_http();
    for (encoding, status, said) in [
        ("br", 415, "it is encoded as \\\"br\\\"; send it as it is, or as gzip"),
        ("gzip", 400, "it is said to be gzip, and cannot be unpacked"),
    ] {
        let request = http.post(format!("http://{}/v1/claims", server.address));
        let request = request.header("content-type", "application/json").header("content-encoding", encoding);
        let answer = request.body("{\"worker\":\"w-1\"}").send().await.expect("an answer");
        assert_eq!(answer.status(), status);
        let body = answer.text().await.expect("a body");
        assert!(body.contains(said), "{body}");
    }
}

#[tokio::test]
async fn the_type_of_a_body_is_read_as_http_writes_it() {
    let server = TestServer::start().await;
    let claim = r#"{"worker":"w-1","release":"v1","commit":"c","plugins":[],"holding":[],"wait_ms":0}"#;
    for (kind, status) in [
        ("application/json", 204),
        ("Application/JSON ; charset=utf-8", 204),
        ("application/jsonx", 415),
        ("text/plain", 415),
    ] {
        assert_eq!(server.ask("POST", "/v1/claims", kind, claim).await.status, status, "{kind}");
    }
}

#[tokio::test]
async fn an_identity_that_would_forge_lines_of_the_log_is_refused() {
    let server = TestServer::start().await;
    for worker in ["w-1\nINFO batch 7 is done".to_owned(), "\u{1b}[2J".to_owned(), "w".repeat(201)] {
        let claim = serde_json::json!({
            "worker": worker, "release": "v1", "commit": "c", "plugins": [], "holding": [], "wait_ms": 0
        });
        let report = serde_json::json!({
            "worker": worker, "host": "", "state": "working", "reason": "", "release": "", "refused": [], "steps": []
        });
        for (path, body) in [("/v1/claims", claim), ("/v1/reports", report)] {
            let answer = server.ask("POST", path, "application/json", body.to_string()).await;
            assert_eq!(answer.status, 400, "{worker:?} {path}: {}", answer.body);
        }
    }
    assert_eq!(server.client.workers().await.expect("listed"), []);
}

#[tokio::test]
async fn a_claim_that_never_arrives_whole_is_given_up() {
    let short = Duration::from_millis(10);
    let server = TestServer::start_with(Limits { longest_wait: short, request: short, ..limits() }).await;
    let body = reqwest::Body::wrap_stream(stream::pending::<Result<Bytes, Infallible>>());
    let answer = server.ask("POST", "/v1/claims", "application/json", body).await;
    assert_eq!((answer.status, answer.header("content-type")), (408, "application/problem+json"));
}

#[tokio::test]
async fn results_that_nobody_reads_keep_no_connection_open() {
    let server = TestServer::start_with(Limits { stalled: Duration::from_millis(300), ..limits() }).await;
    // More than the system keeps for a reader, on both sides together.
    let record = Bytes::from(format!("{}\n", "x".repeat(1_000_000)));
    let csv = pieces([Bytes::from("name\n")].into_iter().chain(std::iter::repeat_n(record, 24)));
    let batch = server.client.hand_in(&asks_for("count"), csv).await.expect("good");

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    let mut reader = socket.connect(server.address).await.expect("connected");
    let request = format!("GET /v1/batches/{}/results HTTP/1.1\r\nhost: localhost\r\n\r\n", batch.id);
    reader.write_all(request.as_bytes()).await.expect("asked");
    reader.read_u8().await.expect("the answer begins, and nobody reads on");
    // Its end waits for every open answer, and here as long as it takes.
    tokio::time::timeout(wait::SOON, server.end()).await.expect("the answer was cut off");
}

#[tokio::test]
async fn a_table_may_be_very_wide() {
    let server = TestServer::start().await;
    let columns: Vec<String> = (0..100_000).map(|column| format!("{column:x}")).collect();
    let csv = format!("name,{}\nAnn,{}\n", columns.join(","), columns.join(","));
    let batch = server.hand_in(csv).await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let records = server.client.records(claim.attempt, &claim.secret, &[]).await.expect("all columns");
    assert_eq!(records.columns, batch.columns);
    assert_eq!(records.records[0].values[1..], columns);
}

#[tokio::test]
async fn a_job_of_many_empty_fields_is_closed_before_it_outgrows_memory() {
    let server = TestServer::start().await;
    let header: String = (0..999).map(|column| format!("c{column},")).collect();
    let csv = format!("{header}name\n{}", format!("{}\n", ",".repeat(999)).repeat(1_000));
    let asked = HandIn { job_size: Some(JobSize::Records(1_000)), ..asks_for("count") };
    let batch = server.client.hand_in(&asked, pieces([Bytes::from(csv)])).await.expect("good");
    assert_eq!((batch.records, batch.jobs), (1_000, 3));
}

#[tokio::test]
async fn fields_come_back_byte_for_byte_whatever_stands_in_them() {
    let server = TestServer::start().await;
    let fields = [
        "a\0b",
        "\u{2028}\u{2029}\u{85}",
        "\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "\"one\ntwo\r\nthree\rfour\"",
        "\"\t x \"",
        "\"\u{feff}x\"",
        "\\u0000\\n\u{1b}[2J",
        "\u{202e}abc",
    ];
    let lines = |end: &str| fields.map(|field| format!("Ann,{field}{end}\n")).concat();
    let batch = server.hand_in(format!("name,note\n{}", lines(""))).await.expect("good");
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, format!("name,note,n,error\n{}", lines(",3,")));
}

#[tokio::test]
async fn a_page_in_somebodys_browser_gets_nothing_done() {
    let server = TestServer::start().await;
    let http = crate::running::plain_http();
    let request = http.post(format!("http://{}/v1/batches?plugin=count", server.address));
    // What a browser sends without asking the server first.
    let request = request.header("content-type", "text/plain").header("origin", "http://elsewhere.example");
    let answer = request.body("name\nAnn\n").send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_eq!(server.client.batches().await.expect("listed"), []);
}
