//! One look at the central repository: is there a stop flag, and which tags are there.
//!
//! One connection and one list of refs, in this order:
//! 1. a ref named `stop` is a stop flag, whatever else can be read;
//! 2. the control branch is fetched when its commit is not here yet, over the same connection;
//! 3. its tree is read (stop flags, and `rollout.toml`, which only holds back), from the clone, at every look: only then
//!    does the look count. It is noted in `look.json`; where that fails, this process goes by what it saw, and the next
//!    one by no look at all;
//! 4. where [`Engine::watch_default_branch`] asks for it, the default branch is read for flags as well.

use std::collections::BTreeSet;

use git2::{ObjectType, Oid};
use nightshift_manifest::offline::Moment;
use nightshift_manifest::rollout::{Holds, is_rollout_entry};
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::stop::{self, StopFlag};
use nightshift_manifest::tree;
use serde::{Deserialize, Serialize};

use crate::git::{self, CloneDamage, Connection, GitError, LocalClone, RemoteRef};
use crate::state::{self, StateError};
use crate::{Engine, tags_of};

/// A commit larger than this is not read.
const MAX_COMMIT_BYTES: u64 = 16 << 20;

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// The stop flags that stand.
    pub stops: Vec<StopFlag>,
    /// What `rollout.toml` holds back; nothing when a ref named `stop` made reading it needless.
    pub holds: Holds,
    /// The commit of the control branch; absent when a ref named `stop` made reading it needless.
    pub control: Option<String>,
    /// The tags of the repository.
    pub tags: Vec<RemoteTag>,
}

/// What is remembered of the last look that counted; `look.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookRecord {
    /// When.
    pub at: Moment,
    /// The stop flags it saw. A note without them is none: nobody knows what it saw.
    pub stops: Vec<StopFlag>,
    /// What `rollout.toml` held back.
    #[serde(default)]
    pub holds: Holds,
    /// The commit of the control branch.
    pub control: Option<String>,
}

/// Why a look does not count.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The repository or the local clone failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The branch with the stop flag is not there.
    #[error(
        "looking for the stop flag: {url} has no branch {branch:?} ({}); create it or correct control_branch",
        found.as_deref().unwrap_or("it has no branch at all")
    )]
    NoControlBranch {
        /// The repository's address.
        url: String,
        /// The branch looked for.
        branch: String,
        /// The branches that are there.
        found: Option<String>,
    },
    /// The control branch names something that is no tree of files.
    #[error("looking for the stop flag: branch {branch:?} does not hold files; put a commit there")]
    NoTree {
        /// The branch.
        branch: String,
    },
    /// The state folder cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl LookError {
    /// Whether the repository could not be reached: carry on with the release in force for `max_offline`.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, LookError::Git(error) if error.is_theirs())
    }
}

impl CloneDamage for LookError {
    fn is_clone_damage(&self) -> bool {
        matches!(self, LookError::Git(error) if error.is_clone_damage())
    }
}

/// What one connection showed.
struct Seen {
    refs: Vec<RemoteRef>,
    control: Option<Oid>,
    stops: Vec<StopFlag>,
    holds: Holds,
}

impl Engine {
    /// Looks for stop flags on the repository's default branch from now on, too: one put there in panic counts.
    pub fn watch_default_branch(&mut self) {
        self.watches_default_branch = true;
    }

    /// Looks at the repository. Fails when the stop flag could not be looked for.
    pub fn look(&mut self, now: &Moment) -> Result<Look, LookError> {
        state::create_folder(&self.state)?;
        let seen =
            git::with_clone(self.origin(), |clone| clone.connected(|connection| self.look_once(clone, connection)))?;
        let control = seen.control.map(|id| id.to_string());
        let tags = tags_of(&seen.refs);
        let look = Look { at: now.clone(), stops: seen.stops, holds: seen.holds, control, tags };
        let record = LookRecord {
            at: look.at.clone(),
            stops: look.stops.clone(),
            holds: look.holds.clone(),
            control: look.control.clone(),
        };
        if let Err(error) = state::write_look(&self.state, &record, self.last_look.as_ref()) {
            // A full disk must not hide a flag that was seen, nor leave an older look that says there is none.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the look could not be noted: forgetting the last"
            );
            state::forget_look(&self.state);
        }
        self.last_look = Some(record);
        Ok(look)
    }

    fn look_once(&self, clone: &LocalClone, connection: &mut Connection<'_, '_>) -> Result<Seen, LookError> {
        let refs = std::mem::take(&mut connection.refs);

        let by_ref =
            refs.iter().filter(|found| stop::is_stop_ref(&found.name)).map(|found| StopFlag::of_ref(&found.name));
        let by_ref: Vec<StopFlag> = by_ref.collect();
        if !by_ref.is_empty() {
            return Ok(Seen { refs, control: None, stops: by_ref, holds: Holds::default() });
        }

        let branch = &self.source.control_branch;
        let name = format!("refs/heads/{branch}");
        let Some(control) = refs.iter().find(|found| found.name == name).map(|found| found.id) else {
            return Err(self.no_control_branch(&refs));
        };
        if !clone.has(control) {
            connection.fetch_within(std::slice::from_ref(&name), self.source.limits.control)?;
        }
        let (mut stops, holds) = read_control(clone, control, branch)?;
        if self.watches_default_branch
            && let Some(default) = connection.default_branch().filter(|default| *default != name)
            && let Some(id) = refs.iter().find(|found| found.name == default).map(|found| found.id)
        {
            // What counts is the control branch, which was read: a fault here hides nothing that has to be seen.
            match read_default_branch(clone, connection, &default, id) {
                Ok(more) => stops.extend(more),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "looking for a stop flag on the default branch");
                }
            }
        }
        Ok(Seen { refs, control: Some(control), stops, holds })
    }

    fn no_control_branch(&self, refs: &[RemoteRef]) -> LookError {
        let branches: BTreeSet<&str> = refs.iter().filter_map(|found| found.name.strip_prefix("refs/heads/")).collect();
        let found = branches.into_iter().take(5).collect::<Vec<_>>().join(", ");
        LookError::NoControlBranch {
            url: self.source.url.clone(),
            branch: self.source.control_branch.clone(),
            found: (!found.is_empty()).then(|| format!("it has {found}")),
        }
    }
}

/// Reads the stop flags at the root of the default branch, `refs/heads/NAME`, after fetching what is new of it.
fn read_default_branch(
    clone: &LocalClone,
    connection: &mut Connection<'_, '_>,
    name: &str,
    id: Oid,
) -> Result<Vec<StopFlag>, LookError> {
    if !clone.has(id) {
        connection.fetch_within(&[name.to_owned()], connection.control_limit())?;
    }
    let (flags, _) = read_control(clone, id, name.trim_start_matches("refs/heads/"))?;
    Ok(flags)
}

/// Reads the stop flags and `rollout.toml` at the root of a branch.
fn read_control(clone: &LocalClone, commit: Oid, branch: &str) -> Result<(Vec<StopFlag>, Holds), LookError> {
    let no_tree = || LookError::NoTree { branch: branch.to_owned() };
    let tree = tree_of_commit(clone, commit)?.ok_or_else(no_tree)?;
    let (_, raw) = clone.read(tree)?;
    // A tree written by another hand than git's holds flags all the same.
    let entries = tree::parse_loosely(&raw).ok_or_else(no_tree)?;
    let mut flags = Vec::new();
    for entry in entries.iter().filter(|entry| stop::is_stop_entry(entry.name)) {
        flags.push(StopFlag::of_entry(entry.name, branch, flag_content(clone, entry).as_deref()));
    }
    let files: Vec<Option<Vec<u8>>> =
        entries.iter().filter(|entry| is_rollout_entry(entry.name)).map(|entry| flag_content(clone, entry)).collect();
    Ok((flags, Holds::of_entries(files.iter().map(Option::as_deref))))
}

/// The content of a flag, or of `rollout.toml`; `None` when it is no file, too large or cannot be read. It stops, or
/// holds back, all the same.
fn flag_content(clone: &LocalClone, entry: &tree::RawEntry<'_>) -> Option<Vec<u8>> {
    let id = Oid::from_bytes(&entry.id).ok()?;
    let is_file = matches!(entry.mode, tree::MODE_FILE | tree::MODE_PROGRAM);
    (is_file && clone.size(id).ok()?.1 <= stop::MAX_FLAG_BYTES as u64).then(|| Some(clone.read(id).ok()?.1))?
}

/// The tree a commit names; `None` when the object is no commit, or none that anybody wrote.
pub(crate) fn tree_of_commit(clone: &LocalClone, commit: Oid) -> Result<Option<Oid>, GitError> {
    if clone.size(commit)?.1 > MAX_COMMIT_BYTES {
        return Ok(None);
    }
    let (kind, raw) = clone.read(commit)?;
    let tree = raw.strip_prefix(b"tree ").and_then(|rest| str::from_utf8(rest.get(..40)?).ok());
    Ok(tree.filter(|_| kind == ObjectType::Commit).and_then(|tree| Oid::from_str(tree).ok()))
}
