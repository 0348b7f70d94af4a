//! Processes of this machine: which belong to a folder, and signals to one of them by its number.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program's name.
    pub name: String,
    /// Its arguments, with blanks between them.
    pub command_line: String,
}

/// Every running process that has to do with `folder`: one of its arguments lies there, or its working folder, or a
/// file it holds open. This process itself is never among them.
pub fn processes_in(folder: &Path) -> Vec<Process> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| process_in(pid, &folder))
        .collect()
}

fn process_in(pid: u32, folder: &Path) -> Option<Process> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let arguments: Vec<String> = fs::read(proc.join("cmdline"))
        .ok()?
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .filter(|argument| !argument.is_empty())
        .collect();
    let inside = |path: PathBuf| path.starts_with(folder);
    let holds_a_file = || {
        let Ok(files) = fs::read_dir(proc.join("fd")) else { return false };
        files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(inside)
    };
    let belongs = arguments.iter().any(|argument| inside(PathBuf::from(argument)))
        || fs::read_link(proc.join("cwd")).is_ok_and(inside)
        || holds_a_file();
    belongs.then(|| Process {
        pid,
        name: fs::read_to_string(proc.join("comm")).unwrap_or_default().trim().to_owned(),
        command_line: arguments.join(" "),
    })
}

impl Process {
    /// Kills it.
    ///
    /// # Errors
    /// When it has ended already, or is not ours.
    pub fn kill(&self) -> Result<()> {
        signal(self.pid, Signal::KILL)
    }

    /// Stops it from running without ending it.
    ///
    /// # Errors
    /// When it has ended already, or is not ours.
    pub fn freeze(&self) -> Result<()> {
        signal(self.pid, Signal::STOP)
    }

    /// Lets it run on after [`freeze`](Process::freeze).
    ///
    /// # Errors
    /// When it has ended, or is not ours.
    pub fn thaw(&self) -> Result<()> {
        signal(self.pid, Signal::CONT)
    }
}

/// Sends a signal to one process.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process number is positive")?;
    kill_process(pid, signal).with_context(|| format!("sending {signal:?} to process {pid}"))
}
