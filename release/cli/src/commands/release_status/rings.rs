//! The part of `nightshift release status` that the job server knows: rings, workers, health, and what is waited for.

use jiff::tz::TimeZone;
use nightshift_wire::{FoundBad, Moment, RingState, Rollout, RolloutRing, Rollouts};

use super::standing::State;
use crate::figures::{count, counted, moment, share};
use crate::table::Table;

/// What the job server says of a release.
pub(super) fn of<'r>(rollouts: Option<&'r Rollouts>, tag: &str) -> Option<&'r Rollout> {
    rollouts?.rollouts.iter().flatten().find(|rollout| rollout.release == tag)
}

/// Whether something is still to come: a ring waits, or a worker of an open ring has not taken the release yet.
pub(super) fn goes_on(rollout: &Rollout) -> bool {
    let all_have_it = |ring: &RolloutRing| ring.state == RingState::Open && ring.on_release >= ring.workers;
    let over = rollout.denied.is_some() || rollout.rings.iter().any(|ring| ring.state == RingState::SentBack);
    !over && !rollout.rings.iter().all(all_have_it)
}

/// A release's rings for people; nothing for one without a plan. `now` is the server's clock.
pub(super) fn lines(rollout: &Rollout, state: State, now: Moment, zone: &TimeZone) -> String {
    if rollout.rings.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "RING",
        "STATE",
        ">WORKERS",
        ">ON IT",
        ">JOBS",
        ">FAILED",
        ">ERRORS",
        ">EXPECTED",
        ">TIME",
        "WAITS FOR",
    ]);
    for ring in &rollout.rings {
        table.row(row(ring, state, now, zone));
    }
    format!("\n{}, {state}: on {}\n{table}", rollout.release, counted(rollout.on_release, "worker"))
}

/// That workers found a release bad, and what one of them says; nothing when none did.
pub(super) fn found_bad(rollout: &Rollout) -> Option<String> {
    let FoundBad { workers, says } = rollout.found_bad.as_ref()?;
    let workers = counted(*workers, "worker");
    Some(match says.as_str() {
        "" => format!("{} was found bad on {workers}, which went back to the release before", rollout.release),
        says => format!("{} was found bad on {workers}; one says: {says}", rollout.release),
    })
}

fn row(ring: &RolloutRing, release: State, now: Moment, zone: &TimeZone) -> Vec<String> {
    let state = match ring.state {
        RingState::Open => "open",
        RingState::Waiting => "waiting",
        RingState::SentBack => "sent back",
    };
    let done = ring.records > 0;
    let part = |errors: u64| if done { share(errors, ring.records) } else { String::new() };
    let mut waits: Vec<String> = Vec::new();
    // Why a release is denied is said once, for all rings.
    if !ring.reason.is_empty() && release != State::Denied {
        waits.push(ring.reason.clone());
    }
    if ring.state != RingState::SentBack {
        let not_before = ring.not_before.filter(|moment| *moment > now);
        waits.extend(not_before.map(|not_before| format!("takes it from {} on", moment(not_before, zone))));
        waits.extend(ring.window.as_ref().map(|window| format!("takes it {window}")));
    }
    vec![
        ring.name.clone(),
        state.to_owned(),
        count(ring.workers),
        count(ring.on_release),
        count(ring.jobs),
        count(ring.failures),
        part(ring.errors),
        ring.expected_errors.map_or_else(String::new, part),
        ring.pace.map_or_else(String::new, |pace| format!("{} %", pace.div_ceil(10))),
        waits.join("; "),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A ring of twenty workers that all have the release.
    pub(in super::super) fn ring(name: &str, state: RingState, reason: &str) -> RolloutRing {
        RolloutRing {
            name: name.to_owned(),
            state,
            reason: reason.to_owned(),
            workers: 20,
            on_release: 20,
            jobs: 0,
            records: 0,
            errors: 0,
            expected_errors: None,
            failures: 0,
            pace: None,
            samples_passed: 0,
            bad_trials: 0,
            not_before: None,
            window: None,
        }
    }

    /// How v1.5.0 spreads.
    pub(in super::super) fn rollout(rings: Vec<RolloutRing>) -> Rollout {
        Rollout { release: "v1.5.0".to_owned(), held: None, denied: None, rings, on_release: 23, found_bad: None }
    }

    #[test]
    fn rings_are_shown_with_their_health_and_what_they_wait_for() {
        let canary = RolloutRing {
            workers: 3,
            on_release: 3,
            jobs: 21,
            records: 21_000,
            errors: 84,
            expected_errors: Some(63),
            pace: Some(1_018),
            ..ring("canary", RingState::Open, "")
        };
        let early = RolloutRing { jobs: 12, records: 12_000, ..ring("early", RingState::Open, "") };
        let waiting = RolloutRing {
            workers: 177,
            on_release: 0,
            not_before: Some(1_772_474_400_000),
            window: Some("mon-fri 18:00-06:00 (Europe/London)".to_owned()),
            ..ring("everyone", RingState::Waiting, "12 of 20 jobs done in ring early")
        };
        let shown = lines(&rollout(vec![canary, early, waiting]), State::Newest, 0, &TimeZone::UTC);
        insta::assert_snapshot!(shown);
        let nothing = lines(&rollout(Vec::new()), State::Newest, 0, &TimeZone::UTC);
        assert_eq!(nothing, "", "everybody takes it");
    }

    #[test]
    fn a_denied_release_shows_who_still_has_it_and_says_why_no_more_than_once() {
        let reason = "v1.5.0 is denied: wrong prices";
        let rings = vec![ring("canary", RingState::SentBack, reason), ring("all", RingState::SentBack, reason)];
        let shown = lines(&rollout(rings), State::Denied, 0, &TimeZone::UTC);
        assert!(shown.starts_with("\nv1.5.0, denied: on 23 workers\n"), "{shown}");
        assert!(!shown.contains("wrong prices"), "{shown}");
    }

    #[test]
    fn what_workers_found_bad_is_told_in_the_words_of_one_of_them_also_without_a_plan() {
        let of = |workers, says: &str| {
            let found_bad = Some(FoundBad { workers, says: says.to_owned() });
            found_bad_of(&Rollout { found_bad, ..rollout(Vec::new()) })
        };
        assert_eq!(
            of(3, "v1.5.0 was rolled back here: it hangs"),
            "v1.5.0 was found bad on 3 workers; one says: v1.5.0 was rolled back here: it hangs"
        );
        assert_eq!(of(1, ""), "v1.5.0 was found bad on 1 worker, which went back to the release before");
        assert_eq!(found_bad(&rollout(Vec::new())), None);
    }

    fn found_bad_of(rollout: &Rollout) -> String {
        found_bad(rollout).expect("it was found bad")
    }

    #[test]
    fn a_rollout_goes_on_until_everybody_has_it_or_it_was_sent_back() {
        let open = || ring("a", RingState::Open, "");
        assert!(!goes_on(&rollout(vec![open()])));
        assert!(goes_on(&rollout(vec![RolloutRing { on_release: 19, ..open() }])));
        assert!(goes_on(&rollout(vec![open(), ring("b", RingState::Waiting, "jobs")])));
        assert!(!goes_on(&rollout(vec![open(), ring("b", RingState::SentBack, "worse")])));
        assert!(!goes_on(&rollout(Vec::new())));
    }
}
