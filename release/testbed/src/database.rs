//! Private MariaDB and MySQL servers, for tests and benchmarks: durable, on loopback, up in less than a second.
//!
//! Nothing is installed here. MariaDB is used when the machine has it (Debian's mariadb-server-core and mariadb-client),
//! MySQL when `NIGHTSHIFT_TEST_MYSQLD` names a `mysqld`. A data folder is made once for each target folder
//! (`template.rs`) and copied for each server (`process.rs`), which ends with the program that started it, even when that
//! is killed. Two of them that replicate are a [`Pair`]. Works as root and as anybody else.

mod company;
mod pair;
mod process;
mod template;

use std::fmt;
use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::kept;

pub use company::{COMPANY, COPIER, COPIER_PASSWORD, Company, Founding, HEARTBEAT, Way};
pub use pair::{Pair, PairWishes, REPLICATOR, REPLICATOR_PASSWORD, start_primary};
use process::Process;

/// The schema every server has.
pub const SCHEMA: &str = "nightshift";
/// The user every server has, without a password and with all rights.
pub const USER: &str = "nightshift";

/// Names the `mysqld` to test with.
pub const MYSQLD: &str = "NIGHTSHIFT_TEST_MYSQLD";

/// Which make of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Make {
    /// MariaDB.
    MariaDb,
    /// Oracle's MySQL.
    MySql,
}

/// As its makers write it.
impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Make::MariaDb => "MariaDB",
            Make::MySql => "MySQL",
        })
    }
}

impl Make {
    /// The server's program; `None` when this machine has none.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Make::MariaDb => {
                let server = kept::find("mariadbd")?;
                kept::find("mariadb-install-db").map(|_| server)
            }
            Make::MySql => process::named_by(MYSQLD).filter(|program| program.exists()),
        }
    }

    /// What a person does to have one.
    pub fn advice(self) -> &'static str {
        match self {
            Make::MariaDb => "install mariadb-server-core and mariadb-client (`make test` does so when it may)",
            Make::MySql => "name a mysqld in NIGHTSHIFT_TEST_MYSQLD",
        }
    }
}

/// What a server shall be like beyond the usual.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Write a binary log, synced at every commit, with GTIDs on every make. What the server does before it answers is in
    /// it only where it says so (`SET sql_log_bin = 1`).
    pub binlog: bool,
    /// Further settings, each as it stands on the command line: `--max-connections=20`.
    pub settings: Vec<String>,
    /// What it does before it answers, each time it starts; each statement on one line.
    pub statements: Vec<String>,
    /// What it does after these when it starts for the first time.
    pub at_first: Vec<String>,
}

/// A running server; ended at once, as a power cut would end it, when it is dropped.
#[derive(Debug)]
pub struct Server {
    make: Make,
    program: PathBuf,
    wishes: Wishes,
    port: u16,
    process: Process,
    folder: TempDir,
}

impl Server {
    /// Starts a server on fresh data; `None` when this machine has none of that make.
    ///
    /// # Errors
    /// When there is one and it does not start, with the end of its log.
    pub fn start(make: Make, mut wishes: Wishes) -> Result<Option<Server>> {
        let Some(program) = make.program() else { return Ok(None) };
        let template = template::ready(make, &program)?;
        let folder = tempfile::Builder::new().prefix("nightshift-db-").tempdir()?;
        process::copy(&template, &folder.path().join("data"))?;
        // Somebody else may take the free port before the server does: then it ends at once, and another is tried.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if let Some(process) = process::start(make, &program, folder.path(), port, &wishes)? {
                wishes.at_first.clear();
                return Ok(Some(Server { make, program, wishes, port, process, folder }));
            }
        }
        bail!("{} does not start:\n{}", program.display(), log(folder.path()))
    }

    /// Which make it is.
    pub fn make(&self) -> Make {
        self.make
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its socket, which anybody on the machine may reach.
    ///
    /// # Errors
    /// When the way to it cannot be opened for others.
    pub fn socket(&self) -> Result<PathBuf> {
        std::fs::set_permissions(self.folder.path(), Permissions::from_mode(0o711))?;
        Ok(self.folder.path().join("socket"))
    }

    /// The address of one of its schemas, as `jobserver.toml` names it.
    pub fn url(&self, schema: &str) -> String {
        format!("mysql://{USER}@127.0.0.1:{}/{schema}", self.port)
    }

    /// The folder of its data, for what is done to it between [`crash`](Server::crash) and [`restart`](Server::restart).
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills it as a power cut would; [`restart`](Server::restart) brings it back with what was durable.
    pub fn crash(&mut self) {
        self.process.crash();
    }

    /// Starts it again on its data and port, after [`crash`](Server::crash).
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub fn restart(&mut self) -> Result<()> {
        self.process.crash();
        match process::start(self.make, &self.program, self.folder.path(), self.port, &self.wishes)? {
            Some(process) => self.process = process,
            None => bail!("{} does not start again:\n{}", self.program.display(), log(self.folder.path())),
        }
        Ok(())
    }

    /// Stops it in its tracks: it accepts connections and stays silent.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on after [`freeze`](Server::freeze).
    pub fn thaw(&self) {
        self.process.thaw();
    }
}

/// A text as SQL writes it.
fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// The end of a server's log, for people.
fn log(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
