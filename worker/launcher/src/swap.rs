//! Replaces a small file as a whole: a reader, or a power cut, finds the old content or the new.
#![allow(clippy::disallowed_methods, reason = "the one file of the launcher that renames")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How much a file matters after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It must be there: file and folder are synced to disk before this returns.
    Durably,
    /// The next cycle writes it again: nothing is synced.
    UntilPowerCut,
}

/// Writes `content` beside `path` (readable by its owner alone) and renames it over `path`.
pub fn replace(path: &Path, content: &[u8], keep: Keep) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    if keep == Keep::Durably {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&beside, path)?;
    if keep == Keep::Durably {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
