//! Somebody who may only look.

use anyhow::{Result, ensure};
use nightshift_wire::Role;
use serde_json::json;

use crate::person::Person;
use crate::stage::{PAGES, Stage};

#[test]
fn a_viewer_sees_no_button_that_changes_something_and_is_refused_who_sends_a_form_all_the_same() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    let worker = stage.worker("window seat")?;
    let batch = stage.scene.hand_in_numbers(20, 10)?;
    stage.scene.done(batch.id)?;
    person.log_in(&stage.token("vera", Role::Viewer)?)?;
    for page in PAGES {
        person.go(&page.replace("WORKER", &worker.id))?;
        let forms: Vec<String> = person.ask(include_str!("scripts/forms_that_change.js"), json!([]))?;
        ensure!(forms == ["/logout"], "{page} has forms to {forms:?}");
        ensure!(!person.says("Hand in a batch")?, "{page} leads to the hand-in");
    }
    for (form, fields) in [
        ("/stops", json!({ "act": "stop", "reason": "x" })),
        ("/jobs", json!({ "act": "retry", "batch": "1", "confirmed": "yes" })),
        ("/batches/1", json!({ "act": "delete", "confirmed": "1" })),
    ] {
        person.go("/batches")?;
        person.leaves_after(|| person.ask(include_str!("scripts/send_form.js"), json!([form, fields])))?;
        person.reads("That is not allowed")?;
        person.reads("the viewer vera may not do this")?;
    }
    ensure!(stage.scene.ask(async |client| client.status().await)?.stopped.is_none(), "the grid was stopped");
    ensure!(stage.scene.batch(batch.id)?.jobs_done == 2, "a job was retried");
    person.leaves_content_but_for(&["403"])
}
