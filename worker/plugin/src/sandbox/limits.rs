//! How much a program may take of the machine: limits that the kernel keeps for each process, and its place behind others.
//!
//! What processes take together is watched over by `process/warden.rs`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use serde::{Deserialize, Serialize};

/// Processes and threads that a program may have at a time.
const MOST_PROCESSES: u64 = 128;
/// Files that each of its processes may have open.
const MOST_FILES: u64 = 1024;
/// Seconds of CPU after which a process ends; a block has a limit of its own, this one is for what hides between blocks.
const MOST_CPU_SECONDS: u64 = 7 * 24 * 60 * 60;
/// The kernel takes the lowest priority of disks that is not idle from it, too.
const NICENESS: i32 = 15;
/// Of two programs that memory is short for, the plugin's goes first.
const FIRST_TO_GO: &str = "1000";

/// How much a program may take, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Memory of each process, and of all together.
    pub(crate) memory: u64,
    /// What its scratch folder may hold.
    pub(crate) scratch: u64,
}

/// Limits this process and what it becomes. `is_counted_alone`: no other process counts as its user's.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn apply(limits: Limits, is_counted_alone: bool) -> io::Result<()> {
    // Not the address space: JITs and garbage collectors reserve much more of it than they use.
    set(Resource::Data, limits.memory)?;
    set(Resource::Fsize, limits.scratch)?;
    set(Resource::Nofile, MOST_FILES)?;
    set(Resource::Core, 0)?;
    set(Resource::Cpu, MOST_CPU_SECONDS)?;
    set(Resource::Msgqueue, 0)?;
    let others = if is_counted_alone { 0 } else { tasks_of_this_user() };
    set(Resource::Nproc, others + MOST_PROCESSES)?;
    let niceness = rustix::process::getpriority_process(None).unwrap_or(0);
    if niceness < NICENESS {
        setpriority_process(None, NICENESS)?;
    }
    // Best effort: some containers keep it from everybody.
    let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    Ok(())
}

/// Lowers a limit, also for whoever could raise it again.
fn set(resource: Resource, most: u64) -> io::Result<()> {
    let before = rustix::process::getrlimit(resource);
    let most = before.maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Processes and threads that the kernel counts together with this one.
fn tasks_of_this_user() -> u64 {
    let me = rustix::process::getuid().as_raw();
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let processes = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let ours = processes.filter(|entry| entry.metadata().is_ok_and(|process| process.uid() == me));
    ours.map(|entry| fs::read_dir(entry.path().join("task")).map_or(1, |tasks| tasks.count() as u64)).sum()
}
