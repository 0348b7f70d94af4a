//! The process that locks itself in and becomes a plugin's program. It has one thread, and what it gives up is gone for good.
//!
//! 1. It closes what it inherited, and begins a session of its own. Started as root, it chooses the user to become, and gives that user the scratch folder.
//! 2. Where bubblewrap is used, it becomes bubblewrap, which starts this program again inside.
//! 3. Limits; the other user; no way to gain rights; files ([`super::fence`]); system calls ([`super::calls`]), last, because
//!    everything before it needs some.
//! 4. It becomes the program.
#![allow(clippy::disallowed_methods, reason = "becomes the program; nothing is started beside it")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nightshift_contract::handoff::SANDBOX;
use nightshift_contract::protections::Protections;
use rustix::fs::chown;
use rustix::process::{Gid, Signal, Uid, set_parent_process_death_signal, setsid};

use super::calls::{self, SharedUser};
use super::cell::{Cell, Purpose};
use super::{bubblewrap, fence, limits, user};

/// How it ends when it cannot become the program: as shells do.
const CANNOT: u8 = 126;
const STANDARD_ERROR: RawFd = 2;
/// From this version on, landlock keeps signals inside.
const KEEPS_SIGNALS: u8 = 6;

/// Locks this process in and becomes the program; comes back only after a report, or with what went wrong said on stderr.
pub(super) fn enter(argument: &OsStr) -> ExitCode {
    match Cell::from_argument(argument).and_then(lock_in) {
        Ok(exit) => exit,
        Err(why) => {
            // Nobody is left to be told when stderr is gone.
            drop(writeln!(io::stderr(), "the sandbox: {why}"));
            ExitCode::from(CANNOT)
        }
    }
}

fn lock_in(mut cell: Cell) -> Result<ExitCode, String> {
    close_inherited();
    if cell.is_inside {
        return become_program(&cell);
    }
    // Refused only to one that leads a group already, and then it has what it needs.
    let _ = setsid();
    if user::is_root() {
        let user = user::own();
        cell.user = Some(user);
        if cell.scratch.as_os_str() != "" {
            chown(&cell.scratch, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))
                .map_err(|error| format!("giving {} to user {user}: {error}", cell.scratch.display()))?;
        }
    }
    match cell.bubblewrap.take() {
        None => become_program(&cell),
        Some(program) => {
            let inside = Cell { is_inside: true, ..cell };
            let again: [OsString; 2] = [SANDBOX.into(), inside.to_argument()];
            let link_of = |path: &Path| fs::read_link(path).ok();
            let arguments = bubblewrap::arguments(&inside, &inside.launcher, again, &fence::settings(), link_of);
            Err(format!("starting {}: {}", program.display(), Command::new(&program).args(arguments).exec()))
        }
    }
}

/// Closes every file but the three of standard: whoever started the worker may have left it others, and what is open is
/// behind every fence.
fn close_inherited() {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for file in open.into_iter().filter(|file| *file > STANDARD_ERROR) {
        // The list itself is among them, and closed by now.
        let _ = nix::unistd::close(file);
    }
}

/// Everything that is given up from within, and then the program.
fn become_program(cell: &Cell) -> Result<ExitCode, String> {
    limits::apply(cell.limits, cell.is_inside || cell.user.is_some())
        .map_err(|error| format!("limiting what the program may take: {error}"))?;
    if let Some(user) = cell.user {
        user::become_user(user).map_err(|error| format!("becoming user {user}: {error}"))?;
    }
    if !cell.is_inside {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| format!("ending with the worker: {error}"))?;
    }
    // The core does without huge pages, which its programs would inherit.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    rustix::thread::set_no_new_privs(true).map_err(|error| format!("giving up rights that it could gain: {error}"))?;
    let landlock = match cell.without_landlock {
        true => 0,
        false => fence::put_up(cell).map_err(|error| format!("keeping it from files by landlock: {error}"))?,
    };
    let shares_user = !cell.is_inside && cell.user.is_none();
    let shared = SharedUser { me: std::process::id(), with_signals: landlock < KEEPS_SIGNALS };
    let shared = shares_user.then_some(shared);
    if let Purpose::Run { .. } = cell.purpose {
        std::env::set_current_dir(&cell.folder)
            .map_err(|error| format!("going to the folder {}: {error}", cell.folder.display()))?;
    }
    let seccomp =
        calls::filter(&cell.network, shared).map_err(|error| format!("filtering its system calls: {error}"))?;
    match &cell.purpose {
        Purpose::Run { program, arguments } => {
            Err(format!("starting {}: {}", program.display(), Command::new(program).args(arguments).exec()))
        }
        Purpose::Report => {
            let (bubblewrap, own_user) = (cell.is_inside, cell.user.is_some());
            let found = Protections { bubblewrap, landlock, seccomp, own_user };
            let said = writeln!(io::stdout(), "{}", found.to_words());
            said.map(|()| ExitCode::SUCCESS).map_err(|error| format!("saying what it got: {error}"))
        }
    }
}
