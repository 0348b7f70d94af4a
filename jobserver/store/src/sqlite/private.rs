//! The database's files are its user's alone: records and results are the company's, and what stands in them is nobody
//! else's business on this machine.
//!
//! SQLite gives its log and index the rights of the database, so that file is made first. Files that an older server left
//! readable are closed when the store is opened.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Rights of the owner alone.
pub(super) const OWNERS: u32 = 0o600;

/// What SQLite puts behind the database's name, and this store its lock; the database itself is first.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// Makes the database's file, when there is none, and takes the rights of others away from every file of it.
pub(super) fn keep(database: &Path) -> io::Result<()> {
    make(database)?;
    for end in BESIDE {
        let mut file = database.as_os_str().to_owned();
        file.push(end);
        close(&PathBuf::from(file))?;
    }
    Ok(())
}

/// Makes a file that is its owner's alone, when there is none.
pub(super) fn make(file: &Path) -> io::Result<()> {
    File::options().create(true).truncate(false).write(true).mode(OWNERS).open(file).map(drop)
}

fn close(file: &Path) -> io::Result<()> {
    let rights = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if rights & !OWNERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(file, Permissions::from_mode(rights & OWNERS)) {
        // A file that somebody else made is theirs to close; the store works all the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!("others may read {}, and only its owner can change that: chmod 600 it", file.display());
            Ok(())
        }
        closed => closed,
    }
}
