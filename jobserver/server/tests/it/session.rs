//! Who is logged in to the dashboard, and what a session is good for: every attack on it, as a promise.

use std::time::Duration;

use nightshift_server::rate::Rate;
use nightshift_wire::{NewToken, Role};

use crate::browser::{Browser, form_key};
use crate::guarded::{Guarded, Spoken, hand_in};

/// How long a session lasts.
const DAY: Duration = Duration::from_secs(12 * 60 * 60);

#[tokio::test]
async fn who_is_not_logged_in_is_asked_to_and_then_sees_what_was_asked_for() {
    let server = Guarded::start(Spoken::Plain).await;
    let (viewer, _) = server.token("vera", Role::Viewer).await;
    let nobody = Browser::at(server.address);
    let asked = nobody.look("/jobs?state=done").await;
    assert_eq!((asked.status, asked.to.as_str()), (303, "/login?to=/jobs%3Fstate%3Ddone"));
    let form = nobody.page(&asked.to).await;
    assert!(form.contains("name=\"to\" value=\"/jobs?state=done\""), "{form}");
    let shown = nobody.send("/login", &[("token", &viewer), ("to", "/jobs?state=done")]).await;
    assert_eq!((shown.status, shown.to.as_str()), (303, "/jobs?state=done"));
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(shown.cookie.contains(part), "{}", shown.cookie);
    }
    assert!(!shown.cookie.contains(&viewer), "the token itself stays in no browser");
    let browser = Browser::log_in(server.address, &viewer).await;
    assert!(browser.page("/").await.contains("vera"));
    let elsewhere = nobody.send("/login", &[("token", &viewer), ("to", "//evil.example")]).await;
    assert_eq!(elsewhere.to, "/");
}

#[tokio::test]
async fn a_refusal_stands_in_the_frame_of_who_is_logged_in_and_for_anybody_else_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let (viewer, _) = server.token("vera", Role::Viewer).await;
    let vera = Browser::log_in(server.address, &viewer).await;
    for (path, status) in [("/nowhere", 404), ("/batches/77", 404), ("/batches/new", 403)] {
        let shown = vera.look(path).await;
        assert_eq!(shown.status, status, "{path}");
        assert!(shown.body.contains("<nav") && shown.body.contains("vera"), "{path}: {}", shown.body);
    }
    let shown = Browser::at(server.address).look("/nowhere").await;
    assert_eq!(shown.status, 404);
    assert!(!shown.body.contains("<nav") && shown.body.contains("href=\"/\""), "{}", shown.body);
}

#[tokio::test]
async fn a_wrong_token_opens_nothing_and_too_many_are_answered_no_more() {
    let server = Guarded::start_limited(Rate { burst: 3.0, per_second: 0.01 }).await;
    let nobody = Browser::at(server.address);
    for _ in 0..3 {
        let refused = nobody.send("/login", &[("token", "ns_admin_forged")]).await;
        assert_eq!((refused.status, refused.cookie.as_str()), (401, ""));
        assert!(refused.body.contains("does not know that token"), "{}", refused.body);
    }
    assert_eq!(nobody.send("/login", &[("token", "ns_admin_forged")]).await.status, 429);
}

#[tokio::test]
async fn tokens_that_open_no_page_log_nobody_in() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join, _) = server.token("image", Role::Join).await;
    let nobody = Browser::at(server.address);
    let refused = nobody.send("/login", &[("token", &join)]).await;
    assert_eq!((refused.status, refused.cookie.as_str()), (403, ""));
}

#[tokio::test]
async fn a_session_is_over_after_twelve_hours() {
    let server = Guarded::start(Spoken::Plain).await;
    let browser = Browser::log_in(server.address, &server.admin_token).await;
    let key = form_key(&browser.page("/stops").await);
    server.pass(DAY - Duration::from_millis(1));
    browser.page("/").await;
    server.pass(Duration::from_millis(1));
    assert_eq!(browser.look("/").await.to, "/login?over=yes&to=/");
    let late = browser.send("/stops", &[("act", "stop"), ("form_key", &key)]).await;
    assert_eq!(late.status, 401);
    assert!(late.body.contains("this session is over; log in again"), "{}", late.body);
    assert_eq!(server.admin.status().await.expect("answered").stopped, None);
}

#[tokio::test]
async fn who_logs_out_is_out_also_with_a_copy_of_the_cookie() {
    let server = Guarded::start(Spoken::Plain).await;
    let browser = Browser::log_in(server.address, &server.admin_token).await;
    let thief = browser.again();
    let out = browser.send("/logout", &[]).await;
    assert_eq!((out.status, out.to.as_str()), (303, "/login"));
    assert!(out.cookie.contains("Max-Age=0"), "{}", out.cookie);
    assert_eq!(thief.look("/").await.status, 303);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let server = Guarded::start(Spoken::Plain).await;
    let (viewer, _) = server.token("vera", Role::Viewer).await;
    let browser = Browser::log_in(server.address, &viewer).await;
    let mut live = browser.listen("/live").await;
    assert_eq!(live.status(), 200);
    browser.page("/").await;
    server.admin.revoke_token("vera").await.expect("revoked");
    assert_eq!(browser.look("/").await.status, 303);
    // Also what is open ends.
    while let Some(_piece) = live.chunk().await.expect("no error") {}
    // Another token of the same name is another one.
    server.token("vera", Role::Viewer).await;
    assert_eq!(browser.look("/").await.status, 303);
    server.end().await;
}

#[tokio::test]
async fn a_viewer_sees_every_page_and_changes_nothing() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    hand_in(&owner, "name\nAnn\n").await.expect("good");
    let (viewer, _) = server.token("vera", Role::Viewer).await;
    let browser = Browser::log_in(server.address, &viewer).await;
    for path in ["/", "/batches", "/batches/1", "/jobs", "/jobs/1", "/workers", "/releases", "/stops", "/acts"] {
        let page = browser.page(path).await;
        assert!(!page.contains("name=\"act\""), "{path} offers a viewer something to do: {page}");
    }
    // Its own key opens nothing either: there is none in its pages, but it could be computed from its cookie.
    for path in
        ["/batches/1", "/jobs", "/workers/w-1", "/workers/w-1/enrolment", "/stops", "/batches/new", "/batches/preview"]
    {
        let refused = browser.send(path, &[("act", "stop"), ("confirmed", "1")]).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    assert_eq!(browser.look("/batches/new").await.status, 403);
}

#[tokio::test]
async fn an_owner_sees_and_changes_its_own_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let (anna, owner) = server.token("anna", Role::Owner).await;
    let (_, other) = server.token("bert", Role::Owner).await;
    hand_in(&other, "name\nAnn\n").await.expect("good");
    hand_in(&owner, "name\nAnn\n").await.expect("good");
    let browser = Browser::log_in(server.address, &anna).await;
    assert_eq!(browser.look("/").await.to, "/batches");
    let list = browser.page("/batches").await;
    assert!(list.contains("/batches/2") && !list.contains("/batches/1\""), "{list}");
    let jobs = browser.page("/jobs").await;
    assert!(jobs.contains("/jobs/2") && !jobs.contains("/jobs/1\""), "{jobs}");
    for path in ["/batches/1", "/batches/1/errors", "/batches/1/receipt", "/batches/1/live", "/jobs/1", "/jobs?batch=1"]
    {
        assert_eq!(browser.look(path).await.status, 403, "{path}");
    }
    for path in ["/workers", "/releases", "/stops", "/acts", "/live"] {
        assert_eq!(browser.look(path).await.status, 403, "{path}");
    }
    let key = form_key(&browser.page("/batches/2").await);
    let edit = [("act", "edit"), ("id", "1"), ("revision", "1"), ("priority", "9"), ("form_key", key.as_str())];
    assert_eq!(browser.send("/jobs", &edit).await.status, 404, "nobody hears of another's job");
    let mine = browser.send("/batches/2", &[("act", "suspend"), ("form_key", &key)]).await;
    assert_eq!(mine.status, 303, "{}", mine.body);
}

#[tokio::test]
async fn a_session_fetches_results_and_changes_nothing_by_the_api() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, owner) = server.token("anna", Role::Owner).await;
    hand_in(&owner, "name\nAnn\n").await.expect("good");
    let browser = Browser::log_in(server.address, &server.admin_token).await;
    assert!(browser.page("/v1/batches/1/results").await.starts_with("name,n,error"));
    let key = form_key(&browser.page("/stops").await);
    let refused = browser.send_from("", "/v1/stop", &[("form_key", &key)]).await;
    assert_ne!(refused.status, 200);
    assert_eq!(server.admin.status().await.expect("answered").stopped, None);
}

#[tokio::test]
async fn the_key_of_one_session_is_no_key_of_another() {
    let server = Guarded::start(Spoken::Plain).await;
    let (operator, _) = server.token("olga", Role::Operator).await;
    let (one, other) =
        (Browser::log_in(server.address, &operator).await, Browser::log_in(server.address, &server.admin_token).await);
    let key = form_key(&one.page("/stops").await);
    let fields = [("act", "stop"), ("reason", "x"), ("form_key", key.as_str())];
    assert_eq!(other.send("/stops", &fields).await.status, 403);
    assert_eq!(one.send("/stops", &fields).await.status, 303);
    assert!(other.page("/acts").await.contains("olga"), "the log says who it was");
}

#[tokio::test]
async fn a_worker_is_let_in_and_out_by_admins_alone() {
    let server = Guarded::start(Spoken::Plain).await;
    let (join_token, join) = server.token("image", Role::Join).await;
    join.join(&crate::guarded::asks_to_join("w-1", Some(&join_token))).await.expect("asked");
    let (operator, _) = server.token("olga", Role::Operator).await;
    let operator = Browser::log_in(server.address, &operator).await;
    let page = operator.page("/workers").await;
    assert!(page.contains("Wait to be let in") && page.contains("an admin decides"), "{page}");
    let key = form_key(&operator.page("/stops").await);
    let approve = [("act", "approve"), ("name", "window seat"), ("form_key", key.as_str())];
    assert_eq!(operator.send("/workers/w-1/enrolment", &approve).await.status, 403);
    let admin = Browser::log_in(server.address, &server.admin_token).await;
    let done = admin.fill_in("/workers", "/workers/w-1/enrolment", &approve[..2]).await;
    assert_eq!((done.status, done.to.as_str()), (303, "/workers"), "{}", done.body);
    let page = admin.page("/workers").await;
    assert!(!page.contains("Wait to be let in"));
    let (_, awaited) =
        page.split_once("Let in, and not heard of yet").expect("it is not lost from sight until it comes");
    assert!(awaited.contains("window seat") && awaited.contains("w-1"), "{page}");
    let worker = server.worker_on("w-1", &crate::guarded::machine("w-1"));
    worker.report(&crate::access::report("w-1")).await.expect("it is here");
    assert!(!admin.page("/workers").await.contains("not heard of yet"));
    assert_eq!(server.admin.enrolments().await.expect("a list")[0].name, "window seat");
}

#[tokio::test]
async fn a_token_of_a_network_logs_nobody_in_from_elsewhere() {
    let server = Guarded::start(Spoken::Plain).await;
    let network = Some("192.0.2.0/24".to_owned());
    let wanted = NewToken { name: "far".to_owned(), role: Role::Viewer, network, limit: None, expires_in_ms: None };
    let token = server.admin.make_token(&wanted).await.expect("made").token;
    let refused = Browser::at(server.address).send("/login", &[("token", &token)]).await;
    assert_eq!((refused.status, refused.cookie.as_str()), (403, ""));
}
