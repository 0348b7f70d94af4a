//! Batches: the list, and one of them with what can be done to it and what comes out of it.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use nightshift_store::BatchFilter;
use nightshift_wire::{Batch, BatchId, BatchReceipt, BatchState, Moment, ResumeBatch};
use serde::Deserialize;

use super::chart::{self, Svg};
use super::frame::{Filled, Frame, Visitor};
use super::live::{Snapshot, shape_of};
use super::words::{ago, at, batch_note, batch_state, counted, grouped, lasting, per_second, percent};
use crate::api::{Number, Shared, batches, number, query, receipt as receipts};
use crate::app::App;
use crate::refused::{Refused, while_doing};

/// Batches on a page.
const AT_ONCE: u32 = 50;
/// So many errors are told apart; of a batch with more, the first.
const ERRORS: u32 = 10_000;

/// A batch in a list.
pub(super) struct Row {
    pub(super) id: BatchId,
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) state: &'static str,
    pub(super) note: String,
    pub(super) records: String,
    pub(super) results: String,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) percent: u64,
    pub(super) errors: String,
    pub(super) age: String,
    pub(super) left: String,
}

impl Row {
    pub(super) fn new(batch: &Batch, now: Moment, snapshot: Option<&Snapshot>) -> Row {
        Row {
            id: batch.id,
            name: batch.name.clone(),
            plugin: batch.plugin.clone(),
            state: batch_state(batch),
            note: batch_note(batch),
            records: grouped(batch.records),
            results: grouped(batch.results),
            done: batch.results,
            total: batch.records.max(1),
            percent: percent(batch.results, batch.records),
            errors: grouped(batch.errors),
            age: ago(batch.created_at, now),
            left: snapshot.and_then(|snapshot| snapshot.batch_left(batch)).unwrap_or_else(|| "–".to_owned()),
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    state: String,
    before: Option<BatchId>,
}

#[derive(Template)]
#[template(path = "batches.html")]
struct List {
    frame: Frame,
    state: String,
    rows: Vec<Row>,
    older: Option<BatchId>,
    is_first: bool,
}

impl List {
    /// The states to choose from: what the query says, and what people read.
    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn states(&self) -> [(&'static str, &'static str); 4] {
        [("", "all"), ("open", "open"), ("done", "done"), ("incomplete", "incomplete")]
    }
}

pub(super) async fn list(State(app): Shared, visitor: Visitor, uri: Uri) -> Result<Response, Refused> {
    const DOING: &str = "listing the batches";
    let Asked { state, before } = query(&uri)?;
    let chosen = match state.as_str() {
        "" => None,
        "open" => Some(BatchState::Open),
        "done" => Some(BatchState::Done),
        "incomplete" => Some(BatchState::Incomplete),
        other => {
            let detail = format!("{DOING}: {other:?} is no state of a batch; take open, done or incomplete");
            return Err(Refused::bad_request(detail));
        }
    };
    let filter = BatchFilter { state: chosen, owner: visitor.caller.own_batches_only().map(ToOwned::to_owned) };
    let found = app.store.find_batches(&filter, before.unwrap_or(BatchId::MAX), AT_ONCE).await;
    let found = found.map_err(while_doing(|| DOING))?;
    let snapshot = app.live.fresh(&app).await.map_err(while_doing(|| DOING))?;
    let now = app.clock.now();
    let full = found.len() == AT_ONCE as usize;
    let mut frame = visitor.frame(&app, "Batches", "batches");
    if visitor.can().see_all && before.is_none() && chosen.is_none() {
        "/live".clone_into(&mut frame.live);
        frame.shape.clone_from(&snapshot.shape);
    }
    super::shown(&List {
        frame,
        state,
        older: found.last().filter(|_| full).map(|last| last.id),
        rows: found.iter().map(|batch| Row::new(batch, now, Some(&snapshot))).collect(),
        is_first: before.is_none(),
    })
}

#[derive(Template)]
#[template(path = "batch.html")]
struct One {
    frame: Frame,
    row: Row,
    batch: Batch,
    pace: String,
    /// When its records were done, and how long a bar is; nothing when nothing was, or there are too many jobs to look at.
    chart: Option<(Svg, String)>,
    /// Whether results can be fetched.
    has_results: bool,
    is_over: bool,
}

impl One {
    /// Where its jobs stand: state, name of the figure, how many.
    fn jobs(&self) -> Vec<(&'static str, &'static str, String)> {
        let batch = &self.batch;
        [
            ("waiting", "jobs_waiting", batch.jobs_waiting),
            ("running", "jobs_running", batch.jobs_running),
            ("done", "jobs_done", batch.jobs_done),
            ("quarantined", "jobs_quarantined", batch.jobs_quarantined),
            ("suspended", "jobs_suspended", batch.jobs_suspended),
            ("deleted", "jobs_deleted", batch.jobs_deleted),
        ]
        .into_iter()
        .map(|(state, figure, jobs)| (state, figure, grouped(jobs)))
        .collect()
    }

    fn all_jobs(&self) -> String {
        counted(self.batch.jobs, "job")
    }

    fn handed_in(&self) -> String {
        at(self.batch.created_at)
    }

    fn finished(&self) -> Option<String> {
        self.batch.finished_at.map(at)
    }

    fn columns(&self) -> String {
        self.batch.columns.join(", ")
    }

    fn outputs(&self) -> String {
        self.batch.outputs.join(", ")
    }
}

pub(super) async fn one(State(app): Shared, visitor: Visitor, batch: Number) -> Result<Response, Refused> {
    let batch = batches::find(&app, number(batch, "batch")?, "looking at").await?;
    let snapshot = app.live.fresh(&app).await.map_err(while_doing(|| format!("looking at batch {}", batch.id)))?;
    let mut frame = visitor.frame(&app, format!("Batch {}", batch.id), "batches");
    frame.live = format!("/batches/{}/live", batch.id);
    frame.shape = shape_of(&batch);
    super::shown(&One {
        frame,
        row: Row::new(&batch, app.clock.now(), Some(&snapshot)),
        chart: chart(&app, &batch).await?,
        pace: snapshot.paces.get(&batch.id).map_or_else(|| "–".to_owned(), |pace| per_second(*pace)),
        has_results: batch.state != BatchState::Receiving,
        is_over: matches!(batch.state, BatchState::Done | BatchState::Incomplete),
        batch,
    })
}

/// When the batch's records were done.
async fn chart(app: &App, batch: &Batch) -> Result<Option<(Svg, String)>, Refused> {
    /// Looking at so many takes some hundredths of a second.
    const MOST_JOBS: u64 = 20_000;
    if batch.results == 0 || batch.jobs > MOST_JOBS {
        return Ok(None);
    }
    let (from, to) = (batch.created_at, batch.finished_at.unwrap_or_else(|| app.clock.now()));
    let each = chart::stretch(from, to);
    let doing = || format!("looking when batch {} was done", batch.id);
    let done = app.store.batch_over_time(batch.id, each).await.map_err(while_doing(doing))?;
    let drawn = chart::over_time(&done, from, to, each, "Records done over time");
    Ok(Some((drawn, lasting(each.unsigned_abs()))))
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(super) enum Act {
    Suspend {
        #[serde(default)]
        reason: String,
    },
    Resume {
        #[serde(default)]
        reason: String,
    },
    Delete {
        /// The batch's number, typed by whoever deletes it.
        #[serde(default)]
        confirmed: String,
    },
}

pub(super) async fn act(
    State(app): Shared,
    visitor: Visitor,
    batch: Number,
    Filled(act): Filled<Act>,
) -> Result<Response, Refused> {
    let batch = number(batch, "batch")?;
    let caller = &visitor.caller;
    match act {
        Act::Suspend { reason } => drop(batches::suspend_batch(&app, caller, batch, &reason).await?),
        Act::Resume { reason } => {
            let resume = ResumeBatch { reason, error_rate: None };
            batches::resume_batch(&app, caller, batch, &resume).await?;
        }
        Act::Delete { confirmed } if confirmed.trim() == batch.to_string() => {
            batches::delete_batch(&app, caller, batch).await?;
            return Ok(super::on_to("/batches"));
        }
        Act::Delete { .. } => {
            let detail = format!(
                "deleting batch {batch}: nothing was deleted; type the number {batch} into the field to confirm that its \
                 records and results shall be gone"
            );
            return Err(Refused::bad_request(detail));
        }
    }
    Ok(super::on_to(&format!("/batches/{batch}")))
}

#[derive(Template)]
#[template(path = "errors.html")]
struct Errors {
    frame: Frame,
    batch: Batch,
    /// How many, and what is said.
    kinds: Vec<(String, String)>,
    counted: String,
    /// There are more than were told apart.
    is_part: bool,
}

impl Errors {
    fn all(&self) -> String {
        counted(self.batch.errors, "record")
    }
}

pub(super) async fn errors(State(app): Shared, visitor: Visitor, batch: Number) -> Result<Response, Refused> {
    let batch = batches::find(&app, number(batch, "batch")?, "looking at the errors of").await?;
    let kinds = match batch.errors {
        0 => Vec::new(),
        _ => {
            let doing = || format!("looking at the errors of batch {}", batch.id);
            app.store.errors_by_kind(batch.id, ERRORS).await.map_err(while_doing(doing))?
        }
    };
    let told_apart: u64 = kinds.iter().map(|(_, records)| records).sum();
    super::shown(&Errors {
        frame: visitor.frame(&app, format!("Errors of batch {}", batch.id), "batches"),
        kinds: kinds.into_iter().map(|(error, records)| (grouped(records), error)).collect(),
        counted: grouped(told_apart),
        is_part: told_apart < batch.errors,
        batch,
    })
}

#[derive(Template)]
#[template(path = "receipt.html")]
struct Receipt {
    frame: Frame,
    receipt: BatchReceipt,
}

impl Receipt {
    fn grouped(&self, number: &u64) -> String {
        let _ = self;
        grouped(*number)
    }
}

pub(super) async fn receipt(State(app): Shared, visitor: Visitor, batch: Number) -> Result<Response, Refused> {
    let batch = number(batch, "batch")?;
    let receipt = receipts::made(&app, batch).await?;
    super::shown(&Receipt { frame: visitor.frame(&app, format!("Receipt of batch {batch}"), "batches"), receipt })
}
