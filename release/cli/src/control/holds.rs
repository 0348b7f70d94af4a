//! Changes `rollout.toml` on the control branch, the file that holds releases back.

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::rollout::{Holds, ROLLOUT_FILE, is_rollout_entry};

use super::{Control, Entry};
use crate::refusal::refusal;

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
        let refs = self.refs()?;
        let parent = refs.ids.get(&control_ref);
        let mut files = self.entries(&control_ref, parent)?;
        files.retain(|entry| is_rollout_entry(entry.name.as_bytes()));
        self.holds(&files, parent)
    }

    fn holds(&self, files: &[Entry], commit: Option<&String>) -> anyhow::Result<Holds> {
        let mut contents = Vec::new();
        for file in files {
            let commit = commit.context("a branch with files has a commit")?;
            contents.push(self.git.run(&["cat-file", "blob", &format!("{commit}:{}", file.name)]).ok());
        }
        let holds = Holds::of_entries(contents.iter().map(|content| content.as_deref().map(str::as_bytes)));
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
