//! The API: one file per group of requests, this one says by which way each goes. Its path and method stand at its
//! handler.

mod arriving;
mod artifacts;
mod attempts;
pub(crate) mod batches;
mod body;
mod claims;
pub(crate) mod control;
pub(crate) mod enrolments;
pub(crate) mod grid;
pub(crate) mod hand_in;
mod health;
pub(crate) mod jobs;
mod openapi;
pub(crate) mod receipt;
mod replication;
mod requirements;
mod results;
mod rollouts;
pub(crate) mod statistics;
mod stream;
pub(crate) mod tokens;
pub(crate) mod workers;

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
pub(crate) use arriving::whole;
use arriving::{Allowance, Bounds};
pub(crate) use body::{Number, named, number, query};
pub(crate) use openapi::Description;

pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// Every request the server answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let limits = app.limits;
    let within = |limit, time| {
        let allowance = Allowance { budget: Arc::clone(&app.budget), limit, silence: limits.silence, unhurried: time };
        from_fn_with_state(Bounds { allowance, time }, arriving::within)
    };
    let quick = OpenApiRouter::new()
        .routes(routes!(attempts::records))
        .routes(routes!(attempts::heartbeat))
        .routes(routes!(attempts::give_back))
        .routes(routes!(batches::one))
        .routes(routes!(batches::suspend))
        .routes(routes!(batches::resume))
        .routes(routes!(jobs::find))
        .routes(routes!(jobs::one))
        .routes(routes!(jobs::explain))
        .routes(routes!(artifacts::all))
        .routes(routes!(control::raise, control::clear))
        .routes(routes!(grid::report))
        .routes(routes!(replication::replication))
        .routes(routes!(replication::rebuild))
        .routes(routes!(replication::rebuilt))
        .routes(routes!(rollouts::all))
        .routes(routes!(rollouts::one))
        .routes(routes!(statistics::read))
        .routes(routes!(statistics::all, statistics::record))
        .routes(routes!(statistics::remove))
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
        .merge(OpenApiRouter::from(pages::quick()))
        .layer(within(limits.body, limits.request));
    let large = OpenApiRouter::new()
        .routes(routes!(attempts::submit))
        .routes(routes!(attempts::submit_many))
        .layer(within(limits.submission, limits.submit));
    // Small, but there may be a million jobs to change.
    let changing = OpenApiRouter::new()
        .routes(routes!(jobs::act))
        .routes(routes!(batches::delete))
        .merge(OpenApiRouter::from(pages::changing()))
        .layer(within(limits.body, limits.submit));
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
        .routes(routes!(receipt::receipt))
        .merge(OpenApiRouter::from(pages::long()));
    // Nothing is gained by compressing these, and a part of something compressed is of no use.
    let files = OpenApiRouter::new().routes(routes!(artifacts::get, artifacts::put, artifacts::delete));
    let (router, found) = quick
        .merge(large)
        .merge(changing)
        .merge(waiting)
        .merge(long)
        .layer(compression())
        .merge(files)
        .merge(OpenApiRouter::from(pages::live()))
        .split_for_parts();
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
