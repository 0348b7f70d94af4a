//! One launcher per machine: a kernel lock on `STATE/lock`, never a search for process names.
//!
//! 1. Try the lock. Got it: write who holds it (for the next cycle) and the first progress mark.
//! 2. Held: judge the holder by its progress mark. It works: this cycle has nothing to do.
//! 3. It got nowhere for too long: give it [`SECOND_CHANCE`] to move (after a machine wakes up, every mark is old),
//!    then kill it and take the lock. Its core ends by itself when its launcher is gone; one that does not is ended by
//!    [`end_leftover_core`], which every cycle calls before anything else.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_contract::boot_state::BootState;
use nightshift_contract::holder::{self, Holder, Verdict};
use nightshift_contract::layout::StateDir;
use rustix::fs::OFlags;

use crate::process::{self, Running};
use crate::{clock, wait, watchdog};

/// Opening a link is an error.
const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();
/// How long a launcher that looks stuck may take to show that it only slept.
const SECOND_CHANCE: Duration = Duration::from_secs(15);
/// How long the kernel may take to free a killed process's lock.
const LOCK_FREED: Duration = Duration::from_secs(10);
/// How long a core may take to notice that its launcher is gone.
const CORE_ENDS: Duration = Duration::from_secs(2);

/// The lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The state folder or its lock file is out of reach.
    #[error("opening {path} for the cycle's lock; the state folder has to be this user's own")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock cannot be taken for another reason than that it is held.
    #[error("locking {path}; the state folder has to be on a local disk")]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process that cannot be named or ended holds the lock.
    #[error("{path} is held by a process that cannot be ended ({what}); `fuser {path}` names it", path = .path.display())]
    Unmovable {
        /// The file.
        path: PathBuf,
        /// What is known about it.
        what: String,
    },
}

/// What trying the lock found.
#[derive(Debug)]
pub enum Taken {
    /// The lock is ours; `ended` says how long a stuck launcher that was ended for it had been silent.
    Ours {
        /// Keeps the lock until dropped.
        lock: Lock,
        /// A launcher was ended after this silence.
        ended: Option<Duration>,
    },
    /// Another launcher works.
    Theirs {
        /// Its process number, when it has noted it already.
        pid: Option<u32>,
    },
}

/// The machine's lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    progress: File,
}

impl Lock {
    /// Notes that the launcher got somewhere, and tells the service manager. A mark that cannot be written is not worth failing for.
    pub fn mark_progress(&self) {
        let text = format!("{:020}\n", clock::since_start());
        if let Err(error) = self.progress.write_all_at(text.as_bytes(), 0) {
            tracing::warn!(error = &error as &dyn std::error::Error, "writing the progress mark failed");
        }
        watchdog::gets_on();
    }
}

/// Takes the lock, or says who has it.
///
/// # Errors
/// When the state folder cannot be used, or a stuck holder cannot be ended.
pub fn take(state: &StateDir, stuck_after: Duration) -> Result<Taken, LockError> {
    let path = state.lock();
    let open = |source| LockError::Open { path: path.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state.root()).map_err(open)?;
    let file = open_to_lock(&path).map_err(open)?;
    if try_lock(&file, &path)? {
        return Ok(Taken::Ours { lock: hold(file, state).map_err(open)?, ended: None });
    }
    let silent = match judge(state, stuck_after) {
        Verdict::Working => return Ok(Taken::Theirs { pid: read_holder(&path).map(|holder| holder.pid) }),
        Verdict::Stuck(silent) => silent,
    };
    let moved = || matches!(judge(state, stuck_after), Verdict::Working).then_some(());
    if wait::until(SECOND_CHANCE.min(stuck_after), moved).is_some() {
        return Ok(Taken::Theirs { pid: read_holder(&path).map(|holder| holder.pid) });
    }
    match read_holder(&path).and_then(Running::find) {
        Some(stuck) => stuck.kill(),
        None => tracing::warn!("the lock's holder is not the process written into it"),
    }
    let freed = wait::until(LOCK_FREED, || file.try_lock().ok());
    let unmovable = || {
        let what =
            read_holder(&path).map_or_else(|| "it left no name".to_owned(), |h| format!("noted as process {}", h.pid));
        LockError::Unmovable { path: path.clone(), what }
    };
    freed.ok_or_else(unmovable)?;
    Ok(Taken::Ours { lock: hold(file, state).map_err(open)?, ended: Some(silent) })
}

/// The launcher that works right now, for `status`. Asks by name and not by the lock, so that looking never makes a
/// starting cycle believe that the lock is held.
pub fn holder_now(state: &StateDir) -> Option<u32> {
    let holder = read_holder(&state.lock())?;
    Running::find(holder).map(|_| holder.pid)
}

/// Notes who the core just started is, for [`end_leftover_core`]. A note that cannot be written is not worth failing
/// for: the core's own lock names it too, once it has it.
pub fn note_core(state: &StateDir, pid: u32) {
    let note = || -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state.core())?;
        std::fs::write(state.core_started(), process::child(pid)?.to_text())
    };
    if let Err(error) = note() {
        tracing::warn!(pid, error = &error as &dyn std::error::Error, "noting which core was started failed");
    }
}

/// Ends a core that outlived its launcher, with every process of its group: the one noted by [`note_core`], which may
/// not have come to its lock yet, and the one that holds the core's lock. Returns the process number it had.
/// To be called under our own lock: then no core can belong to anybody.
///
/// # Errors
/// When there is such a process and it cannot be ended.
pub fn end_leftover_core(state: &StateDir) -> Result<Option<u32>, LockError> {
    let noted = end_noted_core(state)?;
    Ok(end_locked_core(state)?.or(noted))
}

/// The process number of the core that was started last, when it has ended and nobody else has that number.
pub fn last_core_when_gone(state: &StateDir) -> Option<u32> {
    let noted = read_holder(&state.core_started())?;
    let is_gone = match Running::find(noted) {
        // It may not be buried yet.
        Some(core) => core.ends_within(Duration::ZERO),
        None => !Path::new(&format!("/proc/{}", noted.pid)).exists(),
    };
    is_gone.then_some(noted.pid)
}

/// Ends launchers on trial that boot became and fell back from: one that hangs before it takes the lock is in nobody's way,
/// and would hang for ever. To be called under our own lock.
pub fn end_fallen_launchers(state: &StateDir) {
    let noted = std::fs::read_to_string(state.boot_state()).ok().and_then(|text| BootState::parse(&text));
    let Some(fallen) = noted.and_then(|noted| noted.trial).filter(|trial| trial.fallen.is_some()) else { return };
    for holder in fallen.processes.into_iter().filter(|holder| holder.pid != std::process::id()) {
        if let Some(running) = Running::find(holder) {
            tracing::warn!(pid = holder.pid, "ending the launcher of {}, which hangs", fallen.slot);
            running.kill();
        }
    }
}

fn end_noted_core(state: &StateDir) -> Result<Option<u32>, LockError> {
    let path = state.core_started();
    let Some(holder) = read_holder(&path) else { return Ok(None) };
    let Some(core) = Running::find(holder) else { return Ok(None) };
    if !core.ends_within(CORE_ENDS) {
        core.kill_group();
        if !core.ends_within(LOCK_FREED) {
            return Err(LockError::Unmovable { path, what: "it survived SIGKILL; restart the machine".into() });
        }
    }
    Ok(Some(holder.pid))
}

fn end_locked_core(state: &StateDir) -> Result<Option<u32>, LockError> {
    let path = state.core_lock();
    let file = match OpenOptions::new().read(true).write(true).custom_flags(NO_LINK).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LockError::Open { path, source }),
    };
    if try_lock(&file, &path)? {
        return Ok(None);
    }
    let holder = read_holder(&path);
    let freed = |at_most| wait::until(at_most, || file.try_lock().ok()).is_some();
    if freed(CORE_ENDS) {
        return Ok(holder.map(|holder| holder.pid));
    }
    let Some(core) = read_holder(&path).and_then(Running::find) else {
        return Err(LockError::Unmovable { path, what: "not the core noted in it".into() });
    };
    core.kill_group();
    match freed(LOCK_FREED) {
        true => Ok(holder.map(|holder| holder.pid)),
        false => Err(LockError::Unmovable { path, what: "it survived SIGKILL; restart the machine".into() }),
    }
}

fn judge(state: &StateDir, stuck_after: Duration) -> Verdict {
    let mark = std::fs::read_to_string(state.progress()).ok().and_then(|text| text.trim().parse().ok());
    holder::judge(clock::since_start(), mark, stuck_after)
}

fn hold(file: File, state: &StateDir) -> io::Result<Lock> {
    file.set_len(0)?;
    file.write_all_at(process::me()?.to_text().as_bytes(), 0)?;
    let progress = open_to_lock(&state.progress())?;
    let lock = Lock { _file: file, progress };
    lock.mark_progress();
    Ok(lock)
}

/// Never through a link: what is written here would go to whatever file it leads to.
fn open_to_lock(path: &Path) -> io::Result<File> {
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_LINK).open(path)
}

fn try_lock(file: &File, path: &Path) -> Result<bool, LockError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(LockError::Lock { path: path.into(), source }),
    }
}

fn read_holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.take(100).read_to_string(&mut text).ok()?;
    Holder::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path().join("state"));
        (folder, state)
    }

    #[test]
    fn the_second_launcher_finds_the_first_at_work() {
        let (_folder, state) = state();
        let first = take(&state, NEVER).expect("free");
        assert!(matches!(first, Taken::Ours { ended: None, .. }), "{first:?}");
        let second = take(&state, NEVER).expect("readable");
        assert!(matches!(second, Taken::Theirs { pid: Some(pid) } if pid == std::process::id()), "{second:?}");
        assert_eq!(holder_now(&state), Some(std::process::id()));
        drop(first);
        assert!(matches!(take(&state, NEVER).expect("free"), Taken::Ours { .. }));
    }

    #[test]
    fn nothing_is_written_through_a_link_in_the_locks_place() {
        let (folder, state) = state();
        std::fs::create_dir(state.root()).expect("a folder");
        let others = folder.path().join("somebody else's");
        std::fs::write(&others, "all of it").expect("a file");
        for link in [state.lock(), state.progress()] {
            std::os::unix::fs::symlink(&others, &link).expect("a link");
            let error = take(&state, NEVER).expect_err("a link");
            assert!(matches!(error, LockError::Open { .. }), "{error}");
            assert_eq!(std::fs::read_to_string(&others).expect("a file"), "all of it");
            std::fs::remove_file(link).expect("a link");
        }
        assert!(matches!(take(&state, NEVER).expect("free"), Taken::Ours { .. }));
    }

    #[test]
    fn a_launcher_that_only_slept_keeps_its_lock() {
        let (_folder, state) = state();
        let Taken::Ours { lock, .. } = take(&state, NEVER).expect("free") else { panic!("free") };
        let stuck_after = Duration::from_millis(300);
        let silent = || matches!(judge(&state, stuck_after), Verdict::Stuck(_)).then_some(());
        wait::until(Duration::from_secs(20), silent).expect("the mark grows old");
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| take(&state, stuck_after));
            while !second.is_finished() {
                lock.mark_progress();
                std::thread::yield_now();
            }
            second.join().expect("no panic")
        });
        assert!(matches!(second, Ok(Taken::Theirs { .. })), "{second:?}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test needs a process that does not end by itself")]
    fn a_core_that_never_came_to_its_lock_is_ended_too() {
        let (_folder, state) = state();
        let mut core = std::process::Command::new("sleep").arg("3600").spawn().expect("sleep is there");
        note_core(&state, core.id());
        assert_eq!(end_leftover_core(&state).expect("it can be ended"), Some(core.id()));
        assert!(!core.wait().expect("our child").success());
        assert_eq!(end_leftover_core(&state).expect("the note is old"), None);
    }

    #[test]
    fn without_a_core_there_is_nothing_left_over() {
        let (_folder, state) = state();
        assert_eq!(end_leftover_core(&state).expect("no folder yet"), None);
        std::fs::create_dir_all(state.core()).expect("a folder");
        std::fs::write(state.core_lock(), "").expect("a file");
        assert_eq!(end_leftover_core(&state).expect("nobody holds it"), None);
    }
}
