//! A worker as real processes: cycles started as cron would, watched, killed, frozen.
#![allow(clippy::disallowed_methods, reason = "starts cycles; whatever a worker started is ended when it is dropped")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nightshift_contract::handoff::SAMPLES;
use nightshift_contract::layout::StateDir;
use nightshift_kin::{Roots, end, is_left};
use rustix::process::Signal;
use serde_json::Value;

use super::processes::{self, Process, processes_in};
use super::{Programs, Repository};
use crate::wait::{self, SOON};

/// A worker in a folder of its own: `worker.toml`, and `state`.
#[derive(Debug)]
pub struct Worker {
    program: PathBuf,
    folder: PathBuf,
}

/// A cycle that was started and may still run.
#[derive(Debug)]
pub struct Cycle {
    child: Child,
    folder: PathBuf,
    number: u32,
    ended: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Worker {
    /// A worker in `folder`, with further lines of worker.toml in `more`. A key that stands in `more` replaces the one
    /// written by itself.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(
        programs: &Programs,
        folder: &Path,
        repository: &Repository,
        jobservers: &[String],
        more: &str,
    ) -> Result<Worker> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let worker = Worker { program: programs.path("nightshift-worker"), folder };
        let Repository { url, control_branch, signers } = repository;
        let own = [
            ("repository", format!("{url:?}")),
            ("control_branch", format!("{control_branch:?}")),
            ("jobserver", format!("{jobservers:?}")),
            ("signers", format!("{signers:?}")),
            ("state_dir", format!("{:?}", worker.state().root())),
            ("look_every", "\"1s\"".to_owned()),
        ];
        let replaced = |key: &str| more.lines().any(|line| line.split('=').next().is_some_and(|k| k.trim() == key));
        let mut text: String =
            own.iter().filter(|(key, _)| !replaced(key)).map(|(key, value)| format!("{key} = {value}\n")).collect();
        text += more;
        fs::write(worker.config(), text)?;
        Ok(worker)
    }

    /// Its state folder.
    pub fn state(&self) -> StateDir {
        StateDir::new(self.folder.join("state"))
    }

    /// Its worker.toml.
    pub fn config(&self) -> PathBuf {
        self.folder.join("worker.toml")
    }

    /// Starts a cycle, as cron would.
    ///
    /// # Errors
    /// When boot cannot be started.
    pub fn start_cycle(&self) -> Result<Cycle> {
        self.start(&["run"], &[])
    }

    /// Starts a cycle as a service manager would that listens at `socket`.
    ///
    /// # Errors
    /// When boot cannot be started.
    pub fn start_cycle_as_a_service(&self, socket: &Path) -> Result<Cycle> {
        self.start(&["run"], &[("NOTIFY_SOCKET", socket)])
    }

    /// Runs a cycle to its end.
    ///
    /// # Errors
    /// When it cannot be started, or still runs after a minute.
    pub fn cycle(&self) -> Result<Ended> {
        self.start_cycle()?.ended_within(SOON)
    }

    /// Runs another command of boot to its end, such as `status` or `stop --reason TEXT`.
    ///
    /// # Errors
    /// When it cannot be started, or still runs after a minute.
    pub fn command(&self, arguments: &[&str]) -> Result<Ended> {
        self.start(arguments, &[])?.ended_within(SOON)
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Result<Cycle> {
        let number = (0..).find(|number| !output(&self.folder, *number, "out").exists()).unwrap_or(u32::MAX);
        let child = Command::new(&self.program)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(output(&self.folder, number, "out"))?)
            .stderr(File::create(output(&self.folder, number, "err"))?)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        Ok(Cycle { child, folder: self.folder.clone(), number, ended: false })
    }

    /// Every running process that has to do with this worker.
    pub fn processes(&self) -> Vec<Process> {
        processes_in(&self.folder)
    }

    /// The mark of its last core, which is on all that core started: a sandbox that is being set up shows nothing of the folder.
    fn mark(&self) -> Option<String> {
        fs::read_to_string(self.state().core_mark()).ok()?.split(' ').next().map(ToOwned::to_owned)
    }

    /// The numbers of all that still runs for it.
    fn left(&self) -> Vec<u32> {
        let marked = self.mark().and_then(|mark| is_left(&Roots { mark: Some(&mark), ..Roots::default() }).ok());
        self.processes().iter().map(|process| process.pid).chain(marked.into_iter().flatten()).collect()
    }

    /// Waits until no process of this worker is left.
    ///
    /// # Errors
    /// When one is left after a minute; the error names it.
    pub fn none_left(&self) -> Result<()> {
        let all_ended = || self.left().is_empty().then_some(());
        wait::until("every process of the worker to end", SOON, all_ended)
            .with_context(|| format!("left: {:?} {:?}", self.left(), self.processes()))
    }

    /// Its core, when one runs. A core that only tries a release's samples does not count.
    pub fn core(&self) -> Option<Process> {
        let tries = |process: &Process| process.command_line.split(' ').any(|argument| argument == SAMPLES);
        self.processes().into_iter().find(|process| process.name == "nightshift-core" && !tries(process))
    }

    /// Waits for a core other than `before` to run.
    ///
    /// # Errors
    /// When none runs after a minute.
    pub fn core_runs(&self, before: Option<u32>) -> Result<Process> {
        let other = || self.core().filter(|core| Some(core.pid) != before);
        wait::until("a core to run", SOON, other).with_context(|| self.said())
    }

    /// The content of its status file; `None` when there is none.
    pub fn status(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.state().status()).ok()?).ok()
    }

    /// Waits until its status file says what `is_so` looks for.
    ///
    /// # Errors
    /// When it does not after `at_most`; the error holds the status.
    pub fn status_says(&self, what: &str, at_most: Duration, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, at_most, || self.status().filter(&is_so))
            .with_context(|| format!("status: {:#}\n{}", self.status().unwrap_or_default(), self.said()))
    }

    /// What its log files say, for error messages.
    pub fn said(&self) -> String {
        let Ok(files) = fs::read_dir(self.state().log()) else { return String::new() };
        let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        files.sort();
        files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect()
    }
}

impl Cycle {
    /// The process number of the launcher (boot becomes the launcher).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it still runs after `at_most`; it is killed then.
    pub fn ended_within(mut self, at_most: Duration) -> Result<Ended> {
        let ended =
            wait::until_ok(format_args!("cycle {} to end", self.number), at_most, || Ok(self.child.try_wait()?));
        let read = |what| fs::read_to_string(output(&self.folder, self.number, what)).unwrap_or_default();
        let (stdout, stderr) = (read("out"), read("err"));
        let status = ended.with_context(|| format!("it said: {stdout}{stderr}"))?;
        self.ended = true;
        Ok(Ended { code: status.code(), stdout, stderr })
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the launcher, as the kernel does when memory runs out.
    pub fn kill(mut self) {
        self.end();
    }

    /// Stops the launcher from running without ending it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&self) -> Result<()> {
        processes::signal(self.pid(), Signal::STOP)
    }

    /// Asks the launcher to end, as a shutdown does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&self) -> Result<()> {
        processes::signal(self.pid(), Signal::TERM)
    }

    fn end(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.ended = true;
        }
    }
}

impl Drop for Cycle {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drop for Worker {
    /// Ends whatever runs for this worker, so that no test leaves anything behind: who is killed here may have frozen
    /// others, to kill them next.
    fn drop(&mut self) {
        let _ = wait::until("every process of the worker to end", SOON, || {
            self.processes().iter().for_each(|process| drop(process.kill()));
            if let Some(mark) = self.mark() {
                let _ = end(&Roots { mark: Some(&mark), ..Roots::default() }, &[], SOON);
            }
            self.left().is_empty().then_some(())
        });
    }
}

fn output(folder: &Path, number: u32, what: &str) -> PathBuf {
    folder.join(format!("cycle-{number}.{what}"))
}
