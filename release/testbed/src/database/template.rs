//! The data folder every server begins with: made once, kept in the target folder, never started.
//!
//! Many test programs may ask at the same time: one makes it behind a lock, in a folder beside its place, and renames it
//! there when it is whole; what a killed program left half-made is thrown away by the next.
#![allow(clippy::disallowed_methods, reason = "the one file that makes and places database templates")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Make, process};
use crate::kept;

/// The template for a server, made when there is none yet.
pub(super) fn ready(make: Make, program: &Path) -> Result<PathBuf> {
    let home = target_folder()?.join("test-databases");
    fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
    let name = name(program)?;
    let template = home.join(&name);
    let lock = File::create(home.join(format!("{name}.lock"))).context("making a lock")?;
    lock.lock().context("waiting for another test program to make a database template")?;
    if !template.exists() {
        let half_made = home.join(format!("{name}.half"));
        if half_made.exists() {
            fs::remove_dir_all(&half_made).context("removing a half-made database template")?;
        }
        make_in(make, program, &half_made)?;
        fs::rename(&half_made, &template).context("placing a database template")?;
    }
    Ok(template)
}

/// The name of a template: that of the server's version and of the user whose files it has.
fn name(program: &Path) -> Result<String> {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let said = said.with_context(|| format!("asking {} for its version", program.display()))?;
    let version = String::from_utf8_lossy(&said.stdout);
    let version = version.split("Ver ").nth(1).unwrap_or(&version);
    let word = version.split_whitespace().next().unwrap_or("unknown");
    let kind = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
    Ok(format!("{kind}-{word}-{}", rustix::process::getuid().as_raw()))
}

fn make_in(make: Make, program: &Path, folder: &Path) -> Result<()> {
    let datadir = format!("--datadir={}", folder.display());
    let mut command = match make {
        Make::MariaDb => {
            let mut command = Command::new(kept::find("mariadb-install-db").context("mariadb-install-db")?);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.args(["--skip-name-resolve", "--innodb-log-file-size=8M"]);
            // Not `/tmp`: see process.rs for what becomes of temporary tables there.
            command.arg(format!("--tmpdir={}", folder.parent().unwrap_or(folder).display()));
            command
        }
        Make::MySql => {
            let mut command = Command::new(program);
            // A wrapper may have said --no-defaults already, and it may stand only first.
            command.args(["--initialize-insecure", "--innodb-redo-log-capacity=8M", "--secure-file-priv=NULL"]);
            command
        }
    };
    command.arg(datadir).args(process::as_root());
    let made = command.stdin(Stdio::null()).output().context("making a database template")?;
    if !made.status.success() {
        let said = [made.stdout, made.stderr].concat();
        bail!("making a database template with {}:\n{}", program.display(), String::from_utf8_lossy(&said));
    }
    // Every server makes itself an identity of its own.
    match fs::remove_file(folder.join("auto.cnf")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("removing auto.cnf"),
        _ => Ok(()),
    }
}

/// Cargo marks its target folder with a file; a program somewhere else keeps its templates beside itself.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(marked.or(program.parent()).context("a folder")?.to_owned())
}
