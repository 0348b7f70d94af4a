//! Makes, judges and pushes a signed tag about a release: `approve/vX.Y.Z/WHO`, `promote/vX.Y.Z/RING`.
//!
//! The tag is made as an object that nothing points at, judged as workers will judge it, and pushed. What fails before
//! changes nothing.

use anyhow::Context;
use jiff::Timestamp;
use nightshift_contract::exit::Exit;
use nightshift_engine::Believed;
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::signers::Signers;
use nightshift_manifest::tag::{TagFields, signed};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_manifest::votes::{Says, Vote};
use nightshift_manifest::{SETTINGS_FILE, SIGNERS_FILE};
use serde::Serialize;

use crate::commands::release_cut::parse_version;
use crate::grid_clone::GridClone;
use crate::refusal::{OrRefuse, refusal};
use crate::releases::{self, Releases, Tags};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// A release somebody says something about, and the key they say it with.
pub(crate) struct Voter {
    clone: GridClone,
    key: SigningKey,
    known: Releases,
    /// The release.
    pub(crate) version: ReleaseVersion,
}

/// A tag about a release that was pushed, for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    /// The tag, as in `approve/v1.5.0/ben`.
    tag: String,
    /// The release's tag, and the commit that both are on.
    release: String,
    commit: String,
    /// Why workers do not take the release all the same; `null` when nothing keeps them, besides its rollout.
    pub(crate) held: Option<String>,
}

impl Said {
    /// Prints the tag, or all of it as JSON.
    pub(crate) fn show(&self, json: bool, around: &Surroundings) -> anyhow::Result<()> {
        match json {
            true => around.screen.json("vote", self),
            false => around.screen.data(&format!("{}\n", self.tag)),
        }
    }
}

impl Voter {
    /// Fetches and judges the releases; the one named has to be good.
    pub(crate) fn of(version: &str, around: &Surroundings) -> anyhow::Result<Self> {
        let version = parse_version(version)?;
        let clone = GridClone::here(around)?;
        let key = SigningKey::open(&around.config.signing_key)?;
        releases::fetch(&clone)?;
        let known = releases::judge(&clone, Tags::Central, None)?;
        let voter = Self { clone, key, known, version };
        voter.release()?;
        Ok(voter)
    }

    /// The release, as workers judge it.
    pub(crate) fn release(&self) -> anyhow::Result<&Believed> {
        let tag = self.version.tag();
        match self.known.review.verdict(&tag) {
            None => Err(refusal(Exit::NotFound, format!("the central repository has no {tag}"))),
            Some(Err(refused)) => Err(refusal(Exit::ReleaseRefused, refused.to_string())),
            Some(Ok(release)) => Ok(release),
        }
    }

    /// The name beside the person's key in the release's own tree, for a tag's name.
    pub(crate) fn who(&self) -> anyhow::Result<String> {
        let tree = self.release()?.commit.clone();
        let text = self.clone.git.run(&["cat-file", "blob", &format!("{tree}:{SIGNERS_FILE}")]).unwrap_or_default();
        let name = Signers::parse(&text)
            .ok()
            .and_then(|signers| Some(signers.find(self.key.private().public_key().key_data())?.name.clone()));
        let name = name.unwrap_or_else(|| self.key.fingerprint());
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._@+-".contains(c) { c } else { '-' };
        Ok(name
            .chars()
            .map(plain)
            .take(64)
            .collect::<String>()
            .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
            .to_owned())
    }

    /// The rings of the release's own rollout plan; none when it has no plan.
    pub(crate) fn rings(&self) -> anyhow::Result<Vec<String>> {
        let file = format!("{}:{SETTINGS_FILE}", self.release()?.commit);
        let text = self.clone.git.run(&["cat-file", "blob", &file]).context("reading the release's rollout plan")?;
        let plan = GridSettings::parse(&text, SETTINGS_FILE)?.rollout;
        Ok(plan.map(|plan| plan.rings.into_iter().map(|ring| ring.name).collect()).unwrap_or_default())
    }

    /// Files that changed since the release before it.
    pub(crate) fn changes(&self) -> anyhow::Result<Vec<String>> {
        let mut before = self.known.review.tags.iter().filter_map(|reviewed| reviewed.verdict.as_ref().ok());
        let Some(before) = before.rfind(|release| release.version < self.version) else {
            return Ok(Vec::new());
        };
        let commit = &self.release()?.commit;
        let listed = self.clone.git.run(&["diff-tree", "-r", "--no-renames", "--name-only", &before.commit, commit]);
        Ok(listed.context("comparing with the release before")?.lines().map(str::to_owned).collect())
    }

    /// Makes the tag, judges it as workers do and pushes it. What workers think of the release with it is in the answer.
    pub(crate) fn say(&self, says: Says, around: &Surroundings) -> anyhow::Result<Said> {
        let Self { clone, key, .. } = self;
        let vote = Vote { version: self.version, says };
        let name = vote.to_string();
        if !Vote::parse_tag(&name).is_some_and(|read| read == Ok(vote)) {
            let text =
                format!("{name} cannot be a tag's name: letters, digits and . _ @ + - may stand there, 64 at most");
            return Err(refusal(Exit::Usage, text));
        }
        let identity = clone.git.identity()?;
        let commit = self.release()?.commit.clone();
        let fields = TagFields {
            name: name.clone(),
            commit: commit.clone(),
            tagger: identity.who,
            time: Timestamp::from_second(identity.seconds).context("reading git's clock")?,
            message: format!("{name}\n"),
        };
        let raw = signed(&fields, key.private())?;
        let id = clone.git.run_with_input(&["hash-object", "-w", "-t", "tag", "--stdin"], &raw)?;
        let judged = releases::judge(clone, Tags::Central, Some(RemoteTag { name: name.clone(), id: id.clone() }))?;
        if let Some(Err(refused)) = judged.review.verdict(&name) {
            let text = format!("workers would not count it: {}; {}", refused.found, refused.advice);
            return Err(refusal(Exit::NotAllowed, text));
        }
        clone
            .git
            .run(&["push", "--quiet", "--no-follow-tags", &clone.remote, &format!("{id}:refs/tags/{name}")])
            .or_refuse(Exit::Failed, || format!("pushing {name}; if it is there already, nothing more is needed"))?;
        around.screen.good(format!("signed and pushed {name} to {}", clone.url()?));
        let release = self.version.tag();
        let held = match judged.review.verdict(&release) {
            Some(Ok(release)) => release.held.as_ref().map(ToString::to_string),
            Some(Err(refused)) => Some(refused.to_string()),
            None => None,
        };
        Ok(Said { tag: name, release, commit, held })
    }
}
