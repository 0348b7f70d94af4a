//! An owner hands in a batch: CSV or JSON lines, streamed, or a range of keys, become jobs in the store, in the memory of
//! one large job.
//!
//! 1. The query names the plugin; a fresh look at the repository says which columns it takes and adds (`plan.rs`).
//! 2. A key that stands for a batch already: the input is read and compared, nothing is stored (`keyed.rs`).
//! 3. When the plugin reads replicas, the primary says how far it is: the batch is done on no older data. A primary that
//!    cannot say refuses the hand-in.
//! 4. The batch is opened when its first job is complete, so that most bad inputs touch no disk.
//! 5. Jobs are appended as they fill (`jobs.rs`); none of them can be claimed.
//! 6. After the last byte the input is noted, digest and key. Of several hand-ins with one key one is the first here, and
//!    the others answer with its batch.
//! 7. The batch is sealed: one step makes all its jobs claimable, and waiting workers are woken.
//! 8. Whatever goes wrong before that (a bad row, more records than a batch may have, a broken connection, the server's
//!    end), the batch is abandoned: nothing of it remains, and the log says who handed it in and how far it came. A server
//!    killed in between removes it when it starts again.
//!
//! A dry run reads in the same way, stores nothing and tells what it saw (`preview.rs`).
//!
//! All this runs as a task of its own: a connection that ends takes the request with it, but not the clearing up. A
//! refusal is answered at once; what is still arriving is read and dropped for a while, because a closed door would
//! lose the answer that says why.

mod incoming;
mod jobs;
mod keyed;
mod plan;
mod preview;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use nightshift_wire::{Batch, DataPosition, HandIn, Preview, Problem};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use self::jobs::{Arrived, Arriving};
use self::plan::{Form, Plan};
use super::Shared;
use super::requirements;
use crate::access::Caller;
use crate::acts;
use crate::app::App;
use crate::refused::{Refused, chain, while_doing};

/// So much of a refused hand-in is read and dropped.
const DROPPED: usize = 256 * 1024 * 1024;

/// How a hand-in is answered.
pub(crate) enum Answer {
    /// A new batch.
    New(Batch),
    /// The batch its key stands for.
    Before(Batch),
    /// What a dry run saw.
    Preview(Box<Preview>),
}

/// How a hand-in that stored nothing new is answered, for the API's description.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes")]
enum Unstored {
    /// The batch that its key stands for already.
    Before(Batch),
    /// What a dry run saw.
    Preview(Preview),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Answer::New(batch) => (StatusCode::CREATED, Json(batch)).into_response(),
            Answer::Before(batch) => (StatusCode::OK, Json(batch)).into_response(),
            Answer::Preview(preview) => (StatusCode::OK, Json(preview)).into_response(),
        }
    }
}

#[utoipa::path(post, path = "/v1/batches", operation_id = "handIn", tag = "batches",
    summary = "Hands in a batch, streamed; with dry_run only looks",
    params(
        HandIn,
        ("tag" = Vec<String>, Query, description = "A tag a worker must have; repeated for each. Without any, those the plugin requires"),
    ),
    request_body(
        description = "The records: CSV or JSON lines, also with Content-Encoding gzip; empty for a range of keys",
        content((String = "text/csv"), (String = "application/jsonl"))
    ),
    responses(
        (status = 201, description = "The batch; its jobs can be claimed", body = Batch),
        (status = 200, description = "Nothing new was stored", body = Unstored),
        (status = 409, description = "The key stands for another input: `key_reused`", body = Problem),
        (status = 413, description = "It has too many records or bytes, or is packed too well: `too_large`", body = Problem),
        (status = 415, description = "A form, or an encoding that is not known", body = Problem),
        (status = 503, description = "The store, or the primary of the data, is away: `store_away`, `primary_away`; or the store was gone before it said whether the batch is handed in: `outcome_unknown`", body = Problem),
        (status = 422, description = "It makes no batch: `bad_csv`, `unknown_plugin`", body = Problem)
    )
)]
pub(super) async fn hand_in(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = requirements::hand_in(&uri)?;
    let form = Form::of(&headers)?;
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let mut pieces = body.into_data_stream();
        let outcome = receive(&app, asked, &caller, form, &mut pieces).await;
        let read_to_its_end = matches!(outcome, Ok(Answer::New(_) | Answer::Before(_)));
        // Nobody hears the answer when the connection is gone; the batch then stands in the list.
        let _ = answer.send(outcome);
        if !read_to_its_end {
            drop_rest(&app, &mut pieces).await;
        }
    });
    let answer = answered.await.map_err(|_| Refused::internal("handing in a batch"))??;
    Ok(answer.into_response())
}

/// Takes a batch that comes as the file of a form, once what the form asks for is known.
pub(crate) async fn receive_file<S, E>(
    app: &App,
    caller: &Caller,
    asked: HandIn,
    pieces: &mut S,
) -> Result<Answer, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    receive(app, asked, caller, Form::csv(), pieces).await
}

async fn receive<S, E>(app: &App, asked: HandIn, caller: &Caller, form: Form, pieces: &mut S) -> Result<Answer, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let catalogue = app.releases.fresh().await;
    let mut plan = Plan::new(app, asked, form, &catalogue).await?;
    plan.owner = caller.owner().map(str::to_owned);
    plan.key = plan.key.map(|key| caller.kept_key(key));
    if plan.dry_run {
        return preview::look(app, plan, pieces).await.map(|preview| Answer::Preview(Box::new(preview)));
    }
    if let Some(key) = &plan.key {
        let known = app.store.input_of_key(key).await;
        if let Some((batch, input)) = known.map_err(while_doing(|| plan.doing()))? {
            let made_of = plan.incoming().measure(app, pieces).await?;
            return keyed::answer(app, &plan, (batch, &input), &made_of).await.map(Answer::Before);
        }
    }
    if plan.on_replica {
        plan.new.position = position(app, &plan).await?;
    }
    let mut arriving = Arriving::new(app, plan);
    match arriving.read(app, pieces).await {
        Ok(Arrived::New(batch)) => {
            let (id, name, plugin) = (batch.id, &batch.name, &batch.plugin);
            tracing::info!(
                batch = id,
                "batch {id} ({name}) is handed in for {plugin}; records: {}, jobs: {}",
                batch.records,
                batch.jobs
            );
            app.work.notify_waiters();
            let did = format!("handed in batch {id} ({name}) for {plugin}: {} records", batch.records);
            acts::note(app, caller, did, "").await;
            Ok(Answer::New(batch))
        }
        Ok(Arrived::Before(batch)) => Ok(Answer::Before(batch)),
        Err(refused) => {
            arriving.break_off(caller.name(), &refused).await;
            Err(refused)
        }
    }
}

/// How far the primary is now; `None` when this server knows of no primary.
async fn position(app: &App, plan: &Plan) -> Result<Option<DataPosition>, Refused> {
    let Some(primary) = &app.replication.primary else { return Ok(None) };
    let noted = primary.look(app.clock.now()).await.map(|seen| Some(seen.position));
    noted.map_err(|error| {
        Refused::primary_away(format!(
            "{}: its records are to be processed on data as new as the primary's, and the primary cannot say how new they \
             are: {}",
            plan.doing(),
            chain(&error)
        ))
    })
}

/// Reads what is still coming and drops it, until it ends, pauses, or was enough.
pub(crate) async fn drop_rest<S, E>(app: &App, pieces: &mut S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut dropped = 0;
    while dropped < DROPPED {
        let next = tokio::select! {
            () = app.stopping.cancelled() => return,
            next = tokio::time::timeout(app.limits.silence, pieces.next()) => next,
        };
        match next {
            Ok(Some(Ok(piece))) => dropped += piece.len(),
            _ => return,
        }
    }
}

/// The parts of a running server that these files use, for their signatures.
type TheStore = Arc<dyn nightshift_store::Store>;
