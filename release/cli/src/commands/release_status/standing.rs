//! How a release stands: whether workers may have it, and why not. Pure; what is shown of it is in [`super`].

use std::fmt::{self, Display};

use nightshift_manifest::held::Held;
use nightshift_manifest::refusal::Refusal;
use nightshift_manifest::rollout::{Cap, Holds};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_wire::{RingState, Rollout};
use serde::Serialize;

/// In one word, for the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The highest that workers may have.
    Newest,
    /// Believed, and below that.
    Earlier,
    /// It waits for approvals.
    Waiting,
    /// It did worse than the release before, from some ring on.
    SentBack,
    /// A person denied it.
    Denied,
    /// It breaks a rule of trust.
    Refused,
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Newest => "newest",
            State::Earlier => "earlier",
            State::Waiting => "waiting",
            State::SentBack => "sent back",
            State::Denied => "denied",
            State::Refused => "refused",
        })
    }
}

/// A state other than being believed and free, with its reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    /// Why.
    pub(super) found: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

impl Standing {
    /// Why workers refuse a tag.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self { state: State::Refused, found: refusal.found.clone(), advice: Some(refusal.advice.clone()) }
    }

    /// What keeps a release that is believed from workers; `None` when nothing does. What a person decided comes first.
    pub(super) fn of(
        version: ReleaseVersion,
        held: Option<&Held>,
        holds: &Holds,
        rollout: Option<&Rollout>,
    ) -> Option<Self> {
        if let Some(reason) = holds.denied(version) {
            let advice = "workers that had it go back to the release before; cut a higher version, or roll back";
            return Some(Self { state: State::Denied, found: reason.to_owned(), advice: Some(advice.to_owned()) });
        }
        let sent_back = rollout.and_then(|rollout| rollout.rings.iter().find(|ring| ring.state == RingState::SentBack));
        if let Some(ring) = sent_back {
            let found = format!("from ring {} on: {}", ring.name, ring.reason);
            let advice = "rings before it keep what they have; mend it and cut a higher version, or deny it";
            return Some(Self { state: State::SentBack, found, advice: Some(advice.to_owned()) });
        }
        held.map(|held| Self { state: State::Waiting, found: held.why.clone(), advice: None })
    }

    /// The sentence below the list.
    pub(super) fn sentence(&self, tag: &str) -> String {
        let Self { state, found, advice } = self;
        let advice = advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        match state {
            State::SentBack => format!("{tag} is sent back {found}{advice}"),
            State::Waiting => format!("{tag} waits: {found}{advice}"),
            state => format!("{tag} is {state}: {found}{advice}"),
        }
    }
}

/// That a release goes no further than `caps`, where its plan has `rings`. A cap at a ring that it does not have holds it back
/// from everybody.
pub(super) fn capped(version: ReleaseVersion, caps: &[Cap], rings: &[String]) -> String {
    let tag = version.tag();
    let lets_it_go = format!("`nightshift release resume --release {version}` lets it go on");
    match caps.iter().find(|cap| !rings.contains(&cap.ring)) {
        Some(cap) => {
            let rings = if rings.is_empty() { "no plan".to_owned() } else { rings.join(", ") };
            format!(
                "nobody takes {tag}: it is to go no further than ring {}, and it has {rings}; {lets_it_go}",
                cap.ring
            )
        }
        None => {
            let caps: Vec<String> = caps.iter().map(|cap| format!("ring {}: {}", cap.ring, cap.reason)).collect();
            format!("{tag} goes no further than {}; {lets_it_go}", caps.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::RolloutRing;

    use super::super::rings::tests::{ring, rollout};
    use super::*;

    const VERSION: ReleaseVersion = ReleaseVersion::new(1, 5, 0);

    fn holds(file: &str) -> Holds {
        let holds = Holds::of_entries([Some(file.as_bytes())]);
        assert_eq!(holds.unreadable, None, "{file}");
        holds
    }

    fn denied() -> Holds {
        holds("[[deny]]\nrelease = \"1.5.0\"\nreason = \"wrong prices\"\n")
    }

    #[test]
    fn a_release_that_a_ring_sent_back_says_from_which_ring_on_and_why() {
        let rings = vec![
            ring("canary", RingState::Open, ""),
            ring("early", RingState::SentBack, "4.1 % errors, 0.3 % expected"),
            RolloutRing { on_release: 0, ..ring("everyone", RingState::SentBack, "ring early was sent back") },
        ];
        let standing = Standing::of(VERSION, None, &Holds::default(), Some(&rollout(rings))).expect("sent back");
        assert_eq!(standing.state, State::SentBack);
        assert!(
            standing
                .sentence("v1.5.0")
                .starts_with("v1.5.0 is sent back from ring early on: 4.1 % errors, 0.3 % expected; "),
            "{standing:?}"
        );
    }

    #[test]
    fn a_denied_release_says_the_reason_that_was_given_also_when_its_rings_were_sent_back() {
        let sent_back = rollout(vec![ring("canary", RingState::SentBack, "worse")]);
        for rollout in [None, Some(&sent_back)] {
            let standing = Standing::of(VERSION, None, &denied(), rollout).expect("denied");
            assert_eq!((standing.state, standing.found.as_str()), (State::Denied, "wrong prices"));
            assert!(standing.sentence("v1.5.0").starts_with("v1.5.0 is denied: wrong prices; "), "{standing:?}");
        }
        assert_eq!(Standing::of(ReleaseVersion::new(1, 6, 0), None, &denied(), None), None, "another one");
    }

    #[test]
    fn a_pause_and_a_cap_make_no_release_another() {
        let held = "pause = \"month's end\"\n[[cap]]\nrelease = \"1.5.0\"\nring = \"early\"\n";
        assert_eq!(Standing::of(VERSION, None, &holds(held), None), None);
    }

    #[test]
    fn a_cap_at_a_ring_that_the_plan_does_not_have_is_told_to_hold_everybody_back() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let rings = names(&["canary", "all"]);
        let at = |ring: &str| [Cap { release: VERSION, ring: ring.to_owned(), reason: "a report first".to_owned() }];
        let known = capped(VERSION, &at("canary"), &rings);
        assert!(known.starts_with("v1.5.0 goes no further than ring canary: a report first; "), "{known}");
        let misspelt = capped(VERSION, &at("canry"), &rings);
        assert!(
            misspelt.starts_with("nobody takes v1.5.0: ") && misspelt.contains("it has canary, all; "),
            "{misspelt}"
        );
        assert!(capped(VERSION, &at("canary"), &[]).contains("it has no plan; "));
    }
}
