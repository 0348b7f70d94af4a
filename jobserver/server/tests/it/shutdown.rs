//! The server's end: nobody waits for nothing, and nothing half-done remains.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nightshift_store::Store;
use nightshift_store::sqlite::SqliteStore;

use crate::running::{TestServer, asks_for, pieces, refusal, waiting_claim};

#[tokio::test]
async fn a_claim_that_waits_is_answered_when_the_server_ends() {
    let server = TestServer::start().await;
    let request = waiting_claim("w-1");
    let end = async { server.stopping.cancel() };
    // Whether the end comes before or after the claim has arrived, the client is not left waiting.
    let (claim, ()) = tokio::join!(server.client.claim(&request), end);
    match claim {
        Ok(claim) => assert_eq!(claim, None),
        Err(error) => assert!(error.is_retryable(), "{error}"),
    }
    server.end().await;
}

#[tokio::test]
async fn a_hand_in_under_way_is_refused_and_removed_when_the_server_ends() {
    let server = TestServer::start().await;
    let (taken, begun) = tokio::sync::oneshot::channel();
    let first = pieces([Bytes::from("name\na\nb\nc\n")]);
    let rest = stream::once(async move {
        taken.send(()).expect("the test waits");
        std::future::pending().await
    });
    let asked = asks_for("count");
    let end = async {
        begun.await.expect("the first piece is taken");
        server.stopping.cancel();
    };
    let (outcome, ()) = tokio::join!(server.client.hand_in(&asked, first.chain(rest)), end);
    let error = outcome.expect_err("the server ends");
    assert!(error.is_retryable(), "{error}");
    assert!(refusal(&error).detail.contains("the job server is ending"), "{error}");
    let folder = server.end().await;
    let store = SqliteStore::open(&folder.path().join("store.sqlite")).expect("opens again");
    assert_eq!(store.batches(10).await.expect("listed"), []);
}
