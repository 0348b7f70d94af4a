//! How releases spread over workers, as the job server tells it; and what it refuses of a release that is denied.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::held::Promotion;
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_server::catalogue::Catalogue;
use nightshift_store::KnownRelease;
use nightshift_wire::{
    Answer, AttemptSubmission, ClaimRequest, FoundBad, GiveBack, GiveBackCause, JobState, Provenance, Report,
    RingState, Rollout, Submission, Submissions, TrialReport, TrialState, WorkerChange, WorkerState, code,
};

use crate::running::{TestServer, catalogue, claim_request, refusal};

const PLAN: &str = "[rollout]\nmin_jobs = 2\n\
                    [[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
                    [[rollout.ring]]\nname = \"everyone\"\n";

/// The catalogue once this release was seen, and this rollout.toml.
fn with_release(tag: &str, holds: &str) -> Catalogue {
    let holds = Holds::parse(holds).expect(holds);
    Catalogue { release: Some(tag.to_owned()), known: vec![known(tag)], holds, ..catalogue() }
}

fn known(tag: &str) -> KnownRelease {
    KnownRelease { tag: tag.to_owned(), tag_id: format!("{tag:0>40}"), settings: PLAN.to_owned() }
}

fn report(worker: &str, release: &str, trial: Option<TrialReport>) -> Report {
    Report {
        worker: worker.to_owned(),
        host: "pc".to_owned(),
        state: WorkerState::Waiting,
        reason: String::new(),
        release: release.to_owned(),
        refused: Vec::new(),
        trial,
        replica: None,
        spool: nightshift_wire::Spool::default(),
        steps: Vec::new(),
    }
}

/// A server that knows v1.0.0 and v1.1.0, a worker in ring canary, and two others.
async fn grid() -> TestServer {
    let server = TestServer::start().await;
    for tag in ["v1.0.0", "v1.1.0"] {
        server.catalogue.send_replace(Arc::new(with_release(tag, "")));
        rollout(&server, tag).await;
        server.pass(Duration::from_secs(2));
    }
    for worker in ["w-1", "w-2", "w-3"] {
        server.client.report(&report(worker, "v1.0.0", None)).await.expect("kept");
    }
    let canary = WorkerChange::Tags(BTreeSet::from(["canary".to_owned()]));
    server.client.change_worker("w-1", &canary).await.expect("tagged");
    server.pass(Duration::from_secs(2));
    server
}

async fn rollout(server: &TestServer, tag: &str) -> Rollout {
    server.client.rollout(tag).await.expect("known")
}

fn rings(rollout: &Rollout) -> Vec<(&str, RingState, &str)> {
    rollout.rings.iter().map(|ring| (ring.name.as_str(), ring.state, ring.reason.as_str())).collect()
}

/// A worker does so many jobs with a release; an empty name makes an error.
async fn work(server: &TestServer, worker: &str, release: &str, csv: &str) {
    server.hand_in(csv.to_owned()).await.expect("handed in");
    let request = ClaimRequest { release: release.to_owned(), ..claim_request(worker) };
    while let Some(claim) = server.client.claim(&request).await.expect("answered") {
        let done = server.process(&claim).await;
        let provenance = Provenance { release: release.to_owned(), ..done.provenance };
        server.client.submit(claim.attempt, &Submission { provenance, ..done }).await.expect("accepted");
    }
    server.pass(Duration::from_secs(2));
}

const FOUR_JOBS: &str = "name\nAda\nAda\nAda\nAda\nAda\nAda\nAda\nAda\n";
const FOUR_JOBS_OF_ERRORS: &str = "name\n\"\"\n\"\"\n\"\"\n\"\"\n\"\"\n\"\"\n\"\"\n\"\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_opens_when_the_one_before_has_done_enough() {
    let server = grid().await;
    let waits = "0 of 2 jobs done in ring canary, no job waits, and samples passed on 0 of the 1 workers of the ring that \
                 are there";
    let seen = rollout(&server, "v1.1.0").await;
    assert_eq!(rings(&seen), [("canary", RingState::Open, ""), ("everyone", RingState::Waiting, waits)]);
    assert_eq!((seen.rings[0].workers, seen.rings[1].workers, seen.on_release), (1, 2, 0));

    work(&server, "w-2", "v1.0.0", FOUR_JOBS).await;
    assert_eq!(rollout(&server, "v1.1.0").await.rings[1].state, RingState::Waiting, "another release's work");
    work(&server, "w-1", "v1.1.0", FOUR_JOBS).await;
    let seen = rollout(&server, "v1.1.0").await;
    assert_eq!(rings(&seen), [("canary", RingState::Open, ""), ("everyone", RingState::Open, "")]);
    let canary = &seen.rings[0];
    assert_eq!((canary.jobs, canary.records, canary.errors, canary.expected_errors), (4, 8, 0, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_a_signed_tag_opened_early_is_shown_as_open() {
    let server = grid().await;
    assert_eq!(rollout(&server, "v1.1.0").await.rings[1].state, RingState::Waiting);
    let promotion = |version| Promotion { version, ring: "everyone".to_owned(), signer: "ann".to_owned() };
    for (version, state) in
        [(ReleaseVersion::new(1, 0, 0), RingState::Waiting), (ReleaseVersion::new(1, 1, 0), RingState::Open)]
    {
        let promotions = vec![promotion(version)];
        server.catalogue.send_replace(Arc::new(Catalogue { promotions, ..with_release("v1.1.0", "") }));
        server.pass(Duration::from_secs(2));
        assert_eq!(rollout(&server, "v1.1.0").await.rings[1].state, state, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_workers_found_bad_says_on_how_many_and_in_whose_words_also_without_a_plan() {
    let server = grid().await;
    let without_plan = KnownRelease { settings: String::new(), ..known("v1.2.0") };
    server.catalogue.send_replace(Arc::new(Catalogue { known: vec![without_plan], ..with_release("v1.2.0", "") }));
    server.pass(Duration::from_secs(2));
    assert_eq!(rollout(&server, "v1.2.0").await.found_bad, None);
    let says = "v1.2.0 was rolled back here: every job of shout fails";
    for (worker, state, refused) in [
        ("w-1", TrialState::Bad, vec!["v1.1.9 is refused: not signed".to_owned(), says.to_owned()]),
        ("w-2", TrialState::Bad, Vec::new()),
        ("w-3", TrialState::Unknown, vec!["v1.2.0 is suspected".to_owned()]),
    ] {
        let trial = TrialReport {
            release: "v1.2.0".to_owned(),
            ring: String::new(),
            state,
            samples_passed: 0,
            samples_failed: 0,
        };
        server.client.report(&Report { refused, ..report(worker, "v1.0.0", Some(trial)) }).await.expect("kept");
    }
    server.pass(Duration::from_secs(2));
    let found_bad = rollout(&server, "v1.2.0").await.found_bad;
    assert_eq!(found_bad, Some(FoundBad { workers: 2, says: says.to_owned() }));
    assert_eq!(rollout(&server, "v1.1.0").await.found_bad, None, "another release");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_the_server_skipped_opens_its_rings_by_evidence_too() {
    let server = grid().await;
    let both = vec![known("v1.2.0"), known("v1.3.0")];
    server.catalogue.send_replace(Arc::new(Catalogue { known: both, ..with_release("v1.3.0", "") }));
    server.pass(Duration::from_secs(2));
    assert_eq!(rollout(&server, "v1.2.0").await.rings[1].state, RingState::Waiting);
    work(&server, "w-1", "v1.2.0", FOUR_JOBS).await;
    assert_eq!(rollout(&server, "v1.2.0").await.rings[1].state, RingState::Open);
    assert_eq!(rollout(&server, "v1.3.0").await.rings[1].state, RingState::Waiting, "which is another release");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_does_worse_is_sent_back_for_good() {
    let server = grid().await;
    work(&server, "w-1", "v1.0.0", FOUR_JOBS).await;
    work(&server, "w-1", "v1.1.0", FOUR_JOBS_OF_ERRORS).await;
    let why = "100 % of the records in ring canary are errors, 0 % were before; it may be 2 % more";
    let expected = [("canary", RingState::SentBack, why), ("everyone", RingState::SentBack, why)];
    assert_eq!(rings(&rollout(&server, "v1.1.0").await), expected);

    // What comes later does not open it again.
    work(&server, "w-1", "v1.1.0", &format!("name\n{}", "Ada\n".repeat(2_000))).await;
    assert_eq!(rings(&rollout(&server, "v1.1.0").await), expected);
    assert_eq!(rollout(&server, "v1.0.0").await.rings[0].state, RingState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_told_again_and_again_counts_once() {
    let server = grid().await;
    server.hand_in("name\nAda\n").await.expect("handed in");
    let request = ClaimRequest { release: "v1.1.0".to_owned(), ..claim_request("w-1") };
    let claim = server.client.claim(&request).await.expect("answered").expect("a job");
    let failed = GiveBack { secret: claim.secret, cause: GiveBackCause::Failed, reason: "out of cheese".to_owned() };
    for _ in 0..3 {
        server.client.give_back(claim.attempt, &failed).await.expect("acknowledged");
        server.pass(Duration::from_secs(2));
        assert_eq!(rollout(&server, "v1.1.0").await.rings[0].failures, 1);
    }
    let metrics = server.ask("GET", "/metrics", "", "").await.body;
    assert!(metrics.contains("nightshift_attempts_given_back_total 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_idle_grid_trials_that_workers_report_count() {
    let server = grid().await;
    let trial = |state, passed| {
        let (release, ring) = ("v1.1.0".to_owned(), "canary".to_owned());
        Some(TrialReport { release, ring, state, samples_passed: passed, samples_failed: 0 })
    };
    server.client.report(&report("w-1", "v1.1.0", trial(TrialState::Good, 3))).await.expect("kept");
    server.pass(Duration::from_secs(2));
    let seen = rollout(&server, "v1.1.0").await;
    assert_eq!((seen.rings[1].state, seen.rings[0].samples_passed, seen.rings[0].on_release), (RingState::Open, 1, 1));

    server.client.report(&report("w-2", "v1.0.0", trial(TrialState::Bad, 0))).await.expect("kept");
    server.pass(Duration::from_secs(2));
    let seen = rollout(&server, "v1.1.0").await;
    assert_eq!(seen.rings[1].reason, "its trial was bad on 1 of 1 worker of ring everyone");
    assert_eq!((seen.rings[0].state, seen.rings[1].state), (RingState::Open, RingState::SentBack));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_told_again_counts_again_for_a_release_that_is_another_object_now() {
    let server = grid().await;
    let trial = TrialReport {
        release: "v1.1.0".to_owned(),
        ring: "canary".to_owned(),
        state: TrialState::Good,
        samples_passed: 3,
        samples_failed: 0,
    };
    let told = report("w-1", "v1.1.0", Some(trial));
    for tag_id in ["a".repeat(40), "b".repeat(40)] {
        let known = KnownRelease { tag_id, ..known("v1.1.0") };
        server.catalogue.send_replace(Arc::new(Catalogue { known: vec![known], ..with_release("v1.1.0", "") }));
        server.pass(Duration::from_secs(2));
        assert_eq!(rollout(&server, "v1.1.0").await.rings[0].samples_passed, 0, "nothing is known of this object");
        server.client.report(&told).await.expect("kept");
        server.pass(Duration::from_secs(2));
        assert_eq!(rollout(&server, "v1.1.0").await.rings[0].samples_passed, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_names_no_release_is_refused() {
    let server = grid().await;
    let trial = TrialReport {
        release: "newest".to_owned(),
        ring: String::new(),
        state: TrialState::Good,
        samples_passed: 1,
        samples_failed: 0,
    };
    let error = server.client.report(&report("w-1", "v1.0.0", Some(trial))).await.expect_err("refused");
    assert_eq!(refusal(&error).code, code::BAD_REQUEST);
    assert!(refusal(&error).detail.contains("send a release's tag such as v1.5.0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_that_are_as_they_were_are_not_told_again() {
    let server = grid().await;
    let first = server.client.rollouts(Some("w-1"), "").await.expect("answered");
    assert_eq!(first.tags, Some(BTreeSet::from(["canary".to_owned()])));
    let tags = |rollouts: &[Rollout]| rollouts.iter().map(|rollout| rollout.release.clone()).collect::<Vec<_>>();
    assert_eq!(tags(first.rollouts.as_deref().expect("told")), ["v1.1.0", "v1.0.0"]);
    let again = server.client.rollouts(Some("w-1"), &first.etag).await.expect("answered");
    assert_eq!((again.rollouts, &again.etag), (None, &first.etag));
    server.client.change_worker("w-1", &WorkerChange::Tags(BTreeSet::new())).await.expect("changed");
    let again = server.client.rollouts(Some("w-1"), &first.etag).await.expect("answered");
    assert!(again.rollouts.is_some() && again.etag != first.etag, "its tags are others");
    let unknown = server.client.rollouts(Some("w-9"), "").await.expect("answered");
    assert_eq!(unknown.tags, Some(BTreeSet::new()));
    assert_eq!(server.client.rollouts(None, "").await.expect("answered").tags, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_nobody_knows_is_not_found() {
    let server = grid().await;
    let error = server.client.rollout("v9.9.9").await.expect_err("unknown");
    assert_eq!(refusal(&error).code, code::NOT_FOUND);
    assert_eq!(refusal(&error).detail, "there is no release \"v9.9.9\" here; this server knows v1.1.0, v1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_a_release_back_for_everybody_is_told() {
    let server = grid().await;
    server.catalogue.send_replace(Arc::new(with_release("v1.1.0", "pause = \"month's end\"\n")));
    server.pass(Duration::from_secs(2));
    assert_eq!(rollout(&server, "v1.1.0").await.held.as_deref(), Some("paused: month's end"));
    let deny = "[[deny]]\nrelease = \"1.1.0\"\nreason = \"wrong prices\"\n";
    server.catalogue.send_replace(Arc::new(with_release("v1.1.0", deny)));
    server.pass(Duration::from_secs(2));
    let seen = rollout(&server, "v1.1.0").await;
    assert_eq!((seen.denied.as_deref(), seen.held.as_deref()), (Some("wrong prices"), Some("denied: wrong prices")));
    assert!(seen.rings.iter().all(|ring| ring.state == RingState::SentBack), "{seen:?}");
    assert_eq!(rollout(&server, "v1.0.0").await.denied, None);
}

/// A server on which v1.0.0 was denied after a worker had claimed a job with it.
async fn denied_meanwhile() -> (TestServer, nightshift_wire::Claim, Submission) {
    let server = TestServer::start().await;
    server.hand_in("name\nAda\n").await.expect("handed in");
    let claim = server.claim("w-1").await.expect("a job waits");
    let done = server.process(&claim).await;
    let deny = Holds::parse("[[deny]]\nrelease = \"1.0.0\"\nreason = \"wrong prices\"\n").expect("well formed");
    server.catalogue.send_replace(Arc::new(Catalogue { holds: deny, ..catalogue() }));
    (server, claim, done)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_denied_release_are_turned_down_with_the_reason_and_the_job_waits_again() {
    let (server, claim, done) = denied_meanwhile().await;
    let error = server.client.submit(claim.attempt, &done).await.expect_err("turned down");
    assert_eq!(refusal(&error).code, code::NOT_WANTED);
    assert_eq!(
        refusal(&error).detail,
        format!(
            "handing in the results of attempt {}: v1.0.0 computed the results, and it is denied: wrong prices; the worker \
             goes back to the release before by itself",
            claim.attempt
        )
    );
    assert_eq!(server.client.job(claim.job).await.expect("there").job.state, JobState::Waiting);

    let request = ClaimRequest { release: "v0.9.0".to_owned(), ..claim_request("w-2") };
    let again = server.client.claim(&request).await.expect("answered").expect("it waits for nobody");
    let done = server.process(&again).await;
    let provenance = Provenance { release: "v0.9.0".to_owned(), ..done.provenance };
    server.client.submit(again.attempt, &Submission { provenance, ..done }).await.expect("accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_submissions_those_of_a_denied_release_are_turned_down() {
    let (server, claim, done) = denied_meanwhile().await;
    server.hand_in("name\nAda\n").await.expect("handed in");
    let request = ClaimRequest { release: "v0.9.0".to_owned(), ..claim_request("w-2") };
    let other = server.client.claim(&request).await.expect("answered").expect("a job waits");
    let good = server.process(&other).await;
    let good = Submission { provenance: Provenance { release: "v0.9.0".to_owned(), ..good.provenance }, ..good };
    let submissions = [(claim.attempt, done), (other.attempt, good)];
    let submissions = submissions.map(|(attempt, submission)| AttemptSubmission {
        attempt,
        secret: submission.secret,
        provenance: submission.provenance,
        results: submission.results,
    });
    let answers = server.client.submit_many(&Submissions { submissions: submissions.into() }).await.expect("answered");
    let [Answer::Problem(problem), Answer::Receipt(receipt)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(problem.detail.contains("denied: wrong prices"), "{problem:?}");
    assert_eq!((receipt.job, receipt.repeated), (other.job, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_its_release_was_denied_is_acknowledged_again() {
    let server = TestServer::start().await;
    server.hand_in("name\nAda\n").await.expect("handed in");
    let claim = server.claim("w-1").await.expect("a job waits");
    let done = server.process(&claim).await;
    server.client.submit(claim.attempt, &done).await.expect("accepted");
    let deny = Holds::parse("[[deny]]\nrelease = \"1.0.0\"\n").expect("well formed");
    server.catalogue.send_replace(Arc::new(Catalogue { holds: deny, ..catalogue() }));
    assert!(server.client.submit(claim.attempt, &done).await.expect("acknowledged").repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_on_a_denied_release_gets_no_job_and_hears_why() {
    let (server, _, _) = denied_meanwhile().await;
    server.hand_in("name\nAda\n").await.expect("handed in");
    let error = server.client.claim(&claim_request("w-3")).await.expect_err("refused");
    assert_eq!(refusal(&error).code, code::RELEASE_DENIED);
    assert_eq!(
        refusal(&error).detail,
        "claiming a job: v1.0.0 is denied: wrong prices; the worker goes back to the release before, or takes a higher one, \
         by itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waits_is_refused_once_its_release_is_denied() {
    let server = TestServer::start().await;
    let waiting = crate::running::waiting_claim("w-1");
    let deny = Holds::parse("[[deny]]\nrelease = \"1.0.0\"\nreason = \"wrong prices\"\n").expect("well formed");
    let denied = Arc::new(Catalogue { holds: deny, ..catalogue() });
    let (claimed, ()) = tokio::join!(server.client.claim(&waiting), async {
        server.catalogue.send_replace(denied);
    });
    assert_eq!(refusal(&claimed.expect_err("refused")).code, code::RELEASE_DENIED);
}
