//! What becomes of a request when servers are away, silent, confused or refuse.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nightshift_client::{ClientError, Timeouts};
use nightshift_wire::{ActionReport, ActionRequest, ClaimRequest, HandIn, JobAction, JobFilter, Machine, code};
use tokio::sync::Notify;

use crate::answers::{Does, Nobody, Server, answer, client, problem};

/// Long enough for loopback, short enough for a test that runs into it.
fn short() -> Timeouts {
    Timeouts::all(Duration::from_millis(50))
}

fn claim() -> ClaimRequest {
    ClaimRequest {
        worker: "w-1".to_owned(),
        release: "v1.0.0".to_owned(),
        commit: "c".repeat(40),
        plugins: Vec::new(),
        holding: Vec::new(),
        wait_ms: 0,
        max: 1,
        behind: None,
        machine: Machine::default(),
    }
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away() {
    let away = Nobody::at_all();
    let good = Server::that(Does::Says(answer("200 OK", "application/json", "[]"))).await;
    let client = client(&[&away.url, &good.url], Timeouts::default());
    assert_eq!(client.batches().await.expect("the second answers"), []);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_silent_or_overloaded() {
    let silent = Server::that(Does::Nothing).await;
    let busy = Server::that(Does::Says(problem(503, code::STORE_AWAY, "later"))).await;
    let gateway = Server::that(Does::Says(answer("502 Bad Gateway", "text/html", "<h1>bad</h1>"))).await;
    let good = Server::that(Does::Says(answer("200 OK", "application/json", "[]"))).await;
    let client = client(&[&silent.url, &busy.url, &gateway.url, &good.url], short());
    assert_eq!(client.batches().await.expect("the last answers"), []);
}

#[tokio::test]
async fn no_answer_at_all_is_said_with_every_address_and_the_cause_once() {
    let (one, two) = (Nobody::at_all(), Nobody::at_all());
    let error = client(&[&one.url, &two.url], Timeouts::default()).claim(&claim()).await.expect_err("nobody listens");
    assert!(error.is_retryable());
    let said = error.to_string();
    assert_eq!(
        said,
        format!(
            "claiming a job: no answer from {}, {}; check that the job server runs and can be reached",
            one.url, two.url
        )
    );
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.starts_with("Connection refused"), "{cause}");
    assert!(error.source().expect("a cause").source().is_none());
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_without_end() {
    let silent = Server::that(Does::Nothing).await;
    let error = client(&[&silent.url], short()).status().await.expect_err("silent");
    assert!(matches!(error, ClientError::Away { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(error.source().expect("a cause").to_string(), "it said nothing for 0.05 s");
}

#[tokio::test]
async fn a_change_of_very_many_jobs_is_waited_for_beyond_the_usual_silence() {
    let told = Arc::new(Notify::new());
    let body = r#"{"matched":1000000,"changed":1000000,"unchanged":[]}"#;
    let slow = Server::that(Does::SaysAtLast(answer("200 OK", "application/json", body), Arc::clone(&told))).await;
    let silent = Server::that(Does::Nothing).await;
    let filter = JobFilter { batch: Some(7), ..JobFilter::default() };
    let request = ActionRequest { action: JobAction::Suspend, filter, reason: String::new(), dry_run: false };
    let (slow, silent) = (client(&[&slow.url], short()), client(&[&silent.url], short()));
    let (changed, ()) = tokio::join!(slow.change_jobs(&request), async {
        silent.status().await.expect_err("the usual silence is over");
        told.notify_one();
    });
    let all = ActionReport { matched: 1_000_000, changed: 1_000_000, unchanged: Vec::new() };
    assert_eq!(changed.expect("it came at last"), all);
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_its_code_and_words() {
    let refusing = Server::that(Does::Says(problem(409, code::NOT_WANTED, "the job is done"))).await;
    let other = Server::that(Does::Says(answer("200 OK", "application/json", "[]"))).await;
    let error = client(&[&refusing.url, &other.url], short()).batches().await.expect_err("refused");
    assert!(!error.is_retryable());
    assert_eq!(error.problem().expect("a problem").code, code::NOT_WANTED);
    assert_eq!(error.to_string(), "the job is done");
}

#[tokio::test]
async fn a_server_that_is_no_job_server_is_named() {
    let strange = Server::that(Does::Says(answer("200 OK", "text/html", "<h1>printer</h1>"))).await;
    let error = client(&[&strange.url], short()).status().await.expect_err("a printer");
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "asking for the status of the grid: {} answered 200, but not as a job server of this version does; \
             check the address",
            strange.url
        )
    );
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = Server::that(Does::Says(answer("200 OK", "application/json", "[]"))).await;
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let moving = Server::that(Does::Says(moved)).await;
    let error = client(&[&moving.url], short()).batches().await.expect_err("moved");
    assert!(matches!(error, ClientError::Strange { status: 307, .. }), "{error:?}");
}

#[tokio::test]
async fn results_that_break_off_are_never_taken_for_whole() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n5\r\nname\n\r\n";
    for does in [Does::Says(head.to_owned()), Does::SaysAndHangs(head.to_owned())] {
        let server = Server::that(does).await;
        let download = client(&[&server.url], short()).results(7).await.expect("it begins");
        let error = download.all().await.expect_err("cut");
        assert!(matches!(error, ClientError::BrokeOff { .. }) && error.is_retryable(), "{error:?}");
    }
}

#[tokio::test]
async fn a_hand_in_finds_a_living_server_before_it_sends_its_one_stream() {
    let away = Nobody::at_all();
    let refusing = Server::that(Does::Says(problem(422, code::BAD_CSV, "the CSV is empty"))).await;
    let living = Server::that(Does::Says(answer("200 OK", "text/plain", "ok\n"))).await;
    let asked = HandIn { plugin: "count".to_owned(), ..HandIn::default() };
    let csv = || stream::iter([Ok::<_, std::io::Error>(Bytes::from("name\nAnn\n"))]);

    let error = client(&[&away.url, &refusing.url], short()).hand_in(&asked, csv()).await.expect_err("refused");
    assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some(code::BAD_CSV));
    let error = client(&[&away.url, &living.url], short()).hand_in(&asked, csv()).await.expect_err("no batch");
    assert!(matches!(error, ClientError::Strange { status: 200, .. }), "{error:?}");
}

#[tokio::test]
async fn a_hand_in_that_the_server_stops_taking_is_given_up() {
    let ok = answer("200 OK", "text/plain", "ok\n").replace("connection: close", "connection: keep-alive");
    let server = Server::that(Does::SaysAndHangs(ok)).await;
    let asked = HandIn { plugin: "count".to_owned(), ..HandIn::default() };
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65536])));
    let error = client(&[&server.url], short()).hand_in(&asked, endless).await.expect_err("stuck");
    assert!(matches!(error, ClientError::Unknown { .. }) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_hand_in_to_a_server_that_is_away_sends_nothing_and_says_so() {
    let away = Nobody::at_all();
    let asked = HandIn { plugin: "count".to_owned(), ..HandIn::default() };
    let taken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&taken);
    let csv = stream::poll_fn(move |_| {
        seen.store(true, Ordering::Relaxed);
        Poll::Ready(None::<Result<Bytes, std::io::Error>>)
    });
    let error = client(&[&away.url], short()).hand_in(&asked, csv).await.expect_err("nobody listens");
    assert!(matches!(error, ClientError::Away { .. }), "{error:?}");
    assert!(!taken.load(Ordering::Relaxed), "nothing of the CSV was read");
}
