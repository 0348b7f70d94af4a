//! A grid that asks who comes: TLS, tokens, workers that ask to join and are let in, or not.

use anyhow::{Context, Result};
use nightshift_contract::exit::Exit;
use nightshift_e2e::scene::{Scene, Work};
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::SOON;
use nightshift_wire::{Enrolment, EnrolmentDecision, EnrolmentState, NewToken, Role};

/// A grid whose job server asks for tokens over TLS, and what a worker's image carries.
fn guarded() -> Result<(Scene, String)> {
    let mut scene = Scene::with_release()?;
    let guard = scene.grid.server.ask_for_tokens()?;
    let wanted =
        NewToken { name: "image".to_owned(), role: Role::Join, network: None, limit: None, expires_in_ms: None };
    let join_token = scene.ask(async |client| client.make_token(&wanted).await)?.token;
    Ok((scene, format!("jobserver_ca = {:?}\njoin_token = {join_token:?}\n", guard.pin)))
}

fn enrolments(scene: &Scene) -> Result<Vec<Enrolment>> {
    scene.ask(async |client| client.enrolments().await)
}

fn approve(scene: &Scene, worker: &str) -> Result<Enrolment> {
    scene.ask(async |client| client.decide(worker, &EnrolmentDecision::Approve { name: None }).await)
}

fn blocked(worker: &Worker, why: &str) -> Result<()> {
    let ended = worker.cycle()?;
    assert_eq!(ended.code, Some(i32::from(Exit::NotAllowed.code())), "{ended:?}");
    assert!(ended.stderr.contains(why), "{ended:?}");
    worker.none_left()
}

#[test]
fn a_worker_joins_is_approved_does_a_batch_and_does_nothing_once_it_is_revoked() -> Result<()> {
    let (scene, image) = guarded()?;
    let worker = scene.grid.worker("w1", &image)?;
    blocked(&worker, "waits for approval: nightshift worker approve ")?;
    let asked = enrolments(&scene)?;
    assert_eq!(asked.iter().map(|asked| asked.state).collect::<Vec<_>>(), [EnrolmentState::Pending]);
    let id = &asked[0].worker;
    approve(&scene, id)?;

    let cycle = worker.start_cycle()?;
    let batch = scene.hand_in_numbers(100, 20)?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 100)?;

    let revoke = EnrolmentDecision::Revoke { reason: "it was stolen".to_owned() };
    scene.ask(async |client| client.decide(id, &revoke).await)?;
    let more = scene.hand_in_numbers(20, 20)?;
    let ended = cycle.ended_within(SOON).context("a revoked worker ends by itself")?;
    assert_eq!(ended.code, Some(i32::from(Exit::NotAllowed.code())), "{ended:?}");
    blocked(&worker, "it was stolen")?;
    let more = scene.batch(more.id)?;
    assert_eq!((more.jobs_running, more.jobs_done), (0, 0), "{more:?}");
    Ok(())
}

#[test]
fn a_backup_made_at_work_takes_the_place_of_a_lost_state_and_every_record_comes_back_once() -> Result<()> {
    let (mut scene, image) = guarded()?;
    scene.put_twice(Work::Slow { steps: 20_000 })?;
    scene.central.cut("1.1.0")?;
    let worker = scene.grid.worker("w1", &image)?;
    blocked(&worker, "waits for approval")?;
    approve(&scene, &enrolments(&scene)?[0].worker)?;
    let _cycle = worker.start_cycle()?;
    let batch = scene.hand_in_numbers(1000, 20)?;
    scene.batch_is(batch.id, "under way", |batch| batch.jobs_done > 0)?;

    let backup = scene.folder().join("backup");
    scene.grid.server.back_up(&backup)?;
    let then = scene.batch(batch.id)?.jobs_done;
    let later = scene.hand_in_numbers(10, 5)?;
    scene.batch_is(batch.id, "further than the backup", |batch| batch.jobs_done > then)?;
    // Held, the worker cannot hand in anew what it did since, before anybody looks.
    let core = worker.core_runs(None)?;
    core.freeze()?;
    scene.grid.server.restart_from(&backup)?;
    assert!(scene.batch(later.id).is_err(), "what was handed in after it is gone");
    assert!(scene.batch(batch.id)?.jobs_done <= then, "what was done after it is to be done again");
    core.thaw()?;
    // The worker needs no new pin, no new credential and no visit.
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 1000)
}

#[test]
fn the_credential_is_in_no_argument_environment_or_log() -> Result<()> {
    let (scene, image) = guarded()?;
    let worker = scene.grid.worker("w1", &image)?;
    blocked(&worker, "waits for approval")?;
    approve(&scene, &enrolments(&scene)?[0].worker)?;
    let _cycle = worker.start_cycle()?;
    let core = worker.core_runs(None)?;
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(worker.state().credential())?)?;
    let secret = kept["secret"].as_str().context("a credential")?;
    for file in ["cmdline", "environ"] {
        let shown = std::fs::read(format!("/proc/{}/{file}", core.pid))?;
        assert!(!String::from_utf8_lossy(&shown).contains(secret), "{file}");
    }
    let batch = scene.hand_in_numbers(40, 20)?;
    scene.done(batch.id)?;
    assert!(!worker.said().contains(secret), "it is in a log");
    assert!(!std::fs::read_to_string(scene.grid.server.log())?.contains(secret), "it is in the job server's log");
    Ok(())
}

#[test]
fn a_copied_worker_asks_to_join_as_a_worker_of_its_own() -> Result<()> {
    let (scene, image) = guarded()?;
    let original = scene.grid.worker("w1", &image)?;
    blocked(&original, "waits for approval")?;
    approve(&scene, &enrolments(&scene)?[0].worker)?;
    // Another machine with the same state folder: its place is another, and so is its fingerprint.
    let copy = scene.grid.worker("w2", &image)?;
    std::fs::create_dir_all(copy.state().root())?;
    for file in ["identity.json", "credential.json"] {
        std::fs::copy(original.state().root().join(file), copy.state().root().join(file))?;
    }
    blocked(&copy, "waits for approval")?;
    let asked = enrolments(&scene)?;
    assert_eq!(asked.len(), 2, "{asked:?}");
    let pending = asked.iter().filter(|asked| asked.state == EnrolmentState::Pending).count();
    assert_eq!(pending, 1, "the copy waits, the original stays: {asked:?}");
    Ok(())
}

#[test]
fn a_worker_that_pins_another_authority_tells_nothing_to_the_job_server() -> Result<()> {
    let (scene, image) = guarded()?;
    let token = image.lines().last().context("a join token")?;
    let wrong = format!("jobserver_ca = \"sha256:{}\"\n{token}\n", "0".repeat(64));
    let worker = scene.grid.worker("w1", &wrong)?;
    let _cycle = worker.start_cycle()?;
    worker.status_says("that nobody was asked", SOON, |status| status.to_string().contains("not asked"))?;
    assert_eq!(enrolments(&scene)?, []);
    Ok(())
}
