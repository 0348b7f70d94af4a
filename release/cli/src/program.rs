//! Starts a program that is to be released, to hear its version. It is waited for here, or killed.
#![allow(clippy::disallowed_methods, reason = "this file is where a program of a release is started")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nightshift_testbed::wait;

/// How long a program may take to say its version.
const WITHIN: Duration = Duration::from_secs(10);

/// What the program says to `--version`: one line. It runs as a copy, in a folder of its own, with an environment that says
/// nothing, because that is how a worker will have it.
pub(crate) fn says_version(file: &Path, name: &str) -> anyhow::Result<String> {
    let area = tempfile::tempdir().context("making a temporary folder")?;
    let copy = area.path().join(name);
    fs::copy(file, &copy).context("copying it")?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).context("making it executable")?;
    let mut child = Command::new(&copy)
        .arg("--version")
        .current_dir(area.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("it does not start here")?;
    let ended = wait::until_ok("it to say its version", WITHIN, || Ok(child.try_wait()?));
    if ended.is_err() {
        // It may be gone by now.
        let _ = child.kill();
    }
    let output = child.wait_with_output().context("reading what it says")?;
    if ended.is_err() {
        bail!("it does not end within {} s when it is started with --version", WITHIN.as_secs());
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "started with --version it ends with {}: {said}{complaint}", output.status);
    Ok(said)
}
