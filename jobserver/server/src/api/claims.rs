//! A worker asks for work, and waits for it here.
//!
//! A worker on a denied release gets none, and hears why.
//!
//! 1. What a stop keeps back is not handed out: the claim asks for the other plugins, or waits like one that finds no work.
//! 2. The store is asked. Jobs found are answered at once; their attempts are durable.
//! 3. Without one the request waits for the bell that rings when jobs come up, for other stops or another catalogue (a
//!    flag is gone), or for its own end, which is 204 (also when the worker claims again). The bell is listened to before the store is asked, so that none is missed.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nightshift_wire::{Claim, ClaimRequest, Claims, MOST_AT_ONCE, Problem, code};

use super::Shared;
use super::body::{Body, check_worker};
use crate::access::Caller;
use crate::app::App;
use crate::clock::deadline;
use crate::refused::{Refused, while_doing};
use crate::stops;

#[utoipa::path(post, path = "/v1/claims", operation_id = "claim", tag = "work",
    summary = "Asks for work, and waits for it",
    request_body = ClaimRequest,
    responses(
        (status = 200, description = "The jobs, each already durable as an attempt", body = Claims),
        (status = 409, description = "The worker's release is denied: `release_denied`", body = Problem),
        (status = 204, description = "Nothing came up while waiting, the grid is stopped, or the worker claims again")
    )
)]
pub(super) async fn claim(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ClaimRequest>,
) -> Result<Response, Refused> {
    check_worker("claiming a job", &request.worker)?;
    if !(1..=MOST_AT_ONCE).contains(&request.max) {
        let detail = format!("claiming jobs: max is {}, a claim asks for 1 to {MOST_AT_ONCE}", request.max);
        return Err(Refused::bad_request(detail));
    }
    caller.must_be("claiming a job", &request.worker)?;
    let claims = wait_for_jobs(&app, &caller, &request).await?;
    for claim in &claims {
        app.gate.note_attempt(claim.attempt, &request.worker);
        tracing::info!(
            job = claim.job,
            attempt = claim.attempt,
            worker = request.worker,
            "job {} of batch {} goes to worker {} as attempt {}",
            claim.job,
            claim.batch,
            request.worker,
            claim.attempt
        );
    }
    Ok(match claims.is_empty() {
        true => StatusCode::NO_CONTENT.into_response(),
        false => Json(Claims { claims }).into_response(),
    })
}

fn release_denied(release: &str, reason: &str) -> Refused {
    let detail = format!(
        "claiming a job: {release} is denied: {reason}; the worker goes back to the release before, or takes a higher one, \
         by itself"
    );
    Refused::new(StatusCode::CONFLICT, code::RELEASE_DENIED, detail)
}

async fn wait_for_jobs(app: &App, caller: &Caller, request: &ClaimRequest) -> Result<Vec<Claim>, Refused> {
    let end = deadline(Duration::from_millis(request.wait_ms).min(app.limits.longest_wait));
    let mut releases = app.releases.clone();
    let mut own = app.stops.changes();
    let turn = app.turns.begin(&request.worker);
    loop {
        let bell = app.work.notified();
        let catalogue = releases.now();
        if let Some(reason) = catalogue.denied(&request.release) {
            return Err(release_denied(&request.release, reason));
        }
        let flags = stops::all(&catalogue, &own.borrow_and_update().clone());
        let asked = match flags.is_empty() {
            true => Some(Cow::Borrowed(request)),
            false => {
                let host =
                    if stops::names_workers(&flags) { host_of(app, &request.worker).await } else { String::new() };
                stops::allowed(&flags, request, &host).map(Cow::Owned)
            }
        };
        // A credential that was revoked meanwhile hears so when it asks again.
        if turn.over().is_cancelled() || !app.gate.still_lets_in(caller) {
            return Ok(Vec::new());
        }
        if let Some(asked) = asked {
            let claims = app.store.claim(&asked, app.clock.now()).await;
            let claims = claims.map_err(while_doing(|| "claiming a job"))?;
            if !claims.is_empty() {
                return Ok(claims);
            }
        }
        let look_again = deadline(app.limits.look_again).min(end);
        tokio::select! {
            () = app.stopping.cancelled() => return Ok(Vec::new()),
            () = turn.over().cancelled() => return Ok(Vec::new()),
            () = tokio::time::sleep_until(look_again) => if look_again == end { return Ok(Vec::new()) },
            () = bell => {}
            () = releases.changed() => {}
            Ok(()) = own.changed() => {}
        }
    }
}

/// The name of a worker's machine, as it reported it; empty when nobody knows.
async fn host_of(app: &App, worker: &str) -> String {
    app.store.worker(worker).await.map(|worker| worker.report.host).unwrap_or_default()
}
