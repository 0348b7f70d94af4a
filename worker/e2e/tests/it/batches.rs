//! Batches that go through.

use anyhow::Result;
use nightshift_e2e::scene::{Scene, Work};
use nightshift_wire::JobState;

#[test]
fn a_batch_runs_to_its_end_and_comes_back_in_order() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let _cycle = worker.start_cycle()?;
    let batch = scene.hand_in_numbers(230, 50)?;
    assert_eq!(batch.jobs, 5);
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 230)?;
    let jobs = scene.jobs(batch.id)?;
    assert!(jobs.iter().all(|job| job.state == JobState::Done && job.pickups == 1), "{jobs:#?}");
    Ok(())
}

#[test]
fn several_workers_share_a_batch() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.put_twice(Work::Slow { steps: 10_000 })?;
    scene.central.cut("1.0.0")?;
    let workers = [scene.worker("w1")?, scene.worker("w2")?, scene.worker("w3")?];
    let batch = scene.hand_in_numbers(600, 20)?;
    let _cycles = workers.iter().map(|worker| worker.start_cycle()).collect::<Result<Vec<_>>>()?;
    scene.done(batch.id)?;
    scene.check_numbers(batch.id, 600)?;
    let mut who: Vec<_> = scene.jobs(batch.id)?.into_iter().filter_map(|job| job.worker).collect();
    who.sort();
    who.dedup();
    assert!(who.len() > 1, "only {who:?} worked");
    Ok(())
}

#[test]
fn a_record_that_is_no_number_gets_an_error_and_the_others_their_result() -> Result<()> {
    let scene = Scene::with_release()?;
    let worker = scene.worker("w1")?;
    let _cycle = worker.start_cycle()?;
    let batch = scene.hand_in("twice", "n,note\n1,a\ntwo,b\n3,c\n", 10)?;
    let batch = scene.done(batch.id)?;
    assert_eq!((batch.results, batch.errors), (3, 1));
    let results = scene.results(batch.id)?;
    let lines: Vec<&str> = results.lines().collect();
    assert_eq!(lines[..2], ["n,note,twice,error", "1,a,2,"]);
    assert!(lines[2].starts_with("two,b,,") && lines[2].len() > "two,b,,".len(), "{results}");
    assert_eq!(lines[3], "3,c,6,");
    Ok(())
}
