//! Which of the tags in the repository have to be judged, which are refused by their names alone, which are history.
//!
//! A tag is history when it stood there, with the same object, when the release in force or an earlier one was taken.
//! History is silent. A tag that appears or changes at or below the floor later is a refusal: someone wants to take the
//! grid back. It stays one until the next release closes the books on it.

use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, Rule};
use crate::tag::TagRefusal;
use crate::trust::Trust;
use crate::version::{ReleaseVersion, looks_like_release};

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

/// What there is to do about the tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Refused by name and place alone.
    pub refused: Vec<Refusal>,
    /// To be judged, lowest version first.
    pub judge: Vec<Candidate>,
    /// The tag of the release in force is no longer in the repository. The release stays in force.
    pub in_force_gone: bool,
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
    plan.in_force_gone =
        trust.in_force.as_ref().is_some_and(|release| !tags.iter().any(|tag| tag.name == release.version.tag()));
    plan
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
    fn a_release_whose_tag_was_deleted_is_noted() {
        assert!(plan(&[], &at_1_5_0()).in_force_gone);
        assert!(!plan(&[], &Trust::default()).in_force_gone);
    }
}
