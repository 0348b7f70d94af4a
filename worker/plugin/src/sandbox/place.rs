//! The folders a program sees: its plugin's, its data tables and one to write to.
//!
//! A worker's files are readable for the worker alone. A program that runs as the worker's user, in a view of its own or behind
//! landlock, gets them as they are. One that runs as another user (the worker was started as root) gets copies, which are
//! root's, so that nothing on the way to the originals has to be opened for others. All of it is removed with the program.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nightshift_contract::layout::PLUGIN_PLACE;
use tempfile::TempDir;

use super::{Sandbox, Shown, user};

/// For everybody: through, but not to be listed.
const THROUGH: u32 = 0o711;

/// The folders of one running program, as it sees them.
pub(crate) struct Place {
    /// The plugin's folder.
    pub(crate) folder: PathBuf,
    /// The data tables, by name.
    pub(crate) tables: BTreeMap<String, PathBuf>,
    /// Everything that it may read.
    pub(crate) readable: Vec<Shown>,
    /// Where it may write.
    pub(crate) scratch: PathBuf,
    /// The same, where it is a folder of the machine's.
    pub(crate) on_disk: Option<PathBuf>,
    _area: Option<TempDir>,
}

impl Place {
    /// Prepares the place of a program whose plugin is in `folder` and reads `tables`.
    ///
    /// # Errors
    /// When a folder cannot be made, or a file not copied.
    pub(crate) fn prepare(sandbox: &Sandbox, folder: &Path, tables: &BTreeMap<String, PathBuf>) -> io::Result<Place> {
        let (has_view, copies) = (sandbox.has_namespaces(), user::is_root());
        let absolute = |(name, path): (&String, &PathBuf)| Ok((name.clone(), std::path::absolute(path)?));
        let mut place = Place {
            folder: std::path::absolute(folder)?,
            tables: tables.iter().map(absolute).collect::<io::Result<_>>()?,
            readable: Vec::new(),
            scratch: PathBuf::from("/tmp"),
            on_disk: None,
            _area: None,
        };
        if has_view && !copies {
            place.readable = place.paths().cloned().map(Shown::there).collect();
            return Ok(place);
        }
        let area = tempfile::Builder::new().prefix(&format!("{PLUGIN_PLACE}{}-", std::process::id())).tempdir()?;
        if copies {
            let originals: Vec<PathBuf> = place.paths().cloned().collect();
            let copied = copy_all(area.path(), &place)?;
            match has_view {
                // In a view of its own the copies stand where the originals do.
                true => {
                    let pairs = copied.paths().cloned().zip(originals);
                    place.readable = pairs.map(|(from, at)| Shown { from, at }).collect();
                }
                false => place = copied,
            }
        }
        if !has_view {
            let scratch = area.path().join("scratch");
            make_folder(&scratch, 0o700)?;
            place.readable = place.paths().cloned().map(Shown::there).collect();
            place.scratch = scratch.clone();
            place.on_disk = Some(scratch);
        }
        place._area = Some(area);
        Ok(place)
    }

    /// The plugin's folder and its tables.
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.folder).chain(self.tables.values())
    }
}

/// The place with copies of its folder and tables in `area`.
fn copy_all(area: &Path, place: &Place) -> io::Result<Place> {
    fs::set_permissions(area, Permissions::from_mode(THROUGH))?;
    let (folder, data) = (area.join("plugin"), area.join("data"));
    copy_folder(&place.folder, &folder)?;
    make_folder(&data, 0o755)?;
    let mut tables = BTreeMap::new();
    for (name, path) in &place.tables {
        let copy = data.join(format!("{name}.csv"));
        copy_file(path, &copy)?;
        tables.insert(name.clone(), copy);
    }
    let scratch = place.scratch.clone();
    Ok(Place { folder, tables, readable: Vec::new(), scratch, on_disk: None, _area: None })
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    // Whatever the umask takes away.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    make_folder(to, 0o755)?;
    for entry in fs::read_dir(from)? {
        let (path, copy, kind) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()), entry.file_type()?)
        };
        match kind {
            kind if kind.is_dir() => copy_folder(&path, &copy)?,
            kind if kind.is_symlink() => symlink(fs::read_link(&path)?, &copy)?,
            kind if kind.is_file() => copy_file(&path, &copy)?,
            // Nothing else is in a release.
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let is_program = fs::metadata(from)?.mode() & 0o111 != 0;
    fs::set_permissions(to, Permissions::from_mode(if is_program { 0o555 } else { 0o444 }))
}

/// Removes what workers left behind that were killed before they could.
pub(super) fn clear_leftovers(temporary: &Path) {
    let me = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker =
            name.to_str().and_then(|name| name.strip_prefix(PLUGIN_PLACE)?.split('-').next()?.parse::<u32>().ok());
        let is_ours = entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.uid() == me);
        if maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists()) && is_ours {
            // What cannot be removed is tried again with the next start.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_processes_that_are_gone_are_removed_and_no_others() {
        let temporary = tempfile::tempdir().expect("a folder");
        // Numbers of processes end at four millions.
        let dead = format!("{PLUGIN_PLACE}4194305-a");
        let others =
            [format!("{PLUGIN_PLACE}{}-a", std::process::id()), format!("{PLUGIN_PLACE}x-a"), "others-7-a".into()];
        for name in others.iter().chain([&dead]) {
            fs::create_dir_all(temporary.path().join(name).join("scratch/deep")).expect("a folder");
        }
        symlink(temporary.path().join(&others[0]), temporary.path().join(format!("{dead}-link"))).expect("a link");
        clear_leftovers(temporary.path());
        assert!(!temporary.path().join(dead).exists());
        for name in others {
            assert!(temporary.path().join(&name).join("scratch/deep").exists(), "{name}");
        }
    }
}
