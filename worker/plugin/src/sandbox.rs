//! The sandbox of plugins' programs: what a machine can lock them in by, and the program that does it.
//!
//! The core (or command line) never prepares a child between fork and exec. It starts *itself* once more with a hidden first
//! argument and a [`Cell`], and that process, which has one thread and nothing secret in it, gives up everything it can
//! ([`entry`]) before it becomes the plugin's program. Where bubblewrap works, that happens inside of its namespaces.
//!
//! 1. [`Sandbox::protections`] tries both ways once, with a process that locks itself in and says what it got.
//! 2. [`policy::may_run`] decides whether that is enough for a program.
//! 3. [`Sandbox::command`] makes the command that starts one; [`place`] the folders it sees.

mod bubblewrap;
mod calls;
mod cell;
mod entry;
mod fence;
mod limits;
mod place;
mod policy;
mod probe;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};

use nightshift_contract::handoff::SANDBOX;
use nightshift_contract::protections::Protections;

pub(crate) use cell::{Cell, Network, Purpose, Shown};
pub(crate) use limits::Limits;
pub(crate) use place::Place;
pub use policy::may_run;

/// Something that locks programs in, and that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Namespaces by bubblewrap.
    Bubblewrap,
    /// The kernel's rules about files.
    Landlock,
}

/// How programs are locked in on this machine.
#[derive(Debug, Clone)]
pub struct Sandbox {
    launcher: PathBuf,
    without: Vec<Protection>,
    found: Arc<OnceLock<probe::Found>>,
}

impl Sandbox {
    /// A sandbox by the program at `launcher`, whose main begins with [`entered`].
    pub fn new(launcher: PathBuf) -> Sandbox {
        Sandbox { launcher, without: Vec::new(), found: Arc::default() }
    }

    /// The sandbox as it would be on a machine that lacks a protection.
    pub fn without(mut self, protection: Protection) -> Sandbox {
        self.without.push(protection);
        self.found = Arc::default();
        self
    }

    /// What this machine locks programs in by. The first call tries it, in some hundredths of a second.
    pub fn protections(&self) -> Protections {
        self.found().protections
    }

    /// Why no program can be locked in at all; `None` when it can.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.found().trouble.as_deref()
    }

    /// Whether programs have namespaces of their own.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.found().protections.bubblewrap
    }

    /// Where bubblewrap is, if it is used.
    pub(crate) fn bubblewrap(&self) -> Option<PathBuf> {
        self.found().bubblewrap.clone()
    }

    /// What a cell of this sandbox has in common with all others: it reports, and holds nothing.
    pub(crate) fn bare_cell(&self) -> Cell {
        Cell {
            launcher: self.launcher.clone(),
            without_landlock: self.without.contains(&Protection::Landlock),
            ..Cell::default()
        }
    }

    /// The command that locks itself into `cell` and becomes its program. Standard streams are the caller's.
    #[allow(clippy::disallowed_methods, reason = "made here, started by process/life.rs and probe.rs, which end it")]
    pub(crate) fn command(&self, cell: &Cell, environment: &[(&str, OsString)]) -> Command {
        let mut command = Command::new(&self.launcher);
        command.arg(SANDBOX).arg(cell.to_argument()).env_clear().envs(environment.iter().cloned()).current_dir("/");
        command
    }

    fn found(&self) -> &probe::Found {
        self.found.get_or_init(|| probe::probe(self))
    }
}

/// To be called first of all by the main of a program that is a sandbox's launcher. When the arguments (the program's name
/// first) say so, this process becomes a plugin's program and does not come back, or cannot and says why on stderr; then
/// it has to end with the code.
pub fn entered(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next().is_none_or(|first| first != SANDBOX) {
        return None;
    }
    Some(entry::enter(&arguments.next().unwrap_or_default()))
}
