//! The rules of a rollout, one function each, asked in this order. The first that holds a release back says why.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::holds::Holds;
use super::opening::{Opening, RingOpening};
use super::plan::{Plan, Ring};
use crate::held::HeldBy;
use crate::hours::Window;
use crate::version::ReleaseVersion;

/// Everything the rules look at: a verified release, and a worker that might take it.
#[derive(Debug, Clone, Copy)]
pub struct Asks<'a> {
    /// The release.
    pub release: ReleaseVersion,
    /// Its plan; without one everybody takes it at once.
    pub plan: Option<&'a Plan>,
    /// What `rollout.toml` says.
    pub holds: &'a Holds,
    /// Rings that a signed tag opened early.
    pub promotions: &'a BTreeSet<String>,
    /// What the job server makes of its rings, as far as it was heard; `None` when it never spoke of this release.
    pub opening: Option<&'a Opening>,
    /// The worker.
    pub worker: &'a str,
    /// The tags an admin gave the worker.
    pub tags: &'a BTreeSet<String>,
    /// What time it is by the job server's clock; `None` when that is not known.
    pub now: Option<Timestamp>,
}

/// Why a release is not taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldBack {
    /// Somebody denied it.
    #[error("{tag} is denied: {reason}", tag = .release.tag())]
    Denied {
        /// The release.
        release: ReleaseVersion,
        /// Why.
        reason: String,
    },
    /// Nobody knows what holds releases back.
    #[error("nobody moves to another release: {why}")]
    Unreadable {
        /// What is wrong with `rollout.toml`, and what to do.
        why: String,
    },
    /// Somebody paused all rollouts.
    #[error("rollouts are paused: {why}; `nightshift release resume` lets them go on")]
    Paused {
        /// Why.
        why: String,
    },
    /// The job server found that it does worse.
    #[error("ring {ring} was sent back: {why}")]
    SentBack {
        /// The worker's ring.
        ring: String,
        /// Why.
        why: String,
    },
    /// It goes no further than an earlier ring.
    #[error("{tag} goes no further than ring {cap}, and this worker is in ring {ring}: {why}", tag = .release.tag())]
    Capped {
        /// The release.
        release: ReleaseVersion,
        /// The last ring that takes it.
        cap: String,
        /// The worker's ring.
        ring: String,
        /// Why.
        why: String,
    },
    /// It is capped at a ring that its plan does not have.
    #[error("rollout.toml caps {tag} at ring {cap:?}, which its plan does not have; it has {rings}", tag = .release.tag())]
    CappedNowhere {
        /// The release.
        release: ReleaseVersion,
        /// The ring that does not exist.
        cap: String,
        /// The rings there are.
        rings: String,
    },
    /// The ring is not open yet.
    #[error("ring {ring} waits: {why}")]
    NotOpen {
        /// The worker's ring.
        ring: String,
        /// For what.
        why: String,
    },
    /// It is too early.
    #[error("ring {ring} takes it from {not_before} on")]
    TooEarly {
        /// The worker's ring.
        ring: String,
        /// From when on.
        not_before: Timestamp,
    },
    /// It is outside the ring's hours.
    #[error("ring {ring} takes releases {window}; the next time begins at {opens}")]
    OutsideWindow {
        /// The worker's ring.
        ring: String,
        /// Its hours.
        window: String,
        /// When they begin again.
        opens: Timestamp,
    },
    /// Nobody knows what time it is.
    #[error("ring {ring} takes it at certain times, and the job server, whose clock counts, was not heard of yet")]
    NoClock {
        /// The worker's ring.
        ring: String,
    },
}

impl HeldBack {
    /// The gate that holds it back, as status and logs name it.
    pub const fn kind(&self) -> HeldBy {
        match self {
            HeldBack::Denied { .. } | HeldBack::SentBack { .. } => HeldBy::Denied,
            HeldBack::Unreadable { .. } | HeldBack::CappedNowhere { .. } => HeldBy::Plan,
            HeldBack::Paused { .. } => HeldBy::Paused,
            HeldBack::Capped { .. } | HeldBack::NotOpen { .. } => HeldBy::Ring,
            HeldBack::TooEarly { .. } | HeldBack::OutsideWindow { .. } | HeldBack::NoClock { .. } => HeldBy::Window,
        }
    }
}

/// Whether a worker may keep a release it has: not when it is denied, nor when its ring was sent back. Everything else
/// that holds releases back holds back those who do not have it yet.
pub fn may_keep(asks: &Asks<'_>) -> Result<(), HeldBack> {
    not_denied(asks)?;
    let Some(plan) = asks.plan else { return Ok(()) };
    let place = plan.ring_of(asks.worker, asks.tags, &asks.release.tag());
    plan.rings.get(place).map_or(Ok(()), |ring| not_sent_back(asks, ring))
}

/// Whether a worker may take a release now.
pub fn may_take(asks: &Asks<'_>) -> Result<(), HeldBack> {
    not_denied(asks)?;
    holds_are_readable(asks)?;
    not_paused(asks)?;
    let Some(plan) = asks.plan else { return not_capped_without_a_plan(asks) };
    let place = plan.ring_of(asks.worker, asks.tags, &asks.release.tag());
    // A plan has a ring for everybody.
    let Some(ring) = plan.rings.get(place) else { return Ok(()) };
    not_sent_back(asks, ring)?;
    not_capped(asks, plan, place)?;
    is_open(asks, ring, place)?;
    not_too_early(asks, ring)?;
    in_its_window(asks, ring)
}

fn not_denied(asks: &Asks<'_>) -> Result<(), HeldBack> {
    match asks.holds.denied(asks.release) {
        Some(reason) => Err(HeldBack::Denied { release: asks.release, reason: reason.to_owned() }),
        None => Ok(()),
    }
}

fn holds_are_readable(asks: &Asks<'_>) -> Result<(), HeldBack> {
    asks.holds.unreadable.as_ref().map_or(Ok(()), |why| Err(HeldBack::Unreadable { why: why.clone() }))
}

fn not_paused(asks: &Asks<'_>) -> Result<(), HeldBack> {
    asks.holds.pause.as_ref().map_or(Ok(()), |why| Err(HeldBack::Paused { why: why.clone() }))
}

/// A cap of a release without rings was meant to hold it back.
fn not_capped_without_a_plan(asks: &Asks<'_>) -> Result<(), HeldBack> {
    match asks.holds.caps_of(asks.release).next() {
        Some(cap) => Err(HeldBack::CappedNowhere {
            release: asks.release,
            cap: cap.ring.clone(),
            rings: "no plan at all".to_owned(),
        }),
        None => Ok(()),
    }
}

fn not_sent_back(asks: &Asks<'_>, ring: &Ring) -> Result<(), HeldBack> {
    match asks.opening.and_then(|opening| opening.sent_back(&ring.name)) {
        Some(why) => Err(HeldBack::SentBack { ring: ring.name.clone(), why: why.to_owned() }),
        None => Ok(()),
    }
}

fn not_capped(asks: &Asks<'_>, plan: &Plan, place: usize) -> Result<(), HeldBack> {
    for cap in asks.holds.caps_of(asks.release) {
        let Some(last) = plan.rings.iter().position(|ring| ring.name == cap.ring) else {
            let rings = plan.rings.iter().map(|ring| ring.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(HeldBack::CappedNowhere { release: asks.release, cap: cap.ring.clone(), rings });
        };
        if place > last {
            let (ring, why) = (plan.rings[place].name.clone(), cap.reason.clone());
            return Err(HeldBack::Capped { release: asks.release, cap: cap.ring.clone(), ring, why });
        }
    }
    Ok(())
}

/// The first ring is open by itself; a later one by a promotion, or by the job server's word.
fn is_open(asks: &Asks<'_>, ring: &Ring, place: usize) -> Result<(), HeldBack> {
    if place == 0 || asks.promotions.contains(&ring.name) {
        return Ok(());
    }
    let why = match asks.opening.and_then(|opening| opening.rings.get(&ring.name)) {
        Some(RingOpening::Open) => return Ok(()),
        Some(RingOpening::Waiting(why)) => why.clone(),
        Some(RingOpening::SentBack(why)) => why.clone(),
        None => "the job server did not say yet that it is open".to_owned(),
    };
    Err(HeldBack::NotOpen { ring: ring.name.clone(), why })
}

/// A promotion also opens a ring before its time.
fn not_too_early(asks: &Asks<'_>, ring: &Ring) -> Result<(), HeldBack> {
    let Some(not_before) = ring.not_before.filter(|_| !asks.promotions.contains(&ring.name)) else { return Ok(()) };
    match asks.now {
        None => Err(HeldBack::NoClock { ring: ring.name.clone() }),
        Some(now) if now < not_before => Err(HeldBack::TooEarly { ring: ring.name.clone(), not_before }),
        Some(_) => Ok(()),
    }
}

fn in_its_window(asks: &Asks<'_>, ring: &Ring) -> Result<(), HeldBack> {
    let Some(window) = &ring.window else { return Ok(()) };
    let Some(now) = asks.now else { return Err(HeldBack::NoClock { ring: ring.name.clone() }) };
    match window.open_until(now) {
        Window::Open { .. } => Ok(()),
        Window::Closed { opens } => {
            Err(HeldBack::OutsideWindow { ring: ring.name.clone(), window: window.to_string(), opens })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::GridSettings;

    const PLAN: &str = "[rollout]\nzone = \"Europe/London\"\n\
                        [[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
                        [[rollout.ring]]\nname = \"early\"\ntags = [\"early\"]\nnot_before = \"2026-03-02 18:00\"\n\
                        [[rollout.ring]]\nname = \"all\"\nwindow = [\"mon-fri 18:00-06:00\"]\n";

    const RELEASE: ReleaseVersion = ReleaseVersion::new(1, 5, 0);

    /// A worker of the ring that its tag names, and a situation in which it may take the release.
    struct Case {
        plan: Option<Plan>,
        holds: Holds,
        promotions: BTreeSet<String>,
        opening: Option<Opening>,
        tag: &'static str,
        now: Option<&'static str>,
    }

    fn case(tag: &'static str) -> Case {
        let open = |ring: &str| (ring.to_owned(), RingOpening::Open);
        Case {
            plan: GridSettings::parse(PLAN, "nightshift.toml").expect(PLAN).rollout,
            holds: Holds::default(),
            promotions: BTreeSet::new(),
            opening: Some(Opening { rings: ["canary", "early", "all"].map(open).into() }),
            tag,
            // A Monday.
            now: Some("2026-03-02T20:00Z"),
        }
    }

    impl Case {
        fn ask(&self) -> Result<(), String> {
            let asks = Asks {
                release: RELEASE,
                plan: self.plan.as_ref(),
                holds: &self.holds,
                promotions: &self.promotions,
                opening: self.opening.as_ref(),
                worker: "w",
                tags: &BTreeSet::from([self.tag.to_owned()]),
                now: self.now.map(|now| now.parse().expect(now)),
            };
            may_take(&asks).map_err(|held| held.to_string())
        }

        fn held(&self) -> String {
            self.ask().expect_err("held")
        }
    }

    fn holds(text: &str) -> Holds {
        Holds::of_entries([Some(text.as_bytes())])
    }

    #[test]
    fn without_a_plan_everybody_takes_it_in_the_next_cycle() {
        let case = Case { plan: None, opening: None, now: None, ..case("x") };
        assert_eq!(case.ask(), Ok(()));
    }

    #[test]
    fn with_everything_open_every_ring_takes_it() {
        for tag in ["canary", "early", "x"] {
            assert_eq!(case(tag).ask(), Ok(()), "{tag}");
        }
    }

    #[test]
    fn a_denied_release_is_taken_by_nobody_whatever_else_is_said() {
        let deny = "pause = \"p\"\n[[deny]]\nrelease = \"1.5.0\"\nreason = \"wrong prices\"\n";
        for plan in [None, case("canary").plan] {
            let promotions = BTreeSet::from(["canary".to_owned()]);
            let case = Case { holds: holds(deny), plan, promotions, ..case("canary") };
            assert_eq!(case.held(), "v1.5.0 is denied: wrong prices");
        }
        let other = Case { holds: holds("[[deny]]\nrelease = \"1.4.0\"\n"), ..case("canary") };
        assert_eq!(other.ask(), Ok(()));
    }

    #[test]
    fn a_rollout_toml_that_cannot_be_read_lets_nobody_move() {
        for plan in [None, case("canary").plan] {
            let case = Case { holds: holds("pauze = 1\n"), plan, ..case("canary") };
            assert!(
                case.held().starts_with("nobody moves to another release: rollout.toml, line 1: "),
                "{}",
                case.held()
            );
        }
    }

    #[test]
    fn a_pause_holds_every_ring_back_also_the_first_and_without_a_plan() {
        for (plan, tag) in [(None, "x"), (case("x").plan, "canary"), (case("x").plan, "x")] {
            let case = Case { holds: holds("pause = \"month's end\"\n"), plan, ..case(tag) };
            assert_eq!(case.held(), "rollouts are paused: month's end; `nightshift release resume` lets them go on");
        }
    }

    #[test]
    fn a_cap_holds_the_rings_after_it_back() {
        let cap = "[[cap]]\nrelease = \"1.5.0\"\nring = \"early\"\nreason = \"a report first\"\n";
        let capped = |tag| Case { holds: holds(cap), ..case(tag) };
        assert_eq!(capped("canary").ask(), Ok(()));
        assert_eq!(capped("early").ask(), Ok(()));
        let promoted = Case { promotions: BTreeSet::from(["all".to_owned()]), ..capped("x") };
        assert_eq!(
            promoted.held(),
            "v1.5.0 goes no further than ring early, and this worker is in ring all: a report first"
        );
    }

    #[test]
    fn a_cap_at_a_ring_that_does_not_exist_lets_nobody_take_the_release() {
        let capped = Case { holds: holds("[[cap]]\nrelease = \"1.5.0\"\nring = \"erly\"\n"), ..case("canary") };
        assert_eq!(
            capped.held(),
            "rollout.toml caps v1.5.0 at ring \"erly\", which its plan does not have; it has canary, early, all"
        );
        assert!(Case { plan: None, ..capped }.held().contains("it has no plan at all"));
    }

    #[test]
    fn a_ring_that_was_sent_back_stays_back_also_when_it_is_promoted() {
        let mut case = Case { promotions: BTreeSet::from(["early".to_owned()]), ..case("early") };
        let back = RingOpening::SentBack("errors rose from 0 % to 40 %".to_owned());
        case.opening.as_mut().expect("an opening").rings.insert("early".to_owned(), back);
        assert_eq!(case.held(), "ring early was sent back: errors rose from 0 % to 40 %");
    }

    #[test]
    fn who_has_a_release_keeps_it_unless_it_is_denied_or_its_ring_was_sent_back() {
        let keeps = |case: &Case| {
            let tags = BTreeSet::from([case.tag.to_owned()]);
            let asks = Asks {
                release: RELEASE,
                plan: case.plan.as_ref(),
                holds: &case.holds,
                promotions: &case.promotions,
                opening: case.opening.as_ref(),
                worker: "w",
                tags: &tags,
                now: None,
            };
            may_keep(&asks).map_err(|held| held.kind())
        };
        for held in ["pause = \"p\"\n", "pauze = 1\n", "[[cap]]\nrelease = \"1.5.0\"\nring = \"canary\"\n"] {
            assert_eq!(keeps(&Case { holds: holds(held), opening: None, ..case("x") }), Ok(()), "{held}");
        }
        let denied = holds("[[deny]]\nrelease = \"1.5.0\"\n");
        assert_eq!(keeps(&Case { holds: denied.clone(), ..case("x") }), Err(HeldBy::Denied));
        assert_eq!(keeps(&Case { holds: denied, plan: None, ..case("x") }), Err(HeldBy::Denied));
        let mut back = case("early");
        let why = RingOpening::SentBack("slower".to_owned());
        back.opening.as_mut().expect("an opening").rings.insert("early".to_owned(), why);
        assert_eq!(keeps(&back), Err(HeldBy::Denied));
        assert_eq!(keeps(&Case { tag: "canary", ..back }), Ok(()), "another ring");
    }

    #[test]
    fn the_first_ring_is_open_by_itself_and_a_later_one_by_the_job_servers_word() {
        let silent = |tag| Case { opening: None, ..case(tag) };
        assert_eq!(silent("canary").ask(), Ok(()));
        assert_eq!(silent("early").held(), "ring early waits: the job server did not say yet that it is open");
        let mut waits = case("early");
        let why = RingOpening::Waiting("3 of 20 jobs done in ring canary".to_owned());
        waits.opening.as_mut().expect("an opening").rings.insert("early".to_owned(), why);
        assert_eq!(waits.held(), "ring early waits: 3 of 20 jobs done in ring canary");
    }

    #[test]
    fn a_promotion_opens_its_ring_early_and_no_other() {
        let promoted = |ring: &str, tag| {
            let now = Some("2026-03-02T08:00Z");
            Case { promotions: BTreeSet::from([ring.to_owned()]), opening: None, now, ..case(tag) }
        };
        assert_eq!(promoted("early", "early").ask(), Ok(()), "before its time, without the job server");
        assert!(promoted("all", "early").held().starts_with("ring early waits"));
        assert!(promoted("all", "x").held().contains("takes releases mon-fri"), "its hours count all the same");
    }

    #[test]
    fn nobody_takes_it_before_the_earliest_time_of_its_ring() {
        let at = |now| Case { now, ..case("early") };
        assert_eq!(at(Some("2026-03-02T17:59:59Z")).held(), "ring early takes it from 2026-03-02T18:00:00Z on");
        assert_eq!(at(Some("2026-03-02T18:00:00Z")).ask(), Ok(()));
        assert!(at(None).held().contains("the job server, whose clock counts"));
        assert_eq!(Case { now: None, ..case("canary") }.ask(), Ok(()), "a ring without times needs no clock");
    }

    #[test]
    fn a_ring_takes_it_only_in_its_hours() {
        let at = |now| Case { now, ..case("x") };
        assert_eq!(
            at(Some("2026-03-02T12:00Z")).held(),
            "ring all takes releases mon-fri 18:00-06:00 (Europe/London); the next time begins at 2026-03-02T18:00:00Z"
        );
        assert_eq!(at(Some("2026-03-03T05:59Z")).ask(), Ok(()));
        // In summer London's clock is an hour ahead.
        assert_eq!(at(Some("2026-07-06T17:30Z")).ask(), Ok(()));
        assert!(at(None).held().contains("the job server, whose clock counts"));
    }
}
