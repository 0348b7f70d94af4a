//! What the original's printed code did wrong, each defect a promise: these tests fail on the old behaviour. The table of
//! all of them, with the tests that stand elsewhere, is docs/THE-ORIGINAL.md; here it is kept true.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, iter};

use nightshift_client::{Client, ClientError, Timeouts};
use nightshift_testbed::faults::Proxy;
use nightshift_wire::{
    AttemptId, BatchId, Claim, ClaimRequest, Heartbeat, JobState, RecordResult, Report, Submission, WorkerState, code,
};

use crate::running::{TestServer, catalogue, claim_request, refusal, waiting_claim};
use crate::site::{self, Site};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The grid cuts jobs of so many records, and gives them to a worker for so long.
fn settle(server: &TestServer, job_size: u32, lease: Duration) {
    let mut catalogue = catalogue();
    (catalogue.settings.job_size, catalogue.settings.lease) = (job_size, lease);
    server.catalogue.send_replace(Arc::new(catalogue));
}

/// Hands in so many records; the n-th is a name of n letters, so that its result, n, is no other's.
async fn hand_in(server: &TestServer, records: usize) -> BatchId {
    let rows: String = (1..=records).map(|n| format!("{}\n", "x".repeat(n))).collect();
    server.hand_in(format!("name\n{rows}")).await.expect("a good batch").id
}

/// A result for each record, in its place, with its own value.
async fn assert_each_record_has_its_result(server: &TestServer, batch: BatchId, records: usize) {
    let rows = (1..=records).map(|n| format!("{},{n},", "x".repeat(n)));
    let expected: Vec<String> = iter::once("name,n,error".to_owned()).chain(rows).collect();
    let results = server.results(batch).await;
    assert_eq!(results.lines().collect::<Vec<_>>(), expected);
}

async fn states(server: &TestServer, batch: BatchId) -> Vec<JobState> {
    server.client.jobs(batch).await.expect("listed").iter().map(|job| job.state).collect()
}

async fn results_so_far(server: &TestServer, batch: BatchId) -> u64 {
    server.client.batch(batch).await.expect("there").results
}

/// The claim was an UPDATE without LIMIT: the first worker took every job.
#[tokio::test]
async fn a_claim_takes_one_job_and_leaves_the_others_to_others() {
    let server = TestServer::start().await;
    settle(&server, 10, HOUR);
    let batch = hand_in(&server, 80).await;
    server.claim("greedy").await.expect("a job");
    let running = states(&server, batch).await.iter().filter(|state| **state == JobState::Running).count();
    assert_eq!(running, 1);
    for worker in 2..=8 {
        server.claim(&format!("w-{worker}")).await.expect("a job is left for each of the others");
    }
    assert_eq!(server.claim("w-9").await, None);
}

/// The test for jobs that were left behind was turned round: it stole what was begun a minute ago, and never what was begun
/// five hours ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_begun_a_minute_ago_is_not_stolen_and_one_begun_five_hours_ago_is() {
    let server = TestServer::start().await;
    settle(&server, 10, Duration::from_secs(30));
    let short = hand_in(&server, 10).await;
    settle(&server, 10, HOUR);
    let long = hand_in(&server, 10).await;
    for (worker, batch) in [("a", short), ("b", long)] {
        assert_eq!(server.claim(worker).await.expect("a job").batch, batch);
    }

    server.pass(MINUTE);
    // The other one going back shows that leases have been looked at since.
    server
        .eventually("the shorter lease to run out", || async {
            (states(&server, short).await == [JobState::Waiting]).then_some(())
        })
        .await;
    assert_eq!(states(&server, long).await, [JobState::Running]);
    assert_eq!(server.claim("c").await.expect("the other one").batch, short);
    assert_eq!(server.claim("d").await, None, "a minute is no time");

    server.pass(5 * HOUR);
    let stolen = server.client.claim(&waiting_claim("e")).await.expect("answered").expect("a job goes back");
    let other = server.client.claim(&waiting_claim("f")).await.expect("answered").expect("a job goes back");
    assert_eq!(BTreeSet::from([stolen.batch, other.batch]), BTreeSet::from([short, long]));
}

/// Jobs were selected without their status: of 8 jobs 2 ran, 60 of 80 records were lost, 220 results were doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_never_handed_out_again() {
    let server = TestServer::start().await;
    settle(&server, 10, HOUR);
    let batch = hand_in(&server, 80).await;
    let mut done = BTreeSet::new();
    for worker in ["a", "b"].iter().cycle() {
        let Some(claim) = server.claim(worker).await else { break };
        assert!(done.insert(claim.job), "job {} was handed out twice", claim.job);
        let submission = server.process(&claim).await;
        assert!(!server.client.submit(claim.attempt, &submission).await.expect("accepted").repeated);
    }
    assert_eq!(done.len(), 8);
    server.pass(5 * HOUR);
    assert_eq!(server.claim("c").await, None, "finished stays finished");
    assert_each_record_has_its_result(&server, batch, 80).await;
    assert!(server.client.jobs(batch).await.expect("listed").iter().all(|job| job.pickups == 1));
}

/// Records were fetched `WHERE id = job`: one record a job, 72 of 80 lost, everything marked complete.
#[tokio::test]
async fn a_job_gets_all_of_its_own_records_and_nobody_elses() {
    let server = TestServer::start().await;
    settle(&server, 10, HOUR);
    hand_in(&server, 80).await;
    let mut numbers = BTreeSet::new();
    for job in 0..8 {
        let claim = server.claim(&format!("w-{job}")).await.expect("a job");
        let records = server.client.records(claim.attempt, &claim.secret, &[]).await.expect("its records").records;
        let lengths: Vec<usize> = records.iter().map(|record| record.values[0].len()).collect();
        assert_eq!(lengths, (10 * job + 1..=10 * job + 10).collect::<Vec<_>>());
        numbers.extend(records.iter().map(|record| record.id));
    }
    assert_eq!(numbers.len(), 80);
}

/// A worker was its IP address: behind one NAT all were the same, and took up each other's jobs.
#[tokio::test]
async fn two_workers_behind_one_address_are_two() {
    let server = TestServer::start().await;
    settle(&server, 10, HOUR);
    let batch = hand_in(&server, 20).await;
    for worker in ["a", "b"] {
        let report = Report {
            worker: worker.to_owned(),
            host: "the same".to_owned(),
            state: WorkerState::Working,
            reason: String::new(),
            release: "v1.0.0".to_owned(),
            refused: Vec::new(),
            trial: None,
            replica: None,
            spool: nightshift_wire::Spool::default(),
            steps: Vec::new(),
        };
        server.client.report(&report).await.expect("heard");
    }
    let (a, b) = (server.claim("a").await.expect("a job"), server.claim("b").await.expect("a job"));
    assert_ne!(a.job, b.job);
    // The one asks again, holding its own: the other keeps its job.
    let holding = ClaimRequest { holding: vec![a.attempt], ..claim_request("a") };
    assert_eq!(server.client.claim(&holding).await.expect("answered"), None);
    for claim in [&a, &b] {
        let submission = server.process(claim).await;
        server.client.submit(claim.attempt, &submission).await.expect("accepted");
    }
    assert_each_record_has_its_result(&server, batch, 20).await;
    let mut workers = server.client.workers().await.expect("listed");
    workers.sort_by(|one, other| one.report.worker.cmp(&other.report.worker));
    let seen: Vec<_> = workers.iter().map(|worker| (worker.report.worker.as_str(), worker.jobs_done)).collect();
    assert_eq!(seen, [("a", 1), ("b", 1)]);
    assert_eq!(workers[0].address, workers[1].address, "people see where they are");
}

/// Results and completion were separate steps: a kill after 400 inserts left 400 results behind, which came again or kept
/// the job from ever being complete.
#[tokio::test]
async fn results_that_break_off_on_their_way_are_not_there_at_all() {
    let server = TestServer::start().await;
    settle(&server, 1000, HOUR);
    let batch = hand_in(&server, 1000).await;
    let claim = server.claim("w").await.expect("a job");
    let submission = server.process(&claim).await;
    let proxy = Proxy::before(server.address.port()).expect("a proxy");
    // From the first byte of the request on; however well it is compressed, it is longer than the last of these.
    for bytes in [1, 100, 200, 400, 1000, 2000] {
        let client = Client::new([format!("http://127.0.0.1:{}", proxy.port())], Timeouts::default()).expect("good");
        proxy.cut_after(bytes);
        let error = client.submit(claim.attempt, &submission).await.expect_err("cut off");
        assert!(error.is_retryable(), "{error}");
        assert_eq!(results_so_far(&server, batch).await, 0, "cut after {bytes} bytes");
        assert_eq!(states(&server, batch).await, [JobState::Running]);
    }
    let client = Client::new([format!("http://127.0.0.1:{}", proxy.port())], Timeouts::default()).expect("good");
    assert!(!client.submit(claim.attempt, &submission).await.expect("accepted").repeated);
    assert_each_record_has_its_result(&server, batch, 1000).await;
}

/// As the one before, with a kill for the cut: at another instant in each round, from the first byte to the last row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_while_it_takes_results_has_all_of_them_or_none() {
    const ROUNDS: usize = 6;
    let site = Site::new(1000);
    let mut server = site.server("one", "");
    let client = site::client([&server]);
    let batch = site::hand_in(&client, 1000 * ROUNDS).await.id;
    let mut whole = 0;
    for round in 0..ROUNDS {
        let claim = client.claim(&claim_request("w")).await.expect("an answer").expect("a job");
        let columns = ["name".to_owned()];
        let records = client.records(claim.attempt, &claim.secret, &columns).await.expect("its records");
        let submission = site::submission(&claim, &records);
        server.proxy.cut_after(1000);
        site::client([&server]).submit(claim.attempt, &submission).await.expect_err("a part of it is nothing");
        let sending = {
            let (client, submission) = (site::client([&server]), submission.clone());
            tokio::spawn(async move { client.submit(claim.attempt, &submission).await })
        };
        tokio::time::sleep(Duration::from_millis(4 * round as u64)).await;
        server.process.kill();
        server.proxy.cut();
        let heard = sending.await.expect("no panic").is_ok();

        server.process.restart().expect("it comes back");
        let results = site::persist!(client.batch(batch).await).expect("there").results;
        assert!(results == whole || results == whole + 1000, "round {round}: {results} results are neither");
        assert!(!heard || results == whole + 1000, "round {round}: what was acknowledged is there");
        whole += 1000;
        let receipt = site::persist!(client.submit(claim.attempt, &submission).await).expect("acknowledged");
        assert_eq!(receipt.repeated, results == whole);
    }
    site::assert_whole(&client, batch, 1000 * ROUNDS).await;
}

/// A part of a submission.
fn part(whole: &Submission, results: impl IntoIterator<Item = RecordResult>) -> Submission {
    Submission { results: results.into_iter().collect(), ..whole.clone() }
}

async fn refused(server: &TestServer, attempt: AttemptId, submission: &Submission) -> ClientError {
    server.client.submit(attempt, submission).await.expect_err("refused")
}

/// Completion was judged by counting rows: 400 results of one worker and 600 of another made 1,000.
#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_results_of_one_worker_and_six_hundred_of_another_complete_nothing() {
    let server = TestServer::start().await;
    settle(&server, 1000, HOUR);
    let batch = hand_in(&server, 1000).await;
    let a = server.claim("a").await.expect("a job");
    let of_a = server.process(&a).await;
    server.pass(2 * HOUR);
    let b = server.client.claim(&waiting_claim("b")).await.expect("answered").expect("it goes back");
    let of_b = server.process(&b).await;

    let four_hundred = of_a.results[..400].to_vec();
    let six_hundred = of_b.results[..600].to_vec();
    let doubled: Vec<_> = of_b.results[..600].iter().chain(&of_b.results[..400]).cloned().collect();
    for (attempt, submission) in [
        (a.attempt, part(&of_a, four_hundred)),
        (b.attempt, part(&of_b, six_hundred)),
        (b.attempt, part(&of_b, doubled)),
    ] {
        let error = refused(&server, attempt, &submission).await;
        assert_eq!(refusal(&error).code, code::WRONG_RESULTS, "{error}");
        assert_eq!(results_so_far(&server, batch).await, 0);
    }
    server.client.submit(b.attempt, &of_b).await.expect("a thousand different ones are accepted");
    assert_each_record_has_its_result(&server, batch, 1000).await;
}

/// A worker that was frozen while another took its job over went on inserting when it woke: 1,000 results doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_after_another_took_over_doubles_nothing() {
    let server = TestServer::start().await;
    settle(&server, 1000, HOUR);
    let batch = hand_in(&server, 1000).await;
    let frozen = server.claim("frozen").await.expect("a job");
    let computed = server.process(&frozen).await;
    server.pass(2 * HOUR);
    let other = server.client.claim(&waiting_claim("other")).await.expect("answered").expect("it goes back");
    let by_other = server.process(&other).await;
    server.client.submit(other.attempt, &by_other).await.expect("accepted");

    let lease = beat(&server, &frozen).await;
    assert_eq!(lease, (None, "the job is done: its results were accepted".to_owned()), "it hears why it may stop");
    let error = refused(&server, frozen.attempt, &computed).await;
    assert_eq!(refusal(&error).code, code::NOT_WANTED, "{error}");
    assert_each_record_has_its_result(&server, batch, 1000).await;
    assert_eq!(server.client.jobs(batch).await.expect("listed")[0].worker.as_deref(), Some("other"));
}

async fn beat(server: &TestServer, claim: &Claim) -> (Option<u64>, String) {
    let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 500 };
    let lease = server.client.heartbeat(claim.attempt, &heartbeat).await.expect("heard");
    (lease.lease_ms, lease.reason)
}

/// The names of all functions below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let name = |line: &str| Some(line.split_once("fn ")?.1.split_once('(')?.0.to_owned());
            found.extend(text.lines().filter_map(name));
        }
    }
}

#[test]
fn every_test_that_the_page_about_the_original_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/THE-ORIGINAL.md")).expect("the page");
    let mut found = BTreeSet::new();
    for shelf in ["updater", "worker", "jobserver"] {
        functions(&root.join(shelf), &mut found);
    }
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| the code ")).collect();
    assert!(rows.len() >= 12, "{}", rows.len());
    for row in rows {
        let named: Vec<&str> =
            row.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 3).collect();
        assert!(!named.is_empty(), "a defect without a test: {row}");
        let missing: Vec<_> = named.iter().filter(|name| !found.contains(**name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
