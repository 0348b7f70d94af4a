//! The API: one file per group of requests, this one says by which way each goes. Its path and method stand at its
//! handler.

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
mod openapi;
mod receipt;
mod requirements;
mod results;
mod rollouts;
mod stream;
pub(crate) mod tokens;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::{guard, metrics, pages};
use arriving::{Allowance, Bounds};
pub(crate) use openapi::Description;

pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// Every request the server answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let limits = app.limits;
    let within = |limit, time| {
        let allowance = Allowance { budget: Arc::clone(&app.budget), limit };
        from_fn_with_state(Bounds { allowance, time }, arriving::within)
    };
    let quick = OpenApiRouter::new()
        .routes(routes!(attempts::records))
        .routes(routes!(attempts::heartbeat))
        .routes(routes!(attempts::give_back))
        .routes(routes!(batches::one, batches::delete))
        .routes(routes!(batches::suspend))
        .routes(routes!(batches::resume))
        .routes(routes!(jobs::find))
        .routes(routes!(jobs::one))
        .routes(routes!(jobs::explain))
        .routes(routes!(artifacts::all))
        .routes(routes!(control::raise, control::clear))
        .routes(routes!(grid::report))
        .routes(routes!(rollouts::all))
        .routes(routes!(rollouts::one))
        .routes(routes!(workers::all))
        .routes(routes!(workers::one, workers::change))
        .routes(routes!(grid::status))
        .routes(routes!(tokens::me))
        .routes(routes!(tokens::all, tokens::make))
        .routes(routes!(tokens::revoke))
        .routes(routes!(enrolments::join))
        .routes(routes!(enrolments::all))
        .routes(routes!(enrolments::decide))
        .routes(routes!(tokens::rules, tokens::make_rule))
        .routes(routes!(tokens::remove_rule))
        .routes(routes!(openapi::openapi))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::gauges::metrics))
        .routes(routes!(pages::status))
        .routes(routes!(pages::style))
        .layer(within(limits.body, limits.request));
    let large = OpenApiRouter::new()
        .routes(routes!(attempts::submit))
        .routes(routes!(attempts::submit_many))
        // Small, but there may be a million jobs to change.
        .routes(routes!(jobs::act))
        .layer(within(limits.submission, limits.submit));
    // These watch over their own wait, but not over a request that never arrives whole.
    let waiting = OpenApiRouter::new()
        .routes(routes!(claims::claim))
        .routes(routes!(control::stop))
        .layer(within(limits.body, limits.longest_wait + limits.request));
    // These stream, and watch over their own time.
    let long = OpenApiRouter::new()
        .routes(routes!(hand_in::hand_in, batches::all))
        .routes(routes!(batches::jobs))
        .routes(routes!(results::results))
        .routes(routes!(receipt::receipt));
    // Nothing is gained by compressing these, and a part of something compressed is of no use.
    let files = OpenApiRouter::new().routes(routes!(artifacts::get, artifacts::put, artifacts::delete));
    let (router, found) =
        quick.merge(large).merge(waiting).merge(long).layer(compression()).merge(files).split_for_parts();
    // Made of the routes themselves, so that it is there once they are.
    app.description.get_or_init(|| Description::of(found));
    router
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard::surround))
        .with_state(app)
}

/// Answers worth it are gzipped for who takes that; the quickest way, since networks here are fast and cores few.
fn compression() -> CompressionLayer<SizeAbove> {
    const WORTH_IT: u16 = 1024;
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(WORTH_IT))
}
