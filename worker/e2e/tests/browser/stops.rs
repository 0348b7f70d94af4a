//! Stopping the grid, and starting it again.

use anyhow::{Result, ensure};
use nightshift_wire::{Role, StopRequest};
use serde_json::json;

use crate::person::Person;
use crate::stage::Stage;

#[test]
fn the_grid_is_stopped_with_a_reason_that_everybody_sees_at_once_and_started_again() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("oskar", Role::Operator)?)?;
    ensure!(!person.says("Stopped.")?, "nothing is stopped yet");
    person.press_and_leave("Stops")?;
    person.reads("Nothing is stopped.")?;
    person.fill("Reason", "water in the cellar")?;
    person.press_and_leave("Stop")?;
    person.reads("Stopped.")?;
    for page in ["/", "/batches", "/stops", "/acts"] {
        person.go(page)?;
        ensure!(person.says("Stopped.")? && person.says("water in the cellar")?, "{page}: {}", person.text()?);
    }
    person.go("/stops")?;
    person.press_and_leave("Start again: take these away")?;
    person.reads("Nothing is stopped.")?;
    person.reads_no_more("Stopped.")?;

    // Who has a page open sees it without loading that again.
    person.go("/")?;
    person.ask::<()>("window.isOld = true", json!([]))?;
    let stop = StopRequest { reason: "smoke in the attic".to_owned(), ..StopRequest::default() };
    stage.scene.ask(async |client| client.raise_stop(&stop).await)?;
    person.reads("smoke in the attic")?;
    stage.scene.ask(async |client| client.clear_stops().await)?;
    person.reads_no_more("Stopped.")?;
    ensure!(person.ask::<bool>("return window.isOld", json!([]))?, "the page was loaded anew");
    person.leaves_content()
}
