//! What an owner gets back: every record, in input order, with its value or the reason why there is none.

use std::time::Duration;

use bytes::Bytes;
use nightshift_wire::{GiveBack, GiveBackCause, HandIn, JobSize};

use crate::running::{TestServer, asks_for, pieces};

#[tokio::test]
async fn results_come_back_in_input_order_with_every_column() {
    let server = TestServer::start().await;
    let batch =
        server.hand_in("id,name,note\n1,Ann,\"a, b\"\n2,,\n3,\" Bob\",\"say \"\"hi\"\"\"\n").await.expect("good");
    server.process_all().await;
    let expected = "id,name,note,n,error\n\
        1,Ann,\"a, b\",3,\n\
        2,,,,the name is empty\n\
        3,\" Bob\",\"say \"\"hi\"\"\",4,\n";
    assert_eq!(server.results(batch.id).await, expected);
    let answer = server.ask("GET", &format!("/v1/batches/{}/results", batch.id), "", "").await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"batch-{}.csv\"", batch.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_not_processed_say_so() {
    let server = TestServer::start().await;
    let asked = HandIn { job_size: Some(JobSize::Records(1)), ..asks_for("count") };
    let csv = pieces([Bytes::from("name\nAnn\nBob\nCid\n")]);
    let batch = server.client.hand_in(&asked, csv).await.expect("good");
    let first = server.claim("w-1").await.expect("a job");
    let submission = server.process(&first).await;
    server.client.submit(first.attempt, &submission).await.expect("accepted");
    let mut bad = 0;
    for _ in 0..2 {
        let claim = server.claim("w-1").await.expect("a job");
        let given = GiveBack { secret: claim.secret, cause: GiveBackCause::Failed, reason: "out of cheese".to_owned() };
        server.client.give_back(claim.attempt, &given).await.expect("taken");
        bad = claim.job;
        server.pass(Duration::from_secs(30));
    }
    let results = server.results(batch.id).await;
    let lines: Vec<&str> = results.lines().collect();
    assert_eq!(lines[..2], ["name,n,error", "Ann,3,"]);
    assert!(lines[2].starts_with(&format!("Bob,,not processed: job {bad} is quarantined")), "{}", lines[2]);
    assert!(lines[2].contains("out of cheese"), "{}", lines[2]);
    assert_eq!(lines[3], "Cid,,not processed yet");
}

#[tokio::test]
async fn many_jobs_are_listed_and_fetched_whole() {
    let server = TestServer::start().await;
    let mut csv = String::from("name\n");
    for number in 0..1203 {
        csv.push_str(&format!("{number}\n"));
    }
    let asked = HandIn { job_size: Some(JobSize::Records(1)), ..asks_for("count") };
    let batch = server.client.hand_in(&asked, pieces([Bytes::from(csv)])).await.expect("good");
    let jobs = server.client.jobs(batch.id).await.expect("listed");
    assert!(jobs.iter().map(|job| job.seq).eq(0..1203));
    let results = server.results(batch.id).await;
    assert!(
        results
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().expect("a field"))
            .eq((0..1203).map(|n| n.to_string()))
    );
}
