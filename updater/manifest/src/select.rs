//! Which of the tags in the repository have to be judged, which are refused by their names alone, which are history.
//!
//! A tag is history when it stood there, with the same object, when the release in force or an earlier one was taken.
//! History is silent. A tag that appears or changes at or below the floor later is a refusal: someone wants to take the
//! grid back. It stays one until the next release closes the books on it.

use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, Rule};
use crate::tag::TagRefusal;
use crate::trust::Trust;
use crate::version::{NameError, ReleaseVersion, looks_like_release};
use crate::votes::Vote;

/// A tag as the repository lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTag {
    /// The name without `refs/tags/`.
    pub name: String,
    /// The object it points at: 40 hex digits.
    pub id: String,
}

/// A tag above the floor, to be judged by what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version its name says.
    pub version: ReleaseVersion,
    /// The object it points at.
    pub id: String,
}

/// A tag about a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// What its name says.
    pub vote: Vote,
    /// The object it points at.
    pub id: String,
}

/// What there is to do about the tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Refused by name and place alone.
    pub refused: Vec<Refusal>,
    /// To be judged, lowest version first.
    pub judge: Vec<Candidate>,
    /// Approvals and promotions of releases above the floor, to be judged with them.
    pub votes: Vec<Ballot>,
    /// The tag of the release in force is no longer in the repository. The release stays in force.
    pub in_force_gone: bool,
    /// Tags that were verified, or stood there when the last release was taken, and are no longer in the repository.
    pub gone: Vec<String>,
    /// Tags above the floor that were verified before as another object.
    pub moved: Vec<String>,
}

impl Plan {
    /// Whether a tag, of a release or about one, is still to be judged.
    pub fn is_open(&self, tag: &str) -> bool {
        let release = self.judge.iter().any(|candidate| candidate.version.tag() == tag);
        release || self.votes.iter().any(|ballot| ballot.vote.to_string() == tag)
    }
}

/// Sorts the tags of a repository by what is remembered.
pub fn plan(tags: &[RemoteTag], trust: &Trust) -> Plan {
    let mut plan = Plan::default();
    for tag in tags.iter().filter(|tag| looks_like_release(&tag.name)) {
        let version = match ReleaseVersion::parse_tag(&tag.name) {
            Ok(version) => version,
            Err(error) => {
                plan.refused.push(TagRefusal::Name(error).of(&tag.name, &tag.id));
                continue;
            }
        };
        match trust.floor {
            Some(floor) if version <= floor => plan.refused.extend(below_floor(tag, floor, trust)),
            _ => plan.judge.push(Candidate { version, id: tag.id.clone() }),
        }
    }
    plan.judge.sort_by_key(|candidate| candidate.version);
    for tag in tags {
        match Vote::parse_tag(&tag.name) {
            Some(Ok(vote)) if plan.judge.iter().any(|candidate| candidate.version == vote.version) => {
                plan.votes.push(Ballot { vote, id: tag.id.clone() });
            }
            Some(Err(error)) => plan.refused.extend(misnamed_vote(tag, error, trust)),
            Some(Ok(_)) | None => {}
        }
    }
    plan.votes.sort_by(|one, other| one.vote.cmp(&other.vote));
    plan.gone = gone(tags, trust);
    plan.moved = moved(tags, trust);
    plan.in_force_gone =
        trust.in_force.as_ref().is_some_and(|release| !tags.iter().any(|tag| tag.name == release.version.tag()));
    plan
}

/// The tags about one release, whatever they are worth.
pub fn votes_on(tags: &[RemoteTag], version: ReleaseVersion) -> Vec<Ballot> {
    let ballot = |tag: &RemoteTag| {
        let vote = Vote::parse_tag(&tag.name)?.ok().filter(|vote| vote.version == version)?;
        Some(Ballot { vote, id: tag.id.clone() })
    };
    tags.iter().filter_map(ballot).collect()
}

/// What is remembered and no longer there, but for the release in force.
fn gone(tags: &[RemoteTag], trust: &Trust) -> Vec<String> {
    let in_force = trust.in_force.as_ref().map(|release| release.version.tag());
    let remembered = trust.verified.keys().chain(trust.votes.keys()).chain(trust.history.keys());
    let is_listed = |name: &String| tags.iter().any(|tag| tag.name == *name);
    let is_gone =
        |name: &&String| Some(*name) != in_force.as_ref() && !trust.long_gone.contains(*name) && !is_listed(name);
    remembered.filter(is_gone).cloned().collect()
}

/// What was verified as another object, in this look or an earlier one.
fn moved(tags: &[RemoteTag], trust: &Trust) -> Vec<String> {
    let is_moved = |tag: &&RemoteTag| {
        let release = trust.verified.get(&tag.name).is_some_and(|before| before.moved || before.id != tag.id);
        release || trust.votes.get(&tag.name).is_some_and(|before| before.moved || before.id != tag.id)
    };
    tags.iter().filter(is_moved).map(|tag| tag.name.clone()).collect()
}

/// A vote whose name is nearly right. One that is about no release to come is history.
fn misnamed_vote(tag: &RemoteTag, error: NameError, trust: &Trust) -> Option<Refusal> {
    let version = tag.name.split('/').nth(1).and_then(|name| ReleaseVersion::parse_tag(name).ok());
    let is_history = version.is_some_and(|version| Some(version) <= trust.floor);
    (!is_history).then(|| TagRefusal::Name(error).of(&tag.name, &tag.id))
}

fn below_floor(tag: &RemoteTag, floor: ReleaseVersion, trust: &Trust) -> Option<Refusal> {
    let advice = "to go back, release the old tree under a higher version; otherwise delete the tag".to_owned();
    let (rule, found, advice) = match trust.history.get(&tag.name) {
        Some(id) if *id == tag.id => return None,
        Some(_) => {
            let advice = "put the tag back, or cut a new release under a higher version".to_owned();
            (Rule::Moved, "the tag was moved to another object after it had been seen".to_owned(), advice)
        }
        None => (Rule::BelowFloor, format!("it was pushed after {} had been taken", floor.tag()), advice),
    };
    Some(Refusal { tag: tag.name.clone(), tag_id: tag.id.clone(), rule, signer: None, found, advice })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::InForce;

    fn tag(name: &str, id: &str) -> RemoteTag {
        RemoteTag { name: name.into(), id: id.into() }
    }

    /// A memory with v1.5.0 in force, taken when v1.0.0 stood beside it.
    fn at_1_5_0() -> Trust {
        let mut trust = Trust::default();
        let release = InForce {
            version: ReleaseVersion::new(1, 5, 0),
            tag_id: "five".into(),
            commit: String::new(),
            tree: String::new(),
            signer: String::new(),
            judged_by: String::new(),
            slot: String::new(),
        };
        trust.take(release, &[tag("v1.0.0", "zero"), tag("v1.5.0", "five")]);
        trust
    }

    fn rules(plan: &Plan) -> Vec<(&str, Rule)> {
        plan.refused.iter().map(|refusal| (refusal.tag.as_str(), refusal.rule)).collect()
    }

    #[test]
    fn at_the_first_look_every_release_is_judged_in_version_order() {
        let plan = plan(&[tag("v1.10.0", "b"), tag("v1.9.0", "a"), tag("latest", "x")], &Trust::default());
        let order: Vec<String> = plan.judge.iter().map(|candidate| candidate.version.tag()).collect();
        assert_eq!(order, ["v1.9.0", "v1.10.0"]);
        assert_eq!(plan.refused, []);
    }

    #[test]
    fn older_releases_that_were_there_are_history_and_not_refusals() {
        let plan = plan(&[tag("v1.0.0", "zero"), tag("v1.5.0", "five")], &at_1_5_0());
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn votes_are_judged_with_their_release_and_are_history_with_it() {
        let tags = ["approve/v1.6.0/ben", "promote/v1.6.0/ring-2", "approve/v1.4.0/ben", "approve/v1.9.0/ben"];
        let mut tags: Vec<_> = tags.map(|name| tag(name, "x")).into();
        tags.extend([tag("v1.0.0", "zero"), tag("v1.5.0", "five"), tag("v1.6.0", "six"), tag("approve/v1.4.0", "y")]);
        let plan = plan(&tags, &at_1_5_0());
        let votes: Vec<String> = plan.votes.iter().map(|ballot| ballot.vote.to_string()).collect();
        assert_eq!(votes, ["approve/v1.6.0/ben", "promote/v1.6.0/ring-2"]);
        assert_eq!(plan.refused, []);
    }

    #[test]
    fn a_misnamed_vote_is_refused_and_says_how_to_write_it() {
        let plan = plan(&[tag("v1.5.0", "five"), tag("v1.0.0", "zero"), tag("approve/1.6.0/ben", "x")], &at_1_5_0());
        assert_eq!(rules(&plan), [("approve/1.6.0/ben", Rule::Name)]);
        assert!(plan.refused[0].advice.contains("approve/v1.5.0/WHO"), "{}", plan.refused[0]);
    }

    #[test]
    fn tags_that_are_gone_or_moved_are_told_votes_among_them() {
        let mut trust = at_1_5_0();
        trust.note_vote("approve/v1.6.0/ben", "b");
        trust.note_vote("promote/v1.6.0/ring-2", "p");
        let plan = plan(&[tag("v1.5.0", "five"), tag("approve/v1.6.0/ben", "other"), tag("v1.6.0", "six")], &trust);
        assert_eq!(plan.gone, ["promote/v1.6.0/ring-2", "v1.0.0"]);
        assert_eq!(plan.moved, ["approve/v1.6.0/ben"]);
    }

    #[test]
    fn a_lower_version_pushed_later_is_refused() {
        let plan = plan(&[tag("v1.4.9", "new"), tag("v1.5.0", "five")], &at_1_5_0());
        assert_eq!(rules(&plan), [("v1.4.9", Rule::BelowFloor)]);
        assert!(plan.judge.is_empty());
        assert_eq!(
            plan.refused[0].to_string(),
            "v1.4.9 is refused: it was pushed after v1.5.0 had been taken; to go back, release the old tree under a \
             higher version; otherwise delete the tag"
        );
    }

    #[test]
    fn a_tag_that_was_moved_at_or_below_the_floor_is_refused() {
        let plan = plan(&[tag("v1.0.0", "other"), tag("v1.5.0", "other")], &at_1_5_0());
        assert_eq!(rules(&plan), [("v1.0.0", Rule::Moved), ("v1.5.0", Rule::Moved)]);
    }

    #[test]
    fn a_misnamed_release_is_refused_as_long_as_it_is_there() {
        let plan = plan(&[tag("1.5.0", "a"), tag("v1.5", "b"), tag("v1.5.0", "five"), tag("v0.1", "c")], &at_1_5_0());
        assert_eq!(rules(&plan), [("1.5.0", Rule::Name), ("v1.5", Rule::Name), ("v0.1", Rule::Name)]);
    }

    #[test]
    fn a_refusal_below_the_floor_ends_with_the_next_release() {
        let mut trust = at_1_5_0();
        let tags = [tag("v1.4.9", "new"), tag("v1.6.0", "six")];
        let old = trust.in_force.clone().expect("one");
        let release = InForce { version: ReleaseVersion::new(1, 6, 0), tag_id: "six".into(), ..old };
        trust.take(release, &tags);
        assert_eq!(plan(&tags, &trust).refused, []);
    }

    #[test]
    fn a_deleted_tag_is_told_until_the_next_release_and_may_come_back() {
        let mut trust = at_1_5_0();
        assert_eq!(plan(&[tag("v1.5.0", "five")], &trust).gone, ["v1.0.0"]);
        let release = InForce { version: ReleaseVersion::new(1, 6, 0), ..trust.in_force.clone().expect("one") };
        trust.take(release, &[tag("v1.5.0", "five"), tag("v1.6.0", "five")]);
        let tags = [tag("v1.5.0", "five"), tag("v1.6.0", "five")];
        assert_eq!(plan(&tags, &trust).gone, [""; 0]);
        let again = [&tags[..], &[tag("v1.0.0", "zero")]].concat();
        assert_eq!(plan(&again, &trust).refused, [], "the same object as before");
    }

    #[test]
    fn a_release_whose_tag_was_deleted_is_noted() {
        assert!(plan(&[], &at_1_5_0()).in_force_gone);
        assert!(!plan(&[], &Trust::default()).in_force_gone);
    }
}
