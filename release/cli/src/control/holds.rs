//! Changes `rollout.toml` on the control branch, the file that holds releases back.

use anyhow::bail;
use nightshift_contract::exit::Exit;
use nightshift_manifest::rollout::{Holds, ROLLOUT_FILE, is_rollout_entry};
use serde::Serialize;

use super::{Control, Entry, TRIES, parse_entries};
use crate::git::{Git, GitError};
use crate::refusal::refusal;

/// What was changed of what is held back, for scripts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Held<'h> {
    /// The central repository.
    pub(crate) repository: &'h str,
    /// Whether it was changed; `false` when it stood so already.
    pub(crate) changed: bool,
    /// The tag of the release that it is about; `null` for all of them.
    pub(crate) release: Option<String>,
    /// The last ring that goes on taking it; `null` for none.
    pub(crate) ring: Option<&'h str>,
    /// Why; `null` when nothing is held back any more.
    pub(crate) reason: Option<&'h str>,
}

impl Control {
    /// Changes what is held back, and commits it with `message`; `false` when the change changes nothing. A file that
    /// cannot be read is not written over: it holds everything back already, and somebody wrote it.
    pub(crate) fn hold(&self, message: &str, change: impl Fn(&mut Holds)) -> anyhow::Result<bool> {
        let control_ref = format!("refs/heads/{}", self.branch);
        let pushed = self.change(&format!("changing {ROLLOUT_FILE}"), |refs| {
            let parent = refs.ids.get(&control_ref);
            let entries = self.entries(&control_ref, parent)?;
            let (files, mut others): (Vec<Entry>, Vec<Entry>) =
                entries.into_iter().partition(|entry| is_rollout_entry(entry.name.as_bytes()));
            let before = self.holds(&files, parent)?;
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok(Err(()));
            }
            if !after.is_empty() {
                let content = after.to_file();
                let blob = self.git.run_with_input(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
                others.push(Entry { what: format!("100644 blob {blob}"), name: ROLLOUT_FILE.to_owned() });
            }
            let commit = self.commit(&others, parent, message)?;
            Ok(Ok(vec![format!("{commit}:{control_ref}")]))
        })?;
        Ok(pushed.is_ok())
    }

    /// What is held back now.
    pub(crate) fn held(&self) -> anyhow::Result<Holds> {
        let control_ref = format!("refs/heads/{}", self.branch);
        for _ in 0..TRIES {
            let refs = self.refs()?;
            let parent = refs.ids.get(&control_ref);
            match self.entries(&control_ref, parent) {
                // Somebody pushed while it was read: what was fetched is not what was seen.
                Err(_) if self.have_moved(&refs) => {}
                files => {
                    let mut files = files?;
                    files.retain(|entry| is_rollout_entry(entry.name.as_bytes()));
                    return self.holds(&files, parent);
                }
            }
        }
        bail!("reading {ROLLOUT_FILE}: others kept pushing to {}; try again", self.url)
    }

    fn holds(&self, files: &[Entry], commit: Option<&String>) -> anyhow::Result<Holds> {
        let holds = match commit {
            Some(commit) => read(&self.git, files, commit),
            None => Holds::default(),
        };
        match &holds.unreadable {
            None => Ok(holds),
            Some(why) => {
                let text = format!(
                    "no worker moves to another release as it is, because {why}; mend it on branch {} of {} first",
                    self.branch, self.url
                );
                Err(refusal(Exit::Failed, text))
            }
        }
    }
}

/// What the control branch holds back at a commit that is here, also when that cannot be read.
pub(crate) fn holds_at(git: &Git, commit: &str) -> Result<Holds, GitError> {
    let mut entries = parse_entries(&git.run(&["ls-tree", "-z", commit])?);
    entries.retain(|entry| is_rollout_entry(entry.name.as_bytes()));
    Ok(read(git, &entries, commit))
}

fn read(git: &Git, files: &[Entry], commit: &str) -> Holds {
    let content = |file: &Entry| git.run(&["cat-file", "blob", &format!("{commit}:{}", file.name)]).ok();
    let contents: Vec<Option<String>> = files.iter().map(content).collect();
    Holds::of_entries(contents.iter().map(|content| content.as_deref().map(str::as_bytes)))
}
