//! What is one's own where no path names it: attempts among many submissions, jobs that a filter chooses.

use bytes::Bytes;
use nightshift_client::{Client, ClientError, HandedIn};
use nightshift_wire::{
    ActionReport, ActionRequest, Answer, Claim, HandIn, JobAction, JobEdit, JobFilter, JobQuery, JobState, Role,
    Submissions, access_code, code,
};

use crate::guarded::{Guarded, Spoken, hand_in, refused};
use crate::running::{asks_for, claim_request, pieces, submission};

const NOT_ALLOWED: (u16, &str) = (403, access_code::NOT_ALLOWED);

fn is<T: std::fmt::Debug>(outcome: Result<T, ClientError>, expected: (u16, &str)) {
    let (status, code) = refused(outcome);
    assert_eq!((status, code.as_str()), expected);
}

async fn claim(worker: &Client, name: &str) -> Claim {
    worker.claim(&claim_request(name)).await.expect("an answer").expect("a job")
}

#[tokio::test]
async fn results_of_another_workers_attempt_are_refused_among_many_and_only_they() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join_token, _) = server.token("image", Role::Join).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let (one, two) = (server.worker("w-1", &join_token).await, server.worker("w-2", &join_token).await);
    let batch = hand_in(&owner, "name\nAnn\nBob\nCid\nDan\n").await.expect("good").id;
    let (ones, twos) = (claim(&one, "w-1").await, claim(&two, "w-2").await);
    let columns = ["name".to_owned()];
    let mut submissions = Vec::new();
    for (worker, claim) in [(&one, &ones), (&two, &twos)] {
        let records = worker.records(claim.attempt, &claim.secret, &columns).await.expect("its own");
        submissions.push((claim.attempt, submission(claim, &records)).into());
    }
    let both = Submissions { submissions };

    let answers = two.submit_many(&both).await.expect("an answer");
    let [Answer::Problem(problem), Answer::Receipt(receipt)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((problem.status, problem.code.as_str()), NOT_ALLOWED);
    assert_eq!(receipt.job, twos.job);
    assert_eq!(owner.job(ones.job).await.expect("hers").job.state, JobState::Running, "nothing changed");

    let answers = one.submit_many(&both).await.expect("an answer");
    let [Answer::Receipt(receipt), Answer::Problem(_)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((receipt.job, receipt.repeated), (ones.job, false));
    assert_eq!(owner.batch(batch).await.expect("hers").results, 4);
    server.end().await;
}

#[tokio::test]
async fn an_owner_finds_the_jobs_of_own_batches_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, anna) = server.token("anna", Role::Owner).await;
    let (_, bert) = server.token("bert", Role::Owner).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    let annas = hand_in(&anna, "name\nAnn\n").await.expect("good").id;
    let berts = hand_in(&bert, "name\nBert\n").await.expect("good").id;
    let again = hand_in(&anna, "name\nAnn\n").await.expect("good").id;
    let batches = |client: Client, query: JobQuery| async move {
        let page = client.find_jobs(&query).await.expect("a list");
        page.jobs.into_iter().map(|job| job.batch).collect::<Vec<_>>()
    };
    let everything = JobQuery::default;
    is(anna.find_jobs(&JobQuery { batch: Some(berts), ..everything() }).await, NOT_ALLOWED);
    is(anna.find_jobs(&JobQuery { batch: Some(999), ..everything() }).await, NOT_ALLOWED);
    is(anna.find_jobs(&JobQuery { owner: Some("bert".to_owned()), ..everything() }).await, NOT_ALLOWED);
    assert_eq!(batches(anna, everything()).await, [annas, again]);
    assert_eq!(batches(bert, JobQuery { state: Some(JobState::Waiting), ..everything() }).await, [berts]);
    assert_eq!(batches(viewer, everything()).await, [annas, berts, again]);
    let of_bert = JobQuery { owner: Some("bert".to_owned()), ..everything() };
    assert_eq!(batches(server.client(Some(&server.admin_token)), of_bert).await, [berts]);
    server.end().await;
}

async fn suspend(client: &Client, filter: JobFilter) -> Result<ActionReport, ClientError> {
    let request = ActionRequest { action: JobAction::Suspend, filter, reason: String::new(), dry_run: false };
    client.change_jobs(&request).await
}

#[tokio::test]
async fn an_owner_changes_the_jobs_of_a_batch_of_its_own_and_no_others() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, anna) = server.token("anna", Role::Owner).await;
    let (_, bert) = server.token("bert", Role::Owner).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    let annas = hand_in(&anna, "name\nAnn\n").await.expect("good").id;
    let berts = hand_in(&bert, "name\nBert\n").await.expect("good").id;
    let berts_job = bert.jobs(berts).await.expect("his")[0].id;
    let everything = JobFilter::default;

    is(suspend(&anna, JobFilter { batch: Some(berts), ..everything() }).await, NOT_ALLOWED);
    is(suspend(&anna, JobFilter { state: Some(JobState::Waiting), ..everything() }).await, NOT_ALLOWED);
    is(suspend(&anna, everything()).await, NOT_ALLOWED);
    is(suspend(&viewer, JobFilter { batch: Some(annas), ..everything() }).await, NOT_ALLOWED);
    let mixed = JobFilter { batch: Some(annas), ids: vec![berts_job], ..everything() };
    assert_eq!(suspend(&anna, mixed).await.expect("an answer").matched, 0);
    assert_eq!(bert.batch(berts).await.expect("his").jobs_suspended, 0, "nothing of his changed");

    let annas_job = anna.jobs(annas).await.expect("hers")[0].id;
    let by_number = |action| ActionRequest {
        action,
        filter: JobFilter { ids: vec![annas_job, berts_job], ..everything() },
        reason: String::new(),
        dry_run: false,
    };
    let own = anna.change_jobs(&by_number(JobAction::Suspend)).await.expect("her own");
    assert_eq!((own.matched, own.changed), (1, 1), "named by its number, and his is none of hers");
    assert_eq!(bert.batch(berts).await.expect("his").jobs_suspended, 0, "nothing of his changed");
    let edit = JobEdit { plugin: Some("count".to_owned()), ..JobEdit::default() };
    is(anna.change_jobs(&by_number(JobAction::Edit(edit))).await, NOT_ALLOWED);
    let own = suspend(&anna, JobFilter { batch: Some(annas), ..everything() }).await.expect("her own");
    assert_eq!((own.matched, own.changed), (1, 0), "it is already");
    let all = suspend(&server.admin, JobFilter { state: Some(JobState::Waiting), ..everything() }).await;
    assert_eq!(all.expect("an admin may").changed, 1);
    server.end().await;
}

#[tokio::test]
async fn a_key_meets_nobody_elses_whatever_is_in_it() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, anna) = server.token("anna", Role::Owner).await;
    let (_, operator) = server.token("olga", Role::Operator).await;
    let send = async |client: &Client, key: &str| {
        let asked = HandIn { key: Some(key.to_owned()), ..asks_for("count") };
        client.hand_in_by_key(&asked, pieces([Bytes::from("name\nAnn\n")])).await
    };
    let longest = "ä".repeat(150);
    for key in ["monday", &longest] {
        let HandedIn::New(annas) = send(&anna, key).await.expect("handed in") else { panic!("a new batch") };
        assert_eq!(send(&anna, key).await.expect("again"), HandedIn::Before(annas));
    }
    for key in ["anna/monday", "/anna/monday", "monday"] {
        let olgas = send(&operator, key).await.expect("handed in");
        assert!(matches!(olgas, HandedIn::New(_)), "{key} is nobody else's");
        assert!(matches!(send(&operator, key).await.expect("again"), HandedIn::Before(_)), "{key}");
    }
    assert_eq!(refused(send(&anna, &format!("{longest}x")).await), (400, code::BAD_REQUEST.to_owned()));
    server.end().await;
}
