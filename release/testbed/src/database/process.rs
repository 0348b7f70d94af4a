//! Database servers as processes: found, started, frozen, killed.
//!
//! A server runs under a shell that holds the reading end of a pipe of ours. When this program ends, however it ends, the
//! pipe closes; the shell kills the server and removes its folder. No server outlives its test.
#![allow(
    clippy::disallowed_methods,
    reason = "the one file that starts database servers and reads where one is; every server ends with its handle"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{Make, SCHEMA, USER, Wishes};
use crate::wait::{self, SOON};

/// `$1` is the server's folder, the rest its command line.
const KEEPER: &str = r#"
folder=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >>"$folder/log" 2>&1 &
server=$!
echo $server
exec >&-
( read -r _ <&3; : >"$folder/ended"; kill -9 $server ) &
watcher=$!
wait $server
[ ! -e "$folder/ended" ] || rm -rf "$folder"
kill $watcher
"#;

/// A server's own folder for temporary tables. One that starts removes every temporary table it finds there: in a folder
/// that servers share (`/tmp`, if nothing is said) it takes them away from those that run, and MariaDB crashes on that.
const TEMPORARY: &str = "temporary";

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    keeper: Child,
    /// Closed when this program ends.
    held: Option<ChildStdin>,
    pid: Pid,
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn crash(&mut self) {
        // It may be dead or frozen already.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = self.keeper.wait();
    }

    /// Stops it, and waits until the last of its threads stands still: until then it may still answer.
    pub(super) fn freeze(&self) {
        let _ = kill_process(self.pid, Signal::STOP);
        // A server that ended meanwhile stands still for good.
        let _ = wait::until("the server's threads to stand still", SOON, || stands_still(self.pid).then_some(()));
    }

    pub(super) fn thaw(&self) {
        let _ = kill_process(self.pid, Signal::CONT);
    }
}

/// Whether no thread of a process runs.
fn stands_still(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // The state stands behind the program's name, which is in brackets and may hold anything.
    stats.into_iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['T', 't', 'Z'])))
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            self.crash();
        }
        drop(self.held.take());
    }
}

/// Starts a server and waits until it answers; `None` when it ended instead.
pub(super) fn start(make: Make, program: &Path, folder: &Path, port: u16, wishes: &Wishes) -> Result<Option<Process>> {
    std::fs::write(folder.join("init.sql"), init(wishes)).context("writing the server's first statements")?;
    std::fs::create_dir_all(folder.join(TEMPORARY)).context("making the server's folder for temporary tables")?;
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "sh"]).arg(folder).arg(program).args(settings(make, folder, port, wishes));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = command.spawn().context("starting a shell")?;
    let held = keeper.stdin.take();
    let said = keeper.stdout.take().context("the shell's standard output")?;
    let mut pid = String::new();
    BufReader::new(said).read_line(&mut pid).context("reading the server's process number")?;
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("the server's process number")?;
    let mut process = Process { keeper, held, pid };
    let answers = wait::until_ok("a database server to answer", wait::SOON, || {
        if process.keeper.try_wait()?.is_some() {
            return Ok(Some(false));
        }
        Ok(greets(port).then_some(true))
    })?;
    Ok(answers.then_some(process))
}

/// Whether something on the port says hello as a database does.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut greeting = [0; 5];
    // The version of the protocol, behind the four bytes of the packet's head.
    stream.set_read_timeout(Some(Duration::from_secs(10))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && greeting[4] == 10
}

/// What a server does before it answers, one statement a line.
fn init(wishes: &Wishes) -> String {
    let more: String = wishes.statements.iter().map(|statement| format!("{statement};\n")).collect();
    format!(
        "CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n\
         CREATE DATABASE IF NOT EXISTS {SCHEMA};\n{more}"
    )
}

/// Small, and as durable as the servers people trust their work to.
fn settings(make: Make, folder: &Path, port: u16, wishes: &Wishes) -> Vec<String> {
    let at = |file: &str| folder.join(file).display().to_string();
    let mut settings = vec![
        format!("--datadir={}", at("data")),
        format!("--socket={}", at("socket")),
        format!("--pid-file={}", at("pid")),
        format!("--tmpdir={}", at(TEMPORARY)),
        format!("--init-file={}", at("init.sql")),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--innodb-flush-log-at-trx-commit=1".to_owned(),
        "--innodb-buffer-pool-size=64M".to_owned(),
        "--performance-schema=OFF".to_owned(),
        "--max-connections=300".to_owned(),
    ];
    match make {
        Make::MariaDb => {
            settings.insert(0, "--no-defaults".to_owned());
            settings.push("--innodb-log-file-size=8M".to_owned());
        }
        Make::MySql => {
            let own = ["--mysqlx=OFF", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=64M"];
            settings.extend(own.map(str::to_owned));
        }
    }
    match (wishes.binlog, make) {
        (true, _) => {
            settings.push(format!("--log-bin={}", at("data/binlog")));
            settings.push("--sync-binlog=1".to_owned());
            settings.push(format!("--server-id={port}"));
        }
        (false, Make::MariaDb) => settings.push("--skip-log-bin".to_owned()),
        (false, Make::MySql) => settings.push("--disable-log-bin".to_owned()),
    }
    settings.extend(as_root());
    settings.extend(wishes.settings.iter().cloned());
    settings
}

/// A server started by root must be told that this is meant.
pub(super) fn as_root() -> Option<String> {
    rustix::process::getuid().is_root().then(|| "--user=root".to_owned())
}

/// Copies a data folder, holes and all.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).stdin(Stdio::null()).output();
    let copied = copied.context("copying a database template")?;
    if copied.status.success() {
        return Ok(());
    }
    bail!("copying a database template: {}", String::from_utf8_lossy(&copied.stderr).trim())
}

/// A program of the machine; servers are often where an ordinary user's path does not lead.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/libexec"].map(PathBuf::from);
    std::env::split_paths(&path).chain(further).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The program an environment variable names.
pub(super) fn named_by(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
