//! The dashboard on a phone.

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::person::{PHONE, Person};
use crate::stage::{HAND_IN, PAGES, Stage};

/// How a page fits.
#[derive(Debug, Deserialize)]
struct Fit {
    /// How wide it is.
    width: u32,
    /// What reaches beyond the window, and is in nothing that scrolls by itself.
    beyond: Vec<String>,
    /// Links of the menu, buttons and fields that are too small for a finger or out of sight.
    small: Vec<String>,
}

#[test]
fn no_page_scrolls_sideways_on_a_phone_and_everything_is_large_enough_for_a_finger() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.takes_a_phone()?;
    let worker = stage.worker("window seat")?;
    // The longest word that somebody may write without a blank.
    let batch = stage.scene.hand_in("twice", &format!("n,{0}\n1,{0}\ntwo,{0}\n", "column".repeat(12)), 1)?;
    stage.scene.done(batch.id)?;
    person.go("/")?;
    fits(&person, "/login")?;
    person.log_in(stage.admin_token())?;
    for page in PAGES.iter().chain(&[HAND_IN, "/batches/77"]) {
        person.go(&page.replace("WORKER", &worker.id))?;
        fits(&person, page)?;
    }
    person.go("/jobs?batch=1")?;
    person.press_and_leave("Retry…")?;
    fits(&person, "the question before a change")?;
    person.go(HAND_IN)?;
    person.drop_file("wide.csv", &format!("n,{0}\n1,{0}\n", "column".repeat(12)))?;
    person.reads("1 record")?;
    fits(&person, "the preview")?;
    // The menu is used as anywhere else.
    for (word, place) in [("Workers", "/workers"), ("Log", "/acts"), ("Overview", "/")] {
        person.press_and_leave(word)?;
        person.arrives_at(place)?;
    }
    person.leaves_content_but_for(&["404"])
}

fn fits(person: &Person, page: &str) -> Result<()> {
    let fit: Fit = person.ask(include_str!("scripts/fit.js"), json!([PHONE.0]))?;
    let fine = fit.width <= PHONE.0 && fit.beyond.is_empty() && fit.small.is_empty();
    ensure!(fine, "{page}: {fit:?}");
    Ok(())
}
