//! `git daemon` on a free port of loopback. It is ended when its handle is dropped.
#![allow(clippy::disallowed_methods, reason = "the git daemon is started here, and ended by its handle")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::wait;

/// A repository served over `git://`.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    url: String,
}

impl Daemon {
    /// Serves the repository in `folder`; `None` where git or its daemon is not installed.
    pub(super) fn start(folder: &Path) -> Result<Option<Daemon>> {
        let Ok(asked) = Command::new("git").arg("--exec-path").output() else { return Ok(None) };
        let program = Path::new(String::from_utf8(asked.stdout)?.trim()).join("git-daemon");
        if !program.exists() {
            return Ok(None);
        }
        let (base, name) = (folder.parent().context("a folder")?, folder.file_name().context("a folder")?);
        // Another process may take the free port before the daemon does: then it ends at once, and another is tried.
        for _ in 0..10 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let process = Command::new(&program)
                .args(["--listen=127.0.0.1", "--export-all", "--reuseaddr", "--log-destination=none"])
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", base.display()))
                .arg(base)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("starting git daemon")?;
            let url = format!("git://127.0.0.1:{port}/{}", name.display());
            let mut daemon = Daemon { process, url };
            let answers = wait::until_ok("git daemon to listen", wait::SOON, || {
                if daemon.process.try_wait()?.is_some() {
                    return Ok(Some(false));
                }
                Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true))
            })?;
            if answers {
                return Ok(Some(daemon));
            }
        }
        bail!("git daemon found no free port")
    }

    /// The repository's address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
