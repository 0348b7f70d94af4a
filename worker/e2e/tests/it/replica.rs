//! Plugins whose data are on the worker's replica, here a MariaDB that plays one.

use std::io::Write as _;

use anyhow::Result;
use nightshift_e2e::scene::Scene;
use nightshift_testbed::database::{Make, Server, Wishes};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{Batch, HandIn, JobSize, JobState};

/// People 1 to 5,000 without number 4,321, and an account that may only read them.
const COMPANY: [&str; 6] = [
    "CREATE DATABASE IF NOT EXISTS company",
    "CREATE TABLE IF NOT EXISTS company.people (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL)",
    "INSERT IGNORE INTO company.people SELECT seq, CONCAT('person ', seq) FROM company.seq_1_to_5000",
    "DELETE FROM company.people WHERE id = 4321",
    "CREATE USER IF NOT EXISTS reader@'127.0.0.1'",
    "GRANT SELECT ON company.* TO reader@'127.0.0.1'",
];

/// The replica; `None`, and said so, where this machine has no MariaDB.
fn replica() -> Result<Option<Server>> {
    let statements = COMPANY.map(str::to_owned).to_vec();
    let server = Server::start(Make::MariaDb, Wishes { statements, ..Wishes::default() })?;
    if server.is_none() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "\nNOT RUN: a test on MariaDB: {}", Make::MariaDb.advice())?;
    }
    Ok(server)
}

fn table(server: &Server) -> String {
    format!("\n[replica]\nurl = \"mysql://reader@127.0.0.1:{}/company\"\n", server.port())
}

/// A scene whose release has `shout`, which needs the replica, and `twice`, which does not.
fn scene() -> Result<Scene> {
    let mut scene = Scene::set()?;
    scene.put_twice(nightshift_e2e::scene::Work::Quick)?;
    let manifest = "runtime = \"sql\"\nblock = 250\n\n[input]\nid = \"integer\"\n\n[output]\nshouted = \"text\"\n\n\
                    [data]\nsource = \"replica\"\ntables = [\"people\"]\n";
    let query = "SELECT records.record_id, upper(people.name) AS shouted,\n\
                 CASE WHEN people.id IS NULL THEN CONCAT('there is no person ', records.id) END AS error\n\
                 FROM records LEFT JOIN people ON people.id = records.id\n";
    scene.central.put("plugins/shout/plugin.toml", manifest)?;
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
fn check(scene: &Scene, batch: &Batch) -> Result<()> {
    let batch = scene.done(batch.id)?;
    assert_eq!((batch.records, batch.results, batch.errors), (5_000, 5_000, 1));
    let results = scene.results(batch.id)?;
    let mut expected = "id,shouted,error\n".to_owned();
    for id in 1..=5_000 {
        expected += &match id {
            4321 => "4321,,there is no person 4321\n".to_owned(),
            id => format!("{id},PERSON {id},\n"),
        };
    }
    assert!(results == expected, "{results:.500}");
    Ok(())
}

#[test]
fn a_range_of_keys_is_processed_on_the_replica_and_a_key_without_a_row_is_an_error_of_its_record() -> Result<()> {
    let Some(server) = replica()? else { return Ok(()) };
    let scene = scene()?;
    let worker = scene.grid.worker("w1", &table(&server))?;
    let _cycle = worker.start_cycle()?;
    let batch = hand_in_keys(&scene)?;
    assert_eq!(batch.jobs, 5);
    check(&scene, &batch)
}

#[test]
fn a_worker_without_a_replica_does_the_jobs_that_need_none_and_leaves_the_others_to_one_that_has_it() -> Result<()> {
    let Some(server) = replica()? else { return Ok(()) };
    let scene = scene()?;
    let without = scene.grid.worker("without", "")?;
    let _cycle = without.start_cycle()?;
    let keys = hand_in_keys(&scene)?;
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    assert_eq!(scene.batch(keys.id)?.jobs_done, 0, "nobody can do these yet");
    let with = scene.grid.worker("with", &table(&server))?;
    let _another = with.start_cycle()?;
    check(&scene, &keys)?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.pickups == 1), "the other never took one: {jobs:#?}");
    Ok(())
}

#[test]
fn a_replica_that_goes_away_costs_no_job_anything_and_holds_up_no_job_that_does_not_need_it() -> Result<()> {
    let Some(mut server) = replica()? else { return Ok(()) };
    let scene = scene()?;
    let worker = scene.grid.worker("w1", &table(&server))?;
    server.crash();
    let _cycle = worker.start_cycle()?;
    let keys = hand_in_keys(&scene)?;
    let numbers = scene.hand_in_numbers(100, 10)?;
    scene.done(numbers.id)?;
    wait::until("a job to be given back", SOON, || {
        let jobs = scene.jobs(keys.id).ok()?;
        jobs.iter().any(|job| job.pickups > 0 && job.state == JobState::Waiting).then_some(())
    })?;
    server.restart()?;
    check(&scene, &keys)?;
    let jobs = scene.jobs(keys.id)?;
    assert!(jobs.iter().all(|job| job.failures == 0), "nothing of it counts: {jobs:#?}");
    Ok(())
}
