//! Connections themselves: the dead ones go, the living ones stay, and large bodies pass only where they belong.

use std::time::Duration;

use nightshift_server::serve::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::{TestServer, limits};

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let server = TestServer::start_with(Limits { idle: Duration::from_millis(20), ..limits() }).await;
    for begun in ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(begun.as_bytes()).await.expect("written");
        let mut said = String::new();
        stream.read_to_string(&mut said).await.expect("the server closes it");
        assert_eq!(said.ends_with("ok\n"), begun.ends_with("\r\n\r\n"), "{said}");
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = TestServer::start().await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
        let mut said = Vec::new();
        while !said.ends_with(b"ok\n") {
            said.push(stream.read_u8().await.expect("it stays open"));
        }
    }
}

#[tokio::test]
async fn results_may_be_larger_than_other_bodies_and_still_have_an_end() {
    let server = TestServer::start_with(Limits { body: 300, submission: 3000, ..limits() }).await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let claim = server.claim("w-1").await.expect("a job");
    let mut submission = server.process(&claim).await;
    submission.provenance.commit = "c".repeat(3000);
    let error = server.client.submit(claim.attempt, &submission).await.expect_err("too large");
    assert_eq!(error.problem().map(|problem| problem.status), Some(413));
    submission.provenance.commit = "c".repeat(1000);
    server.client.submit(claim.attempt, &submission).await.expect("large, but not too large");
}
