//! Replaces a small file whole: written beside it, synced, renamed over it, the folder synced. A reader sees the old
//! content or the new, never a part. Or gives a file that is synced already its name.
#![allow(clippy::disallowed_methods, reason = "this is the crate's one rename")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `content` to `path`.
///
/// # Errors
/// What the file system says.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

/// Gives the file at `from`, which is synced, the name `to` in the same folder.
///
/// # Errors
/// What the file system says.
pub fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    fs::rename(from, to)?;
    File::open(folder)?.sync_all()
}
