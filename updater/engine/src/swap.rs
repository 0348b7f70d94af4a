//! Files and folders that are switched: old or new, whole, at every instant of a power cut.
#![allow(clippy::disallowed_methods, reason = "renames happen here, after what they bring in is on the disk")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::steps::{self, Instant};

/// Replaces a file: writes beside it, syncs, renames, syncs the folder.
pub(crate) fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_whole(path, content)?;
    sync_folder(parent(path))
}

/// Replaces a file that can be made again from others: after a power cut it is the old one or the new one, whole.
pub(crate) fn replace_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    steps::at(Instant::FileSynced(&beside));
    fs::rename(&beside, path)
}

/// Replaces a file whose loss in a power cut does no harm: readers see old or new, the disk perhaps neither.
pub(crate) fn replace_lightly(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    fs::write(&beside, content)?;
    fs::rename(&beside, path)
}

/// Moves a folder that was built beside its place to it. Everything in it reaches the disk first, with one sync of the
/// file system instead of one for each file.
pub(crate) fn put_folder(built: &Path, place: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(built)?)?;
    steps::at(Instant::AllSynced(built));
    fs::rename(built, place)?;
    sync_folder(parent(place))
}

/// Points a symbolic link elsewhere. It can be made again: after a power cut it is the old one or the new one.
pub(crate) fn repoint(link: &Path, target: &Path) -> io::Result<()> {
    let beside = beside(link);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(target, &beside)?,
    }
    fs::rename(&beside, link)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    steps::at(Instant::FolderSynced(folder));
    Ok(())
}

/// One fixed name, so that a kill leaves at most one such file, and the next write uses it again.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    parent(path).join(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_also_after_a_kill_left_half_of_one_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trust.json");
        fs::write(folder.path().join(".trust.json.new"), "half of a muc").expect("left behind");
        replace_durably(&path, b"one").expect("written");
        replace_durably(&path, b"two").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        replace_lightly(&path, b"three").expect("written");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_link_is_repointed_also_after_a_kill_left_one_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("in-force");
        symlink("half", folder.path().join(".in-force.new")).expect("left behind");
        repoint(&link, Path::new("slots/a")).expect("pointed");
        repoint(&link, Path::new("slots/b")).expect("pointed");
        assert_eq!(fs::read_link(&link).expect("a link"), Path::new("slots/b"));
    }
}
