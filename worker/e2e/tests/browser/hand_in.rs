//! Handing in a CSV by the page, watching it, and fetching what came out.

use anyhow::{Result, ensure};
use nightshift_e2e::scene::numbers;
use nightshift_wire::Role;
use serde_json::json;

use crate::person::Person;
use crate::stage::Stage;

#[test]
fn a_dropped_csv_is_looked_at_handed_in_watched_to_its_end_and_fetched() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("olga", Role::Owner)?)?;
    person.press_and_leave("Hand in a batch")?;
    person.drop_file("march.csv", &numbers(120))?;
    person.reads("120 records")?;
    ensure!(person.says("fits")? && person.says("Nothing was stored.")?, "{}", person.text()?);
    person.press_and_leave("Hand it in")?;
    person.arrives_at("/batches/1")?;
    person.reads("march")?;
    person.reads("of 120 records")?;

    // From here on the page is never loaded again.
    person.ask::<()>("window.isOld = true", json!([]))?;
    let _worker = stage.worker("window seat")?;
    person.reads("100 %")?;
    person.reads("All results, CSV")?;
    person.reads("took ")?;
    ensure!(person.ask::<bool>("return window.isOld", json!([]))?, "the page was loaded anew");

    person.press("All results, CSV")?;
    let results = person.downloaded("batch-1.csv")?;
    ensure!(results.starts_with("n,twice,error\n1,2,\n2,4,\n") && results.lines().count() == 121, "{results}");
    person.press_and_leave("Receipt: is anything missing?")?;
    person.arrives_at("/batches/1/receipt")?;
    person.reads("Complete:")?;
    person.reads("v1.0.0")?;
    person.leaves_content()
}

#[test]
fn a_csv_with_a_missing_column_is_refused_with_a_sentence_and_nothing_is_stored() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("olga", Role::Owner)?)?;
    person.press_and_leave("Hand in a batch")?;
    person.drop_file("people.csv", "name\nAda\n")?;
    person.reads("does not fit")?;
    person.reads("column")?;
    person.press_and_leave("Hand it in")?;
    person.reads("That cannot be done")?;
    let said = person.text()?;
    ensure!(said.contains("plugin twice needs column n; the columns here are name"), "{said}");
    person.press_and_leave("Back")?;
    person.reads("CSV with a header line")?;
    ensure!(stage.scene.ask(async |client| client.batches().await)?.is_empty(), "something was stored");
    person.leaves_content_but_for(&["422"])
}
