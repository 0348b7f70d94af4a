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

use tempfile::TempDir;

use super::{Sandbox, user};

/// How the folders of running programs begin; the number of the process that made it follows.
const PREFIX: &str = "nightshift-plugin-";
/// For everybody: through, but not to be listed.
const THROUGH: u32 = 0o711;

/// The folders of one running program.
pub(crate) struct Place {
    /// The plugin's folder.
    pub(crate) folder: PathBuf,
    /// The data tables, by name.
    pub(crate) tables: BTreeMap<String, PathBuf>,
    /// Where it may write, as it sees it.
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
        let (in_memory, copies) = (sandbox.has_namespaces(), user::is_root());
        let mut place = Place {
            folder: std::path::absolute(folder)?,
            tables: tables.iter().map(|(name, path)| Ok((name.clone(), std::path::absolute(path)?))).collect::<io::Result<_>>()?,
            scratch: PathBuf::from("/tmp"),
            on_disk: None,
            _area: None,
        };
        if in_memory && !copies {
            return Ok(place);
        }
        let area = tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()?;
        if copies {
            fs::set_permissions(area.path(), Permissions::from_mode(THROUGH))?;
            let data = area.path().join("data");
            copy_folder(&place.folder, &area.path().join("plugin"))?;
            fs::create_dir(&data)?;
            fs::set_permissions(&data, Permissions::from_mode(0o755))?;
            for (name, path) in &mut place.tables {
                let copy = data.join(format!("{name}.csv"));
                copy_file(path, &copy)?;
                *path = copy;
            }
            place.folder = area.path().join("plugin");
        }
        if !in_memory {
            place.scratch = area.path().join("scratch");
            fs::create_dir(&place.scratch)?;
            fs::set_permissions(&place.scratch, Permissions::from_mode(0o700))?;
            place.on_disk = Some(place.scratch.clone());
        }
        place._area = Some(area);
        Ok(place)
    }

    /// Everything that the program may read.
    pub(crate) fn readable(&self) -> Vec<PathBuf> {
        std::iter::once(&self.folder).chain(self.tables.values()).cloned().collect()
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let (path, copy, kind) = { let entry = entry?; (entry.path(), to.join(entry.file_name()), entry.file_type()?) };
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
pub(super) fn clear_leftovers() {
    let me = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        let is_ours = entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.uid() == me);
        if maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists()) && is_ours {
            // What cannot be removed is tried again with the next start.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
