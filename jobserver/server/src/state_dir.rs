//! The job server's state folder: where things stand in it, and that one server at a time uses it.
//!
//! ```text
//! STATE/
//!   lock                kernel lock of the one server on this folder
//!   address             the address the server listens on, once it does
//!   nightshift.sqlite   batches, jobs, records, results, unless the configuration names a `store` elsewhere
//!   tls/                the certificate authority that `init` made
//!   artifacts/          files kept for the grid, by the SHA-256 of their bytes
//!   repository/         the engine's: clone of the central repository and the newest release's files
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nightshift_contract::layout::StateDir;

/// A state folder that is this server's as long as the value lives.
#[derive(Debug)]
pub struct Held {
    root: PathBuf,
    _lock: File,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another server uses it.
    #[error("the state folder {} is in use by another job server; end that one, or give this one its own state_dir", .0.display())]
    InUse(PathBuf),
    /// It cannot be made or written.
    #[error("making the state folder {} ready", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// Takes the state folder at `root`, making it when it is not there.
///
/// # Errors
/// When another server holds it, or it cannot be written.
pub fn hold(root: &Path) -> Result<Held, HoldError> {
    let folder = |source| HoldError::Folder { folder: root.to_owned(), source };
    fs::create_dir_all(root).map_err(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock")).map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => {
            let held = Held { root: root.to_owned(), _lock: lock };
            // The address of a server that runs no more would send people to nobody, or to a stranger.
            match fs::remove_file(held.address()) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => Err(folder(source)),
                _ => Ok(held),
            }
        }
        Err(TryLockError::WouldBlock) => Err(HoldError::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}

impl Held {
    /// The database of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.root.join("nightshift.sqlite")
    }

    /// The file that says where the server listens.
    pub fn address(&self) -> PathBuf {
        self.root.join("address")
    }

    /// The certificate authority's folder.
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The engine's folder.
    pub fn repository(&self) -> StateDir {
        StateDir::new(self.root.join("repository"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_has_one_server_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("state");
        let held = hold(&root).expect("free");
        assert!(matches!(hold(&root), Err(HoldError::InUse(path)) if path == root));
        drop(held);
        hold(&root).expect("free again");
    }
}
