//! A person at a browser: goes to pages, reads, fills in, presses, drops files, and sees how a page looks.
//!
//! Things are found as people find them: a field by its label, a button or link by its words. Everything that may take a
//! moment is waited for.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fantoccini::Client;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::{Element, ElementRef};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use nightshift_testbed::wait::{self, SOON};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::chromium;
use crate::stage::Stage;

/// How long the browser may take for one thing on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The width of a phone, and its height.
pub(crate) const PHONE: (u32, u32) = (390, 844);

/// The colours somebody prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    Light,
    Dark,
}

impl Colours {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Colours::Light => "light",
            Colours::Dark => "dark",
        }
    }
}

/// Somebody who looks at the dashboard of a stage.
pub(crate) struct Person {
    browser: Client,
    profile: TempDir,
    runtime: Runtime,
    url: String,
}

impl Person {
    /// Somebody who is not logged in; nobody where no browser is installed.
    pub(crate) fn at(stage: &Stage) -> Result<Option<Person>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(chromium::open())?;
        Ok(opened.map(|(browser, profile)| Person { browser, profile, runtime, url: stage.url() }))
    }

    /// Goes to a page by its address.
    pub(crate) fn go(&self, path: &str) -> Result<()> {
        self.go_elsewhere(&format!("{}{path}", self.url))
    }

    /// Goes to a page of another server.
    pub(crate) fn go_elsewhere(&self, address: &str) -> Result<()> {
        self.tell(self.browser.goto(address)).with_context(|| format!("going to {address}"))
    }

    /// Logs in with a token, from wherever the page is.
    pub(crate) fn log_in(&self, token: &str) -> Result<()> {
        self.go("/login")?;
        self.fill("Your token", token)?;
        self.press_and_leave("Log in")?;
        self.reads("Log out")
    }

    /// Waits until the page says this.
    pub(crate) fn reads(&self, words: &str) -> Result<()> {
        self.until(format_args!("the page to say {words:?}"), || self.says(words))
    }

    /// Waits until the page says this no more.
    pub(crate) fn reads_no_more(&self, words: &str) -> Result<()> {
        self.until(format_args!("the page to say {words:?} no more"), || Ok(!self.says(words)?))
    }

    /// Whether the page says this now.
    pub(crate) fn says(&self, words: &str) -> Result<bool> {
        Ok(self.text()?.contains(words))
    }

    /// What the page says, as it is seen.
    pub(crate) fn text(&self) -> Result<String> {
        self.ask("return document.body.innerText", json!([]))
    }

    /// Path and query of the page.
    pub(crate) fn place(&self) -> Result<String> {
        self.ask("return location.pathname + location.search", json!([]))
    }

    /// Waits until the page is at this path and query.
    pub(crate) fn arrives_at(&self, place: &str) -> Result<()> {
        self.until(format_args!("the page {place}"), || Ok(self.place()? == place))
    }

    /// Fills in the field with this label.
    pub(crate) fn fill(&self, label: &str, text: &str) -> Result<()> {
        let field = self.field(label)?;
        self.tell(field.clear())?;
        self.tell(field.send_keys(text))
    }

    /// Chooses an option of the field with this label, by the first words of it.
    pub(crate) fn choose(&self, label: &str, option: &str) -> Result<()> {
        let field = self.field(label)?;
        self.tell(field.send_keys(option))
    }

    /// Chooses a file for the field with this label.
    pub(crate) fn choose_file(&self, label: &str, file: &Path) -> Result<()> {
        let field = self.field(label)?;
        self.tell(field.send_keys(&file.display().to_string()))
    }

    /// Drops a file with this name and content on the page's place for it.
    pub(crate) fn drop_file(&self, name: &str, content: &str) -> Result<()> {
        self.ask(include_str!("scripts/drop_file.js"), json!([name, content]))
    }

    /// Presses the button, link or summary with these words.
    pub(crate) fn press(&self, words: &str) -> Result<()> {
        let pressed = self.until(format_args!("something to press that says {words:?}"), || {
            let Some(found) = self.found(include_str!("scripts/pressed.js"), json!(words))? else { return Ok(false) };
            self.tell(found.click())?;
            Ok(true)
        });
        pressed.with_context(|| format!("pressing {words:?}"))
    }

    /// Presses the button with these words in the form of the field with this label.
    pub(crate) fn press_in_form_of(&self, label: &str, words: &str) -> Result<()> {
        let button = self.found(include_str!("scripts/submit_of.js"), json!([label, words]))?;
        let button = button.with_context(|| format!("no button {words:?} in the form of {label:?}"))?;
        self.tell(button.click())
    }

    /// As [`Person::press`], and waits for the page that comes then.
    pub(crate) fn press_and_leave(&self, words: &str) -> Result<()> {
        self.leaves_after(|| self.press(words))
    }

    /// Does something that leads to another page, or to this one anew, and waits for that.
    pub(crate) fn leaves_after(&self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        self.ask::<()>("window.isOld = true", json!([]))?;
        act()?;
        self.until("another page", || self.ask("return !window.isOld && document.readyState === 'complete'", json!([])))
    }

    /// Types a key, wherever the focus is.
    pub(crate) fn types(&self, key: Key) -> Result<()> {
        self.types_text(&key)
    }

    /// Types a text, wherever the focus is.
    pub(crate) fn types_text(&self, text: &str) -> Result<()> {
        let keyboard = KeyActions::new("keyboard".to_owned());
        let typed = text
            .chars()
            .fold(keyboard, |typed, value| typed.then(KeyAction::Down { value }).then(KeyAction::Up { value }));
        self.tell(self.browser.perform_actions(typed))
    }

    /// Looks as on a phone from now on.
    pub(crate) fn takes_a_phone(&self) -> Result<()> {
        let (width, height) = PHONE;
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen)
    }

    /// Sees so much of a page at once from now on.
    pub(crate) fn has_a_window(&self, (width, height): (u32, u32)) -> Result<()> {
        let window = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &window)
    }

    /// Prefers these colours from now on.
    pub(crate) fn prefers(&self, colours: Colours) -> Result<()> {
        let scheme = json!({ "name": "prefers-color-scheme", "value": colours.word() });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [scheme] }))
    }

    /// A picture of what is seen, as PNG.
    pub(crate) fn picture(&self) -> Result<Vec<u8>> {
        self.tell(self.browser.screenshot())
    }

    /// Waits until a file of this name has been downloaded, and reads it.
    pub(crate) fn downloaded(&self, name: &str) -> Result<String> {
        let file = self.downloads().join(name);
        // The browser keeps the name free with an empty file, and puts the whole one in its place.
        let whole = || std::fs::read_to_string(&file).ok().filter(|content| !content.is_empty());
        let content = wait::until(format_args!("{name} to be downloaded"), SOON, whole);
        content.with_context(|| format!("in {}", self.downloads().display()))
    }

    /// Calls a script with these arguments.
    pub(crate) fn ask<T: DeserializeOwned>(&self, script: &str, arguments: Value) -> Result<T> {
        let Value::Array(arguments) = arguments else { bail!("arguments come as a list") };
        Ok(serde_json::from_value(self.tell(self.browser.execute(script, arguments))?)?)
    }

    /// Waits until it is so. A page that is just being replaced cannot answer, and is asked again.
    pub(crate) fn until(&self, what: impl Display, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
        let mut last = None;
        let waited = wait::until(&what, SOON, || match is_so() {
            Ok(is_so) => is_so.then_some(()),
            Err(error) => {
                last = Some(error);
                None
            }
        });
        waited.with_context(|| {
            let trouble = last.map(|error| format!("; last trouble: {error:#}")).unwrap_or_default();
            let (place, text) = (self.place().unwrap_or_default(), self.text().unwrap_or_default());
            format!("at {place}{trouble}; the page says:\n{text}")
        })
    }

    /// Ends the browser, and checks that it complained of nothing and asked no other machine for anything.
    pub(crate) fn leaves_content(self) -> Result<()> {
        self.leaves_content_but_for(&[])
    }

    /// As [`Person::leaves_content`]; complaints with one of these words were expected.
    pub(crate) fn leaves_content_but_for(self, expected: &[&str]) -> Result<()> {
        for Entry { level, message } in self.log("browser")? {
            let was_expected = expected.iter().any(|words| message.contains(words));
            let is_a_complaint = matches!(level.as_str(), "SEVERE" | "WARNING");
            ensure!(!is_a_complaint || was_expected, "the browser complains: {message}");
        }
        let requests: Vec<String> =
            self.log("performance")?.iter().filter_map(|entry| asked_for(&entry.message)).collect();
        ensure!(requests.iter().any(|url| url.starts_with(&self.url)), "no request was seen at all: {requests:?}");
        let left = requests.iter().find(|url| !stays_here(url));
        ensure!(left.is_none(), "a request left the machine: {left:?}");
        Ok(())
    }

    /// Where downloads go.
    fn downloads(&self) -> PathBuf {
        self.profile.path().join("downloads")
    }

    fn field(&self, label: &str) -> Result<Element> {
        let mut field = None;
        self.until(format_args!("a field with the label {label:?}"), || {
            field = self.found(include_str!("scripts/field.js"), json!(label))?;
            Ok(field.is_some())
        })?;
        field.context("it was just there")
    }

    fn found(&self, script: &str, wanted: Value) -> Result<Option<Element>> {
        let answer = self.tell(self.browser.execute(script, vec![wanted]))?;
        // An element is told by an object with one entry.
        let id = answer.as_object().and_then(|answer| answer.values().next()?.as_str());
        Ok(id.map(|id| Element::from_element_id(self.browser.clone(), ElementRef::from(id.to_owned()))))
    }

    /// What the browser noted since it was last asked.
    fn log(&self, kind: &str) -> Result<Vec<Entry>> {
        let ask = Chromiums { path: "se/log", body: json!({ "type": kind }) };
        Ok(serde_json::from_value(self.tell(self.browser.issue_cmd(ask))?)?)
    }

    fn devtools(&self, command: &str, arguments: &Value) -> Result<()> {
        let ask = Chromiums { path: "goog/cdp/execute", body: json!({ "cmd": command, "params": arguments }) };
        self.tell(self.browser.issue_cmd(ask)).map(drop)
    }

    /// Tells the browser to do something, and waits until it has.
    fn tell<T>(&self, what: impl Future<Output = Result<T, CmdError>>) -> Result<T> {
        let told = async { tokio::time::timeout(PATIENCE, what).await };
        Ok(self.runtime.block_on(told).context("the browser does nothing any more")??)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // A browser that cannot be ended properly ends with the driver.
        let _ = self.tell(self.browser.clone().close());
    }
}

/// A line of one of the browser's logs.
#[derive(Debug, Deserialize)]
struct Entry {
    level: String,
    message: String,
}

/// What only browsers of Chromium's family are asked.
#[derive(Debug)]
struct Chromiums {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromiums {
    fn endpoint(&self, driver: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        driver.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// The address that an entry of the browser's own log of what it does says is asked for.
fn asked_for(entry: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(entry).ok()?;
    let message = &entry["message"];
    let parameters = &message["params"];
    let url = match message["method"].as_str()? {
        "Network.requestWillBeSent" => &parameters["request"]["url"],
        "Network.webSocketCreated" => &parameters["url"],
        _ => return None,
    };
    url.as_str().map(str::to_owned)
}

/// Whether what is asked for is on this machine, or within the browser.
fn stays_here(url: &str) -> bool {
    match url.split_once(':') {
        Some(("http" | "https" | "ws" | "wss", rest)) => rest.starts_with("//127.0.0.1:"),
        Some((scheme, _)) => ["about", "blob", "chrome", "data"].contains(&scheme),
        None => false,
    }
}

#[test]
fn a_request_to_any_other_name_or_by_an_unknown_way_has_left_the_machine() {
    for here in ["https://127.0.0.1:40123/page.css?1", "http://127.0.0.1:1/", "data:,", "about:blank"] {
        assert!(stays_here(here), "{here}");
    }
    for elsewhere in
        ["https://example.com/", "http://127.0.0.1.example.com:80/", "wss://example.com:1/", "ftp://127.0.0.1:21/", "x"]
    {
        assert!(!stays_here(elsewhere), "{elsewhere}");
    }
}
