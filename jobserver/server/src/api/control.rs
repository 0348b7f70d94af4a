//! What is stopped, told as soon as it changes; and stops that operators raise and take away here.
//!
//! Whoever asks says which view it has seen; the answer waits until there is another one, or the wait is over.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use nightshift_store::NewStop;
use nightshift_wire::{OwnStops, StopRequest, StopScope, StopView, counted};
use serde::Deserialize;

use super::Shared;
use super::body::{Body, query};
use crate::access::Caller;
use crate::acts;
use crate::app::App;
use crate::clock::deadline;
use crate::refused::{Refused, one_line, while_doing};
use crate::stops;

/// A reason is shown on one line.
const LONGEST_REASON: usize = 200;
/// More stops than this are no plan any more.
const MOST_STOPS: usize = 100;

/// What has been seen, and how long to wait for something else.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The view that was seen last; empty for none.
    #[serde(default)]
    seen: String,
    /// How long to wait for another, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

#[utoipa::path(get, path = "/v1/stop", operation_id = "stop", tag = "grid",
    summary = "Whether the grid is stopped, told as soon as that changes",
    params(Asked),
    responses(
        (status = 200, description = "The view; another one than was seen, or the wait is over", body = StopView)
    )
)]
pub(super) async fn stop(State(app): Shared, uri: Uri) -> Result<Response, Refused> {
    let asked: Asked = query(&uri)?;
    let end = deadline(Duration::from_millis(asked.wait_ms).min(app.limits.longest_wait));
    let mut releases = app.releases.clone();
    let mut own = app.stops.changes();
    loop {
        let view = stops::view(&releases.now(), &own.borrow_and_update().clone());
        if view.etag != asked.seen {
            return Ok(answer(view));
        }
        tokio::select! {
            () = app.stopping.cancelled() => return Ok(answer(view)),
            () = tokio::time::sleep_until(end) => return Ok(answer(view)),
            () = releases.changed() => {}
            Ok(()) = own.changed() => {}
        }
    }
}

fn answer(view: StopView) -> Response {
    ([(header::ETAG, format!("\"{}\"", view.etag))], Json(view)).into_response()
}

#[utoipa::path(post, path = "/v1/stop", operation_id = "raiseStop", tag = "grid",
    summary = "Stops the grid, or a part of it, until somebody takes the stop away",
    request_body = StopRequest,
    responses(
        (status = 200, description = "All stops that the job servers keep themselves", body = OwnStops)
    )
)]
pub(super) async fn raise(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<StopRequest>,
) -> Result<Json<OwnStops>, Refused> {
    raise_stop(&app, &caller, request).await.map(Json)
}

pub(crate) async fn raise_stop(app: &App, caller: &Caller, request: StopRequest) -> Result<OwnStops, Refused> {
    const DOING: &str = "stopping";
    let StopRequest { reason, plugin, worker, release, when } = request;
    let scope = StopScope { plugin, worker, release, when };
    // A person who says what nobody understands hears so; in a flag that nobody can ask about, it stops everything.
    let stopped = stops::read(&scope).map_err(|error| {
        Refused::bad_request(format!("{DOING}: {error}; leave it out to stop everything, or correct it"))
    })?;
    let reason: String = one_line(&reason).chars().take(LONGEST_REASON).collect();
    let standing = app.stops.refresh().await.map_err(while_doing(|| DOING))?;
    // Who stops the same once more and gives no reason takes nobody else's away.
    if reason.is_empty() && standing.iter().any(|own| own.scope == scope) {
        return Ok(OwnStops { stops: standing.to_vec() });
    }
    if standing.len() >= MOST_STOPS {
        let detail = format!("{DOING}: {MOST_STOPS} stops stand already; stop everything, or take them away first");
        return Err(Refused::bad_request(detail));
    }
    let stop = NewStop { reason, scope, by: caller.name().to_owned() };
    let stops = app.stops.add(&stop, app.clock.now()).await.map_err(while_doing(|| DOING))?;
    let what = stopped.in_words().unwrap_or_else(|| "everything".to_owned());
    tracing::warn!(by = stop.by, "{} stopped {what}: {}", stop.by, stop.reason);
    acts::note(app, caller, format!("stopped {what}"), &stop.reason).await;
    Ok(OwnStops { stops: stops.to_vec() })
}

#[utoipa::path(delete, path = "/v1/stop", operation_id = "clearStops", tag = "grid",
    summary = "Takes away every stop that the job servers keep themselves; the repository's flags stay",
    responses(
        (status = 200, description = "Those that were taken away", body = OwnStops)
    )
)]
pub(super) async fn clear(State(app): Shared, Extension(caller): Extension<Caller>) -> Result<Json<OwnStops>, Refused> {
    clear_stops(&app, &caller).await.map(Json)
}

pub(crate) async fn clear_stops(app: &App, caller: &Caller) -> Result<OwnStops, Refused> {
    let stops = app.stops.clear().await.map_err(while_doing(|| "taking the stops away"))?;
    let gone = counted(stops.len() as u64, "stop");
    tracing::warn!(by = caller.name(), "taken away: {gone}");
    app.work.notify_waiters();
    acts::note(app, caller, format!("took {gone} away"), "").await;
    Ok(OwnStops { stops })
}
