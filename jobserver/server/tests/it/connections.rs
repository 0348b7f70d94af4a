//! Connections themselves: the dead ones go, the living ones stay, and large bodies pass only where they belong.

use std::time::Duration;

use nightshift_server::serve::Limits;
use nightshift_testbed::wait;
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

/// Sends `begun`, then `again` over and over, until the server has closed the connection.
async fn trickle(server: &TestServer, begun: &[u8], again: &[u8]) {
    let (mut reader, mut writer) = TcpStream::connect(server.address).await.expect("connected").into_split();
    writer.write_all(begun).await.expect("written");
    let trickles = async {
        // As much as goes through: what is never silent is never idle.
        while writer.write_all(again).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut said = Vec::new();
    let hears = async {
        // A reset is an end as well.
        let _ = reader.read_to_end(&mut said).await;
    };
    tokio::time::timeout(wait::SOON, async { tokio::join!(trickles, hears) }).await.expect("the server cuts it off");
    assert!(!String::from_utf8_lossy(&said).contains("200 OK"), "nothing was asked");
}

#[tokio::test]
async fn a_request_whose_head_trickles_in_is_cut_off() {
    let short = Duration::from_millis(50);
    let server = TestServer::start_with(Limits { idle: short, stalled: short, ..limits() }).await;
    trickle(&server, b"G", b"E").await;
    trickle(&server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ", b"y").await;
    // HTTP/2: a head that is begun and never ends, its rest in frame after frame; and the same of its first words.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let headers = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    let continuation = [0, 0, 1, 9, 0, 0, 0, 0, 1, 0x84];
    trickle(&server, &[&preface[..], &settings, &headers].concat(), &continuation).await;
    trickle(&server, &[&preface[..], &settings].concat(), &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
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
