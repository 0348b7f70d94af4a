//! Records become jobs, and jobs a batch: cut, appended, noted, sealed; or abandoned. While jobs are appended the next
//! records are read; there is one append at a time.

use axum::body::Bytes;
use futures_util::Stream;
use nightshift_store::{Input, Noted, StoreError};
use nightshift_wire::{Batch, BatchId};
use tokio::task::JoinHandle;

use super::TheStore;
use super::incoming::Incoming;
use super::keyed;
use super::plan::Plan;
use crate::app::App;
use crate::budget::Held;
use crate::refused::{Refused, chain, one_line, while_doing};

/// A job is closed at this size in bytes even when it has fewer records than asked for: it must fit one request.
const LARGEST_JOB_BYTES: usize = 8 * 1024 * 1024;
/// What a field takes besides its text, in memory: a row of a thousand empty fields is not nothing.
const BYTES_AROUND_A_FIELD: usize = size_of::<String>();
/// Complete jobs are appended when they have so many bytes, or are so many.
const APPENDED_BYTES: usize = 256 * 1024;
const APPENDED_JOBS: usize = 2_000;

/// Where one job ends and the next begins.
#[derive(Debug)]
pub(super) struct Cut {
    largest: usize,
    records: usize,
    bytes: usize,
}

impl Cut {
    /// Jobs of so many records.
    pub(super) fn new(largest: u32) -> Cut {
        Cut { largest: largest as usize, records: 0, bytes: 0 }
    }

    /// Another record. The bytes of the job when it is complete with this one.
    pub(super) fn add(&mut self, record: &[String]) -> Option<usize> {
        self.records += 1;
        self.bytes += record.iter().map(|field| field.len() + BYTES_AROUND_A_FIELD).sum::<usize>();
        let complete = self.records >= self.largest || self.bytes >= LARGEST_JOB_BYTES;
        complete.then(|| {
            self.records = 0;
            std::mem::take(&mut self.bytes)
        })
    }

    /// Bytes of the job that is begun.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a job is begun and not complete.
    pub(super) fn is_begun(&self) -> bool {
        self.records > 0
    }
}

/// What a hand-in came to.
pub(super) enum Arrived {
    /// A new batch.
    New(Batch),
    /// The batch that its key stands for; this one is abandoned.
    Before(Batch),
}

/// A batch on its way in.
pub(super) struct Arriving {
    store: TheStore,
    plan: Plan,
    incoming: Incoming,
    cut: Cut,
    batch: Option<BatchId>,
    /// Complete jobs that are not appended yet.
    complete: Vec<Vec<Vec<String>>>,
    complete_bytes: usize,
    /// The jobs that are being appended.
    appending: Option<JoinHandle<Result<(), StoreError>>>,
    job: Vec<Vec<String>>,
    /// The memory for what is not appended.
    held: Held,
}

impl Arriving {
    pub(super) fn new(app: &App, plan: Plan) -> Arriving {
        Arriving {
            store: TheStore::clone(&app.store),
            incoming: plan.incoming(),
            cut: Cut::new(plan.size.records),
            plan,
            batch: None,
            complete: Vec::new(),
            complete_bytes: 0,
            appending: None,
            job: Vec::new(),
            held: Held::nothing(&app.arriving),
        }
    }

    pub(super) async fn read<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Arrived, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        while let Some(records) =
            self.incoming.records(app, pieces).await.map_err(|halt| halt.refused(&self.plan.doing()))?
        {
            self.take(app, records).await?;
        }
        if !self.job.is_empty() {
            self.complete.push(std::mem::take(&mut self.job));
            self.append(app).await?;
        }
        self.appended().await?;
        let batch = self.batch.ok_or_else(|| Refused::internal(&self.plan.doing()))?;
        self.seal(app, batch).await
    }

    async fn take(&mut self, app: &App, records: Vec<Vec<String>>) -> Result<(), Refused> {
        for record in records {
            let complete = self.cut.add(&record);
            self.job.push(record);
            if let Some(bytes) = complete {
                self.complete.push(std::mem::take(&mut self.job));
                self.complete_bytes += bytes;
            }
            if self.complete_bytes >= APPENDED_BYTES || self.complete.len() >= APPENDED_JOBS {
                self.append(app).await?;
            }
        }
        self.held.grow(self.cut.bytes()).await.map_err(|_| {
            Refused::away(format!(
                "{}: too many large jobs arrive at once; nothing of it is kept, hand it in again later",
                self.plan.doing()
            ))
        })?;
        // What is complete does not wait for the next piece, which may be long in coming.
        if self.complete.is_empty() { Ok(()) } else { self.append(app).await }
    }

    async fn append(&mut self, app: &App) -> Result<(), Refused> {
        let batch = match self.batch {
            Some(batch) => batch,
            None => {
                self.plan.new.columns = self.incoming.columns().to_vec();
                let opened = self.store.open_batch(self.plan.new.clone(), app.clock.now()).await;
                let batch = opened.map_err(while_doing(|| self.plan.doing()))?;
                self.batch = Some(batch);
                if let Some(owner) = &self.plan.owner {
                    app.gate.store.own_batch(batch, owner).await.map_err(while_doing(|| self.plan.doing()))?;
                }
                batch
            }
        };
        self.appended().await?;
        self.complete_bytes = 0;
        let (store, jobs) = (TheStore::clone(&self.store), std::mem::take(&mut self.complete));
        self.appending = Some(tokio::spawn(async move { store.append_jobs(batch, jobs).await }));
        Ok(())
    }

    /// Waits until all that was given to be appended is.
    async fn appended(&mut self) -> Result<(), Refused> {
        let Some(appending) = self.appending.take() else { return Ok(()) };
        let appended = appending.await.map_err(|_| Refused::internal(&self.plan.doing()))?;
        appended.map_err(while_doing(|| self.plan.doing()))
    }

    /// Notes what the batch was made of, then seals it; or finds that its key stands for another.
    async fn seal(&self, app: &App, batch: BatchId) -> Result<Arrived, Refused> {
        let made_of = self.incoming.made_of();
        let input = Input {
            digest: made_of.digest.clone(),
            bytes: made_of.bytes,
            parameters: self.plan.parameters.clone(),
            key: self.plan.key.clone(),
        };
        let noted = self.store.note_input(batch, &input).await.map_err(while_doing(|| self.plan.doing()))?;
        match noted {
            Noted::First => keyed::seal(app, &self.plan, batch).await.map(Arrived::New),
            Noted::Before { batch: before, input } => {
                self.abandon().await;
                keyed::answer(app, &self.plan, (before, &input), &made_of).await.map(Arrived::Before)
            }
        }
    }

    /// It was not handed in whole: says who handed it in and how far it came, and removes what is there of it.
    pub(super) async fn break_off(&mut self, by: &str, why: &Refused) {
        // Whatever comes of it: nothing may follow what is removed now.
        let _ = self.appended().await;
        let (records, bytes) = self.incoming.arrived();
        let why = one_line(why.detail());
        tracing::info!(
            by,
            records,
            bytes,
            "{why} (handed in by {by}; broken off after {records} records, {bytes} bytes)"
        );
        self.abandon().await;
    }

    /// Removes what is there of the batch; again is the same as once.
    async fn abandon(&self) {
        let Some(batch) = self.batch else { return };
        match self.store.abandon_batch(batch).await {
            Ok(()) => tracing::debug!(batch, "what there was of batch {batch} is removed"),
            // Abandoned before, or sealed by another hand-in with its key.
            Err(error) if error.refusal().is_some() => {}
            Err(error) => tracing::warn!(
                batch,
                "removing batch {batch}, which was not handed in whole: {}; it is removed when that is possible again",
                chain(&error)
            ),
        }
    }
}
