//! The release manager's clone: a clone of the central repository with `nightshift.toml` at its top.

use std::path::PathBuf;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::SETTINGS_FILE;

use crate::git::{Git, GitError};
use crate::refusal::{OrRefuse, refusal};
use crate::same_grid;
use crate::surroundings::Surroundings;

/// A clone a person works in.
#[derive(Debug)]
pub(crate) struct GridClone {
    /// Its top folder.
    pub(crate) root: PathBuf,
    /// Git, working there.
    pub(crate) git: Git,
    /// Name of the remote that is the central repository.
    pub(crate) remote: String,
    /// The control branch of the central repository.
    pub(crate) control_branch: String,
}

impl GridClone {
    /// The clone the person stands in; refused when there is none.
    pub(crate) fn here(around: &Surroundings) -> anyhow::Result<Self> {
        Self::find(around)?.ok_or_else(|| {
            let text = format!(
                "{} is not in a clone of a grid's central repository; go to the clone that `nightshift init` made (it \
                 has {SETTINGS_FILE} at its top)",
                around.current_dir.display()
            );
            refusal(Exit::Usage, text)
        })
    }

    /// The clone the person stands in, `None` when they stand elsewhere.
    pub(crate) fn find(around: &Surroundings) -> anyhow::Result<Option<Self>> {
        let root = match around.git(&around.current_dir).run(&["rev-parse", "--show-toplevel"]) {
            Ok(root) => root,
            // Without git nobody can say where this is.
            Err(error @ GitError::Start(_)) => {
                return Err(error).or_refuse(Exit::Usage, || "looking for the clone".to_owned());
            }
            Err(GitError::Failed { .. }) => return Ok(None),
        };
        let root = PathBuf::from(root);
        if !root.join(SETTINGS_FILE).is_file() {
            return Ok(None);
        }
        let git = around.git(&root);
        let remote = match git.run(&["symbolic-ref", "--quiet", "--short", "HEAD"]) {
            Ok(branch) => git.config(&format!("branch.{branch}.remote"))?,
            Err(_) => None,
        };
        let control_branch = git.config("nightshift.controlBranch")?;
        let clone = Self {
            remote: remote.unwrap_or_else(|| "origin".to_owned()),
            control_branch: control_branch.unwrap_or_else(|| around.config.control_branch.clone()),
            root,
            git,
        };
        same_grid::check_clone(&clone, around)?;
        Ok(Some(clone))
    }

    /// The branch that is checked out; releases are cut from it.
    pub(crate) fn branch(&self) -> anyhow::Result<String> {
        let branch = self.git.run(&["symbolic-ref", "--quiet", "--short", "HEAD"]).map_err(|_| {
            let text = format!("{} has no branch checked out; `git switch main` first", self.root.display());
            refusal(Exit::Usage, text)
        })?;
        if branch == self.control_branch {
            let text = format!("{branch} is the control branch, which holds no releases; `git switch main` first");
            return Err(refusal(Exit::Usage, text));
        }
        Ok(branch)
    }

    /// The URL of the central repository, for people.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        self.git.run(&["remote", "get-url", &self.remote]).with_context(|| {
            format!("looking for the central repository: {} has no remote {}", self.root.display(), self.remote)
        })
    }
}
