//! The grid's figures as the dashboard shows them: read from the store by one reader for all browsers, and told to open
//! pages as they change.
//!
//! A page that is asked for shows the last reading, or a new one when that is too old. Counts come from the batches' own
//! counters and from small tables; workers, of which there may be ten thousand, are counted less often than the rest.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use nightshift_store::{BatchFilter, HourOfWork, StoreError, WorkNow, WorkersNow};
use nightshift_wire::{Batch, BatchId, BatchState, Moment, Status};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use super::chart::day_begins;
use super::frame::Visitor;
use super::pace::Pace;
use super::words::{self, grouped, per_second, percent, time_left};
use crate::access::Caller;
use crate::api::{Number, Shared, grid, number};
use crate::app::App;
use crate::clock::deadline;
use crate::refused::{Refused, while_doing};

/// Open batches that are followed; who has more of them sees the newest.
const OPEN: u32 = 100;
/// So many readings go by between two counts of the workers.
const WORKERS_EVERY: u32 = 5;
/// An open page asks anew after this time, and is judged again.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What was read.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(super) status: Status,
    pub(super) work: WorkNow,
    pub(super) workers: WorkersNow,
    pub(super) hours: Vec<HourOfWork>,
    /// The newest batches with something left to do.
    pub(super) open: Vec<Batch>,
    /// Records a second, all together and of each open batch; nothing as long as nobody can say.
    pub(super) pace: Option<f64>,
    pub(super) paces: HashMap<BatchId, f64>,
    /// What open pages are told, the same for all.
    event: Arc<str>,
    pub(super) shape: String,
}

impl Snapshot {
    /// When the open batches will be done, roughly; those that are suspended do not count, as long as all are followed.
    pub(super) fn left(&self) -> Option<String> {
        let at_work = || self.open.iter().filter(|batch| batch.suspended.is_none());
        let left = |batch: &Batch| batch.records.saturating_sub(batch.results);
        // Of more batches than are followed the counters alone are known.
        let all = match self.open.len() < OPEN as usize {
            true => at_work().map(left).sum(),
            false => self.work.open_records.saturating_sub(self.work.open_results),
        };
        let each = at_work().map(|batch| (left(batch), self.paces.get(&batch.id).copied()));
        words::time_left_of_all(all, self.pace, each)
    }

    pub(super) fn batch_left(&self, batch: &Batch) -> Option<String> {
        if batch.state != BatchState::Open || batch.suspended.is_some() {
            return None;
        }
        time_left(batch.records.saturating_sub(batch.results), self.paces.get(&batch.id).copied())
    }

    /// What is told of the whole grid, by the names that stand in the page.
    fn figures(&self) -> BTreeMap<String, String> {
        let Status { jobs_waiting, jobs_running, jobs_done, jobs_quarantined, jobs_suspended, .. } = self.status;
        let mut told: BTreeMap<String, String> = [
            ("jobs.waiting", grouped(jobs_waiting)),
            ("jobs.running", grouped(jobs_running)),
            ("jobs.done", grouped(jobs_done)),
            ("jobs.quarantined", grouped(jobs_quarantined)),
            ("jobs.suspended", grouped(jobs_suspended)),
            ("workers", grouped(self.status.workers)),
            ("pace", self.pace.map_or_else(|| "–".to_owned(), per_second)),
            ("left", self.left().unwrap_or_else(|| "–".to_owned())),
            ("stopped", self.status.stopped.clone().unwrap_or_default()),
            ("now", words::at(self.status.now)),
            ("shape", self.shape.clone()),
        ]
        .map(|(name, figure)| (name.to_owned(), figure))
        .into();
        for batch in &self.open {
            told.extend(
                self.of_batch(batch).into_iter().map(|(name, figure)| (format!("{}.{name}", batch.id), figure)),
            );
        }
        for (state, workers) in &self.workers.states {
            told.insert(format!("workers.{state}"), grouped(*workers));
        }
        told
    }

    /// What is told of a batch.
    fn of_batch(&self, batch: &Batch) -> BTreeMap<&'static str, String> {
        [
            ("results", grouped(batch.results)),
            ("done", batch.results.to_string()),
            ("percent", percent(batch.results, batch.records).to_string()),
            ("errors", grouped(batch.errors)),
            ("jobs_waiting", grouped(batch.jobs_waiting)),
            ("jobs_running", grouped(batch.jobs_running)),
            ("jobs_done", grouped(batch.jobs_done)),
            ("jobs_quarantined", grouped(batch.jobs_quarantined)),
            ("jobs_suspended", grouped(batch.jobs_suspended)),
            ("left", self.batch_left(batch).unwrap_or_else(|| "–".to_owned())),
            ("pace", self.paces.get(&batch.id).map_or_else(|| "–".to_owned(), |pace| per_second(*pace))),
        ]
        .into()
    }
}

/// The shape of what a page shows of a batch.
pub(super) fn shape_of(batch: &Batch) -> String {
    format!("{} {}", words::batch_state(batch), batch.suspended.as_deref().unwrap_or_default())
}

/// The readings.
pub(crate) struct Live {
    last: Mutex<Readings>,
    /// The last one, for open pages.
    current: watch::Sender<Option<Arc<Snapshot>>>,
    came: Notify,
}

impl Default for Live {
    fn default() -> Live {
        Live { last: Mutex::default(), current: watch::Sender::new(None), came: Notify::new() }
    }
}

#[derive(Default)]
struct Readings {
    last: Option<(Instant, Arc<Snapshot>)>,
    /// Readings since the workers were counted.
    since_workers: u32,
    pace: Pace,
    paces: HashMap<BatchId, Pace>,
}

impl Live {
    /// Whether there are open pages.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.current.receiver_count() > 0
    }

    /// Returns when a page is opened.
    pub(crate) async fn somebody_came(&self) {
        self.came.notified().await;
    }

    /// The last reading, or a new one when that is too old. Who comes while one is read gets that.
    pub(crate) async fn fresh(&self, app: &App) -> Result<Arc<Snapshot>, StoreError> {
        let mut last = self.last.lock().await;
        let now = deadline(Duration::ZERO);
        if let Some((read, snapshot)) = &last.last
            && now.saturating_duration_since(*read) < app.limits.live_every.mul_f32(0.9)
        {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(read(app, &mut last).await?);
        last.last = Some((now, Arc::clone(&snapshot)));
        self.current.send_replace(Some(Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}

async fn read(app: &App, readings: &mut Readings) -> Result<Snapshot, StoreError> {
    let now = app.clock.now();
    let counts = app.store.counts(grid::active_since(now)).await?;
    let work = app.store.work_now().await?;
    let open = BatchFilter { state: Some(BatchState::Open), owner: None };
    let open = app.store.find_batches(&open, BatchId::MAX, OPEN).await?;
    readings.since_workers += 1;
    let before = readings.last.as_ref().map(|(_, before)| Arc::clone(before));
    let seldom_read = before.filter(|_| readings.since_workers < WORKERS_EVERY && !app.limits.live_every.is_zero());
    let (workers, hours) = match seldom_read {
        Some(before) => (before.workers.clone(), before.hours.clone()),
        None => {
            readings.since_workers = 0;
            let away = now.saturating_sub_unsigned(words::AWAY_AFTER.as_millis() as u64);
            (app.store.workers_now(away).await?, app.store.hours(day_begins(now)).await?)
        }
    };
    readings.pace.note(now, work.results);
    readings.paces.retain(|batch, _| open.iter().any(|one| one.id == *batch));
    for batch in &open {
        readings.paces.entry(batch.id).or_default().note(now, batch.results);
    }
    let paces = readings.paces.iter().filter_map(|(batch, pace)| Some((*batch, pace.per_second()?))).collect();
    let mut snapshot = Snapshot {
        status: grid::in_figures(app, &counts, now),
        work,
        shape: shape(&open, &workers, &hours),
        workers,
        hours,
        open,
        pace: readings.pace.per_second(),
        paces,
        event: "".into(),
    };
    snapshot.event = serde_json::to_string(&snapshot.figures()).unwrap_or_default().into();
    Ok(snapshot)
}

/// Names what stands on the overview besides figures that change by themselves.
fn shape(open: &[Batch], workers: &WorkersNow, hours: &[HourOfWork]) -> String {
    let mut digest = Sha256::new();
    for batch in open {
        digest.update(format!("{} {};", batch.id, shape_of(batch)));
    }
    let hours: Vec<(Moment, &str, u64)> =
        hours.iter().map(|hour| (hour.hour, hour.plugin.as_str(), hour.records)).collect();
    digest.update(format!("{:?} {:?} {:?} {hours:?}", workers.reasons, workers.replicas, workers.states));
    digest.update(format!("{:?}", workers.spool));
    format!("{:x}", digest.finalize())[..16].to_owned()
}

/// Tells an open overview of changes.
pub(super) async fn grid(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    Ok(told(app, peer, visitor.caller, None))
}

/// Tells an open page of a batch of changes.
pub(super) async fn batch(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    visitor: Visitor,
    batch: Number,
) -> Result<Response, Refused> {
    let batch = number(batch, "batch")?;
    app.store.batch(batch).await.map_err(while_doing(|| format!("following batch {batch}")))?;
    Ok(told(app, peer, visitor.caller, Some(batch)))
}

/// One open page.
struct Told {
    app: Arc<App>,
    peer: SocketAddr,
    caller: Caller,
    batch: Option<BatchId>,
    readings: watch::Receiver<Option<Arc<Snapshot>>>,
    until: Instant,
    said: Arc<str>,
}

fn told(app: Arc<App>, peer: SocketAddr, caller: Caller, batch: Option<BatchId>) -> Response {
    let readings = app.live.current.subscribe();
    app.live.came.notify_one();
    let told = Told { app, peer, caller, batch, readings, until: deadline(LONGEST), said: "".into() };
    let events = stream::unfold(told, |mut told| async move {
        let said = told.next().await?;
        let event = Event::default().event("figures").data(&*said);
        Some((Ok::<_, Infallible>(event), told))
    });
    let alive = axum::response::sse::KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(events).keep_alive(alive).into_response()
}

impl Told {
    /// What is told next; nothing when the page has to ask anew.
    async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            tokio::select! {
                () = self.app.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                changed = self.readings.changed() => changed.ok()?,
            }
            if !self.app.gate.still(&self.caller, self.peer, self.app.clock.now()) {
                return None;
            }
            let Some(snapshot) = self.readings.borrow_and_update().clone() else { continue };
            let says = match self.batch {
                None => Arc::clone(&snapshot.event),
                Some(batch) => self.of_batch(&snapshot, batch).await?,
            };
            if says != self.said {
                self.said = Arc::clone(&says);
                return Some(says);
            }
        }
    }

    async fn of_batch(&self, snapshot: &Snapshot, id: BatchId) -> Option<Arc<str>> {
        let followed = snapshot.open.iter().find(|batch| batch.id == id).cloned();
        let batch = match followed {
            Some(batch) => batch,
            // It is done, or there are very many.
            None => self.app.store.batch(id).await.ok()?,
        };
        let figures = snapshot.of_batch(&batch).into_iter().map(|(name, figure)| (format!("{id}.{name}"), figure));
        let mut told: BTreeMap<String, String> = figures.collect();
        told.insert("shape".to_owned(), shape_of(&batch));
        told.insert("stopped".to_owned(), snapshot.status.stopped.clone().unwrap_or_default());
        serde_json::to_string(&told).ok().map(Into::into)
    }
}
