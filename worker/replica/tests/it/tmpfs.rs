//! A small disk in memory, which can be filled. Only root can have one.
#![allow(clippy::disallowed_methods, reason = "the one file that mounts; what it mounts ends with its handle")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk; taken away when it is dropped.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// A disk of so many KiB; `None` for who may not mount one.
    pub(crate) fn of(kib: u64) -> Option<Tmpfs> {
        let folder = tempfile::Builder::new().prefix("nightshift-disk-").tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=777"), "none"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Tmpfs(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it up, but for so many KiB; room comes back when the file is removed. What fits nobody says beforehand.
    pub(crate) fn fill(&self, but_for_kib: usize) -> PathBuf {
        let filler = self.path().join("filler");
        let mut bytes = Vec::new();
        loop {
            bytes.resize(bytes.len() + 4096, 1);
            if std::fs::write(&filler, &bytes).is_err() {
                break;
            }
        }
        std::fs::write(&filler, vec![1; bytes.len().saturating_sub(4096 + but_for_kib * 1024)]).expect("it fits");
        filler
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}
