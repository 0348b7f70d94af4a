//! Handing in: what arrives whole becomes jobs, anything else leaves nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nightshift_client::ClientError;
use nightshift_server::serve::Limits;
use nightshift_wire::{BatchState, HandIn, JobSize, JobState, code};

use crate::running::{TestServer, asks_for, limits, pieces, refusal};

#[tokio::test]
async fn a_csv_becomes_jobs_that_can_be_claimed() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name,town\nAnn,York\nBob,Ely\nCid,Bath\n").await.expect("good");
    assert_eq!((batch.name.as_str(), batch.plugin.as_str(), batch.state), ("monday", "count", BatchState::Open));
    assert_eq!((batch.columns, batch.outputs), (vec!["name".to_owned(), "town".to_owned()], vec!["n".to_owned()]));
    assert_eq!((batch.records, batch.jobs), (3, 2));
    let jobs = server.client.jobs(batch.id).await.expect("listed");
    let seen: Vec<_> = jobs.iter().map(|job| (job.seq, job.records, job.state)).collect();
    assert_eq!(seen, [(0, 2, JobState::Waiting), (1, 1, JobState::Waiting)]);
    assert_eq!(server.client.batches().await.expect("listed").len(), 1);
}

#[tokio::test]
async fn mark_line_ends_blanks_and_a_missing_newline_are_fine() {
    let server = TestServer::start().await;
    let batch =
        server.hand_in("\u{feff}id, name, \"town\"\r\n1, Ann, \"York, old\"\r\n\r\n2, Bob,Ely").await.expect("good");
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, "id,name,town,n,error\n1,Ann,\"York, old\",3,\n2,Bob,Ely,3,\n");
}

#[tokio::test]
async fn name_priority_and_job_size_are_the_owners() {
    let server = TestServer::start().await;
    server.hand_in("name\nlow\n").await.expect("good");
    let asked = HandIn {
        plugin: "count".to_owned(),
        name: Some("höher & <schneller>".to_owned()),
        priority: Some(7),
        job_size: Some(JobSize::Records(3)),
        ..HandIn::default()
    };
    let csv = pieces([Bytes::from("name\na\nb\nc\nd\n")]);
    let batch = server.client.hand_in(&asked, csv).await.expect("good");
    assert_eq!((batch.name.as_str(), batch.priority, batch.jobs), ("höher & <schneller>", 7, 2));
    assert_eq!(server.claim("w-1").await.expect("a job").batch, batch.id, "the higher priority goes first");
}

#[tokio::test]
async fn a_batch_without_a_name_gets_one_that_says_what_and_when() {
    let server = TestServer::start().await;
    let asked = HandIn { name: None, ..asks_for("count") };
    let batch = server.client.hand_in(&asked, pieces([Bytes::from("name\na\n")])).await.expect("good");
    assert_eq!(batch.name, "count-20250102-030405");
}

#[tokio::test]
async fn a_bad_row_after_many_good_jobs_leaves_nothing() {
    let server = TestServer::start().await;
    let good = Bytes::from("Ann\n".repeat(500));
    let csv = [Bytes::from("name\n"), good.clone(), good, Bytes::from("Bob,too much\n")];
    let error = server.client.hand_in(&asks_for("count"), pieces(csv)).await.expect_err("ragged");
    let problem = refusal(&error);
    assert_eq!((problem.status, problem.code.as_str()), (422, code::BAD_CSV));
    let said = "handing in batch \"monday\": line 1002: 2 fields, but the header names 1 column; take out";
    assert!(problem.detail.starts_with(said), "{}", problem.detail);
    assert!(!error.is_retryable());
    assert_eq!(server.client.batches().await.expect("listed"), []);
    assert_eq!(server.claim("w-1").await, None);
}

#[tokio::test]
async fn nothing_of_a_batch_can_be_claimed_before_its_last_byte() {
    let server = TestServer::start().await;
    let (more, coming) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let csv = stream::unfold(coming, |mut coming| async { coming.recv().await.map(|piece| (piece, coming)) });
    let asked = asks_for("count");
    let handing_in = server.client.hand_in(&asked, csv);
    let meanwhile = async {
        more.send(Ok(Bytes::from("name\na\nb\nc\nd\n"))).await.expect("taken");
        let arriving = async || server.client.batches().await.expect("listed").into_iter().find(|batch| batch.jobs > 0);
        let batch = loop {
            match arriving().await {
                Some(batch) => break batch,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(batch.state, BatchState::Receiving);
        assert_eq!(server.claim("w-1").await, None);
        let error = server.client.results(batch.id).await.expect_err("still arriving");
        assert_eq!(refusal(&error).code, code::NOT_READY);
        drop(more);
    };
    let (batch, ()) = tokio::join!(handing_in, meanwhile);
    assert_eq!(batch.expect("good").jobs, 2);
    assert!(server.claim("w-1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_in_whose_source_fails_leaves_nothing() {
    let server = TestServer::start().await;
    let begun = Bytes::from(format!("name\n{}", "Ann\n".repeat(100)));
    let csv = stream::iter([Ok(begun), Err(std::io::Error::other("the disk is gone"))]);
    let error = server.client.hand_in(&asks_for("count"), csv).await.expect_err("cut");
    assert!(matches!(error, ClientError::Input { .. }), "{error:?}");
    let gone = || async { server.client.batches().await.expect("listed").is_empty().then_some(()) };
    server.eventually("the batch to be removed", gone).await;
}

#[tokio::test]
async fn a_hand_in_that_stops_arriving_is_given_up() {
    let server = TestServer::start_with(Limits { silence: Duration::from_millis(20), ..limits() }).await;
    let csv = pieces([Bytes::from("name\na\nb\nc\n")]).chain(stream::pending());
    let error = server.client.hand_in(&asks_for("count"), csv).await.expect_err("silent");
    let problem = refusal(&error);
    assert_eq!(problem.status, 408);
    assert!(problem.detail.contains("the CSV stopped arriving; nothing of it is kept"), "{}", problem.detail);
    assert!(error.is_retryable());
    assert_eq!(server.client.batches().await.expect("listed"), []);
}

#[tokio::test]
async fn a_refusal_of_the_header_arrives_while_the_rest_is_still_sent() {
    let server = TestServer::start().await;
    let megabyte = Bytes::from("x".repeat(1024 * 1024));
    let csv = pieces([Bytes::from("nom\n")].into_iter().chain(std::iter::repeat_n(megabyte, 64)));
    let error = server.client.hand_in(&asks_for("count"), csv).await.expect_err("no such column");
    let problem = refusal(&error);
    assert_eq!(
        problem.detail,
        "handing in batch \"monday\": line 1: plugin count needs column name; the columns here are nom"
    );
}

#[tokio::test]
async fn a_large_csv_goes_through_in_small_pieces() {
    let server = TestServer::start().await;
    let text = format!("name\r\n{}", "\"Ann, or\r\nso\"\r\n".repeat(3000));
    let cut: Vec<Bytes> = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let asked = HandIn { job_size: Some(JobSize::Records(1000)), ..asks_for("count") };
    let batch = server.client.hand_in(&asked, pieces(cut)).await.expect("good");
    assert_eq!((batch.records, batch.jobs), (3000, 3));
}

#[tokio::test]
async fn a_job_is_closed_before_it_outgrows_a_request() {
    let server = TestServer::start().await;
    let record = Bytes::from(format!("{}\n", "x".repeat(1024 * 1024 - 64)));
    let csv = pieces([Bytes::from("name\n")].into_iter().chain(std::iter::repeat_n(record, 20)));
    let asked = HandIn { job_size: Some(JobSize::Records(1000)), ..asks_for("count") };
    let batch = server.client.hand_in(&asked, csv).await.expect("good");
    assert_eq!((batch.records, batch.jobs), (20, 3));
}
