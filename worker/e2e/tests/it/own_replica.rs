//! Workers that run the replica themselves: they learn the way to the primary from the job server and nothing is set up on them.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_replica::server::{self, Place};
use nightshift_testbed::database::{Company, Founding, Make, Server, Way, Wishes};
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{Batch, HandIn, JobSize};
use rustix::process::{Pid, Signal, kill_process};

/// A company with people 1 to 500; `None`, and said so, where this machine has no such server.
fn company(make: Make) -> Result<Option<Company>> {
    company_with(make, Way::Plain)
}

/// The same, with a way to copy its primary.
fn company_with(make: Make, way: Way) -> Result<Option<Company>> {
    let people: Vec<String> = (1..=500).map(|id| format!("({id}, 'person {id}')")).collect();
    let mut at_first = vec![
        "CREATE TABLE company.people (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL)".to_owned(),
        format!("INSERT INTO company.people VALUES {}", people.join(",")),
        "GRANT SLAVE MONITOR ON *.* TO copier@'127.0.0.1'".to_owned(),
    ];
    // MySQL shows whom a server copies to whoever may replicate.
    at_first.truncate(if make == Make::MariaDb { 3 } else { 2 });
    let company = Company::found(make, Founding { at_first, way, ..Founding::default() })?;
    if company.is_none() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}: {}", make.advice())?;
    }
    Ok(company)
}

/// A scene whose job server tells workers of the primary, with a release whose one plugin needs the replica.
fn scene(company: &Company) -> Result<Scene> {
    scene_with(company, "")
}

/// The same, with further lines of `[replication]`.
fn scene_with(company: &Company, more: &str) -> Result<Scene> {
    let mut scene = Scene::set_with(&company.for_job_server(more))?;
    let manifest = "runtime = \"sql\"\nblock = 50\n\n[input]\nid = \"integer\"\n\n[output]\nshouted = \"text\"\n\n\
                    [data]\nsource = \"replica\"\ntables = [\"people\"]\n";
    let query =
        "SELECT records.record_id, upper(people.name) AS shouted FROM records JOIN people ON people.id = records.id\n";
    scene.central.put("plugins/shout/plugin.toml", manifest)?;
    scene.central.put("plugins/shout/query.mysql.sql", query)?;
    scene.central.cut("1.0.0")?;
    Ok(scene)
}

/// A worker that runs its server by itself.
fn worker(scene: &Scene, company: &Company) -> Result<Worker> {
    scene.grid.worker("w1", &company.for_workers())
}

fn keys(from: i64, to: i64) -> HandIn {
    HandIn {
        plugin: "shout".into(),
        table: Some("people".into()),
        key_column: Some("id".into()),
        from: Some(from),
        to: Some(to),
        job_size: Some(JobSize::Records(100)),
        ..HandIn::default()
    }
}

fn hand_in_keys(scene: &Scene, from: i64, to: i64) -> Result<Batch> {
    let hand_in = keys(from, to);
    wait::until("the job server to take the keys", SOON, || {
        let nothing = futures_util::stream::iter(Vec::<Result<_, std::io::Error>>::new());
        scene.ask(async |client| client.hand_in(&hand_in, nothing).await).ok()
    })
}

fn on_the_primary(primary: &Server, statement: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Conn::new(Opts::from_url(&primary.url("company"))?).await?;
        connection.query_drop(statement).await?;
        Ok(connection.disconnect().await?)
    })
}

/// Throws away every binary log of the primary but the last. One that a connection just lost still reads stays for a moment.
fn purge(primary: &Server) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let purged = async || {
        let mut connection = Conn::new(Opts::from_url(&primary.url("company"))?).await?;
        let logs: Vec<(String, u64)> = connection.query("SHOW BINARY LOGS").await?;
        let (last, _) = logs.last().context("a binary log")?;
        connection.query_drop(format!("PURGE BINARY LOGS TO '{last}'")).await?;
        connection.disconnect().await?;
        anyhow::Ok((logs.len() == 1).then_some(()))
    };
    wait::until_ok("the binary logs to be purged", SOON, || runtime.block_on(purged()))
}

fn server_of(worker: &Worker) -> Option<u32> {
    server::pid(&Place::new(worker.state().replica()))
}

fn is_current(worker: &Worker) -> Result<()> {
    let current = |status: &serde_json::Value| status["replica"]["state"] == "current";
    worker.status_says("the replica to be current", 2 * SOON, current).map(drop)
}

const MAKES: [Make; 2] = [Make::MariaDb, Make::MySql];

#[test]
fn a_worker_builds_its_replica_itself_and_works_on_data_as_new_as_the_batch() -> Result<()> {
    for make in MAKES {
        // As everything that leaves a machine should go.
        let Some(company) = company_with(make, Way::Tls)? else { continue };
        let scene = scene(&company)?;
        let worker = worker(&scene, &company)?;
        let cycle = worker.start_cycle()?;
        let batch = hand_in_keys(&scene, 1, 500)?;
        let batch = scene.done(batch.id)?;
        assert_eq!((batch.results, batch.errors), (500, 0), "{}", worker.said());
        is_current(&worker)?;
        // What was written on the primary before a hand-in is there for its jobs.
        on_the_primary(&company.primary, "UPDATE people SET name = 'changed'")?;
        let changed = hand_in_keys(&scene, 1, 100)?;
        scene.done(changed.id)?;
        let results = scene.results(changed.id)?;
        assert_eq!(results.matches(",CHANGED,").count(), 100, "{results}");
        // The server outlives the launcher, and is found again.
        let pid = server_of(&worker).context("it runs")?;
        cycle.kill();
        wait::until("the core to end", SOON, || worker.core().is_none().then_some(()))?;
        assert_eq!(server_of(&worker), Some(pid));
        let _cycle = worker.start_cycle()?;
        worker.core_runs(None)?;
        is_current(&worker)?;
        assert_eq!(server_of(&worker), Some(pid), "{}", worker.said());
    }
    Ok(())
}

#[test]
fn a_stop_ends_the_server_too_and_the_next_cycle_has_it_again() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let cycle = worker.start_cycle()?;
    is_current(&worker)?;
    assert!(server_of(&worker).is_some());
    worker.command(&["stop", "--reason", "a test"])?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    worker.none_left()?;
    assert_eq!(worker.cycle()?.code, Some(6));
    assert_eq!(server_of(&worker), None, "a cycle that is stopped starts none");
    worker.command(&["start"])?;
    let _cycle = worker.start_cycle()?;
    is_current(&worker)
}

#[test]
fn a_server_that_freezes_is_seen_at_once_and_started_again_by_the_worker() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let _cycle = worker.start_cycle()?;
    is_current(&worker)?;
    let frozen = server_of(&worker).context("it runs")?;
    kill_process(Pid::from_raw(frozen.cast_signed()).context("a process")?, Signal::STOP)?;
    let away = |status: &serde_json::Value| status["replica"]["state"] == "away";
    worker.status_says("the replica to be away", SOON, away)?;
    let another = || server_of(&worker).filter(|pid| *pid != frozen);
    wait::until("another server", 2 * SOON, another).with_context(|| worker.said())?;
    is_current(&worker)?;
    let batch = hand_in_keys(&scene, 1, 100)?;
    assert_eq!(scene.done(batch.id)?.errors, 0);
    Ok(())
}

#[test]
fn a_replica_that_was_copied_without_a_heartbeat_is_judged_by_positions_and_works() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    // As where somebody grants rights on a table before it is there.
    let (table, account) = (nightshift_testbed::database::HEARTBEAT, "copier@'127.0.0.1'");
    on_the_primary(&company.primary, &format!("REVOKE ALL PRIVILEGES ON {table} FROM {account}"))?;
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let _cycle = worker.start_cycle()?;
    is_current(&worker)?;
    let says = |status: &serde_json::Value| status.to_string().contains("without the primary's heartbeat");
    worker.status_says("the status to say so", SOON, says)?;
    let batch = hand_in_keys(&scene, 1, 100)?;
    assert_eq!(scene.done(batch.id)?.errors, 0);
    // Once it may read the heartbeat, only a rebuild makes use of that.
    let doctor = || worker.command(&["doctor"]).map(|ended| ended.stdout);
    assert!(doctor()?.contains("cannot read the heartbeat's table"), "{}", doctor()?);
    on_the_primary(&company.primary, &format!("GRANT SELECT ON {table} TO {account}"))?;
    assert!(doctor()?.contains("have the replica built anew: nightshift-worker stop, remove"), "{}", doctor()?);
    Ok(())
}

#[test]
fn a_heartbeat_table_that_is_dropped_is_made_again_which_the_job_servers_log_says_and_reaches_the_replica() -> Result<()>
{
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let _cycle = worker.start_cycle()?;
    is_current(&worker)?;
    on_the_primary(&company.primary, &format!("DROP TABLE {}", nightshift_testbed::database::HEARTBEAT))?;
    let says = || std::fs::read_to_string(scene.grid.server.log()).ok().filter(|log| log.contains("is made again"));
    wait::until("the job server to say so", SOON, says)?;
    // What the replica shows is younger than the table that was dropped.
    on_the_primary(&company.primary, "INSERT INTO people VALUES (1000, 'late')")?;
    let batch = hand_in_keys(&scene, 1000, 1000)?;
    assert_eq!(scene.done(batch.id)?.errors, 0);
    let doctor = worker.command(&["doctor"])?.stdout;
    assert!(doctor.contains("heartbeat of server") && !doctor.contains("no heartbeat"), "{doctor}");
    Ok(())
}

#[test]
fn a_replica_that_can_follow_no_more_is_built_anew_by_itself() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let cycle = worker.start_cycle()?;
    is_current(&worker)?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    // While the server is off, what it needs next is thrown away.
    let pid = server_of(&worker).and_then(|pid| Pid::from_raw(pid.cast_signed())).context("it runs")?;
    kill_process(pid, Signal::KILL)?;
    wait::until("the server to end", SOON, || server_of(&worker).is_none().then_some(()))?;
    for statement in ["INSERT INTO people VALUES (1000, 'late')", "FLUSH BINARY LOGS"] {
        on_the_primary(&company.primary, statement)?;
    }
    purge(&company.primary)?;
    on_the_primary(&company.primary, "INSERT INTO people VALUES (1001, 'later')")?;
    let _cycle = worker.start_cycle()?;
    // Once at first, and once more now.
    let built = || worker.said().matches("was built anew by a streamed dump, from 0-").count();
    wait::until("the replica to be built anew", 2 * SOON, || (built() == 2).then_some(()))?;
    is_current(&worker)?;
    let batch = hand_in_keys(&scene, 1000, 1001)?;
    assert_eq!(scene.done(batch.id)?.errors, 0);
    Ok(())
}

#[test]
fn another_password_of_the_copying_account_reaches_every_worker_by_itself() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let cycle = worker.start_cycle()?;
    is_current(&worker)?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    on_the_primary(&company.primary, "ALTER USER copier@'127.0.0.1' IDENTIFIED BY 'another'")?;
    std::fs::write(company.password_file(), "another\n")?;
    let _cycle = worker.start_cycle()?;
    let taken_over = || worker.said().contains("from now on").then_some(());
    wait::until("the worker to take it over", SOON, taken_over).with_context(|| worker.said())?;
    on_the_primary(&company.primary, "INSERT INTO people VALUES (1000, 'new')")?;
    let batch = hand_in_keys(&scene, 1000, 1000)?;
    assert_eq!(scene.done(batch.id)?.errors, 0, "{}", worker.said());
    assert_eq!(worker.said().matches("was built anew").count(), 1, "at first, and not again: {}", worker.said());
    Ok(())
}

#[test]
fn a_worker_takes_its_data_from_the_donor_that_the_job_server_names_and_follows_the_primary() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let donor = company.replica(Wishes::default())?;
    let scene = scene_with(&company, &format!("donor = \"127.0.0.1:{}\"\n", donor.port()))?;
    let worker = worker(&scene, &company)?;
    let _cycle = worker.start_cycle()?;
    is_current(&worker)?;
    let said = worker.said();
    assert!(said.contains(&format!("by a streamed dump from 127.0.0.1:{}", donor.port())), "{said}");
    drop(donor);
    on_the_primary(&company.primary, "INSERT INTO people VALUES (1000, 'of the primary')")?;
    let batch = hand_in_keys(&scene, 1000, 1000)?;
    assert_eq!(scene.done(batch.id)?.errors, 0, "{}", worker.said());
    Ok(())
}

#[test]
fn a_primary_that_begins_a_new_history_under_its_old_name_has_every_replica_built_anew() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let worker = worker(&scene, &company)?;
    let cycle = worker.start_cycle()?;
    is_current(&worker)?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    // What the replica is connected to stays all green, and nothing arrives any more.
    on_the_primary(&company.primary, "RESET MASTER")?;
    on_the_primary(&company.primary, "INSERT INTO people VALUES (1000, 'of the new history')")?;
    let _cycle = worker.start_cycle()?;
    let found = || worker.said().contains("what its primary never had").then_some(());
    wait::until("the worker to find out", SOON, found).with_context(|| worker.said())?;
    let built = || (worker.said().matches("was built anew by a streamed dump").count() == 2).then_some(());
    wait::until("the replica to be built anew", 2 * SOON, built).with_context(|| worker.said())?;
    // Hand-ins wait for a name that tells the histories apart.
    let nothing = futures_util::stream::iter(Vec::<Result<_, std::io::Error>>::new());
    let refused = scene.ask(async |client| client.hand_in(&keys(1000, 1000), nothing).await);
    let words = format!("{:#}", refused.expect_err("the positions mean nothing"));
    assert!(words.contains("SET GLOBAL server_id"), "{words}");
    Ok(())
}

#[test]
fn with_a_replica_that_only_a_person_can_mend_a_cycle_ends_with_7_unless_a_plugin_can_do_without() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let mut scene = scene(&company)?;
    // It is no replica.
    let table = format!("\n[replica]\nurl = \"mysql://nightshift@127.0.0.1:{}/company\"\n", company.primary.port());
    let worker = scene.grid.worker("w1", &table)?;
    let ended = worker.cycle()?;
    assert_eq!(ended.code, Some(7), "{}{}", ended.stderr, worker.said());
    let status = worker.status().context("a status")?;
    assert_eq!(status["replica"]["state"], "not_replica", "{status:#}");
    scene.put_twice(Work::Quick)?;
    scene.central.cut("1.1.0")?;
    let _cycle = worker.start_cycle()?;
    let numbers = scene.hand_in_numbers(20, 10)?;
    scene.done(numbers.id)?;
    Ok(())
}

#[test]
fn a_worker_without_a_server_to_run_says_which_package_to_install() -> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let scene = scene(&company)?;
    let program = PathBuf::from("/nonexistent/mariadbd");
    let worker = scene.grid.worker("w1", &format!("\n[replica]\nprogram = {program:?}\n"))?;
    assert_eq!(worker.cycle()?.code, Some(7), "{}", worker.said());
    let status = worker.status().context("a status")?;
    let reason = status["replica"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("/nonexistent/mariadbd"), "{reason}");
    Ok(())
}

/// What people are told of a job, and of why workers do not work.
fn told_of(scene: &Scene, batch: &Batch) -> Result<String> {
    let jobs = scene.jobs(batch.id)?;
    let job = jobs.first().context("a job")?.id;
    let explanation = scene.ask(async |client| client.explain(job).await)?;
    let workers = scene.ask(async |client| client.workers().await)?;
    let reasons: String = workers.iter().map(|worker| format!("{}\n", worker.report.reason)).collect();
    Ok(format!("{}\n{reasons}", explanation.summary))
}

#[test]
fn a_copying_account_that_the_primary_refuses_is_named_wherever_people_look_and_taken_again_when_it_is_set_right()
-> Result<()> {
    let Some(company) = company(Make::MariaDb)? else { return Ok(()) };
    let right = std::fs::read_to_string(company.password_file())?;
    std::fs::write(company.password_file(), "of another account\n")?;
    let mut scene = scene(&company)?;
    // With a plugin that can do without, the worker goes on.
    scene.put_twice(Work::Quick)?;
    scene.central.cut("1.1.0")?;
    let worker = worker(&scene, &company)?;
    let _cycle = worker.start_cycle()?;
    let batch = hand_in_keys(&scene, 1, 100)?;
    let whole = |text: &str| {
        text.contains("refused the copying account copier") && text.contains("[replication] of jobserver.toml")
    };
    let says = |status: &serde_json::Value| {
        status["reason"].as_str().is_some_and(whole) && status["replica"]["reason"].as_str().is_some_and(whole)
    };
    let status = worker.status_says("the status to name the account", SOON, says)?;
    assert_eq!(
        status["replica"]["reason"].as_str().map(|reason| reason.matches("Access denied").count()),
        Some(1),
        "{status:#}"
    );
    let told = wait::until("whoever asks to be told", 2 * SOON, || {
        told_of(&scene, &batch).ok().filter(|told| told.lines().all(whole))
    });
    told.with_context(|| told_of(&scene, &batch).unwrap_or_default())?;
    let doctor = worker.command(&["doctor"])?.stdout;
    assert!(
        doctor.lines().filter(|line| whole(line)).count() >= 2 && !doctor.contains("none yet; one is built"),
        "{doctor}"
    );
    std::fs::write(company.password_file(), right)?;
    is_current(&worker)?;
    assert_eq!(scene.done(batch.id)?.errors, 0, "{}", worker.said());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(worker.state().replica())?.permissions());
    assert_eq!(mode & 0o777, 0o700, "its owner's alone");
    Ok(())
}
