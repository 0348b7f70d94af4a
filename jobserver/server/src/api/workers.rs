//! Workers as admins see and change them: the list, one worker, drained, resumed, tagged, named.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use nightshift_manifest::requires::check_tag;
use nightshift_wire::{EnrolmentState, Reason, Worker, WorkerChange, code};

use super::Shared;
use super::body::{Body, Number, named};
use crate::access::Caller;
use crate::acts;
use crate::app::App;
use crate::refused::{Refused, one_line, while_doing};

/// The longest name of a worker.
const LONGEST_NAME: usize = 100;
/// The most tags of a worker.
const MOST_TAGS: usize = 100;

#[utoipa::path(get, path = "/v1/workers", operation_id = "workers", tag = "workers",
    summary = "Every worker",
    responses(
        (status = 200, description = "The workers", body = Vec<Worker>)
    )
)]
pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Worker>>, Refused> {
    app.store.workers().await.map(Json).map_err(while_doing(|| "listing the workers"))
}

#[utoipa::path(get, path = "/v1/workers/{worker}", operation_id = "worker", tag = "workers",
    summary = "A worker",
    params(("worker" = String, Path, description = "The worker")),
    responses(
        (status = 200, description = "The worker", body = Worker)
    )
)]
pub(super) async fn one(State(app): Shared, worker: Number) -> Result<Json<Worker>, Refused> {
    let worker = named(worker, "worker")?;
    app.store.worker(&worker).await.map(Json).map_err(while_doing(|| format!("looking at worker {worker}")))
}

#[utoipa::path(post, path = "/v1/workers/{worker}", operation_id = "changeWorker", tag = "workers",
    summary = "Drains, resumes, tags or names a worker",
    params(("worker" = String, Path, description = "The worker")),
    request_body = WorkerChange,
    responses(
        (status = 200, description = "The worker", body = Worker)
    )
)]
pub(super) async fn change(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    worker: Number,
    Body(change): Body<WorkerChange>,
) -> Result<Json<Worker>, Refused> {
    let worker = named(worker, "worker")?;
    change_worker(&app, &caller, &worker, change).await.map(Json)
}

pub(crate) async fn change_worker(
    app: &App,
    caller: &Caller,
    worker: &str,
    change: WorkerChange,
) -> Result<Worker, Refused> {
    let doing = || format!("changing worker {}", one_line(worker));
    let change = checked(change).map_err(|wrong| Refused::bad_request(format!("{}: {wrong}", doing())))?;
    if matches!(change, WorkerChange::Resume) {
        may_be_resumed(app, worker).await?;
    }
    let (did, why) = in_words(worker, &change);
    let (did, why) = (did, why.to_owned());
    let change = match change {
        WorkerChange::Drain(Reason { reason }) => {
            WorkerChange::Drain(Reason { reason: caller.reason("drained", &reason) })
        }
        other => other,
    };
    let changed = app.store.change_worker(worker, &change, app.clock.now()).await.map_err(while_doing(doing))?;
    match &changed.drained {
        Some(reason) => tracing::warn!(worker, "worker {worker} is drained: {reason}"),
        None => tracing::info!(worker, "worker {worker} is changed and may take jobs"),
    }
    app.work.notify_waiters();
    acts::note(app, caller, did, &why).await;
    Ok(changed)
}

/// Refuses to resume a worker that nobody lets in: it would be shown as one that gets jobs.
async fn may_be_resumed(app: &App, worker: &str) -> Result<(), Refused> {
    let doing = || format!("resuming worker {}", one_line(worker));
    let known = app.gate.directory.workers().await.map_err(while_doing(doing))?;
    let out = known.iter().find(|known| {
        known.worker == worker && matches!(known.state, EnrolmentState::Revoked | EnrolmentState::Refused)
    });
    match out {
        None => Ok(()),
        Some(out) => {
            let detail =
                format!("{}: it is {} and let in no more; it can join again as a new worker", doing(), out.reason);
            Err(Refused::new(StatusCode::CONFLICT, code::FINISHED, detail))
        }
    }
}

/// What was done, and why.
fn in_words<'a>(worker: &str, change: &'a WorkerChange) -> (String, &'a str) {
    match change {
        WorkerChange::Drain(Reason { reason }) => (format!("drained worker {worker}"), reason),
        WorkerChange::Resume => (format!("let worker {worker} take jobs again"), ""),
        WorkerChange::Tags(tags) => {
            let tags = tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            (format!("gave worker {worker} the tags [{tags}]"), "")
        }
        WorkerChange::Name(name) => (format!("named worker {worker} {name:?}"), ""),
    }
}

/// The change, if it is one that can be: what it says stands in lists and logs.
fn checked(change: WorkerChange) -> Result<WorkerChange, String> {
    match change {
        WorkerChange::Drain(Reason { reason }) => Ok(WorkerChange::Drain(Reason { reason: one_line(&reason) })),
        WorkerChange::Resume => Ok(WorkerChange::Resume),
        WorkerChange::Tags(tags) if tags.len() > MOST_TAGS => Err(format!("a worker has {MOST_TAGS} tags at most")),
        WorkerChange::Tags(tags) => {
            tags.iter().try_for_each(|tag| check_tag(tag))?;
            Ok(WorkerChange::Tags(tags))
        }
        WorkerChange::Name(name) if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) => {
            Err(format!("a name has {LONGEST_NAME} letters at most, and no control characters"))
        }
        WorkerChange::Name(name) => Ok(WorkerChange::Name(name.trim().to_owned())),
    }
}
