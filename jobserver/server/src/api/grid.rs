//! The grid as a whole: what workers report, the figures.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::StatusCode;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_store::Counts;
use nightshift_wire::{Moment, Report, Status, TrialReport};

use super::Shared;
use super::body::{Body, check_worker};
use crate::access::Caller;
use crate::app::App;
use crate::refused::{Refused, while_doing};
use crate::stops;

/// A worker heard of within this time counts as there.
pub(crate) const ACTIVE: Duration = Duration::from_secs(120);

#[utoipa::path(post, path = "/v1/reports", operation_id = "report", tag = "work",
    summary = "A worker says how it is",
    request_body = Report,
    responses(
        (status = 204, description = "It is kept")
    )
)]
pub(super) async fn report(
    State(app): Shared,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(caller): Extension<Caller>,
    Body(report): Body<Report>,
) -> Result<StatusCode, Refused> {
    check_worker("taking a report", &report.worker)?;
    caller.must_be("taking a report", &report.worker)?;
    if let Some(trial) = &report.trial {
        check_trial(trial)?;
    }
    let kept = app.store.report(&report, &address.ip().to_string(), app.clock.now()).await;
    kept.map_err(while_doing(|| format!("taking the report of worker {}", report.worker)))?;
    if let Some(trial) = &report.trial {
        let noted = app.rollouts.note_trial(&app, &report.worker, trial).await;
        noted.map_err(while_doing(|| format!("taking the report of worker {}", report.worker)))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What a worker says of its trial stands in keys of the store.
fn check_trial(trial: &TrialReport) -> Result<(), Refused> {
    const LONGEST: usize = 64;
    if ReleaseVersion::parse_tag(&trial.release).is_ok()
        && trial.release.len() <= LONGEST
        && trial.ring.len() <= LONGEST
    {
        return Ok(());
    }
    let detail = format!(
        "taking a report: its trial names {:?} and ring {:?}; send a release's tag such as v1.5.0, and a ring of its plan",
        trial.release, trial.ring
    );
    Err(Refused::bad_request(detail))
}

#[utoipa::path(get, path = "/v1/status", operation_id = "status", tag = "grid",
    summary = "The grid in figures",
    responses(
        (status = 200, description = "The figures", body = Status)
    )
)]
pub(super) async fn status(State(app): Shared) -> Result<Json<Status>, Refused> {
    figures(&app).await.map(Json)
}

/// The grid in figures.
pub(crate) async fn figures(app: &App) -> Result<Status, Refused> {
    let now = app.clock.now();
    let counts = app.store.counts(active_since(now)).await.map_err(while_doing(|| "counting jobs and workers"))?;
    Ok(in_figures(app, &counts, now))
}

/// Workers heard of since then count as there.
pub(crate) fn active_since(now: Moment) -> Moment {
    now.saturating_sub_unsigned(ACTIVE.as_millis() as u64)
}

/// What was counted, with what this server knows besides.
pub(crate) fn in_figures(app: &App, counts: &Counts, now: Moment) -> Status {
    let catalogue = app.releases.now();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        release: catalogue.release.clone(),
        release_id: catalogue.release_id().map(str::to_owned),
        control_id: catalogue.control.clone(),
        release_problem: catalogue.problem.clone(),
        stopped: stops::everywhere(&stops::all(&catalogue, &app.stops.now()), "").0,
        jobs_waiting: counts.jobs_waiting,
        jobs_running: counts.jobs_running,
        jobs_done: counts.jobs_done,
        jobs_quarantined: counts.jobs_quarantined,
        jobs_suspended: counts.jobs_suspended,
        jobs_deleted: counts.jobs_deleted,
        workers: counts.workers,
        primary: app.replication.status(),
    }
}
