//! Cycles that meet: two at once, frozen ones, copies, wrong configuration.

use std::os::unix::fs::chown;
use std::os::unix::net::UnixDatagram;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::WorkerState;

/// A user that is no worker of these tests.
const NOBODY: u32 = 65534;

#[test]
fn of_two_cycles_at_once_one_runs() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycles = (0..4).map(|_| worker.start_cycle()).collect::<Result<Vec<_>>>()?;
    let core = worker.core_runs(None)?;
    let mut cycles = cycles;
    let one_left = || {
        let running = cycles.iter_mut().filter_map(|cycle| cycle.runs().then_some(())).count();
        (running == 1).then_some(())
    };
    wait::until("all cycles but one to end", SOON, one_left)?;
    let ended = worker.cycle()?;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(worker.core().map(|core| core.pid), Some(core.pid));
    let cores = worker.processes().into_iter().filter(|process| process.name == "nightshift-core").count();
    assert_eq!(cores, 1);
    Ok(())
}

#[test]
fn a_frozen_launcher_is_ended_by_a_later_cycle() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.grid.worker("w1", "stuck_after = \"3s\"\n")?;
    let frozen = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    frozen.freeze()?;
    let taken_over = || {
        let mut next = worker.start_cycle()?;
        // A cycle that found the frozen one still fresh ends; one that took over stays.
        let settled = wait::until("the next cycle to end or to have a core", SOON, || {
            let took_over = worker.core().is_some_and(|other| other.pid != core.pid);
            (took_over || !next.runs()).then_some(took_over)
        });
        Ok(settled?.then_some(next))
    };
    let _next = wait::until_ok("a cycle to take over from the frozen one", SOON, taken_over)?;
    let ended = frozen.ended_within(SOON)?;
    assert_eq!(ended.code, None, "it was killed");
    worker.status_says("the lock to be explained", SOON, |status| {
        status["steps"][0]["found"].as_str().is_some_and(|found| found.contains("got nowhere"))
    })?;
    let batch = scene.hand_in_numbers(40, 10)?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 40)
}

#[test]
fn a_launcher_that_gets_on_tells_the_service_manager_and_nothing_it_starts_can() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket)?;
    manager.set_read_timeout(Some(SOON))?;
    let cycle = worker.start_cycle_as_a_service(&socket)?;
    let core = worker.core_runs(None)?;
    let environment = std::fs::read(format!("/proc/{}/environ", core.pid))?;
    let told = String::from_utf8_lossy(&environment).into_owned();
    ensure!(!told.contains("NOTIFY_SOCKET"), "{told}");
    // What it said until now it says again, under a core that has nothing to do.
    let mut word = [0; 64];
    manager.set_nonblocking(true)?;
    while manager.recv(&mut word).is_ok() {}
    manager.set_nonblocking(false)?;
    for _ in 0..2 {
        let length = manager.recv(&mut word).context("the launcher gets on and says nothing")?;
        assert_eq!(String::from_utf8_lossy(&word[..length]), "WATCHDOG=1");
    }
    drop(cycle);
    Ok(())
}

#[test]
fn a_copied_worker_becomes_a_worker_of_its_own() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    let copy = scene.worker("w2")?;
    let copied = copy_folder(worker.state().root(), copy.state().root())?;
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(copy.cycle()?.code, Some(0));

    let id = |worker: &nightshift_testbed::grid::Worker| {
        let status = worker.status().context("a status")?;
        Ok::<_, anyhow::Error>(status["worker"].as_str().context("an id")?.to_owned())
    };
    assert_ne!(id(&worker)?, id(&copy)?);
    assert_eq!(scene.ask(async |client| client.workers().await)?.len(), 2);
    let first = id(&worker)?;
    assert_eq!(worker.cycle()?.code, Some(0));
    assert_eq!(id(&worker)?, first, "the original stays who it is");
    Ok(())
}

#[test]
fn a_copied_worker_keeps_the_floor() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.1.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    let copy = scene.worker("w2")?;
    assert!(copy_folder(worker.state().root(), copy.state().root())?.status.success());
    scene.central.cut("1.0.5")?;
    assert_eq!(copy.cycle()?.code, Some(8), "an older release is refused here, too");
    let status = copy.status().context("a status")?;
    assert_eq!(status["release"], "v1.1.0");
    assert_ne!(status["worker"], worker.status().context("a status")?["worker"]);
    Ok(())
}

#[test]
fn a_worker_toml_with_an_unknown_key_is_refused_by_name() -> Result<()> {
    let scene = Scene::set()?;
    let worker = scene.grid.worker("w1", "colour = \"red\"\n")?;
    let ended = worker.cycle()?;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("colour") && ended.stderr.contains("line"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_shutdown_ends_the_core_first() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    cycle.terminate()?;
    assert_eq!(cycle.ended_within(SOON)?.code, Some(0));
    worker.none_left()
}

#[test]
fn a_worker_that_was_asked_to_end_rests_and_nothing_about_it_is_wrong() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    cycle.terminate()?;
    let ended = cycle.ended_within(SOON)?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let screen = worker.command(&["status"])?.stdout;
    assert!(screen.contains("state    resting: ended on request; the next cycle goes on\n"), "{screen}");
    assert!(!screen.contains("!!"), "{screen}");
    let known = scene.ask(async |client| client.workers().await)?;
    assert_eq!(known[0].report.state, WorkerState::Resting, "{known:#?}");
    Ok(())
}

#[test]
fn doctor_finds_a_good_worker_well_and_names_what_is_wrong_with_another() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    let ended = worker.command(&["doctor"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let json: serde_json::Value = serde_json::from_str(&worker.command(&["doctor", "--json"])?.stdout)?;
    assert_eq!((&json["version"], &json["checks"][0]["ok"]), (&1.into(), &true.into()), "{json:#}");
    let json: serde_json::Value = serde_json::from_str(&worker.command(&["status", "--json"])?.stdout)?;
    assert_eq!((&json["version"], &json["status"]["state"]), (&1.into(), &"resting".into()), "{json:#}");

    let lost = scene
        .grid
        .worker("w2", "repository = \"file:///nowhere/central.git\"\njobserver = [\"http://127.0.0.1:1\"]\n")?;
    let ended = lost.command(&["doctor"])?;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    for what in ["repository", "job server", "to do:"] {
        assert!(ended.stdout.contains(what), "{}", ended.stdout);
    }
    Ok(())
}

#[test]
fn doctor_as_root_makes_nothing_in_the_state_folder_of_another_user() -> Result<()> {
    let scene = Scene::set()?;
    let worker = scene.worker("w1")?;
    let state = worker.state().root().to_owned();
    let made = || -> Result<usize> { Ok(std::fs::read_dir(&state)?.count()) };
    if chown(worker.config(), Some(NOBODY), Some(NOBODY)).is_err() {
        eprintln!("NOT RUN: only root can be refused");
        return Ok(());
    }
    let unmade = worker.command(&["doctor"])?;
    ensure!(!state.exists() && unmade.stdout.contains("root would make the state folder its own"), "{}", unmade.stdout);

    std::fs::create_dir(&state)?;
    chown(&state, Some(NOBODY), Some(NOBODY))?;
    let refused = worker.command(&["doctor"])?;
    assert_eq!((refused.code, made()?), (Some(4), 0), "{}", refused.stderr);
    let line = format!("setpriv --reuid {NOBODY} --regid {NOBODY} --init-groups nightshift-worker doctor");
    ensure!(refused.stderr.contains(&line), "{}", refused.stderr);
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "copies a folder as a person would; it is over before the story goes on")]
fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<Output> {
    Ok(std::process::Command::new("cp").arg("-a").arg(from).arg(to).output()?)
}
