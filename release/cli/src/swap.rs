//! Puts a finished folder in its place: it is built beside it, and one rename makes it visible.
#![allow(clippy::disallowed_methods, reason = "this file is where finished things are renamed into place")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Makes the finished folder `built` appear as `target`. An existing, empty `target` is kept and filled entry by entry,
/// because a person may stand in it; when that fails half-way, what was moved is moved back.
pub(crate) fn publish_folder(built: &Path, target: &Path) -> anyhow::Result<()> {
    let what = || format!("moving the finished folder to {}", target.display());
    if !target.exists() {
        return fs::rename(built, target).with_context(what);
    }
    let entries: Vec<_> = fs::read_dir(built).and_then(Iterator::collect).with_context(what)?;
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    for entry in entries {
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        if let Err(error) = fs::rename(&from, &to) {
            for (from, to) in moved {
                // The first error is the one that is told.
                let _ = fs::rename(to, from);
            }
            return Err(error).with_context(what);
        }
        moved.push((from, to));
    }
    Ok(())
}

/// Puts a finished file in the place of another, whole.
pub(crate) fn replace_file(built: &Path, target: &Path) -> anyhow::Result<()> {
    fs::rename(built, target).with_context(|| format!("moving the finished file to {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_appears_whole_and_an_empty_one_is_filled() {
        let area = tempfile::tempdir().expect("folder");
        for (name, exists) in [("new", false), ("empty", true)] {
            let built = area.path().join("built");
            fs::create_dir_all(built.join("sub")).expect("built");
            let target = area.path().join(name);
            if exists {
                fs::create_dir(&target).expect("empty");
            }
            publish_folder(&built, &target).expect("published");
            assert!(target.join("sub").is_dir(), "{name}");
            let _ = fs::remove_dir(&built);
        }
    }
}
