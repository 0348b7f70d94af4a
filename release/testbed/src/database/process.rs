//! Database servers as processes: found, started, frozen, killed.
//!
//! No server outlives its test: see [`crate::kept`].
#![allow(clippy::disallowed_methods, reason = "copies data folders, and reads where a database server is")]

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{Make, SCHEMA, USER, Wishes};
use crate::kept::Kept;
use crate::wait::{self, SOON};

/// A server's own folder for temporary tables. One that starts removes every temporary table it finds there: in a folder
/// that servers share (`/tmp`, if nothing is said) it takes them away from those that run, and MariaDB crashes on that.
const TEMPORARY: &str = "temporary";

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process(Kept);

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.0.pid().as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn crash(&mut self) {
        self.0.crash();
    }

    /// Stops it, and waits until the last of its threads stands still: until then it may still answer.
    pub(super) fn freeze(&self) {
        let _ = kill_process(self.0.pid(), Signal::STOP);
        // A server that ended meanwhile stands still for good.
        let _ = wait::until("the server's threads to stand still", SOON, || stands_still(self.0.pid()).then_some(()));
    }

    pub(super) fn thaw(&self) {
        let _ = kill_process(self.0.pid(), Signal::CONT);
    }
}

/// Whether no thread of a process runs.
fn stands_still(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // The state stands behind the program's name, which is in brackets and may hold anything.
    stats.into_iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['T', 't', 'Z'])))
}

/// Starts a server and waits until it answers; `None` when it ended instead.
pub(super) fn start(make: Make, program: &Path, folder: &Path, port: u16, wishes: &Wishes) -> Result<Option<Process>> {
    std::fs::write(folder.join("init.sql"), init(wishes)).context("writing the server's first statements")?;
    std::fs::create_dir_all(folder.join(TEMPORARY)).context("making the server's folder for temporary tables")?;
    let mut kept = Kept::start(folder, program, &settings(make, folder, port, wishes))?;
    let answers = wait::until_ok("a database server to answer", wait::SOON, || {
        if kept.has_ended()? {
            return Ok(Some(false));
        }
        Ok(greets(port).then_some(true))
    })?;
    Ok(answers.then_some(Process(kept)))
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
    let more = wishes.statements.iter().chain(&wishes.at_first);
    let more: String = more.map(|statement| format!("{statement};\n")).collect();
    // A replica would have what its primary never had.
    let unlogged = if wishes.binlog { "SET sql_log_bin = 0;\n" } else { "" };
    format!(
        "{unlogged}CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1';\n\
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
            if make == Make::MySql {
                settings.extend(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"].map(str::to_owned));
            }
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

/// The program an environment variable names.
pub(super) fn named_by(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
