//! Releases on trial, with programs of their own or with plugins that fail, tried by real boots, launchers and cores, which are
//! killed on the way.
#![allow(clippy::disallowed_methods, reason = "these tests start cycles that kill themselves at a step")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use nightshift_contract::layout::{BOOT, CORE, LAUNCHER};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_engine::binaries::digest_of;
use nightshift_manifest::binaries::{BINARIES_FILE, Binaries, Binary, Program};
use nightshift_manifest::machine::this_target;
use nightshift_manifest::trial::Journal;
use nightshift_testbed::grid::{Cycle, Worker};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{AttemptState, JobState};

/// A core that passes its samples and does nothing else.
const DYING_CORE: &str = "#!/bin/sh\n[ \"$1\" = --samples ] && exit 0\necho 'no such table' >&2\nexit 101\n";
/// A launcher that passes its self-check and does nothing else.
const IDLE_LAUNCHER: &str = "#!/bin/sh\nexit 0\n";

/// What a release brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// The programs that are built, with a tail that makes them others.
    Good,
    DyingCore,
    IdleLauncher,
}

/// Cuts a release with programs of its own.
fn cut(scene: &mut Scene, version: &str, brings: Brings) -> Result<()> {
    let shelf = scene.folder().join("shelf");
    fs::create_dir_all(&shelf)?;
    let mut binaries = Binaries::default();
    for program in Program::ALL {
        let mut bytes = match (brings, program) {
            (Brings::DyingCore, Program::Core) => DYING_CORE.into(),
            (Brings::IdleLauncher, Program::Launcher) => IDLE_LAUNCHER.into(),
            _ => fs::read(scene.grid.programs().path(program.file_name()))?,
        };
        bytes.extend(format!("# {version}\n").bytes());
        let built = shelf.join("built");
        fs::write(&built, &bytes)?;
        let sha256 = digest_of(&built)?;
        fs::rename(built, shelf.join(sha256.as_str()))?;
        let (version, target) = (version.parse()?, this_target());
        binaries = binaries.with(Binary { program, version, target, size: bytes.len() as u64, sha256 });
    }
    scene.central.put("nightshift.toml", format!("[binaries]\nfrom = [\"file://{}\"]\n", shelf.display()))?;
    scene.central.put(BINARIES_FILE, binaries.to_toml())?;
    scene.central.cut(version)?;
    Ok(())
}

/// What the worker remembers: the last good release, and the journal.
fn remembers(worker: &Worker) -> Result<(String, Journal)> {
    let [copy, _] = worker.state().trust();
    let Ok(text) = fs::read_to_string(copy) else { return Ok(Default::default()) };
    // The first line is the copy's checksum.
    let trust: serde_json::Value = serde_json::from_str(text.split_once('\n').map_or("", |(_, trust)| trust))?;
    let journal = match fs::read(worker.state().trial()) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(_) => Journal::default(),
    };
    let good = trust["in_force"]["slot"].as_str().unwrap_or_default();
    Ok((good.split('-').next().unwrap_or_default().to_owned(), journal))
}

/// Goes on with cycles, as cron does, until `is_so`.
fn until(worker: &Worker, what: &str, is_so: impl Fn(&str, &Journal) -> bool) -> Result<Cycle> {
    let mut cycle = worker.start_cycle()?;
    wait::until_ok(what, SOON * 2, || {
        if !cycle.runs() {
            cycle = worker.start_cycle()?;
        }
        let (good, journal) = remembers(worker)?;
        Ok(is_so(&good, &journal).then_some(()))
    })
    .with_context(|| format!("{:?}\n{}", remembers(worker), worker.said()))?;
    Ok(cycle)
}

#[test]
fn a_new_launcher_and_core_take_over_after_the_job_in_hand_and_prove_themselves() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    let batch = scene.hand_in_numbers(400, 200)?;
    worker.status_says("the core to work", SOON, |status| status["state"] == "working")?;
    cut(&mut scene, "1.1.0", Brings::Good)?;
    wait::until_ok("the release to prove itself", SOON * 2, || Ok((remembers(&worker)?.0 == "v1.1.0").then_some(())))
        .with_context(|| worker.said())?;
    let new = worker.core_runs(Some(core.pid))?;
    let slot = fs::canonicalize(worker.state().in_force())?;
    assert_eq!(fs::read_link(format!("/proc/{}/exe", new.pid))?, slot.join("bin").join(CORE));
    assert_eq!(fs::read_link(format!("/proc/{}/exe", cycle.pid()))?, slot.join("bin").join(LAUNCHER));
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 400)?;
    assert!(scene.jobs(batch.id)?.iter().all(|job| job.failures == 0), "no job was lost to the update");

    // A release of plugins alone keeps the processes.
    scene.central.put("data/more.txt", "more")?;
    scene.central.cut("1.2.0")?;
    worker.status_says("the plugins' release", SOON, |status| status["release"] == "v1.2.0")?;
    assert_eq!(worker.core().map(|core| core.pid), Some(new.pid));
    Ok(())
}

#[test]
fn a_core_that_dies_is_left_by_itself_and_not_taken_again() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = until(&worker, "v1.0.0", |good, _| good == "v1.0.0")?;
    cut(&mut scene, "1.1.0", Brings::DyingCore)?;
    wait::until_ok("it to be denied", SOON, || Ok((remembers(&worker)?.1.denied.len() == 1).then_some(())))
        .with_context(|| worker.said())?;
    let batch = scene.hand_in_numbers(20, 10)?;
    scene.done(batch.id)?;
    let status = worker.status_says("it to be told", SOON, |status| status["refused"][0].is_string())?;
    assert_eq!(status["release"], "v1.0.0", "{status:#}");
    let told = status["refused"][0].as_str().unwrap_or_default();
    assert!(told.starts_with("v1.1.0 was rolled back here: ") && told.contains("no such table"), "{told}");
    cycle.terminate()?;
    cycle.ended_within(SOON).map(drop)
}

#[test]
fn plugins_that_fail_every_job_are_left_within_two_cycles_and_the_job_in_hand_and_all_others_are_done_without_them()
-> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 100_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let mut cycle = until(&worker, "v1.0.0", |good, _| good == "v1.0.0")?;
    let batch = scene.hand_in_numbers(600, 100)?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_running > 0)?;
    let running = scene.jobs(batch.id)?.into_iter().filter(|job| job.state == JobState::Running);
    // Others may have been claimed ahead.
    let in_hand = running.min_by_key(|job| job.seq).context("a job is in hand")?.id;
    scene.put_twice(Work::FailsBeyondItsSample)?;
    scene.central.cut("1.1.0")?;

    let mut cycles = 1;
    wait::until_ok("the release to be found bad", SOON * 2, || {
        if !cycle.runs() {
            (cycle, cycles) = (worker.start_cycle()?, cycles + 1);
        }
        Ok((remembers(&worker)?.1.denied.len() == 1).then_some(()))
    })
    .with_context(|| worker.said())?;
    ensure!(cycles <= 2, "{cycles} cycles: {}", worker.said());
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 600)?;
    for job in scene.jobs(batch.id)? {
        let attempts = scene.ask(async |client| client.job(job.id).await)?.attempts;
        let accepted: Vec<_> = attempts.iter().filter(|attempt| attempt.state == AttemptState::Accepted).collect();
        ensure!(accepted.len() == 1 && accepted[0].release == "v1.0.0", "job {}: {attempts:#?}", job.id);
        ensure!(attempts.iter().all(|attempt| attempt.state != AttemptState::Lost), "lost: {attempts:#?}");
        ensure!(job.id != in_hand || attempts.len() == 1, "the job in hand was disturbed: {attempts:#?}");
    }
    let status = worker.status_says("it to be told", SOON, |status| status["refused"][0].is_string())?;
    assert_eq!(status["release"], "v1.0.0", "{status:#}");
    let told = status["refused"][0].as_str().unwrap_or_default();
    assert!(told.starts_with("v1.1.0 was rolled back here: every job of twice fails: "), "{told}");
    // The release manager, too, without a plan.
    let bad = wait::until_ok("the job server to tell", SOON, || {
        let rollouts = scene.ask(async |client| client.rollouts(None, "").await)?.rollouts.unwrap_or_default();
        Ok(rollouts.into_iter().find(|rollout| rollout.release == "v1.1.0").and_then(|rollout| rollout.found_bad))
    })?;
    ensure!(bad.workers == 1 && bad.says == told, "{bad:?}");
    let said = worker.said();
    ensure!(said.contains("it shows a fault: every job of twice fails: "), "the log says what was seen: {said}");
    ensure!(!said.contains("Fault {") && !said.contains("Failed("), "the log is for people: {said}");
    cycle.terminate()?;
    cycle.ended_within(SOON).map(drop)
}

#[test]
fn a_good_release_whose_launcher_somebody_kills_twice_is_taken_in_the_end() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.grid.worker("w1", "try_again = \"1s\"\n")?;
    let cycle = until(&worker, "v1.0.0", |good, _| good == "v1.0.0")?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    cut(&mut scene, "1.1.0", Brings::Good)?;
    // Nobody says that no job waits, and so it cannot prove itself before it is killed.
    scene.grid.server.kill();
    for starts in 1..=2 {
        let cycle = worker.start_cycle()?;
        wait::until_ok("the new launcher to have looked", SOON * 2, || {
            let boot = fs::read_to_string(worker.state().boot_state()).unwrap_or_default();
            let started = boot.lines().filter(|line| line.starts_with("process ")).count();
            Ok((started == starts && boot.contains("looked yes")).then_some(()))
        })
        .with_context(|| worker.said())?;
        cycle.kill();
        for process in worker.processes() {
            // It may have ended with its launcher.
            let _ = process.kill();
        }
        worker.none_left()?;
    }
    scene.grid.server.restart()?;
    let cycle = until(&worker, "v1.1.0", |good, journal| good == "v1.1.0" && journal.trial.is_none())?;
    ensure!(worker.said().contains("boot fell back from v1.1.0"), "{}", worker.said());
    ensure!(remembers(&worker)?.1.denied.is_empty(), "a good release is denied");
    cycle.terminate()?;
    cycle.ended_within(SOON).map(drop)
}

#[test]
fn a_launcher_that_does_nothing_is_left_within_two_cycles_and_every_cycle_says_so_by_8() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    cut(&mut scene, "1.1.0", Brings::IdleLauncher)?;
    let codes = [(); 4].map(|()| worker.cycle().ok().and_then(|ended| ended.code));
    // The old one takes it and gives way in the same process: the first idle try. The second, then the old one again.
    assert_eq!(codes, [Some(0), Some(0), Some(8), Some(8)], "{}", worker.said());
    let (good, journal) = remembers(&worker)?;
    assert_eq!((good.as_str(), journal.denied.len()), ("v1.0.0", 1));
    Ok(())
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// Boot or what it became, as soon as it was started.
    Boot,
    /// The launcher, after this step.
    Launcher(&'static str),
    /// The core, when it uses the release on trial.
    Core,
}

/// The steps of an update to a good release.
const WHEN_GOOD: [&str; 8] = ["staged", "checked", "switched", "boot-told", "linked", "swept", "committed", "closed"];
/// The steps of one to a release whose core dies.
const WHEN_BAD: [&str; 6] = ["switched", "boot-told", "linked", "suspected", "denied", "swept"];

#[test]
fn boot_launcher_and_core_killed_after_any_step_end_where_they_would_have_ended() -> Result<()> {
    let kills =
        |steps: &'static [&'static str]| steps.iter().map(|step| Kill::Launcher(step)).chain([Kill::Boot, Kill::Core]);
    let goods = kills(&WHEN_GOOD).map(|kill| (Brings::Good, kill));
    let cases: Vec<_> = goods.chain(kills(&WHEN_BAD).map(|kill| (Brings::DyingCore, kill))).collect();
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((brings, kill)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let survived = survives(*brings, *kill);
                    table.lock().expect("no panic").push((*brings, *kill, survived));
                }
            });
        }
    });
    let table = table.into_inner().expect("no panic");
    for (brings, kill, survived) in &table {
        println!("{brings:?} release, killed: {kill:?}: {}", if survived.is_ok() { "survived" } else { "FAILED" });
    }
    for (brings, kill, survived) in table {
        survived.with_context(|| format!("{brings:?}, {kill:?}"))?;
    }
    Ok(())
}

fn survives(brings: Brings, kill: Kill) -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = until(&worker, "v1.0.0", |good, _| good == "v1.0.0")?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    cut(&mut scene, "1.1.0", brings)?;
    let batch = scene.hand_in_numbers(60, 10)?;

    match kill {
        Kill::Boot => {
            // The release is on trial, and boot's first try of its launcher comes to nothing.
            die_after(&scene, &worker, "linked")?;
            worker.start_cycle()?.kill();
            worker.none_left()?;
        }
        Kill::Launcher(step) => die_after(&scene, &worker, step)?,
        Kill::Core => {
            let cycle = worker.start_cycle()?;
            let core = worker.core_runs(None)?;
            let _ = core.kill();
            drop(cycle);
        }
    }
    let _cycle = match brings {
        Brings::Good => until(&worker, "the release to prove itself", |good, _| good == "v1.1.0")?,
        _ => until(&worker, "the release to be denied", |_, journal| journal.denied.len() == 1)?,
    };
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 60)
}

/// Does a cycle whose launcher is killed after a step.
fn die_after(scene: &Scene, worker: &Worker, step: &str) -> Result<()> {
    let mut dying = Command::new(scene.grid.programs().path(BOOT))
        .args(["run", "--config"])
        .arg(worker.config())
        .env("NIGHTSHIFT_DIE_AFTER", step)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ended = wait::until_ok("the launcher to die", SOON, || Ok(dying.try_wait()?));
    let _ = dying.kill();
    let status = ended.with_context(|| worker.said())?;
    ensure!(status.signal() == Some(9), "it ended with {status} before {step}:\n{}", worker.said());
    worker.none_left()
}
