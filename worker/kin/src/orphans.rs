//! Orphans: adopted, so that they stay below us, and buried when they end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, WaitOptions, set_child_subreaper, waitpid};

use crate::{apart, proc};

static ADOPTS: AtomicBool = AtomicBool::new(false);

/// From now on, what descends from this process and loses its parent becomes its own child, until it ends.
///
/// # Errors
/// When the kernel refuses.
pub fn adopt_orphans() -> io::Result<()> {
    set_child_subreaper(Pid::from_raw(1))?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether this process adopts orphans.
pub fn adopts_orphans() -> bool {
    ADOPTS.load(Ordering::Relaxed)
}

/// Buries ended children of this process that nobody waits for: all but those in `waited_for` and those kept apart, whose
/// end somebody collects.
///
/// # Errors
/// When /proc cannot be read.
pub fn reap_orphans(waited_for: &[u32]) -> io::Result<()> {
    let me = std::process::id();
    let held = apart::lock();
    let apart = apart::not_of(&held, None);
    for process in proc::processes(None, 0)? {
        let is_apart = apart.contains(&(process.pid, process.start));
        if process.parent == me && process.is_zombie && !is_apart && !waited_for.contains(&process.pid) {
            reap(process.pid);
        }
    }
    Ok(())
}

/// Buries one child; one that is not ours, or has not ended, stays as it is.
pub(crate) fn reap(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}
