//! What admins do to jobs, batches and workers, and what workers and owners notice of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nightshift_server::catalogue::Offered;
use nightshift_wire::{
    ActionRequest, Answer, AttemptSubmission, Batch, BatchState, Claim, ClaimRequest, ErrorRate, Gate, GiveBack,
    GiveBackCause, HandIn, Heartbeat, JobAction, JobEdit, JobFilter, JobQuery, JobSize, JobState, Machine, Reason,
    Requirements, Submissions, WorkerChange, code,
};

use crate::running::{LEASE, TestServer, asks_for, catalogue, claim_request, pieces, refusal};

fn of_batch(batch: &Batch) -> JobFilter {
    JobFilter { batch: Some(batch.id), ..JobFilter::default() }
}

fn request(action: JobAction, filter: JobFilter) -> ActionRequest {
    ActionRequest { action, filter, reason: "prices were wrong".to_owned(), dry_run: false }
}

impl TestServer {
    async fn act(&self, action: JobAction, filter: JobFilter) -> (u64, u64) {
        let report = self.client.change_jobs(&request(action, filter)).await.expect("done");
        (report.matched, report.changed)
    }

    /// Fails a job as often as it may fail.
    async fn quarantine(&self, csv: &'static str) -> (Batch, Claim) {
        let batch = self.hand_in(csv).await.expect("good");
        let mut last = None;
        while let Some(claim) = self.claim("w-bad").await {
            let (secret, reason) = (claim.secret.clone(), "no such column: nam".to_owned());
            let given = GiveBack { secret, cause: GiveBackCause::Failed, reason };
            self.client.give_back(claim.attempt, &given).await.expect("taken");
            self.pass(Duration::from_secs(30));
            last = Some(claim);
        }
        (batch, last.expect("a job"))
    }

    async fn hears(&self, claim: &Claim) -> String {
        let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 0 };
        let lease = self.client.heartbeat(claim.attempt, &heartbeat).await.expect("answered");
        assert_eq!(lease.lease_ms, None, "{}", lease.reason);
        lease.reason
    }

    async fn done(&self, claim: &Claim) {
        let submission = self.process(claim).await;
        self.client.submit(claim.attempt, &submission).await.expect("accepted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_quarantined_jobs_of_a_batch_are_retried_by_one_request() {
    let server = TestServer::start().await;
    let (batch, failed) = server.quarantine("name\nAnn\nBob\nCid\n").await;
    let filter = JobFilter { state: Some(JobState::Quarantined), ..of_batch(&batch) };
    let asked = ActionRequest { dry_run: true, ..request(JobAction::Retry, filter.clone()) };
    let would = server.client.change_jobs(&asked).await.expect("judged");
    assert_eq!((would.matched, would.changed), (2, 2));
    assert_eq!(server.claim("w-1").await, None, "a dry run changes nothing");

    assert_eq!(server.act(JobAction::Retry, filter.clone()).await, (2, 2));
    let again = server.claim("w-1").await.expect("they wait again");
    assert_eq!(again.revision, failed.revision + 1);
    server.done(&again).await;
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, "name,n,error\nAnn,3,\nBob,3,\nCid,3,\n");
    assert_eq!(server.act(JobAction::Retry, filter).await, (0, 0));
}

#[tokio::test]
async fn a_suspended_jobs_worker_hears_so_and_its_results_count_all_the_same() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    let results = server.process(&held).await;
    assert_eq!(server.act(JobAction::Suspend, of_batch(&batch)).await, (1, 1));
    assert_eq!(server.hears(&held).await, "the job is suspended");
    assert_eq!(server.claim("w-2").await, None);
    server.client.submit(held.attempt, &results).await.expect("the work is needed all the same");
    assert_eq!(server.client.batch(batch.id).await.expect("there").state, BatchState::Done);
}

#[tokio::test]
async fn a_resumed_job_goes_out_again() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good");
    server.act(JobAction::Suspend, of_batch(&batch)).await;
    let (request, resumed) = (ClaimRequest { wait_ms: 60_000, ..claim_request("w-1") }, of_batch(&batch));
    let (claim, changed) = tokio::join!(server.client.claim(&request), server.act(JobAction::Resume, resumed));
    assert_eq!(changed, (1, 1));
    assert!(claim.expect("answered").is_some(), "who waits for work is woken");
}

#[tokio::test]
async fn an_edited_job_goes_to_another_worker_and_results_from_before_are_refused() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    let results = server.process(&held).await;
    let requirements = Requirements { memory_mb: 4_000, tags: ["gpu".to_owned()].into(), ..Requirements::default() };
    let edit = JobEdit { requirements: Some(requirements.clone()), priority: Some(7), ..JobEdit::default() };
    assert_eq!(server.act(JobAction::Edit(edit.clone()), of_batch(&batch)).await, (1, 1));
    assert_eq!(server.act(JobAction::Edit(edit), of_batch(&batch)).await, (1, 0), "it is so already");
    assert!(server.hears(&held).await.contains("revision 2"));
    let late = server.client.submit(held.attempt, &results).await.expect_err("stale");
    assert_eq!(refusal(&late).code, code::NOT_WANTED);

    assert_eq!(server.claim("w-1").await, None, "it has no tag");
    server.client.change_worker("w-1", &WorkerChange::Tags(requirements.tags)).await.expect("known");
    assert_eq!(server.claim("w-1").await, None, "it does not say how much memory it has");
    let machine = Machine { memory_mb: 4_000, disk_mb: 0 };
    let large = ClaimRequest { machine, ..claim_request("w-1") };
    let claim = server.client.claim(&large).await.expect("answered").expect("it may take it now");
    let job = server.client.job(claim.job).await.expect("there");
    assert_eq!((job.job.revision, job.job.priority, job.attempts.len()), (2, 7, 2));
    assert_eq!(job.attempts[0].id, claim.attempt, "the newest first");
}

#[tokio::test]
async fn jobs_go_to_no_plugin_that_needs_what_their_batch_has_not_or_gives_other_columns() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\nBob\nCid\n").await.expect("good");
    let mut catalogue = catalogue();
    let count = catalogue.plugins["count"].clone();
    let needs = Offered { inputs: vec!["name".to_owned(), "born".to_owned()], ..count.clone() };
    let gives = Offered { outputs: vec!["total".to_owned()], ..count.clone() };
    let plugins = [("needs", needs), ("gives", gives), ("count-faster", count)];
    catalogue.plugins.extend(plugins.map(|(name, offered)| (name.to_owned(), offered)));
    server.catalogue.send_replace(Arc::new(catalogue));

    let edit = |plugin: &str| JobAction::Edit(JobEdit { plugin: Some(plugin.to_owned()), ..JobEdit::default() });
    let first = server.claim("w-1").await.expect("a job").job;
    let one = JobFilter { ids: vec![first], ..JobFilter::default() };
    for (plugin, said) in [("needs", "needs born"), ("gives", "have n, which gives does not give")] {
        for filter in [of_batch(&batch), one.clone()] {
            let refused = server.client.change_jobs(&request(edit(plugin), filter)).await.expect_err("it does not fit");
            assert_eq!(refusal(&refused).code, code::MISSING_COLUMN);
            assert!(refusal(&refused).detail.contains(said), "{refused:?}");
        }
    }
    let every = JobFilter { plugin: Some("count".to_owned()), ..JobFilter::default() };
    let refused = server.client.change_jobs(&request(edit("count-faster"), every)).await.expect_err("of which batch?");
    assert!(refusal(&refused).detail.contains("name the batch"), "{refused:?}");
    assert_eq!(server.act(edit("count-faster"), of_batch(&batch)).await, (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_not_retried_by_a_plugin_that_needs_what_their_batch_has_not() {
    let server = TestServer::start().await;
    let (batch, _) = server.quarantine("name\nAnn\n").await;
    let count = catalogue().plugins["count"].clone();
    let offer = |offered: Option<Offered>| {
        let mut catalogue = catalogue();
        catalogue.plugins.remove("count");
        catalogue.plugins.extend(offered.map(|offered| ("count".to_owned(), offered)));
        server.catalogue.send_replace(Arc::new(catalogue));
    };
    offer(Some(Offered { inputs: vec!["name".to_owned(), "born".to_owned(), "town".to_owned()], ..count.clone() }));
    let by_plugin = JobFilter { plugin: Some("count".to_owned()), ..JobFilter::default() };
    for filter in [of_batch(&batch), by_plugin.clone()] {
        let refused =
            server.client.change_jobs(&request(JobAction::Retry, filter)).await.expect_err("it lacks columns");
        assert_eq!(refusal(&refused).code, code::MISSING_COLUMN);
        assert!(
            refusal(&refused).detail.contains("count needs born, town, and batch 1 has no such column"),
            "{refused:?}"
        );
    }
    let other = JobFilter { state: Some(JobState::Done), ..by_plugin };
    assert_eq!(server.act(JobAction::Retry, other).await, (0, 0), "none of them is retried");
    offer(None);
    assert_eq!(server.act(JobAction::Retry, of_batch(&batch)).await, (1, 1), "it waits until a release has it again");
}

#[tokio::test]
async fn a_deleted_jobs_records_come_back_with_an_error_that_says_so() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\nBob\nCid\n").await.expect("good");
    let first = server.claim("w-1").await.expect("a job");
    server.done(&first).await;
    let held = server.claim("w-1").await.expect("a job");
    let report = server.client.change_jobs(&request(JobAction::Delete, of_batch(&batch))).await.expect("done");
    assert_eq!((report.matched, report.changed), (2, 1));
    assert_eq!(report.unchanged[0].job, first.job);
    assert_eq!(server.hears(&held).await, "the job was deleted");
    let expected =
        format!("name,n,error\nAnn,3,\nBob,3,\nCid,,not processed: job {} was deleted: prices were wrong\n", held.job);
    assert_eq!(server.results(batch.id).await, expected);
    let batch = server.client.batch(batch.id).await.expect("there");
    assert_eq!((batch.state, batch.jobs_done, batch.jobs_deleted), (BatchState::Incomplete, 1, 1));
}

#[tokio::test]
async fn the_accepted_jobs_of_a_bad_release_are_computed_again() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n").await.expect("good");
    server.process_all().await;
    let other = JobFilter { release: Some("v0.9.0".to_owned()), ..of_batch(&batch) };
    assert_eq!(server.act(JobAction::Retry, other).await, (0, 0));
    let bad = JobFilter { release: Some("v1.0.0".to_owned()), ..of_batch(&batch) };
    assert_eq!(server.act(JobAction::Retry, bad).await, (1, 1));
    assert_eq!(server.results(batch.id).await, "name,n,error\nAnn,,not processed yet\n");
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, "name,n,error\nAnn,3,\n");
    let batch = server.client.batch(batch.id).await.expect("there");
    assert_eq!((batch.state, batch.results), (BatchState::Done, 1));
}

#[tokio::test]
async fn a_waiting_job_says_which_gate_keeps_which_workers_off() {
    let server = TestServer::start().await;
    let first = server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-busy").await.expect("a job");
    let batch = server.hand_in("name\nBob\n").await.expect("good");
    let page = server.client.find_jobs(&JobQuery { batch: Some(batch.id), ..JobQuery::default() }).await;
    let job = page.expect("listed").jobs[0].id;
    let explanation = server.client.explain(job).await.expect("explained");
    assert_eq!((explanation.free, explanation.busy, explanation.ahead), (0, 1, Some(0)));
    let drain = WorkerChange::Drain(Reason { reason: "too hot".to_owned() });
    server.client.change_worker("w-busy", &drain).await.expect("known");
    let explanation = server.client.explain(job).await.expect("explained");
    assert_eq!(explanation.summary, "no worker may take it; 1 worker: drained (too hot)");
    assert_eq!((explanation.kept_off[0].gate, explanation.kept_off[0].workers), (Gate::Drained, 1));
    let explanation = server.client.explain(held.job).await.expect("explained");
    assert_eq!(explanation.summary, "worker w-busy has it in hand");
    assert_eq!(first.jobs, 1);
}

#[tokio::test]
async fn a_drained_worker_finishes_what_it_has_and_gets_nothing_until_it_is_resumed() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\nBob\nCid\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    let drain = WorkerChange::Drain(Reason::default());
    let worker = server.client.change_worker("w-1", &drain).await.expect("known");
    assert_eq!(worker.drained.as_deref(), Some("drained by an admin"));
    let request = ClaimRequest { holding: vec![held.attempt], ..claim_request("w-1") };
    assert_eq!(server.client.claim(&request).await.expect("answered"), None);
    server.done(&held).await;
    server.client.change_worker("w-1", &WorkerChange::Resume).await.expect("known");
    assert!(server.claim("w-1").await.is_some());
    let name = WorkerChange::Name("the one by the window".to_owned());
    assert_eq!(server.client.change_worker("w-1", &name).await.expect("known").name, "the one by the window");
    assert_eq!(server.client.worker("w-1").await.expect("known").name, "the one by the window");
}

#[tokio::test]
async fn a_suspended_batch_hands_out_nothing_and_a_deleted_one_is_gone() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\nBob\nCid\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    let suspended = server.client.suspend_batch(batch.id, "wrong file").await.expect("there");
    assert_eq!(suspended.suspended.as_deref(), Some("wrong file"));
    assert_eq!(server.claim("w-2").await, None);
    server.done(&held).await;
    assert_eq!(server.client.resume_batch(batch.id, None).await.expect("there").suspended, None);
    let held = server.claim("w-2").await.expect("a job");
    server.client.delete_batch(batch.id).await.expect("there");
    let gone = server.client.batch(batch.id).await.expect_err("gone");
    assert_eq!(refusal(&gone).code, code::NOT_FOUND);
    let heartbeat = Heartbeat { secret: held.secret.clone(), done: 0 };
    let answer = server.client.heartbeat(held.attempt, &heartbeat).await;
    assert!(answer.is_err() || answer.is_ok_and(|lease| lease.lease_ms.is_none()), "its worker may drop the job");
}

#[tokio::test]
async fn how_many_errors_a_batch_may_have_is_said_when_it_is_handed_in_and_when_it_is_resumed() {
    let server = TestServer::start().await;
    let none = HandIn {
        error_rate: Some(ErrorRate::per_mille(0)),
        job_size: Some(JobSize::Records(200)),
        ..asks_for("count")
    };
    let nameless = Bytes::from(format!("name\n{}", "\n".repeat(400)));
    let batch = server.client.hand_in(&none, pieces([nameless])).await.expect("good");
    let first = server.claim("w-1").await.expect("a job");
    server.done(&first).await;
    let suspended = server.client.batch(batch.id).await.expect("there").suspended.expect("200 names were empty");
    assert!(suspended.contains("more than the 0 % this batch is allowed"), "{suspended}");

    server.client.resume_batch(batch.id, Some(ErrorRate::per_mille(1_000))).await.expect("there");
    let second = server.claim("w-1").await.expect("a job");
    server.done(&second).await;
    let done = server.client.batch(batch.id).await.expect("there");
    assert_eq!((done.state, done.suspended, done.errors), (BatchState::Done, None, 400));
}

#[tokio::test]
async fn a_finished_batch_is_not_suspended_and_that_is_said() {
    let server = TestServer::start().await;
    let done = server.hand_in("name\nAnn\n").await.expect("good");
    server.process_all().await;
    let error = server.client.suspend_batch(done.id, "wrong file").await.expect_err("it is over");
    let problem = refusal(&error);
    assert_eq!((problem.status, problem.code.as_str()), (409, code::FINISHED));
    assert!(problem.detail.contains("it is finished: every record has its result"), "{}", problem.detail);
    assert_eq!(server.client.batch(done.id).await.expect("there").suspended, None);

    let given_up = server.hand_in("name\nBob\n").await.expect("good");
    assert_eq!(server.act(JobAction::Delete, of_batch(&given_up)).await, (1, 1));
    let error = server.client.suspend_batch(given_up.id, "wrong file").await.expect_err("it is over");
    assert!(refusal(&error).detail.contains("none goes out unless it is retried"), "{}", refusal(&error).detail);
}

#[tokio::test]
async fn several_jobs_are_claimed_and_handed_in_at_once_each_judged_by_itself() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\nBob\nCid\nDan\nEve\n").await.expect("good");
    let claims = server.client.claim_many(&ClaimRequest { max: 100, ..claim_request("w-1") }).await.expect("answered");
    assert_eq!(claims.len(), 3);
    assert!(claims[2].lease_ms > claims[0].lease_ms, "the last one waits for those before it");
    let mut submissions = Vec::new();
    for claim in &claims {
        submissions.push(AttemptSubmission::from((claim.attempt, server.process(claim).await)));
    }
    submissions[1].secret = "wrong".to_owned();
    submissions[2].results.pop();
    let answers = server.client.submit_many(&Submissions { submissions }).await.expect("answered");
    let codes: Vec<&str> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Receipt(receipt) if receipt.job == claims[0].job => "accepted",
            Answer::Receipt(_) => "accepted for another job",
            Answer::Problem(problem) => problem.code.as_str(),
        })
        .collect();
    assert_eq!(codes, ["accepted", code::WRONG_SECRET, code::WRONG_RESULTS]);
}

#[tokio::test]
async fn a_time_without_a_server_costs_no_worker_its_lease() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\n").await.expect("good");
    let held = server.claim("w-1").await.expect("a job");
    server.leap(10 * LEASE);
    let holding = ClaimRequest { holding: vec![held.attempt], ..claim_request("w-1") };
    assert_eq!(server.client.claim(&holding).await.expect("answered"), None);
    server.done(&held).await;
}

#[tokio::test]
async fn requests_that_mean_everything_or_nothing_are_refused_with_what_to_write() {
    let server = TestServer::start().await;
    let mut shown = String::new();
    let cases = [
        ("POST", "/v1/jobs/actions", r#"{"action":"delete","filter":{}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":"delete","filter":{"bacth":7}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":"explode","filter":{"batch":7}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":{"edit":{}},"filter":{"batch":7}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":{"edit":{"plugin":"nobody"}},"filter":{"batch":7}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":{"edit":{"requirements":{"release":"new"}}},"filter":{"batch":7}}"#),
        ("POST", "/v1/jobs/actions", r#"{"action":{"edit":{"requirements":{"tags":["a b"]}}},"filter":{"batch":7}}"#),
        ("GET", "/v1/jobs?bacth=7", ""),
        ("GET", "/v1/jobs/7", ""),
        ("GET", "/v1/jobs/7/explain", ""),
        ("POST", "/v1/batches/7/suspend", "{}"),
        ("DELETE", "/v1/batches/7", ""),
        ("GET", "/v1/workers/nobody", ""),
        ("POST", "/v1/workers/nobody", r#""resume""#),
        ("POST", "/v1/workers/nobody", r#"{"tags":["A B"]}"#),
        ("POST", "/v1/results", r#"{"submissions":[]}"#),
    ];
    for (method, path, body) in cases {
        let answer = server.ask(method, path, if body.is_empty() { "" } else { "application/json" }, body).await;
        let problem: nightshift_wire::Problem = serde_json::from_str(&answer.body).expect(&answer.body);
        assert_eq!(problem.status, answer.status);
        shown += &format!("{method} {path} {body}\n{} {}: {}\n\n", problem.status, problem.code, problem.detail);
    }
    insta::assert_snapshot!(shown);

    let ids = (1..=10_001).map(|id: i64| id.to_string()).collect::<Vec<_>>().join(",");
    let named = format!(r#"{{"action":"suspend","filter":{{"ids":[{ids}]}}}}"#);
    let answer = server.ask("POST", "/v1/jobs/actions", "application/json", named).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("10001 jobs are named, and 10000 may be"), "{}", answer.body);
    let huge = format!(r#"{{"action":"suspend","filter":{{"ids":[{}]}}}}"#, "1,".repeat(1024 * 1024));
    let answer = server.ask("POST", "/v1/jobs/actions", "application/json", huge).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}
