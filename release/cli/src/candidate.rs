//! What the next release would be: the work folder as git would commit it now, and how it differs from the last release.
//!
//! Nothing the person has is touched: the tree is built through an index of its own.

use std::fs;

use anyhow::Context;

use crate::grid_clone::GridClone;

/// Git's name of the tree without files.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The next release's tree.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Git's name of the tree.
    pub(crate) tree: String,
    /// The commit that is checked out; the release's commit, when nothing is uncommitted.
    pub(crate) head: String,
    /// Changes that are not committed yet.
    pub(crate) uncommitted: Vec<Change>,
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
    /// The work folder as it stands.
    pub(crate) fn of(clone: &GridClone) -> anyhow::Result<Self> {
        let git = &clone.git;
        let head = git.run(&["rev-parse", "--verify", "HEAD^{commit}"]).context("looking for the last commit")?;
        let area = tempfile::tempdir().context("making a temporary folder")?;
        let index = area.path().join("index");
        let own_index = clone.root.join(git.run(&["rev-parse", "--git-path", "index"])?);
        if own_index.exists() {
            // Only for speed: git need not read again what it knows.
            fs::copy(&own_index, &index).with_context(|| format!("copying {}", own_index.display()))?;
        }
        git.run_with_index(&index, &["add", "--all", "."]).context("reading the work folder")?;
        let tree = git.run_with_index(&index, &["write-tree"]).context("reading the work folder")?;
        let uncommitted = changes(clone, &format!("{head}^{{tree}}"), &tree)?;
        Ok(Self { tree, head, uncommitted })
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
