//! What a worker remembers about releases: the floor, the release in force, the keys in force and the tags it has seen.
//!
//! The memory changes in two moves only: [`Trust::take`] when a release comes into force, [`Trust::learn_keys`] when a
//! verified tag brings a key set. `updater/engine` makes each of them durable in one step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::select::RemoteTag;
use crate::signers::{Signers, SignersError};
use crate::version::{ReleaseVersion, looks_like_release};

/// The memory; `trust.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The highest version that ever was in force here. Nothing at or below it comes into force again.
    pub floor: Option<ReleaseVersion>,
    /// The release in force.
    pub in_force: Option<InForce>,
    /// Folder of the release that was in force before, under `slots/`.
    pub previous_slot: Option<String>,
    /// The keys in force; `None` while only the pinned ones are.
    pub keys: Option<KeySet>,
    /// Tags that stood in the repository when a release came into force and were not above it: name and object id.
    pub history: BTreeMap<String, String>,
}

/// A release in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its version.
    pub version: ReleaseVersion,
    /// Id of the signed tag object.
    pub tag_id: String,
    /// Id of the commit.
    pub commit: String,
    /// Id of the commit's tree: what the slot's files must hash to.
    pub tree: String,
    /// Who signed it.
    pub signer: String,
    /// Its folder under `slots/`.
    pub slot: String,
}

/// A key set that came with a verified tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The version of the tag that brought it.
    pub from: ReleaseVersion,
    /// Its lines, in the format of `allowed_signers`.
    pub signers: String,
    /// The pinned lines it grew from. When a person pins other keys, it counts no longer.
    pub pinned: String,
}

impl Trust {
    /// The keys that judge the next tag.
    pub fn keys_in_force(&self, pinned: &Signers) -> Result<Signers, SignersError> {
        match &self.keys {
            Some(keys) if keys.pinned == pinned.to_string() => Signers::parse(&keys.signers),
            _ => Ok(pinned.clone()),
        }
    }

    /// Takes over the key set of a tag that the keys in force have just verified; whether that changed anything.
    /// A tag older than the one that brought the keys in force changes nothing.
    pub fn learn_keys(&mut self, from: ReleaseVersion, signers: &Signers, pinned: &Signers) -> bool {
        let learnt = KeySet { from, signers: signers.to_string(), pinned: pinned.to_string() };
        match &self.keys {
            Some(keys) if keys.pinned == learnt.pinned && (keys.from > from || keys.signers == learnt.signers) => false,
            _ => {
                self.keys = Some(learnt);
                true
            }
        }
    }

    /// A release comes into force: the floor rises to it, and every tag now in the repository that is not above it
    /// becomes history.
    pub fn take(&mut self, release: InForce, tags: &[RemoteTag]) {
        for tag in tags.iter().filter(|tag| looks_like_release(&tag.name)) {
            if ReleaseVersion::parse_tag(&tag.name).is_ok_and(|version| version <= release.version) {
                self.history.insert(tag.name.clone(), tag.id.clone());
            }
        }
        self.history.insert(release.version.tag(), release.tag_id.clone());
        self.floor = self.floor.max(Some(release.version));
        self.previous_slot = match self.in_force.take() {
            Some(old) if old.slot != release.slot => Some(old.slot),
            _ => self.previous_slot.take(),
        };
        self.in_force = Some(release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi\n";
    const BEN: &str = "ben ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi\n";

    fn signers(text: &str) -> Signers {
        Signers::parse(text).expect(text)
    }

    fn release(minor: u64) -> InForce {
        let version = ReleaseVersion::new(1, minor, 0);
        let text = |what: &str| format!("{what}-{minor}");
        InForce {
            version,
            tag_id: text("tag"),
            commit: text("commit"),
            tree: text("tree"),
            signer: "ann".into(),
            slot: text("slot"),
        }
    }

    fn tag(name: &str, id: &str) -> RemoteTag {
        RemoteTag { name: name.into(), id: id.into() }
    }

    #[test]
    fn taking_a_release_raises_the_floor_and_makes_what_is_there_history() {
        let mut trust = Trust::default();
        trust.take(release(0), &[tag("v1.0.0", "tag-0")]);
        trust.take(release(2), &[tag("v1.1.0", "b"), tag("v1.2.0", "tag-2"), tag("v1.3.0", "c"), tag("v1.2", "d")]);
        assert_eq!(trust.floor, Some(ReleaseVersion::new(1, 2, 0)));
        assert_eq!(trust.previous_slot.as_deref(), Some("slot-0"));
        assert_eq!(trust.history.keys().collect::<Vec<_>>(), ["v1.0.0", "v1.1.0", "v1.2.0"]);
    }

    #[test]
    fn the_pinned_keys_count_until_a_verified_tag_brings_others() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        assert_eq!(trust.keys_in_force(&ann), Ok(ann.clone()));
        assert!(trust.learn_keys(ReleaseVersion::new(1, 1, 0), &ben, &ann));
        assert_eq!(trust.keys_in_force(&ann), Ok(ben.clone()));
        assert!(!trust.learn_keys(ReleaseVersion::new(1, 0, 0), &ann, &ann), "an older tag changes nothing");
        assert_eq!(trust.keys_in_force(&ann), Ok(ben));
    }

    #[test]
    fn pinning_other_keys_overrules_what_was_learnt() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.learn_keys(ReleaseVersion::new(1, 1, 0), &ann, &ann);
        assert_eq!(trust.keys_in_force(&ben), Ok(ben));
    }
}
