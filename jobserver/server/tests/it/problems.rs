//! Every refusal is a problem in JSON, with a code for programs and a sentence for people.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nightshift_server::catalogue::Catalogue;
use nightshift_server::serve::Limits;

use crate::running::{Answer, TestServer, limits};

/// A refusal as people see it: the request, the status, the body.
fn shown(request: &str, answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{request}: {}", answer.body);
    let problem: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(problem["status"], answer.status, "{request}");
    format!(
        "{request}\n{} {}: {}\n",
        answer.status,
        problem["code"].as_str().expect("a code"),
        problem["detail"].as_str().expect("a detail")
    )
}

#[tokio::test]
async fn a_csv_that_makes_no_batch_is_refused_with_line_and_advice() {
    let server = TestServer::start().await;
    let cases: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("header only", b"name\r\n"),
        ("missing column", b"id,nom\n1,Ann\n"),
        ("semicolons", b"id;name\n1;Ann\n"),
        ("ragged row", b"id,name\n1,Ann\n2\n"),
        ("duplicate header", b"name,id,name\nAnn,1,Ann\n"),
        ("nameless column", b"name,\nAnn,\n"),
        ("clash with an output", b"name,n\nAnn,1\n"),
        ("clash with the error column", b"name,error\nAnn,1\n"),
        ("broken UTF-8", b"id,name\n1,Ann\n2,M\xFCller\n"),
        ("UTF-16", b"\xFF\xFEn\0a\0m\0e\0"),
        ("open quote", b"id,name\n1,\"Ann\n2,Bob\n"),
        ("text after a quote", b"id,name\n1,\"Ann\"a\n"),
    ];
    let mut all = String::new();
    for (name, csv) in cases {
        let answer =
            server.ask("POST", "/v1/batches?plugin=count&name=monday", "text/csv", Bytes::from_static(csv)).await;
        all.push_str(&shown(name, &answer));
    }
    insta::assert_snapshot!(all);
    assert_eq!(server.client.batches().await.expect("listed"), [], "nothing remains of any of them");
}

#[tokio::test]
async fn a_hand_in_that_asks_for_the_impossible_is_refused() {
    let server = TestServer::start().await;
    let mut all = String::new();
    let long = format!("/v1/batches?plugin=count&name={}", "x".repeat(201));
    for path in [
        "/v1/batches",
        "/v1/batches?plugin=cuont",
        "/v1/batches?plugin=count&job_size=0",
        "/v1/batches?plugin=count&job_size=100001",
        "/v1/batches?plugin=count&job_size=many",
        "/v1/batches?plugin=count&error_rate=5",
        "/v1/batches?plugin=count&prio=1",
        "/v1/batches?plugin=count&name=",
        "/v1/batches?plugin=count&name=a%0Ab",
        &long,
    ] {
        let answer = server.ask("POST", path, "text/csv", "name\nAnn\n").await;
        all.push_str(&shown(&format!("POST {}", path.replace(&"x".repeat(201), "xxx…")), &answer));
    }
    let answer = server.ask("POST", "/v1/batches?plugin=count", "multipart/form-data; boundary=x", "--x--").await;
    all.push_str(&shown("POST a form", &answer));
    server.catalogue.send_replace(Arc::new(Catalogue::empty("")));
    let answer = server.ask("POST", "/v1/batches?plugin=count", "text/csv", "name\nAnn\n").await;
    all.push_str(&shown("POST without a release", &answer));
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let server = TestServer::start().await;
    let mut all = String::new();
    for (method, path, body) in [
        ("GET", "/v1/batches/7", ""),
        ("GET", "/v1/batches/seven", ""),
        ("GET", "/v1/batches/7/jobs", ""),
        ("GET", "/v1/batches/7/results", ""),
        ("GET", "/v1/attempts/7/records?secret=x", ""),
        ("GET", "/v1/attempts/7/records", ""),
        ("GET", "/v1/attempts/7/records?secret=x&colour=red", ""),
        ("POST", "/v1/attempts/7/heartbeat", r#"{"secret":"x","done":1}"#),
        ("POST", "/v1/attempts/7/give-back", r#"{"secret":"x","cause":"failed","reason":"y"}"#),
        ("GET", "/v2/batches", ""),
        ("GET", "/favicon.ico", ""),
        ("DELETE", "/v1/batches/7", ""),
        ("GET", "/v1/claims", ""),
        ("PUT", "/", ""),
    ] {
        let answer = server.ask(method, path, "application/json", body).await;
        all.push_str(&shown(&format!("{method} {path}"), &answer));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_what_is_wrong() {
    let server = TestServer::start_with(Limits { body: 1000, ..limits() }).await;
    let mut all = String::new();
    let large = format!("{:1001}", "{}");
    for (name, path, kind, body) in [
        ("no JSON", "/v1/claims", "application/json", "claim!"),
        ("a key is missing", "/v1/claims", "application/json", r#"{"worker":"w-1"}"#),
        ("no type", "/v1/claims", "", "{}"),
        ("another type", "/v1/reports", "text/plain", "{}"),
        ("too large", "/v1/reports", "application/json", &large),
        (
            "nobody claims",
            "/v1/claims",
            "application/json",
            r#"{"worker":"","release":"v1","commit":"c","plugins":[],"holding":[],"wait_ms":0}"#,
        ),
    ] {
        let answer = server.ask("POST", path, kind, body.to_owned()).await;
        all.push_str(&shown(name, &answer));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn an_attempt_needs_its_secret_and_columns_that_exist() {
    let server = TestServer::start().await;
    server.hand_in("id,name\n1,Ann\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let records = format!("/v1/attempts/{}/records", claim.attempt);
    let mut all = String::new();
    let answer = server.ask("GET", &format!("{records}?secret=guessed"), "", "").await;
    all.push_str(&shown("GET records with a guessed secret", &answer));
    let answer = server.ask("GET", &format!("{records}?secret={}&column=town", claim.secret), "", "").await;
    all.push_str(&shown("GET records, column town", &answer));
    let submission = server.process(&claim).await;
    server.client.submit(claim.attempt, &submission).await.expect("accepted");
    let answer = server.ask("GET", &format!("{records}?secret={}", claim.secret), "", "").await;
    all.push_str(&shown("GET records of a job that is done", &answer));
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_request_that_never_arrives_whole_is_given_up_with_a_problem() {
    let server = TestServer::start_with(Limits { request: Duration::from_millis(20), ..limits() }).await;
    let body = reqwest::Body::wrap_stream(stream::pending::<Result<Bytes, Infallible>>());
    let answer = server.ask("POST", "/v1/reports", "application/json", body).await;
    insta::assert_snapshot!(shown("POST /v1/reports", &answer));
}
