//! Launchers and cores killed at bad moments: every record still gets exactly one result.

use anyhow::{Context, Result};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::grid::{Cycle, Worker};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::Batch;

const RECORDS: u32 = 600;

/// A moment to kill a core at: what the batch and the core's folder look like then.
type Moment = (&'static str, fn(&Batch, &CoreFolder) -> bool);

/// What a core has on disk.
struct CoreFolder {
    attempts: usize,
    files: usize,
}

/// Moments of a batch of thirty jobs, one after the other: at rest, on the way to a job, with a job just noted,
/// between checkpoints, around a submission, towards the end.
const MOMENTS: [Moment; 10] = [
    ("the core to run", |_, _| true),
    ("a job to be claimed", |batch, _| batch.jobs_running > 0),
    ("an attempt to be noted", |_, folder| folder.attempts > 0),
    ("a first checkpoint", |_, folder| folder.files > 2),
    ("a first job to be done", |batch, _| batch.jobs_done >= 1),
    ("an attempt to be cleared away", |batch, folder| batch.jobs_done >= 2 && folder.attempts == 0),
    ("several jobs to be done", |batch, _| batch.jobs_done >= 5),
    ("another attempt to be noted", |batch, folder| batch.jobs_done >= 8 && folder.attempts > 0),
    ("most jobs to be done", |batch, _| batch.jobs_done >= 20),
    ("the last jobs", |batch, _| batch.jobs_done >= 28),
];

#[test]
fn a_core_killed_at_ten_moments_of_a_batch_leaves_every_record_with_exactly_one_result() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 3000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 20)?;
    let mut cycle = worker.start_cycle()?;
    let mut last = None;
    for (moment, has_come) in MOMENTS {
        let core = wait::until_ok(format_args!("a core at the moment of {moment}"), SOON, || {
            // Cron would start the next cycle when the launcher has given up on a core that always ends.
            if !cycle.runs() {
                cycle = worker.start_cycle()?;
            }
            let Some(core) = worker.core().filter(|core| Some(core.pid) != last) else { return Ok(None) };
            let now = scene.batch(batch.id)?;
            let come = has_come(&now, &core_folder(&worker)) || now.jobs_done == now.jobs;
            Ok(come.then_some(core))
        })?;
        core.kill().with_context(|| format!("at the moment of {moment}"))?;
        last = Some(core.pid);
    }
    finish(&scene, &worker, cycle, batch.id)?;
    let jobs = scene.jobs(batch.id)?;
    assert!(jobs.iter().any(|job| job.pickups > 0), "{jobs:#?}");
    assert!(jobs.iter().all(|job| job.failures == 0), "a kill is not the job's fault: {jobs:#?}");
    Ok(())
}

#[test]
fn when_the_launcher_is_killed_its_core_ends_and_the_next_cycle_recovers() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 200)?;
    let cycle = worker.start_cycle()?;
    scene.batch_is(batch.id, "claimed", |batch| batch.jobs_running > 0)?;
    cycle.kill();
    worker.none_left()?;
    let status = worker.command(&["status"])?;
    assert!(status.stdout.contains("did not come to its end"), "{}", status.stdout);
    let cycle = worker.start_cycle()?;
    finish(&scene, &worker, cycle, batch.id)
}

#[test]
fn launcher_and_core_killed_together_as_by_a_power_cut_lose_nothing() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 10_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 40)?;
    for share in [40, 200, 400] {
        let cycle = worker.start_cycle()?;
        scene.batch_is(batch.id, "further on", |batch| batch.results >= share)?;
        for process in worker.processes() {
            let _ = process.kill();
        }
        cycle.kill();
        worker.none_left()?;
    }
    let cycle = worker.start_cycle()?;
    finish(&scene, &worker, cycle, batch.id)
}

#[test]
fn a_core_that_outlived_its_launcher_is_ended_by_the_next_cycle() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    core.freeze()?;
    cycle.kill();
    let _cycle = worker.start_cycle()?;
    worker.core_runs(Some(core.pid))?;
    assert!(worker.processes().iter().all(|process| process.pid != core.pid), "the frozen core is gone");
    Ok(())
}

fn core_folder(worker: &Worker) -> CoreFolder {
    let attempts: Vec<_> = std::fs::read_dir(worker.state().attempts()).into_iter().flatten().flatten().collect();
    let files = |folder: &std::fs::DirEntry| std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    CoreFolder { attempts: attempts.len(), files: attempts.iter().map(files).sum() }
}

/// Goes on with cycles until the batch is done, and checks it.
fn finish(scene: &Scene, worker: &Worker, mut cycle: Cycle, batch: i64) -> Result<()> {
    wait::until_ok("the batch to be done", SOON * 2, || {
        if !cycle.runs() {
            cycle = worker.start_cycle()?;
        }
        let now = scene.batch(batch)?;
        Ok((now.jobs_done == now.jobs).then_some(()))
    })
    .with_context(|| worker.said())?;
    scene.done(batch)?;
    scene.check_numbers(batch, RECORDS)
}
