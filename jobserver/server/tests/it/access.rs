//! Who may do what: every attack on tokens and on workers' credentials, as a promise.

use std::time::Duration;

use nightshift_client::{Client, ClientError};
use nightshift_server::rate::Rate;
use nightshift_testbed::wait;
use nightshift_wire::{
    ActionRequest, EnrolmentDecision, EnrolmentState, GiveBack, GiveBackCause, Heartbeat, JobAction, JobFilter,
    JoinRequest, NewJoinRule, NewToken, Report, Role, WorkerChange, WorkerState, access_code, code,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guarded::{Guarded, Spoken, asks_to_join, credential, hand_in, machine, refused};
use crate::running::{FOREVER, claim_request, submission, waiting_claim};

const NOT_AUTHENTICATED: (u16, &str) = (401, access_code::NOT_AUTHENTICATED);
const NOT_ALLOWED: (u16, &str) = (403, access_code::NOT_ALLOWED);

fn is<T: std::fmt::Debug>(outcome: Result<T, ClientError>, expected: (u16, &str)) {
    let (status, code) = refused(outcome);
    assert_eq!((status, code.as_str()), expected);
}

pub(crate) fn report(worker: &str) -> Report {
    Report {
        worker: worker.to_owned(),
        host: "pc-17".to_owned(),
        state: WorkerState::Waiting,
        reason: String::new(),
        release: String::new(),
        refused: Vec::new(),
        trial: None,
        replica: None,
        spool: nightshift_wire::Spool::default(),
        steps: Vec::new(),
    }
}

fn approve() -> EnrolmentDecision {
    EnrolmentDecision::Approve { name: None }
}

#[tokio::test]
async fn without_a_token_nothing_is_told_and_nothing_is_changed() {
    let server = Guarded::start(Spoken::Plain).await;
    let nobody = server.client(None);
    is(nobody.status().await, NOT_AUTHENTICATED);
    is(nobody.batches().await, NOT_AUTHENTICATED);
    is(nobody.claim(&claim_request("w-1")).await, NOT_AUTHENTICATED);
    is(nobody.tokens().await, NOT_AUTHENTICATED);
    is(hand_in(&nobody, "name\nAnn\n").await, NOT_AUTHENTICATED);
    assert_eq!(server.admin.batches().await.expect("an admin sees").len(), 0);
}

#[tokio::test]
async fn a_forged_token_is_nobodys() {
    let server = Guarded::start(Spoken::Plain).await;
    let mut nearly = server.admin_token.clone();
    let last = if nearly.ends_with('0') { "1" } else { "0" };
    nearly.replace_range(nearly.len() - 1.., last);
    let longer = format!("{}0", server.admin_token);
    for forged in ["ns_admin_0", "x", &nearly, &longer, &"n".repeat(5000)] {
        is(server.client(Some(forged)).status().await, NOT_AUTHENTICATED);
    }
}

#[tokio::test]
async fn a_token_of_another_role_does_not_reach_further_than_its_role() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let (_, operator) = server.token("otto", Role::Operator).await;
    let (join_token, join) = server.token("image", Role::Join).await;
    let worker = server.worker("w-1", &join_token).await;

    viewer.status().await.expect("a viewer sees");
    viewer.workers().await.expect("a viewer sees");
    is(hand_in(&viewer, "name\nAnn\n").await, NOT_ALLOWED);
    is(owner.workers().await, NOT_ALLOWED);
    is(worker.batches().await, NOT_ALLOWED);
    is(worker.workers().await, NOT_ALLOWED);
    is(join.status().await, NOT_ALLOWED);
    for client in [&viewer, &owner, &operator, &worker, &join] {
        is(client.tokens().await, NOT_ALLOWED);
        let wanted =
            NewToken { name: "x".to_owned(), role: Role::Admin, network: None, limit: None, expires_in_ms: None };
        is(client.make_token(&wanted).await, NOT_ALLOWED);
        is(client.decide("w-1", &EnrolmentDecision::Revoke { reason: String::new() }).await, NOT_ALLOWED);
    }
    for client in [&viewer, &owner, &operator] {
        is(client.claim(&claim_request("w-1")).await, NOT_ALLOWED);
        is(client.report(&report("w-1")).await, NOT_ALLOWED);
    }
    let me = owner.me().await.expect("anybody may ask");
    assert_eq!((me.name.as_deref(), me.role), (Some("anna"), Some(Role::Owner)));
}

#[tokio::test]
async fn an_owner_sees_own_batches_and_nobody_elses() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, anna) = server.token("anna", Role::Owner).await;
    let (_, bert) = server.token("bert", Role::Owner).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    let annas = hand_in(&anna, "name\nAnn\n").await.expect("good").id;
    let berts = hand_in(&bert, "name\nBert\n").await.expect("good").id;

    assert_eq!(anna.batch(annas).await.expect("her own").id, annas);
    is(anna.batch(berts).await, NOT_ALLOWED);
    is(anna.jobs(berts).await, NOT_ALLOWED);
    is(anna.results(berts).await.map(|_| ()), NOT_ALLOWED);
    is(anna.batch(999).await, NOT_ALLOWED);
    let seen = |client: Client| async move {
        let batches = client.batches().await.expect("a list");
        batches.into_iter().map(|batch| batch.id).collect::<Vec<_>>()
    };
    assert_eq!(seen(anna).await, [annas]);
    assert_eq!(seen(bert).await, [berts]);
    assert_eq!(seen(viewer).await, [berts, annas]);
}

#[tokio::test]
async fn a_number_spelt_otherwise_leads_to_nobody_elses_batch() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, anna) = server.token("anna", Role::Owner).await;
    let (berts_token, _) = server.token("bert", Role::Owner).await;
    let annas = hand_in(&anna, "name\nAnn\n").await.expect("good").id;
    let in_percent: String = annas.to_string().bytes().map(|digit| format!("%{digit:02x}")).collect();
    for spelt in [in_percent, format!("%2B{annas}"), format!("%30{annas}"), format!("0{annas}"), format!("+{annas}")] {
        for of_it in ["", "/jobs", "/results", "/receipt"] {
            let path = format!("/v1/batches/{spelt}{of_it}");
            let head = format!("Host: localhost\r\nAuthorization: Bearer {berts_token}\r\nConnection: close");
            let mut stream = TcpStream::connect(server.address).await.expect("connected");
            stream.write_all(format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            let status = answer.split(' ').nth(1);
            assert!([Some("403"), Some("404")].contains(&status), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_worker_acts_as_itself_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let (join_token, _) = server.token("image", Role::Join).await;
    let (one, two) = (server.worker("w-1", &join_token).await, server.worker("w-2", &join_token).await);
    hand_in(&owner, "name\nAnn\n").await.expect("good");

    is(two.claim(&claim_request("w-1")).await, NOT_ALLOWED);
    is(two.report(&report("w-1")).await, NOT_ALLOWED);
    let claim = one.claim(&claim_request("w-1")).await.expect("an answer").expect("a job");
    // Even with the secret, an attempt is its worker's.
    let columns = ["name".to_owned()];
    is(two.records(claim.attempt, &claim.secret, &columns).await, NOT_ALLOWED);
    let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 0 };
    is(two.heartbeat(claim.attempt, &heartbeat).await, NOT_ALLOWED);
    let back = GiveBack { secret: claim.secret.clone(), cause: GiveBackCause::Failed, reason: String::new() };
    is(two.give_back(claim.attempt, &back).await, NOT_ALLOWED);
    let records = one.records(claim.attempt, &claim.secret, &columns).await.expect("its own");
    let results = submission(&claim, &records);
    is(two.submit(claim.attempt, &results).await, NOT_ALLOWED);
    one.submit(claim.attempt, &results).await.expect("its own");
    is(one.heartbeat(claim.attempt + 1, &heartbeat).await, (404, code::NOT_FOUND));
}

#[tokio::test]
async fn a_revoked_token_is_over_at_once() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    viewer.status().await.expect("good");
    server.admin.revoke_token("vera").await.expect("revoked");
    is(viewer.status().await, (401, access_code::REVOKED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_through_another_server_is_over_within_a_minute() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    viewer.status().await.expect("good");
    nightshift_store::Access::revoke_token(&*server.store, "vera", 1).await.expect("by another server");
    // The chore of this server reads it; its period is a setting, 5 s where nobody set it.
    let handle = tokio::runtime::Handle::current();
    let refused = tokio::task::block_in_place(|| {
        wait::until("the revocation to be read", wait::SOON, || handle.block_on(viewer.status()).err())
    });
    is::<()>(Err(refused.expect("it is over")), (401, access_code::REVOKED));
}

#[tokio::test]
async fn a_tokens_time_runs_out() {
    let server = Guarded::start(Spoken::Plain).await;
    let wanted = NewToken {
        name: "vera".to_owned(),
        role: Role::Viewer,
        network: None,
        limit: None,
        expires_in_ms: Some(60_000),
    };
    let viewer = server.client(Some(&server.admin.make_token(&wanted).await.expect("made").token));
    server.pass(Duration::from_millis(59_999));
    viewer.status().await.expect("good");
    server.pass(Duration::from_millis(1));
    is(viewer.status().await, (401, access_code::EXPIRED));
}

#[tokio::test]
async fn a_token_is_good_in_its_network_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let wanted = |name: &str, network: &str| NewToken {
        name: name.to_owned(),
        role: Role::Viewer,
        network: Some(network.to_owned()),
        limit: None,
        expires_in_ms: None,
    };
    let elsewhere = server.admin.make_token(&wanted("elsewhere", "192.0.2.0/24")).await.expect("made").token;
    is(server.client(Some(&elsewhere)).status().await, NOT_ALLOWED);
    let here = server.admin.make_token(&wanted("here", "127.0.0.0/8")).await.expect("made").token;
    server.client(Some(&here)).status().await.expect("good");
    is(server.admin.make_token(&wanted("odd", "office")).await, (400, code::BAD_REQUEST));
}

#[tokio::test]
async fn a_worker_that_asked_does_nothing_before_it_is_approved() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join_token, join) = server.token("image", Role::Join).await;
    let asked = join.join(&asks_to_join("w-1", Some(&join_token))).await.expect("anybody may ask");
    assert_eq!(asked.state, EnrolmentState::Pending);
    assert!(asked.reason.contains("nightshift worker approve w-1"), "{}", asked.reason);
    let worker = server.worker_on("w-1", &machine("w-1"));
    is(worker.claim(&claim_request("w-1")).await, (403, access_code::NOT_APPROVED));
    server.admin.decide("w-1", &approve()).await.expect("approved");
    worker.claim(&claim_request("w-1")).await.expect("it may now");
    let again = worker.join(&asks_to_join("w-1", None)).await.expect("it needs no join token any more");
    assert_eq!(again.state, EnrolmentState::Approved);
    assert!(server.admin.enrolments().await.expect("a list")[0].reason.contains("approved by admin"));
}

#[tokio::test]
async fn a_revoked_worker_takes_no_job_and_hands_nothing_in() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let (join_token, _) = server.token("image", Role::Join).await;
    let worker = server.worker("w-1", &join_token).await;
    hand_in(&owner, "name\nAnn\nBert\nCarl\n").await.expect("good");
    let claim = worker.claim(&claim_request("w-1")).await.expect("an answer").expect("a job");
    let reason = "it was stolen".to_owned();
    server.admin.decide("w-1", &EnrolmentDecision::Revoke { reason }).await.expect("revoked");
    let revoked = (401, access_code::REVOKED);
    is(worker.claim(&claim_request("w-1")).await, revoked);
    is(worker.records(claim.attempt, &claim.secret, &[]).await, revoked);
    is(server.admin.decide("w-1", &approve()).await, (409, access_code::NOT_ALLOWED));
    // It reports nothing more, and so what it reported last says nothing of it.
    let shown = server.admin.worker("w-1").await.expect("it is known");
    let why = "revoked by admin: it was stolen";
    assert_eq!(shown.drained.as_deref(), Some(why));
    // Nor is it shown as one that gets jobs again.
    let resumed = server.admin.change_worker("w-1", &WorkerChange::Resume).await.expect_err("it is let in no more");
    assert!(resumed.to_string().contains(&format!("it is {why} and let in no more")), "{resumed}");
    assert_eq!(server.admin.worker("w-1").await.expect("it is known").drained.as_deref(), Some(why));
}

#[tokio::test]
async fn who_did_something_without_a_reason_is_named() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let batch = hand_in(&owner, "name\nAnn\n").await.expect("good").id;
    let suspended = owner.suspend_batch(batch, "").await.expect("hers");
    assert_eq!(suspended.suspended.as_deref(), Some("suspended by anna"));
    let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
    let request = ActionRequest { action: JobAction::Delete, filter, reason: String::new(), dry_run: false };
    owner.change_jobs(&request).await.expect("hers");
    assert_eq!(owner.jobs(batch).await.expect("hers")[0].reason, "deleted by anna");
}

#[tokio::test]
async fn only_a_secret_that_nobody_has_counts_as_a_guess() {
    let most = 3;
    let server = Guarded::start_limited(Rate { burst: f64::from(most), per_second: 0.01 }).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    server.admin.revoke_token("vera").await.expect("revoked");
    let nobody = server.client(None);
    for _ in 0..2 * most {
        is(viewer.status().await, (401, access_code::REVOKED));
        is(nobody.status().await, (401, access_code::NOT_AUTHENTICATED));
    }
    let guesses = server.client(Some("ns_viewer_forged"));
    for _ in 0..most {
        is(guesses.status().await, (401, access_code::NOT_AUTHENTICATED));
    }
    is(guesses.status().await, (429, code::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn a_claim_that_waits_gets_no_job_once_its_worker_is_revoked() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    let (join_token, _) = server.token("image", Role::Join).await;
    let worker = server.worker("w-1", &join_token).await;
    let waits = tokio::spawn(async move { worker.claim(&waiting_claim("w-1")).await });
    tokio::task::yield_now().await;
    let reason = String::new();
    server.admin.decide("w-1", &EnrolmentDecision::Revoke { reason }).await.expect("revoked");
    hand_in(&owner, "name\nAnn\n").await.expect("good");
    match waits.await.expect("no panic") {
        Ok(claimed) => assert_eq!(claimed, None),
        // Its request was slower than the revocation.
        refused => is(refused, (401, access_code::REVOKED)),
    }
}

#[tokio::test]
async fn one_identity_on_two_machines_must_enrol_anew() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join_token, _) = server.token("image", Role::Join).await;
    let original = server.worker("w-1", &join_token).await;
    let copy = server.worker_on("w-1", "another machine");
    is(copy.claim(&claim_request("w-1")).await, (401, access_code::ENROL_AGAIN));
    let mut asks = asks_to_join("w-1", Some(&join_token));
    asks.machine = "another machine".to_owned();
    is(copy.join(&asks).await, (401, access_code::ENROL_AGAIN));
    let no_machine = server.client(Some(&credential("w-1")));
    is(no_machine.claim(&claim_request("w-1")).await, (401, access_code::ENROL_AGAIN));
    original.claim(&claim_request("w-1")).await.expect("the machine it was let in on goes on");
    asks = asks_to_join("w-1b", Some(&join_token));
    assert_eq!(copy.join(&asks).await.expect("as a new worker").state, EnrolmentState::Pending);
}

#[tokio::test]
async fn a_credential_that_is_somebody_elses_lets_nobody_ask() {
    let server = Guarded::start(Spoken::Plain).await;
    let wanted = NewToken { name: "image".into(), role: Role::Join, network: None, limit: None, expires_in_ms: None };
    let token = server.admin.make_token(&wanted).await.expect("made").token;
    let nobody = server.client(None);
    let first = asks_to_join("w-1", Some(&token));
    nobody.join(&first).await.expect("it asks");
    nobody.join(&first).await.expect("again is its own");
    let second = JoinRequest { worker: "w-2".into(), ..first };
    is(nobody.join(&second).await, (401, access_code::ENROL_AGAIN));
    let blank = asks_to_join("w-1 ", Some(&token));
    is(nobody.join(&blank).await, (400, code::BAD_REQUEST));
}

#[tokio::test]
async fn a_join_token_that_is_over_used_up_or_from_elsewhere_lets_nobody_ask() {
    let server = Guarded::start(Spoken::Plain).await;
    let make = |name: &str, network: Option<&str>, limit, expires_in_ms| {
        let network = network.map(str::to_owned);
        let wanted = NewToken { name: name.to_owned(), role: Role::Join, network, limit, expires_in_ms };
        let admin = &server.admin;
        async move { admin.make_token(&wanted).await.expect("made").token }
    };
    let nobody = server.client(None);
    let over = make("over", None, None, Some(1_000)).await;
    let once = make("once", None, Some(1), None).await;
    let elsewhere = make("elsewhere", Some("192.0.2.0/24"), None, None).await;
    let revoked = make("revoked", None, None, None).await;
    server.admin.revoke_token("revoked").await.expect("revoked");
    server.pass(Duration::from_secs(1));
    is(nobody.join(&asks_to_join("w-1", Some(&over))).await, (401, access_code::EXPIRED));
    is(nobody.join(&asks_to_join("w-1", Some(&elsewhere))).await, NOT_ALLOWED);
    is(nobody.join(&asks_to_join("w-1", Some(&revoked))).await, (401, access_code::REVOKED));
    is(nobody.join(&asks_to_join("w-1", Some("ns_join_forged"))).await, NOT_AUTHENTICATED);
    is(nobody.join(&asks_to_join("w-1", Some(&server.admin_token))).await, NOT_AUTHENTICATED);
    is(nobody.join(&asks_to_join("w-1", None)).await, NOT_AUTHENTICATED);
    nobody.join(&asks_to_join("w-1", Some(&once))).await.expect("the first");
    is(nobody.join(&asks_to_join("w-2", Some(&once))).await, NOT_ALLOWED);
    assert_eq!(server.admin.enrolments().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn without_a_rule_everybody_waits_and_with_one_as_many_as_it_says_are_let_in() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join_token, join) = server.token("image", Role::Join).await;
    assert_eq!(server.admin.join_rules().await.expect("a list"), [], "there is no rule by itself");
    let ask = |worker: &'static str| {
        let (join, token) = (&join, &join_token);
        async move { join.join(&asks_to_join(worker, Some(token))).await.expect("asked").state }
    };
    assert_eq!(ask("w-1").await, EnrolmentState::Pending);
    let rule = NewJoinRule {
        name: "second-floor".to_owned(),
        network: "127.0.0.0/8".to_owned(),
        limit: 1,
        expires_in_ms: 60_000,
    };
    server.admin.make_join_rule(&rule).await.expect("made");
    assert_eq!(ask("w-2").await, EnrolmentState::Approved);
    assert_eq!(ask("w-3").await, EnrolmentState::Pending);
    server.admin.remove_join_rule("second-floor").await.expect("removed");
    server.worker_on("w-2", &machine("w-2")).claim(&claim_request("w-2")).await.expect("it stays");
}

#[tokio::test]
async fn a_page_is_shown_to_a_program_that_brings_a_token_as_a_password() {
    let server = Guarded::start(Spoken::Plain).await;
    let (viewer, _) = server.token("vera", Role::Viewer).await;
    let http = crate::running::plain_http();
    let url = format!("http://{}/", server.address);
    let asked = http.get(&url).send().await.expect("an answer");
    assert_eq!(asked.status(), 401);
    let shown = http.get(&url).basic_auth("vera", Some(&viewer)).send().await.expect("an answer");
    assert_eq!(shown.status(), 200);
    let asked = http.post(format!("{url}v1/tokens")).basic_auth("x", Some(&server.admin_token)).json("{}");
    assert_eq!(asked.send().await.expect("an answer").status(), 401, "a password only looks");
    assert_eq!(http.get(format!("{url}healthz")).send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn no_token_is_in_any_list_or_in_the_store() {
    let server = Guarded::start(Spoken::Plain).await;
    let (token, _) = server.token("anna", Role::Owner).await;
    let listed = serde_json::to_string(&server.admin.tokens().await.expect("a list")).expect("plain");
    assert!(listed.contains("anna") && !listed.contains(&token), "{listed}");
    let kept = nightshift_store::Access::access_changes(&*server.store, 0).await.expect("read");
    assert!(!format!("{kept:?}").contains(&token[token.len() - 20..]));
    server.end().await;
}

#[tokio::test]
async fn an_open_server_asks_nobody() {
    let server = crate::running::TestServer::start_with(nightshift_server::serve::Limits {
        longest_wait: FOREVER,
        ..crate::running::limits()
    })
    .await;
    assert_eq!(server.client.me().await.expect("an answer").role, None);
    server.client.tokens().await.expect("an answer");
}
