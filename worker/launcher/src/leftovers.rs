//! The mark of the core that was started last, and what is left over of its descendants when everybody who watched over
//! them was killed.
//!
//! 1. Before a core is started, a new mark is written to `core/mark`, durably and together with the machine's fingerprint:
//!    a copied state folder names processes of another machine, or of another worker on this one.
//! 2. The core is started with the mark in its environment and as a limit; descendants inherit both.
//! 3. While it runs, its descendants are noted now and then by number and start (`core/family`): a process may shed both on
//!    purpose.
//! 4. The next cycle, under the lock and after the core itself was ended, ends whatever still has the mark or was
//!    noted.
//!
//! The folders of its plugins' programs are removed by whoever saw the core end ([`clear_places`]): a core that is stopped at
//! once has no time for it, and one that was killed cannot.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nightshift_contract::layout::{PLUGIN_PLACE, StateDir};
use nightshift_kin::{Roots, Survivors};
use uuid::Uuid;

use crate::swap::{self, Keep};
use crate::watch::ENDED_WITHIN;
use crate::{clock, machine};

/// Makes a new mark and notes it.
///
/// # Errors
/// When it cannot be noted: then nothing may be started, because nobody could find it again.
pub fn new_mark(state: &StateDir) -> io::Result<String> {
    let mark = Uuid::new_v4().simple().to_string();
    std::fs::create_dir_all(state.core())?;
    let text = format!("{mark} {}\n", machine::fingerprint(state.root())?);
    swap::replace(&state.core_mark(), text.as_bytes(), Keep::Durably)?;
    Ok(mark)
}

/// Ends every process with the mark of this state folder; how many there were.
///
/// # Errors
/// When some of them survive.
pub fn end_all(state: &StateDir) -> Result<usize, Survivors> {
    let Some(mark) = own_mark(state) else { return Ok(0) };
    let me = [std::process::id()];
    let known = noted_family(state, &mark);
    let roots = Roots { mark: Some(&mark), known: &known, spare: &me, ..Roots::default() };
    Ok(nightshift_kin::end(&roots, &[], ENDED_WITHIN)?.killed)
}

/// Removes the folders of running programs that a core left in `temporary`; how many there were. For a core that has ended,
/// with everything it started.
pub fn clear_places(core: u32, temporary: &Path) -> usize {
    let me = rustix::process::geteuid().as_raw();
    let its = format!("{PLUGIN_PLACE}{core}-");
    let entries = std::fs::read_dir(temporary).into_iter().flatten().flatten();
    let places = entries.filter(|entry| {
        let is_ours = || entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.uid() == me);
        entry.file_name().to_str().is_some_and(|name| name.starts_with(&its)) && is_ours()
    });
    let removed = places.filter(|entry| {
        let removed = std::fs::remove_dir_all(entry.path());
        if let Err(error) = &removed {
            tracing::warn!(core, "removing what a plugin's program left in {}: {error}", entry.path().display());
        }
        removed.is_ok()
    });
    removed.count()
}

/// Notes everything below this process, for [`end_all`]. A note that cannot be written is not worth failing for: the mark
/// finds nearly everything.
pub fn note_family(state: &StateDir, mark: &str) {
    let roots = Roots { below: Some(std::process::id()), mark: Some(mark), ..Roots::default() };
    let Ok(members) = nightshift_kin::members(&roots) else { return };
    let lines: String = members.iter().map(|(pid, start)| format!("{pid} {start}\n")).collect();
    let text = format!("{mark} {}\n{lines}", boot());
    if let Err(error) = swap::replace(&state.core_family(), text.as_bytes(), Keep::UntilPowerCut) {
        tracing::warn!(error = &error as &dyn std::error::Error, "noting the core's descendants failed");
    }
}

/// What was noted under this mark since the machine started: numbers and starts are only of that time.
fn noted_family(state: &StateDir, mark: &str) -> Vec<(u32, u64)> {
    let text = std::fs::read_to_string(state.core_family()).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next() != Some(format!("{mark} {}", boot()).as_str()) {
        return Vec::new();
    }
    lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?)))
        .collect()
}

/// Names the machine's start.
fn boot() -> String {
    clock::moment().boot
}

/// The mark, when it was made here.
fn own_mark(state: &StateDir) -> Option<String> {
    let text = std::fs::read_to_string(state.core_mark()).ok()?;
    let (mark, fingerprint) = text.trim().split_once(' ')?;
    let here = machine::fingerprint(state.root()).ok()?;
    (!mark.is_empty() && fingerprint == here).then(|| mark.to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test needs a process that does not end by itself")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_threw_its_environment_away_at_once_is_ended_although_nobody_noted_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path().join("state"));
        let mark = new_mark(&state).expect("noted");
        let mut command = Command::new("env");
        command.args(["--ignore-environment", "setsid", "sleep", "3600"]);
        nightshift_kin::mark(&mut command, &mark);
        let mut child = command.spawn().expect("env is there");
        let is_bare = || {
            let environment = std::fs::read(format!("/proc/{}/environ", child.id())).ok()?;
            let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).ok()?;
            (name == "sleep\n" && environment.is_empty()).then_some(())
        };
        nightshift_testbed::wait::until("the mark to be thrown away", nightshift_testbed::wait::SOON, is_bare)
            .expect("it is");
        assert_eq!(end_all(&state).expect("ended"), 1);
        assert!(!child.wait().is_ok_and(|status| status.success()));
    }

    #[test]
    fn the_folders_that_a_core_left_are_removed_and_no_other_cores() {
        let temporary = tempfile::tempdir().expect("a folder");
        let place = |name: &str| temporary.path().join(name);
        let names =
            ["nightshift-plugin-71-a", "nightshift-plugin-71-b", "nightshift-plugin-7-a", "nightshift-plugin-712-a"];
        for name in names {
            std::fs::create_dir_all(place(name).join("scratch/deep")).expect("a folder");
        }
        std::os::unix::fs::symlink(place(names[2]), place("nightshift-plugin-71-link")).expect("a link");
        assert_eq!(clear_places(71, temporary.path()), 2);
        assert_eq!(names.map(|name| place(name).join("scratch/deep").exists()), [false, false, true, true]);
    }

    #[test]
    fn what_has_the_mark_is_ended_by_the_worker_that_made_it_and_by_no_copy() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path().join("state"));
        assert_eq!(end_all(&state).expect("nothing noted"), 0);
        let mark = new_mark(&state).expect("noted");
        let mut child =
            Command::new("sleep").arg("3600").env(nightshift_kin::MARK, &mark).spawn().expect("sleep is there");
        let copy = StateDir::new(folder.path().join("copy"));
        std::fs::create_dir_all(copy.core()).expect("a folder");
        std::fs::copy(state.core_mark(), copy.core_mark()).expect("copied");
        assert_eq!(end_all(&copy).expect("not its own"), 0);
        assert!(child.try_wait().expect("our child").is_none());
        assert_eq!(end_all(&state).expect("ended"), 1);
        assert!(!child.wait().is_ok_and(|status| status.success()));
        assert_ne!(new_mark(&state).expect("noted"), mark, "each core has its own");
    }
}
