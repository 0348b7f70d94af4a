//! The dashboard on an open server: what pages show, how they are guarded, and what workers say of themselves.

use std::sync::Arc;
use std::time::Duration;

use nightshift_server::catalogue::Catalogue;
use nightshift_wire::{ActionRequest, JobAction, JobFilter, JobState, Report, StepReport, WorkerState};

use crate::browser::Browser;
use crate::running::{TestServer, catalogue};

/// Every page that needs nothing but its path, once there is a batch 1 with a job 1, and a worker w-2.
pub(crate) const PAGES: [&str; 15] = [
    "/",
    "/batches",
    "/batches/new",
    "/batches/1",
    "/batches/1/errors",
    "/batches/1/receipt",
    "/jobs",
    "/jobs/1",
    "/workers",
    "/workers/w-2",
    "/releases",
    "/stops",
    "/acts",
    "/statistics",
    "/statistics?days=1&by=worker",
];
/// What a stranger may call a thing.
const EVIL: &str = "<script>alert(1)</script>";

fn report(worker: &str, state: WorkerState) -> Report {
    Report {
        worker: worker.to_owned(),
        host: "<pc-17>".to_owned(),
        state,
        reason: "the release cannot be \"trusted\" & so <script>alert(2)</script>".to_owned(),
        release: "v1.0.0".to_owned(),
        refused: vec!["v1.1.0: signed by <b>nobody</b> we know".to_owned()],
        trial: None,
        replica: None,
        spool: nightshift_wire::Spool::default(),
        steps: vec![
            StepReport { step: "look".to_owned(), ok: true, found: "fine".to_owned(), next: String::new() },
            StepReport {
                step: "sync".to_owned(),
                ok: false,
                found: "v1.1.0 is <i>refused</i>".to_owned(),
                next: "Cut a signed release".to_owned(),
            },
        ],
    }
}

/// A server on which everything that can be called something is called a script.
pub(crate) async fn with_evil_names(server: &TestServer) {
    let path = "/v1/batches?plugin=count&name=%3Cscript%3Ealert(1)%3C/script%3E";
    let batch = server.ask("POST", path, "text/csv", format!("name\n{EVIL}\n\"\"\nBob\nAnn\nEve\n")).await;
    assert_eq!(batch.status, 201, "{}", batch.body);
    let claim = server.claim("w-1").await.expect("a job");
    let submission = server.process(&claim).await;
    server.client.submit(claim.attempt, &submission).await.expect("accepted");
    server.client.report(&report("w-2", WorkerState::Blocked)).await.expect("taken");
    let filter = JobFilter { ids: vec![2], ..JobFilter::default() };
    let request = ActionRequest { action: JobAction::Suspend, filter, reason: EVIL.to_owned(), dry_run: false };
    server.client.change_jobs(&request).await.expect("suspended");
    let stopped = Catalogue { stopped: Some("<b>fire</b>.".to_owned()), ..catalogue() };
    server.catalogue.send_replace(Arc::new(stopped));
}

#[tokio::test]
async fn an_empty_grid_says_what_to_do_first() {
    let server = TestServer::start().await;
    server.catalogue.send_replace(Arc::new(Catalogue::empty("the repository has no release that is believed")));
    let browser = Browser::at(server.address);
    let page = browser.page("/").await;
    for said in ["the repository has no release that is believed", "nightshift batch submit", "nightshift-worker run"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(browser.page("/jobs").await.contains("No job is like that"));
    assert!(browser.page("/workers").await.contains("No worker is like that"));
    assert!(browser.page("/batches/new").await.contains("nightshift release cut 1.0.0"));
}

#[tokio::test]
async fn whatever_somebody_wrote_is_text_on_every_page() {
    let server = TestServer::start().await;
    with_evil_names(&server).await;
    let browser = Browser::at(server.address);
    for path in PAGES {
        let page = browser.page(path).await;
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, 1, "{path} has scripts that are not ours: {page}");
        for evil in ["alert(1)</script>", "<b>fire", "<pc-17>", "<b>nobody", "<i>refused"] {
            assert!(!page.contains(evil), "{path}: {evil}");
        }
    }
    let batch = browser.page("/batches/1").await;
    assert!(batch.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{batch}");
    assert!(browser.page("/batches/1/errors").await.contains("the name is empty"));
    assert!(browser.page("/jobs/2").await.contains("alert(1)"));
}

#[tokio::test]
async fn pages_load_their_own_files_and_nothing_else() {
    let server = TestServer::start().await;
    with_evil_names(&server).await;
    let browser = Browser::at(server.address);
    for path in PAGES {
        let shown = browser.look(path).await;
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(shown.policy.contains(part), "{path}: {}", shown.policy);
        }
        assert!(!shown.policy.contains("unsafe"), "{path}: {}", shown.policy);
        for odd in [" style=", " onclick=", "http://", "https://", "javascript:"] {
            assert!(!shown.body.contains(odd), "{path} has {odd}");
        }
    }
    for (file, kind) in [
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.ask("GET", file, "", "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{file}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so_and_for_programs_a_problem() {
    let server = TestServer::start().await;
    let browser = Browser::at(server.address);
    for path in ["/batches/77", "/batches/x", "/jobs/77", "/workers/nobody", "/batches/77/receipt", "/nowhere"] {
        let shown = browser.look(path).await;
        assert_eq!(shown.status, 404, "{path}");
        assert!(shown.body.contains("There is no such thing") && shown.body.contains("role=\"alert\""), "{path}");
        assert!(
            shown.body.contains("<nav") && shown.body.contains("data-back"),
            "{path} leads nowhere: {}",
            shown.body
        );
        let program = server.ask("GET", path, "", "").await;
        assert_eq!((program.status, program.header("content-type")), (404, "application/problem+json"), "{path}");
    }
    for path in ["/jobs?state=lost", "/jobs?batch=seven", "/batches?state=odd", "/batches?before=x"] {
        assert_eq!(browser.look(path).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_filter_that_matches_nothing_says_so_and_offers_no_change() {
    let server = TestServer::start().await;
    server.hand_in("name\na\nb\nc\n").await.expect("good");
    let browser = Browser::at(server.address);
    let page = browser.page("/jobs?state=quarantined&batch=1").await;
    assert!(page.contains("No job is like that") && !page.contains("name=\"act\""), "{page}");
    let page = browser.page("/jobs?state=waiting&batch=1").await;
    assert!(page.contains("/jobs/1") && page.contains("/jobs/2") && page.contains("Retry…"), "{page}");
}

#[tokio::test]
async fn many_jobs_and_batches_are_paged_by_key() {
    let server = TestServer::start().await;
    let csv: String = (0..105).map(|name| format!("{name}\n")).collect();
    server.hand_in(format!("name\n{csv}")).await.expect("good");
    let browser = Browser::at(server.address);
    let first = browser.page("/jobs?batch=1").await;
    assert!(
        first.contains(">50</a>") && !first.contains(">51</a>") && first.contains("from=51&amp;batch=1"),
        "{first}"
    );
    let second = browser.page("/jobs?from=51&batch=1").await;
    assert!(second.contains(">53</a>") && !second.contains(">50</a>") && !second.contains(">Next<"), "{second}");
}

#[tokio::test]
async fn jobs_are_changed_once_their_number_was_shown() {
    let server = TestServer::start().await;
    server.hand_in("name\na\nb\nc\nd\n").await.expect("good");
    let browser = Browser::at(server.address);
    let fields = [("act", "suspend"), ("batch", "1"), ("state", "waiting"), ("reason", "too early")];
    let asked = browser.fill_in("/jobs?batch=1", "/jobs", &fields).await;
    assert_eq!(asked.status, 200);
    assert!(asked.body.contains("Suspend 2 jobs?") && asked.body.contains("waiting jobs of batch 1"), "{}", asked.body);
    assert_eq!(server.client.batch(1).await.expect("there").jobs_suspended, 0, "nothing is done before");
    let mut fields = fields.to_vec();
    fields.push(("confirmed", "yes"));
    let done = browser.fill_in("/jobs?batch=1", "/jobs", &fields).await;
    assert_eq!((done.status, done.to.as_str()), (303, "/jobs?batch=1"));
    assert_eq!(server.client.batch(1).await.expect("there").jobs_suspended, 2);
    let log = browser.page("/acts").await;
    assert!(log.contains("too early") && log.contains("suspend"), "{log}");
    assert!(log.contains("handed in batch 1") && log.contains("for count: 4 records"), "{log}");
    // Without any part a filter chooses nothing, on a page as in the API.
    let all = browser.fill_in("/jobs?batch=1", "/jobs", &[("act", "delete"), ("confirmed", "yes")]).await;
    assert_eq!(all.status, 400);
}

#[tokio::test]
async fn of_two_who_edit_a_job_the_second_is_told_and_changes_nothing() {
    let server = TestServer::start().await;
    server.hand_in("name\na\n").await.expect("good");
    let browser = Browser::at(server.address);
    let edit = |priority| [("act", "edit"), ("id", "1"), ("revision", "1"), ("priority", priority)];
    let first = browser.fill_in("/jobs/1", "/jobs", &edit("5")).await;
    assert_eq!((first.status, first.to.as_str()), (303, "/jobs/1"), "{}", first.body);
    let second = browser.fill_in("/jobs/1", "/jobs", &edit("7")).await;
    assert_eq!(second.status, 409);
    assert!(second.body.contains("somebody changed it since you opened the page"), "{}", second.body);
    let job = server.client.job(1).await.expect("there").job;
    assert_eq!((job.priority, job.revision, job.state), (5, 2, JobState::Waiting));
}

#[tokio::test]
async fn a_batch_is_suspended_resumed_and_deleted_by_who_types_its_number() {
    let server = TestServer::start().await;
    server.hand_in("name\na\n").await.expect("good");
    let browser = Browser::at(server.address);
    let path = "/batches/1";
    let shown = browser.fill_in(path, path, &[("act", "suspend"), ("reason", "wrong file")]).await;
    assert_eq!((shown.status, shown.to.as_str()), (303, path));
    let page = browser.page(path).await;
    assert!(page.contains("wrong file") && page.contains("value=\"resume\""), "{page}");
    browser.fill_in(path, path, &[("act", "resume")]).await;
    assert_eq!(server.client.batch(1).await.expect("there").suspended, None);
    let unsure = browser.fill_in(path, path, &[("act", "delete"), ("confirmed", "2")]).await;
    assert_eq!(unsure.status, 400);
    assert!(unsure.body.contains("nothing was deleted"), "{}", unsure.body);
    let sure = browser.fill_in(path, path, &[("act", "delete"), ("confirmed", "1")]).await;
    assert_eq!((sure.status, sure.to.as_str()), (303, "/batches"));
    assert_eq!(browser.look(path).await.status, 404);
}

#[tokio::test]
async fn a_file_is_looked_at_and_handed_in_with_an_ordinary_form() {
    let server = TestServer::start().await;
    let browser = Browser::at(server.address);
    let key = crate::browser::form_key(&browser.page("/batches/new").await);
    let fields = [("form_key", key.as_str()), ("plugin", "count"), ("name", "")];
    let csv = ("<b>may</b>.csv", "name,city\nAnn,Ulm\nBob,Bern\n\n");
    let seen = browser.send_file("/batches/preview", &fields, csv).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    for part in ["2 records", "Ann", "Bern", "city"] {
        assert!(seen.body.contains(part), "{part}: {}", seen.body);
    }
    assert_eq!(server.client.batches().await.expect("listed"), [], "nothing was stored");
    let odd = browser.send_file("/batches/preview", &fields, ("x.csv", "city\nUlm\n")).await;
    assert!(odd.body.contains("does not fit") && odd.body.contains("name"), "{}", odd.body);

    let taken = browser.send_file("/batches/new", &fields, csv).await;
    assert_eq!((taken.status, taken.to.as_str()), (303, "/batches/1"), "{}", taken.body);
    let batch = server.client.batch(1).await.expect("there");
    assert_eq!((batch.name.as_str(), batch.records), ("<b>may</b>", 2));
    let refused = browser.send_file("/batches/new", &fields, ("x.csv", "city\nUlm\n")).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("role=\"alert\""), "{}", refused.body);
    let forged = browser.send_file("/batches/new", &[("form_key", "x"), ("plugin", "count")], csv).await;
    assert_eq!(forged.status, 403, "{}", forged.body);
    let none = browser.send_file("/batches/new", &fields, ("", "")).await;
    assert_eq!(none.status, 400, "{}", none.body);
    assert_eq!(server.client.batches().await.expect("listed").len(), 1);
}

#[tokio::test]
async fn the_grid_is_stopped_and_started_with_a_reason() {
    let server = TestServer::start().await;
    let browser = Browser::at(server.address);
    let stop = browser.fill_in("/stops", "/stops", &[("act", "stop"), ("reason", "water in the <cellar>")]).await;
    assert_eq!(stop.status, 303, "{}", stop.body);
    assert!(server.client.status().await.expect("answered").stopped.expect("stopped").contains("water in the"));
    let page = browser.page("/batches").await;
    assert!(page.contains("<strong>Stopped.</strong>") && page.contains("&#60;cellar&#62;"), "{page}");
    let odd = browser.fill_in("/stops", "/stops", &[("act", "stop"), ("when", "yesterday")]).await;
    assert_eq!(odd.status, 400);
    browser.fill_in("/stops", "/stops", &[("act", "start")]).await;
    assert_eq!(server.client.status().await.expect("answered").stopped, None);
    let log = browser.page("/acts").await;
    assert!(log.contains("stopped everything") && log.contains("took 1 stop away"), "{log}");
}

#[tokio::test]
async fn a_form_of_another_sites_page_changes_nothing() {
    let server = TestServer::start().await;
    server.hand_in("name\na\n").await.expect("good");
    let browser = Browser::at(server.address);
    let key = crate::browser::form_key(&browser.page("/stops").await);
    let fields = [("act", "stop"), ("reason", "x"), ("form_key", key.as_str())];
    for origin in ["http://elsewhere.example", "http://127.0.0.1:1", "null", "http://127.0.0.1"] {
        assert_eq!(browser.send_from(origin, "/stops", &fields).await.status, 403, "{origin}");
    }
    assert_eq!(browser.send("/stops", &[("act", "stop"), ("reason", "x")]).await.status, 403, "a form without a key");
    assert_eq!(browser.send("/stops", &[("act", "stop"), ("form_key", "0123")]).await.status, 403, "a forged key");
    assert_eq!(server.client.status().await.expect("answered").stopped, None);
    // The API is for programs: there not even our own page may come from a browser.
    let own = format!("http://{}", server.address);
    assert_eq!(browser.send_from(&own, "/v1/stop", &[]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_page_hears_of_what_changes() {
    let server = TestServer::start().await;
    server.hand_in("name\na\nb\nc\n").await.expect("good");
    let browser = Browser::at(server.address);
    let mut grid = browser.listen("/live").await;
    let mut batch = browser.listen("/batches/1/live").await;
    assert_eq!(grid.status(), 200);
    assert_eq!(grid.headers()["content-type"], "text/event-stream");
    server.process_all().await;
    hears(&mut grid, "\"jobs.done\":\"2\"").await;
    hears(&mut batch, "\"1.percent\":\"100\"").await;
    server.end().await;
}

/// Reads on until these words come, or fails when the test's time is over.
async fn hears(stream: &mut reqwest::Response, words: &str) {
    let mut heard = String::new();
    while !heard.contains(words) {
        let piece = tokio::time::timeout(nightshift_testbed::wait::SOON, stream.chunk()).await;
        let piece = piece.unwrap_or_else(|_| panic!("never heard {words}, but {heard}"));
        let piece = piece.expect("no error").unwrap_or_else(|| panic!("it ended before {words}: {heard}"));
        heard += &String::from_utf8_lossy(&piece);
    }
}

#[tokio::test]
async fn a_report_is_listed_with_the_address_it_came_from() {
    let server = TestServer::start().await;
    let spool = nightshift_wire::Spool { jobs: 3, bytes: 12_000_000 };
    let sent = Report { spool, ..report("w-2", WorkerState::Resting) };
    server.client.report(&sent).await.expect("taken");
    let workers = server.client.workers().await.expect("listed");
    assert_eq!(workers.len(), 1);
    assert_eq!((&workers[0].report, workers[0].address.as_str()), (&sent, "127.0.0.1"));
    assert_eq!(server.client.status().await.expect("answered").workers, 1);
    let browser = Browser::at(server.address);
    assert!(browser.page("/").await.contains("<strong>3 jobs, 12 MB on 1 worker</strong>"));
    assert!(browser.page("/workers/w-2").await.contains("<dd>3 jobs, 12 MB</dd>"));
    server.leap(Duration::from_secs(121));
    assert_eq!(server.client.status().await.expect("answered").workers, 0);
    server.leap(Duration::from_secs(15 * 60));
    assert!(Browser::at(server.address).page("/workers").await.contains("state away"));
}

#[tokio::test]
async fn the_status_names_the_release_and_counts_jobs() {
    let server = TestServer::start().await;
    server.hand_in("name\na\nb\nc\n").await.expect("good");
    server.claim("w-1").await.expect("a job");
    let status = server.client.status().await.expect("answered");
    assert_eq!((status.release.as_deref(), status.release_problem.as_str()), (Some("v1.0.0"), ""));
    assert_eq!((status.jobs_waiting, status.jobs_running, status.jobs_done, status.jobs_quarantined), (1, 1, 0, 0));
    assert_eq!(server.ask("GET", "/healthz", "", "").await.body, "ok\n");
}
