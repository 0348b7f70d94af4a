//! Reads git's objects in the person's clone, byte for byte as workers will see them: no filters, no line-end changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use git2::{ObjectType, Odb, Oid, Repository};
use nightshift_manifest::content::{MAX_MANIFEST_BYTES, is_manifest};
use nightshift_manifest::tree::{self, Entry, MAX_DEPTH, MAX_ENTRIES, MODE_FOLDER, TreeError};

/// The objects of a clone.
pub(crate) struct Objects {
    repository: Repository,
}

/// A file tree, every entry known by path, mode and id. Contents stay in the repository.
#[derive(Debug)]
pub(crate) struct Tree {
    entries: Vec<(Entry, Oid)>,
}

impl Objects {
    /// The objects of the clone at `root`.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let repository = Repository::open(root).with_context(|| format!("opening the clone {}", root.display()))?;
        Ok(Self { repository })
    }

    /// The raw bytes of the tag object `id`; `None` when it is another kind of object.
    pub(crate) fn tag(&self, id: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let odb = self.odb()?;
        let object = odb.read(oid(id)?).with_context(|| format!("reading object {id}"))?;
        Ok((object.kind() == ObjectType::Tag).then(|| object.data().to_vec()))
    }

    /// The tree of the commit `id`.
    pub(crate) fn tree_of_commit(&self, id: &str) -> anyhow::Result<Tree> {
        let commit = self.repository.find_commit(oid(id)?).with_context(|| format!("reading commit {id}"))?;
        self.read_tree(commit.tree_id())
    }

    /// The tree `id`.
    pub(crate) fn tree(&self, id: &str) -> anyhow::Result<Tree> {
        self.read_tree(oid(id)?)
    }

    fn read_tree(&self, id: Oid) -> anyhow::Result<Tree> {
        let odb = self.odb()?;
        let mut entries = Vec::new();
        walk(&odb, id, &[], 0, &mut entries)?;
        Ok(Tree { entries })
    }

    /// The contents of the files that [`is_manifest`] names.
    pub(crate) fn manifests(&self, tree: &Tree) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let odb = self.odb()?;
        let mut manifests = BTreeMap::new();
        for (path, entry, id) in tree.files() {
            if is_manifest(path) {
                ensure!(entry.size <= MAX_MANIFEST_BYTES, "{path} is larger than {MAX_MANIFEST_BYTES} bytes");
                manifests.insert(path.to_owned(), odb.read(id).with_context(|| reading(path))?.data().to_vec());
            }
        }
        Ok(manifests)
    }

    /// Writes the files of a tree below `folder`, which is empty. The tree has passed [`Tree::check`].
    pub(crate) fn write_out(&self, tree: &Tree, folder: &Path) -> anyhow::Result<()> {
        let odb = self.odb()?;
        for (path, _, id) in tree.files() {
            let target = folder.join(path);
            let content = odb.read(id).with_context(|| reading(path))?;
            fs::create_dir_all(target.parent().unwrap_or(folder))
                .and_then(|()| fs::write(&target, content.data()))
                .with_context(|| format!("writing {}", target.display()))?;
        }
        Ok(())
    }

    fn odb(&self) -> anyhow::Result<Odb<'_>> {
        self.repository.odb().context("opening the objects of the clone")
    }
}

impl Tree {
    /// Plain files in plain folders, under names that are harmless everywhere?
    pub(crate) fn check(&self) -> Result<(), TreeError> {
        let entries: Vec<Entry> = self.entries.iter().map(|(entry, _)| entry.clone()).collect();
        tree::check_entries(&entries)
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        self.files().map(|(path, _, _)| path.to_owned()).collect()
    }

    fn files(&self) -> impl Iterator<Item = (&str, &Entry, Oid)> {
        self.entries
            .iter()
            .filter(|(entry, _)| entry.mode != MODE_FOLDER)
            .filter_map(|(entry, id)| Some((str::from_utf8(&entry.path).ok()?, entry, *id)))
    }
}

fn walk(odb: &Odb<'_>, id: Oid, folder: &[u8], depth: usize, into: &mut Vec<(Entry, Oid)>) -> anyhow::Result<()> {
    let raw = odb.read(id).with_context(|| format!("reading folder {id}"))?;
    let read = tree::parse(raw.data()).with_context(|| format!("{id} is not a folder as git writes it"))?;
    for entry in read {
        let path = if folder.is_empty() { entry.name.to_vec() } else { [folder, b"/", entry.name].concat() };
        let id = Oid::from_bytes(&entry.id)?;
        let is_folder = entry.mode == MODE_FOLDER;
        // A submodule's commit is not here, and has no size.
        let size = if is_folder { 0 } else { odb.read_header(id).map_or(0, |(size, _)| size as u64) };
        into.push((Entry { path: path.clone(), mode: entry.mode, size }, id));
        // What is beyond the limits is refused by `check`; there is no need to see all of it.
        if is_folder && depth <= MAX_DEPTH && into.len() <= MAX_ENTRIES {
            walk(odb, id, &path, depth + 1, into)?;
        }
    }
    Ok(())
}

fn oid(id: &str) -> anyhow::Result<Oid> {
    Oid::from_str(id).with_context(|| format!("{id} is not an object's name"))
}

fn reading(path: &str) -> String {
    format!("reading {path} in the clone")
}
