//! What stands in the tree of a signed tag: every file of it, and the ones that say what kind of release it is.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid};
use nightshift_manifest::content;
use nightshift_manifest::tag::VerifiedTag;
use nightshift_manifest::tree::{self, TreeError};

use crate::git::{GitError, LocalClone};
use crate::look::tree_of_commit;
use crate::slot::StagedFile;

/// The tree of the commit a tag names; `None` when it names none.
pub(crate) fn root_of(clone: &LocalClone, tag: &VerifiedTag) -> Result<Option<Oid>, GitError> {
    match Oid::from_str(&tag.commit) {
        Ok(commit) => tree_of_commit(clone, commit),
        Err(_) => Ok(None),
    }
}

pub(crate) type Walked = Result<(BTreeSet<String>, Vec<StagedFile>), TreeError>;

/// All files under a tree, checked. Stops early at a tree without measure.
pub(crate) fn walk(clone: &LocalClone, root: Oid) -> Result<Walked, GitError> {
    let mut entries: Vec<tree::Entry> = Vec::new();
    let mut ids = Vec::new();
    let mut folders = vec![(Vec::new(), root)];
    while let Some((folder, id)) = folders.pop() {
        let (kind, size) = clone.size(id)?;
        if let Err(error) = tree::check_folder(&folder, size) {
            return Ok(Err(error));
        }
        let (_, raw) = clone.read(id)?;
        let Some(children) = tree::parse(&raw).filter(|_| kind == ObjectType::Tree) else {
            return Ok(Err(TreeError::new(&folder, "is not a folder as git writes it")));
        };
        for child in children {
            let path = if folder.is_empty() { child.name.to_vec() } else { [&folder, &b"/"[..], child.name].concat() };
            let Ok(id) = Oid::from_bytes(&child.id) else { continue };
            let size = match child.mode {
                tree::MODE_FILE | tree::MODE_PROGRAM => match clone.size(id)? {
                    (ObjectType::Blob, size) => size,
                    _ => return Ok(Err(TreeError::new(&path, "says that it is a file and is none"))),
                },
                tree::MODE_FOLDER => {
                    folders.push((path.clone(), id));
                    0
                }
                _ => 0,
            };
            entries.push(tree::Entry { path, mode: child.mode, size });
            ids.push(id);
        }
        if entries.len() > tree::MAX_ENTRIES {
            break;
        }
    }
    if let Err(error) = tree::check_entries(&entries) {
        return Ok(Err(error));
    }
    let files: Vec<StagedFile> = entries
        .into_iter()
        .zip(ids)
        .filter(|(entry, _)| entry.mode != tree::MODE_FOLDER)
        .map(|(entry, id)| StagedFile {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            program: entry.mode == tree::MODE_PROGRAM,
            size: entry.size,
            id,
        })
        .collect();
    Ok(Ok((files.iter().map(|file| file.path.clone()).collect(), files)))
}

pub(crate) type Manifests = Result<BTreeMap<String, Vec<u8>>, TreeError>;

/// The content of the files that say what a release is.
pub(crate) fn read_manifests(clone: &LocalClone, files: &[StagedFile]) -> Result<Manifests, GitError> {
    let mut manifests = BTreeMap::new();
    for file in files.iter().filter(|file| content::is_manifest(&file.path)) {
        if clone.size(file.id)?.1 > content::MAX_MANIFEST_BYTES {
            let problem = format!("is larger than {} KiB", content::MAX_MANIFEST_BYTES >> 10);
            return Ok(Err(TreeError::new(file.path.as_bytes(), problem)));
        }
        manifests.insert(file.path.clone(), clone.read(file.id)?.1);
    }
    Ok(Ok(manifests))
}
