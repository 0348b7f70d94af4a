//! `[replica]` of `worker.toml`: the worker's local copy of the company's MySQL or MariaDB. Without the table the worker runs
//! a server of its own as soon as a plugin needs one and the job server tells the way to the primary.
//!
//! Only what can be seen without asking a server; whether its account may only read is the plugins' runtime's business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::duration;
use nightshift_manifest::file_error::FileError;
use nightshift_replica::server::{self, MEMORY_MIB, Place};
use serde::Deserialize;
use toml::Spanned;

use super::At;

/// A server of less memory does not start.
const LEAST_MEMORY: u32 = 16;
/// Data may be so old and still count as current, unless somebody says otherwise.
const MAX_BEHIND: Duration = Duration::from_secs(60);
/// Where the primary's heartbeat is, unless somebody says otherwise.
const HEARTBEAT: &str = "nightshift.heartbeat";

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicaTable {
    server: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
    admin_url: Option<Spanned<String>>,
    admin_password_file: Option<Spanned<String>>,
    heartbeat: Option<Spanned<String>>,
    program: Option<Spanned<String>>,
    memory_mib: Option<Spanned<u32>>,
    max_behind: Option<Spanned<String>>,
}

/// The worker's replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// Whose server it is.
    pub server: ReplicaServer,
    /// It may be so far behind and still be current.
    pub max_behind: Duration,
}

/// Whose server a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaServer {
    /// This machine shall have none.
    Nobody,
    /// The worker's: it runs it itself.
    Own {
        /// The server's program; the machine's when nobody says.
        program: Option<PathBuf>,
        /// The memory it takes for pages of data.
        memory_mib: u32,
    },
    /// The machine's: a service that somebody set up.
    System {
        /// How plugins read.
        reader: ReplicaAt,
        /// An account that may administer replication, when there is one.
        admin: Option<ReplicaAt>,
        /// The table of the primary's heartbeat, as `schema.table`.
        heartbeat: String,
    },
}

/// A way to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAt {
    /// Its address, without a password: `mysql://reader@127.0.0.1:3306/company`.
    pub address: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
}

impl Default for ReplicaSettings {
    fn default() -> ReplicaSettings {
        let server = ReplicaServer::Own { program: None, memory_mib: MEMORY_MIB };
        ReplicaSettings { server, max_behind: MAX_BEHIND }
    }
}

impl ReplicaSettings {
    /// How plugins get at it; `None` while there are no data.
    pub fn reader(&self, state: &StateDir) -> Option<ReplicaAt> {
        match &self.server {
            ReplicaServer::Nobody => None,
            ReplicaServer::System { reader, .. } => Some(reader.clone()),
            ReplicaServer::Own { .. } => {
                let place = Place::new(state.replica());
                let copied = server::copied(&place)?;
                let address = server::reader_address(&place, copied.schemas.first()?);
                Some(ReplicaAt { address, password_file: Some(place.reader_password()) })
            }
        }
    }

    /// The table of the primary's heartbeat, where it is not the usual one.
    pub fn heartbeat(&self, state: &StateDir) -> Option<String> {
        let heartbeat = match &self.server {
            ReplicaServer::Nobody => None,
            ReplicaServer::System { heartbeat, .. } => Some(heartbeat.clone()),
            ReplicaServer::Own { .. } => server::copied(&Place::new(state.replica()))?.heartbeat,
        };
        heartbeat.filter(|table| table != HEARTBEAT)
    }

    /// How old data may be and still count as current, where that is not the usual time.
    pub fn other_max_behind(&self) -> Option<Duration> {
        (self.max_behind != MAX_BEHIND).then_some(self.max_behind)
    }
}

/// Checks the table.
///
/// # Errors
/// The line, what is wrong, and what to write instead.
pub(super) fn read(table: &ReplicaTable, at: At<'_>) -> Result<ReplicaSettings, FileError> {
    let max_behind = match &table.max_behind {
        None => MAX_BEHIND,
        Some(written) => duration::parse(written.get_ref())
            .map_err(|problem| at(written.span(), format!("max_behind: {problem}")))?,
    };
    let server = match (table.server.as_ref(), &table.url) {
        (Some(word), _) if word.get_ref() == "none" => {
            let others = [&table.url, &table.admin_url, &table.program, &table.password_file];
            match others.into_iter().flatten().next() {
                Some(other) => Err(at(other.span(), "server = \"none\" leaves nothing to say of a replica".to_owned())),
                None => Ok(ReplicaServer::Nobody),
            }
        }
        (Some(word), url) if word.get_ref() == "own" => match url {
            Some(url) => {
                Err(at(url.span(), "url: a server of the worker's own is found by itself; leave it out".into()))
            }
            None => own(table, at),
        },
        (Some(word), None) if word.get_ref() == "system" => {
            Err(at(word.span(), "server = \"system\" needs a url: \"mysql://reader@127.0.0.1:3306/company\"".into()))
        }
        (Some(word), Some(url)) if word.get_ref() == "system" => system(table, url, at),
        (Some(word), _) => Err(at(word.span(), "server: write \"own\", \"system\" or \"none\"".into())),
        (None, Some(url)) => system(table, url, at),
        (None, None) => own(table, at),
    };
    Ok(ReplicaSettings { server: server?, max_behind })
}

fn own(table: &ReplicaTable, at: At<'_>) -> Result<ReplicaServer, FileError> {
    let of_system = [&table.password_file, &table.admin_url, &table.admin_password_file, &table.heartbeat];
    if let Some(other) = of_system.into_iter().flatten().next() {
        let problem = "this is for a server that is a service of the machine: name that as url, or leave this out";
        return Err(at(other.span(), problem.to_owned()));
    }
    let program = table.program.as_ref().map(|file| absolute("program", file, at)).transpose()?;
    let memory_mib = match &table.memory_mib {
        Some(memory) if *memory.get_ref() < LEAST_MEMORY => {
            return Err(at(memory.span(), format!("memory_mib: a server needs {LEAST_MEMORY} at least")));
        }
        memory => memory.as_ref().map_or(MEMORY_MIB, |memory| *memory.get_ref()),
    };
    Ok(ReplicaServer::Own { program, memory_mib })
}

fn system(table: &ReplicaTable, url: &Spanned<String>, at: At<'_>) -> Result<ReplicaServer, FileError> {
    if let Some(program) = &table.program {
        return Err(at(program.span(), "program: a service of the machine is not started by the worker".to_owned()));
    }
    let reader = way("url", url, table.password_file.as_ref(), at)?;
    let admin = match (&table.admin_url, &table.admin_password_file) {
        (Some(url), file) => Some(way("admin_url", url, file.as_ref(), at)?),
        (None, Some(file)) => {
            return Err(at(file.span(), "admin_password_file: name the account as admin_url".to_owned()));
        }
        (None, None) => None,
    };
    let heartbeat = match &table.heartbeat {
        Some(table) if table.get_ref().split('.').filter(|part| !part.is_empty()).count() != 2 => {
            return Err(at(table.span(), format!("heartbeat: write schema and table, as in \"{HEARTBEAT}\"")));
        }
        table => table.as_ref().map_or(HEARTBEAT, |table| table.get_ref()).to_owned(),
    };
    Ok(ReplicaServer::System { reader, admin, heartbeat })
}

/// A way to a server that is named.
fn way(key: &str, url: &Spanned<String>, file: Option<&Spanned<String>>, at: At<'_>) -> Result<ReplicaAt, FileError> {
    let address = url.get_ref();
    let refused = |problem: &str| Err(at(url.span(), format!("{key}: {problem}")));
    let rest = address.strip_prefix("mysql://").unwrap_or_default();
    let (server, schema) = rest.split_once('/').unwrap_or_default();
    if server.is_empty() || schema.split('?').next().unwrap_or_default().is_empty() {
        return refused(
            "write user, server and schema as in \"mysql://reader@127.0.0.1:3306/company\", or with a socket \
             \"mysql://reader@localhost/company?socket=/run/mysqld/mysqld.sock\"",
        );
    }
    if has_password(address) {
        return refused(
            "a password does not belong into an address; write it into a file and name that as password_file",
        );
    }
    let password_file = file.map(|file| super::password_file("password_file", file, at)).transpose()?;
    Ok(ReplicaAt { address: address.clone(), password_file })
}

fn absolute(key: &str, file: &Spanned<String>, at: At<'_>) -> Result<PathBuf, FileError> {
    let path = Path::new(file.get_ref());
    match path.is_absolute() {
        true => Ok(path.to_owned()),
        false => Err(at(file.span(), format!("{key} depends on where a cycle is started; write it from the root on"))),
    }
}

/// Whether a `mysql://` address holds a password.
pub(super) fn has_password(address: &str) -> bool {
    let rest = address.strip_prefix("mysql://").unwrap_or(address);
    let user = rest.split('/').next().unwrap_or_default().rsplit_once('@');
    user.is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_toml(text: &str) -> Result<ReplicaSettings, FileError> {
        let table: ReplicaTable = nightshift_manifest::file_error::read_toml("worker.toml", text)?;
        read(&table, &|span, problem| FileError::at("worker.toml", text, span.start, problem))
    }

    #[test]
    fn a_replica_of_the_machine_is_an_address_and_perhaps_a_file_with_a_password() {
        let found =
            read_toml("url = \"mysql://reader@127.0.0.1:3306/company\"\npassword_file = \"/etc/x\"").expect("good");
        let ReplicaServer::System { reader, admin, heartbeat } = found.server else { panic!("{found:?}") };
        assert_eq!(reader.address, "mysql://reader@127.0.0.1:3306/company");
        assert_eq!(reader.password_file.as_deref(), Some(Path::new("/etc/x")));
        assert_eq!((admin, heartbeat.as_str()), (None, "nightshift.heartbeat"));
        let told = |text: &str| {
            let found = read_toml(&format!("url = \"mysql://reader@127.0.0.1/company\"\n{text}")).expect("good");
            found.heartbeat(&StateDir::new("/state"))
        };
        assert_eq!((told(""), told("heartbeat = \"percona.beat\"")), (None, Some("percona.beat".to_owned())));
        let with_admin = "url = \"mysql://reader@localhost/company?socket=/run/db.sock\"\n\
                          admin_url = \"mysql://keeper@localhost/mysql\"\nmax_behind = \"5m\"";
        let found = read_toml(with_admin).expect("good");
        assert_eq!(found.max_behind, Duration::from_secs(300));
        assert_eq!(found.other_max_behind(), Some(Duration::from_secs(300)), "the core is told");
        assert!(matches!(found.server, ReplicaServer::System { admin: Some(_), .. }), "{found:?}");
    }

    #[test]
    fn without_an_address_the_server_is_the_workers_own_or_nobodys() {
        assert_eq!(read_toml("").expect("good"), ReplicaSettings::default());
        let own = read_toml("server = \"own\"\nprogram = \"/opt/mysql/bin/mysqld\"\nmemory_mib = 512").expect("good");
        let program = Some(PathBuf::from("/opt/mysql/bin/mysqld"));
        assert_eq!(own.server, ReplicaServer::Own { program, memory_mib: 512 });
        assert_eq!(read_toml("server = \"none\"").expect("good").server, ReplicaServer::Nobody);
    }

    #[test]
    fn a_replica_that_cannot_be_is_refused_with_its_line_and_never_shows_a_password() {
        for (text, says) in [
            ("url = \"http://10.0.0.5/company\"", "line 1: url: write user, server and schema"),
            ("url = \"mysql://reader@127.0.0.1\"", "line 1: url: write user"),
            ("url = \"mysql://reader@127.0.0.1/?socket=/x\"", "line 1: url: write user"),
            ("url = \"mysql://reader:s3cret@127.0.0.1/company\"", "line 1: url: a password does not belong"),
            ("url = \"mysql://reader@127.0.0.1/company\"\npassword_file = \"x\"", "line 2: password_file depends"),
            ("url = \"mysql://reader@127.0.0.1/company\"\ncolour = 1", "line 2: unknown field `colour`"),
            ("url = \"mysql://reader@127.0.0.1/company\"\nprogram = \"/x\"", "line 2: program: a service"),
            ("url = \"mysql://reader@127.0.0.1/company\"\nheartbeat = \"x\"", "line 2: heartbeat: write schema"),
            ("url = \"mysql://reader@127.0.0.1/company\"\nserver = \"own\"", "line 1: url: a server of the worker's"),
            ("server = \"mine\"", "line 1: server: write"),
            ("server = \"system\"", "line 1: server = \"system\" needs a url"),
            ("server = \"none\"\nprogram = \"/x\"", "line 2: server = \"none\" leaves nothing"),
            ("password_file = \"/x\"", "line 1: this is for a server that is a service"),
            ("memory_mib = 1", "line 1: memory_mib: a server needs 16"),
            ("max_behind = \"x\"", "line 1: max_behind:"),
        ] {
            let error = read_toml(text).expect_err(text).to_string();
            assert!(error.contains(says) && !error.contains("s3cret"), "{error}");
        }
    }
}
