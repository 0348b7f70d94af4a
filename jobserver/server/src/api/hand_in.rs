//! An owner hands in a batch: a CSV, streamed, becomes jobs in the store, in the memory of one large job.
//!
//! 1. The query names the plugin; a fresh look at the repository says which columns it takes and adds.
//! 2. The batch is opened when its first job is complete, so that most bad CSVs touch no disk.
//! 3. Jobs are appended as they fill; the small ones of one piece at once, so that each does not wait for the disk.
//!    None of them can be claimed.
//! 4. After the last byte the batch is sealed: one step makes all its jobs claimable, and waiting workers are woken.
//! 5. Whatever goes wrong before that (a bad row, a broken connection, the server's end), the batch is abandoned:
//!    nothing of it remains. A server killed in between removes it when it starts again.
//!
//! All this runs as a task of its own: a connection that ends takes the request with it, but not the clearing up. A
//! refusal is answered at once; what is still arriving is read and dropped for a while, because a closed door would
//! lose the answer that says why.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use futures_util::{Stream, StreamExt};
use nightshift_rules::{auto_size, sizing::Measured};
use nightshift_store::{NewBatch, Store};
use nightshift_wire::{Batch, BatchId, HandIn, code};
use tokio::sync::oneshot;

use super::Shared;
use super::body::{plain, query};
use crate::app::App;
use crate::catalogue::Catalogue;
use crate::clock::timestamp;
use crate::csv::intake::{Intake, Unfit, Wanted};
use crate::refused::{Refused, chain, while_doing};

/// A job is closed at this size in bytes even when it has fewer records than asked for: it must fit one request.
const LARGEST_JOB_BYTES: usize = 8 * 1024 * 1024;
/// What a field takes besides its text, in memory: a row of a thousand empty fields is not nothing.
const BYTES_AROUND_A_FIELD: usize = size_of::<String>();
/// Complete jobs are appended when they have so many bytes, or are so many.
const APPENDED_BYTES: usize = 256 * 1024;
const APPENDED_JOBS: usize = 2_000;
/// The longest name of a batch.
const LONGEST_NAME: usize = 200;
/// So much of a refused hand-in is read and dropped.
const DROPPED: usize = 256 * 1024 * 1024;

pub(super) async fn hand_in(
    State(app): Shared,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Batch>), Refused> {
    let asked: HandIn = query(&uri)?;
    plain(|| "handing in a batch".to_owned(), &headers)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/") {
        let detail = "handing in a batch: this is a form; send the CSV itself as the body, as text/csv";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
    }
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let mut pieces = body.into_data_stream();
        let outcome = receive(&app, asked, &mut pieces).await;
        let refused = outcome.is_err();
        // Nobody hears the answer when the connection is gone; the batch then stands in the list.
        let _ = answer.send(outcome);
        if refused {
            drop_rest(&app, &mut pieces).await;
        }
    });
    let batch = answered.await.map_err(|_| Refused::internal("handing in a batch"))??;
    Ok((StatusCode::CREATED, Json(batch)))
}

async fn receive<S, E>(app: &App, asked: HandIn, pieces: &mut S) -> Result<Batch, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let catalogue = app.releases.fresh().await;
    let mut arriving = Arriving::new(app, asked, &catalogue)?;
    let received = arriving.read(app, pieces).await;
    match received {
        Ok(batch) => {
            let (id, name, plugin) = (batch.id, &batch.name, &batch.plugin);
            tracing::info!(
                batch = id,
                "batch {id} ({name}) is handed in for {plugin}; records: {}, jobs: {}",
                batch.records,
                batch.jobs
            );
            app.work.notify_waiters();
            Ok(batch)
        }
        Err(refused) => {
            arriving.abandon().await;
            Err(refused)
        }
    }
}

/// A batch on its way in.
struct Arriving {
    store: Arc<dyn Store>,
    new: NewBatch,
    intake: Intake,
    job_size: usize,
    batch: Option<BatchId>,
    /// Complete jobs that are not appended yet.
    complete: Vec<Vec<Vec<String>>>,
    complete_bytes: usize,
    job: Vec<Vec<String>>,
    job_bytes: usize,
}

impl Arriving {
    fn new(app: &App, asked: HandIn, catalogue: &Catalogue) -> Result<Arriving, Refused> {
        let offered = catalogue.plugin(&asked.plugin).map_err(|error| {
            let detail = format!("handing in a batch for {}: {error}", asked.plugin);
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::UNKNOWN_PLUGIN, detail)
        })?;
        let settings = &catalogue.settings;
        let job_size = auto_size::size(asked.job_size, Measured::default(), settings.job_size, None)
            .map_err(|error| Refused::bad_request(format!("handing in a batch: {error}")))?;
        let name = match asked.name {
            Some(name) => check_name(name)?,
            None => format!("{}-{}", asked.plugin, timestamp(app.clock.now()).strftime("%Y%m%d-%H%M%S")),
        };
        let wanted =
            Wanted { plugin: asked.plugin.clone(), inputs: offered.inputs.clone(), outputs: offered.outputs.clone() };
        Ok(Arriving {
            store: Arc::clone(&app.store),
            new: NewBatch {
                name,
                plugin: asked.plugin,
                priority: asked.priority.unwrap_or(0),
                columns: Vec::new(),
                outputs: offered.outputs.clone(),
                lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
                max_attempts: settings.max_attempts,
            },
            intake: Intake::new(wanted),
            job_size: job_size.records as usize,
            batch: None,
            complete: Vec::new(),
            complete_bytes: 0,
            job: Vec::new(),
            job_bytes: 0,
        })
    }

    async fn read<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Batch, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        while let Some(piece) = self.next_piece(app, pieces).await? {
            let records = self.intake.feed(&piece).map_err(|unfit| self.unfit(&unfit))?;
            self.take(app, records).await?;
        }
        let records = self.intake.finish().map_err(|unfit| self.unfit(&unfit))?;
        self.take(app, records).await?;
        if !self.job.is_empty() {
            self.complete();
            self.append(app).await?;
        }
        let batch = self.batch.ok_or_else(|| Refused::internal(&self.doing()))?;
        self.store.seal_batch(batch).await.map_err(while_doing(|| self.doing()))
    }

    async fn next_piece<S, E>(&self, app: &App, pieces: &mut S) -> Result<Option<Bytes>, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let again = |what: &str| format!("{}: {what}; nothing of it is kept, hand it in again", self.doing());
        let next = tokio::select! {
            () = app.stopping.cancelled() => return Err(Refused::away(again("the job server is ending"))),
            next = tokio::time::timeout(app.limits.silence, pieces.next()) => next,
        };
        match next {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(_))) => Err(Refused::bad_request(again("the CSV broke off"))),
            Err(_) => {
                Err(Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, again("the CSV stopped arriving")))
            }
        }
    }

    async fn take(&mut self, app: &App, records: Vec<Vec<String>>) -> Result<(), Refused> {
        for record in records {
            self.job_bytes += record.iter().map(|field| field.len() + BYTES_AROUND_A_FIELD).sum::<usize>();
            self.job.push(record);
            if self.job.len() >= self.job_size || self.job_bytes >= LARGEST_JOB_BYTES {
                self.complete();
            }
            if self.complete_bytes >= APPENDED_BYTES || self.complete.len() >= APPENDED_JOBS {
                self.append(app).await?;
            }
        }
        // What is complete does not wait for the next piece, which may be long in coming.
        if self.complete.is_empty() { Ok(()) } else { self.append(app).await }
    }

    fn complete(&mut self) {
        self.complete.push(std::mem::take(&mut self.job));
        self.complete_bytes += std::mem::take(&mut self.job_bytes);
    }

    async fn append(&mut self, app: &App) -> Result<(), Refused> {
        let batch = match self.batch {
            Some(batch) => batch,
            None => {
                self.new.columns = self.intake.columns().to_vec();
                let opened = self.store.open_batch(self.new.clone(), app.clock.now()).await;
                let batch = opened.map_err(while_doing(|| self.doing()))?;
                self.batch = Some(batch);
                batch
            }
        };
        self.complete_bytes = 0;
        let jobs = std::mem::take(&mut self.complete);
        self.store.append_jobs(batch, jobs).await.map_err(while_doing(|| self.doing()))
    }

    async fn abandon(&self) {
        let Some(batch) = self.batch else { return };
        match self.store.abandon_batch(batch).await {
            Ok(()) => tracing::info!(batch, "batch {batch} was not handed in whole and is removed"),
            Err(error) => tracing::warn!(
                batch,
                "removing batch {batch}, which was not handed in whole: {}; it is removed when that is possible again",
                chain(&error)
            ),
        }
    }

    fn doing(&self) -> String {
        format!("handing in batch {:?}", self.new.name)
    }

    fn unfit(&self, unfit: &Unfit) -> Refused {
        Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::BAD_CSV, format!("{}: {unfit}", self.doing()))
    }
}

fn check_name(name: String) -> Result<String, Refused> {
    let wrong = name.trim().is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control);
    if wrong {
        let detail = format!("handing in a batch: a name has 1 to {LONGEST_NAME} letters, and no control characters");
        return Err(Refused::bad_request(detail));
    }
    Ok(name)
}

/// Reads what is still coming and drops it, until it ends, pauses, or was enough.
async fn drop_rest<S, E>(app: &App, pieces: &mut S)
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
