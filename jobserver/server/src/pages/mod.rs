//! The status page at `/`: plain HTML without scripts, made new by the browser every few seconds.
//!
//! Reads what the API reads; everything that a person or a worker wrote is escaped by the template.

mod view;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use crate::api::Shared;
use crate::api::grid::figures;
use crate::refused::{Refused, while_doing};
use view::{BatchRow, StatusPage, WorkerRow};

/// Batches on the page; the API lists more.
const BATCHES_SHOWN: u32 = 50;

#[utoipa::path(get, path = "/", operation_id = "page", tag = "pages",
    summary = "The status page, for people",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html")
    )
)]
pub(crate) async fn status(State(app): Shared) -> Result<impl IntoResponse, Refused> {
    let doing = || "making the status page";
    let status = figures(&app).await?;
    let batches = app.store.batches(BATCHES_SHOWN).await.map_err(while_doing(doing))?;
    let workers = app.store.workers().await.map_err(while_doing(doing))?;
    let now = status.now;
    let page = StatusPage {
        status,
        batches: batches.iter().map(|batch| BatchRow::new(batch, now)).collect(),
        full: batches.len() == BATCHES_SHOWN as usize,
        workers: workers.iter().map(|worker| WorkerRow::new(worker, now)).collect(),
    };
    page.render().map(Html).map_err(|error| {
        tracing::error!("making the status page: {error}");
        Refused::internal(doing())
    })
}

#[utoipa::path(get, path = "/page.css", operation_id = "pageStyle", tag = "pages",
    summary = "The status page's looks",
    responses(
        (status = 200, description = "CSS", body = String, content_type = "text/css")
    )
)]
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css"))
}
