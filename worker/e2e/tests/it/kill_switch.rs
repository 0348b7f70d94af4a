//! The kill switch: what a stop ends, which part of the grid a scope stops, and what a worker does that slept through one.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use nightshift_contract::layout::PLUGIN_PLACE;
use nightshift_e2e::scene::Scene;
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{StopRequest, StopScope, StopSeen, StopView};

const EACH: Duration = Duration::from_millis(20);

/// A scene whose plugin `twice` is a program that keeps a process in hiding.
fn scene() -> Result<Scene> {
    let mut scene = Scene::set()?;
    scene.put_twice_as_a_program(EACH, 5)?;
    scene.central.cut("1.0.0")?;
    Ok(scene)
}

/// Waits until the program runs for a job, and no more to try the release, and so does what it hides.
fn hides_something(worker: &Worker) -> Result<()> {
    worker.core_runs(None)?;
    let hidden = || worker.processes().iter().any(|process| process.command_line.starts_with("kworker")).then_some(());
    wait::until("the plugin to hide a process", SOON, hidden)
}

/// The folders that programs of this core have among the temporary files. There are some where programs get copies, or
/// have no view of their own.
fn places_of(core: u32) -> Result<Vec<String>> {
    let names = fs::read_dir(std::env::temp_dir())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with(&format!("{PLUGIN_PLACE}{core}-"))).collect())
}

#[test]
fn a_stop_ends_what_a_plugin_hides_and_loses_nothing() -> Result<()> {
    let mut scene = scene()?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(300, 150)?;
    let cycle = worker.start_cycle()?;
    hides_something(&worker)?;
    let core = worker.core_runs(None)?;
    scene.central.stop("reason = \"a wrong price list\"\n")?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    assert_eq!(worker.processes(), [], "the cycle ends when nothing of it is left");
    assert_eq!(places_of(core.pid)?, Vec::<String>::new(), "nor any folder of a program's");
    scene.start()?;
    let _cycle = worker.start_cycle()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 300)
}

#[test]
fn a_launcher_that_is_killed_takes_everything_with_it() -> Result<()> {
    let scene = scene()?;
    let worker = scene.worker("w1")?;
    scene.hand_in_numbers(300, 150)?;
    let cycle = worker.start_cycle()?;
    hides_something(&worker)?;
    cycle.kill();
    worker.none_left()
}

#[test]
fn what_outlives_launcher_and_core_is_ended_by_the_next_cycle() -> Result<()> {
    let mut scene = scene()?;
    let worker = scene.worker("w1")?;
    scene.hand_in_numbers(300, 150)?;
    let cycle = worker.start_cycle()?;
    hides_something(&worker)?;
    let core = worker.core_runs(None)?;
    let family = || fs::read_to_string(worker.state().core_family()).unwrap_or_default();
    let hidden = worker.processes().into_iter().find(|process| process.command_line.starts_with("kworker"));
    let hidden = hidden.map(|process| format!("\n{} ", process.pid)).unwrap_or_default();
    wait::until("what hides to be noted, which erased its mark", SOON, || family().contains(&hidden).then_some(()))?;
    let says_sandbox = |status: &serde_json::Value| status.to_string().contains("programs have limits");
    let status = worker.status_says("what programs are locked in by", SOON, says_sandbox)?.to_string();
    // Frozen, the core does not notice that its launcher is gone.
    core.freeze()?;
    cycle.kill();
    core.kill()?;
    wait::until("the core to end", SOON, || worker.core().is_none().then_some(()))?;
    if status.contains("limits, bubblewrap") {
        // In namespaces of its own it dies with the core.
        wait::until("the namespaces to end", SOON, || worker.processes().is_empty().then_some(()))?;
    } else {
        ensure!(!worker.processes().is_empty(), "what it hid is left over");
    }
    scene.central.stop("")?;
    assert_eq!(worker.cycle()?.code, Some(6));
    assert_eq!(worker.processes(), []);
    assert_eq!(places_of(core.pid)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_stopped_plugin_ends_at_once_and_the_others_go_on() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice_as_a_program(EACH, 5)?;
    scene.put_program("thrice", Duration::from_millis(1), 5)?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let slow = scene.hand_in_numbers(300, 150)?;
    let mut cycle = worker.start_cycle()?;
    hides_something(&worker)?;
    scene.central.stop("plugin = \"twice\"\nreason = \"it is odd\"\n")?;
    let given_back = scene.batch_is(slow.id, "in nobody's hands", |batch| batch.jobs_running == 0)?;
    let other = scene.hand_in("thrice", "n\n1\n2\n3\n", 3)?;
    scene.done(other.id)?;
    ensure!(cycle.runs(), "the worker goes on");
    let slow_now = scene.batch(slow.id)?;
    ensure!(slow_now.results == given_back.results && slow_now.jobs_running == 0, "{slow_now:?}");
    let jobs = scene.jobs(slow.id)?;
    let job = jobs.iter().find(|job| job.state == nightshift_wire::JobState::Waiting);
    let job = job.map(|job| job.id).unwrap_or_default();
    let why = scene.ask(async |client| client.explain(job).await)?;
    ensure!(why.summary.contains("plugin twice is stopped: it is odd"), "{}", why.summary);
    scene.start()?;
    scene.done(slow.id)?;
    scene.check_numbers(slow.id, 300)
}

#[test]
fn a_scope_stops_just_the_workers_it_names() -> Result<()> {
    let mut scene = scene()?;
    let (one, other) = (scene.worker("w1")?, scene.worker("w2")?);
    let (first, mut second) = (one.start_cycle()?, other.start_cycle()?);
    one.core_runs(None)?;
    other.core_runs(None)?;
    let identity: serde_json::Value = serde_json::from_slice(&fs::read(one.state().identity())?)?;
    let id = identity["worker"].as_str().unwrap_or_default().to_owned();
    scene.central.stop(&format!("worker = \"{}*\"\n", &id[..13]))?;
    assert_eq!(first.ended_within(SOON)?.code, Some(6));
    ensure!(second.runs(), "the other worker goes on");
    let names_the_release = |view: &StopView| view.stops.iter().all(|stop| stop.scope.release.is_some());
    scene.stop_otherwise("release = \"1.0.1\"\n", names_the_release)?;
    let _again = one.start_cycle()?;
    one.core_runs(None)?;
    scene.central.stop("release = \"1.0.0\"\n")?;
    assert_eq!(second.ended_within(SOON)?.code, Some(6));
    Ok(())
}

#[test]
fn a_stop_at_the_job_server_alone_stops_workers_and_is_remembered_while_it_is_away() -> Result<()> {
    let mut scene = scene()?;
    let worker = scene.grid.worker("w1", "look_every = \"1h\"\n")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    let stop = StopRequest { reason: "fire".into(), ..StopRequest::default() };
    scene.ask(async |client| client.raise_stop(&stop).await)?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    ensure!(worker.command(&["status"])?.stdout.contains("fire (job server)"));
    scene.grid.server.kill();
    assert_eq!(worker.cycle()?.code, Some(6), "nobody said that it is over");
    scene.grid.server.restart()?;
    let seen = scene.ask(async |client| client.stop("", Duration::ZERO).await)?;
    let expected = StopSeen { place: "job server".into(), reason: "fire".into(), scope: StopScope::default() };
    assert_eq!(seen.stops, [expected], "a restart forgets no stop");
    scene.ask(async |client| client.clear_stops().await)?;
    let _cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    Ok(())
}

#[test]
fn a_stop_on_the_default_branch_counts_too() -> Result<()> {
    let mut scene = scene()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    fs::write(scene.central.folder().join("HEAD"), "ref: refs/heads/main\n")?;
    scene.central.put("STOP", "reason = \"panic\"\n")?;
    scene.central.commit()?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    Ok(())
}

#[test]
fn a_worker_that_was_frozen_writes_nothing_before_it_has_looked_for_stops() -> Result<()> {
    let mut scene = scene()?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(1000, 1000)?;
    let cycle = worker.start_cycle()?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running == 1)?;
    hides_something(&worker)?;
    let core = worker.core_runs(None)?;
    cycle.freeze()?;
    core.freeze()?;
    let written = || -> Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for attempt in fs::read_dir(worker.state().attempts())? {
            for file in fs::read_dir(attempt?.path())? {
                let file = file?;
                files.push((file.path().display().to_string(), file.metadata()?.len()));
            }
        }
        files.sort();
        Ok(files)
    };
    let before = written()?;
    scene.central.stop("reason = \"while it slept\"\n")?;
    // Longer than a loaded machine explains.
    let mut looks = 0;
    let _ = wait::until("time to pass", Duration::from_secs(8), || {
        looks += 1;
        None::<()>
    });
    core.thaw()?;
    let noticed = || worker.said().contains("nothing is written before the launcher has looked").then_some(());
    wait::until("the core to notice that time jumped", SOON, noticed)?;
    let thawed = written()?;
    ensure!(thawed == before, "it wrote before anybody had looked: {before:?}, {thawed:?}");
    nightshift_testbed::grid::Process { pid: cycle.pid(), name: String::new(), command_line: String::new() }.thaw()?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    assert_eq!(written()?, before, "nor after: it was stopped");
    worker.none_left()
}
