//! Names that are scripts: shown as the text they are, wherever somebody wrote them.

use anyhow::{Result, ensure};
use nightshift_wire::{Role, StopRequest};
use serde_json::json;

use crate::person::Person;
use crate::stage::{PAGES, Stage};

/// Runs in more than one way, if it runs.
const EVIL: &str = "<img src=x onerror='hacked=1'><script>hacked=1</script>";

#[test]
fn a_script_in_a_record_a_batch_a_worker_or_a_reason_is_shown_as_text_and_never_runs() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("oskar", Role::Operator)?)?;
    let check = |page: &str, shows: bool| -> Result<()> {
        let (ran, foreign): (bool, u32) = person.ask(include_str!("scripts/what_ran.js"), json!([]))?;
        ensure!(!ran && foreign == 0, "{page}: something ran, or {foreign} elements are not ours");
        ensure!(!shows || person.says(EVIL)?, "{page} shows what was written: {}", person.text()?);
        Ok(())
    };

    person.go("/batches/new")?;
    person.fill("Name", EVIL)?;
    person.drop_file(&format!("{}.csv", EVIL.replace('/', "")), &format!("n,{EVIL}\n1,{EVIL}\n{EVIL},2\n"))?;
    person.reads("2 records")?;
    check("the preview", true)?;
    person.press_and_leave("Hand it in")?;
    person.arrives_at("/batches/1")?;
    let worker = stage.worker("window seat")?;
    stage.scene.done(1)?;
    person.go(&format!("/workers/{}", worker.id))?;
    person.fill("Name", EVIL)?;
    person.leaves_after(|| person.press_in_form_of("Name", "Save"))?;
    let stop = StopRequest { reason: EVIL.to_owned(), ..StopRequest::default() };
    stage.scene.ask(async |client| client.raise_stop(&stop).await)?;
    for page in PAGES {
        let page = page.replace("WORKER", &worker.id);
        person.go(&page)?;
        // The banner shows the reason on all of them.
        check(&page, true)?;
    }
    for (page, place) in [
        ("/batches", "#main"),
        ("/batches/1/errors", "#main"),
        ("/workers", "#main"),
        ("/acts", "#main"),
        ("/", "#stopped"),
    ] {
        person.go(page)?;
        let text: String = person.ask("return document.querySelector(arguments[0]).innerText", json!([place]))?;
        ensure!(text.contains(EVIL), "{page}, {place}: {text}");
    }
    person.leaves_content()
}
