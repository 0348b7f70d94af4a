//! Whether a repository and a job server are of one grid.
//!
//! A clone says which repository a command means; the configuration, which job server. Whoever has two grids and stands in
//! the clone of the one may have the job server of the other in force: that one must not be told anything of this one.
//! Where the configuration does not say which repository a job server belongs to, the job server is asked what it sees of
//! its own: the tag of its release, or the commit of its control branch.

use std::collections::BTreeMap;

use anyhow::bail;
use nightshift_contract::exit::Exit;
use nightshift_wire::Status;

use crate::control::RepositoryArgs;
use crate::git::Git;
use crate::grid_clone::GridClone;
use crate::refusal::refusal;
use crate::server::{ServerArgs, wait_for};
use crate::surroundings::Surroundings;

/// What is known before the job server is asked.
#[derive(Debug)]
pub(crate) enum Check {
    /// The job server is meant: the command line names it, or the configuration has it for this repository.
    Meant,
    /// It is another grid's; why.
    Another(String),
    /// The configuration does not say; what the repository has.
    ToCompare { url: String, refs: Refs },
}

/// What tells a repository from others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refs {
    /// Name of its control branch.
    branch: String,
    /// Ids by the names of refs.
    ids: BTreeMap<String, String>,
}

impl Check {
    /// Looks at what the command line, the clone and the configuration say.
    ///
    /// # Errors
    /// When the clone or the repository cannot be looked at.
    pub(crate) fn of(repository: &RepositoryArgs, server: &ServerArgs, around: &Surroundings) -> anyhow::Result<Check> {
        if server.is_given() {
            return Ok(Check::Meant);
        }
        let clone = if repository.is_the_clones_own() { GridClone::find(around)? } else { None };
        let (url, branch) = match &clone {
            Some(clone) => (clone.url()?, clone.control_branch.clone()),
            None => match repository.named().or(around.config.repository.as_deref()) {
                Some(url) => (url.to_owned(), around.config.control_branch.clone()),
                // Nothing that could be another's.
                None => return Ok(Check::Meant),
            },
        };
        if let Some(configured) = &around.config.repository {
            return Ok(match is_same(&url, configured) {
                true => Check::Meant,
                false => Check::Another(format!(
                    "the configuration has {} for the repository {configured}, and this is about {url}",
                    server.url(around)
                )),
            });
        }
        let refs = Refs::of(&around.git(&around.current_dir), &url, &branch)?;
        Ok(Check::ToCompare { url, refs })
    }

    /// Refuses a job server of another grid. Asks it, when nobody else can say; that takes the time of one request.
    ///
    /// # Errors
    /// Which is of which, and what to name; or that the job server does not answer.
    pub(crate) fn refuse_another(&self, server: &ServerArgs, around: &Surroundings) -> anyhow::Result<()> {
        let why = match self {
            Check::Meant => return Ok(()),
            Check::Another(why) => why.clone(),
            Check::ToCompare { url, refs } => match refs.are_of(&status(server, around)?) {
                Some(true) => return Ok(()),
                Some(false) => format!("{} is not of {url}", server.url(around)),
                None => format!("nothing says whether {} is of {url}", server.url(around)),
            },
        };
        bail!("it is not asked, because {why}: name the job server of this grid with --jobserver URL or --context NAME")
    }
}

impl Refs {
    /// Asks the repository.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn of(git: &Git, url: &str, branch: &str) -> anyhow::Result<Refs> {
        let listed = git.run(&["ls-remote", url, &format!("refs/heads/{branch}"), "refs/tags/*"])?;
        let lines = listed.lines().filter_map(|line| line.split_once('\t'));
        let ids = lines.map(|(id, name)| (name.to_owned(), id.to_owned())).collect();
        Ok(Refs { branch: branch.to_owned(), ids })
    }

    /// Whether a job server sees this repository: its release is a tag here, or where it has none, its control branch stands
    /// where this one does. `None` when it says neither.
    pub(crate) fn are_of(&self, status: &Status) -> Option<bool> {
        if let (Some(tag), Some(id)) = (&status.release, &status.release_id) {
            return Some(self.ids.get(&format!("refs/tags/{tag}")) == Some(id));
        }
        let control = status.control_id.as_ref()?;
        Some(self.ids.get(&format!("refs/heads/{}", self.branch)) == Some(control))
    }

    /// Whether there is a tag of this name.
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.ids.contains_key(&format!("refs/tags/{tag}"))
    }
}

/// Refuses a clone of another grid than the context that was named for this very command.
///
/// # Errors
/// Which is of which.
pub(crate) fn check_clone(clone: &GridClone, around: &Surroundings) -> anyhow::Result<()> {
    let Some(context) = &around.config.chosen else { return Ok(()) };
    let here = clone.url()?;
    let is_another = match &around.config.repository {
        Some(configured) => !is_same(&here, configured),
        None => {
            let server = ServerArgs::default();
            let refs = Refs::of(&clone.git, &here, &clone.control_branch);
            // A job server that does not answer says nothing against the clone.
            refs.is_ok_and(|refs| status(&server, around).is_ok_and(|status| refs.are_of(&status) == Some(false)))
        }
    };
    if !is_another {
        return Ok(());
    }
    let text = format!(
        "the context {context} is about another grid than this clone of {here}; go to a clone of its repository, or leave \
         --context (and NIGHTSHIFT_CONTEXT) out. Nothing was changed"
    );
    Err(refusal(Exit::Usage, text))
}

/// What the job server says of itself; on a thread of its own, because the caller may wait for other answers.
fn status(server: &ServerArgs, around: &Surroundings) -> anyhow::Result<Status> {
    std::thread::scope(|threads| {
        let asked = threads.spawn(|| wait_for(async { Ok(server.client(around)?.status().await?) }));
        asked.join().unwrap_or_else(|_| bail!("asking the job server broke off"))
    })
}

/// Whether two addresses of a repository are alike, however their ends are written.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").trim_start_matches("file://").to_owned();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_same_however_its_address_ends() {
        for (one, other, same) in [
            ("file:///srv/central.git", "/srv/central", true),
            ("git@central:grid.git/", "git@central:grid", true),
            ("file:///srv/central.git", "file:///srv/other.git", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_job_server_is_known_by_its_release_and_before_the_first_by_its_control_branch() {
        let ids = [("refs/heads/control", "c1"), ("refs/tags/v1.0.0", "t1")];
        let ids = ids.map(|(name, id)| (name.to_owned(), id.to_owned())).into();
        let refs = Refs { branch: "control".to_owned(), ids };
        let status = |release: Option<(&str, &str)>, control: Option<&str>| -> Status {
            serde_json::from_value(serde_json::json!({
                "version": "0.1.0", "now": 0, "release": release.map(|(tag, _)| tag),
                "release_id": release.map(|(_, id)| id), "control_id": control, "release_problem": "",
                "jobs_waiting": 0, "jobs_running": 0, "jobs_done": 0, "jobs_quarantined": 0, "workers": 0,
            }))
            .expect("a status")
        };
        for (release, control, are) in [
            (Some(("v1.0.0", "t1")), Some("c9"), Some(true)),
            (Some(("v1.0.0", "t2")), Some("c1"), Some(false)),
            (Some(("v1.1.0", "t1")), None, Some(false)),
            (None, Some("c1"), Some(true)),
            (None, Some("c2"), Some(false)),
            (None, None, None),
        ] {
            assert_eq!(refs.are_of(&status(release, control)), are, "{release:?} {control:?}");
        }
    }
}
