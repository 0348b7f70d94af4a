//! Launchers and cores killed at bad moments: every record still gets exactly one result.

use anyhow::{Context, Result, ensure};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::grid::{Cycle, Worker};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::Batch;

const RECORDS: u32 = 600;

/// A moment to kill a core at: what the batch and the core's folder look like then.
type Moment = (&'static str, fn(&Batch, &Disk) -> bool);

/// What a core has on disk.
struct Disk {
    /// Attempts that are noted.
    attempts: usize,
    /// Attempts whose records are there.
    records: usize,
    /// Bytes of results, of all attempts.
    journal: u64,
}

/// Moments of a batch of twenty jobs of two blocks each, one after the other.
const MOMENTS: [Moment; 10] = [
    ("the core runs", |_, _| true),
    ("a job is claimed", |batch, _| batch.jobs_running > 0),
    ("an attempt is noted", |_, disk| disk.attempts > 0),
    ("its records are there", |_, disk| disk.records > 0),
    ("a block is done", |_, disk| disk.journal > 0),
    ("a job is done", |batch, _| batch.jobs_done >= 1),
    ("a later job is under way", |batch, disk| batch.jobs_done >= 3 && disk.journal > 0),
    ("a later job is done", |batch, _| batch.jobs_done >= 6),
    ("most jobs are done", |batch, disk| batch.jobs_done >= 12 && disk.attempts > 0),
    ("the last jobs are under way", |batch, _| batch.jobs_done >= 17),
];

#[test]
fn a_core_killed_at_ten_moments_of_a_batch_leaves_every_record_with_exactly_one_result() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 10_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let batch = scene.hand_in_numbers(RECORDS, 30)?;
    let mut cycle = worker.start_cycle()?;
    let mut killed = Vec::new();
    for (moment, has_come) in MOMENTS {
        let core = wait::until_ok(format_args!("the moment at which {moment}"), SOON, || {
            // Cron would start the next cycle when the launcher has given up on a core that always ends.
            if !cycle.runs() {
                cycle = worker.start_cycle()?;
            }
            let Some(core) = worker.core().filter(|core| !killed.contains(&core.pid)) else { return Ok(None) };
            let now = scene.batch(batch.id)?;
            ensure!(now.jobs_done < now.jobs, "the batch was done before {moment}");
            Ok(has_come(&now, &disk(&worker)).then_some(core))
        })?;
        core.kill().with_context(|| format!("when {moment}"))?;
        killed.push(core.pid);
    }
    finish(&scene, &worker, cycle, batch.id)?;
    let jobs = scene.jobs(batch.id)?;
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

fn disk(worker: &Worker) -> Disk {
    let entries = std::fs::read_dir(worker.state().attempts()).into_iter().flatten().flatten();
    // What begins with a dot is being made or removed.
    let folders: Vec<_> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .collect();
    Disk {
        attempts: folders.len(),
        records: folders.iter().filter(|folder| folder.join("records.json").exists()).count(),
        journal: folders.iter().filter_map(|folder| Some(folder.join("journal").metadata().ok()?.len())).sum(),
    }
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
