//! The overview: the whole grid on one page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use nightshift_store::{ReplicasNow, SpoolNow, WorkersWhy};

use super::batches::Row;
use super::chart::{self, Svg};
use super::frame::{Frame, Visitor};
use super::live::Snapshot;
use super::words::{counted, grouped, lasting, per_second, replica_state};
use crate::api::Shared;
use crate::refused::{Refused, while_doing};

/// Batches on the page; the list has more.
const BATCHES: usize = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    snapshot: Arc<Snapshot>,
    day: Svg,
    day_records: String,
    open: Vec<Row>,
    /// States, as `word`, how many, and why, of the workers that are in it.
    workers: Vec<OfState>,
    replicas: Vec<ReplicaRow>,
}

/// Workers of a state.
struct OfState {
    state: String,
    workers: String,
    /// The most frequent reasons.
    reasons: Vec<(String, String)>,
}

struct ReplicaRow {
    state: String,
    workers: String,
    behind: String,
}

impl Page {
    fn pace(&self) -> String {
        self.snapshot.pace.map_or_else(|| "–".to_owned(), per_second)
    }

    fn left(&self) -> String {
        self.snapshot.left().unwrap_or_else(|| "–".to_owned())
    }

    /// Results that wait on workers; empty when all are handed in.
    fn spool(&self) -> String {
        let SpoolNow { workers, spool } = self.snapshot.workers.spool;
        if spool.is_empty() { String::new() } else { format!("{spool} on {}", counted(workers, "worker")) }
    }

    fn open_batches(&self) -> String {
        counted(self.snapshot.work.open_batches, "open batch").replace("batchs", "batches")
    }

    /// Where jobs stand: state, how many.
    fn jobs(&self) -> Vec<(&'static str, String)> {
        let status = &self.snapshot.status;
        [
            ("waiting", status.jobs_waiting),
            ("running", status.jobs_running),
            ("done", status.jobs_done),
            ("quarantined", status.jobs_quarantined),
            ("suspended", status.jobs_suspended),
        ]
        .map(|(state, jobs)| (state, grouped(jobs)))
        .into()
    }
}

pub(super) async fn page(State(app): Shared, visitor: Visitor) -> Result<Response, Refused> {
    if !visitor.can().see_all {
        // What is an owner's own are its batches.
        return Ok(super::on_to("/batches"));
    }
    let snapshot = app.live.fresh(&app).await.map_err(while_doing(|| "making the overview"))?;
    let now = snapshot.status.now;
    let mut frame = visitor.frame(&app, "Overview", "overview");
    "/live".clone_into(&mut frame.live);
    frame.shape.clone_from(&snapshot.shape);
    let day_records = snapshot.hours.iter().map(|hour| hour.records).sum();
    let page = Page {
        frame,
        day: chart::day(&snapshot.hours, now),
        day_records: grouped(day_records),
        open: snapshot.open.iter().take(BATCHES).map(|batch| Row::new(batch, now, Some(&snapshot))).collect(),
        workers: workers(&snapshot),
        replicas: snapshot.workers.replicas.iter().map(replica).collect(),
        snapshot,
    };
    super::shown(&page)
}

fn workers(snapshot: &Snapshot) -> Vec<OfState> {
    const REASONS: usize = 4;
    let states = snapshot.workers.states.iter().map(|(state, workers)| {
        let why = |why: &&WorkersWhy| why.shown == *state && !why.why.is_empty();
        let reasons = snapshot.workers.reasons.iter().filter(why).take(REASONS);
        OfState {
            state: state.clone(),
            workers: grouped(*workers),
            reasons: reasons.map(|why| (grouped(why.workers), why.why.clone())).collect(),
        }
    });
    states.collect()
}

fn replica(replicas: &ReplicasNow) -> ReplicaRow {
    ReplicaRow {
        state: replica_state(replicas.state, None),
        workers: grouped(replicas.workers),
        behind: replicas.behind_ms.map(lasting).unwrap_or_default(),
    }
}
