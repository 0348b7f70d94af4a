//! Workers ask to join here, and people decide about them.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::StatusCode;
use nightshift_rules::enrolment::Decision;
use nightshift_store::{Decided, Refusal, StoreError};
use nightshift_wire::{
    Enrolment, EnrolmentDecision, EnrolmentState, JoinRequest, Joined, Problem, Reason, WorkerChange, access_code,
};

use super::Shared;
use super::body::{Body, check_worker};
use super::tokens::refresh;
use crate::access::Caller;
use crate::access::known::Known;
use crate::acts;
use crate::app::App;
use crate::refused::{Refused, one_line, while_doing};

/// The longest text a worker may say about itself, and a person about a worker.
const LONGEST: usize = 300;

#[utoipa::path(post, path = "/v1/join", operation_id = "join", tag = "access",
    summary = "A worker asks to join, or where its request stands",
    request_body = JoinRequest,
    responses(
        (status = 200, description = "Where it stands", body = Joined),
        (status = 401, description = "The join token is not good, or the identity is in use elsewhere", body = Problem),
        (status = 403, description = "The join token is used up, or from elsewhere: `not_allowed`", body = Problem)
    )
)]
pub(super) async fn join(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(request): Body<JoinRequest>,
) -> Result<Json<Joined>, Refused> {
    const DOING: &str = "asking to join";
    check_worker(DOING, &request.worker)?;
    let is_hash = request.credential.len() == 64 && request.credential.bytes().all(|byte| byte.is_ascii_hexdigit());
    let odd = |text: &str| text.len() > LONGEST || text.chars().any(char::is_control);
    if !is_hash || request.machine.is_empty() || odd(&request.machine) || odd(&request.host) {
        let detail = format!("{DOING}: host, machine or credential are not what a worker sends");
        return Err(Refused::bad_request(detail));
    }
    let others = app.gate.directory.again(&request.credential.to_ascii_lowercase());
    if others.is_some_and(|known| !matches!(known, Known::Worker(known) if known.worker == request.worker)) {
        let detail =
            format!("{DOING}: the credential of {} is somebody else's; a worker makes its own", request.worker);
        return Err(Refused::new(StatusCode::UNAUTHORIZED, access_code::ENROL_AGAIN, detail));
    }
    let now = app.clock.now();
    let joined = app.gate.store.join(&request, peer.ip(), now).await.map_err(while_doing(|| DOING))?;
    if joined.asked_at == now {
        let state = if joined.state == EnrolmentState::Approved { "and is approved by a rule" } else { "and waits" };
        tracing::info!("worker {} on {} ({}) asks to join {state}", joined.worker, joined.host, joined.address);
        refresh(&app).await;
    }
    Ok(Json(Joined { state: joined.state, reason: joined.reason }))
}

#[utoipa::path(get, path = "/v1/enrolments", operation_id = "enrolments", tag = "access",
    summary = "Every worker that asked to join",
    responses(
        (status = 200, description = "The requests", body = Vec<Enrolment>)
    )
)]
pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Enrolment>>, Refused> {
    let changes = app.gate.store.access_changes(0).await.map_err(while_doing(|| "listing the enrolments"))?;
    Ok(Json(changes.workers.into_iter().map(|known| known.enrolment).collect()))
}

#[utoipa::path(post, path = "/v1/enrolments/{worker}", operation_id = "decideEnrolment", tag = "access",
    summary = "Lets a worker in, refuses it, or lets it in no more",
    params(("worker" = String, Path, description = "The worker")),
    request_body = EnrolmentDecision,
    responses(
        (status = 200, description = "The request as it stands now", body = Enrolment),
        (status = 409, description = "That cannot be changed any more: `not_allowed`", body = Problem)
    )
)]
pub(super) async fn decide(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(worker): Path<String>,
    Body(decision): Body<EnrolmentDecision>,
) -> Result<Json<Enrolment>, Refused> {
    decide_about(&app, &caller, &worker, decision).await.map(Json)
}

pub(crate) async fn decide_about(
    app: &App,
    caller: &Caller,
    worker: &str,
    decision: EnrolmentDecision,
) -> Result<Enrolment, Refused> {
    let by = caller.name().to_owned();
    let because = |what: &str, reason: &str| match reason.trim() {
        "" => format!("{what} by {by}"),
        reason => format!("{what} by {by}: {}", one_line(reason)),
    };
    let (decision, name, reason) = match decision {
        EnrolmentDecision::Approve { name } => (Decision::Approve, name, because("approved", "")),
        EnrolmentDecision::Refuse { reason } => (Decision::Refuse, None, because("refused", &reason)),
        EnrolmentDecision::Revoke { reason } => (Decision::Revoke, None, because("revoked", &reason)),
    };
    if name.iter().chain([&reason]).any(|text| text.len() > LONGEST || text.chars().any(char::is_control)) {
        let detail =
            format!("deciding about worker {worker}: a name or reason has up to {LONGEST} letters in one line");
        return Err(Refused::bad_request(detail));
    }
    let decided = Decided { decision, name, reason, by: by.clone() };
    let after = app.gate.store.decide(worker, &decided, app.clock.now()).await;
    let after = after.map_err(while_doing(|| format!("deciding about worker {worker}")))?;
    refresh(app).await;
    if decision == Decision::Revoke {
        shut_out(app, worker, &after.reason).await?;
    }
    tracing::info!("worker {worker} is {}", decided.reason);
    acts::note(app, caller, format!("decided that worker {worker} is {}", decided.reason), "").await;
    Ok(after)
}

/// Lists, pages and `job explain` go by what a worker reported last, and one that nobody lets in reports nothing more: it is
/// drained, and so shown as one that gets no jobs, with the reason.
async fn shut_out(app: &App, worker: &str, reason: &str) -> Result<(), Refused> {
    let drain = WorkerChange::Drain(Reason { reason: reason.to_owned() });
    match app.store.change_worker(worker, &drain, app.clock.now()).await {
        // It never worked, and stands in no list.
        Err(StoreError::Refused(Refusal::NoSuchWorker(_))) => Ok(()),
        drained => drained.map(drop).map_err(while_doing(|| format!("deciding about worker {worker}"))),
    }
}
