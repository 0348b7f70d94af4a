//! The user that a program runs as, where the worker is started as root: one of its own for each program, so that the
//! kernel counts its processes alone and lets it reach no other's.
//!
//! The number is the process's own, behind [`FIRST`]: two programs that run at the same time never share it, and nobody has
//! to keep a list. The range is free for use on Linux; no account, container or systemd's dynamic users have numbers there.

use std::io;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// The first number of the range; the kernel numbers at most 4,194,304 processes.
const FIRST: u32 = 1_879_048_192;

/// Whether this process may become another user.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user for this process.
pub(super) fn own() -> u32 {
    FIRST + std::process::id()
}

/// Becomes `user`, with the group of the same number and no other, for good.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn become_user(user: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    // This process has one thread; what is said of the thread is true of the process.
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
