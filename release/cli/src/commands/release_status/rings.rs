//! The part of `nightshift release status` that the job server knows: rings, workers, health, and what is waited for.

use nightshift_wire::{RingState, Rollout, RolloutRing, Rollouts};

use crate::figures::{count, counted, share};
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

/// A release's rings for people; nothing for one without a plan that nothing holds back.
pub(super) fn lines(rollout: &Rollout) -> String {
    if rollout.rings.is_empty() && rollout.held.is_none() {
        return String::new();
    }
    let mut text = format!("\n{}: on {}", rollout.release, counted(rollout.on_release, "worker"));
    if let Some(held) = &rollout.held {
        text = format!("{text}; {held}");
    }
    text.push('\n');
    if rollout.rings.is_empty() {
        return text;
    }
    let mut table =
        Table::new(&["RING", "STATE", ">WORKERS", ">ON IT", ">JOBS", ">ERRORS", ">EXPECTED", ">TIME", "WAITS FOR"]);
    for ring in &rollout.rings {
        table.row(row(ring));
    }
    text + &table.to_string()
}

fn row(ring: &RolloutRing) -> Vec<String> {
    let state = match ring.state {
        RingState::Open => "open",
        RingState::Waiting => "waiting",
        RingState::SentBack => "sent back",
    };
    let done = ring.records > 0;
    let part = |errors: u64| if done { share(errors, ring.records) } else { String::new() };
    let mut waits: Vec<String> = Vec::new();
    if !ring.reason.is_empty() {
        waits.push(ring.reason.clone());
    }
    if ring.state != RingState::SentBack {
        waits.extend(ring.window.as_ref().map(|window| format!("takes it {window}")));
    }
    vec![
        ring.name.clone(),
        state.to_owned(),
        count(ring.workers),
        count(ring.on_release),
        count(ring.jobs),
        part(ring.errors),
        ring.expected_errors.map_or_else(String::new, part),
        ring.pace.map_or_else(String::new, |pace| format!("{} %", pace.div_ceil(10))),
        waits.join("; "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(name: &str, state: RingState, reason: &str) -> RolloutRing {
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

    fn rollout(rings: Vec<RolloutRing>) -> Rollout {
        Rollout { release: "v1.5.0".to_owned(), held: None, denied: None, rings, on_release: 23 }
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
            window: Some("mon-fri 18:00-06:00 (Europe/London)".to_owned()),
            ..ring("everyone", RingState::Waiting, "12 of 20 jobs done in ring early")
        };
        let held = Some("paused: month's end".to_owned());
        let shown = lines(&Rollout { held, ..rollout(vec![canary, early, waiting]) });
        insta::assert_snapshot!(shown);
        assert_eq!(lines(&rollout(Vec::new())), "", "everybody takes it");
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
