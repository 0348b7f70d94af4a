//! Whether the server is alive, and whether it is ready: for whoever restarts it, or sends requests to one that is.

use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::Shared;
use crate::app::App;
use crate::refused::chain;

/// It answers, and so it is alive.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "server",
    summary = "Whether the server is alive",
    responses(
        (status = 200, description = "It is", body = String, content_type = "text/plain")
    )
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 when it can do its work, 503 with a line for each thing that keeps it from that.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "server",
    summary = "Whether the server can do its work",
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = 503, description = "A line for each thing that keeps it from it", body = String, content_type = "text/plain")
    )
)]
pub(super) async fn readyz(State(app): Shared) -> Response {
    let problems = problems(&app).await;
    if problems.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.concat()).into_response()
}

async fn problems(app: &App) -> Vec<String> {
    let mut problems = Vec::new();
    if app.stopping.is_cancelled() {
        problems.push("server: it is ending\n".to_owned());
    }
    match timeout(app.limits.ready, app.store.counts(app.clock.now())).await {
        // It can be looked at, and still nothing can be kept: a full disk.
        Ok(Ok(_)) if app.keeps_nothing.load(Relaxed) => {
            problems.push("store: it keeps nothing that it is given; the job server's log says more\n".to_owned());
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::debug!("looking whether the store is ready: {}", chain(&error));
            problems.push("store: it cannot be used just now; the job server's log says more\n".to_owned());
        }
        Err(_) => problems.push(format!("store: no answer within {} s\n", app.limits.ready.as_secs_f32())),
    }
    problems.extend(app.releases.unseen().map(|why| format!("repository: {why}\n")));
    problems
}
