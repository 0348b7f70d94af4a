//! What the next release would be: the work folder as it would be committed now, and how it differs from the last release.
//!
//! Files that git knows count as they stand. New files count in the places that releases are made of; elsewhere (a batch's
//! CSV beside them, say) they stay out until the person does `git add`, or records would travel to every worker.
//! Nothing the person has is touched: the tree is built through an index of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::binaries::BINARIES_FILE;

use crate::grid_clone::GridClone;

/// Git's name of the tree without files.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Where new files belong to a release without being asked for: what workers and release managers read.
const PARTS: [&str; 5] = [SETTINGS_FILE, "plugins", "data", "keys", BINARIES_FILE];

/// The next release's tree.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Git's name of the tree.
    pub(crate) tree: String,
    /// The commit that is checked out; the release's commit, when nothing is uncommitted.
    pub(crate) head: String,
    /// Changes that are not committed yet.
    pub(crate) uncommitted: Vec<Change>,
    /// New files and folders that stay out.
    pub(crate) left_out: Vec<String>,
}

/// A file that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// What happened to it: new, changed, removed.
    pub(crate) kind: &'static str,
    /// Its path.
    pub(crate) path: String,
}

impl Candidate {
    /// The work folder as it stands, with `binaries` as the text of its release.toml where there is one.
    pub(crate) fn of(clone: &GridClone, binaries: Option<&str>) -> anyhow::Result<Self> {
        let git = &clone.git;
        let head = git.run(&["rev-parse", "--verify", "HEAD^{commit}"]).context("looking for the last commit")?;
        let area = tempfile::tempdir().context("making a temporary folder")?;
        let index = area.path().join("index");
        let own_index = clone.root.join(git.run(&["rev-parse", "--git-path", "index"])?);
        if own_index.exists() {
            // It holds what the person did `git add` for, and git need not read again what it knows.
            copy_index(&own_index, &index).with_context(|| format!("copying {}", own_index.display()))?;
        }
        let reading = "reading the work folder";
        git.run_with_index(&index, &["add", "--update", "."]).context(reading)?;
        let others = ["ls-files", "--others", "--directory", "--no-empty-directory", "--exclude-standard", "-z"];
        let (parts, left_out) = sort_new(&git.run_with_index(&index, &others).context(reading)?);
        if !parts.is_empty() {
            let add: Vec<&str> = ["add", "--all", "--"].into_iter().chain(parts).collect();
            git.run_with_index(&index, &add).context(reading)?;
        }
        if let Some(text) = binaries {
            let blob = git.run_with_input(&["hash-object", "-w", "--stdin"], text.as_bytes()).context(reading)?;
            let entry = format!("100644,{blob},{BINARIES_FILE}");
            git.run_with_index(&index, &["update-index", "--add", "--cacheinfo", &entry]).context(reading)?;
        }
        let tree = git.run_with_index(&index, &["write-tree"]).context(reading)?;
        let uncommitted = changes(clone, &format!("{head}^{{tree}}"), &tree)?;
        Ok(Self { tree, head, uncommitted, left_out })
    }

    /// What changed since the release with the commit `last`; everything, when there was none.
    pub(crate) fn changes_since(&self, clone: &GridClone, last: Option<&str>) -> anyhow::Result<Vec<Change>> {
        let old = last.map_or_else(|| EMPTY_TREE.to_owned(), |last| format!("{last}^{{tree}}"));
        changes(clone, &old, &self.tree)
    }

    /// The commit of the release: a new one when something is uncommitted. No branch moves.
    pub(crate) fn commit(&self, clone: &GridClone, message: &str) -> anyhow::Result<String> {
        if self.uncommitted.is_empty() {
            return Ok(self.head.clone());
        }
        let args = ["commit-tree", &self.tree, "-p", &self.head];
        clone.git.run_as_person(&args, message.as_bytes()).context("committing the changes")
    }
}

/// Copies git's index with its time. Git compares files' times by whole seconds, and reads again what was written in the
/// second of the index itself: in a copy that looks younger, a change of equal length made in that second would not be seen.
fn copy_index(own: &Path, copy: &Path) -> io::Result<()> {
    let written = fs::metadata(own)?.modified()?;
    fs::copy(own, copy)?;
    fs::File::options().write(true).open(copy)?.set_modified(written)
}

/// Reads `git ls-files --others -z`: the parts of a release with new files in them, and the new paths elsewhere.
fn sort_new(listed: &str) -> (BTreeSet<&'static str>, Vec<String>) {
    let (mut parts, mut left_out) = (BTreeSet::new(), Vec::new());
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let top = path.split('/').next().unwrap_or(path);
        match PARTS.into_iter().find(|part| *part == top) {
            Some(part) => drop(parts.insert(part)),
            None => left_out.push(path.to_owned()),
        }
    }
    (parts, left_out)
}

fn changes(clone: &GridClone, old: &str, new: &str) -> anyhow::Result<Vec<Change>> {
    let listed = clone
        .git
        .run(&["diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new])
        .context("comparing with the last release")?;
    Ok(parse_changes(&listed))
}

/// Reads `git diff-tree --name-status -z`.
fn parse_changes(listed: &str) -> Vec<Change> {
    let mut fields = listed.split('\0');
    let mut changes = Vec::new();
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        let kind = match status {
            "A" => "new",
            "D" => "removed",
            _ => "changed",
        };
        changes.push(Change { kind, path: path.to_owned() });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_list_of_changes_is_read() {
        let changes = parse_changes("A\0data/a b.csv\0M\0nightshift.toml\0D\0x\0");
        let read: Vec<(&str, &str)> = changes.iter().map(|change| (change.kind, change.path.as_str())).collect();
        assert_eq!(read, [("new", "data/a b.csv"), ("changed", "nightshift.toml"), ("removed", "x")]);
        assert!(parse_changes("").is_empty());
    }
}
