//! A release that changes who may sign: the files under `keys/` are edited, the release cut, and the files put back when it
//! could not be.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::revoked::Revoked;
use nightshift_manifest::signers::{Signer, Signers};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_manifest::{REVOKED_FILE, SIGNERS_FILE};

use crate::candidate::Candidate;
use crate::commands::release_cut::{self, Cut, Order, parse_version};
use crate::grid_clone::GridClone;
use crate::refusal::refusal;
use crate::releases::{self, Tags};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// The files under `keys/` of a clone, as they were and as they will be.
#[derive(Debug)]
pub(crate) struct KeyChange {
    clone: GridClone,
    /// Who may sign, as the files say now.
    pub(crate) signers: Vec<Signer>,
    /// Who never may again.
    pub(crate) revoked: Revoked,
    before: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl KeyChange {
    /// Reads the keys of the clone the person stands in. Nothing else in it may be uncommitted: the release is to change
    /// keys and nothing besides.
    pub(crate) fn begin(around: &Surroundings) -> anyhow::Result<Self> {
        let clone = GridClone::here(around)?;
        clone.branch()?;
        if let Some(change) = Candidate::of(&clone, None)?.uncommitted.first() {
            let text = format!(
                "{} is not committed, and a release that changes keys should change nothing else; commit or `git stash` it \
                 first",
                change.path
            );
            return Err(refusal(Exit::Usage, text));
        }
        let path = |file: &str| clone.root.join(file);
        let read = |file: &str| match fs::read(path(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {file}")),
        };
        let before = vec![(path(SIGNERS_FILE), read(SIGNERS_FILE)?), (path(REVOKED_FILE), read(REVOKED_FILE)?)];
        let text = |at: usize| String::from_utf8_lossy(before[at].1.as_deref().unwrap_or_default()).into_owned();
        let signers = Signers::parse(&text(0)).with_context(|| format!("reading {SIGNERS_FILE}"))?;
        let revoked = Revoked::parse(&text(1)).with_context(|| format!("reading {REVOKED_FILE}"))?;
        Ok(Self { clone, signers: signers.iter().cloned().collect(), revoked, before })
    }

    /// The version that was typed, or the next above every release there is.
    pub(crate) fn version(&self, typed: Option<&str>) -> anyhow::Result<ReleaseVersion> {
        if let Some(typed) = typed {
            return parse_version(typed);
        }
        releases::fetch(&self.clone)?;
        let known = releases::judge(&self.clone, Tags::Central, None)?;
        let newest = known.review.newest().map(|newest| newest.version);
        newest.map(|newest| newest.next()).ok_or_else(|| {
            refusal(
                Exit::Usage,
                "there is no release yet whose version could be counted on from; name one, as in 1.0.0",
            )
        })
    }

    /// Puts `new` in the place of the line with `old`'s key.
    pub(crate) fn exchange(&mut self, old: &SigningKey, new: &SigningKey) -> anyhow::Result<()> {
        let fingerprint = old.fingerprint();
        let line = self.signers.iter_mut().find(|signer| signer.fingerprint().to_string() == fingerprint);
        let Some(line) = line else {
            let text = format!("{SIGNERS_FILE} does not name your key {fingerprint}: it signs no releases anyway");
            return Err(refusal(Exit::Usage, text));
        };
        *line = Signer::parse(&new.allowed_signers_line(&line.name)).context("writing the new key's line")?;
        Ok(())
    }

    /// Writes the files and cuts the release. When it cannot be cut, the files are as they were.
    pub(crate) fn cut(
        self,
        version: ReleaseVersion,
        key: &SigningKey,
        next_key: &SigningKey,
        around: &Surroundings,
    ) -> anyhow::Result<Cut> {
        let order = Order { version, no_push: false, yes: true, binaries: None, key, next_key };
        let done = self.write().and_then(|()| release_cut::cut(&order, &self.clone, around));
        if done.is_err() {
            self.put_back()?;
        }
        done
    }

    fn write(&self) -> anyhow::Result<()> {
        let signers: String = self.signers.iter().map(|signer| format!("{signer}\n")).collect();
        let revoked = self.revoked.to_string();
        for ((path, before), text) in self.before.iter().zip([signers, revoked]) {
            if before.is_some() || !text.is_empty() {
                fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn put_back(&self) -> anyhow::Result<()> {
        for (path, before) in &self.before {
            let done = match before {
                Some(bytes) => fs::write(path, bytes),
                None if path.exists() => fs::remove_file(path),
                None => Ok(()),
            };
            done.with_context(|| format!("putting {} back; `git checkout -- keys` does it", path.display()))?;
        }
        Ok(())
    }
}
