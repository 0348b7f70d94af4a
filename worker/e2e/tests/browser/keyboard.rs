//! The dashboard by keyboard alone: everything is reached, what has the focus is seen, and it does what it says.

use anyhow::{Context, Result, bail, ensure};
use fantoccini::key::Key;
use nightshift_wire::Role;
use serde::Deserialize;
use serde_json::json;

use crate::person::Person;
use crate::stage::Stage;

/// What has the focus.
#[derive(Debug, Deserialize)]
struct Focus {
    /// What it is called: its words, or its label.
    name: String,
    kind: String,
    /// Whether it is within the window, and has an outline.
    is_seen: bool,
}

fn focus(person: &Person) -> Result<Focus> {
    person.ask(include_str!("scripts/focus.js"), json!([]))
}

/// Presses Tab until the focus is on what is called so.
fn tab_to(person: &Person, name: &str) -> Result<()> {
    /// More things than any page has.
    const MOST: usize = 100;
    let mut passed = Vec::new();
    for _ in 0..MOST {
        person.types(Key::Tab)?;
        let focus = focus(person)?;
        ensure!(focus.kind == "BODY" || focus.is_seen, "{focus:?} cannot be seen at {}", person.place()?);
        if focus.name.starts_with(name) {
            return Ok(());
        }
        passed.push(focus.name);
    }
    bail!("Tab never leads to {name:?} at {}; it leads to {passed:?}", person.place()?)
}

fn enter(person: &Person) -> Result<()> {
    person.leaves_after(|| person.types(Key::Enter))
}

#[test]
fn log_in_hand_in_and_stop_are_done_without_a_mouse() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    let file = stage.scene.folder().join("numbers.csv");
    std::fs::write(&file, nightshift_e2e::scene::numbers(10))?;

    person.go("/")?;
    ensure!(focus(&person)?.name == "Your token", "the only field has the focus: {:?}", focus(&person)?);
    person.types_text(&stage.token("oskar", Role::Operator)?)?;
    enter(&person)?;
    person.arrives_at("/")?;

    tab_to(&person, "Skip to the content")?;
    person.types(Key::Enter)?;
    tab_to(&person, "Hand in a batch")?;
    enter(&person)?;
    person.arrives_at("/batches/new")?;
    tab_to(&person, "Plugin")?;
    tab_to(&person, "Name")?;
    person.types_text("by keyboard")?;
    tab_to(&person, "CSV with a header line")?;
    // What Enter opens here is the system's, and a headless browser has none.
    person.choose_file("CSV with a header line", &file)?;
    person.reads("10 records")?;
    tab_to(&person, "Hand it in")?;
    enter(&person)?;
    person.arrives_at("/batches/1")?;
    person.reads("by keyboard")?;

    tab_to(&person, "Stops")?;
    enter(&person)?;
    person.arrives_at("/stops")?;
    tab_to(&person, "Reason")?;
    person.types_text("without a mouse")?;
    tab_to(&person, "Stop")?;
    enter(&person)?;
    person.reads("Stopped.")?;
    let stopped = stage.scene.ask(async |client| client.status().await)?.stopped.context("nothing is stopped")?;
    ensure!(stopped.contains("without a mouse"), "{stopped}");
    tab_to(&person, "Start again")?;
    enter(&person)?;
    person.reads("Nothing is stopped.")?;
    person.leaves_content()
}
