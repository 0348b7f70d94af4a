//! Judges the tags above the floor: which are good, which keys count after them, what else was said about them.
//!
//! The rules are `updater/manifest`'s ([`nightshift_manifest::succession`] says in which order); here is reading what they
//! need. The tree of a tag is opened only after its signature was found good.

use std::collections::BTreeMap;
use std::error::Error;

use git2::{ObjectType, Oid};
use nightshift_manifest::content::{self, Content};
use nightshift_manifest::held::{Held, HeldBy, Promotion, Verified};
use nightshift_manifest::refusal::{Refusal, Rule};
use nightshift_manifest::select::{Ballot, Candidate, Plan};
use nightshift_manifest::signers::Signers;
use nightshift_manifest::succession::{self, Claim};
use nightshift_manifest::tag::{self, TagRefusal, VerifiedTag};
use nightshift_manifest::trust::{Brings, InForce, Trust};
use nightshift_manifest::votes::{self, Says, Voice};

use crate::fetch::Faults;
use crate::git::{GitError, LocalClone};
use crate::slot::{self, StagedFile};
use crate::sync::{SyncError, Unfetched};
use crate::walk::{read_manifests, root_of, walk};

/// A tag that may come into force.
pub(crate) struct Good {
    pub(crate) release: InForce,
    pub(crate) content: Content,
    pub(crate) files: Vec<StagedFile>,
    /// The rings opened for it early.
    pub(crate) promotions: Vec<Promotion>,
    /// What holds it back whatever other gates say: approvals that are missing, a denial.
    pub(crate) held: Option<Held>,
    /// The key that signed it.
    fingerprint: String,
}

impl Good {
    /// This release as gates judge it.
    pub(crate) fn verified(&self) -> Verified<'_> {
        Verified {
            version: self.release.version,
            tag_id: &self.release.tag_id,
            commit: &self.release.commit,
            signer: &self.release.signer,
            content: &self.content,
            promotions: &self.promotions,
        }
    }
}

/// What the candidates came to.
pub(crate) struct Judged {
    /// Lowest version first.
    pub(crate) good: Vec<Good>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) unfetched: Vec<Unfetched>,
    pub(crate) notes: Vec<String>,
    /// The memory with what was believed.
    pub(crate) trust: Trust,
}

/// What a good tag's tree says.
#[derive(Clone)]
struct Opened {
    root: Oid,
    brings: Brings,
    content: Result<Content, String>,
    files: Vec<StagedFile>,
}

/// A tag with a good signature, its tree opened.
struct Signed {
    tag: VerifiedTag,
    /// The keys that judged it.
    keys: Signers,
    opened: Opened,
    claim: Claim,
}

/// What others said about a release.
#[derive(Default)]
struct Said {
    approvals: Vec<Voice>,
    promotions: Vec<Promotion>,
    /// Tags that count, with their ids.
    noted: Vec<(String, String)>,
    refused: Vec<Refusal>,
}

/// Everything that is judged.
struct Court<'c> {
    clone: &'c LocalClone,
    ballots: &'c [Ballot],
    /// Trees that were opened before.
    opened: BTreeMap<String, Result<Opened, Refusal>>,
}

const CORRECT: &str = "correct it and cut a release under a higher version";

/// Judges the candidates of a plan. `faults` are the tags that could not be fetched.
pub(crate) fn judge_all(clone: &LocalClone, plan: &Plan, faults: &Faults, trust: &Trust) -> Result<Judged, SyncError> {
    let mut court = Court { clone, ballots: &plan.votes, opened: BTreeMap::new() };
    let mut judged = Judged {
        good: Vec::new(),
        refused: Vec::new(),
        unfetched: Vec::new(),
        notes: Vec::new(),
        trust: trust.clone(),
    };
    let mut present = Vec::new();
    for candidate in &plan.judge {
        let tag = candidate.version.tag();
        match (faults.get(&candidate.version), Oid::from_str(&candidate.id)) {
            (Some(error), _) => {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                judged.unfetched.push(Unfetched { tag, why });
            }
            (None, Ok(id)) if clone.has(id) => present.push((candidate, id)),
            _ => judged.notes.push(format!("{tag} changed while it was fetched; the next look decides")),
        }
    }
    court.hear_revocations(&present, &mut judged.trust)?;
    for (candidate, id) in &present {
        match court.judge(candidate, *id, &mut judged)? {
            Ok(good) => judged.good.push(good),
            Err(refusal) => judged.refused.push(refusal),
        }
    }
    drop_revoked(&mut judged);
    Ok(judged)
}

/// A release stays out when its signer was revoked by a later one. Only the recovery key is never revoked.
fn drop_revoked(judged: &mut Judged) {
    let (revoked, refused) = (&judged.trust.revoked, &mut judged.refused);
    judged.good.retain(|good| {
        let fingerprint = good.fingerprint.clone();
        let Some(remark) = revoked.remark(&fingerprint).map(str::to_owned) else { return true };
        let refusal = TagRefusal::Revoked { fingerprint, remark };
        refused.push(refusal.of(&good.release.version.tag(), &good.release.tag_id));
        false
    });
}

impl Court<'_> {
    /// What keys in force revoke is heard before anything is judged in its turn.
    fn hear_revocations(&mut self, present: &[(&Candidate, Oid)], trust: &mut Trust) -> Result<(), SyncError> {
        let mut claims = Vec::new();
        for (candidate, id) in present {
            if let Ok(signed) = self.signed(candidate, *id, trust)?
                && signed.claim.revokes.fingerprints().any(|key| !trust.revoked.has(key))
                && check_keys(&signed, trust)?.is_ok()
                && (signed.claim.by_recovery || self.missing(candidate, &signed, trust)?.0.is_none())
            {
                claims.push(signed.claim);
            }
        }
        let recovery = trust.recovery_fingerprint();
        trust.revoked = succession::heard_first(&trust.revoked, &claims, recovery.as_deref());
        Ok(())
    }

    /// Judges one candidate in its turn, and takes over what it says when it is believed.
    fn judge(
        &mut self,
        candidate: &Candidate,
        id: Oid,
        judged: &mut Judged,
    ) -> Result<Result<Good, Refusal>, SyncError> {
        let signed = match self.signed(candidate, id, &judged.trust)? {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let signer = Some(signed.tag.signer.as_str());
        if let Err(found) = check_keys(&signed, &judged.trust)? {
            return Ok(Err(refuse(candidate, Rule::Keys, signer, found, CORRECT)));
        }
        let (missing, said) = self.missing(candidate, &signed, &judged.trust)?;
        judged.refused.extend(said.refused);
        said.noted.iter().for_each(|(tag, id)| judged.trust.note_vote(tag, id));
        let tag_name = candidate.version.tag();
        let held = match missing.filter(|_| !signed.claim.by_recovery) {
            Some(why) => {
                let why = format!(
                    "{why}; somebody else looks at it and runs: nightshift release approve {}",
                    candidate.version
                );
                Some(Held { tag: tag_name, tag_id: candidate.id.clone(), kind: HeldBy::Approval, why })
            }
            None => {
                judged.trust.believe(&signed.tag, &candidate.id, &signed.keys, &signed.opened.brings);
                judged.trust.denial(&tag_name, &candidate.id)
            }
        };
        let content = match signed.opened.content {
            Ok(content) => content,
            Err(found) => return Ok(Err(refuse(candidate, Rule::Content, signer, found, CORRECT))),
        };
        Ok(Ok(Good {
            release: InForce {
                version: candidate.version,
                tag_id: candidate.id.clone(),
                commit: signed.tag.commit,
                tree: signed.opened.root.to_string(),
                signer: signed.tag.signer,
                judged_by: signed.keys.to_string(),
                slot: slot::name(candidate.version, &candidate.id),
            },
            content,
            files: signed.opened.files,
            promotions: said.promotions,
            held,
            fingerprint: signed.tag.fingerprint,
        }))
    }

    /// The candidate's signature, by the keys that `trust` has for it, and what its tree says.
    fn signed(&mut self, candidate: &Candidate, id: Oid, trust: &Trust) -> Result<Result<Signed, Refusal>, SyncError> {
        let tag_name = candidate.version.tag();
        let raw = match raw_tag(self.clone, id)? {
            Ok(raw) => raw,
            Err(Unreadable::Lightweight) => {
                let advice = "make a signed tag: nightshift release cut, or git tag -s with gpg.format=ssh";
                let found = "it is a lightweight tag, which cannot be signed".to_owned();
                return Ok(Err(refuse(candidate, Rule::Annotated, None, found, advice)));
            }
            Err(Unreadable::TooLarge) => return Ok(Err(TagRefusal::TOO_LARGE.of(&tag_name, &candidate.id))),
        };
        let keys = trust.keys_for(&tag_name, &candidate.id)?;
        let tag = match tag::verify(&raw, &tag_name, &keys) {
            Ok(tag) => tag,
            Err(refusal) => return Ok(Err(refusal.knowing(&trust.revoked).of(&tag_name, &candidate.id))),
        };
        let opened = match self.opened.get(&candidate.id) {
            Some(opened) => opened.clone(),
            None => {
                let opened = open(self.clone, candidate, &tag)?;
                self.opened.insert(candidate.id.clone(), opened.clone());
                opened
            }
        };
        Ok(opened.map(|opened| {
            let claim = trust.claim(&tag, &opened.brings.revokes);
            Signed { tag, keys, opened, claim }
        }))
    }

    /// What is missing of the approvals a release needs, and all that was said about it.
    fn missing(
        &self,
        candidate: &Candidate,
        signed: &Signed,
        trust: &Trust,
    ) -> Result<(Option<String>, Said), SyncError> {
        let said = self.said(candidate, signed, trust)?;
        let signer = Voice { name: signed.tag.signer.clone(), fingerprint: signed.tag.fingerprint.clone() };
        let needed = trust.needed_for(&candidate.version.tag(), &candidate.id);
        Ok((votes::enough(needed, &signer, &said.approvals).err(), said))
    }

    /// The approvals and promotions of a release, judged by the keys that judge it. One that could not be fetched counts
    /// for nothing.
    fn said(&self, candidate: &Candidate, signed: &Signed, trust: &Trust) -> Result<Said, SyncError> {
        let mut said = Said::default();
        for ballot in self.ballots.iter().filter(|ballot| ballot.vote.version == candidate.version) {
            let Some(id) = Oid::from_str(&ballot.id).ok().filter(|id| self.clone.has(*id)) else { continue };
            let name = ballot.vote.to_string();
            let verified = match raw_tag(self.clone, id)? {
                Ok(raw) => tag::verify_vote(&raw, &name, &ballot.vote, &signed.tag.commit, &signed.keys),
                Err(Unreadable::Lightweight) => Err(TagRefusal::Unsigned),
                Err(Unreadable::TooLarge) => Err(TagRefusal::TOO_LARGE),
            };
            match (verified, &ballot.vote.says) {
                (Err(refusal), _) => said.refused.push(refusal.knowing(&trust.revoked).of(&name, &ballot.id)),
                (Ok(voice), says) => {
                    said.noted.push((name, ballot.id.clone()));
                    match says {
                        Says::Approve(_) => said.approvals.push(voice),
                        Says::Promote(ring) => {
                            let (version, ring) = (candidate.version, ring.clone());
                            said.promotions.push(Promotion { version, ring, signer: voice.name });
                        }
                    }
                }
            }
        }
        Ok(said)
    }
}

/// The raw bytes of a tag object.
pub(crate) fn raw_tag(clone: &LocalClone, id: Oid) -> Result<Result<Vec<u8>, Unreadable>, GitError> {
    let (kind, size) = clone.size(id)?;
    Ok(match (kind, size > tag::MAX_TAG_BYTES as u64) {
        (ObjectType::Tag, false) => Ok(clone.read(id)?.1),
        (ObjectType::Tag, true) => Err(Unreadable::TooLarge),
        _ => Err(Unreadable::Lightweight),
    })
}

/// Why there are no bytes of a tag to judge.
pub(crate) enum Unreadable {
    /// It is no tag object.
    Lightweight,
    /// It is not read.
    TooLarge,
}

/// What is wrong with what a tag says about keys.
fn check_keys(signed: &Signed, trust: &Trust) -> Result<Result<(), String>, SyncError> {
    let brings = &signed.opened.brings;
    let left = trust.keys_after(brings.signers.as_ref(), &signed.claim)?;
    Ok(succession::check_keys(&signed.claim, &left, brings.threshold.unwrap_or_else(|| trust.needed())))
}

/// Reads what a believed tag's tree says.
fn open(clone: &LocalClone, candidate: &Candidate, tag: &VerifiedTag) -> Result<Result<Opened, Refusal>, GitError> {
    let signer = Some(tag.signer.as_str());
    let refuse = |rule, found: String| Ok(Err(refuse(candidate, rule, signer, found, CORRECT)));
    let Some(root) = root_of(clone, tag)? else {
        let malformed = TagRefusal::Malformed("it does not name a commit");
        return Ok(Err(malformed.of(&candidate.version.tag(), &candidate.id)));
    };
    let (paths, files) = match walk(clone, root)? {
        Ok(walked) => walked,
        Err(error) => return refuse(Rule::Tree, error.to_string()),
    };
    let manifests = match read_manifests(clone, &files)? {
        Ok(manifests) => manifests,
        Err(error) => return refuse(Rule::Tree, error.to_string()),
    };
    let signers = match content::signers(&manifests) {
        Ok(signers) => signers,
        Err(error) => return refuse(Rule::Keys, error.to_string()),
    };
    let revokes = match content::revoked(&manifests) {
        Ok(revokes) => revokes,
        Err(error) => return refuse(Rule::Keys, error.to_string()),
    };
    let content = Content::parse(&paths, &manifests).map_err(|error| error.to_string());
    let threshold = content.as_ref().ok().map(|content| content.settings.threshold);
    Ok(Ok(Opened { root, brings: Brings { signers, revokes, threshold }, content, files }))
}

fn refuse(candidate: &Candidate, rule: Rule, signer: Option<&str>, found: String, advice: &str) -> Refusal {
    Refusal {
        tag: candidate.version.tag(),
        tag_id: candidate.id.clone(),
        rule,
        signer: signer.map(str::to_owned),
        found,
        advice: advice.to_owned(),
    }
}
