//! The same input under the same key is one batch, however often it is handed in.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use nightshift_client::HandedIn;
use nightshift_wire::{HandIn, JobSize, code};

use crate::running::{TestServer, asks_for, pieces, refusal};

const CSV: &str = "name\nAnn\nBob\nCid\n";

fn keyed(key: &str) -> HandIn {
    HandIn { key: Some(key.to_owned()), ..asks_for("count") }
}

#[tokio::test]
async fn the_same_input_under_the_same_key_is_one_batch() {
    let server = TestServer::start().await;
    let sent =
        async |asked: HandIn, input: Bytes| server.client.hand_in_by_key(&asked, pieces([input])).await.expect("taken");
    let HandedIn::New(first) = sent(keyed("monday"), CSV.into()).await else { panic!("a new batch") };
    let again = HandIn { name: Some("another name".to_owned()), ..keyed("monday") };
    assert_eq!(sent(again, CSV.into()).await, HandedIn::Before(first.clone()));
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(CSV.as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    assert_eq!(sent(keyed("monday"), packed.into()).await, HandedIn::Before(first.clone()), "packed or not");
    assert!(matches!(sent(keyed("tuesday"), CSV.into()).await, HandedIn::New(_)));
    assert_eq!(server.client.batches().await.expect("listed").len(), 2);

    // The answer shows the batch as it stands now.
    server.process_all().await;
    assert_eq!(sent(keyed("monday"), CSV.into()).await.batch().results, 3);
    let receipt = server.client.receipt(first.id).await.expect("a receipt");
    assert_eq!(receipt.input.expect("noted").key.as_deref(), Some("monday"));
}

#[tokio::test]
async fn a_key_that_stands_for_another_input_is_refused_and_nothing_is_stored() {
    let server = TestServer::start().await;
    let first = server.client.hand_in(&keyed("monday"), pieces([Bytes::from(CSV)])).await.expect("new");
    let other_size = HandIn { job_size: Some(JobSize::Records(3)), ..keyed("monday") };
    for (asked, input, said) in [
        (keyed("monday"), "name\nAnn\nBob\nDan\n", "which was made of other bytes (SHA-256 "),
        (other_size, CSV, "which was asked for otherwise ({\"format\":\"csv\",\"job_size\":null,"),
    ] {
        let error = server.client.hand_in(&asked, pieces([Bytes::from(input)])).await.expect_err("refused");
        let problem = refusal(&error);
        assert_eq!((problem.status, problem.code.as_str()), (409, code::KEY_REUSED));
        let begin = format!("handing in batch \"monday\": key \"monday\" stands for batch {}, {said}", first.id);
        assert!(problem.detail.starts_with(&begin), "{}", problem.detail);
    }
    assert_eq!(server.client.batches().await.expect("listed"), [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hand_ins_with_one_key_at_the_same_instant_one_makes_the_batch() {
    let server = TestServer::start().await;
    for round in 0..10 {
        let asked = keyed(&format!("round {round}"));
        let send = || {
            server.client.hand_in_by_key(
                &asked,
                pieces(CSV.as_bytes().chunks(4).map(Bytes::copy_from_slice).collect::<Vec<_>>()),
            )
        };
        let (one, two, three) = tokio::join!(send(), send(), send());
        let answers = [one, two, three].map(|answer| answer.expect("taken"));
        let new = answers.iter().filter(|answer| matches!(answer, HandedIn::New(_))).count();
        assert_eq!(new, 1, "{answers:?}");
        let ids = answers.map(|answer| answer.batch().id);
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    assert_eq!(server.client.batches().await.expect("listed").len(), 10);
    server.process_all().await;
    assert!(server.client.batches().await.expect("listed").iter().all(|batch| batch.results == 3));
}

#[tokio::test]
async fn a_key_whose_hand_in_broke_off_is_free_again() {
    let server = TestServer::start().await;
    let bad = pieces([Bytes::from("name\nAnn\nBob\nCid,too much\n")]);
    server.client.hand_in(&keyed("monday"), bad).await.expect_err("ragged");
    let good = server.client.hand_in_by_key(&keyed("monday"), pieces([Bytes::from(CSV)])).await.expect("taken");
    assert!(matches!(good, HandedIn::New(_)));
}
