//! Light and dark: both can be read.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::person::{Colours, Person};
use crate::stage::{HAND_IN, PAGES, Stage};
use nightshift_wire::StopRequest;

#[test]
fn all_text_stands_out_enough_in_light_and_in_dark() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    let worker = stage.worker("window seat")?;
    let batch = stage.scene.hand_in("twice", "n\n1\ntwo\n", 1)?;
    stage.scene.done(batch.id)?;
    let stop = StopRequest { reason: "a look at the banner".to_owned(), ..StopRequest::default() };
    stage.scene.ask(async |client| client.raise_stop(&stop).await)?;
    let mut pages = Vec::new();
    for colours in [Colours::Light, Colours::Dark] {
        person.prefers(colours)?;
        person.go("/login")?;
        readable(&person, colours, "/login")?;
        person.log_in(stage.admin_token())?;
        for page in PAGES.iter().chain(&[HAND_IN, "/batches/77", "/jobs?state=quarantined"]) {
            person.go(&page.replace("WORKER", &worker.id))?;
            readable(&person, colours, page)?;
        }
        pages.push(person.ask::<String>("return getComputedStyle(document.body).backgroundColor", json!([]))?);
    }
    ensure!(pages[0] != pages[1], "both are {pages:?}");
    person.leaves_content_but_for(&["404"])
}

fn readable(person: &Person, colours: Colours, page: &str) -> Result<()> {
    let faint: Vec<String> = person.ask(include_str!("scripts/faint.js"), json!([]))?;
    ensure!(faint.is_empty(), "{page}, {}: {faint:#?}", colours.word());
    Ok(())
}
