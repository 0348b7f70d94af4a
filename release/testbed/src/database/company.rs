//! A company whose people are on a primary of its own, and what job servers and workers are told so that replicas of it come up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nightshift_wire::{Replication, ReplicationTls};
use tempfile::TempDir;

use super::{Make, Server, USER, Wishes, literal, pair};
use crate::certificates::Authority;
use crate::people::{COLUMNS, PERSON_ID, Person};

/// The schema of the people.
pub const COMPANY: &str = "company";
/// The account that workers copy by.
pub const COPIER: &str = "copier";
/// Its password, as hard to write as any.
pub const COPIER_PASSWORD: &str = "it's \\ secret";
/// The table of the heartbeat.
pub const HEARTBEAT: &str = "nightshift.heartbeat";
/// Rows of one statement: before a MariaDB answers it takes none of more than 20,000 bytes.
const ROWS: usize = 50;
/// Where the primary is.
const HOST: &str = "127.0.0.1";

/// What a company shall be like beyond the usual.
#[derive(Debug, Clone, Default)]
pub struct Founding<'a> {
    /// Who is in `company.people`; without anybody that table is not made.
    pub people: &'a [Person],
    /// What the primary does besides, once its schemas are there; each statement on one line.
    pub at_first: Vec<String>,
    /// Further settings of the primary, as in [`Wishes::settings`].
    pub settings: Vec<String>,
    /// How copying goes over the network.
    pub way: Way,
}

/// How copying goes over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// In clear text.
    #[default]
    Plain,
    /// Over TLS alone, by an authority of the company's own.
    Tls,
}

/// A primary with the schema `company`, an empty table `company.news`, a heartbeat's table and an account that may copy.
#[derive(Debug)]
pub struct Company {
    /// The server.
    pub primary: Server,
    authority: Option<Authority>,
    secrets: TempDir,
}

impl Company {
    /// Founds one; `None` when this machine has no server of that make.
    ///
    /// # Errors
    /// When there is one and it does not start.
    pub fn found(make: Make, founding: Founding<'_>) -> Result<Option<Company>> {
        let secrets = tempfile::tempdir().context("making a folder for secrets")?;
        fs::write(password_file(&secrets), COPIER_PASSWORD).context("writing a password")?;
        let authority = (founding.way == Way::Tls).then(Authority::new).transpose()?;
        let mut settings = founding.settings;
        if make == Make::MySql {
            settings.push("--plugin-load-add=mysql_clone.so".to_owned());
        }
        if let Some(authority) = &authority {
            settings.extend(certified(authority, secrets.path())?);
        }
        let mut at_first = schemas();
        if !founding.people.is_empty() {
            at_first.extend(people(founding.people));
        }
        at_first.extend(account(make, founding.way));
        at_first.extend(founding.at_first);
        let primary = Server::start(make, Wishes { binlog: true, settings, at_first, ..Wishes::default() })?;
        Ok(primary.map(|primary| Company { primary, authority, secrets }))
    }

    /// A replica of the primary, which logs what it copies and so has all of its accounts.
    ///
    /// # Errors
    /// When it does not start.
    pub fn replica(&self, mut wishes: Wishes) -> Result<Server> {
        let make = self.primary.make();
        if make == Make::MySql {
            wishes.settings.push("--plugin-load-add=mysql_clone.so".to_owned());
        }
        let copy = pair::copy(make, self.primary.port(), (COPIER, COPIER_PASSWORD));
        Server::start(make, pair::as_replica(make, wishes, copy))?.context("the server that was here is gone")
    }

    /// What a worker's own server needs to copy the primary.
    pub fn replication(&self) -> Replication {
        Replication {
            host: HOST.to_owned(),
            port: self.primary.port(),
            user: COPIER.to_owned(),
            password: COPIER_PASSWORD.to_owned(),
            tls: match &self.authority {
                None => ReplicationTls::Off,
                Some(authority) => ReplicationTls::Verify { ca: authority.pem().to_owned() },
            },
            schemas: vec![COMPANY.to_owned()],
            primary: None,
            heartbeat: Some(HEARTBEAT.to_owned()),
            now: None,
            donor: None,
        }
    }

    /// The tables of jobserver.toml that tell of it, with further lines of `[replication]`.
    pub fn for_job_server(&self, more: &str) -> String {
        let (port, password) = (self.primary.port(), password_file(&self.secrets));
        let authority = format!("tls_ca = {:?}\n", authority_file(self.secrets.path()));
        let (asks, copies) = match &self.authority {
            None => ("", "tls = \"off\"\n"),
            Some(_) => (authority.as_str(), authority.as_str()),
        };
        format!(
            "[primary]\nurl = \"mysql://{USER}@{HOST}:{port}\"\n{asks}\n[replication]\nhost = \"{HOST}\"\nport = {port}\n\
             user = \"{COPIER}\"\npassword_file = {password:?}\n{copies}schemas = [\"{COMPANY}\"]\n{more}"
        )
    }

    /// The table of worker.toml for a worker that runs a server of the same make itself.
    pub fn for_workers(&self) -> String {
        let program = self.primary.make().program().unwrap_or_default();
        format!("\n[replica]\nprogram = {program:?}\nmemory_mib = 32\n")
    }

    /// The file with the copier's password that the job server reads.
    pub fn password_file(&self) -> PathBuf {
        password_file(&self.secrets)
    }
}

fn password_file(secrets: &TempDir) -> PathBuf {
    secrets.path().join("copy.password")
}

fn authority_file(secrets: &Path) -> PathBuf {
    secrets.join("authority.pem")
}

/// Writes what a server shows that speaks TLS; its settings.
fn certified(authority: &Authority, secrets: &Path) -> Result<[String; 3]> {
    let signed = authority.sign(HOST)?;
    let (certificate, key) = (secrets.join("certificate.pem"), secrets.join("key.pem"));
    let files = [
        ("ca", authority_file(secrets), authority.pem()),
        ("cert", certificate, &signed.certificate),
        ("key", key, &signed.key.serialize_pem()),
    ];
    for (_, file, content) in &files {
        fs::write(file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(files.map(|(name, file, _)| format!("--ssl-{name}={}", file.display())))
}

/// What every company begins with.
fn schemas() -> Vec<String> {
    vec![
        "SET sql_log_bin = 1".to_owned(),
        format!("CREATE DATABASE {COMPANY} CHARACTER SET utf8mb4"),
        format!("CREATE TABLE {COMPANY}.news (id INT PRIMARY KEY)"),
        // As pt-heartbeat makes it.
        format!(
            "CREATE TABLE {HEARTBEAT} (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY, file VARCHAR(255), \
             position BIGINT UNSIGNED, relay_master_log_file VARCHAR(255), exec_master_log_pos BIGINT UNSIGNED)"
        ),
    ]
}

/// The account that copies, with the least rights that it needs.
fn account(make: Make, way: Way) -> [String; 4] {
    let rights = match make {
        Make::MariaDb => "REPLICATION SLAVE, BINLOG MONITOR",
        Make::MySql => "REPLICATION SLAVE, REPLICATION CLIENT, RELOAD, BACKUP_ADMIN",
    };
    let password = literal(COPIER_PASSWORD);
    let require = if way == Way::Tls { " REQUIRE SSL" } else { "" };
    [
        format!("CREATE USER {COPIER}@'{HOST}' IDENTIFIED BY {password}{require}"),
        format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {COMPANY}.* TO {COPIER}@'{HOST}'"),
        format!("GRANT SELECT ON {HEARTBEAT} TO {COPIER}@'{HOST}'"),
        format!("GRANT {rights} ON *.* TO {COPIER}@'{HOST}'"),
    ]
}

fn people(people: &[Person]) -> impl Iterator<Item = String> {
    let columns: String = COLUMNS.map(|column| format!(", {column} VARCHAR(100) NOT NULL")).concat();
    let table = format!("CREATE TABLE {COMPANY}.people ({PERSON_ID} VARCHAR(100) PRIMARY KEY{columns})");
    let rows = people.chunks(ROWS).map(|people| {
        let rows: Vec<String> = people.iter().map(row).collect();
        format!("INSERT INTO {COMPANY}.people VALUES {}", rows.join(", "))
    });
    std::iter::once(table).chain(rows)
}

/// A person as a row.
fn row(person: &Person) -> String {
    let values: Vec<String> = std::iter::once(&person.id).chain(&person.fields.0).map(|value| literal(value)).collect();
    format!("({})", values.join(", "))
}
