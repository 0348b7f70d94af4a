//! The results of a batch: all of them, the errors, or what has no result; as CSV or JSON lines; in input order, streamed
//! in the memory of two jobs, one of which is read while the other is sent; also while the batch runs.
//!
//! All results are read job by job. Of the others a window of places is asked for first, so that a job which has nothing
//! to show is not read.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use nightshift_store::{JobResults, RecordWithOutcome, Store, StoreError};
use nightshift_wire::{Batch, BatchState, JobState, Only, Outcome, Problem, ResultsFormat, ResultsQuery, code};
use tokio::task::{JoinError, JoinHandle};

use super::Shared;
use super::batches::find;
use super::body::{Number, number, query};
use super::stream;
use crate::csv::intake::ERROR_COLUMN;
use crate::csv::lines::{write_json_line, write_result, write_row};
use crate::refused::Refused;

/// So many records are looked through at once for those wanted.
const RECORDS_AT_ONCE: u64 = 100_000;
/// And so many jobs at most.
const JOBS_AT_ONCE: u64 = 500;

#[utoipa::path(get, path = "/v1/batches/{batch}/results", operation_id = "results", tag = "batches",
    summary = "Results in input order, streamed, also while the batch runs",
    params(("batch" = i64, Path, description = "The batch"), ResultsQuery),
    responses(
        (status = 200, description = "As CSV or JSON lines",
            content((String = "text/csv"), (String = "application/jsonl"))),
        (status = 409, description = "The batch is still arriving: `not_ready`", body = Problem)
    )
)]
pub(super) async fn results(State(app): Shared, batch: Number, uri: Uri) -> Result<Response, Refused> {
    let asked: ResultsQuery = query(&uri)?;
    let batch = find(&app, number(batch, "batch")?, "fetching the results of").await?;
    let id = batch.id;
    let doing = format!("fetching the results of batch {id}");
    refuse_while_it_arrives(&doing, &batch)?;
    let (kind, extension) = match asked.format {
        ResultsFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        ResultsFormat::Jsonl => ("application/jsonl; charset=utf-8", "jsonl"),
    };
    let what = match asked.only {
        Only::All => "",
        Only::Errors => "-errors",
        Only::Unprocessed => "-unprocessed",
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"batch-{id}{what}.{extension}\"")),
    ];
    let pieces = Pieces::new(Arc::clone(&app.store), batch, asked);
    let body = stream::body(format!("sending the results of batch {id}"), pieces, |mut pieces| async move {
        let text = pieces.next().await?;
        Ok::<_, StoreError>(text.map(|text| (text, pieces)))
    });
    Ok((headers, body).into_response())
}

/// A batch that is still arriving has no results.
pub(super) fn refuse_while_it_arrives(doing: &str, batch: &Batch) -> Result<(), Refused> {
    match batch.state {
        BatchState::Receiving => {
            let detail = format!("{doing}: it is still arriving; ask again when it is complete");
            Err(Refused::new(StatusCode::CONFLICT, code::NOT_READY, detail))
        }
        _ => Ok(()),
    }
}

/// So many places of a batch are looked through at once.
pub(super) fn window(batch: &Batch) -> u64 {
    let records_of_a_job = batch.records.checked_div(batch.jobs).unwrap_or(1).max(1);
    (RECORDS_AT_ONCE / records_of_a_job).clamp(1, JOBS_AT_ONCE)
}

/// A task that reads results ended by a fault.
fn broken(error: JoinError) -> StoreError {
    StoreError::Fault { doing: "reading the results of a batch", source: Box::new(error) }
}

/// The text of a batch's results, piece by piece.
pub(super) struct Pieces {
    store: Arc<dyn Store>,
    batch: Batch,
    asked: ResultsQuery,
    /// The header goes with the first piece.
    head: Option<String>,
    /// The first place not looked at yet.
    from: u64,
    /// Places before it whose jobs are wanted.
    wanted: VecDeque<u64>,
    /// The next job, which is read while the one before it is written and sent.
    ahead: Option<JoinHandle<Result<Option<JobResults>, StoreError>>>,
    /// What was written so far.
    pub(super) written: Written,
}

/// What was counted while results were written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) records: u64,
    pub(super) results: u64,
    pub(super) errors: u64,
}

impl Pieces {
    pub(super) fn new(store: Arc<dyn Store>, batch: Batch, asked: ResultsQuery) -> Pieces {
        let mut head = String::new();
        if asked.format == ResultsFormat::Csv {
            let columns = batch.columns.iter().chain(&batch.outputs).map(String::as_str);
            write_row(&mut head, columns.chain([ERROR_COLUMN]));
        }
        let (head, wanted) = (Some(head), VecDeque::new());
        Pieces { store, batch, asked, head, from: 0, wanted, ahead: None, written: Written::default() }
    }

    /// The next piece; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<String>, StoreError> {
        if self.ahead.is_none() {
            self.read_ahead().await?;
        }
        let job = match self.ahead.take() {
            Some(ahead) => ahead.await.map_err(broken)??,
            None => None,
        };
        let head = self.head.take();
        Ok(match job {
            Some(job) => {
                self.read_ahead().await?;
                let mut text = head.unwrap_or_default();
                self.write(&mut text, &job);
                Some(text)
            }
            None => head.filter(|head| !head.is_empty()),
        })
    }

    /// Begins to read the next job that has something to show, if there is one.
    async fn read_ahead(&mut self) -> Result<(), StoreError> {
        let (batch, seq) = (self.batch.id, self.next_job().await?);
        self.ahead = seq.map(|seq| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { store.results(batch, seq).await })
        });
        Ok(())
    }

    /// The place of the next job that has something to show.
    async fn next_job(&mut self) -> Result<Option<u64>, StoreError> {
        let id = self.batch.id;
        loop {
            if let Some(seq) = self.wanted.pop_front() {
                return Ok(Some(seq));
            }
            if self.from >= self.batch.jobs {
                return Ok(None);
            }
            let (from, to) = (self.from, (self.from + window(&self.batch)).min(self.batch.jobs));
            self.wanted = match self.asked.only {
                Only::All => (from..to).collect(),
                Only::Errors => self.store.jobs_with_errors(id, from, to).await?.into(),
                Only::Unprocessed => {
                    let jobs = self.store.jobs(id, from, u32::try_from(to - from).unwrap_or(u32::MAX)).await?;
                    jobs.iter().filter(|job| job.state != JobState::Done).map(|job| job.seq).collect()
                }
            };
            self.from = to;
        }
    }

    fn write(&mut self, text: &mut String, job: &JobResults) {
        let missing = Outcome::Error(job.missing().unwrap_or_else(|| "no result".to_owned()));
        let (columns, outputs) = (&self.batch.columns, &self.batch.outputs);
        for RecordWithOutcome { record, outcome } in &job.records {
            let wanted = match (self.asked.only, outcome) {
                (Only::All, _) => true,
                (Only::Errors, outcome) => matches!(outcome, Some(Outcome::Error(_))),
                (Only::Unprocessed, outcome) => outcome.is_none(),
            };
            if !wanted {
                continue;
            }
            self.written.records += 1;
            self.written.results += u64::from(outcome.is_some());
            self.written.errors += u64::from(matches!(outcome, Some(Outcome::Error(_))));
            let outcome = outcome.as_ref().unwrap_or(&missing);
            match self.asked.format {
                ResultsFormat::Csv => write_result(text, &record.values, outputs, outcome),
                ResultsFormat::Jsonl => write_json_line(text, columns, &record.values, outputs, outcome),
            }
        }
    }
}
