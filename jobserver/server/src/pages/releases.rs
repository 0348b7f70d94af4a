//! Releases: how they spread over their rings, and who runs what.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_wire::{Rollout, RolloutRing};

use super::errors::escaped;
use super::frame::{Frame, Visitor};
use super::words::{at, grouped, ring_state};
use crate::api::Shared;
use crate::catalogue::Catalogue;
use crate::refused::{Refused, while_doing};

#[derive(Template)]
#[template(path = "releases.html")]
struct Page {
    frame: Frame,
    offered: Option<String>,
    problem: String,
    rollouts: Vec<Release>,
    /// Tag, the same as a part of a query, how many workers.
    running: Vec<(String, String, String)>,
}

struct Release {
    tag: String,
    note: String,
    on_release: String,
    found_bad: Option<String>,
    /// Who takes it, where it has no rings.
    takers: &'static str,
    rings: Vec<Ring>,
}

struct Ring {
    name: String,
    state: &'static str,
    reason: String,
    workers: String,
    jobs: String,
    errors: String,
    pace: String,
    when: String,
}

pub(super) async fn page(State(app): Shared, visitor: Visitor) -> Result<Response, Refused> {
    const DOING: &str = "looking how releases spread";
    let view = app.rollouts.view(&app).await.map_err(while_doing(|| DOING))?;
    let snapshot = app.live.fresh(&app).await.map_err(while_doing(|| DOING))?;
    let catalogue = app.releases.now();
    let running = snapshot.workers.releases.iter();
    super::shown(&Page {
        frame: visitor.frame(&app, "Releases", "releases"),
        offered: catalogue.release.clone(),
        problem: catalogue.problem.clone(),
        rollouts: releases(&view.rollouts, &catalogue),
        running: running.map(|(tag, workers)| (tag.clone(), escaped(tag), grouped(*workers))).collect(),
    })
}

fn releases(rollouts: &[Rollout], catalogue: &Catalogue) -> Vec<Release> {
    let version = |rollout: &Rollout| ReleaseVersion::parse_tag(&rollout.release).ok();
    let denied = |rollout: &Rollout| catalogue.denied(&rollout.release).is_some();
    let best = rollouts.iter().filter(|rollout| !denied(rollout)).filter_map(version).max();
    let release_of = |rollout: &Rollout| {
        let takers = match denied(rollout) {
            true => "It is denied: nobody takes it.",
            false if rollout.held.is_some() => "No rollout plan, and it is held back.",
            false if version(rollout) < best => "No rollout plan: workers take it that no later release is open to.",
            false => "No rollout plan: every worker takes it in its next cycle.",
        };
        release(rollout, takers)
    };
    rollouts.iter().map(release_of).collect()
}

fn release(rollout: &Rollout, takers: &'static str) -> Release {
    Release {
        takers,
        tag: rollout.release.clone(),
        note: rollout.held.clone().unwrap_or_default(),
        on_release: grouped(rollout.on_release),
        found_bad: rollout.found_bad.as_ref().map(|bad| format!("{} found it bad: {}", grouped(bad.workers), bad.says)),
        rings: rollout.rings.iter().map(ring).collect(),
    }
}

fn ring(ring: &RolloutRing) -> Ring {
    let expected = ring.expected_errors.map(|errors| format!(" ({} expected)", grouped(errors))).unwrap_or_default();
    let window = ring.window.iter().map(|window| format!("within {window}"));
    let when: Vec<String> =
        ring.not_before.map(|moment| format!("not before {}", at(moment))).into_iter().chain(window).collect();
    Ring {
        name: ring.name.clone(),
        state: ring_state(ring.state),
        reason: ring.reason.clone(),
        workers: format!("{} of {}", grouped(ring.on_release), grouped(ring.workers)),
        jobs: grouped(ring.jobs),
        errors: format!("{}{expected}", grouped(ring.errors)),
        pace: ring.pace.map(|pace| format!("{} % of the time", pace / 10)).unwrap_or_default(),
        when: when.join(", "),
    }
}
