//! The named steps of an update, and the instants at which something reaches the disk. Tests are told of each, to kill a
//! process there or to lose what is not on the disk; a worker passes by.

use std::cell::RefCell;
use std::path::Path;

/// A step of an update that has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The new slot is whole and in its place.
    Staged,
    /// Its programs start, and its plugins pass their own samples.
    Checked,
    /// The journal names it as the release in force: **this is the switch**.
    Switched,
    /// Boot's state names its launcher.
    BootTold,
    /// The link `in-force` points at it.
    Linked,
    /// It proved itself: the memory of releases holds it, and the floor rose to it.
    Committed,
    /// The journal is closed.
    Closed,
    /// The journal holds a fault that it showed: the last good release is in force again.
    Suspected,
    /// The journal holds that it is bad, for good.
    Denied,
    /// The journal holds that it is tried again later.
    PutOff,
    /// Slots that nobody needs are gone.
    Swept,
}

impl Step {
    /// Every step.
    pub const ALL: [Step; 11] = [
        Step::Staged,
        Step::Checked,
        Step::Switched,
        Step::BootTold,
        Step::Linked,
        Step::Committed,
        Step::Closed,
        Step::Suspected,
        Step::Denied,
        Step::PutOff,
        Step::Swept,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Staged => "staged",
            Step::Checked => "checked",
            Step::Switched => "switched",
            Step::BootTold => "boot-told",
            Step::Linked => "linked",
            Step::Committed => "committed",
            Step::Closed => "closed",
            Step::Suspected => "suspected",
            Step::Denied => "denied",
            Step::PutOff => "put-off",
            Step::Swept => "swept",
        }
    }
}

/// An instant of an update.
#[derive(Debug, Clone, Copy)]
pub enum Instant<'p> {
    /// A step has been done.
    Done(Step),
    /// The bytes of this file are on the disk; its name may not be.
    FileSynced(&'p Path),
    /// The names in this folder are on the disk.
    FolderSynced(&'p Path),
    /// Everything on the disk that holds this folder is on it.
    AllSynced(&'p Path),
}

type Watcher = Box<dyn FnMut(Instant<'_>)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Has every instant of this thread's updates told to `watcher` from now on.
pub fn watch(watcher: impl FnMut(Instant<'_>) + 'static) {
    WATCHER.set(Some(Box::new(watcher)));
}

/// Tells nobody any more.
pub fn unwatch() {
    WATCHER.set(None);
}

pub(crate) fn at(instant: Instant<'_>) {
    WATCHER.with_borrow_mut(|watcher| {
        if let Some(watcher) = watcher {
            watcher(instant);
        }
    });
}

pub(crate) fn done(step: Step) {
    #[cfg(debug_assertions)]
    if DIES_AFTER.lock().is_ok_and(|dies| *dies == Some(step)) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    at(Instant::Done(step));
}

/// In debug builds: the step after which this process dies.
#[cfg(debug_assertions)]
static DIES_AFTER: std::sync::Mutex<Option<Step>> = std::sync::Mutex::new(None);

/// Has this process killed as soon as it has done the step of this name, on any thread. In debug builds alone, for the
/// tests of whole programs.
#[cfg(debug_assertions)]
pub fn die_after(step: &str) {
    if let Ok(mut dies) = DIES_AFTER.lock() {
        *dies = Step::ALL.into_iter().find(|known| known.name() == step);
    }
}
