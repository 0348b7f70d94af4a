//! How releases spread: what workers ask before they take one, and what `nightshift release status` shows.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use nightshift_store::{Refusal, StoreError};
use nightshift_wire::{Problem, Rollout, Rollouts};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Shared;
use super::body::{Number, check_worker, named, query};
use crate::app::App;
use crate::refused::{Refused, one_line, while_doing};

/// Who asks, and what it has seen.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The worker that asks: its tags are in the answer.
    worker: Option<String>,
    /// The etag of the answer that was seen last: releases that are as they were then are left out.
    #[serde(default)]
    seen: String,
}

#[utoipa::path(get, path = "/v1/rollouts", operation_id = "rollouts", tag = "grid",
    summary = "How releases spread, and which rings are open",
    params(Asked),
    responses(
        (status = 200, description = "The releases, the newest first, unless they are as they were", body = Rollouts)
    )
)]
pub(super) async fn all(State(app): Shared, uri: Uri) -> Result<Json<Rollouts>, Refused> {
    let asked: Asked = query(&uri)?;
    let doing = "looking how releases spread";
    let view = app.rollouts.view(&app).await.map_err(while_doing(|| doing))?;
    let tags = match &asked.worker {
        Some(worker) => {
            check_worker(doing, worker)?;
            Some(tags_of(&app, worker).await.map_err(while_doing(|| doing))?)
        }
        None => None,
    };
    let etag = match &tags {
        None => view.etag.clone(),
        Some(tags) => {
            let both = format!("{} {}", view.etag, tags.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
            format!("{:x}", Sha256::digest(both))[..16].to_owned()
        }
    };
    let rollouts = (etag != asked.seen).then(|| view.rollouts.clone());
    Ok(Json(Rollouts { now: app.clock.now(), etag, tags, rollouts }))
}

#[utoipa::path(get, path = "/v1/rollouts/{release}", operation_id = "rollout", tag = "grid",
    summary = "How a release spreads, and which of its rings are open",
    params(("release" = String, Path, description = "The release's tag, such as v1.5.0")),
    responses(
        (status = 200, description = "The release", body = Rollout),
        (status = 404, description = "This server knows no such release: `not_found`", body = Problem)
    )
)]
pub(super) async fn one(State(app): Shared, release: Number) -> Result<Json<Rollout>, Refused> {
    let release = named(release, "release")?;
    let view = app.rollouts.view(&app).await.map_err(while_doing(|| "looking how a release spreads"))?;
    let found = view.rollouts.iter().find(|rollout| rollout.release == release);
    found.cloned().map(Json).ok_or_else(|| {
        let known: Vec<&str> = view.rollouts.iter().map(|rollout| rollout.release.as_str()).collect();
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        Refused::not_found(format!("there is no release {:?} here; this server knows {known}", one_line(&release)))
    })
}

/// What an admin called the worker; nothing as long as it was never heard of.
async fn tags_of(app: &App, worker: &str) -> Result<BTreeSet<String>, StoreError> {
    match app.store.worker(worker).await {
        Ok(worker) => Ok(worker.tags),
        Err(StoreError::Refused(Refusal::NoSuchWorker(_))) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}
