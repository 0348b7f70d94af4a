//! Who did what, the newest first.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use super::frame::{Frame, Visitor};
use super::words::{ago, at};
use crate::api::{Shared, query};
use crate::refused::{Refused, while_doing};

/// Acts on a page.
const AT_ONCE: u32 = 100;

#[derive(Deserialize)]
struct Asked {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "acts.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    older: Option<i64>,
    is_first: bool,
}

struct Row {
    at: String,
    ago: String,
    by: String,
    did: String,
    why: String,
}

pub(super) async fn page(State(app): Shared, visitor: Visitor, uri: Uri) -> Result<Response, Refused> {
    let Asked { before } = query(&uri)?;
    let acts = app.gate.store.acts(before.unwrap_or(i64::MAX), AT_ONCE).await;
    let acts = acts.map_err(while_doing(|| "listing who did what"))?;
    let now = app.clock.now();
    let full = acts.len() == AT_ONCE as usize;
    let older = acts.last().filter(|_| full).map(|last| last.id);
    let rows = acts.into_iter().map(|act| act.act).map(|act| Row {
        at: at(act.at),
        ago: ago(act.at, now),
        by: act.by,
        did: act.did,
        why: act.why,
    });
    super::shown(&Page {
        frame: visitor.frame(&app, "Who did what", "acts"),
        rows: rows.collect(),
        older,
        is_first: before.is_none(),
    })
}
