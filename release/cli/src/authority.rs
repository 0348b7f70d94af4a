//! Makes the certificate authority of a new grid's job server, so that worker.toml has its pin from the beginning.
//!
//! The job server's own program makes it (`nightshift-jobserver init`), in the state folder that the job server will use: no
//! second program knows how. It is started here and waited for.
#![allow(clippy::disallowed_methods, reason = "this file is where `nightshift-jobserver init` is started")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use nightshift_client::Pin;
use serde::Deserialize;

use crate::templates::toml_string;

const PROGRAM: &str = "nightshift-jobserver";

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// What workers pin.
    pub(crate) pin: Pin,
    /// The first admin's token.
    pub(crate) token: String,
}

/// What the program prints.
#[derive(Deserialize)]
struct Printed {
    jobserver_ca: String,
    admin_token: String,
}

/// Makes authority and first token in `state_dir`, with files of its own in `workshop`; `None` when the job server's
/// program is not on this machine. `signer` is any line of allowed signers: nothing is verified here.
pub(crate) fn make(state_dir: &Path, workshop: &Path, signer: &str) -> anyhow::Result<Option<Made>> {
    let config = workshop.join("authority.toml");
    // It looks at no repository to do this.
    let text = format!(
        "state_dir = {}\n[repository]\nurl = \"file:///nonexistent\"\nsigners = [{}]\n",
        toml_string(&state_dir.to_string_lossy()),
        toml_string(signer)
    );
    fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
    let program = program();
    let mut command = Command::new(&program);
    command.args(["init", "--config"]).arg(&config).stdin(Stdio::null());
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.with_context(|| format!("starting {}", program.display()))?,
    };
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{} init ended with {}: {complaint}", program.display(), output.status);
    let printed = String::from_utf8_lossy(&output.stdout);
    // What it prints holds a secret, and so is not repeated.
    let doing = || format!("reading what {} init printed", program.display());
    let Printed { jobserver_ca, admin_token } = toml::from_str(&printed).ok().with_context(doing)?;
    Ok(Some(Made { pin: jobserver_ca.parse().with_context(doing)?, token: admin_token }))
}

/// The job server's program: the one beside this program, as they are installed, or one that the shell would find.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    beside.filter(|beside| beside.is_file()).unwrap_or_else(|| PROGRAM.into())
}
