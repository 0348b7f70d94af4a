//! The releases of the central repository, judged as a worker would judge them that joins the grid today.
//!
//! The judging itself is the engine's; here is which tags, and which keys it begins with: those the grid began with by
//! the history of the person's clone, which are the ones that workers have pinned.

use std::collections::BTreeMap;

use anyhow::Context;
use nightshift_engine::{Review, review};
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::signers::{Signer, Signers};
use nightshift_manifest::version::looks_like_release;
use nightshift_manifest::votes::Vote;
use nightshift_manifest::{RECOVERY_FILE, SETTINGS_FILE, SIGNERS_FILE};
use nightshift_wire::Moment;

use crate::control::holds::holds_at;
use crate::git::GitError;
use crate::grid_clone::GridClone;

/// Where the central repository's branches and tags are kept in the clone, away from the person's own.
const FETCHED: &str = "refs/nightshift";

/// Whose tags are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    /// Those of the central repository, as last fetched.
    Central,
    /// Those of the clone.
    Local,
}

/// The releases of a repository.
pub(crate) struct Releases {
    /// What workers think of them.
    pub(crate) review: Review,
    /// When each tag says it was made.
    pub(crate) made_at: BTreeMap<String, Moment>,
}

/// Fetches the branches and tags of the central repository, without touching the person's own.
pub(crate) fn fetch(clone: &GridClone) -> anyhow::Result<()> {
    let heads = format!("+refs/heads/*:{FETCHED}/heads/*");
    let tags = format!("+refs/tags/*:{FETCHED}/tags/*");
    clone
        .git
        .run(&["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", &clone.remote, &heads, &tags])
        .with_context(|| format!("fetching from the central repository, {}", clone.url().unwrap_or_default()))?;
    Ok(())
}

/// The commit of a branch of the central repository, as last fetched.
pub(crate) fn central_branch(clone: &GridClone, branch: &str) -> Option<String> {
    clone.git.run(&["rev-parse", "--quiet", "--verify", &format!("{FETCHED}/heads/{branch}^{{commit}}")]).ok()
}

/// What the control branch of the central repository holds back, as last fetched; nothing when there is no such branch.
pub(crate) fn held_back(clone: &GridClone) -> anyhow::Result<Holds> {
    match central_branch(clone, &clone.control_branch) {
        Some(commit) => holds_at(&clone.git, &commit).context("looking what the control branch holds back"),
        None => Ok(Holds::default()),
    }
}

/// Judges the releases of a repository, and `next` as if it were one of them.
pub(crate) fn judge(clone: &GridClone, which: Tags, next: Option<RemoteTag>) -> anyhow::Result<Releases> {
    let folder = match which {
        Tags::Central => format!("{FETCHED}/tags/"),
        Tags::Local => "refs/tags/".to_owned(),
    };
    let format = "--format=%(objectname) %(taggerdate:unix) %(refname)";
    let listed = clone.git.run(&["for-each-ref", format, &folder]).context("listing the releases")?;
    let mut tags = Vec::new();
    let mut made_at = BTreeMap::new();
    for line in listed.lines() {
        let mut fields = line.splitn(3, ' ');
        let (Some(id), Some(seconds), Some(name)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let counts = |name: &&str| looks_like_release(name) || Vote::parse_tag(name).is_some();
        let Some(name) = name.strip_prefix(&folder).filter(counts) else { continue };
        if let Ok(seconds) = seconds.parse::<Moment>() {
            made_at.insert(name.to_owned(), seconds.saturating_mul(1000));
        }
        tags.push(RemoteTag { name: name.to_owned(), id: id.to_owned() });
    }
    tags.extend(next);
    let recovery = first_recovery_key(clone)?;
    let review = review(&clone.root, &tags, &first_keys(clone)?, recovery.as_ref()).context("judging the releases")?;
    Ok(Releases { review, made_at })
}

/// The keys the grid began with, by the history of the branch that is checked out.
fn first_keys(clone: &GridClone) -> anyhow::Result<Signers> {
    let what = || format!("looking for the first {SIGNERS_FILE} in the history of {}", clone.root.display());
    let text = first_of(clone, SIGNERS_FILE)
        .with_context(what)?
        .with_context(|| format!("{SIGNERS_FILE} was never committed"))
        .with_context(what)?;
    Signers::parse(&text).with_context(what)
}

/// The recovery key the grid began with, when it has one.
fn first_recovery_key(clone: &GridClone) -> anyhow::Result<Option<Signer>> {
    let what = || format!("looking for the first {RECOVERY_FILE} in the history of {}", clone.root.display());
    first_of(clone, RECOVERY_FILE).with_context(what)?.map(|text| Signer::parse(&text).with_context(what)).transpose()
}

/// A file as it was first committed; `None` when it never was.
fn first_of(clone: &GridClone, file: &str) -> Result<Option<String>, GitError> {
    let added = clone.git.run(&["log", "--reverse", "--diff-filter=A", "--format=%H", "HEAD", "--", file])?;
    let first = added.lines().next().map(|first| clone.git.run(&["cat-file", "blob", &format!("{first}:{file}")]));
    first.transpose()
}

/// The settings of a release that is here, when they can be read; `at` names its tag or commit.
pub(crate) fn settings_of(clone: &GridClone, at: &str) -> Option<GridSettings> {
    let text = clone.git.run(&["cat-file", "blob", &format!("{at}:{SETTINGS_FILE}")]).ok()?;
    GridSettings::parse(&text, SETTINGS_FILE).ok()
}
