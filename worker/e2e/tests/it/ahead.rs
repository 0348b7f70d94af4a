//! The next job is on the worker's disk while one is in hand: whatever dies then, nothing is lost and nobody idles.

use anyhow::Result;
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::{self, SOON};

const RECORDS: u32 = 240;

/// Four jobs of some seconds each.
fn scene_of_long_jobs() -> Result<Scene> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 300_000 })?;
    scene.central.cut("1.0.0")?;
    Ok(scene)
}

/// How many attempts on the worker's disk have `file`, and so many bytes of it at least.
fn with_file(worker: &Worker, file: &str, bytes: u64) -> usize {
    let attempts = std::fs::read_dir(worker.state().attempts()).into_iter().flatten().flatten();
    let long_enough = |path: std::path::PathBuf| path.metadata().is_ok_and(|file| file.len() >= bytes);
    attempts.filter(|attempt| long_enough(attempt.path().join(file))).count()
}

/// Waits until one job is in hand and the next is ready.
fn job_ahead(worker: &Worker) -> Result<()> {
    wait::until("a job in hand and one ahead", SOON, || (with_file(worker, "records.json", 1) == 2).then_some(()))
}

#[test]
fn a_job_server_away_for_a_whole_job_idles_nobody_and_loses_nothing() -> Result<()> {
    let mut scene = scene_of_long_jobs()?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 60)?;
    let _cycle = worker.start_cycle()?;
    job_ahead(&worker)?;
    scene.grid.server.kill();
    // Results of both: the job ahead was begun although the first could not be handed in.
    const SOME_RESULTS: u64 = 400;
    wait::until("work on the job ahead", SOON, || (with_file(&worker, "journal", SOME_RESULTS) == 2).then_some(()))?;
    scene.grid.server.restart()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, RECORDS)?;
    let jobs = scene.jobs(batch.id)?;
    assert!(jobs.iter().all(|job| job.pickups == 1 && job.failures == 0), "{jobs:#?}");
    Ok(())
}

#[test]
fn a_core_killed_with_a_job_ahead_goes_on_with_both() -> Result<()> {
    let scene = scene_of_long_jobs()?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 60)?;
    let _cycle = worker.start_cycle()?;
    job_ahead(&worker)?;
    worker.core_runs(None)?.kill()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, RECORDS)?;
    let jobs = scene.jobs(batch.id)?;
    assert!(jobs.iter().all(|job| job.pickups == 1 && job.failures == 0), "{jobs:#?}");
    Ok(())
}
