//! Releases on their way to the workers, good ones and others.

use anyhow::{Context, Result};
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::central::Forgery;
use nightshift_testbed::wait::SOON;

#[test]
fn a_release_reaches_every_worker_and_what_it_runs() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let workers = [scene.worker("w1")?, scene.worker("w2")?];
    let _cycles = workers.iter().map(|worker| worker.start_cycle()).collect::<Result<Vec<_>>>()?;
    for worker in &workers {
        worker.core_runs(None)?;
    }
    let before = scene.hand_in("twice", "n\n1\n", 10)?;
    scene.done(before.id)?;
    let cores: Vec<_> = workers.iter().map(|worker| worker.core().map(|core| core.pid)).collect();

    scene.central.put("plugins/twice/query.sqlite.sql", "SELECT record_id, n * 2 + 1000 AS twice FROM records")?;
    scene.central.put("plugins/twice/samples/expected.csv", "n,twice,error\n1,1002,\n")?;
    scene.central.cut("1.1.0")?;
    for worker in &workers {
        worker.status_says("release v1.1.0 to be in force", SOON, |status| status["release"] == "v1.1.0")?;
    }
    let after = scene.hand_in("twice", "n\n1\n", 10)?;
    scene.done(after.id)?;
    assert_eq!(scene.results(after.id)?, "n,twice,error\n1,1002,\n");
    assert_eq!(scene.results(before.id)?, "n,twice,error\n1,2,\n", "results that are in stay as they are");
    let now: Vec<_> = workers.iter().map(|worker| worker.core().map(|core| core.pid)).collect();
    assert_eq!(now, cores, "plugins are changed without a new core");
    Ok(())
}

#[test]
fn a_forged_tag_changes_nothing_and_says_so() -> Result<()> {
    for forgery in Forgery::PUSHABLE {
        let mut scene = Scene::set()?;
        scene.put_twice(Work::Quick)?;
        scene.put_closed_hours()?;
        scene.central.cut("1.0.0")?;
        let worker = scene.worker("w1")?;
        assert_eq!(worker.cycle()?.code, Some(0));
        let before = std::fs::read_link(worker.state().in_force())?;

        scene.central.put("plugins/twice/query.sqlite.sql", "SELECT 1")?;
        scene.central.forge("v1.6.0", forgery)?;
        let ended = worker.cycle()?;
        assert_eq!(ended.code, Some(8), "{forgery:?}: {ended:?}");
        assert!(ended.stderr.contains("v1.6.0"), "{forgery:?}: {}", ended.stderr);
        assert_eq!(std::fs::read_link(worker.state().in_force())?, before, "{forgery:?}");
        let status = worker.status().context("a status")?;
        assert_eq!(status["release"], "v1.0.0", "{forgery:?}");
        assert!(status["refused"][0].as_str().is_some_and(|refused| refused.contains("v1.6.0")), "{status:#}");

        scene.central.delete_tag("v1.6.0")?;
        assert_eq!(worker.cycle()?.code, Some(0), "{forgery:?}: nothing is refused any more");
    }
    Ok(())
}

#[test]
fn a_replayed_release_and_a_misnamed_one_are_refused() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    for name in ["v2.0.0", "v2.0", "2.0.0"] {
        scene.central.replay("v1.0.0", name)?;
        let ended = worker.cycle()?;
        assert_eq!(ended.code, Some(8), "{name}: {ended:?}");
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert_eq!(worker.status().context("a status")?["release"], "v1.0.0");
        scene.central.delete_tag(name)?;
    }
    Ok(())
}

#[test]
fn a_forged_tag_does_not_disturb_a_worker_at_work() -> Result<()> {
    let mut scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    scene.central.forge("v1.6.0", Forgery::Unsigned)?;
    worker.status_says("the forged tag to be refused", SOON, |status| status["refused"][0].is_string())?;
    assert_eq!(worker.core().map(|core| core.pid), Some(core.pid));
    let batch = scene.hand_in_numbers(30, 10)?;
    scene.done(batch.id)?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    worker.none_left()
}

#[test]
fn without_a_release_a_cycle_asks_to_be_tried_later_and_says_what_to_do() -> Result<()> {
    let mut scene = Scene::set()?;
    let worker = scene.worker("w1")?;
    let ended = worker.cycle()?;
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("nightshift release cut 1.0.0"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(worker.command(&["status"])?.stdout.contains("nightshift release cut 1.0.0"));

    scene.put_twice(Work::Quick)?;
    scene.central.cut("1.0.0")?;
    let _cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    Ok(())
}

#[test]
fn a_cycle_that_ends_with_8_without_any_release_says_one_thing_once() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    for tag in ["v1.0.0", "v1.1.0"] {
        scene.central.forge(tag, Forgery::Unsigned)?;
    }
    let ended = scene.worker("w1")?.cycle()?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(8), ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("nightshift-worker: ").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("v1.1.0 is refused") && ended.stderr.contains("`signers`"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_new_tag_that_cannot_be_fetched_is_named_and_the_worker_goes_on() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    assert_eq!(worker.cycle()?.code, Some(0));
    scene.central.put("data/new.txt", "lost soon")?;
    scene.central.cut("1.1.0")?;
    scene.central.lose(b"lost soon")?;
    for _ in 0..2 {
        let ended = worker.cycle()?;
        assert_eq!(ended.code, Some(0), "the repository is at fault, nothing was refused: {ended:?}");
        let screen = worker.command(&["status"])?.stdout;
        assert!(screen.contains("sync      !!  v1.0.0 is in force"), "{screen}");
        assert!(screen.contains("v1.1.0 cannot be fetched") && screen.contains("git fsck --full"), "{screen}");
    }
    Ok(())
}

#[test]
fn a_slot_that_was_tampered_with_is_never_run() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    cycle.kill();
    worker.none_left()?;
    let query = worker.state().in_force().join("tree/plugins/twice/query.sqlite.sql");
    let original = std::fs::read(&query)?;
    std::fs::remove_file(&query)?;
    std::fs::write(&query, "SELECT record_id, 666 AS twice FROM records")?;

    let batch = scene.hand_in_numbers(10, 10)?;
    let _cycle = worker.start_cycle()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 10)?;
    assert_eq!(std::fs::read(&query)?, original, "the slot was staged again");
    Ok(())
}

#[test]
fn releases_in_quick_succession_leave_a_working_core_its_files() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 100_000 })?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let _cycle = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    let used = worker.state().root().join(std::fs::read_link(worker.state().in_force())?);
    let batch = scene.hand_in_numbers(1000, 1000)?;
    worker.status_says("the core to work", SOON, |status| status["state"] == "working")?;
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        scene.central.cut(version)?;
        let tag = format!("v{version}");
        let status = worker.status_says("the release to be in force", SOON, |status| status["release"] == *tag)?;
        assert_eq!(status["state"], "working", "the job is long enough to see it: {status:#}");
        assert!(used.join("tree/plugins/twice/plugin.toml").is_file(), "{version}: the core still uses v1.0.0");
    }
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 1000)?;
    assert_eq!(worker.core().map(|core| core.pid), Some(core.pid));
    Ok(())
}
