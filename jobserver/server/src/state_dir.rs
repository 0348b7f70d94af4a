//! The job server's state folder: where things stand in it, that one server at a time uses it, and that nobody but its
//! user looks into it.
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

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nightshift_contract::layout::StateDir;

/// A state folder that is this server's as long as the value lives.
#[derive(Debug)]
pub struct Held {
    places: Places,
    _lock: File,
}

/// Where things stand in a state folder, whoever uses it.
#[derive(Debug, Clone)]
pub struct Places {
    root: PathBuf,
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
    keep_to_oneself(root).map_err(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock")).map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => {
            let held = Held { places: Places::of(root), _lock: lock };
            // The address of a server that runs no more would send people to nobody, or to a stranger.
            match fs::remove_file(held.places.address()) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => Err(folder(source)),
                _ => Ok(held),
            }
        }
        Err(TryLockError::WouldBlock) => Err(HoldError::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}

/// Makes the folder as one of this user alone, or closes it to others: records, keys and tokens' hashes are in it.
fn keep_to_oneself(root: &Path) -> io::Result<()> {
    const OWNERS: u32 = 0o700;
    // Folders above it are shared with others.
    root.parent().map_or(Ok(()), fs::create_dir_all)?;
    match DirBuilder::new().mode(OWNERS).create(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let rights = fs::metadata(root)?.permissions().mode() & 0o777;
    if rights & !OWNERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(root, Permissions::from_mode(rights & OWNERS)) {
        // Its owner made it for this server's user, and is the one to close it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!("others may look into {}, and only its owner can change that: chmod 700 it", root.display());
            Ok(())
        }
        closed => closed,
    }
}

impl std::ops::Deref for Held {
    type Target = Places;

    fn deref(&self) -> &Places {
        &self.places
    }
}

impl Places {
    /// In the state folder at `root`.
    pub fn of(root: &Path) -> Places {
        Places { root: root.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

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
    fn nobody_but_its_user_looks_into_a_state_folder_also_one_that_was_open_to_all() {
        let rights = |path: &Path| path.metadata().expect("a folder").permissions().mode() & 0o777;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("grid/state");
        drop(hold(&root).expect("free"));
        assert_eq!(rights(&root), 0o700);
        fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("opened to all");
        drop(hold(&root).expect("free"));
        assert_eq!(rights(&root), 0o700);
    }

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
