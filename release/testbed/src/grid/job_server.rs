//! A job server as a real process.
#![allow(clippy::disallowed_methods, reason = "starts the job server; ended when the handle is dropped")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::{Programs, Repository, processes};
use crate::wait::{self, SOON};

/// A job server in a folder; it keeps its port over restarts.
#[derive(Debug)]
pub struct JobServer {
    program: PathBuf,
    folder: PathBuf,
    repository: Repository,
    /// Further lines of its configuration.
    more: String,
    /// `IP:PORT`, known after the first start.
    address: String,
    running: Option<Child>,
    /// What its `init` printed, once it asks for tokens.
    guard: Option<Guard>,
}

/// What gets in at a job server that asks for tokens.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The pin of its certificate authority.
    pub pin: String,
    /// The first admin token.
    pub admin_token: String,
}

impl JobServer {
    /// Starts one on a free port and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up; the error holds its last words.
    pub fn start(programs: &Programs, folder: &Path, repository: &Repository) -> Result<JobServer> {
        JobServer::start_as(&programs.path("nightshift-jobserver"), folder, repository, "")
    }

    /// Starts a certain program, with further lines of jobserver.toml in `more`, such as `store = "mysql://…"`.
    ///
    /// # Errors
    /// When it does not come up; the error holds its last words.
    pub fn start_as(program: &Path, folder: &Path, repository: &Repository, more: &str) -> Result<JobServer> {
        fs::create_dir_all(folder.join("state")).with_context(|| format!("making {}", folder.display()))?;
        let mut server = JobServer {
            program: program.to_owned(),
            folder: folder.to_owned(),
            repository: repository.clone(),
            more: more.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            running: None,
            guard: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again, on the port it had.
    ///
    /// # Errors
    /// When it does not come up; the error holds its last words.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let address_file = self.state_dir().join("address");
        let _ = fs::remove_file(&address_file);
        // Tables stand behind all keys that are in none.
        let tables = self.more.lines().position(|line| line.starts_with('[')).unwrap_or(usize::MAX);
        let part = |take: &dyn Fn(usize) -> bool| -> String {
            self.more.lines().enumerate().filter(|(at, _)| take(*at)).map(|(_, line)| format!("{line}\n")).collect()
        };
        let (keys, tables) = (part(&|at| at < tables), part(&|at| at >= tables));
        fs::write(self.config(), format!("{keys}\n{}\n{tables}", self.config_text()))?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut child = Command::new(&self.program)
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let listening = wait::until_ok("the job server to listen", SOON, || {
            if let Some(status) = child.try_wait()? {
                bail!("the job server ended with {status}:\n{}", fs::read_to_string(self.log()).unwrap_or_default());
            }
            let address = fs::read_to_string(&address_file).unwrap_or_default().trim().to_owned();
            Ok(std::net::TcpStream::connect(&address).ok().map(|_| address))
        });
        match listening {
            Ok(address) => {
                self.address = address;
                self.running = Some(child);
                Ok(())
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Lets `init` make a certificate authority and a first admin token, and starts it again with TLS and tokens.
    ///
    /// # Errors
    /// When `init` fails, or it does not come up.
    pub fn ask_for_tokens(&mut self) -> Result<Guard> {
        self.kill();
        fs::write(self.config(), self.config_text())?;
        let init = Command::new(&self.program).arg("init").arg("--config").arg(self.config()).output()?;
        let said = String::from_utf8_lossy(&init.stdout).into_owned();
        let value = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let (Some(pin), Some(admin_token)) = (value("jobserver_ca"), value("admin_token")) else {
            bail!("init ended with {}:\n{said}{}", init.status, String::from_utf8_lossy(&init.stderr));
        };
        let guard = Guard { pin, admin_token };
        self.guard = Some(guard.clone());
        self.restart()?;
        Ok(guard)
    }

    /// Has it make a backup in a new folder, while it runs or not.
    ///
    /// # Errors
    /// When it does not; the error holds what it said.
    pub fn back_up(&self, folder: &Path) -> Result<()> {
        let made = Command::new(&self.program).arg("backup").arg("--config").arg(self.config()).arg(folder).output()?;
        ensure!(made.status.success(), "backup ended with {}:\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Kills it, takes its state away for good, and starts it again with a backup in its place.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart_from(&mut self, backup: &Path) -> Result<()> {
        self.kill();
        fs::remove_dir_all(self.state_dir())?;
        fs::rename(backup, self.state_dir())?;
        self.restart()
    }

    /// What gets in at it, once it asks for tokens.
    pub fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Kills it, as a power cut would; nothing happens when it does not run.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it from running without ending it: its sockets stay open and say nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        processes::signal(self.pid()?, Signal::STOP)
    }

    /// Lets a frozen one run on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        processes::signal(self.pid()?, Signal::CONT)
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.guard.is_some() { "https" } else { "http" }, self.address)
    }

    /// Its state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The file with what it said.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("jobserver.toml")
    }

    /// Its process number.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.running.as_ref().context("the job server does not run")?.id())
    }

    fn config_text(&self) -> String {
        let Repository { url, control_branch, signers } = &self.repository;
        let look_every = if self.more.contains("look_every") { "" } else { "look_every = \"1s\"\n" };
        format!(
            "access = {:?}\nlisten = {:?}\nstate_dir = {:?}\n{look_every}\n[repository]\nurl = {url:?}\n\
             control_branch = {control_branch:?}\nsigners = {signers:?}\n",
            if self.guard.is_some() { "tokens" } else { "open" },
            self.address,
            self.state_dir(),
        )
    }
}

impl Drop for JobServer {
    fn drop(&mut self) {
        self.kill();
    }
}
