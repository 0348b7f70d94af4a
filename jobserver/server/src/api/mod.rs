//! The API: one file per group of requests, this one says which request goes where.

mod arriving;
mod attempts;
mod batches;
mod body;
mod claims;
mod control;
pub(crate) mod grid;
mod hand_in;
mod health;
mod receipt;
mod results;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::app::App;
use crate::{guard, metrics, pages};
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
        .route("/v1/batches/{batch}", get(batches::one))
        .route("/v1/reports", post(grid::report))
        .route("/v1/workers", get(grid::workers))
        .route("/v1/status", get(grid::status))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/", get(pages::status))
        .route("/page.css", get(pages::style))
        .layer(from_fn_with_state(within(limits.body), arriving::within))
        .layer(from_fn_with_state(limits.request, guard::limit_time));
    let large = Router::new()
        .route("/v1/attempts/{attempt}/results", post(attempts::submit))
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
    quick
        .merge(large)
        .merge(waiting)
        .merge(long)
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(limits.body))
        .layer(compression())
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
