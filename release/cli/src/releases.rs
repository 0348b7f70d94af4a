//! The releases of the central repository, judged as a worker would judge them that joins the grid today.
//!
//! The tags are read in the order of their versions. Each is judged by the keys in force before it: in the beginning
//! those the grid began with, then those of every believed release. The rules themselves stand in
//! `nightshift-manifest`.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;
use nightshift_manifest::SIGNERS_FILE;
use nightshift_manifest::content::{self, Content};
use nightshift_manifest::refusal::{Refusal, Rule};
use nightshift_manifest::signers::Signers;
use nightshift_manifest::tag::{TagRefusal, VerifiedTag, verify};
use nightshift_manifest::version::{ReleaseVersion, looks_like_release};

use crate::grid_clone::GridClone;
use crate::objects::Objects;

/// Where the central repository's branches and tags are kept in the clone, away from the person's own.
const FETCHED: &str = "refs/nightshift";

/// Which tags are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    /// Those of the central repository, as last fetched.
    Central,
    /// Those of the clone.
    Local,
}

/// A tag that is meant as a release, and what workers think of it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The tag's name.
    pub(crate) tag: String,
    /// What workers think of it.
    pub(crate) verdict: Result<Believed, Refusal>,
}

/// A release that is believed.
#[derive(Debug, Clone)]
pub(crate) struct Believed {
    /// Its version.
    pub(crate) version: ReleaseVersion,
    /// Its commit.
    pub(crate) commit: String,
    /// Who signed it.
    pub(crate) signer: String,
    /// When the signer says it was made.
    pub(crate) time: Timestamp,
}

/// All releases of a repository.
#[derive(Debug)]
pub(crate) struct Releases {
    /// Every tag that looks like a release: by version, those without one first.
    pub(crate) tags: Vec<Judged>,
    /// The keys that judge the next release.
    pub(crate) keys: Signers,
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

/// Judges the tags of the clone.
pub(crate) fn judge(clone: &GridClone, which: Tags) -> anyhow::Result<Releases> {
    let objects = Objects::open(&clone.root)?;
    let mut releases = Releases { tags: Vec::new(), keys: first_keys(clone)? };
    let mut by_version = BTreeMap::new();
    for (tag, id) in list(clone, which)? {
        match ReleaseVersion::parse_tag(&tag) {
            Ok(version) => {
                by_version.insert(version, (tag, id));
            }
            Err(error) => {
                let refusal = TagRefusal::Name(error).of(&tag, &id);
                releases.tags.push(Judged { tag, verdict: Err(refusal) });
            }
        }
    }
    for (tag, id) in by_version.into_values() {
        let verdict = judge_one(&objects, &tag, &id, &mut releases.keys)?;
        releases.tags.push(Judged { tag, verdict });
    }
    Ok(releases)
}

impl Releases {
    /// The newest release that is believed: workers run it.
    pub(crate) fn newest(&self) -> Option<&Believed> {
        self.tags.iter().filter_map(|judged| judged.verdict.as_ref().ok()).next_back()
    }
}

/// Tags that look like releases, with the objects they point at.
fn list(clone: &GridClone, which: Tags) -> anyhow::Result<Vec<(String, String)>> {
    let folder = match which {
        Tags::Central => format!("{FETCHED}/tags/"),
        Tags::Local => "refs/tags/".to_owned(),
    };
    let listed = clone.git.run(&["for-each-ref", "--format=%(objectname) %(refname)", &folder])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, name)| Some((name.strip_prefix(&folder)?.to_owned(), id.to_owned())))
        .filter(|(tag, _)| looks_like_release(tag))
        .collect())
}

/// The keys the grid began with, by the history of the branch that is checked out. Workers have them pinned.
fn first_keys(clone: &GridClone) -> anyhow::Result<Signers> {
    let what = || format!("looking for the first {SIGNERS_FILE} in the history of {}", clone.root.display());
    let added = clone
        .git
        .run(&["log", "--reverse", "--diff-filter=A", "--format=%H", "HEAD", "--", SIGNERS_FILE])
        .with_context(what)?;
    let first =
        added.lines().next().with_context(|| format!("{SIGNERS_FILE} was never committed")).with_context(what)?;
    let text = clone.git.run(&["cat-file", "blob", &format!("{first}:{SIGNERS_FILE}")]).with_context(what)?;
    Signers::parse(&text).with_context(what)
}

/// Judges one tag by `keys`, and takes over the keys it brings when it is believed.
fn judge_one(objects: &Objects, tag: &str, id: &str, keys: &mut Signers) -> anyhow::Result<Result<Believed, Refusal>> {
    let refuse = |rule, found: String, advice: &str| Refusal {
        tag: tag.to_owned(),
        tag_id: id.to_owned(),
        rule,
        signer: None,
        found,
        advice: advice.to_owned(),
    };
    let Some(raw) = objects.tag(id)? else {
        let advice = "delete it and make a signed one: nightshift release cut, or git tag -s";
        return Ok(Err(refuse(Rule::Annotated, "it is a lightweight tag, which cannot be signed".to_owned(), advice)));
    };
    let VerifiedTag { version, commit, signer, tagger_time, .. } = match verify(&raw, tag, keys) {
        Ok(verified) => verified,
        Err(refusal) => return Ok(Err(refusal.of(tag, id))),
    };
    let tree = objects.tree_of_commit(&commit)?;
    let mend = "mend it and release under a higher version";
    if let Err(error) = tree.check() {
        return Ok(Err(refuse(Rule::Tree, error.to_string(), mend)));
    }
    let manifests = objects.manifests(&tree)?;
    match content::signers(&manifests) {
        Ok(Some(brought)) => *keys = brought,
        Ok(None) => {}
        Err(error) => return Ok(Err(refuse(Rule::Keys, error.to_string(), mend))),
    }
    if let Err(error) = Content::parse(&tree.paths(), &manifests) {
        return Ok(Err(refuse(Rule::Content, error.to_string(), mend)));
    }
    Ok(Ok(Believed { version, commit, signer, time: tagger_time }))
}
