//! Jobs: found by a filter, done anew many at a time, and changed by two people at once.

use anyhow::{Result, ensure};
use nightshift_wire::{JobState, Role};

use crate::person::Person;
use crate::stage::Stage;

#[test]
fn jobs_are_filtered_and_retried_once_their_number_was_seen() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    let _worker = stage.worker("window seat")?;
    let batch = stage.scene.hand_in_numbers(70, 10)?;
    stage.scene.done(batch.id)?;
    person.log_in(&stage.token("oskar", Role::Operator)?)?;
    person.press_and_leave("Jobs")?;
    person.choose("State", "quarantined")?;
    person.press_and_leave("Show")?;
    person.reads("No job is like that.")?;
    ensure!(!person.says("Change all jobs of this filter")?, "there is nothing to change");
    person.press_and_leave("Show all jobs")?;
    person.choose("State", "done")?;
    person.fill("Batch", "1")?;
    person.press_and_leave("Show")?;
    person.arrives_at("/jobs?state=done&batch=1&plugin=&worker=&release=")?;
    person.fill("Reason", "a wrong price list")?;
    person.press_and_leave("Retry…")?;
    person.reads("Retry 7 jobs?")?;
    let untouched = stage.scene.jobs(batch.id)?.iter().all(|job| job.state == JobState::Done && job.revision == 1);
    ensure!(untouched, "something was done before it was confirmed");
    person.press_and_leave("Retry 7 jobs")?;
    stage.scene.batch_is(batch.id, "done anew", |batch| batch.jobs_done == 7)?;
    stage.scene.check_numbers(batch.id, 70)?;
    let jobs = stage.scene.jobs(batch.id)?;
    ensure!(jobs.iter().all(|job| job.revision == 2 && job.pickups == 2), "{jobs:#?}");
    person.go("/acts")?;
    person.reads("a wrong price list")?;
    person.leaves_content()
}

#[test]
fn of_two_people_who_edit_a_job_the_second_is_told_so_and_changes_nothing() -> Result<()> {
    let stage = Stage::set()?;
    let Some(first) = Person::at(&stage)? else { return Ok(()) };
    let Some(second) = Person::at(&stage)? else { return Ok(()) };
    stage.scene.hand_in_numbers(10, 10)?;
    for (person, name, priority) in [(&first, "oskar", "5"), (&second, "olga", "7")] {
        person.log_in(&stage.token(name, Role::Operator)?)?;
        person.go("/jobs/1")?;
        person.press("Edit it")?;
        person.fill("Priority", priority)?;
    }
    first.press_and_leave("Save")?;
    first.arrives_at("/jobs/1")?;
    second.press_and_leave("Save")?;
    second.reads("It has changed meanwhile")?;
    second.reads("somebody changed it since you opened the page")?;
    let job = stage.scene.ask(async |client| client.job(1).await)?.job;
    ensure!((job.priority, job.revision) == (5, 2), "{job:?}");
    first.leaves_content()?;
    second.leaves_content_but_for(&["409"])
}
