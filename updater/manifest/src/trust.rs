//! What a worker remembers about releases: the floor, the release in force, the keys in force and the tags it has seen.
//!
//! The memory changes in these moves only: [`Trust::pin`] when a person pins other keys, [`Trust::believe`] when a tag
//! was verified, [`Trust::take`] when a release comes into force, [`Trust::go_back`] when it is left for the one before. `updater/engine` makes each of them durable in one
//! step.

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
    /// The pinned keys, in the format of `allowed_signers`, that everything below grew from.
    pub pinned: String,
    /// The keys in force; `None` while only the pinned ones are.
    pub keys: Option<KeySet>,
    /// Tags above the floor that were verified, by name. They stay verified when the keys change: a tag that hands over
    /// to another key is judged by the keys before it, also when it is judged again after a power cut.
    pub verified: BTreeMap<String, VerifiedBy>,
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
}

/// A verified tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedBy {
    /// Id of the tag object.
    pub id: String,
    /// The keys that were in force then, in the format of `allowed_signers`.
    pub signers: String,
}

impl Trust {
    /// Begins with the pinned keys. Other ones than before are a person's decision, which overrules every key that was
    /// learnt; the floor and the release in force stay.
    pub fn pin(&mut self, pinned: &Signers) {
        let pinned = pinned.to_string();
        if self.pinned != pinned {
            self.pinned = pinned;
            self.keys = None;
            self.verified.clear();
        }
    }

    /// The keys that judge a tag: those that verified this very object before, else those in force.
    pub fn keys_for(&self, tag: &str, id: &str) -> Result<Signers, SignersError> {
        let verified = self.verified.get(tag).filter(|verified| verified.id == id);
        let in_force = || self.keys.as_ref().map_or(&self.pinned, |keys| &keys.signers);
        Signers::parse(verified.map_or_else(in_force, |verified| &verified.signers))
    }

    /// Takes note of a tag that was verified by `keys`, and takes over the key set it brings, at once. A tag older than
    /// the one that brought the keys in force changes nothing about them.
    pub fn believe(&mut self, version: ReleaseVersion, id: &str, keys: &Signers, brings: Option<&Signers>) {
        self.verified.insert(version.tag(), VerifiedBy { id: id.to_owned(), signers: keys.to_string() });
        let is_newest = self.keys.as_ref().is_none_or(|keys| keys.from <= version);
        if let Some(signers) = brings.filter(|_| is_newest) {
            self.keys = Some(KeySet { from: version, signers: signers.to_string() });
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
        self.verified.retain(|tag, _| ReleaseVersion::parse_tag(tag).is_ok_and(|version| version > release.version));
        self.previous_slot = match self.in_force.take() {
            Some(old) if old.slot != release.slot => Some(old.slot),
            _ => self.previous_slot.take(),
        };
        self.in_force = Some(release);
    }

    /// Goes one step back, to the release that was in force before; there is no further step. The floor stays, and with
    /// it everything that was learnt: what was gone back from is not taken again.
    pub fn go_back(&mut self, before: InForce) {
        if let Some(left) = self.in_force.replace(before) {
            self.history.insert(left.version.tag(), left.tag_id);
        }
        self.previous_slot = None;
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
    fn going_back_is_one_step_and_lowers_no_floor() {
        let mut trust = Trust::default();
        trust.take(release(0), &[]);
        trust.take(release(1), &[]);
        trust.go_back(release(0));
        assert_eq!(trust.in_force, Some(release(0)));
        assert_eq!((trust.floor, trust.previous_slot), (Some(ReleaseVersion::new(1, 1, 0)), None));
    }

    #[test]
    fn the_pinned_keys_count_until_a_verified_tag_brings_others() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann);
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ann.clone()));
        trust.believe(ReleaseVersion::new(1, 1, 0), "a", &ann, Some(&ben));
        assert_eq!(trust.keys_for("v1.2.0", "b"), Ok(ben.clone()));
        trust.believe(ReleaseVersion::new(1, 0, 0), "c", &ben, Some(&ann));
        assert_eq!(trust.keys_for("v1.2.0", "b"), Ok(ben), "an older tag changes nothing");
    }

    #[test]
    fn a_tag_that_hands_over_to_another_key_stays_judged_by_the_keys_before_it() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann);
        trust.believe(ReleaseVersion::new(1, 1, 0), "a", &ann, Some(&ben));
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ann));
        assert_eq!(trust.keys_for("v1.1.0", "moved"), Ok(ben));
    }

    #[test]
    fn pinning_other_keys_overrules_what_was_learnt() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann);
        trust.believe(ReleaseVersion::new(1, 1, 0), "a", &ann, Some(&ann));
        trust.take(release(0), &[]);
        trust.pin(&ben);
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ben));
        assert_eq!(trust.floor, Some(ReleaseVersion::new(1, 0, 0)));
    }

    #[test]
    fn keys_that_cannot_be_read_are_not_replaced_by_others() {
        let mut trust = Trust::default();
        trust.pin(&signers(ANN));
        trust.keys = Some(KeySet { from: ReleaseVersion::new(1, 0, 0), signers: "of a later version".into() });
        trust.keys_for("v1.1.0", "a").expect_err("fails closed");
    }
}
