//! The service manager's watchdog, which ends a launcher that hangs. Under cron the next cycle does that ([`crate::lock`]);
//! systemd's timer starts no cycle beside one that runs, so there nobody would ever come.
//!
//! Whom to tell is in the environment of what the manager started: this process, which boot became. What this process
//! starts is told nothing of it ([`keep_from`]): a database server or a plugin's program would take itself for a service.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::sync::OnceLock;

/// Names the manager's socket.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// What else the manager says about it.
const ABOUT_IT: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];
/// As sd_notify(3) has it.
const GETS_ON: &[u8] = b"WATCHDOG=1";

/// There is one for a process, and none where no service manager watches.
static WATCHDOG: OnceLock<UnixDatagram> = OnceLock::new();

/// From now on each mark of progress is told to the socket that `name`, the value of [`NOTIFY_SOCKET`], names.
///
/// # Errors
/// When there is no such socket.
pub fn tell(name: &OsStr) -> io::Result<()> {
    let socket = connect(name)?;
    // Another one was told before: that one is as good.
    let _ = WATCHDOG.set(socket);
    Ok(())
}

/// The launcher got somewhere. One word that is lost is not worth failing for: the next follows within seconds.
pub(crate) fn gets_on() {
    if let Some(socket) = WATCHDOG.get() {
        let _ = socket.send(GETS_ON);
    }
}

/// Has a command start its program without a word of the watchdog.
pub(crate) fn keep_from(command: &mut Command) {
    for name in ABOUT_IT.iter().chain([&NOTIFY_SOCKET]) {
        command.env_remove(name);
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        // It has no file.
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not listen holds nobody up.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_heard(manager: &UnixDatagram, name: &str) {
        let mut heard = [0; 64];
        connect(OsStr::new(name)).and_then(|socket| socket.send(GETS_ON)).expect("told");
        let length = manager.recv(&mut heard).expect("heard");
        assert_eq!(&heard[..length], GETS_ON, "{name}");
    }

    #[test]
    fn a_manager_is_told_by_a_file_and_by_a_name_without_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        is_heard(&UnixDatagram::bind(&path).expect("bound"), path.to_str().expect("a plain name"));

        let name = format!("nightshift-watchdog-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        is_heard(&UnixDatagram::bind_addr(&address).expect("bound"), &format!("@{name}"));
        assert!(connect(OsStr::new("/nowhere/notify")).is_err());
    }
}
