//! What an owner gets back: parts of the results in either form, and the receipt.

use std::time::Duration;

use bytes::Bytes;
use nightshift_wire::{
    BatchReceipt, BatchState, ByPosition, GiveBack, GiveBackCause, HandIn, JobSize, Only, ResultsFormat, ResultsQuery,
    code,
};
use sha2::{Digest, Sha256};

use crate::running::{TestServer, asks_for, pieces, refusal};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn part(server: &TestServer, batch: i64, format: ResultsFormat, only: Only) -> String {
    let download = server.client.results_as(batch, ResultsQuery { format, only }).await.expect("there");
    String::from_utf8(download.all().await.expect("whole")).expect("UTF-8")
}

/// One job done with an error in it, one quarantined, one waiting, one record each but the first.
async fn half_done(server: &TestServer) -> i64 {
    let csv = "id,name\n1,Ann\n2,\n3,Bob\n4,Cid\n5,Dan\n6,Eve\n";
    let batch = server.hand_in(csv).await.expect("good").id;
    let first = server.claim("w-1").await.expect("a job");
    let submission = server.process(&first).await;
    server.client.submit(first.attempt, &submission).await.expect("accepted");
    for _ in 0..2 {
        let claim = server.claim("w-1").await.expect("a job");
        let given = GiveBack { secret: claim.secret, cause: GiveBackCause::Failed, reason: "no cheese".to_owned() };
        server.client.give_back(claim.attempt, &given).await.expect("taken");
        // Behind the pause after a failure.
        server.pass(Duration::from_secs(30));
    }
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_what_is_not_processed_come_apart_also_while_the_batch_runs() {
    let server = TestServer::start().await;
    let batch = half_done(&server).await;
    let csv = |only| part(&server, batch, ResultsFormat::Csv, only);
    let all = csv(Only::All).await;
    assert_eq!(all.lines().count(), 7);
    assert_eq!(csv(Only::Errors).await, "id,name,n,error\n2,,,the name is empty\n");
    let unprocessed = csv(Only::Unprocessed).await;
    let lines: Vec<&str> = unprocessed.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[1].starts_with("3,Bob,,not processed: job ") && lines[1].contains("no cheese"), "{}", lines[1]);
    assert_eq!(lines[3], "5,Dan,,not processed yet");

    let json = part(&server, batch, ResultsFormat::Jsonl, Only::All).await;
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines[0], "{\"id\":\"1\",\"name\":\"Ann\",\"n\":3,\"error\":null}");
    assert_eq!(lines[1], "{\"id\":\"2\",\"name\":\"\",\"n\":null,\"error\":\"the name is empty\"}");
    assert_eq!(lines[5], "{\"id\":\"6\",\"name\":\"Eve\",\"n\":null,\"error\":\"not processed yet\"}");
    assert_eq!(part(&server, batch, ResultsFormat::Jsonl, Only::Errors).await, format!("{}\n", lines[1]));

    let answer = server.ask("GET", &format!("/v1/batches/{batch}/results?format=jsonl&only=errors"), "", "").await;
    assert_eq!(answer.header("content-type"), "application/jsonl; charset=utf-8");
    let name = format!("attachment; filename=\"batch-{batch}-errors.jsonl\"");
    assert_eq!(answer.header("content-disposition"), name);
    let answer = server.ask("GET", &format!("/v1/batches/{batch}/results?format=xlsx"), "", "").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_batch_without_errors_has_an_empty_list_of_them() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good").id;
    server.process_all().await;
    assert_eq!(part(&server, batch, ResultsFormat::Csv, Only::Errors).await, "name,n,error\n");
    assert_eq!(part(&server, batch, ResultsFormat::Jsonl, Only::Errors).await, "");
    assert_eq!(part(&server, batch, ResultsFormat::Csv, Only::Unprocessed).await, "name,n,error\n");
}

#[tokio::test]
async fn errors_are_found_among_many_jobs_in_input_order() {
    let server = TestServer::start().await;
    let mut csv = String::from("name,id\n");
    for number in 0..1_203 {
        csv.push_str(&format!("{},{number}\n", if number % 400 == 1 { "" } else { "x" }));
    }
    let asked = HandIn { job_size: Some(JobSize::Records(1)), ..asks_for("count") };
    let batch = server.client.hand_in(&asked, pieces([Bytes::from(csv)])).await.expect("good").id;
    server.process_all().await;
    let expected = "name,id,n,error\n,1,,the name is empty\n,401,,the name is empty\n,801,,the name is empty\n\
                    ,1201,,the name is empty\n";
    assert_eq!(part(&server, batch, ResultsFormat::Csv, Only::Errors).await, expected);
}

#[tokio::test]
async fn results_are_packed_for_who_takes_that() {
    let server = TestServer::start().await;
    let batch = server.hand_in(format!("name\n{}", "Ann\n".repeat(1_000))).await.expect("good").id;
    let url = format!("http://{}/v1/batches/{batch}/results", server.address);
    let answer =
        crate::running::plain_http().get(url).header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.bytes().await.expect("whole");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).expect("gzip");
    assert_eq!(plain, server.results(batch).await.into_bytes());
}

#[tokio::test]
async fn a_number_beyond_64_bits_is_refused_and_never_becomes_another() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good").id;
    let claim = server.claim("w-1").await.expect("a job");
    let mut submission = server.process(&claim).await;
    let path = format!("/v1/attempts/{}/results", claim.attempt);
    let text = serde_json::to_string(&submission).expect("JSON");
    let large = text.replace("\"n\":3", "\"n\":18446744073709551616");
    assert_ne!(large, text);
    let answer = server.ask("POST", &path, "application/json", large).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("the number 18446744073709551616 has more than 64 bits; send it as text"));
    assert_eq!(server.client.batch(batch).await.expect("the batch").results, 0);

    // As text it comes back digit by digit.
    let digits = serde_json::Value::from("18446744073709551616");
    submission.results[0].outcome = nightshift_wire::Outcome::Ok([("n".to_owned(), digits)].into());
    server.client.submit(claim.attempt, &submission).await.expect("accepted");
    assert_eq!(server.results(batch).await, "name,n,error\nAnn,18446744073709551616,\n");
}

#[tokio::test]
async fn a_receipt_proves_that_in_is_out_and_anyone_can_check_its_digests() {
    let server = TestServer::start().await;
    let csv = "id,name\n1,Ann\n2,\n3,Bob\n4,Cid\n5,Dan\n";
    let batch = server.hand_in(csv).await.expect("good").id;
    for (worker, release) in [("w-1", "v1.0.0"), ("w-2", "v1.0.0"), ("w-2", "v1.1.0")] {
        let claim = server.claim(worker).await.expect("a job");
        let mut submission = server.process(&claim).await;
        submission.provenance.release = release.to_owned();
        server.client.submit(claim.attempt, &submission).await.expect("accepted");
    }
    let receipt: BatchReceipt = server.client.receipt(batch).await.expect("a receipt");
    assert_eq!((receipt.records, receipt.results, receipt.errors, receipt.unprocessed), (5, 5, 1, 0));
    assert!(receipt.in_is_out);
    assert_eq!(receipt.verdict, "in = out: 5 records in, 5 results out, 1 of them an error");
    assert_eq!((receipt.workers, receipt.state), (2, BatchState::Done));
    let releases: Vec<_> = receipt
        .by_release
        .iter()
        .map(|part| (part.release.as_str(), part.jobs, part.results, part.errors, part.workers))
        .collect();
    assert_eq!(releases, [("v1.0.0", 2, 4, 1, 2), ("v1.1.0", 1, 1, 0, 1)]);
    assert_eq!(receipt.by_position, [ByPosition { primary: None, position: None, results: 5 }]);
    let input = receipt.input.expect("noted");
    assert_eq!((input.digest, input.bytes, input.key), (sha256(csv.as_bytes()), csv.len() as u64, None));
    let downloaded = server.results(batch).await;
    assert_eq!(receipt.results_digest, Some(sha256(downloaded.as_bytes())));
    assert_eq!(server.client.receipt(batch).await.expect("again").results_digest, receipt.results_digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_batch_with_records_missing_proves_nothing() {
    let server = TestServer::start().await;
    let batch = half_done(&server).await;
    let receipt = server.client.receipt(batch).await.expect("a receipt");
    assert_eq!((receipt.records, receipt.results, receipt.unprocessed), (6, 2, 4));
    assert!(!receipt.in_is_out);
    assert_eq!(receipt.verdict, "not finished: 4 of 6 records have no result yet");
    assert_eq!(receipt.results_digest, None);

    server.process_all().await;
    let receipt = server.client.receipt(batch).await.expect("a receipt");
    assert_eq!((receipt.state, receipt.in_is_out), (BatchState::Incomplete, false));
    assert_eq!(receipt.verdict, "in ≠ out: 2 of 6 records have no result, and nothing more is under way");
    assert_eq!(receipt.results_digest, Some(sha256(server.results(batch).await.as_bytes())));

    let error = server.client.receipt(99).await.expect_err("no such batch");
    assert_eq!(refusal(&error).code, code::NOT_FOUND);
}
