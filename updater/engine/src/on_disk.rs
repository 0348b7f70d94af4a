//! A central repository that is read as files (`file://`): its refs listed, what they name copied into the clone.
//!
//! libgit2's own way of fetching from files reads everything that any ref names, so that one broken tag would make the
//! stop flag and every release unreadable, and it cannot say whose disk is at fault. Here only what is wanted is read,
//! and a fault belongs to one side ([`Fault`]). What is copied arrives in one pack, whole or not at all.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};
use nightshift_manifest::tree;

use crate::git::RemoteRef;
use crate::reach::{Budget, Limit, Over};

/// An entry of a tree that names a commit of another repository, which nobody has.
const MODE_SUBMODULE: u32 = 0o160_000;

/// A tag, commit or folder larger than this is copied without what it names.
const MAX_READ: usize = 64 << 20;

/// Whose fault it is that something could not be copied.
pub(crate) enum Fault {
    /// The central repository cannot be read.
    There(git2::Error),
    /// The clone cannot be written.
    Here(git2::Error),
}

/// A central repository on a disk of this machine, or on one that looks like it.
pub(crate) struct OnDisk {
    central: Repository,
}

/// The folder a `file://` address names; `None` for any other address.
pub(crate) fn folder(url: &str) -> Option<PathBuf> {
    let mut rest = url.strip_prefix("file://").filter(|path| path.starts_with('/'))?.as_bytes();
    let mut path = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let coded = after.get(..2).filter(|_| byte == b'%').and_then(|hex| str::from_utf8(hex).ok());
        match coded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &after[2..];
            }
            None => {
                path.push(byte);
                rest = after;
            }
        }
    }
    Some(OsString::from_vec(path).into())
}

impl OnDisk {
    /// The repository in `folder`.
    pub(crate) fn open(folder: PathBuf) -> Result<OnDisk, git2::Error> {
        Ok(OnDisk { central: Repository::open(folder)? })
    }

    /// Its refs. What they name is not looked at.
    pub(crate) fn refs(&self) -> Result<Vec<RemoteRef>, git2::Error> {
        let mut refs = Vec::new();
        for found in self.central.references()? {
            let found = found?;
            // A symbolic ref that leads nowhere names nothing.
            if let Some(id) = found.resolve().ok().and_then(|resolved| resolved.target()) {
                refs.push(RemoteRef { name: String::from_utf8_lossy(found.name_bytes()).into_owned(), id });
            }
        }
        Ok(refs)
    }

    /// The branch its HEAD names, `refs/heads/NAME`.
    pub(crate) fn default_branch(&self) -> Option<String> {
        let head = self.central.find_reference("HEAD").ok()?;
        Some(String::from_utf8_lossy(head.symbolic_target_bytes()?).into_owned())
    }

    /// Copies refs into refs of the same name, with everything they name. One that is no longer there is left out.
    /// Ends when it is more than `limit` allows, and says so in `over`.
    pub(crate) fn copy(&self, refs: &[String], clone: &Repository, limit: Limit, over: &Over) -> Result<(), Fault> {
        let mut wanted = Vec::new();
        for name in refs {
            match self.central.refname_to_id(name) {
                Ok(id) => wanted.push((name, id)),
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) => return Err(Fault::There(error)),
            }
        }
        self.copy_objects(wanted.iter().map(|(_, id)| *id).collect(), clone, limit, over)?;
        for (name, id) in wanted {
            clone.reference(name, id, true, "copied").map_err(Fault::Here)?;
        }
        Ok(())
    }

    /// Copies these objects and what they name. Where the clone has an object it has everything below it, too.
    fn copy_objects(&self, mut wanted: Vec<Oid>, clone: &Repository, limit: Limit, over: &Over) -> Result<(), Fault> {
        let there = self.central.odb().map_err(Fault::There)?;
        let here = clone.odb().map_err(Fault::Here)?;
        let mut pack = self.central.packbuilder().map_err(Fault::There)?;
        pack.set_threads(0);
        let mut seen = HashSet::new();
        while let Some(id) = wanted.pop() {
            if !seen.insert(id) || here.exists(id) {
                continue;
            }
            pack.insert_object(id, None).map_err(Fault::There)?;
            let (size, kind) = there.read_header(id).map_err(Fault::There)?;
            if kind != ObjectType::Blob && size > MAX_READ {
                // Whoever judges it refuses it by its size.
                continue;
            }
            if kind != ObjectType::Blob {
                let object = there.read(id).map_err(Fault::There)?;
                wanted.extend(named_by(kind, object.data()));
            }
        }
        if pack.object_count() == 0 {
            return Ok(());
        }
        let mut writer = here.packwriter().map_err(Fault::Here)?;
        let mut broken = None;
        let mut budget = Budget::begin(limit, over);
        let read = pack.foreach(|bytes| match writer.write_all(bytes) {
            Ok(()) => budget.spend(bytes.len()),
            Err(error) => {
                broken = Some(git2::Error::new(ErrorCode::GenericError, ErrorClass::Os, error.to_string()));
                false
            }
        });
        match (broken, read) {
            (Some(error), _) => Err(Fault::Here(error)),
            (None, Err(error)) => Err(Fault::There(error)),
            (None, Ok(())) => writer.commit().map(drop).map_err(Fault::Here),
        }
    }
}

/// The objects that a release needs of those this one names: a commit's history is not among them. An object that is
/// not written as git writes it names nothing; whoever judges it refuses it.
fn named_by(kind: ObjectType, raw: &[u8]) -> Vec<Oid> {
    let first_line = |word: &str| {
        let id = raw.strip_prefix(word.as_bytes()).and_then(|rest| str::from_utf8(rest.get(..40)?).ok());
        id.and_then(|id| Oid::from_str(id).ok()).into_iter().collect()
    };
    match kind {
        ObjectType::Tag => first_line("object "),
        ObjectType::Commit => first_line("tree "),
        ObjectType::Tree => {
            let entries = tree::parse_loosely(raw).unwrap_or_default();
            let inside = entries.iter().filter(|entry| entry.mode != MODE_SUBMODULE);
            inside.filter_map(|entry| Oid::from_bytes(&entry.id).ok()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_address_names_a_folder_and_others_do_not() {
        assert_eq!(folder("file:///srv/my%20grid/100%/x.git"), Some("/srv/my grid/100%/x.git".into()));
        assert_eq!(folder("file://host/x.git"), None);
        assert_eq!(folder("git://host/x.git"), None);
    }
}
