//! Servers that end with the program that started them, however that ends.
//!
//! A server runs under a shell that holds the reading end of a pipe of ours. When this program ends, also when it is killed,
//! the pipe closes; the shell kills the server and removes its folder. No server outlives its test.
#![allow(
    clippy::disallowed_methods,
    reason = "the one file that starts servers; every one of them ends with its handle"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// `$1` is the server's folder, the rest its command line. The log is there before the server, which may be killed at once.
/// What the server started may need a moment longer to end, and write meanwhile.
const KEEPER: &str = r#"
folder=$1; shift
exec 3<&0
: >>"$folder/log"
"$@" 3<&- </dev/null >>"$folder/log" 2>&1 &
server=$!
echo $server
exec >&-
( read -r _ <&3; : >"$folder/ended"; kill -9 $server ) &
watcher=$!
wait $server
if [ -e "$folder/ended" ]; then
  rm -rf "$folder"
  sleep 2
  rm -rf "$folder"
fi
kill $watcher
"#;

/// A running server, with a folder of its own in which its `log` is. Dropping it kills it.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
    /// Closed when this program ends.
    held: Option<ChildStdin>,
    pid: Pid,
}

impl Kept {
    /// Starts a program whose folder this is. What it says goes into the folder's `log`.
    ///
    /// # Errors
    /// When there is no shell that starts it.
    pub fn start(folder: &Path, program: &Path, arguments: &[String]) -> Result<Kept> {
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEPER, "sh"]).arg(folder).arg(program).args(arguments);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = shell.spawn().context("starting a shell")?;
        let held = keeper.stdin.take();
        let said = keeper.stdout.take().context("the shell's standard output")?;
        let mut pid = String::new();
        BufReader::new(said).read_line(&mut pid).context("reading the server's process number")?;
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("the server's process number")?;
        Ok(Kept { keeper, held, pid })
    }

    /// Its process number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When nobody can say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.keeper.try_wait()?.is_some())
    }

    /// Kills it, as a power cut would.
    pub fn crash(&mut self) {
        // It may be dead or frozen already.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = self.keeper.wait();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            self.crash();
        }
        drop(self.held.take());
    }
}

/// A program of the machine; servers are often where an ordinary user's path does not lead.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/libexec"].map(PathBuf::from);
    std::env::split_paths(&path).chain(further).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{self, SOON};

    fn started() -> Result<(PathBuf, Kept)> {
        let folder = tempfile::tempdir()?.keep();
        let kept = Kept::start(&folder, &find("sleep").context("sleep")?, &["1000".to_owned()])?;
        Ok((folder, kept))
    }

    fn ends(pid: Pid) -> Result<()> {
        let ended = || rustix::process::test_kill_process(pid).is_err().then_some(());
        wait::until("the server to end", SOON, ended)
    }

    #[test]
    fn a_server_whose_program_is_killed_ends_and_leaves_no_folder() -> Result<()> {
        let (folder, mut kept) = started()?;
        // What the system does with the pipes of a program that is killed.
        drop(kept.held.take());
        ends(kept.pid())?;
        wait::until_ok("the shell to end", SOON, || Ok(kept.has_ended()?.then_some(())))?;
        assert!(!folder.exists());
        Ok(())
    }

    #[test]
    fn a_server_ends_with_its_handle_and_its_folder_stays() -> Result<()> {
        let (folder, kept) = started()?;
        let pid = kept.pid();
        drop(kept);
        ends(pid)?;
        assert!(folder.join("log").exists());
        Ok(std::fs::remove_dir_all(folder)?)
    }
}
