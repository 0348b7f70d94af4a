//! The API: one file per group of requests, this one says which request goes where.

mod arriving;
mod artifacts;
mod attempts;
mod batches;
mod body;
mod claims;
mod control;
mod enrolments;
pub(crate) mod grid;
mod hand_in;
mod health;
mod jobs;
mod receipt;
mod results;
mod stream;
pub(crate) mod tokens;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::app::App;
use crate::{access, guard, metrics, pages};
use arriving::Allowance;

pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// Every request the server answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let limits = app.limits;
    let within = |limit| Allowance { budget: Arc::clone(&app.budget), limit };
    let quick = Router::new()
        .route("/v1/attempts/{attempt}/records", get(attempts::records))
        .route("/v1/attempts/{attempt}/heartbeat", post(attempts::heartbeat))
        .route("/v1/attempts/{attempt}/give-back", post(attempts::give_back))
        .route("/v1/batches/{batch}", get(batches::one).delete(batches::delete))
        .route("/v1/batches/{batch}/suspend", post(batches::suspend))
        .route("/v1/batches/{batch}/resume", post(batches::resume))
        .route("/v1/jobs", get(jobs::find))
        .route("/v1/jobs/{job}", get(jobs::one))
        .route("/v1/jobs/{job}/explain", get(jobs::explain))
        .route("/v1/artifacts", get(artifacts::all))
        .route("/v1/reports", post(grid::report))
        .route("/v1/workers", get(workers::all))
        .route("/v1/workers/{worker}", get(workers::one).post(workers::change))
        .route("/v1/status", get(grid::status))
        .route("/v1/me", get(tokens::me))
        .route("/v1/tokens", get(tokens::all).post(tokens::make))
        .route("/v1/tokens/{token}", delete(tokens::revoke))
        .route("/v1/join", post(enrolments::join))
        .route("/v1/enrolments", get(enrolments::all))
        .route("/v1/enrolments/{worker}", post(enrolments::decide))
        .route("/v1/join-rules", get(tokens::rules).post(tokens::make_rule))
        .route("/v1/join-rules/{rule}", delete(tokens::remove_rule))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/", get(pages::status))
        .route("/page.css", get(pages::style))
        .layer(from_fn_with_state(within(limits.body), arriving::within))
        .layer(from_fn_with_state(limits.request, guard::limit_time));
    let large = Router::new()
        .route("/v1/attempts/{attempt}/results", post(attempts::submit))
        .route("/v1/results", post(attempts::submit_many))
        // Small, but there may be a million jobs to change.
        .route("/v1/jobs/actions", post(jobs::act))
        .layer(from_fn_with_state(within(limits.submission), arriving::within))
        .layer(from_fn_with_state(limits.submit, guard::limit_time));
    // These watch over their own wait, but not over a request that never arrives whole.
    let waiting = Router::new()
        .route("/v1/claims", post(claims::claim))
        .route("/v1/stop", get(control::stop))
        .layer(from_fn_with_state(within(limits.body), arriving::within))
        .layer(from_fn_with_state(limits.longest_wait + limits.request, guard::limit_time));
    // These stream, and watch over their own time.
    let long = Router::new()
        .route("/v1/batches", post(hand_in::hand_in).get(batches::all))
        .route("/v1/batches/{batch}/jobs", get(batches::jobs))
        .route("/v1/batches/{batch}/results", get(results::results))
        .route("/v1/batches/{batch}/receipt", get(receipt::receipt));
    // Nothing is gained by compressing these, and a part of something compressed is of no use.
    let files = Router::new()
        .route("/v1/artifacts/{artifact}", get(artifacts::get).put(artifacts::put).delete(artifacts::delete));
    quick
        .merge(large)
        .merge(waiting)
        .merge(long)
        .layer(compression())
        .merge(files)
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), access::pass))
        .layer(DefaultBodyLimit::max(limits.body))
        .layer(from_fn(guard::no_pages))
        .layer(from_fn_with_state(Arc::clone(&app), guard::own_name))
        .layer(from_fn_with_state(Arc::clone(&app), guard::limit_rate))
        .layer(from_fn(guard::catch_panic))
        .layer(from_fn(guard::headers))
        .layer(from_fn_with_state(Arc::clone(&app.metrics), metrics::observe))
        .with_state(app)
}

/// Answers worth it are gzipped for who takes that; the quickest way, since networks here are fast and cores few.
fn compression() -> CompressionLayer<SizeAbove> {
    const WORTH_IT: u16 = 1024;
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(WORTH_IT))
}
