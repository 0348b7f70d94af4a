//! `nightshift-jobserver backup`: what cannot be made anew, copied while the server works.
//!
//! ```text
//! FOLDER/
//!   nightshift.sqlite   the store, as it stood at one instant; not where it is a MySQL's
//!   tls/                the certificate authority: without it every worker has to be given another pin
//!   artifacts/          programs of releases
//! ```
//!
//! They stand where they stand in a state folder: a copy of the folder is one. It is there whole, synced, or not at all.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nightshift_store::sqlite::{self, CopyError};

use crate::artifacts::is_name;
use crate::state_dir::Places;
use crate::swap;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something already.
    #[error("{} is there already: name a folder that is not", .0.display())]
    There(PathBuf),
    /// There is nothing to back up.
    #[error("there is no job server's state in {}: name its configuration with --config", .0.display())]
    Nothing(PathBuf),
    /// The store cannot be copied.
    #[error(transparent)]
    Store(#[from] CopyError),
    /// A file cannot be copied.
    #[error("copying {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::File { path: path.to_owned(), source }
}

/// Makes `folder`, and in it a copy of what is in the state folder; of the store only where it is `embedded`. How many bytes.
///
/// # Errors
/// When there is a `folder`, no state, or something cannot be copied; nothing is left then.
pub fn back_up(state: &Places, embedded: bool, folder: &Path) -> Result<u64, BackupError> {
    if folder.symlink_metadata().is_ok() {
        return Err(BackupError::There(folder.to_owned()));
    }
    if !state.root().is_dir() || (embedded && !state.database().is_file()) {
        return Err(BackupError::Nothing(state.root().to_owned()));
    }
    let name = folder.file_name().ok_or_else(|| BackupError::There(folder.to_owned()))?;
    let making = folder.with_file_name(format!(".{}.making", name.to_string_lossy()));
    let made = copy_into(state, embedded, &making);
    let made = made.and_then(|bytes| swap::put_in_place(&making, folder).map(|()| bytes).map_err(at(folder)));
    if made.is_err() {
        let _ = fs::remove_dir_all(&making);
    }
    made
}

fn copy_into(state: &Places, embedded: bool, making: &Path) -> Result<u64, BackupError> {
    // What a backup that was killed left.
    match fs::remove_dir_all(making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(making)(error)),
        _ => make_folder(making)?,
    }
    let copy = Places::of(making);
    let mut bytes = 0;
    if embedded {
        sqlite::copy(&state.database(), &copy.database())?;
        bytes += sync(&copy.database())?;
    }
    bytes += copy_files(&state.tls(), &copy.tls(), |_| true)?;
    // Not those that are arriving.
    bytes += copy_files(&state.artifacts(), &copy.artifacts(), is_name)?;
    sync(making)?;
    Ok(bytes)
}

/// Copies the files of a folder that `wanted` names; a folder that is not there has none.
fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<u64, BackupError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(at(from))?,
    };
    make_folder(to)?;
    let mut bytes = 0;
    for entry in entries {
        let path = entry.map_err(at(from))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| wanted(name)) else { continue };
        let copy = to.join(name);
        match fs::copy(&path, &copy) {
            // It was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            copied => copied.map_err(at(&path))?,
        };
        bytes += sync(&copy)?;
    }
    sync(to)?;
    Ok(bytes)
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(path).map_err(at(path))
}

/// Has a file or folder on the disk; its size.
fn sync(path: &Path) -> Result<u64, BackupError> {
    let file = File::open(path).map_err(at(path))?;
    file.sync_all().map_err(at(path))?;
    Ok(file.metadata().map_err(at(path))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_state_there_is_no_backup_and_nothing_that_is_there_is_written_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, to) = (Places::of(&folder.path().join("state")), folder.path().join("to"));
        assert!(matches!(back_up(&state, true, &to), Err(BackupError::Nothing(_))));
        fs::create_dir(&to).expect("makes");
        assert!(matches!(back_up(&state, true, &to), Err(BackupError::There(path)) if path == to));
    }

    #[test]
    fn a_backup_that_fails_leaves_nothing_and_one_that_was_killed_is_begun_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (state, to) = (Places::of(&folder.path().join("state")), folder.path().join("to"));
        fs::create_dir_all(state.tls()).expect("makes");
        fs::write(state.tls().join("ca.key"), "key").expect("writes");
        fs::write(state.database(), "no database, but as long as one that is none has to be to be looked at")
            .expect("writes");
        assert!(matches!(back_up(&state, true, &to), Err(BackupError::Store(_))));
        let left = |folder: &Path| fs::read_dir(folder).expect("reads").count();
        assert_eq!(left(folder.path()), 1, "the state alone");

        fs::create_dir_all(folder.path().join(".to.making/tls")).expect("makes");
        fs::create_dir(state.artifacts()).expect("makes");
        fs::write(state.artifacts().join(".arriving-1"), "part").expect("writes");
        fs::write(state.artifacts().join("0".repeat(64)), "whole").expect("writes");
        assert_eq!(back_up(&state, false, &to).expect("backs up"), 8);
        assert_eq!((left(&to), left(&to.join("tls")), left(&to.join("artifacts"))), (2, 1, 1));
    }
}
