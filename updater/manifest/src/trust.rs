//! What a worker remembers about releases: the floor, the release in force, the keys in force and the tags it has seen.
//!
//! The memory changes in a few moves only: [`Trust::pin`] when a person pins other keys, [`Trust::believe`] when a tag was
//! verified, [`Trust::note_vote`] when an approval or promotion was, [`Trust::deny`] when a release was found bad,
//! [`Trust::take`] when a release comes into force, [`Trust::go_back`] when it is left for the one before.
//! `updater/engine` makes each of them durable in one step.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::held::{Held, HeldBy};
use crate::revoked::Revoked;
use crate::select::RemoteTag;
use crate::signers::{Signer, Signers, SignersError};
use crate::succession::{self, Claim};
use crate::tag::VerifiedTag;
use crate::version::{ReleaseVersion, looks_like_release};
use crate::votes::Vote;

/// The memory.
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
    /// The pinned recovery key, a line of `allowed_signers`. Its tags count whatever the keys in force say.
    #[serde(default)]
    pub recovery: Option<String>,
    /// The keys in force; `None` while only the pinned ones are.
    pub keys: Option<KeySet>,
    /// Keys that never count again.
    #[serde(default)]
    pub revoked: Revoked,
    /// How many people have to stand behind a release; `None` until a verified tag says.
    #[serde(default)]
    pub threshold: Option<Threshold>,
    /// Releases that are not taken again, by the id of their tag object.
    #[serde(default)]
    pub denied: BTreeMap<String, Denied>,
    /// Tags above the floor that were verified, by name. They stay verified when the keys change: a tag that hands over
    /// to another key is judged by the keys before it, also when it is judged again after a power cut.
    pub verified: BTreeMap<String, VerifiedBy>,
    /// Approvals and promotions of releases above the floor that were verified, by name.
    #[serde(default)]
    pub votes: BTreeMap<String, Seen>,
    /// Tags that stood in the repository when a release came into force and were not above it: name and object id.
    pub history: BTreeMap<String, String>,
    /// Those of them that were gone from the repository when the last release came into force.
    #[serde(default)]
    pub long_gone: BTreeSet<String>,
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
    /// The keys that judged it, in the format of `allowed_signers`.
    #[serde(default)]
    pub judged_by: String,
    /// Its folder under `slots/`.
    pub slot: String,
}

/// A key set that came with a verified tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The version of the tag that brought it.
    pub from: ReleaseVersion,
    /// The fingerprint of the key that signed that tag.
    #[serde(default)]
    pub by: String,
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
    /// How many people had to stand behind it.
    #[serde(default = "one")]
    pub needed: u32,
    /// Another object stood under this name before.
    #[serde(default)]
    pub moved: bool,
}

fn one() -> u32 {
    1
}

/// A number of people that a verified tag asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// The version of the tag that asked for it.
    pub from: ReleaseVersion,
    /// So many, the signer among them.
    pub needed: u32,
}

/// A tag that was seen, and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Id of the tag object.
    pub id: String,
    /// Another object stood under this name before.
    #[serde(default)]
    pub moved: bool,
}

/// A release that is not taken again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Its tag.
    pub tag: String,
    /// What denied it.
    pub by: HeldBy,
    /// Why, in words for the person who released it.
    pub why: String,
}

/// What a verified tag says beyond its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brings {
    /// The key set for the tags after it; `None` leaves the one in force.
    pub signers: Option<Signers>,
    /// The keys it revokes.
    pub revokes: Revoked,
    /// How many people have to stand behind the releases after it; `None` when its settings cannot be read.
    pub threshold: Option<u32>,
}

impl Trust {
    /// Begins with the pinned keys. Other ones than before are a person's decision, which overrules every key that was
    /// learnt; the floor and the release in force stay.
    ///
    /// A key that was revoked stays revoked, pinned or not: whoever pins anew pins a new key.
    pub fn pin(&mut self, pinned: &Signers, recovery: Option<&Signer>) {
        self.recovery = recovery.map(Signer::to_string);
        let pinned = pinned.to_string();
        if self.pinned != pinned {
            self.pinned = pinned;
            self.keys = None;
            self.verified.clear();
        }
    }

    /// The keys that judge a tag: those that verified this very object before, else those in force; without the revoked
    /// ones, and always the recovery key.
    pub fn keys_for(&self, tag: &str, id: &str) -> Result<Signers, SignersError> {
        let verified = self.verified.get(tag).filter(|verified| verified.id == id);
        let in_force = || self.keys.as_ref().map_or(&self.pinned, |keys| &keys.signers);
        let keys = Signers::parse(verified.map_or_else(in_force, |verified| &verified.signers))?.without(&self.revoked);
        Ok(match &self.recovery {
            Some(recovery) => keys.and(&Signer::parse(recovery)?),
            None => keys,
        })
    }

    /// The keys that sign the releases after a tag that brings `brings` and makes the claim: those, or the ones in force,
    /// without the revoked ones and without the recovery key.
    pub fn keys_after(&self, brings: Option<&Signers>, claim: &Claim) -> Result<Signers, SignersError> {
        let in_force = || Signers::parse(self.keys.as_ref().map_or(&self.pinned, |keys| &keys.signers));
        let mut out = self.revoked.clone();
        succession::add(&mut out, claim, None);
        if let Some(recovery) = self.recovery_fingerprint() {
            out.add(&recovery, "");
        }
        Ok(brings.map_or_else(in_force, |brings| Ok(brings.clone()))?.without(&out))
    }

    /// The fingerprint of the recovery key.
    pub fn recovery_fingerprint(&self) -> Option<String> {
        Some(Signer::parse(self.recovery.as_deref()?).ok()?.fingerprint().to_string())
    }

    /// How many people have to stand behind a release, the one who signs it among them.
    pub fn needed(&self) -> u32 {
        self.threshold.as_ref().map_or(1, |threshold| threshold.needed)
    }

    /// How many of them a tag needs: as many as when this very object was verified before, else as many as now.
    pub fn needed_for(&self, tag: &str, id: &str) -> u32 {
        let verified = self.verified.get(tag).filter(|verified| verified.id == id);
        verified.map_or_else(|| self.needed(), |verified| verified.needed)
    }

    /// What a verified tag claims about keys.
    pub fn claim(&self, tag: &VerifiedTag, revokes: &Revoked) -> Claim {
        Claim {
            by_recovery: self.recovery_fingerprint().as_deref() == Some(&tag.fingerprint),
            signer: tag.fingerprint.clone(),
            revokes: revokes.clone(),
            remark: format!("by {}, signed by {}", tag.version.tag(), tag.signer),
        }
    }

    /// Takes note of a tag that was verified by `keys`, and takes over what it brings, at once. A tag older than the one
    /// that brought the keys in force changes nothing about them, unless the key that brought those was revoked since.
    /// What it revokes is revoked whatever its version.
    pub fn believe(&mut self, tag: &VerifiedTag, id: &str, keys: &Signers, brings: &Brings) {
        let version = tag.version;
        let before = self.verified.get(&version.tag());
        let moved = before.is_some_and(|before| before.moved || before.id != id);
        let needed = self.needed_for(&version.tag(), id);
        let verified = VerifiedBy { id: id.to_owned(), signers: keys.to_string(), needed, moved };
        self.verified.insert(version.tag(), verified);
        let recovery = self.recovery_fingerprint();
        let claim = self.claim(tag, &brings.revokes);
        succession::add(&mut self.revoked, &claim, recovery.as_deref());
        let is_newest = self.keys.as_ref().is_none_or(|keys| keys.from <= version || self.revoked.has(&keys.by));
        if let Some(signers) = brings.signers.as_ref().filter(|_| is_newest) {
            self.keys = Some(KeySet { from: version, by: tag.fingerprint.clone(), signers: signers.to_string() });
        }
        let is_newest = self.threshold.as_ref().is_none_or(|threshold| threshold.from <= version);
        if let Some(needed) = brings.threshold.filter(|_| is_newest) {
            self.threshold = Some(Threshold { from: version, needed });
        }
    }

    /// Takes note of an approval or promotion that was verified.
    pub fn note_vote(&mut self, tag: &str, id: &str) {
        let moved = self.votes.get(tag).is_some_and(|before| before.moved || before.id != id);
        self.votes.insert(tag.to_owned(), Seen { id: id.to_owned(), moved });
    }

    /// Never takes this release again, whatever name it is found under.
    pub fn deny(&mut self, tag_id: &str, denied: Denied) {
        self.denied.insert(tag_id.to_owned(), denied);
    }

    /// A release that is denied, held back.
    pub fn denial(&self, tag: &str, tag_id: &str) -> Option<Held> {
        let denied = self.denied.get(tag_id)?;
        Some(Held { tag: tag.to_owned(), tag_id: tag_id.to_owned(), kind: denied.by, why: denied.why.clone() })
    }

    /// A release comes into force: the floor rises to it, and every tag now in the repository that is not above it
    /// becomes history. What is no longer there is not told of any more.
    pub fn take(&mut self, release: InForce, tags: &[RemoteTag]) {
        for tag in tags.iter().filter(|tag| looks_like_release(&tag.name)) {
            if ReleaseVersion::parse_tag(&tag.name).is_ok_and(|version| version <= release.version) {
                self.history.insert(tag.name.clone(), tag.id.clone());
            }
        }
        self.history.insert(release.version.tag(), release.tag_id.clone());
        let gone = self.history.keys().filter(|name| !tags.iter().any(|tag| tag.name == **name));
        self.long_gone = gone.filter(|name| **name != release.version.tag()).cloned().collect();
        self.floor = self.floor.max(Some(release.version));
        self.verified.retain(|tag, _| ReleaseVersion::parse_tag(tag).is_ok_and(|version| version > release.version));
        let is_above = |vote: Vote| vote.version > release.version;
        self.votes.retain(|tag, _| Vote::parse_tag(tag).is_some_and(|vote| vote.is_ok_and(is_above)));
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
    const BEN: &str = "ben ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n";

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
            judged_by: String::new(),
            slot: text("slot"),
        }
    }

    fn tag(name: &str, id: &str) -> RemoteTag {
        RemoteTag { name: name.into(), id: id.into() }
    }

    fn verified(minor: u64, fingerprint: &str) -> VerifiedTag {
        VerifiedTag {
            version: ReleaseVersion::new(1, minor, 0),
            commit: String::new(),
            signer: "ann".into(),
            fingerprint: fingerprint.into(),
            tagger_time: jiff::Timestamp::UNIX_EPOCH,
            message: String::new(),
        }
    }

    fn brings(signers: Option<&Signers>) -> Brings {
        Brings { signers: signers.cloned(), revokes: Revoked::default(), threshold: Some(1) }
    }

    fn fingerprint(line: &str) -> String {
        Signer::parse(line).expect("one key").fingerprint().to_string()
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
        trust.pin(&ann, None);
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ann.clone()));
        trust.believe(&verified(1, ""), "a", &ann, &brings(Some(&ben)));
        assert_eq!(trust.keys_for("v1.2.0", "b"), Ok(ben.clone()));
        trust.believe(&verified(0, ""), "c", &ben, &brings(Some(&ann)));
        assert_eq!(trust.keys_for("v1.2.0", "b"), Ok(ben), "an older tag changes nothing");
    }

    #[test]
    fn a_tag_that_hands_over_to_another_key_stays_judged_by_the_keys_before_it() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann, None);
        trust.believe(&verified(1, ""), "a", &ann, &brings(Some(&ben)));
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ann));
        assert_eq!(trust.keys_for("v1.1.0", "moved"), Ok(ben));
    }

    #[test]
    fn pinning_other_keys_overrules_what_was_learnt() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann, None);
        trust.believe(&verified(1, ""), "a", &ann, &brings(Some(&ann)));
        trust.take(release(0), &[]);
        trust.pin(&ben, None);
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(ben));
        assert_eq!(trust.floor, Some(ReleaseVersion::new(1, 0, 0)));
    }

    #[test]
    fn keys_that_cannot_be_read_are_not_replaced_by_others() {
        let mut trust = Trust::default();
        trust.pin(&signers(ANN), None);
        trust.keys = Some(KeySet {
            from: ReleaseVersion::new(1, 0, 0),
            by: String::new(),
            signers: "of a later version".into(),
        });
        trust.keys_for("v1.1.0", "a").expect_err("fails closed");
    }

    #[test]
    fn a_revoked_key_judges_nothing_any_more_also_what_it_verified_before() {
        let both = signers(&format!("{ANN}{BEN}"));
        let mut trust = Trust::default();
        trust.pin(&both, None);
        trust.believe(&verified(1, &fingerprint(ANN)), "a", &both, &brings(None));
        let mut revokes = brings(None);
        revokes.revokes.add(&fingerprint(ANN), "");
        trust.believe(&verified(2, &fingerprint(BEN)), "b", &both, &revokes);
        assert_eq!(trust.keys_for("v1.1.0", "a"), Ok(signers(BEN)));
        assert_eq!(trust.revoked.remark(&fingerprint(ANN)), Some("by v1.2.0, signed by ann"));
        trust.pin(&signers(ANN), None);
        assert_eq!(trust.keys_for("v1.3.0", "c").map(|keys| keys.people()), Ok(0), "pinned again or not");
    }

    #[test]
    fn the_recovery_key_counts_whatever_the_keys_in_force_say() {
        let mut trust = Trust::default();
        trust.pin(&signers(ANN), Some(&Signer::parse(BEN).expect("one key")));
        let mut revokes = brings(None);
        revokes.revokes.add(&fingerprint(BEN), "");
        trust.believe(&verified(1, &fingerprint(ANN)), "a", &signers(ANN), &revokes);
        assert_eq!(trust.keys_for("v1.2.0", "b"), Ok(signers(&format!("{ANN}{BEN}"))));
    }

    #[test]
    fn keys_that_a_revoked_key_brought_give_way_to_a_lower_version() {
        let (ann, ben) = (signers(ANN), signers(BEN));
        let mut trust = Trust::default();
        trust.pin(&ann, None);
        trust.believe(&verified(9, "stolen"), "a", &ann, &brings(Some(&ann)));
        let mut revokes = brings(Some(&ben));
        revokes.revokes.add("stolen", "");
        trust.believe(&verified(2, "recovery"), "b", &ann, &revokes);
        assert_eq!(trust.keys_for("v1.3.0", "c"), Ok(ben));
    }

    #[test]
    fn how_many_people_are_needed_is_taken_over_in_version_order() {
        let ann = signers(ANN);
        let mut trust = Trust::default();
        assert_eq!(trust.needed(), 1);
        for (minor, needed) in [(2, 2), (1, 1)] {
            let brings = Brings { threshold: Some(needed), ..brings(None) };
            trust.believe(&verified(minor, ""), "a", &ann, &brings);
        }
        assert_eq!(trust.needed(), 2, "an older tag changes nothing");
        let needed = [("v1.2.0", "a"), ("v1.2.0", "moved"), ("v1.4.0", "b")].map(|(tag, id)| trust.needed_for(tag, id));
        assert_eq!(needed, [1, 2, 2], "a tag is not judged by what it asks for itself");
        trust.believe(&verified(3, ""), "a", &ann, &Brings { threshold: None, ..brings(None) });
        assert_eq!(trust.needed(), 2, "nor do settings that cannot be read");
    }

    #[test]
    fn a_denied_release_is_held_back_under_every_name() {
        let mut trust = Trust::default();
        let denied = Denied { tag: "v1.5.0".into(), by: HeldBy::Trial, why: "its core crashed at once".into() };
        trust.deny("abc", denied);
        for name in ["v1.5.0", "v1.6.0"] {
            let held = trust.denial(name, "abc").expect("denied");
            assert_eq!((held.tag.as_str(), held.kind), (name, HeldBy::Trial));
        }
        assert_eq!(trust.denial("v1.5.0", "cut anew"), None);
    }
}
