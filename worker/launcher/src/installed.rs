//! The programs of this worker: the installed ones, those of the slot in force, and becoming another launcher through boot.
#![allow(clippy::disallowed_methods, reason = "the launcher in force is started here; it takes this process's place")]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightshift_contract::layout::BOOT;
use nightshift_engine::Release;
use nightshift_manifest::binaries::Program;

/// Where the programs stand that came with the installation.
#[derive(Debug, Clone)]
pub struct Installed {
    boot: PathBuf,
    me: PathBuf,
    /// The worker's configuration.
    pub config: PathBuf,
}

impl Installed {
    /// Beside boot, which said where it is, else beside this program (`me`).
    pub fn new(boot: Option<PathBuf>, me: PathBuf, config: PathBuf) -> Installed {
        Installed { boot: boot.unwrap_or_else(|| me.with_file_name(BOOT)), me, config }
    }

    /// The program that a release is done with: the one it brings, else the installed one.
    pub fn of(&self, release: Option<&Release>, program: Program) -> PathBuf {
        let brought = release.and_then(|release| release.program(program));
        brought.unwrap_or_else(|| self.boot.with_file_name(program.file_name()))
    }

    /// Whether the launcher of a release is another one than this.
    pub fn is_another_launcher(&self, release: &Release) -> bool {
        let its = self.of(Some(release), Program::Launcher);
        // This one's file may be gone with its slot; what runs is read through the kernel.
        its != self.me && !is_same(&its, &self.me) && !is_same(&its, Path::new("/proc/self/exe"))
    }

    /// Becomes the launcher that boot chooses, to do a cycle. Comes back only when that failed.
    pub fn begin_again(&self) -> io::Error {
        Command::new(&self.boot).arg("run").arg("--config").arg(&self.config).exec()
    }
}

/// Whether two files hold the same bytes.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let same = || -> io::Result<bool> {
        let (mut one, mut other) = (File::open(one)?, File::open(other)?);
        if one.metadata()?.len() != other.metadata()?.len() {
            return Ok(false);
        }
        let (mut these, mut those) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let read = one.read(&mut these)?;
            other.read_exact(&mut those[..read])?;
            match (read, these[..read] == those[..read]) {
                (0, _) => return Ok(true),
                (_, false) => return Ok(false),
                (_, true) => {}
            }
        }
    };
    same().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_the_same_when_their_bytes_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            path
        };
        let long = vec![7; 200_000];
        let mut other = long.clone();
        other[199_999] = 8;
        let (a, b) = (file("a", &long), file("b", &long));
        assert!(is_same(&a, &b));
        assert!(!is_same(&a, &file("c", &other)) && !is_same(&a, &file("d", &long[1..])));
        assert!(!is_same(&a, Path::new("/nowhere")));
    }

    #[test]
    fn the_installed_programs_stand_beside_boot() {
        let installed =
            Installed::new(Some("/opt/nightshift-worker".into()), "/slots/a/bin/nightshift-launcher".into(), "".into());
        assert_eq!(installed.of(None, Program::Core), Path::new("/opt/nightshift-core"));
        let alone = Installed::new(None, "/opt/nightshift-launcher".into(), "".into());
        assert_eq!(alone.of(None, Program::Core), Path::new("/opt/nightshift-core"));
    }
}
