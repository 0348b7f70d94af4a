//! Every process of this crate: the server, which outlives whoever starts it, and the programs that are waited for.
//!
//! A server is known by a kernel lock and never by a name. Its lock file is opened and locked before it starts, and the
//! open file is handed to it: the lock lasts exactly as long as the server, through the end of whoever started it. The
//! server's process number is written into the file by itself before its program begins, so that there is no instant at
//! which a server runs that nobody can find.
#![allow(clippy::disallowed_methods, reason = "the one file of the crate that starts processes")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fd::AsFd as _;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use tokio::process::Child;

use crate::server::wait;

/// Where programs that the programs start themselves are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often starting is tried when somebody looks at the lock at the same instant.
const TRIES: u32 = 20;

/// A server to start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [String],
    /// Where it runs.
    pub(crate) folder: &'a Path,
    /// Where what it says is appended to.
    pub(crate) log: &'a Path,
    pub(crate) lock: &'a Path,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pidfd: OwnedFd,
}

/// Starts a server in a session of its own; its process number.
///
/// # Errors
/// `ResourceBusy` when one with this lock runs; the system's otherwise.
pub(crate) async fn start(launch: &Launch<'_>) -> io::Result<u32> {
    for _ in 1..TRIES {
        match try_start(launch) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
    try_start(launch)
}

fn try_start(launch: &Launch<'_>) -> io::Result<u32> {
    let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(launch.lock)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    lock.set_len(0)?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(launch.log)?;
    let mut command = Command::new(launch.program);
    command.args(launch.arguments).current_dir(launch.folder).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let become_server = move || {
        rustix::process::setsid()?;
        rustix::io::fcntl_setfd(lock.as_fd(), rustix::io::FdFlags::empty())?;
        let mut digits = [b' '; 12];
        let written = in_digits(rustix::process::getpid(), &mut digits);
        rustix::io::write(lock.as_fd(), written)?;
        Ok(())
    };
    #[expect(unsafe_code, reason = "session, lock and number have to be the server's before its first instruction")]
    // SAFETY: between fork and exec nothing is done but system calls on what is open already: no allocation, no lock.
    unsafe {
        command.pre_exec(become_server);
    }
    // The child is never waited for here: it outlives this program, or is buried by `running`.
    nightshift_kin::start_apart(|| command.spawn().map(|child| (child.id(), child.id())))
}

/// Writes a process number into `digits` without allocating; what was written.
fn in_digits(pid: Pid, digits: &mut [u8; 12]) -> &[u8] {
    let mut number = pid.as_raw_nonzero().get().unsigned_abs();
    let mut from = digits.len();
    while number > 0 && from > 0 {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    &digits[from..]
}

/// The server that holds a lock, when one does.
pub(crate) fn running(lock: &Path) -> Option<Running> {
    let mut file = File::open(lock).ok()?;
    let mut text = String::new();
    // Between the lock and its number lie some instructions of the new process; then it is not to be found yet.
    for _ in 0..100 {
        file.rewind().ok()?;
        text.clear();
        file.read_to_string(&mut text).ok()?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            _ => {
                bury(pid);
                return None;
            }
        }
        // Opened while the lock was held: the number is its holder's and nobody else's.
        if let (Some(pid), Some(pidfd)) = (pid, pidfd) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            nightshift_kin::keep_apart(pid);
            return Some(Running { pid, pidfd });
        }
        std::thread::yield_now();
    }
    None
}

/// Buries an ended server that this program started; one that it did not start is none of its children.
fn bury(pid: Option<Pid>) {
    if pid.is_some() {
        let _ = waitpid(pid, WaitOptions::NOHANG);
    }
}

impl Running {
    /// Asks the server to end, and kills it when it has not within `at_most`. Whether it ended by itself; `None` when not
    /// even that ended it: it waits for a disk.
    pub(crate) async fn end(self, lock: &Path, at_most: Duration) -> Option<bool> {
        const KILLED_WITHIN: Duration = Duration::from_secs(30);
        let gone = async || running(lock).is_none().then_some(());
        let _ = pidfd_send_signal(&self.pidfd, Signal::TERM);
        if wait::until(at_most, gone).await.is_some() {
            return Some(true);
        }
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        wait::until(KILLED_WITHIN, gone).await.map(|()| false)
    }
}

/// What a program said that was waited for.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, which it is helped to after `at_most`.
pub(crate) async fn run(program: &Path, arguments: &[String], at_most: Duration) -> io::Result<Finished> {
    let mut command = quiet(program, arguments, None);
    command.stdout(Stdio::piped());
    let child = spawn(&mut command)?;
    let output = tokio::time::timeout(at_most, child.wait_with_output()).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", at_most.as_secs()));
    let output = output.map_err(late)??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Finished { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// Starts a program whose standard output is read.
pub(crate) fn start_writer(program: &Path, arguments: &[String], password: &str) -> io::Result<Child> {
    let mut command = quiet(program, arguments, Some(password));
    spawn(command.stdout(Stdio::piped()))
}

/// Starts a program whose standard input is written.
pub(crate) fn start_reader(program: &Path, arguments: &[String], password: &str) -> io::Result<Child> {
    let mut command = quiet(program, arguments, Some(password));
    spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()))
}

/// A program that says what goes wrong on a pipe, and is killed when nobody waits for it any more. A password travels in its
/// environment, which only its own user can read, never in its arguments, which everybody can.
fn quiet(program: &Path, arguments: &[String], password: Option<&str>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").stdin(Stdio::null());
    if let Some(password) = password {
        command.env("MYSQL_PWD", password);
    }
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn spawn(command: &mut tokio::process::Command) -> io::Result<Child> {
    nightshift_kin::start_apart(|| {
        let child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        Ok((child, pid))
    })
}

/// A path as an argument.
pub(crate) fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// The end of what a server said, for people.
pub(crate) fn last_words(log: &Path) -> String {
    const AT_MOST: u64 = 8 << 10;
    let read = |path: PathBuf| -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(AT_MOST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read(log.to_owned()).unwrap_or_default()).into_owned();
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).collect();
    let lines = if errors.is_empty() { text.lines().collect() } else { errors };
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch<'a>(arguments: &'a [String], folder: &'a Path, log: &'a Path, lock: &'a Path) -> Launch<'a> {
        Launch { program: Path::new("/bin/sh"), arguments, folder, log, lock }
    }

    #[test]
    fn a_number_is_written_without_allocating() {
        let pid = Pid::from_raw(40_917).expect("a number");
        assert_eq!(in_digits(pid, &mut [0; 12]), b"40917");
    }

    #[tokio::test]
    async fn a_server_is_found_by_its_lock_and_asked_to_end_before_it_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, lock) = (folder.path().join("log"), folder.path().join("lock"));
        assert!(running(&lock).is_none());
        let deaf = ["-c".to_owned(), "trap '' TERM; : >ready; exec sleep 3600".to_owned()];
        let polite = ["-c".to_owned(), ": >ready; exec sleep 3600".to_owned()];
        let ready = folder.path().join("ready");
        for (arguments, by_itself) in [(&polite, true), (&deaf, false)] {
            let pid = start(&launch(arguments, folder.path(), &log, &lock)).await.expect("a shell");
            wait::until(Duration::from_secs(60), async || ready.exists().then_some(())).await.expect("it runs");
            std::fs::remove_file(&ready).expect("it was there");
            let busy = start(&launch(arguments, folder.path(), &log, &lock)).await.expect_err("one runs");
            assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
            let found = running(&lock).expect("it runs");
            assert_eq!(found.pid, pid);
            let at_most = if by_itself { Duration::from_secs(60) } else { Duration::from_millis(100) };
            assert_eq!(found.end(&lock, at_most).await, Some(by_itself));
            assert!(running(&lock).is_none());
        }
    }
}
