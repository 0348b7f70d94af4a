//! The dashboard: pages for people, of HTML that needs no script and gets livelier with a little of it.
//!
//! 1. Who may ask for which page is one table, with the API's (`jobserver/rules`, `access`); a browser is known by its
//!    session (`access/session.rs`).
//! 2. A page does nothing itself: it shows what the API shows and does what the API does, by the same functions.
//! 3. What changes something is a form. It brings the key of the session's forms, and a browser's word that it comes from
//!    this very server.
//! 4. Figures of the whole grid come from one reading for all browsers ([`live`]).
//!
//! Everything that somebody wrote is escaped by the templates. Nothing is fetched from elsewhere, no script or style stands
//! in a page, and no other site may show one.

mod acts;
mod assets;
mod batches;
mod chart;
mod errors;
mod frame;
mod hand_in;
mod jobs;
mod live;
mod login;
mod names;
mod overview;
mod pace;
mod releases;
mod statistics;
mod stops;
mod words;
mod workers;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::app::App;
use crate::refused::Refused;
pub(crate) use errors::{is_for_a_person, is_from_our_own, told};
pub(crate) use live::Live;

/// No scripts or styles but our own files, no frames, forms to this server alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Pages that are answered at once.
pub(crate) fn quick() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/page.css", get(assets::style))
        .route("/page.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        .route("/batches", get(batches::list))
        .route("/batches/{batch}", get(batches::one))
        .route("/batches/{batch}/errors", get(batches::errors))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{job}", get(jobs::one))
        .route("/workers", get(workers::list))
        .route("/workers/{worker}", get(workers::one).post(workers::act))
        .route("/workers/{worker}/enrolment", post(workers::decide))
        .route("/releases", get(releases::page))
        .route("/statistics", get(statistics::page))
        .route("/stops", get(stops::page).post(stops::act))
        .route("/acts", get(acts::page))
}

/// Forms that may change a million jobs.
pub(crate) fn changing() -> Router<Arc<App>> {
    Router::new().route("/jobs", post(jobs::act)).route("/batches/{batch}", post(batches::act))
}

/// Pages that watch over their own time.
pub(crate) fn long() -> Router<Arc<App>> {
    Router::new()
        .route("/batches/new", get(hand_in::page).post(hand_in::hand_in))
        .route("/batches/preview", post(hand_in::preview))
        .route("/batches/{batch}/receipt", get(batches::receipt))
        // A file streams, and is as large as it is.
        .layer(DefaultBodyLimit::disable())
}

/// What open pages listen to.
pub(crate) fn live() -> Router<Arc<App>> {
    Router::new().route("/live", get(live::grid)).route("/batches/{batch}/live", get(live::batch))
}

/// A page as it is sent.
fn shown(page: &impl Template) -> Result<Response, Refused> {
    let html = page.render().map_err(|error| {
        tracing::error!("making a page: {error}");
        Refused::internal("making a page")
    })?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // Without the origin a form could not be told from another site's.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    Ok((headers, Html(html)).into_response())
}

/// On to another page, after something was done.
fn on_to(place: &str) -> Response {
    Redirect::to(place).into_response()
}
