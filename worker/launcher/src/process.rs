//! Processes of this machine: who they are, waiting for their end, ending them.
//!
//! A process is always named by number and start time ([`Holder`]) and reached through a pidfd opened before the start
//! time is compared, so that a number used again is never hit.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nightshift_contract::holder::Holder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use crate::clock;

/// This process.
pub fn me() -> io::Result<Holder> {
    holder_of("self")
}

/// A child of this process that has not been waited for.
pub fn child(pid: u32) -> io::Result<Holder> {
    holder_of(&pid.to_string())
}

fn holder_of(process: &str) -> io::Result<Holder> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    Holder::from_proc_stat(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{process}/stat is unreadable")))
}

/// A handle on a process that runs right now.
#[derive(Debug)]
pub struct Running {
    holder: Holder,
    pidfd: OwnedFd,
}

impl Running {
    /// A handle on `holder`; `None` when it has ended, even if its number is in use again.
    pub fn find(holder: Holder) -> Option<Running> {
        let pidfd = pidfd_open(pid(holder.pid)?, PidfdFlags::empty()).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", holder.pid)).ok()?;
        (Holder::from_proc_stat(&stat)? == holder).then_some(Running { holder, pidfd })
    }

    /// Waits for the process to end; false when it still runs after `at_most`.
    pub fn ends_within(&self, at_most: Duration) -> bool {
        let deadline = clock::since_start() + u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX / 2);
        loop {
            let left = Duration::from_millis(deadline.saturating_sub(clock::since_start()));
            match wait_for_end(&self.pidfd, Some(left)) {
                Ok(ended) => return ended,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Kills the process; it may have ended just before.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Kills the process and everything in the process group it leads.
    pub fn kill_group(&self) {
        if !self.ends_within(Duration::ZERO) {
            kill_group(self.holder.pid);
        }
        self.kill();
    }
}

/// Kills every process of the group led by `leader`, which must not have been waited for yet: until then the kernel
/// gives its number to nobody else.
pub fn kill_group(leader: u32) {
    if let Some(group) = pid(leader) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// For a child that has not been waited for: what waits for its end on a thread of its own, without collecting it.
///
/// # Errors
/// When there is no such child.
pub fn child_to_watch(child: u32) -> io::Result<impl FnOnce() + Send + 'static> {
    let pid = pid(child).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(move || while let Err(Errno::INTR) = wait_for_end(&pidfd, None) {})
}

/// Whether somebody ended a process that did not end by itself: a person, a service manager, or the kernel for want of
/// memory. A program that crashes dies of other signals.
pub fn is_ended_by_somebody(status: ExitStatus) -> bool {
    let signals = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
    status.signal().is_some_and(|ended_by| signals.iter().any(|signal| signal.as_raw() == ended_by))
}

/// Whether the process behind a pidfd ended within a time, or ever.
fn wait_for_end(pidfd: &OwnedFd, at_most: Option<Duration>) -> Result<bool, Errno> {
    let timeout = at_most.map(|at_most| Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 }));
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], timeout.as_ref()).map(|ready| ready > 0)
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_number_and_start_time() {
        let me = me().expect("/proc is there");
        assert_eq!(me.pid, std::process::id());
        let running = Running::find(me).expect("this test runs");
        assert!(!running.ends_within(Duration::ZERO));
    }

    #[test]
    fn a_kill_is_told_from_a_crash() {
        for (signal, by_somebody) in [(9, true), (15, true), (2, true), (1, true), (11, false), (6, false), (7, false)]
        {
            assert_eq!(is_ended_by_somebody(ExitStatus::from_raw(signal)), by_somebody, "signal {signal}");
        }
        assert!(!is_ended_by_somebody(ExitStatus::from_raw(101 << 8)), "it ended by itself, with 101");
    }

    #[test]
    fn a_number_used_again_is_not_the_process_that_had_it() {
        let me = me().expect("/proc is there");
        assert!(Running::find(Holder { start_ticks: me.start_ticks + 1, ..me }).is_none());
        assert!(Running::find(Holder { pid: 0, ..me }).is_none());
    }
}
