//! Processes that this one starts and that stay when a family below this process is ended: those that belong to none, and the
//! first ones of other families. A core ends while another release is tried beside it, and neither may end the other.
//!
//! They are known by number and start. Starting one and noting it is one step for whoever looks for a family meanwhile.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::proc;

static APART: Mutex<Vec<Apart>> = Mutex::new(Vec::new());

/// One that is kept apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Apart {
    pid: u32,
    start: u64,
    /// The mark of the family it begins; `None` when it belongs to none.
    family: Option<String>,
}

/// Starts a process that belongs to no family: `start` gives it with its number.
///
/// # Errors
/// Those of `start`.
pub fn start_apart<T>(start: impl FnOnce() -> io::Result<(T, u32)>) -> io::Result<T> {
    start_noted(None, start)
}

/// Starts the first process of a family under its mark: `start` gives it with its number. Until it ends, it and what
/// descends from it are no part of another family below this process.
///
/// # Errors
/// Those of `start`.
pub fn start_family<T>(mark: &str, start: impl FnOnce() -> io::Result<(T, u32)>) -> io::Result<T> {
    start_noted(Some(mark), start)
}

/// Keeps a running process apart that was started earlier, by a program that ran in this process before or by another.
pub fn keep_apart(pid: u32) {
    note(&mut lock(), pid, None);
}

fn start_noted<T>(family: Option<&str>, start: impl FnOnce() -> io::Result<(T, u32)>) -> io::Result<T> {
    let mut apart = lock();
    let (started, pid) = start()?;
    note(&mut apart, pid, family);
    Ok(started)
}

/// Those that are kept apart. While this is held, none is started.
pub(crate) fn lock() -> MutexGuard<'static, Vec<Apart>> {
    APART.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those that belong to no family, by number and start.
pub(crate) fn of_none(apart: &[Apart]) -> Vec<(u32, u64)> {
    apart.iter().filter(|one| one.family.is_none()).map(|one| (one.pid, one.start)).collect()
}

/// Those that do not belong to the family with this mark.
pub(crate) fn not_of(apart: &[Apart], mark: Option<&str>) -> Vec<(u32, u64)> {
    let is_its = |one: &Apart| one.family.is_some() && one.family.as_deref() == mark;
    apart.iter().filter(|one| !is_its(one)).map(|one| (one.pid, one.start)).collect()
}

fn note(apart: &mut Vec<Apart>, pid: u32, family: Option<&str>) {
    let start = |pid| proc::process(pid).map(|process| process.start);
    apart.retain(|one| start(one.pid) == Some(one.start));
    // One that ended already needs no protection.
    if let Some(start) = start(pid).filter(|start| apart.iter().all(|one| (one.pid, one.start) != (pid, *start))) {
        apart.push(Apart { pid, start, family: family.map(str::to_owned) });
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
    fn a_family_is_apart_from_every_other_and_not_from_itself() {
        let one = |pid, family: Option<&str>| Apart { pid, start: 7, family: family.map(str::to_owned) };
        let apart = [one(1, None), one(2, Some("core")), one(3, Some("trial"))];
        assert_eq!(of_none(&apart), [(1, 7)]);
        assert_eq!(not_of(&apart, Some("core")), [(1, 7), (3, 7)]);
        assert_eq!(not_of(&apart, Some("trial")), [(1, 7), (2, 7)]);
        assert_eq!(not_of(&apart, None), [(1, 7), (2, 7), (3, 7)]);
    }

    #[test]
    fn the_first_of_a_family_outlives_the_end_of_another_and_not_that_of_its_own() {
        let sleeper = |mark: &str, both: &str| {
            let start = || {
                let child = Command::new("sleep").arg("3600").env(MARK, both).spawn()?;
                let pid = child.id();
                Ok((child, pid))
            };
            start_family(mark, start).expect("sleep is there")
        };
        let both = format!("families-{}", std::process::id());
        // Either would be found as one of the other's.
        let (mut one, mut other) = (sleeper(&both, &both), sleeper("other", &both));
        let roots = Roots { mark: Some(&both), ..Roots::default() };
        assert_eq!(end(&roots, &[one.id()], Duration::from_secs(30)).expect("ended").killed, 1);
        assert!(one.wait().is_ok_and(|status| !status.success()));
        assert!(other.try_wait().expect("our child").is_none());
        other.kill().and_then(|()| other.wait()).expect("ended");
    }

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
