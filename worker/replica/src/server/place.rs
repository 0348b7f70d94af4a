//! Where things of the worker's own server stand, in the folder `replica/` of its state folder.
//!
//! ```text
//! replica/                   (0700)
//!   data/                    the server's data folder
//!   data.new/                one that is being made
//!   rebuild.json             a rebuild is under way: whatever is in data/ is no data
//!   copied.json              what of which primary is in data/
//!   owner                    the worker whose server this is
//!   renewed                  how often it needed another number than the worker's own
//!   pointed                  the way to the primary that it was told, as a digest
//!   server.lock              kernel lock of the server that runs; its process number
//!   running                  what the server that runs was started with, as a digest
//!   socket, server.pid       the server's own
//!   init.sql                 what the server does before it answers (0600)
//!   keeper.password          of the account that looks and heals (0600)
//!   reader.password          of the account that plugins read by (0600)
//!   primary-ca.pem           whom the primary's certificate has to be signed by
//!   tmp/                     the server's temporary tables, its alone
//!   server.log, server.log.1 what it says
//! ```

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Who may look into it.
const OWNERS_ALONE: u32 = 0o700;
/// The longest path that a socket can have, in bytes.
pub(crate) const LONGEST_SOCKET: usize = 107;

/// The folder of a worker's own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Place {
    /// The server's folder at `root`, an absolute path; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Place {
        Place(root.into())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Makes the folder, for its owner alone. One that was made for others to look into is closed.
    ///
    /// # Errors
    /// When it cannot be made, or is somebody else's.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(OWNERS_ALONE).create(&self.0)?;
        match fs::metadata(&self.0)?.permissions().mode() & 0o777 {
            OWNERS_ALONE => Ok(()),
            _ => fs::set_permissions(&self.0, Permissions::from_mode(OWNERS_ALONE)),
        }
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The way to the server.
    pub fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// MySQL's own, with the number of the process that has the socket.
    pub(crate) fn socket_lock(&self) -> PathBuf {
        self.0.join("socket.lock")
    }

    /// What the server says.
    pub fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    /// The password of the account that plugins read by.
    pub fn reader_password(&self) -> PathBuf {
        self.0.join("reader.password")
    }

    /// The password of the account that looks and heals.
    pub fn keeper_password(&self) -> PathBuf {
        self.0.join("keeper.password")
    }

    /// The note that a rebuild is under way.
    pub fn marker(&self) -> PathBuf {
        self.0.join("rebuild.json")
    }

    pub(crate) fn data_being_made(&self) -> PathBuf {
        self.0.join("data.new")
    }

    pub(crate) fn copied(&self) -> PathBuf {
        self.0.join("copied.json")
    }

    pub(crate) fn owner(&self) -> PathBuf {
        self.0.join("owner")
    }

    pub(crate) fn renewed(&self) -> PathBuf {
        self.0.join("renewed")
    }

    pub(crate) fn pointed(&self) -> PathBuf {
        self.0.join("pointed")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("server.lock")
    }

    pub(crate) fn running(&self) -> PathBuf {
        self.0.join("running")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.0.join("server.pid")
    }

    pub(crate) fn init(&self) -> PathBuf {
        self.0.join("init.sql")
    }

    /// The bytes that are free where it is; `None` where nobody can say.
    pub fn free(&self) -> Option<u64> {
        let there = self.0.ancestors().find(|folder| folder.exists())?;
        let disk = rustix::fs::statvfs(there).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// The certificates of whoever signed the primary's.
    pub fn authority(&self) -> PathBuf {
        self.0.join("primary-ca.pem")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(crate) fn log_before(&self) -> PathBuf {
        self.0.join("server.log.1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_its_owners_alone_also_when_it_was_there_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(folder.path().join("state/replica"));
        let mode = || fs::metadata(place.root()).expect("it is there").permissions().mode() & 0o777;
        place.make().expect("made");
        assert_eq!(mode(), 0o700);
        fs::set_permissions(place.root(), Permissions::from_mode(0o755)).expect("opened");
        place.make().expect("closed again");
        assert_eq!(mode(), 0o700);
    }
}
