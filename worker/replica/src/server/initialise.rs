//! A fresh data folder: made beside its place, and renamed there when it is whole.

use std::fs;
use std::time::Duration;

use super::{OwnServer, ServerError};
use crate::make::Make;
use crate::process::{self, option};
use crate::swap;

/// How long making one may take on a slow disk.
const MADE_WITHIN: Duration = Duration::from_secs(300);

impl OwnServer {
    /// Removes whatever data there are. The server must have ended.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub(crate) fn empty(&self) -> Result<(), ServerError> {
        self.prepare()?;
        for folder in [self.place.data(), self.place.data_being_made(), self.place.temporary()] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.failed("removing", folder)(error));
                }
                _ => {}
            }
        }
        let copied = self.place.copied();
        swap::remove(&copied).map_err(self.failed("removing", copied))
    }

    /// Makes a data folder without data, where there is none.
    ///
    /// # Errors
    /// When it cannot be made, with what the program said.
    pub(crate) async fn initialise(&self) -> Result<(), ServerError> {
        self.prepare()?;
        let (built, place) = (self.place.data_being_made(), self.place.data());
        let (program, mut arguments) = match (&self.programs.install, self.programs.version.make) {
            (Some(install), _) => (install, vec![]),
            (None, _) => (&self.programs.server, vec!["--initialize-insecure".to_owned()]),
        };
        match self.programs.version.make {
            Make::MariaDb => {
                let own = [
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                ];
                arguments.extend(own.map(str::to_owned));
            }
            Make::MySql => {
                if !self.programs.is_script {
                    arguments.insert(0, "--no-defaults".to_owned());
                }
                arguments.push("--secure-file-priv=NULL".to_owned());
            }
        }
        arguments.extend([option("datadir", &built), option("tmpdir", &self.place.temporary())]);
        if rustix::process::getuid().is_root() {
            arguments.push("--user=root".to_owned());
        }
        let why = match process::run(program, &arguments, MADE_WITHIN).await {
            Ok(made) if made.success => {
                return swap::put_folder(&built, &place).map_err(self.failed("placing", place));
            }
            Ok(made) => {
                let said = format!("{}{}", made.stdout, made.stderr);
                let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
                lines[lines.len().saturating_sub(3)..].join(" / ")
            }
            Err(error) => error.to_string(),
        };
        Err(ServerError::Initialise { program: program.clone(), why })
    }
}
