//! What workers' own database servers need: the way to the primary, and leave to build a replica anew.
//!
//! The answer that holds a password goes to an enrolled worker alone, over TLS or within this machine. It is not logged.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use nightshift_wire::{Problem, RebuildPermit, RebuildRequest, Replication, access_code, code};

use super::Shared;
use super::body::{Body, Number, check_worker, named};
use crate::access::{Asks, Caller};
use crate::connection::Encrypted;
use crate::refused::{Refused, chain, one_line, while_doing};

const TELLING: &str = "telling how to copy the primary";

/// Nobody on the way keeps the answer.
const NOT_KEPT: [(HeaderName, HeaderValue); 1] = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

#[utoipa::path(get, path = "/v1/replication", operation_id = "replication", tag = "work",
    summary = "What a worker's own server needs to copy the primary; it holds a password",
    responses(
        (status = 200, description = "The way to the primary", body = Replication),
        (status = 403, description = "This connection is not encrypted: `not_encrypted`", body = Problem),
        (status = 404, description = "This job server hands none out: `not_found`", body = Problem)
    )
)]
pub(super) async fn replication(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    Extension(caller): Extension<Caller>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Replication>), Refused> {
    let near = peer.ip().to_canonical().is_loopback();
    may_be_told(near, encrypted, app.gate.asks())?;
    let way = app.replication.way(app.clock.now()).await.map_err(|error| {
        let detail = format!("{TELLING}: {}; see password_file in [replication] of jobserver.toml", chain(&error));
        tracing::error!("{detail}");
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, detail)
    })?;
    let Some(way) = way else {
        let detail = format!("{TELLING}: jobserver.toml has no [replication], so workers' replicas are set up by hand");
        return Err(Refused::not_found(detail));
    };
    tracing::info!("{} is told how to copy the primary", caller.name());
    Ok((NOT_KEPT, Json(way)))
}

/// Whether a password may go to whom it goes now: on this machine, or over TLS to somebody who showed who it is.
fn may_be_told(near: bool, encrypted: bool, asks: Asks) -> Result<(), Refused> {
    match (near, encrypted, asks) {
        (true, ..) | (false, true, Asks::ForTokens) => Ok(()),
        (false, _, Asks::Nobody) => {
            let detail = format!(
                "{TELLING}: jobserver.toml says access = \"open\", so nobody knows who asks; let it ask for tokens, over TLS"
            );
            Err(Refused::new(StatusCode::FORBIDDEN, access_code::NOT_ALLOWED, detail))
        }
        (false, false, Asks::ForTokens) => {
            let detail = format!(
                "{TELLING}: it holds a password, and this connection is not encrypted: let the job server speak TLS"
            );
            Err(Refused::new(StatusCode::FORBIDDEN, code::NOT_ENCRYPTED, detail))
        }
    }
}

#[utoipa::path(post, path = "/v1/rebuilds", operation_id = "rebuild", tag = "work",
    summary = "A worker asks to build its replica anew, or to go on with that",
    request_body = RebuildRequest,
    responses(
        (status = 200, description = "It may, or why it waits", body = RebuildPermit)
    )
)]
pub(super) async fn rebuild(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<RebuildRequest>,
) -> Result<Json<RebuildPermit>, Refused> {
    const DOING: &str = "permitting a rebuild";
    check_worker(DOING, &request.worker)?;
    caller.must_be(DOING, &request.worker)?;
    let request = RebuildRequest { reason: one_line(&request.reason), ..request };
    let permit = app.store.permit_rebuild(&request, app.replication.rebuilds_at_once, app.clock.now()).await;
    let permit = permit.map_err(while_doing(|| DOING))?;
    let RebuildRequest { worker, reason } = &request;
    match permit.lease_ms {
        Some(_) => tracing::info!(worker, "worker {worker} builds its replica anew: {reason}"),
        None => tracing::debug!(worker, "worker {worker} waits to build its replica anew: {}", permit.reason),
    }
    Ok(Json(permit))
}

#[utoipa::path(delete, path = "/v1/rebuilds/{worker}", operation_id = "endRebuild", tag = "work",
    summary = "A worker builds its replica no more: the next may",
    params(("worker" = String, Path, description = "The worker")),
    responses(
        (status = 204, description = "It is noted")
    )
)]
pub(super) async fn rebuilt(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    worker: Number,
) -> Result<StatusCode, Refused> {
    const DOING: &str = "ending a rebuild";
    let worker = named(worker, "worker")?;
    check_worker(DOING, &worker)?;
    caller.must_be(DOING, &worker)?;
    app.store.end_rebuild(&worker).await.map_err(while_doing(|| DOING))?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_this_machine_over_tls_alone_and_only_to_who_shows_who_it_is() {
        let told = |near, encrypted, asks| may_be_told(near, encrypted, asks).map_err(|refused| refused.problem().code);
        for (encrypted, asks) in
            [(false, Asks::Nobody), (true, Asks::Nobody), (false, Asks::ForTokens), (true, Asks::ForTokens)]
        {
            assert_eq!(told(true, encrypted, asks), Ok(()), "within this machine");
        }
        assert_eq!(told(false, true, Asks::ForTokens), Ok(()));
        assert_eq!(told(false, false, Asks::ForTokens), Err(code::NOT_ENCRYPTED.to_owned()));
        for encrypted in [false, true] {
            assert_eq!(told(false, encrypted, Asks::Nobody), Err(access_code::NOT_ALLOWED.to_owned()));
        }
    }
}
