//! The repository or the job server is away.

use anyhow::{Context, Result};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::wait::SOON;
use serde_json::Value;

fn step<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["steps"].as_array()?.iter().find(|step| step["step"] == name)
}

#[test]
fn a_worker_carries_on_without_its_repository_for_max_offline_and_not_longer() -> Result<()> {
    let mut scene = Scene::with_release()?;
    scene.central.put("nightshift.toml", "[workers]\nmax_offline = \"20s\"\n")?;
    scene.central.cut("1.1.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(30, 10)?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    let away = scene.folder().join("away.git");
    move_folder(scene.central.folder(), &away)?;

    let status = worker.status_says("the repository to be missed", SOON, |status| {
        step(status, "look").is_some_and(|look| look["ok"] == false)
    })?;
    let look = step(&status, "look").context("it looked")?;
    assert!(look["next"].as_str().is_some_and(|next| !next.is_empty()), "{look}");
    scene.done(batch.id)?;

    let ended = cycle.ended_within(SOON)?;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("max_offline"), "{}", ended.stderr);
    worker.none_left()?;
    assert_eq!(worker.cycle()?.code, Some(75), "the next cycle starts nothing either");

    move_folder(&away, scene.central.folder())?;
    let _cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    Ok(())
}

#[test]
fn a_stop_flag_once_seen_stands_while_the_repository_is_away() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    scene.central.stop("reason = \"a reason\"\n")?;
    assert_eq!(worker.cycle()?.code, Some(6));
    move_folder(scene.central.folder(), &scene.folder().join("away.git"))?;
    assert_eq!(worker.cycle()?.code, Some(6));
    worker.none_left()
}

#[test]
fn a_worker_that_never_saw_its_repository_says_so() -> Result<()> {
    let scene = Scene::set()?;
    let worker = scene.grid.worker("w1", "repository = \"file:///nowhere/central.git\"\n")?;
    let ended = worker.cycle()?;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("/nowhere/central.git"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_cycle_does_not_need_the_job_server() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    scene.grid.server.kill();
    let ended = worker.cycle()?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(worker.status().context("a status")?["release"], "v1.0.0");
    Ok(())
}

#[test]
fn a_job_server_killed_in_the_middle_of_a_batch_loses_nothing() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 10_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(400, 20)?;
    let _cycle = worker.start_cycle()?;
    for share in [50, 150, 250] {
        scene.batch_is(batch.id, "further on", |batch| batch.results >= share)?;
        scene.grid.server.kill();
        scene.grid.server.restart()?;
    }
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 400)
}

#[allow(clippy::disallowed_methods, reason = "takes the repository away and brings it back")]
fn move_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    Ok(std::fs::rename(from, to)?)
}
