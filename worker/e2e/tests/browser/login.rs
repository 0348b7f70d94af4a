//! Logging in, and what somebody sees whose token or session is good no more.

use anyhow::Result;
use nightshift_wire::Role;

use crate::person::Person;
use crate::stage::Stage;

#[test]
fn a_wrong_token_gets_a_sentence_and_a_right_one_the_page_that_was_asked_for() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.go("/jobs?state=done")?;
    person.reads("Log in to go on.")?;
    person.fill("Your token", "ns_viewer_nobody-has-this-one")?;
    person.press_and_leave("Log in")?;
    person.reads("this server does not know that token")?;
    person.fill("Your token", &stage.token("vera", Role::Viewer)?)?;
    person.press_and_leave("Log in")?;
    person.arrives_at("/jobs?state=done")?;
    person.reads("vera")?;
    person.press_and_leave("Log out")?;
    person.arrives_at("/login")?;
    person.go("/jobs")?;
    person.reads("Your token")?;
    person.leaves_content_but_for(&["401"])
}

#[test]
fn a_session_that_is_over_or_revoked_is_led_to_the_login_with_a_sentence() -> Result<()> {
    let stage = Stage::set()?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };
    person.log_in(&stage.token("vera", Role::Viewer)?)?;
    let store = rusqlite::Connection::open(stage.scene.grid.server.state_dir().join("nightshift.sqlite"))?;
    store.busy_timeout(nightshift_testbed::wait::SOON)?;
    store.execute(include_str!("end_sessions.sql"), [])?;
    person.go("/workers")?;
    person.arrives_at("/login?over=yes&to=/workers")?;
    person.reads("You were logged out")?;
    person.log_in(&stage.token("vic", Role::Viewer)?)?;
    // A page that is left open finds out by itself.
    person.go("/")?;
    stage.scene.ask(async |client| client.revoke_token("vic").await)?;
    person.reads("You were logged out")?;
    person.leaves_content_but_for(&["401"])
}
