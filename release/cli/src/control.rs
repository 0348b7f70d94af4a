//! Changes the stop flag, and what is held back ([`holds`]), in the central repository without touching anybody's work: new commits are made from git
//! objects alone and pushed.
//!
//! One change, in order: (1) list the refs of the repository; (2) fetch the branches that matter; (3) make the new
//! trees and commits; (4) push all of it atomically; (5) when that fails because somebody else pushed meanwhile, begin
//! again. In a clone of the grid its own remote is used, so that its credentials apply; elsewhere a temporary one.

pub(crate) mod holds;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, bail};
use nightshift_contract::exit::Exit;
use nightshift_manifest::stop::{Scope, StopFlag, is_stop_entry, is_stop_ref};

use crate::git::Git;
use crate::grid_clone::GridClone;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// How often a change begins again after others pushed.
const TRIES: usize = 5;

/// Which repository a command changes.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RepositoryArgs {
    /// The central repository [default: the one of this clone, else repository in config.toml]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

impl RepositoryArgs {
    /// The repository that the command line names.
    pub(crate) fn named(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Whether nobody named another repository than the one of this clone.
    pub(crate) fn is_the_clones_own(&self) -> bool {
        self.repository.is_none()
    }
}

/// The central repository, and a place to make commits for it.
#[derive(Debug)]
pub(crate) struct Control {
    git: Git,
    remote: String,
    branch: String,
    /// What people know the repository by.
    pub(crate) url: String,
    /// Where commits are made outside a clone; only ever the newest commit is fetched there.
    work_area: Option<tempfile::TempDir>,
}

/// The refs of the repository at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refs {
    ids: BTreeMap<String, String>,
    default_branch: Option<String>,
}

/// An entry of a branch's root folder, as `git mktree` reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `100644 blob 0123…`.
    what: String,
    name: String,
}

impl Control {
    /// The repository that `args`, the folder or the configuration names, in this order.
    pub(crate) fn open(args: &RepositoryArgs, around: &Surroundings) -> anyhow::Result<Self> {
        let clone = if args.repository.is_some() { None } else { GridClone::find(around)? };
        if let Some(clone) = clone {
            let url = clone.url()?;
            return Ok(Self {
                git: clone.git,
                remote: clone.remote,
                branch: clone.control_branch,
                url,
                work_area: None,
            });
        }
        let url = args.repository.as_ref().or(around.config.repository.as_ref()).ok_or_else(|| {
            let text = "no central repository is named: run this in a clone of it, give --repository URL, or write repository \
                        into config.toml, beside the jobserver of its grid";
            refusal(Exit::Usage, text)
        })?;
        let work_area = tempfile::tempdir().context("making a temporary work area")?;
        let git = around.git(work_area.path());
        git.run(&["init", "--quiet", "--bare", "--template="])?;
        let branch = around.config.control_branch.clone();
        Ok(Self { git, remote: url.clone(), branch, url: url.clone(), work_area: Some(work_area) })
    }

    /// Whether the repository has this tag.
    pub(crate) fn has_tag(&self, tag: &str) -> anyhow::Result<bool> {
        Ok(self.refs()?.ids.contains_key(&format!("refs/tags/{tag}")))
    }

    /// Raises a flag for `scope`. Returns the one that stands already and stops all of that, when there is one.
    pub(crate) fn stop(&self, scope: &Scope, content: &str, message: &str) -> anyhow::Result<Option<StopFlag>> {
        let control_ref = format!("refs/heads/{}", self.branch);
        self.change("raising the stop flag", |refs| {
            let parent = refs.ids.get(&control_ref);
            let entries = self.entries(&control_ref, parent)?;
            let standing = self.flags(refs, &entries, parent);
            if let Some(flag) = standing.into_iter().find(|flag| covers(&flag.scope, scope)) {
                return Ok(Err(flag));
            }
            let blob = self.git.run_with_input(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
            let name = free_name(&entries);
            let mut entries = entries;
            entries.push(Entry { what: format!("100644 blob {blob}"), name });
            let commit = self.commit(&entries, parent, message)?;
            Ok(Ok(vec![format!("{commit}:{control_ref}")]))
        })
        .map(Result::err)
    }

    /// Takes every flag away; the places where flags stood, empty when there were none.
    pub(crate) fn start(&self, message: &str) -> anyhow::Result<Vec<String>> {
        let mut taken = Vec::new();
        self.change("taking the stop flag away", |refs| {
            taken.clear();
            let mut updates = Vec::new();
            let default = refs.default_branch.clone().unwrap_or_default();
            for name in [format!("refs/heads/{}", self.branch), default] {
                let parent = refs.ids.get(&name);
                let (flags, others): (Vec<Entry>, Vec<Entry>) =
                    self.entries(&name, parent)?.into_iter().partition(|entry| is_stop_entry(entry.name.as_bytes()));
                if flags.is_empty() || taken.iter().any(|(place, _)| *place == name) {
                    continue;
                }
                updates.push(format!("{}:{name}", self.commit(&others, parent, message)?));
                let branch = name.trim_start_matches("refs/heads/");
                let names: Vec<&str> = flags.iter().map(|entry| entry.name.as_str()).collect();
                taken.push((name.clone(), format!("{} on branch {branch}", names.join(", "))));
            }
            for name in refs.ids.keys().filter(|name| is_stop_ref(name)) {
                updates.push(format!(":{name}"));
                taken.push((name.clone(), format!("ref {name}")));
            }
            Ok(if updates.is_empty() { Err(()) } else { Ok(updates) })
        })
        .map(drop)?;
        Ok(taken.into_iter().map(|(_, place)| place).collect())
    }

    /// Plans and pushes until it succeeds. `plan` answers with the refs to push, or with why nothing is to be done.
    fn change<N>(
        &self,
        doing: &str,
        mut plan: impl FnMut(&Refs) -> anyhow::Result<Result<Vec<String>, N>>,
    ) -> anyhow::Result<Result<(), N>> {
        for _ in 0..TRIES {
            let refs = self.refs().with_context(|| doing.to_owned())?;
            let updates = match plan(&refs) {
                // Somebody pushed while it was read: what was fetched is not what was seen.
                Err(_) if self.have_moved(&refs) => continue,
                planned => match planned.with_context(|| doing.to_owned())? {
                    Ok(updates) => updates,
                    Err(nothing_to_do) => return Ok(Err(nothing_to_do)),
                },
            };
            let mut push = vec!["push", "--quiet", "--atomic", "--no-follow-tags", self.remote.as_str()];
            push.extend(updates.iter().map(String::as_str));
            match self.git.run(&push) {
                Ok(_) => return Ok(Ok(())),
                Err(error) if self.refs().is_ok_and(|now| now == refs) => {
                    return Err(error).with_context(|| format!("{doing}: pushing to {}", self.url));
                }
                // Somebody pushed in between.
                Err(_) => {}
            }
        }
        bail!("{doing}: others kept pushing to {}; try again", self.url)
    }

    fn refs(&self) -> anyhow::Result<Refs> {
        let listed = self
            .git
            .run(&["ls-remote", "--symref", &self.remote])
            .with_context(|| format!("looking at {}", self.url))?;
        Ok(parse_refs(&listed))
    }

    /// Whether others have pushed since. Not when that cannot be said.
    fn have_moved(&self, since: &Refs) -> bool {
        self.refs().is_ok_and(|now| now != *since)
    }

    /// The flags that stand now, as workers see them.
    fn flags(&self, refs: &Refs, entries: &[Entry], commit: Option<&String>) -> Vec<StopFlag> {
        let mut flags: Vec<StopFlag> =
            refs.ids.keys().filter(|name| is_stop_ref(name)).map(|name| StopFlag::of_ref(name)).collect();
        for entry in entries.iter().filter(|entry| is_stop_entry(entry.name.as_bytes())) {
            let content = match commit {
                Some(commit) => self.git.run(&["cat-file", "blob", &format!("{commit}:{}", entry.name)]).ok(),
                None => None,
            };
            flags.push(StopFlag::of_entry(entry.name.as_bytes(), &self.branch, content.as_deref().map(str::as_bytes)));
        }
        flags
    }

    /// The root entries of a branch; none when it does not exist.
    fn entries(&self, name: &str, commit: Option<&String>) -> anyhow::Result<Vec<Entry>> {
        let Some(commit) = commit else { return Ok(Vec::new()) };
        let mut fetch = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];
        if self.work_area.is_some() {
            fetch.push("--depth=1");
        }
        fetch.extend([self.remote.as_str(), name]);
        self.git.run(&fetch).with_context(|| format!("fetching {name} of {}", self.url))?;
        Ok(parse_entries(&self.git.run(&["ls-tree", "-z", commit])?))
    }

    fn commit(&self, entries: &[Entry], parent: Option<&String>, message: &str) -> anyhow::Result<String> {
        let mut listing = String::new();
        for Entry { what, name } in entries {
            write!(listing, "{what}\t{name}\0").context("listing a folder")?;
        }
        let tree = self.git.run_with_input(&["mktree", "-z"], listing.as_bytes())?;
        let mut args = vec!["commit-tree".to_owned(), tree];
        if let Some(parent) = parent {
            args.extend(["-p".to_owned(), parent.clone()]);
        }
        Ok(self.git.run_as_person(&args, message.as_bytes())?)
    }
}

/// Whether everything that `wished` stops is stopped by `standing`, as soon.
fn covers(standing: &Scope, wished: &Scope) -> bool {
    standing == wished || (standing.is_everything() && standing.when() <= wished.when())
}

/// The first of STOP, STOP.2, STOP.3 … that is no entry yet, in any case.
fn free_name(entries: &[Entry]) -> String {
    let taken = |name: &String| entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(name));
    let numbered = (2..).map(|number: u32| format!("STOP.{number}"));
    std::iter::once("STOP".to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// Reads `git ls-remote --symref`.
fn parse_refs(listed: &str) -> Refs {
    let mut refs = Refs::default();
    for line in listed.lines() {
        match line.split_once('\t') {
            Some((target, "HEAD")) if target.starts_with("ref: ") => {
                refs.default_branch = Some(target.trim_start_matches("ref: ").to_owned());
            }
            Some((id, name)) if name.starts_with("refs/") && !name.ends_with("^{}") => {
                refs.ids.insert(name.to_owned(), id.to_owned());
            }
            _ => {}
        }
    }
    refs
}

/// Reads `git ls-tree -z`.
fn parse_entries(listed: &str) -> Vec<Entry> {
    listed
        .split('\0')
        .filter_map(|line| line.split_once('\t'))
        .map(|(what, name)| Entry { what: what.to_owned(), name: name.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_refs_is_read() {
        let refs = parse_refs(
            "ref: refs/heads/main\tHEAD\n11\tHEAD\n22\trefs/heads/main\n33\trefs/tags/v1\n44\trefs/tags/v1^{}\n",
        );
        assert_eq!(refs.default_branch.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs.ids.get("refs/heads/main").map(String::as_str), Some("22"));
        assert_eq!(refs.ids.len(), 2);
    }

    #[test]
    fn a_stop_that_another_covers_needs_no_flag_and_a_further_one_gets_a_name_of_its_own() {
        let scope = |plugin, when| Scope::read(plugin, None, None, when).expect("understood");
        let everything = Scope::everything();
        assert!(covers(&everything, &scope(Some("a"), None)) && covers(&everything, &everything));
        assert!(!covers(&scope(Some("a"), None), &everything));
        assert!(!covers(&scope(None, Some("after-job")), &everything));
        let entries = |names: &[&str]| -> Vec<Entry> {
            names.iter().map(|name| Entry { what: String::new(), name: (*name).to_owned() }).collect()
        };
        assert_eq!(free_name(&entries(&["README.md"])), "STOP");
        assert_eq!(free_name(&entries(&["stop", "STOP.2"])), "STOP.3");
    }

    #[test]
    fn the_entries_of_a_folder_are_read() {
        let entries = parse_entries("100644 blob 11\tREADME.md\x00100644 blob 22\tSTOP\0");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1], Entry { what: "100644 blob 22".into(), name: "STOP".into() });
    }
}
