//! The store's bad days, as seen over HTTP: a database that is silent or gone, a disk that is full. Each is said, with a
//! problem that is worth another try; nothing is acknowledged that is not kept, and nothing acknowledged is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nightshift_testbed::database::{Make, SCHEMA};
use nightshift_testbed::faults::Proxy;
use nightshift_wire::{AttemptSubmission, ClaimRequest, Outcome, Problem, Submissions, code};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::sync::mpsc;

use crate::running::{claim_request, plain_http};
use crate::site::{PAUSE, Served, Site, assert_whole, client, database, hand_in, persist, submission, work};

/// Longer than any limit of a server's, and the end of a test that hangs.
const HANG: Duration = Duration::from_secs(60);

/// Asks in plain HTTP.
async fn ask(server: &Served, method: &str, path: &str, body: String) -> reqwest::Response {
    let request = plain_http().request(method.parse().expect("a method"), format!("{}{path}", server.url()));
    let request = request.header("content-type", "application/json").body(body);
    let answer = tokio::time::timeout(HANG, request.send()).await.expect("a time-out and not a hang");
    answer.expect("an answer")
}

/// Waits until the server says of itself that it is ready, or is not; what it says.
async fn until_ready_is(server: &Served, status: u16) -> String {
    loop {
        let answer = ask(server, "GET", "/readyz", String::new()).await;
        if answer.status().as_u16() == status {
            return answer.text().await.expect("a text");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn assert_try_again_later(answer: reqwest::Response) {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, wait) = (header("content-type").to_owned(), header("retry-after").to_owned());
    let status = answer.status().as_u16();
    let body = answer.text().await.expect("a body");
    assert_eq!((status, kind.as_str()), (503, "application/problem+json"), "{body}");
    let seconds: u64 = wait.parse().expect("Retry-After in seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let problem: Problem = serde_json::from_str(&body).expect("a problem");
    assert_eq!(problem.code, code::STORE_AWAY);
    assert!(problem.detail.contains("the store cannot be used just now; try again later"), "{}", problem.detail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_mariadb_is_a_problem_with_retry_after_and_not_a_hang() {
    a_silent_database_is_a_problem_with_retry_after_and_not_a_hang(Make::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_mysql_is_a_problem_with_retry_after_and_not_a_hang() {
    a_silent_database_is_a_problem_with_retry_after_and_not_a_hang(Make::MySql).await;
}

async fn a_silent_database_is_a_problem_with_retry_after_and_not_a_hang(make: Make) {
    let Some(database) = database(make) else { return };
    let proxy = Proxy::before_database(database.port()).expect("a proxy");
    let site = Site::new(2);
    let server = site.server("one", &format!("store = {:?}", proxy.instead(&database.url(SCHEMA))));
    let client = client([&server]);
    let batch = hand_in(&client, 3).await.id;
    let claim = client.claim(&claim_request("w")).await.expect("an answer").expect("a job");
    let records = client.records(claim.attempt, &claim.secret, &["name".to_owned()]).await.expect("its records");
    let results = submission(&claim, &records);

    proxy.freeze();
    let request = serde_json::to_string(&claim_request("x")).expect("JSON");
    let results_as_json = serde_json::to_string(&results).expect("JSON");
    let several = AttemptSubmission::from((claim.attempt, results.clone()));
    let several = serde_json::to_string(&Submissions { submissions: vec![several] }).expect("JSON");
    let (to_submit, to_look) = (format!("/v1/attempts/{}/results", claim.attempt), format!("/v1/batches/{batch}"));
    let (one, two, three, four) = tokio::join!(
        ask(&server, "POST", "/v1/claims", request),
        ask(&server, "POST", &to_submit, results_as_json),
        ask(&server, "POST", "/v1/results", several),
        ask(&server, "GET", &to_look, String::new()),
    );
    for answer in [one, two, three, four] {
        assert_try_again_later(answer).await;
    }

    proxy.heal();
    persist!(client.submit(claim.attempt, &results).await).expect("acknowledged");
    let (said, _heard) = mpsc::unbounded_channel();
    work(crate::site::client([&server]), "x".to_owned(), batch, said).await;
    assert_whole(&client, batch, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_is_a_problem_with_retry_after_and_its_return_is_noticed() {
    let Some(mut database) = database(Make::MariaDb) else { return };
    let site = Site::new(2);
    let server = site.server("one", &format!("store = {:?}", database.url(SCHEMA)));
    let client = client([&server]);
    let batch = hand_in(&client, 3).await.id;
    database.crash();
    let request = serde_json::to_string(&claim_request("x")).expect("JSON");
    assert_try_again_later(ask(&server, "POST", "/v1/claims", request).await).await;
    tokio::task::block_in_place(|| database.restart()).expect("it comes back");
    let (said, _heard) = mpsc::unbounded_channel();
    work(crate::site::client([&server]), "x".to_owned(), batch, said).await;
    assert_whole(&client, batch, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_loses_nothing_and_work_goes_on_when_there_is_room() {
    const JOBS: usize = 12;
    let site = Site::new(100);
    // A file of the server's may not outgrow this, and a person can lift it while the server runs.
    let limited = site.folder().join("limited");
    let program = env!("CARGO_BIN_EXE_nightshift-jobserver");
    fs::write(&limited, format!("#!/bin/sh\nulimit -S -f 2400\nexec {program} \"$@\"\n")).expect("written");
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).expect("a program");
    let server = site.server_as(&limited, "one", "");
    let client = client([&server]);
    let batch = hand_in(&client, 100 * JOBS).await.id;

    // All at once, so that it is results that find no room.
    let all = ClaimRequest { max: JOBS as u32, ..claim_request("w") };
    let mut claims = client.claim_many(&all).await.expect("an answer").into_iter();
    let mut accepted = 0;
    let (claim, results) = loop {
        let claim = claims.next().expect("it is full before the end");
        let columns = ["name".to_owned()];
        let records = client.records(claim.attempt, &claim.secret, &columns).await.expect("its records");
        let mut results = submission(&claim, &records);
        for result in &mut results.results {
            // Two hundred thousand letters a job.
            if let Outcome::Ok(values) = &mut result.outcome {
                values.insert("letters".to_owned(), "x".repeat(2000).into());
            }
        }
        match client.submit(claim.attempt, &results).await {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some(code::STORE_AWAY), "{error:?}");
                break (claim, results);
            }
        }
    };
    let seen = client.batch(batch).await.expect("people can look");
    assert_eq!((seen.jobs_done, seen.results), (accepted, 100 * accepted), "all that was acknowledged, and no more");
    let log = fs::read_to_string(server.process.log()).expect("its log");
    assert!(log.contains("full") || log.contains("I/O error"), "it says what the trouble is:\n{log}");

    // Now not even the little note can be kept that a server writes each second.
    let pid = server.process.pid().ok().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).expect("it still runs");
    let room = |bytes| prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit");
    room(Some(1));
    let told = until_ready_is(&server, 503).await;
    assert_eq!(told, "store: it keeps nothing that it is given; the job server's log says more\n");
    room(None);
    assert_eq!(until_ready_is(&server, 200).await, "ok\n");
    let receipt = persist!(client.submit(claim.attempt, &results).await).expect("acknowledged");
    assert!(!receipt.repeated, "what was refused was not kept");
    while let Some(claim) = persist!(client.claim(&claim_request("w")).await).expect("an answer") {
        let columns = ["name".to_owned()];
        let records = client.records(claim.attempt, &claim.secret, &columns).await.expect("its records");
        client.submit(claim.attempt, &submission(&claim, &records)).await.expect("acknowledged");
    }
    assert_whole(&client, batch, 100 * JOBS).await;
}
