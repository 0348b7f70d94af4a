//! What bad input gets: a sentence that says what happened and what to do, and nothing half-done.

use anyhow::{Result, ensure};
use nightshift_testbed::web::Web;
use nightshift_wire::Role;
use serde_json::json;

use crate::person::Person;
use crate::stage::Stage;

#[test]
fn what_is_not_there_is_a_page_that_says_so_and_leads_on() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("vera", Role::Viewer)?)?;
    for (page, said) in [
        ("/batches/77", "no batch 77"),
        ("/jobs/77", "no job 77"),
        ("/workers/nobody", "no worker nobody"),
        ("/batches/77/receipt", "no batch 77"),
        ("/nowhere", "/nowhere"),
    ] {
        person.go("/batches")?;
        person.go(page)?;
        person.reads("There is no such thing")?;
        ensure!(person.says(said)?, "{page}: {}", person.text()?);
        ensure!(person.says("vera")? && person.says("Statistics")?, "{page} has no frame: {}", person.text()?);
        person.press_and_leave("Back")?;
        person.arrives_at("/batches")?;
    }
    person.go("/jobs?state=lost")?;
    person.reads("\"lost\" is no state of a job")?;
    person.press_and_leave("Overview")?;
    person.arrives_at("/")?;
    person.leaves_content_but_for(&["404", "400"])
}

#[test]
fn a_form_of_another_page_changes_nothing_and_says_why() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(stage.admin_token())?;
    // Our own site, but without the key that stands in our forms, or with another.
    for fields in [json!({ "act": "stop", "reason": "x" }), json!({ "act": "stop", "reason": "x", "form_key": "0123" })]
    {
        person.go("/stops")?;
        person.leaves_after(|| person.ask(include_str!("scripts/send_form.js"), json!(["/stops", fields])))?;
        person.reads("That is not allowed")?;
        person.reads("open the page again and repeat it")?;
    }
    // Another site's page, which somebody who is logged in was lured to.
    let elsewhere = Web::start()?;
    let form = format!(
        "<!doctype html><link rel=icon href=\"data:,\"><form method=post action=\"{}/stops\"><input name=act value=stop><input name=reason value=x>\
         <button>You have won</button></form>",
        stage.url()
    );
    elsewhere.put("lure.html", form);
    person.go_elsewhere(&format!("{}lure.html", elsewhere.url()))?;
    person.press_and_leave("You have won")?;
    person.reads("web pages cannot use the API")?;
    ensure!(stage.scene.ask(async |client| client.status().await)?.stopped.is_none(), "the grid was stopped");
    person.leaves_content_but_for(&["403"])
}
