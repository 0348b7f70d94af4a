//! Batches as their owners see them: the list, one batch, its jobs; suspended, resumed and deleted. Its results are in
//! `results.rs`, their proof in `receipt.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nightshift_store::{Refusal, StoreError};
use nightshift_wire::{Batch, BatchId, BatchState, Job, Problem, Reason, ResumeBatch, code};

use super::Shared;
use super::body::{Body, Number, number};
use super::stream;
use crate::access::Caller;
use crate::acts;
use crate::app::{App, to_its_end};
use crate::refused::{Refused, one_line, while_doing};

/// The most batches a list shows.
const LISTED: u32 = 1000;
/// Jobs read from the store at once.
const JOBS_AT_ONCE: u32 = 500;

#[utoipa::path(get, path = "/v1/batches", operation_id = "batches", tag = "batches",
    summary = "The newest batches, newest first; an owner sees its own",
    responses(
        (status = 200, description = "The batches, 1,000 at most", body = Vec<Batch>)
    )
)]
pub(super) async fn all(State(app): Shared, Extension(caller): Extension<Caller>) -> Result<Json<Vec<Batch>>, Refused> {
    const DOING: &str = "listing the batches";
    let Some(owner) = caller.own_batches_only() else {
        return app.store.batches(LISTED).await.map(Json).map_err(while_doing(|| DOING));
    };
    let own = app.gate.store.batches_of(owner, LISTED).await.map_err(while_doing(|| DOING))?;
    let mut batches = Vec::with_capacity(own.len());
    for batch in own {
        match app.store.batch(batch).await {
            Ok(batch) => batches.push(batch),
            // Its hand-in broke off, or it was deleted.
            Err(error) if matches!(error.refusal(), Some(Refusal::NoSuchBatch(_))) => {}
            Err(error) => return Err(Refused::by_store(DOING, &error)),
        }
    }
    Ok(Json(batches))
}

#[utoipa::path(get, path = "/v1/batches/{batch}", operation_id = "batch", tag = "batches",
    summary = "A batch and how far it is",
    params(("batch" = i64, Path, description = "The batch")),
    responses(
        (status = 200, description = "The batch", body = Batch)
    )
)]
pub(super) async fn one(State(app): Shared, batch: Number) -> Result<Json<Batch>, Refused> {
    find(&app, number(batch, "batch")?, "looking at").await.map(Json)
}

#[utoipa::path(get, path = "/v1/batches/{batch}/jobs", operation_id = "jobsOfBatch", tag = "batches",
    summary = "The jobs of a batch, in input order, streamed",
    params(("batch" = i64, Path, description = "The batch")),
    responses(
        (status = 200, description = "The jobs", body = Vec<Job>)
    )
)]
pub(super) async fn jobs(State(app): Shared, batch: Number) -> Result<Response, Refused> {
    let batch = find(&app, number(batch, "batch")?, "listing the jobs of").await?.id;
    // A list in JSON, written as it is read: `[` and the first jobs, then more, then `]`.
    let body = stream::body(format!("listing the jobs of batch {batch}"), Some(0), move |from: Option<u64>| {
        let app = Arc::clone(&app);
        async move {
            let Some(from) = from else { return Ok(None) };
            let jobs = app.store.jobs(batch, from, JOBS_AT_ONCE).await?;
            let mut text = String::from(if from == 0 { "[" } else { "" });
            for (index, job) in jobs.iter().enumerate() {
                if from > 0 || index > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(job).expect("a job is plain data and always serializes"));
            }
            let more = jobs.len() == JOBS_AT_ONCE as usize;
            if !more {
                text.push(']');
            }
            Ok::<_, StoreError>(Some((text, more.then_some(from + u64::from(JOBS_AT_ONCE)))))
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[utoipa::path(post, path = "/v1/batches/{batch}/suspend", operation_id = "suspendBatch", tag = "batches",
    summary = "Hands out none of its jobs until it is resumed",
    params(("batch" = i64, Path, description = "The batch")),
    request_body = Reason,
    responses(
        (status = 200, description = "The batch", body = Batch),
        (status = 409, description = "It is finished, nothing is handed out of it: `finished`", body = Problem)
    )
)]
pub(super) async fn suspend(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    batch: Number,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Batch>, Refused> {
    let batch = number(batch, "batch")?;
    suspend_batch(&app, &caller, batch, &reason).await.map(Json)
}

pub(crate) async fn suspend_batch(app: &App, caller: &Caller, batch: BatchId, reason: &str) -> Result<Batch, Refused> {
    let reason = one_line(reason);
    // It may end just after this look; then it is suspended and ended, which harms nobody.
    let seen = app.store.batch(batch).await.map_err(while_doing(|| format!("suspending batch {batch}")))?;
    if let Some(over) = over(&seen) {
        return Err(Refused::new(StatusCode::CONFLICT, code::FINISHED, format!("suspending batch {batch}: {over}")));
    }
    let shown = caller.reason("suspended", &reason);
    let suspended = app.store.suspend_batch(batch, &shown, app.clock.now()).await;
    let suspended = suspended.map_err(while_doing(|| format!("suspending batch {batch}")))?;
    tracing::warn!(batch, "batch {batch} is suspended: {}", suspended.suspended.as_deref().unwrap_or_default());
    acts::note(app, caller, format!("suspended batch {batch}"), &reason).await;
    Ok(suspended)
}

/// Why nothing can be handed out of a batch any more, when that is so.
fn over(batch: &Batch) -> Option<&'static str> {
    match batch.state {
        BatchState::Done => Some("it is finished: every record has its result, and no job is left to hand out"),
        BatchState::Incomplete => Some(
            "it is finished: the jobs without results are quarantined or deleted, and none goes out unless it is retried",
        ),
        BatchState::Receiving | BatchState::Open => None,
    }
}

#[utoipa::path(post, path = "/v1/batches/{batch}/resume", operation_id = "resumeBatch", tag = "batches",
    summary = "Hands out its jobs again",
    params(("batch" = i64, Path, description = "The batch")),
    request_body = ResumeBatch,
    responses(
        (status = 200, description = "The batch", body = Batch)
    )
)]
pub(super) async fn resume(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    batch: Number,
    Body(resume): Body<ResumeBatch>,
) -> Result<Json<Batch>, Refused> {
    let batch = number(batch, "batch")?;
    resume_batch(&app, &caller, batch, &resume).await.map(Json)
}

pub(crate) async fn resume_batch(
    app: &App,
    caller: &Caller,
    batch: BatchId,
    resume: &ResumeBatch,
) -> Result<Batch, Refused> {
    let ResumeBatch { reason, error_rate } = resume;
    let resumed = app.store.resume_batch(batch, *error_rate, app.clock.now()).await;
    let resumed = resumed.map_err(while_doing(|| format!("resuming batch {batch}")))?;
    tracing::info!(batch, "batch {batch} is resumed: {}", one_line(reason));
    app.work.notify_waiters();
    let did = match error_rate {
        Some(rate) => format!("resumed batch {batch}, with {rate} errors allowed"),
        None => format!("resumed batch {batch}"),
    };
    acts::note(app, caller, did, reason).await;
    Ok(resumed)
}

#[utoipa::path(delete, path = "/v1/batches/{batch}", operation_id = "deleteBatch", tag = "batches",
    summary = "Removes a batch with its records and results",
    params(("batch" = i64, Path, description = "The batch")),
    responses(
        (status = 204, description = "It is gone")
    )
)]
pub(super) async fn delete(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    batch: Number,
) -> Result<StatusCode, Refused> {
    let batch = number(batch, "batch")?;
    delete_batch(&app, &caller, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete_batch(app: &Arc<App>, caller: &Caller, batch: BatchId) -> Result<(), Refused> {
    let (app, caller) = (Arc::clone(app), caller.clone());
    to_its_end("deleting a batch", async move {
        let deleted = app.store.delete_batch(batch, app.clock.now()).await;
        deleted.map_err(while_doing(|| format!("deleting batch {batch}")))?;
        tracing::warn!(batch, "batch {batch} is deleted with its records and results");
        app.untidy.notify_one();
        acts::note(&app, &caller, format!("deleted batch {batch} with its records and results"), "").await;
        Ok(())
    })
    .await
}

/// The batch, or why there is none while `doing` something to it.
pub(crate) async fn find(app: &App, batch: BatchId, doing: &str) -> Result<Batch, Refused> {
    app.store.batch(batch).await.map_err(while_doing(|| format!("{doing} batch {batch}")))
}
