//! Processes that this one starts and that are none of the core's: they stay when a family below this process is ended.
//!
//! They are known by number and start. Starting one and noting it is one step for whoever looks for a family meanwhile.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::proc;

static APART: Mutex<Vec<(u32, u64)>> = Mutex::new(Vec::new());

/// Starts a process that belongs to no family: `start` gives it with its number.
///
/// # Errors
/// Those of `start`.
pub fn start_apart<T>(start: impl FnOnce() -> io::Result<(T, u32)>) -> io::Result<T> {
    let mut apart = lock();
    let (started, pid) = start()?;
    note(&mut apart, pid);
    Ok(started)
}

/// Keeps a running process apart that was started earlier, by a program that ran in this process before or by another.
pub fn keep_apart(pid: u32) {
    note(&mut lock(), pid);
}

/// Those that are kept apart. While this is held, none is started.
pub(crate) fn lock() -> MutexGuard<'static, Vec<(u32, u64)>> {
    APART.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(apart: &mut Vec<(u32, u64)>, pid: u32) {
    let start = |pid| proc::process(pid).map(|process| process.start);
    apart.retain(|(pid, then)| start(*pid) == Some(*then));
    // One that ended already needs no protection.
    if let Some(start) = start(pid).filter(|start| !apart.contains(&(pid, *start))) {
        apart.push((pid, start));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test needs a process that does not end by itself")]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::{MARK, Roots, end};

    #[test]
    fn what_is_started_apart_outlives_the_end_of_the_family_it_would_belong_to() {
        let sleeper = |mark: &str| Command::new("sleep").arg("3600").env(MARK, mark).spawn();
        let mark = format!("apart-{}", std::process::id());
        let started = start_apart(|| {
            sleeper(&mark).map(|child| {
                let pid = child.id();
                (child, pid)
            })
        });
        let mut apart = started.expect("sleep is there");
        let mut other = sleeper(&mark).expect("sleep is there");
        let roots = Roots { mark: Some(&mark), ..Roots::default() };
        assert_eq!(end(&roots, &[other.id()], Duration::from_secs(30)).expect("ended").killed, 1);
        assert!(other.wait().is_ok_and(|status| !status.success()));
        assert!(apart.try_wait().expect("our child").is_none());
        apart.kill().and_then(|()| apart.wait()).expect("ended");
    }
}
