//! Slots: one immutable folder per release, `slots/vX.Y.Z-IDPREFIX/`, its files under `tree/`, its programs, where it
//! brings some, under `bin/`; beside them `slot.json`, which says what it is, and the signed tag and the commit as git has
//! them, which prove it ([`crate::safe_mode`]).
//!
//! A slot is built beside its place and moved there when all of it is on the disk, so a slot that is there is whole.
//! Files are written read-only and never changed. [`tree_id`] hashes a folder the way git hashes a tree: one wrong bit,
//! one file too many or too few gives another id than the signed one.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use nightshift_contract::layout::StateDir;
use nightshift_manifest::binaries::Wanted;
use nightshift_manifest::tree::{self, RawEntry};
use nightshift_manifest::trust::InForce;
use nightshift_manifest::version::ReleaseVersion;

use crate::binaries::{self, FetchError};
use crate::git::{CloneDamage, GitError, LocalClone};
use crate::steps::{self, Step};
use crate::swap;

const STAGING: &str = ".staging-";

/// What the slot is, as [`InForce`].
pub(crate) const RECORD: &str = "slot.json";
/// The raw tag object.
pub(crate) const TAG: &str = "tag";
/// The raw commit object.
pub(crate) const COMMIT: &str = "commit";

/// Why a slot cannot be staged or used.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// It cannot be written or read: a full disk, wrong permissions.
    #[error("{doing} {path}: check that the disk is not full and the state folder belongs to this user")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The slot or a file in it.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The files are not the signed ones, and nothing was done about it.
    #[error("checking {path}: its files are not the ones that were signed")]
    NotAsSigned {
        /// The slot.
        path: PathBuf,
    },
    /// The same, after they were staged again.
    #[error(
        "checking {path}: its files are not the ones that were signed, also after staging them again; check the disk"
    )]
    Damaged {
        /// The slot.
        path: PathBuf,
    },
    /// Its programs could not be fetched. Nothing is wrong with the release.
    #[error(transparent)]
    Programs(#[from] FetchError),
    /// The files could not be read again from the repository.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl CloneDamage for SlotError {
    fn is_clone_damage(&self) -> bool {
        matches!(self, SlotError::Git(error) if error.is_clone_damage())
    }
}

/// A file of a release and where its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct StagedFile {
    pub(crate) path: String,
    pub(crate) program: bool,
    pub(crate) size: u64,
    pub(crate) id: Oid,
}

/// The programs that belong into a slot.
pub(crate) struct Programs<'p> {
    /// Which.
    pub(crate) wanted: &'p Wanted,
    /// Puts them into a folder.
    pub(crate) fetch: &'p dyn Fn(&Path) -> Result<(), FetchError>,
}

/// The name of a release's slot.
pub(crate) fn name(version: ReleaseVersion, tag_id: &str) -> String {
    format!("{}-{}", version.tag(), tag_id.get(..12).unwrap_or(tag_id))
}

/// Builds a slot and moves it to its place. A good one that is already there stays; a damaged one is replaced.
pub(crate) fn stage(
    state: &StateDir,
    clone: &LocalClone,
    release: &InForce,
    files: &[StagedFile],
    programs: &Programs<'_>,
) -> Result<(), SlotError> {
    let place = state.slots().join(&release.slot);
    if is_good(&place, &release.tree) && has_programs(&place, programs.wanted) {
        steps::done(Step::Staged);
        return Ok(());
    }
    let staging = state.slots().join(format!("{STAGING}{}", release.slot));
    remove(&staging).map_err(writing(&staging))?;
    check_room(&staging, files).map_err(writing(&staging))?;
    let built = build(clone, release, (files, programs), &staging, &place);
    if built.is_err() {
        // What does not fit must not take the room of the jobs in hand.
        let _ = remove(&staging);
    }
    built
}

fn build(
    clone: &LocalClone,
    release: &InForce,
    (files, programs): (&[StagedFile], &Programs<'_>),
    staging: &Path,
    place: &Path,
) -> Result<(), SlotError> {
    write_files(clone, files, &staging.join("tree"))?;
    if !programs.wanted.is_empty() {
        (programs.fetch)(&staging.join("bin"))?;
    }
    let described = serde_json::to_vec_pretty(release).map_err(io::Error::other);
    described.and_then(|text| fs::write(staging.join(RECORD), text)).map_err(writing(staging))?;
    for (file, id) in [(TAG, &release.tag_id), (COMMIT, &release.commit)] {
        let id = Oid::from_str(id).map_err(|_| SlotError::Damaged { path: staging.to_owned() })?;
        fs::write(staging.join(file), clone.read(id)?.1).map_err(writing(staging))?;
    }

    if !is_good(staging, &release.tree) || !has_programs(staging, programs.wanted) {
        return Err(SlotError::Damaged { path: staging.to_owned() });
    }
    remove(place).map_err(writing(place))?;
    swap::put_folder(staging, place).map_err(writing(place))?;
    steps::done(Step::Staged);
    Ok(())
}

/// Whether the files fit the disk, before any of them is written: a release that does not fit would fill the disk anew at
/// every look.
fn check_room(staging: &Path, files: &[StagedFile]) -> io::Result<()> {
    const BLOCK: u64 = 4096;
    let slots = staging.parent().unwrap_or(staging);
    fs::create_dir_all(slots)?;
    let disk = rustix::fs::statvfs(slots)?;
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed: u64 = files.iter().map(|file| file.size.next_multiple_of(BLOCK)).sum();
    if needed < room {
        return Ok(());
    }
    let found = format!("it needs {} MiB and the disk has {} MiB left", needed >> 20, room >> 20);
    Err(io::Error::new(io::ErrorKind::StorageFull, found))
}

/// Writes the files of a release below `folder`.
pub(crate) fn write_files(clone: &LocalClone, files: &[StagedFile], folder: &Path) -> Result<(), SlotError> {
    fs::create_dir_all(folder).map_err(writing(folder))?;
    for file in files {
        let (_, bytes) = clone.read(file.id)?;
        let path = folder.join(&file.path);
        write_file(&path, &bytes, file.program).map_err(writing(&path))?;
    }
    Ok(())
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> SlotError {
    let path = path.to_owned();
    |source| SlotError::File { doing: "staging", path, source }
}

/// Whether the slot's files hash to the signed tree.
pub(crate) fn is_good(slot: &Path, tree: &str) -> bool {
    tree_id(&slot.join("tree")).is_ok_and(|id| id.to_string() == tree)
}

/// What the slot says it is; `None` when it does not say.
pub(crate) fn record(slot: &Path) -> Option<InForce> {
    serde_json::from_slice(&fs::read(slot.join(RECORD)).ok()?).ok()
}

/// Whether these programs are in the slot, byte for byte, and no others: boot runs what is called like a launcher.
pub(crate) fn has_programs(slot: &Path, wanted: &Wanted) -> bool {
    let is_wanted = |name: &OsStr| wanted.iter().any(|binary| name == binary.program.file_name());
    let mut there = fs::read_dir(slot.join("bin")).into_iter().flatten();
    there.all(|entry| entry.is_ok_and(|entry| is_wanted(&entry.file_name())))
        && wanted.iter().all(|binary| binaries::is_it(&slot.join("bin").join(binary.program.file_name()), binary))
}

/// Removes slots that are not among those to keep, and what killed processes left of others.
pub(crate) fn sweep(state: &StateDir, keep: &[&OsStr]) {
    for entry in fs::read_dir(state.slots()).into_iter().flatten().flatten() {
        if !keep.contains(&entry.file_name().as_os_str())
            && let Err(error) = remove(&entry.path())
        {
            tracing::warn!(%error, "removing the old slot {}", entry.path().display());
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_file(path: &Path, bytes: &[u8], program: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if program { 0o555 } else { 0o444 };
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
}

/// The id git gives the tree of this folder. Anything but files and folders is an error.
fn tree_id(folder: &Path) -> io::Result<Oid> {
    let mut children = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (mode, id) = if metadata.is_dir() {
            (tree::MODE_FOLDER, tree_id(&entry.path())?)
        } else if metadata.is_file() {
            let mode = if metadata.permissions().mode() & 0o100 == 0 { tree::MODE_FILE } else { tree::MODE_PROGRAM };
            (mode, Oid::hash_file(ObjectType::Blob, entry.path()).map_err(io::Error::other)?)
        } else {
            return Err(io::Error::other("neither a file nor a folder"));
        };
        children.push((mode, entry.file_name(), id));
    }
    let entries = children.iter().map(|(mode, name, id)| {
        let id = id.as_bytes().try_into().map_err(io::Error::other)?;
        Ok(RawEntry { mode: *mode, name: name.as_bytes(), id })
    });
    let raw = tree::encode(entries.collect::<io::Result<_>>()?);
    Oid::hash_object(ObjectType::Tree, &raw).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_does_not_fit_the_disk_is_not_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let staging = folder.path().join("slots/.staging-v1.5.0");
        let file = |size| StagedFile { path: "data/x".into(), program: false, size, id: Oid::ZERO_SHA1 };
        check_room(&staging, &[file(1)]).expect("a byte fits");
        let error = check_room(&staging, &[file(1), file(1 << 60)]).expect_err("an exbibyte does not");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("MiB left"), "{error}");
    }
}
