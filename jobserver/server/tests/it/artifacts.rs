//! Artifacts over HTTP: whole, in parts, refused, deleted.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nightshift_wire::{Artifact, Problem, code};

use crate::browser::Browser;
use crate::running::{ARTIFACT_QUOTA, Answer, TestServer, plain_http};

/// The SHA-256 of `abcdefghij`.
const NAME: &str = "72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0";
/// The SHA-256 of `abc`.
const OTHER: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async fn put(server: &TestServer, name: &str, bytes: impl Into<reqwest::Body>) -> Answer {
    server.ask("PUT", &format!("/v1/artifacts/{name}"), "application/octet-stream", bytes).await
}

async fn part(server: &TestServer, name: &str, header: &[(&str, &str)]) -> (u16, String, String) {
    let mut request = plain_http().get(format!("http://{}/v1/artifacts/{name}", server.address));
    for (name, value) in header {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let range = answer.headers().get("content-range").map(|range| range.to_str().expect("text").to_owned());
    (answer.status().as_u16(), range.unwrap_or_default(), answer.text().await.expect("a body"))
}

fn problem(answer: &Answer) -> Problem {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no problem: {}", answer.body))
}

#[tokio::test]
async fn what_is_put_is_given_back_whole_or_in_the_part_that_is_missing() {
    let server = TestServer::start().await;
    let first = put(&server, NAME, "abcdefghij").await;
    assert_eq!(first.status, 201, "{}", first.body);
    let again = put(&server, NAME, "abcdefghij").await;
    assert_eq!((again.status, &again.body), (200, &first.body), "repeating it changes nothing");
    let listed: Vec<Artifact> =
        serde_json::from_str(&server.ask("GET", "/v1/artifacts", "", "").await.body).expect("a list");
    assert_eq!(listed.iter().map(|one| (one.sha256.as_str(), one.bytes)).collect::<Vec<_>>(), [(NAME, 10)]);

    assert_eq!(part(&server, NAME, &[]).await, (200, String::new(), "abcdefghij".to_owned()));
    let rest = (206, "bytes 4-9/10".to_owned(), "efghij".to_owned());
    assert_eq!(part(&server, NAME, &[("range", "bytes=4-")]).await, rest);
    assert_eq!(part(&server, NAME, &[("range", "bytes=4-"), ("if-range", &format!("\"{NAME}\""))]).await, rest);
    assert_eq!(part(&server, NAME, &[("range", "bytes=4-"), ("if-range", "\"another\"")]).await.0, 200);
    let (status, range, _) = part(&server, NAME, &[("range", "bytes=10-")]).await;
    assert_eq!((status, range.as_str()), (416, "bytes */10"));
    let head = server.ask("HEAD", &format!("/v1/artifacts/{NAME}"), "", "").await;
    assert_eq!((head.status, head.header("content-length"), head.header("accept-ranges")), (200, "10", "bytes"));
    let packed = part(&server, NAME, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.2, "abcdefghij", "its bytes are those of its name");
}

#[tokio::test]
async fn other_bytes_than_the_name_says_are_refused_and_nothing_of_them_is_kept() {
    let server = TestServer::start().await;
    let answer = put(&server, NAME, "abcdefghiJ").await;
    assert_eq!((answer.status, problem(&answer).code.as_str()), (422, code::WRONG_DIGEST));
    for name in ["abc", "../../etc/passwd", &NAME.to_uppercase(), "%2e%2e", &format!("{NAME}0")] {
        assert_eq!(put(&server, name, "abc").await.status, 404, "{name}");
    }
    let broken = stream::iter([Ok::<_, std::io::Error>(Bytes::from("abcde")), Err(std::io::Error::other("gone"))]);
    let request = plain_http().put(format!("http://{}/v1/artifacts/{NAME}", server.address));
    request.body(reqwest::Body::wrap_stream(broken)).send().await.expect_err("the client breaks off");
    let folder = server.end().await;
    let left: Vec<_> = std::fs::read_dir(folder.path().join("artifacts")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn artifacts_take_no_more_than_their_quota_and_deleting_makes_room() {
    let server = TestServer::start().await;
    assert_eq!(put(&server, OTHER, "abc").await.status, 201);
    let much = stream::iter((0..20).map(|_| Ok::<_, Infallible>(Bytes::from(vec![0; 100]))));
    let answer = put(&server, NAME, reqwest::Body::wrap_stream(much.boxed())).await;
    assert_eq!((answer.status, problem(&answer).code.as_str()), (507, code::NO_ROOM));
    let detail = problem(&answer).detail;
    assert!(detail.contains(&format!("may take {ARTIFACT_QUOTA} bytes, and 3 are taken")), "{detail}");
    let path = format!("/v1/artifacts/{OTHER}");
    assert_eq!(server.ask("DELETE", &path, "", "").await.status, 204);
    assert_eq!(server.ask("DELETE", &path, "", "").await.status, 404);
    assert_eq!(server.ask("GET", &path, "", "").await.status, 404);
    let log = Browser::at(server.address).page("/acts").await;
    assert!(log.contains(&format!("put artifact {OTHER} of 3 bytes")) && !log.contains(NAME), "{log}");
    assert_eq!(log.matches(&format!("deleted artifact {OTHER}")).count(), 1, "{log}");
}
