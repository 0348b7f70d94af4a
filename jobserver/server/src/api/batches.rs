//! Batches as their owners see them: the list, one batch, its jobs, its results; suspended, resumed and deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nightshift_store::{JobResults, StoreError};
use nightshift_wire::{Batch, BatchId, BatchState, Outcome, Reason, code};

use super::Shared;
use super::body::{Body, Number, number};
use super::stream;
use crate::app::App;
use crate::csv::intake::ERROR_COLUMN;
use crate::csv::lines::{write_result, write_row};
use crate::refused::{Refused, one_line, while_doing};

/// The most batches a list shows.
const LISTED: u32 = 1000;
/// Jobs read from the store at once.
const JOBS_AT_ONCE: u32 = 500;

pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Batch>>, Refused> {
    app.store.batches(LISTED).await.map(Json).map_err(while_doing(|| "listing the batches"))
}

pub(super) async fn one(State(app): Shared, batch: Number) -> Result<Json<Batch>, Refused> {
    find(&app, number(batch, "batch")?, "looking at").await.map(Json)
}

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

pub(super) async fn results(State(app): Shared, batch: Number) -> Result<Response, Refused> {
    let batch = find(&app, number(batch, "batch")?, "fetching the results of").await?;
    let id = batch.id;
    if batch.state == BatchState::Receiving {
        let detail = format!("fetching the results of batch {id}: it is still arriving; ask again when it is complete");
        return Err(Refused::new(StatusCode::CONFLICT, code::NOT_READY, detail));
    }
    let mut head = String::new();
    let columns = batch.columns.iter().chain(&batch.outputs).map(String::as_str);
    write_row(&mut head, columns.chain([ERROR_COLUMN]));
    let outputs: Arc<[String]> = batch.outputs.into();
    // The header goes with the first job; batches have at least one.
    let body = stream::body(format!("sending the results of batch {id}"), (head, 0), move |(mut text, seq)| {
        let (app, outputs) = (Arc::clone(&app), Arc::clone(&outputs));
        async move {
            let Some(job) = app.store.results(id, seq).await? else { return Ok(None) };
            write_job(&mut text, &job, &outputs);
            Ok::<_, StoreError>(Some((text, (String::new(), seq + 1))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"batch-{id}.csv\"")),
    ];
    Ok((headers, body).into_response())
}

fn write_job(text: &mut String, job: &JobResults, outputs: &[String]) {
    let missing = Outcome::Error(job.missing().unwrap_or_else(|| "no result".to_owned()));
    for record in &job.records {
        write_result(text, &record.record.values, outputs, record.outcome.as_ref().unwrap_or(&missing));
    }
}

pub(super) async fn suspend(
    State(app): Shared,
    batch: Number,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Batch>, Refused> {
    let batch = number(batch, "batch")?;
    let reason = one_line(&reason);
    let suspended = app.store.suspend_batch(batch, &reason, app.clock.now()).await;
    let suspended = suspended.map_err(while_doing(|| format!("suspending batch {batch}")))?;
    tracing::warn!(batch, "batch {batch} is suspended: {}", suspended.suspended.as_deref().unwrap_or_default());
    Ok(Json(suspended))
}

pub(super) async fn resume(
    State(app): Shared,
    batch: Number,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Batch>, Refused> {
    let batch = number(batch, "batch")?;
    let resumed = app.store.resume_batch(batch, app.clock.now()).await;
    let resumed = resumed.map_err(while_doing(|| format!("resuming batch {batch}")))?;
    tracing::info!(batch, "batch {batch} is resumed: {}", one_line(&reason));
    app.work.notify_waiters();
    Ok(Json(resumed))
}

pub(super) async fn delete(State(app): Shared, batch: Number) -> Result<StatusCode, Refused> {
    let batch = number(batch, "batch")?;
    let deleted = app.store.delete_batch(batch, app.clock.now()).await;
    deleted.map_err(while_doing(|| format!("deleting batch {batch}")))?;
    tracing::warn!(batch, "batch {batch} is deleted with its records and results");
    Ok(StatusCode::NO_CONTENT)
}

async fn find(app: &App, batch: BatchId, doing: &str) -> Result<Batch, Refused> {
    app.store.batch(batch).await.map_err(while_doing(|| format!("{doing} batch {batch}")))
}
