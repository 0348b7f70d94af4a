//! What may be handed in: CSV, JSON lines, gzip, a range of keys; and the look before it, the dry run.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use nightshift_rules::sizing::Measured;
use nightshift_server::serve::Limits;
use nightshift_wire::{
    ErrorRate, HandIn, InputFormat, InputProblem, JobSize, Preview, Provenance, Report, SizedBy, Submission,
    WorkerState, code,
};

use crate::log;
use crate::running::{LEASE, TestServer, asks_for, limits, pieces, refusal};

fn packed(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("packed");
    encoder.finish().expect("packed").into()
}

fn keys(from: i64, to: i64) -> HandIn {
    let (table, key_column) = (Some("people".to_owned()), Some("name".to_owned()));
    HandIn { table, key_column, from: Some(from), to: Some(to), ..asks_for("count") }
}

async fn preview(server: &TestServer, asked: &HandIn, input: impl Into<Bytes>) -> Preview {
    server.client.preview(asked, pieces([input.into()])).await.expect("a preview")
}

/// Does every job and says that it took so long.
async fn process_all_in(server: &TestServer, work_ms: u64) {
    while let Some(claim) = server.claim("w-1").await {
        let submission = server.process(&claim).await;
        let provenance = Provenance { work_ms, ..submission.provenance };
        let submission = Submission { provenance, ..submission };
        server.client.submit(claim.attempt, &submission).await.expect("accepted");
    }
}

#[tokio::test]
async fn a_packed_csv_is_taken_as_what_it_unpacks_to() {
    let server = TestServer::start().await;
    let text = "name,town\nAnn,York\nBob,Ely\nCid,Bath\n";
    let cut: Vec<Bytes> = packed(text.as_bytes()).chunks(3).map(Bytes::copy_from_slice).collect();
    let batch = server.client.hand_in(&asks_for("count"), pieces(cut)).await.expect("known by its first bytes");
    assert_eq!((batch.records, batch.jobs), (3, 2));

    let url = format!("http://{}/v1/batches?plugin=count", server.address);
    let http = crate::running::plain_http();
    let said = http.post(&url).header("content-encoding", "gzip").body(packed(text.as_bytes())).send().await;
    assert_eq!(said.expect("an answer").status(), 201, "known by its head");
    let other = http.post(&url).header("content-encoding", "br").body("x").send().await.expect("an answer");
    assert_eq!(other.status(), 415);
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, "name,town,n,error\nAnn,York,3,\nBob,Ely,3,\nCid,Bath,3,\n");
}

#[tokio::test]
async fn gzip_that_is_cut_or_unpacks_to_very_much_is_refused_and_leaves_nothing() {
    let server = TestServer::start().await;
    let good = packed("name\nAnn\n".repeat(10_000).as_bytes());
    let cut = good.slice(..good.len() - 5);
    let error = server.hand_in(cut).await.expect_err("cut");
    assert_eq!((refusal(&error).status, refusal(&error).code.as_str()), (422, code::BAD_CSV));
    assert!(refusal(&error).detail.contains("damaged or ends too early"), "{}", refusal(&error).detail);

    let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
    bomb.write_all(b"name\n").expect("packed");
    let row = [vec![b'x'; 500_000], b"\n".to_vec()].concat();
    for _ in 0..150 {
        bomb.write_all(&row).expect("packed");
    }
    let bomb: Bytes = bomb.finish().expect("packed").into();
    let error = server.hand_in(bomb).await.expect_err("a bomb");
    assert_eq!((refusal(&error).status, refusal(&error).code.as_str()), (413, code::TOO_LARGE));
    assert_eq!(server.client.batches().await.expect("listed"), []);
}

#[tokio::test]
async fn the_first_leases_follow_the_samples_of_the_plugin() {
    let server = TestServer::start().await;
    server.catalogue.send_modify(|catalogue| {
        let mut with_samples = (**catalogue).clone();
        // A minute a record.
        let samples = Measured { records: 2, work_ms: 120_000 };
        with_samples.plugins.get_mut("count").expect("it is there").samples = samples;
        *catalogue = std::sync::Arc::new(with_samples);
    });
    server.hand_in("name\nAnn\nBob\n").await.expect("good");
    let first = server.claim("w-1").await.expect("a job");
    assert_eq!(first.lease_ms, 2 * 2 * 60_000, "twice the time that two records take");
    let mut quick = server.process(&first).await;
    quick.provenance.work_ms = 2;
    server.client.submit(first.attempt, &quick).await.expect("accepted");
    server.hand_in("name\nCid\nDan\n").await.expect("good");
    let second = server.claim("w-1").await.expect("a job");
    assert_eq!(u128::from(second.lease_ms), LEASE.as_millis(), "it is quick, and no lease is shorter");
}

/// A CSV of very many tiny records, packed to almost nothing.
fn tiny_rows(rows: usize) -> Bytes {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"name\n").expect("packed");
    for _ in 0..rows / 1_000 {
        bomb.write_all("a\n".repeat(1_000).as_bytes()).expect("packed");
    }
    bomb.finish().expect("packed").into()
}

#[tokio::test]
async fn tiny_records_out_of_very_little_are_refused_and_leave_nothing() {
    let server = TestServer::start().await;
    let asked = HandIn { job_size: Some(JobSize::Records(10_000)), ..asks_for("count") };
    let bomb = tiny_rows(1_000_000);
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    let error = server.client.hand_in(&asked, pieces([bomb])).await.expect_err("a bomb");
    let problem = refusal(&error);
    assert_eq!((problem.status, problem.code.as_str()), (413, code::TOO_LARGE));
    assert!(problem.detail.contains("takes more than 200 times its size"), "{}", problem.detail);
    assert_eq!(server.client.batches().await.expect("listed"), []);
    assert_eq!(server.claim("w-1").await, None);
}

#[tokio::test]
async fn a_batch_of_more_records_or_bytes_than_it_may_have_is_refused_and_leaves_nothing() {
    let few = Limits { records: 1_000, input: 5_000, ..limits() };
    let server = TestServer::start_with(few).await;
    let rows = |rows: usize| Bytes::from(format!("name\n{}", "a\n".repeat(rows)));
    let just_enough = server.hand_in(rows(1_000)).await.expect("as many as it may have");
    assert_eq!(just_enough.records, 1_000);
    let much = Bytes::from(format!("name\n{}", "abcdefgh\n".repeat(900)));
    let keyed = HandIn { key: Some("monday".to_owned()), ..asks_for("count") };
    for (asked, csv, said) in [
        (asks_for("count"), rows(1_001), "it is more than the 1000 records a batch may have here (max_records in"),
        (asks_for("count"), much.clone(), "it is more than the 5000 bytes a batch may have here (max_input in"),
        (keyed, much, "it is more than the 5000 bytes a batch may have here (max_input in"),
        (HandIn { dry_run: true, ..asks_for("count") }, rows(1_001), "it is more than the 1000 records"),
        (keys(1, 1_001), Bytes::new(), "1001 keys are more than the 1000 records a batch may have here"),
    ] {
        let error = match asked.dry_run {
            true => server.client.preview(&asked, pieces([csv])).await.expect_err("too much"),
            false => server.client.hand_in(&asked, pieces([csv])).await.expect_err("too much"),
        };
        let problem = refusal(&error);
        assert_eq!((problem.status, problem.code.as_str()), (413, code::TOO_LARGE), "{}", problem.detail);
        assert!(problem.detail.contains(said), "{}", problem.detail);
    }
    let all = server.client.batches().await.expect("listed");
    assert_eq!(all.iter().map(|batch| batch.id).collect::<Vec<_>>(), [just_enough.id]);
    // Nor does anything remain where nobody looks.
    assert_eq!(server.stored_records(), 1_000);
}

#[tokio::test]
async fn a_hand_in_that_broke_off_is_in_the_log_with_who_and_how_far() {
    let (log, _heard) = log::heard();
    let server = TestServer::start().await;
    let long = "Ann\n".repeat(500);
    let csv = pieces([Bytes::from(format!("name\n{long}")), Bytes::from("Bob,too much\n")]);
    server.client.hand_in(&asks_for("count"), csv).await.expect_err("ragged");
    let said = log.said();
    let line = said.lines().find(|line| line.contains("broken off")).unwrap_or_else(|| panic!("{said}"));
    let told = "handing in batch \"monday\": line 502: 2 fields";
    assert!(line.contains(told), "{line}");
    assert!(line.contains("(handed in by anybody; broken off after ") && line.contains(" 2018 bytes)"), "{line}");
}

#[tokio::test]
async fn json_lines_become_a_batch_whose_fields_are_as_they_were_written() {
    let server = TestServer::start().await;
    let asked = HandIn { format: Some(InputFormat::Jsonl), ..asks_for("count") };
    let lines =
        "{\"id\": 1.10, \"name\": \"Ann, \\u00c5\"}\n{\"name\": null, \"id\": 123456789012345678901234567890}\n";
    let batch = server.client.hand_in(&asked, pieces([Bytes::from(lines)])).await.expect("good");
    assert_eq!(batch.columns, ["id", "name"]);
    server.process_all().await;
    let expected = "id,name,n,error\n1.10,\"Ann, Å\",7,\n123456789012345678901234567890,,,the name is empty\n";
    assert_eq!(server.results(batch.id).await, expected);

    let answer = server.ask("POST", "/v1/batches?plugin=count", "application/x-ndjson", "{\"name\": []}\n").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("line 1: \\\"name\\\" is a list or an object"), "{}", answer.body);
}

#[tokio::test]
async fn a_range_of_keys_makes_records_that_never_travelled() {
    let server = TestServer::start().await;
    let asked = HandIn { job_size: Some(JobSize::Records(1_000)), ..keys(-1, 2_499) };
    let batch = server.client.hand_in(&asked, pieces([])).await.expect("good");
    assert_eq!((batch.columns.as_slice(), batch.records, batch.jobs), (&["name".to_owned()][..], 2_501, 3));
    server.process_all().await;
    let results = server.results(batch.id).await;
    let lines: Vec<&str> = results.lines().collect();
    assert_eq!((lines[1], lines[2], lines[2_501]), ("-1,2,", "0,1,", "2499,4,"));
}

#[tokio::test]
async fn a_range_of_keys_that_makes_no_sense_is_refused() {
    let server = TestServer::start().await;
    let mut all = String::new();
    for (path, body) in [
        ("table=people", ""),
        ("table=people&key_column=name&from=2&to=1", ""),
        ("table=people&key_column=name&from=-9223372036854775808&to=9223372036854775807", ""),
        ("table=towns&key_column=name&from=1&to=2", ""),
        ("table=people&key_column=id&from=1&to=2", ""),
        ("table=people&key_column=name&from=1&to=2", "name\n1\n"),
        ("key=a%0Ab", "name\n1\n"),
        ("job_size=-1", "name\n1\n"),
    ] {
        let answer = server.ask("POST", &format!("/v1/batches?plugin=count&name=x&{path}"), "text/csv", body).await;
        let problem: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let detail = problem["detail"].as_str().expect("a detail");
        all.push_str(&format!("{path}\n{} {}: {detail}\n", answer.status, problem["code"].as_str().expect("a code")));
    }
    insta::assert_snapshot!(all);
    assert_eq!(server.client.batches().await.expect("listed"), []);
}

#[tokio::test]
async fn a_blank_line_of_a_csv_with_one_column_is_a_record() {
    let server = TestServer::start().await;
    let batch = server.hand_in("name\nAnn\n\nBob\n").await.expect("good");
    assert_eq!(batch.records, 3);
    server.process_all().await;
    assert_eq!(server.results(batch.id).await, "name,n,error\nAnn,3,\n,,the name is empty\nBob,3,\n");
}

#[tokio::test]
async fn a_dry_run_stores_nothing_and_tells_what_it_saw() {
    let server = TestServer::start().await;
    let csv = "id,name,town\n1,Ann,York\n2,Bob,Ely\n3,Cid,Bath\n4,Dan,York\n5,Eve,Ely\n";
    let preview = preview(&server, &asks_for("count"), csv).await;
    assert_eq!((preview.plugin.as_str(), preview.release.as_str()), ("count", "v1.0.0"));
    assert_eq!(
        (preview.columns.as_slice(), preview.required.as_slice()),
        (&["id", "name", "town"].map(str::to_owned)[..], &["name".to_owned()][..])
    );
    assert_eq!(
        (preview.ignored.as_slice(), preview.outputs.as_slice()),
        (&["id", "town"].map(str::to_owned)[..], &["n".to_owned()][..])
    );
    assert_eq!(preview.first, [["1", "Ann", "York"], ["2", "Bob", "Ely"], ["3", "Cid", "Bath"]]);
    assert_eq!((preview.records, preview.complete, preview.job_size, preview.jobs), (5, true, 2, 3));
    assert_eq!(preview.job_size_by, SizedBy::Setting);
    assert!(preview.estimate.how.starts_with("unknown: no job of count was done yet"), "{}", preview.estimate.how);
    assert_eq!((preview.problems.as_slice(), preview.more_problems), (&[][..], 0));
    assert_eq!(server.client.batches().await.expect("listed"), []);
    assert_eq!(server.claim("w-1").await, None);
}

#[tokio::test]
async fn a_dry_run_estimates_by_measured_speed_and_by_the_workers_that_are_there() {
    let server = TestServer::start().await;
    server.hand_in("name\nAnn\nBob\n").await.expect("good");
    process_all_in(&server, 8_000).await;
    for worker in ["w-1", "w-2"] {
        let report = Report {
            worker: worker.to_owned(),
            host: "pc".to_owned(),
            state: WorkerState::Waiting,
            reason: String::new(),
            release: "v1.0.0".to_owned(),
            refused: Vec::new(),
            trial: None,
            replica: None,
            spool: nightshift_wire::Spool::default(),
            steps: Vec::new(),
        };
        server.client.report(&report).await.expect("taken");
    }
    let preview = preview(&server, &asks_for("count"), "name\na\nb\nc\n").await;
    assert_eq!((preview.estimate.work_ms, preview.estimate.elapsed_ms), (Some(12_000), Some(6_000)));
    let how = "measured: 2 records took 8000 ms of work lately; 2 workers with nothing else to do";
    assert_eq!(preview.estimate.how, how);
}

#[tokio::test]
async fn a_dry_run_names_every_line_that_is_wrong() {
    let server = TestServer::start().await;
    let preview = preview(&server, &asks_for("count"), "name,town\nAnn\nBob,Ely\nCid,Bath,x\n\"Dan\n").await;
    let problem = |line, column, detail: &str| InputProblem { line: Some(line), column, detail: detail.to_owned() };
    assert_eq!(
        preview.problems,
        [
            problem(
                2,
                None,
                "line 2: 1 field, but the header names 2 columns; add what is missing, or write a comma for each field that is to stay empty"
            ),
            problem(
                4,
                None,
                "line 4: 3 fields, but the header names 2 columns; take out what is too many, or put fields with a comma in them into quotes"
            ),
            problem(5, Some(1), "line 5, column 1 (name): the quote that opens here is never closed"),
        ]
    );
    assert_eq!((preview.records, preview.complete), (1, false));

    let preview = self::preview(&server, &asks_for("count"), "nom\nAnn\n").await;
    assert_eq!((preview.problems.len(), preview.records), (1, 0));
    assert!(preview.problems[0].detail.contains("needs column name"), "{:?}", preview.problems);
}

#[tokio::test]
async fn a_dry_run_can_stop_after_the_records_asked_for() {
    let server = TestServer::start().await;
    let asked = HandIn { first: Some(2), ..asks_for("count") };
    let seen = preview(&server, &asked, "name\nAnn\nBob\nCid\n\"never closed\n").await;
    assert_eq!((seen.records, seen.complete, seen.jobs), (2, false, 1));
    let seen = preview(&server, &HandIn { first: Some(3), ..asks_for("count") }, "name\nAnn\nBob\nCid\n").await;
    assert_eq!((seen.records, seen.complete, seen.jobs), (3, true, 2));
}

#[tokio::test]
async fn an_automatic_job_size_follows_the_measured_speed_and_the_working_hours() {
    let server = TestServer::start().await;
    let auto = HandIn { job_size: Some(JobSize::Auto), ..asks_for("count") };
    let size = async || {
        let preview = preview(&server, &auto, "name\nAnn\n").await;
        (preview.job_size, preview.job_size_by)
    };
    assert_eq!(size().await, (2, SizedBy::Setting), "nothing is measured");
    server.catalogue.send_modify(|catalogue| {
        let mut sampled = (**catalogue).clone();
        let count = sampled.plugins.get_mut("count").expect("the plugin");
        count.samples = Measured { records: 1, work_ms: 600_000 };
        *catalogue = sampled.into();
    });
    assert_eq!(size().await, (1, SizedBy::Samples), "a record of its samples took ten minutes");
    server.hand_in(format!("name\n{}", "Ann\n".repeat(20))).await.expect("good");
    process_all_in(&server, 2_000).await;
    assert_eq!(size().await, (900, SizedBy::Measured), "a quarter of an hour at a second each");
    server.catalogue.send_modify(|catalogue| {
        let mut short = (**catalogue).clone();
        short.settings.hours.add("mon-sun 12:00-12:05").expect("hours");
        *catalogue = short.into();
    });
    assert_eq!(
        size().await,
        (Duration::from_secs(300).as_secs() as u32, SizedBy::Measured),
        "never longer than a window"
    );
}

#[tokio::test]
async fn a_hand_in_may_require_something_else_of_workers_than_its_plugin() {
    let server = TestServer::start().await;
    let asked = HandIn {
        memory: Some("2GB".to_owned()),
        tags: vec!["gpu".to_owned(), "floor:3".to_owned()],
        min_release: Some("1.0.0".to_owned()),
        key: Some("k".to_owned()),
        ..asks_for("count")
    };
    let send = |asked: HandIn| {
        let client = &server.client;
        async move { client.hand_in(&asked, pieces([Bytes::from("name\nAnn\n")])).await }
    };
    let batch = send(asked.clone()).await.expect("good");
    let required = &batch.requirements;
    assert_eq!((required.memory_mb, required.disk_mb, required.release.as_deref()), (2_000, 0, Some("1.0.0")));
    assert_eq!(required.tags, ["floor:3".to_owned(), "gpu".to_owned()].into());
    assert_eq!(server.claim("w-1").await, None, "it has neither the memory nor the tags");

    let other = HandIn { memory: Some("1GB".to_owned()), ..asked.clone() };
    assert_eq!(refusal(&send(other).await.expect_err("it is asked for otherwise")).code, code::KEY_REUSED);
    let other = HandIn { error_rate: Some(ErrorRate::per_mille(50)), ..asked };
    assert_eq!(refusal(&send(other).await.expect_err("it is asked for otherwise")).code, code::KEY_REUSED);
    let wrong = HandIn { disk: Some("lots".to_owned()), ..asks_for("count") };
    let refused = send(wrong).await.expect_err("no amount");
    assert_eq!(refusal(&refused).code, code::BAD_REQUEST);
    assert!(refusal(&refused).detail.contains("disk: \"lots\" is no amount"), "{refused}");
}
