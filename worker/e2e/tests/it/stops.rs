//! The stop flag and the stop file.

use anyhow::Result;
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::wait::SOON;
use nightshift_wire::WorkerState;

#[test]
fn a_stop_flag_stops_every_process_and_removing_it_starts_everything() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.0.0")?;
    let workers = [scene.worker("w1")?, scene.worker("w2")?];
    let batch = scene.hand_in_numbers(1000, 100)?;
    let cycles = workers.iter().map(|worker| worker.start_cycle()).collect::<Result<Vec<_>>>()?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running > 0)?;

    scene.central.stop("reason = \"a wrong price list\"\n")?;
    for cycle in cycles {
        let ended = cycle.ended_within(SOON)?;
        assert_eq!(ended.code, Some(6), "{ended:?}");
        assert_eq!(ended.stderr, "", "a stop that is meant needs no mail from cron");
    }
    for worker in &workers {
        worker.none_left()?;
        let status = worker.command(&["status"])?;
        assert!(status.stdout.contains("stopped") && status.stdout.contains("a wrong price list"), "{}", status.stdout);
        assert_eq!(worker.cycle()?.code, Some(6), "the next cycle sees it too");
        worker.none_left()?;
    }
    let known = scene.ask(async |client| client.workers().await)?;
    assert!(known.iter().all(|worker| worker.report.state == WorkerState::Stopped), "{known:#?}");
    assert!(scene.batch(batch.id)?.results < 1000, "it was stopped on the way");

    scene.start()?;
    let _cycles = workers.iter().map(|worker| worker.start_cycle()).collect::<Result<Vec<_>>>()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 1000)
}

#[test]
fn a_worker_hears_of_a_stop_from_the_job_server_long_before_it_would_look_itself() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.grid.worker("w1", "look_every = \"1h\"\n")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    scene.central.stop("reason = \"a wrong price list\"\n")?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    worker.none_left()
}

#[test]
fn an_empty_flag_a_garbled_one_and_a_ref_named_stop_all_stop() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    for content in ["", "= not toml", "plugin = \"other\"\ncolour = \"red\"\n"] {
        scene.central.stop(content)?;
        let ended = worker.cycle()?;
        assert_eq!(ended.code, Some(6), "{content:?}: {ended:?}");
    }
    scene.central.put_control(&[("Stop.md", "# Stop")])?;
    assert_eq!(worker.cycle()?.code, Some(6));
    scene.start()?;
    let commit = scene.central.commit()?;
    scene.central.push_ref("refs/heads/stop", commit)?;
    assert_eq!(worker.cycle()?.code, Some(6));
    worker.none_left()
}

#[test]
fn while_the_flag_stands_no_release_is_switched_in() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    scene.central.stop("")?;
    assert_eq!(worker.cycle()?.code, Some(6));
    assert!(!worker.state().in_force().exists());
    Ok(())
}

#[test]
fn a_stopped_release_ends_the_job_that_was_begun_with_it_although_another_is_in_force() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(10_000, 10_000)?;
    let cycle = worker.start_cycle()?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running > 0)?;
    scene.put_twice(Work::Quick)?;
    scene.central.cut("1.1.0")?;
    worker.status_says("release v1.1.0 to be in force", SOON, |status| status["release"] == "v1.1.0")?;

    scene.central.stop("release = \"1.0.0\"\nreason = \"wrong prices\"\n")?;
    cycle.ended_within(SOON)?;
    worker.none_left()?;
    let _cycle = worker.start_cycle()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 10_000)
}

#[test]
fn a_stop_file_stops_one_worker_within_seconds_and_only_that() -> Result<()> {
    let scene = Scene::with_release()?;
    let (worker, other) = (scene.worker("w1")?, scene.worker("w2")?);
    let cycle = worker.start_cycle()?;
    let mut others = other.start_cycle()?;
    worker.core_runs(None)?;
    other.core_runs(None)?;
    assert_eq!(worker.command(&["stop", "--reason", "new disk"])?.code, Some(0));
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    worker.none_left()?;
    assert!(worker.command(&["status"])?.stdout.contains("new disk"));
    assert_eq!(worker.cycle()?.code, Some(6));
    assert!(others.runs(), "the other worker goes on");

    assert_eq!(worker.command(&["start"])?.code, Some(0));
    let _cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    Ok(())
}

#[test]
fn a_core_that_does_not_listen_is_killed_after_a_grace() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?.freeze()?;
    scene.central.stop("")?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(6));
    worker.none_left()
}
