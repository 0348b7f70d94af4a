//! Plugins whose data are on the worker's replica: a real one of a real primary, MariaDB and MySQL.

use std::io::Write as _;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};
use nightshift_e2e::scene::Scene;
use nightshift_replica::position::holds;
use nightshift_testbed::database::{Make, Pair, PairWishes, Server, Wishes};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{Batch, HandIn, JobSize, JobState, ReachedPosition};

/// People 1 to 5,000 without number 4,321, and an account that may only read them and see how replication is doing.
const COMPANY: [&str; 10] = [
    "SET sql_log_bin = 1",
    "CREATE DATABASE company",
    "CREATE TABLE company.people (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL)",
    "INSERT INTO company.people WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999), \
     k(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM k WHERE j < 4) \
     SELECT 1 + i + 1000 * j, CONCAT('person ', 1 + i + 1000 * j) FROM n, k",
    "DELETE FROM company.people WHERE id = 4321",
    "CREATE DATABASE nightshift_scratch",
    "CREATE USER reader@'127.0.0.1'",
    "GRANT CREATE TEMPORARY TABLES ON nightshift_scratch.* TO reader@'127.0.0.1'",
    "GRANT SELECT ON company.* TO reader@'127.0.0.1'",
    "GRANT SELECT ON nightshift.* TO reader@'127.0.0.1'",
];

/// A primary and a worker's replica of it; `None`, and said so, where this machine has none of that make.
pub(crate) fn pair(make: Make) -> Result<Option<Pair>> {
    let right = if make == Make::MariaDb { "SLAVE MONITOR" } else { "REPLICATION CLIENT" };
    let mut at_first: Vec<String> = COMPANY.map(str::to_owned).into();
    at_first.push(format!("GRANT {right} ON *.* TO reader@'127.0.0.1'"));
    let primary = Wishes { at_first, settings: vec!["--binlog-format=ROW".to_owned()], ..Wishes::default() };
    let replica = Wishes { settings: vec!["--binlog-format=ROW".to_owned()], ..Wishes::default() };
    let pair = Pair::start(make, PairWishes { primary, replica })?;
    if pair.is_none() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}: {}", make.advice())?;
    }
    Ok(pair)
}

/// Runs statements with all rights.
pub(crate) fn run(server: &Server, statements: &[&str]) -> Result<()> {
    let opts = OptsBuilder::from_opts(Opts::from_url(&server.url("nightshift"))?).prefer_socket(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Conn::new(opts).await?;
        for statement in statements {
            connection.query_drop(*statement).await.with_context(|| (*statement).to_owned())?;
        }
        Ok(connection.disconnect().await?)
    })
}

pub(crate) fn table(replica: &Server) -> String {
    format!("\n[replica]\nurl = \"mysql://reader@127.0.0.1:{}/company\"\n", replica.port())
}

/// A scene whose job server knows the primary, and whose release has `shout`, which needs the replica, and `twice`, which
/// does not.
pub(crate) fn scene(pair: &Pair) -> Result<Scene> {
    let mut scene = Scene::with_primary(&format!("mysql://nightshift@127.0.0.1:{}", pair.primary.port()))?;
    scene.put_twice(nightshift_e2e::scene::Work::Quick)?;
    let manifest = "runtime = \"sql\"\nblock = 250\n\n[input]\nid = \"integer\"\n\n[output]\nshouted = \"text\"\n\n\
                    [data]\nsource = \"replica\"\ntables = [\"people\"]\n";
    let query = "SELECT records.record_id, upper(people.name) AS shouted,\n\
                 CASE WHEN people.id IS NULL THEN CONCAT('there is no person ', records.id) END AS error\n\
                 FROM records LEFT JOIN nightshift_scratch.copied people ON people.id = records.id\n";
    scene.central.put("plugins/shout/plugin.toml", manifest)?;
    // What it reads it copies when it opens: an instance that is opened too early has old names for good.
    let open = "CREATE TEMPORARY TABLE nightshift_scratch.copied (PRIMARY KEY (id)) AS SELECT id, name FROM people;\n";
    scene.central.put("plugins/shout/open.mysql.sql", open)?;
    scene.central.put("plugins/shout/query.mysql.sql", query)?;
    scene.central.cut("1.0.0")?;
    Ok(scene)
}

/// Hands in keys 1 to 5,000 for `shout`. Waits until the job server knows a release.
fn hand_in_keys(scene: &Scene) -> Result<Batch> {
    let hand_in = HandIn {
        plugin: "shout".into(),
        table: Some("people".into()),
        key_column: Some("id".into()),
        from: Some(1),
        to: Some(5_000),
        job_size: Some(JobSize::Records(1_000)),
        ..HandIn::default()
    };
    wait::until("the job server to take the keys", SOON, || {
        let nothing = futures_util::stream::iter(Vec::<Result<_, std::io::Error>>::new());
        scene.ask(async |client| client.hand_in(&hand_in, nothing).await).ok()
    })
}

/// Every key has its result, and the one without a row its error.
fn check(scene: &Scene, batch: &Batch, name: &str) -> Result<()> {
    let batch = scene.done(batch.id)?;
    assert_eq!((batch.records, batch.results, batch.errors), (5_000, 5_000, 1));
    let results = scene.results(batch.id)?;
    let mut expected = "id,shouted,error\n".to_owned();
    for id in 1..=5_000 {
        expected += &match id {
            4321 => "4321,,there is no person 4321\n".to_owned(),
            id => format!("{id},{name} {id},\n"),
        };
    }
    assert!(results == expected, "{results:.500}");
    Ok(())
}

#[test]
fn a_range_of_keys_is_processed_on_the_replica_and_a_key_without_a_row_is_an_error_of_its_record() -> Result<()> {
    let Some(pair) = pair(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&pair)?;
    let worker = scene.grid.worker("w1", &table(&pair.replica))?;
    let _cycle = worker.start_cycle()?;
    let batch = hand_in_keys(&scene)?;
    assert_eq!(batch.jobs, 5);
    check(&scene, &batch, "PERSON")
}

#[test]
fn a_worker_without_a_replica_does_the_jobs_that_need_none_and_leaves_the_others_to_one_that_has_it() -> Result<()> {
    let Some(pair) = pair(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&pair)?;
    let without = scene.grid.worker("without", "")?;
    let _cycle = without.start_cycle()?;
    let keys = hand_in_keys(&scene)?;
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    assert_eq!(scene.batch(keys.id)?.jobs_done, 0, "nobody can do these yet");
    let with = scene.grid.worker("with", &table(&pair.replica))?;
    let _another = with.start_cycle()?;
    check(&scene, &keys, "PERSON")?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.pickups == 1), "the other never took one: {jobs:#?}");
    Ok(())
}

#[test]
fn a_replica_that_goes_away_costs_no_job_anything_and_holds_up_no_job_that_does_not_need_it() -> Result<()> {
    let Some(mut pair) = pair(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&pair)?;
    let worker = scene.grid.worker("w1", &table(&pair.replica))?;
    pair.replica.crash();
    let _cycle = worker.start_cycle()?;
    let keys = hand_in_keys(&scene)?;
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.state == JobState::Waiting), "nobody can do these: {jobs:#?}");
    // The package's helper, which runs as root, starts the service again when there is this file.
    let asked = worker.state().replica().join("restart");
    wait::until("the helper to be asked", SOON, || asked.exists().then_some(()))?;
    let says = |status: &serde_json::Value| {
        status.to_string().contains("where the package's helper is enabled, it was asked to")
    };
    worker.status_says("the status to say so", SOON, says)?;
    pair.replica.restart()?;
    check(&scene, &keys, "PERSON")?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.failures == 0), "nothing of it counts: {jobs:#?}");
    Ok(())
}

/// The replica is held back while the company changes every name; then keys are handed in.
fn held_back(make: Make) -> Result<()> {
    let Some(pair) = pair(make)? else { return Ok(()) };
    let scene = scene(&pair)?;
    let worker = scene.grid.worker("w1", &table(&pair.replica))?;
    let _cycle = worker.start_cycle()?;
    let before = hand_in_keys(&scene)?;
    check(&scene, &before, "PERSON")?;

    let word = if make == Make::MariaDb { "SLAVE" } else { "REPLICA" };
    run(&pair.replica, &[&format!("STOP {word} SQL_THREAD")])?;
    run(&pair.primary, &["UPDATE company.people SET name = REPLACE(name, 'person', 'somebody')"])?;
    let keys = hand_in_keys(&scene)?;
    let position = keys.position.clone().context("the hand-in notes a position")?;
    let reason = wait::until("a job to be given back with the reason", SOON, || {
        let jobs = scene.jobs(keys.id).ok()?;
        let waits = |reason: &String| reason.contains(&position.gtid) && reason.contains("SQL thread");
        jobs.into_iter().map(|job| job.reason).find(waits)
    })?;
    assert!(reason.contains(&position.primary), "{reason}");
    // It is told of the others, which wait, too.
    let explained = || {
        let waiting = scene.jobs(keys.id).ok()?.into_iter().find(|job| job.state == JobState::Waiting)?;
        let summary = scene.ask(async |client| client.explain(waiting.id).await).ok()?.summary;
        (summary.contains("needs the worker's replica, which is not current") && summary.contains("SQL thread"))
            .then_some(())
    };
    wait::until("the job to be explained by the replica", SOON, explained)?;
    // Jobs that need no replica go on meanwhile.
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    let batch = scene.batch(keys.id)?;
    assert_eq!((batch.jobs_done, batch.results), (0, 0), "no job is processed on older data");

    run(&pair.replica, &[&format!("START {word} SQL_THREAD")])?;
    check(&scene, &keys, "SOMEBODY")?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.failures == 0 && job.losses == 0), "nothing of it counts: {jobs:#?}");
    let receipt = scene.ask(async |client| client.receipt(keys.id).await)?;
    assert!(!receipt.by_position.is_empty(), "{receipt:#?}");
    for of in &receipt.by_position {
        let (primary, gtid) = (of.primary.clone().unwrap_or_default(), of.position.clone().unwrap_or_default());
        let reached = ReachedPosition { primary, gtid };
        assert!(holds(&reached, &position.primary, &position.gtid), "{reached:?} for {position:?}");
    }
    Ok(())
}

#[test]
fn no_job_is_processed_on_data_older_than_its_hand_in_and_each_is_when_a_mariadb_has_caught_up() -> Result<()> {
    held_back(Make::MariaDb)
}

#[test]
fn no_job_is_processed_on_data_older_than_its_hand_in_and_each_is_when_a_mysql_has_caught_up() -> Result<()> {
    held_back(Make::MySql)
}

#[test]
fn a_server_that_is_no_replica_gets_no_job_that_needs_one() -> Result<()> {
    let Some(pair) = pair(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&pair)?;
    run(&pair.replica, &["STOP SLAVE", "RESET SLAVE ALL"])?;
    let worker = scene.grid.worker("w1", &table(&pair.replica))?;
    let _cycle = worker.start_cycle()?;
    let keys = hand_in_keys(&scene)?;
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.state == JobState::Waiting && job.pickups == 0), "{jobs:#?}");
    Ok(())
}
