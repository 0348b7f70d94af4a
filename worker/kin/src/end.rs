//! Ends a family of processes.
//!
//! 1. Look; freeze every member that is not frozen; look again, until a look shows no member that moves. A process that
//!    forks on and on is outrun in the end: each look freezes all there are, and a frozen one forks no more.
//! 2. Kill every member, and look again. Until several looks in a row show none.
//!
//! Each signal goes through a pidfd that was opened before the process was compared with what the look showed, so that a
//! number used again is never hit. Members that are children of this process and ended are buried on the way, but for those
//! somebody waits for: otherwise a chain of forks would fill the table of processes.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use crate::clock::Stopwatch;
use crate::family::{Process, Roots, family};
use crate::{apart, orphans, proc, wait};

/// So many looks freeze before killing begins, whether the last one showed movement or not: what is killed does not
/// fork either.
const FREEZING_LOOKS: u32 = 20;

/// So many looks in a row have to show nobody: one that forks and ends all the time can be just before and just behind
/// where a look is.
const CLEAR_LOOKS: u32 = 8;

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// So many processes were killed.
    pub killed: usize,
}

/// Not everything could be ended.
#[derive(Debug, thiserror::Error)]
pub enum Survivors {
    /// Processes survive SIGKILL: they wait for a disk or a network share that does not answer, or are another user's.
    #[error("processes {0:?} do not end; they wait for a disk, or are another user's: restart the machine")]
    Left(Vec<u32>),
    /// Nobody knows what runs.
    #[error("reading which processes run from /proc")]
    Unseen(#[source] io::Error),
}

/// Ends the family, until none of it is left; `waited_for` are children of this process whose end somebody collects.
///
/// # Errors
/// When some of it is left after `at_most`, or /proc cannot be read.
pub fn end(roots: &Roots<'_>, waited_for: &[u32], at_most: Duration) -> Result<Ended, Survivors> {
    let begun = Stopwatch::start();
    let mut led: BTreeMap<u32, u64> = roots.known.iter().copied().collect();
    let mut killed = BTreeMap::new();
    let mut looks = 0;
    // Reading every environment takes longest: descent first, which finds nearly everything, and marks at the end.
    let mut mark = None;
    let mut clear = 0;
    loop {
        // Held until what was found has its signal.
        let held = apart::lock();
        let apart = apart::not_of(&held, roots.mark);
        let processes = look(roots, mark, waited_for, &apart)?;
        let members = family(&processes, &Roots { apart: &apart, ..roots.clone() }, &led);
        if members.is_empty() {
            if clear == CLEAR_LOOKS {
                return Ok(Ended { killed: killed.len() });
            }
            // Marks once: what a look misses moves on and on, and so leads to members by descent or by session.
            mark = if clear == 0 { roots.mark } else { None };
            clear += 1;
            continue;
        }
        clear = 0;
        led.extend(members.iter().map(|member| (member.pid, member.start)));
        let moving: Vec<&Process> = members.iter().copied().filter(|member| !member.is_stopped).collect();
        looks += 1;
        if !moving.is_empty() && looks <= FREEZING_LOOKS {
            signal(&moving, Signal::STOP);
            continue;
        }
        signal(&members, Signal::KILL);
        killed.extend(members.iter().map(|member| (member.pid, member.start)));
        if begun.elapsed() > at_most {
            return Err(Survivors::Left(members.iter().map(|member| member.pid).collect()));
        }
        drop(held);
        wait::a_moment();
    }
}

/// The members of the family by number and start, to be known again later.
///
/// # Errors
/// When /proc cannot be read.
pub fn members(roots: &Roots<'_>) -> Result<Vec<(u32, u64)>, Survivors> {
    let apart = apart::of_none(&apart::lock());
    let roots = Roots { apart: &apart, ..roots.clone() };
    let processes = proc::processes(roots.mark, since(&roots)).map_err(Survivors::Unseen)?;
    Ok(family(&processes, &roots, &BTreeMap::new()).iter().map(|member| (member.pid, member.start)).collect())
}

/// The members of the family that are left, by number.
///
/// # Errors
/// When /proc cannot be read.
pub fn is_left(roots: &Roots<'_>) -> Result<Vec<u32>, Survivors> {
    Ok(members(roots)?.into_iter().map(|(pid, _)| pid).collect())
}

/// What is below a process and has its mark is younger than it.
fn since(roots: &Roots<'_>) -> u64 {
    roots.below.and_then(proc::process).map_or(0, |process| process.start)
}

fn look(
    roots: &Roots<'_>,
    mark: Option<&str>,
    waited_for: &[u32],
    apart: &[(u32, u64)],
) -> Result<Vec<Process>, Survivors> {
    let me = std::process::id();
    let processes = proc::processes(mark, since(roots)).map_err(Survivors::Unseen)?;
    // Where no orphans are adopted, every child was started by somebody who waits for it.
    if orphans::adopts_orphans() {
        for process in processes.iter().filter(|process| process.is_zombie && process.parent == me) {
            if !waited_for.contains(&process.pid) && !apart.contains(&(process.pid, process.start)) {
                orphans::reap(process.pid);
            }
        }
    }
    Ok(processes)
}

/// Sends a signal to each, and to the groups they lead: a signal to a group cannot be outrun by a fork.
fn signal(processes: &[&Process], signal: Signal) {
    for process in processes {
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { continue };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if proc::process(process.pid).is_none_or(|now| now.start != process.start) {
            continue;
        }
        if process.group == process.pid {
            let _ = kill_process_group(pid, signal);
        }
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}
