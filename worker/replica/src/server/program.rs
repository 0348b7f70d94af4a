//! Which server the machine has: its make, its version, and the programs that belong to it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::make::{Make, Version};
use crate::process::{self, Finished};

/// Where servers are when nobody says; a path of an ordinary user often leads to none of these.
pub const USUAL_FOLDERS: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/libexec", "/opt/mysql/bin"];

/// How long a program may take to say its version.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The names of a make's server.
fn servers(make: Make) -> &'static [&'static str] {
    match make {
        Make::MariaDb => &["mariadbd", "mysqld"],
        Make::MySql => &["mysqld"],
    }
}

/// The packages of Debian that have it.
pub fn packages(make: Make) -> &'static str {
    match make {
        Make::MariaDb => "mariadb-server-core and mariadb-client",
        Make::MySql => "mysql-server-core and mysql-client-core",
    }
}

/// No server can be run here.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is none.
    #[error("no {} server is installed here: install {} (no service is needed), or name the program as `program` in worker.toml's [replica]", .0, packages(*.0))]
    Missing(Make),
    /// One that belongs to it is not there.
    #[error("{program} is not beside {server}: install {packages}", server = .server.display())]
    Companion {
        /// What is missing.
        program: &'static str,
        /// The server.
        server: PathBuf,
        /// What to install.
        packages: &'static str,
    },
    /// It does not say what it is.
    #[error("asking {program} for its version: {why}; name a mariadbd or mysqld as `program` in worker.toml's [replica]", program = .program.display())]
    Mute {
        /// The program.
        program: PathBuf,
        /// What happened instead.
        why: String,
    },
    /// It is the other make.
    #[error("{program} is {found}, and the primary is {wanted}: install {packages}, or name its server as `program` in worker.toml's [replica]", program = .program.display())]
    OtherMake {
        /// The program.
        program: PathBuf,
        /// What it is.
        found: Make,
        /// What it should be.
        wanted: Make,
        /// What to install.
        packages: &'static str,
    },
}

/// A server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The server.
    pub server: PathBuf,
    /// Its make and version.
    pub version: Version,
    /// The client, which a dump is piped into.
    pub client: PathBuf,
    /// What writes a dump.
    pub dump: PathBuf,
    /// What makes a data folder, where the server does not do it itself.
    pub install: Option<PathBuf>,
    /// The server is a script, which says itself where options are read from.
    pub is_script: bool,
}

impl Programs {
    /// Finds the programs of a make: at `named`, or else in the first of `folders` that has one.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub async fn find(make: Make, named: Option<&Path>, folders: &[PathBuf]) -> Result<Programs, ProgramError> {
        let mut other = None;
        let candidates = match named {
            Some(named) => vec![named.to_owned()],
            None => {
                let in_folder =
                    |folder: &PathBuf| servers(make).iter().map(|name| folder.join(name)).collect::<Vec<_>>();
                folders.iter().flat_map(in_folder).filter(|file| file.is_file()).collect()
            }
        };
        for server in candidates {
            let version = version_of(&server).await?;
            if version.make != make {
                other.get_or_insert((server, version.make));
                continue;
            }
            return Programs::beside(server, version, folders);
        }
        Err(match other.filter(|_| named.is_some()) {
            Some((program, found)) => {
                ProgramError::OtherMake { program, found, wanted: make, packages: packages(make) }
            }
            None => ProgramError::Missing(make),
        })
    }

    fn beside(server: PathBuf, version: Version, folders: &[PathBuf]) -> Result<Programs, ProgramError> {
        let make = version.make;
        let own = server.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        let near = [own.join("../bin"), own.clone()];
        let find = |names: [&'static str; 2]| {
            let in_folder = |folder: &PathBuf| names.map(|name| folder.join(name));
            let found = near.iter().rev().chain(folders).flat_map(in_folder).find(|file| file.is_file());
            let missing =
                ProgramError::Companion { program: names[0], server: server.clone(), packages: packages(make) };
            found.ok_or(missing)
        };
        let (client, dump, install) = match make {
            Make::MariaDb => (
                find(["mariadb", "mysql"])?,
                find(["mariadb-dump", "mysqldump"])?,
                Some(find(["mariadb-install-db", "mysql_install_db"])?),
            ),
            Make::MySql => (find(["mysql", "mysql"])?, find(["mysqldump", "mysqldump"])?, None),
        };
        let is_script = is_script(&server);
        Ok(Programs { server, version, client, dump, install, is_script })
    }
}

async fn version_of(program: &Path) -> Result<Version, ProgramError> {
    let mute = |why: String| ProgramError::Mute { program: program.to_owned(), why };
    let asked = process::run(program, &["--version".to_owned()], ANSWERS_WITHIN).await;
    let Finished { stdout, stderr, .. } = asked.map_err(|error| mute(error.to_string()))?;
    number(&stdout)
        .and_then(Version::parse)
        .ok_or_else(|| mute(format!("it said {:?}", format!("{stdout}{stderr}").trim())))
}

/// The version in what a server says of it.
fn number(said: &str) -> Option<&str> {
    said.split("Ver ").nth(1)?.split_whitespace().next()
}

/// Whether a program is a script. One that stands around a server reads options from where it means to; a server proper
/// is told to read none.
pub(crate) fn is_script(program: &Path) -> bool {
    let mut head = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn make_and_version_are_read_from_what_a_server_says_of_itself() {
        for (said, version) in [
            ("mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", "MariaDB 10.11.19"),
            ("/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "MySQL 9.7.4"),
            ("/usr/sbin/mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", "MySQL 8.0.36"),
        ] {
            let found = number(said).and_then(Version::parse).map(|version| version.to_string());
            assert_eq!(found.as_deref(), Some(version));
        }
    }

    #[tokio::test]
    async fn a_machine_without_a_server_is_told_what_to_install() {
        let nowhere = Programs::find(Make::MariaDb, None, &[PathBuf::from("/nonexistent")]).await;
        let says = nowhere.expect_err("there is none").to_string();
        assert!(says.contains("install mariadb-server-core and mariadb-client"), "{says}");
    }

    #[tokio::test]
    async fn a_program_that_is_no_server_is_refused_with_what_it_said() {
        let refused = Programs::find(Make::MySql, Some(Path::new("/bin/true")), &[]).await;
        let says = refused.expect_err("no server").to_string();
        assert!(says.contains("/bin/true") && says.contains("name a mariadbd or mysqld"), "{says}");
    }
}
