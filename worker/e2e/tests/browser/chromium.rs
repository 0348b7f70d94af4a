//! Headless browsers as processes: one chromedriver for the suite, a browser with a fresh profile for each story.
//!
//! The driver lives in a folder of its own, with everything the browsers write, and ends with this program
//! ([`nightshift_testbed::kept`]). Browsers are told what to do through a pipe of the driver's: they end when it does.
//!
//! The driver is spoken to by fantoccini and not by thirtyfour, which has serde_json keep the order of keys: in a build for
//! tests, everything that is tested would write other JSON than what is shipped.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Once, OnceLock};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, ensure};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use nightshift_testbed::kept::{self, Kept};
use nightshift_testbed::wait::{self, SOON};
use serde_json::json;
use tempfile::TempDir;

/// What a person does to have one.
const ADVICE: &str = "install chromium and chromium-driver (`make test` does so when it may)";

/// The running driver.
struct Driver {
    url: String,
    folder: TempDir,
    /// Ends with this program, which never drops what is static.
    _kept: Kept,
}

static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();

/// A new browser and its profile, which has to outlive it; nothing, and said so, when this machine has none.
pub(crate) async fn open() -> Result<Option<(Client, TempDir)>> {
    let (Some(browser), Some(driver)) = (kept::find("chromium"), kept::find("chromedriver")) else {
        static SAID: Once = Once::new();
        // Past the test harness, which would swallow it.
        SAID.call_once(|| drop(writeln!(io::stderr(), "\nNOT RUN: the stories in a browser: {ADVICE}")));
        return Ok(None);
    };
    // Many stories may begin at once: the first starts the driver, the others wait for that.
    let driver = DRIVER.get_or_init(|| start(&driver).map_err(|error| format!("{error:#}")));
    let driver = driver.as_ref().map_err(|error| anyhow!("starting chromedriver: {error}"))?;
    let profile = tempfile::Builder::new().prefix("profile-").tempdir_in(&driver.folder)?;
    let mut builder = ClientBuilder::new(HttpConnector::new());
    let opened = builder.capabilities(capabilities(&browser, profile.path())).connect(&driver.url).await;
    let client = opened.with_context(|| format!("opening a browser:\n{}", log(driver.folder.path())))?;
    Ok(Some((client, profile)))
}

fn start(program: &Path) -> Result<Driver> {
    let folder = tempfile::Builder::new().prefix("nightshift-browser-").tempdir()?;
    let own = folder.path().display();
    // Nothing is written elsewhere, and no setting of the user counts.
    let arguments =
        [format!("TMPDIR={own}"), format!("HOME={own}"), program.display().to_string(), "--port=0".to_owned()];
    let env = kept::find("env").context("looking for env")?;
    let mut kept = Kept::start(folder.path(), &env, &arguments)?;
    let port = wait::until_ok("chromedriver to listen", SOON, || {
        let log = log(folder.path());
        ensure!(!kept.has_ended()?, "it ended:\n{log}");
        let port = log.split("started successfully on port ").nth(1).and_then(|rest| rest.split_once('.'));
        Ok(port.and_then(|(port, _)| port.parse::<u16>().ok()))
    })?;
    Ok(Driver { url: format!("http://127.0.0.1:{port}"), folder, _kept: kept })
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// How a browser shall be: as anybody's, without everything that has to do with other machines.
fn capabilities(browser: &Path, profile: &Path) -> Capabilities {
    let mut arguments = vec![
        "--headless".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--disable-sync".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
        "--no-first-run".to_owned(),
        "--remote-debugging-pipe".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", profile.display()),
    ];
    if rustix::process::getuid().is_root() {
        arguments.push("--no-sandbox".to_owned());
    }
    let options = json!({
        "binary": browser,
        "args": arguments,
        "prefs": { "download": { "default_directory": profile.join("downloads"), "prompt_for_download": false } },
    });
    let wanted = [
        ("goog:chromeOptions", options),
        ("goog:loggingPrefs", json!({ "browser": "ALL", "performance": "ALL" })),
        // The grid's certificate authority is its own.
        ("acceptInsecureCerts", json!(true)),
    ];
    wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
