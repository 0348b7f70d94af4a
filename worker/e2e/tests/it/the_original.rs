//! Defects of the original that take real processes to show; docs/THE-ORIGINAL.md lists all of them.
#![allow(clippy::disallowed_methods, reason = "starts a process that is in nobody's way; ended by its handle")]

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::faults::Proxy;
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::{self, SOON};

/// A process that waits until it is ended.
struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ps | grep php` was the lock: whoever had an editor open on one of its files blocked every cycle.
#[test]
fn a_process_with_the_programs_names_in_its_command_line_blocks_nothing() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let names = ["nightshift-worker", "run", "nightshift-launcher", "nightshift-core", "nightshift.php"];
    let bystander = Command::new("sh").args(["-c", "read _"]).args(names).stdin(Stdio::piped()).spawn();
    let _bystander = Bystander(bystander.context("starting a bystander")?);
    let batch = scene.hand_in_numbers(40, 10)?;
    let _cycle = worker.start_cycle()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 40)
}

/// A worker that slept while another took its job over went on when it woke, and doubled every result.
#[test]
fn a_frozen_worker_that_wakes_up_after_another_did_its_job_drops_it() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 200_000 })?;
    scene.central.put("nightshift.toml", "[jobs]\nlease = \"2s\"\n")?;
    scene.central.cut("1.0.0")?;
    let (frozen, other) = (scene.worker("frozen")?, scene.worker("other")?);
    let batch = scene.hand_in_numbers(40, 40)?;
    let _cycle = frozen.start_cycle()?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running == 1)?;
    let asleep = frozen.processes();
    for process in &asleep {
        process.freeze()?;
    }
    let other_cycle = other.start_cycle()?;
    scene.done(batch.id)?;
    for process in &asleep {
        process.thaw()?;
    }
    wait::until("the sleeper to drop its job", SOON, || (attempts(&frozen) == 0).then_some(()))
        .with_context(|| frozen.said())?;
    scene.check_numbers(batch.id, 40)?;
    assert_eq!(scene.jobs(batch.id)?[0].pickups, 2);

    // It is none the worse for it.
    drop(other_cycle);
    drop(other);
    let batch = scene.hand_in_numbers(20, 20)?;
    scene.done(batch.id).with_context(|| frozen.said())?;
    scene.check_numbers(batch.id, 20)
}

/// A connection that was lost between the first record and the last threw 1,000 computed results away.
#[test]
fn results_computed_while_the_connection_is_cut_are_handed_in_when_it_is_back() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.0.0")?;
    let url = scene.grid.server.url();
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).context("a port")?;
    let proxy = Proxy::before(port)?;
    let folder = scene.folder().join("workers/w1");
    let repository = scene.grid.repository();
    let worker = Worker::create(scene.grid.programs(), &folder, repository, &[proxy.instead(&url)], "")?;
    let batch = scene.hand_in_numbers(100, 100)?;
    let _cycle = worker.start_cycle()?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running == 1)?;
    // The records may still be on their way: the first results show that they are not.
    wait::until("the first results", SOON, || (journal(&worker) > 0).then_some(())).with_context(|| worker.said())?;
    proxy.close();
    worker.status_says("the results to wait for the job server", SOON, |status| {
        status.to_string().contains("handing in results")
    })?;
    assert_eq!(scene.batch(batch.id)?.results, 0);
    proxy.heal();
    scene.done(batch.id).with_context(|| worker.said())?;
    scene.check_numbers(batch.id, 100)?;
    assert_eq!(scene.jobs(batch.id)?[0].pickups, 1, "nothing was computed twice");
    Ok(())
}

/// The attempts a worker has on disk; what begins with a dot is being made or removed.
fn attempts(worker: &Worker) -> usize {
    let entries = std::fs::read_dir(worker.state().attempts()).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
}

/// Bytes of results a worker has on disk.
fn journal(worker: &Worker) -> u64 {
    let entries = std::fs::read_dir(worker.state().attempts()).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.path().join("journal").metadata().ok()?.len())).sum()
}
