//! Small files and the server's data folder, switched: old or new, whole, at every instant of a power cut.
#![allow(clippy::disallowed_methods, reason = "the one file of the crate that renames")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `content` beside `path`, for its owner alone, and renames it over `path`; durable when this returns.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Removes a file, durably; one that is not there is removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(path),
    }
}

/// Moves a folder that was built beside its place to it, with everything in it on the disk.
pub(crate) fn put_folder(built: &Path, place: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(built)?)?;
    fs::rename(built, place)?;
    sync_folder(place)
}

/// Moves a log out of the way; when there is none, nothing happens.
pub(crate) fn set_aside(path: &Path, aside: &Path) -> io::Result<()> {
    match fs::rename(path, aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}
