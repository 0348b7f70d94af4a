//! `/metrics`, and the figures on it that the store knows: asked of it when somebody looks, but not at every look.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State as Given;
use axum::http::header;
use axum::response::IntoResponse;
use nightshift_store::{Counts, StoreError};
use nightshift_wire::{Moment, Worker, WorkerState};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Metrics, Of, State};
use crate::api::Shared;
use crate::api::grid::ACTIVE;
use crate::app::App;
use crate::refused::chain;

/// The store is asked at most so often.
const ASK_EVERY_MS: Moment = 5_000;

/// When the store was asked last; one look at a time asks.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Option<Moment>>);

/// Everything that is counted, as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "server",
    summary = "Metrics for Prometheus",
    responses(
        (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")
    )
)]
pub(crate) async fn metrics(Given(app): Shared) -> impl IntoResponse {
    refresh(&app).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text())
}

async fn refresh(app: &App) {
    let now = app.clock.now();
    let mut asked = app.figures.0.lock().await;
    if asked.is_some_and(|at| (0..ASK_EVERY_MS).contains(&now.saturating_sub(at))) {
        return;
    }
    app.metrics.releases_seen.set(i64::from(app.releases.unseen().is_none()));
    let since = now.saturating_sub_unsigned(ACTIVE.as_millis() as u64);
    match timeout(app.limits.ready, ask(app, since)).await {
        Ok(Ok((counts, workers))) => {
            show(&app.metrics, counts, &workers, since);
            *asked = Some(now);
        }
        Ok(Err(error)) => app.metrics.store_is_away(&chain(&error)),
        Err(_) => app.metrics.store_is_away("it did not answer in time"),
    }
}

async fn ask(app: &App, since: Moment) -> Result<(Counts, Vec<Worker>), StoreError> {
    Ok((app.store.counts(since).await?, app.store.workers().await?))
}

fn show(metrics: &Metrics, counts: Counts, workers: &[Worker], since: Moment) {
    metrics.store_up.set(1);
    for (state, jobs) in [
        ("waiting", counts.jobs_waiting),
        ("running", counts.jobs_running),
        ("done", counts.jobs_done),
        ("quarantined", counts.jobs_quarantined),
    ] {
        metrics
            .jobs
            .get_or_create_owned(&State { state: state.to_owned() })
            .set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }
    for (state, workers) in by_state(workers, since) {
        metrics.workers.get_or_create_owned(&State { state: state.to_owned() }).set(workers);
    }
    let spooled: u64 = workers.iter().map(|worker| worker.report.spool.jobs).sum();
    metrics.spooled_jobs.set(i64::try_from(spooled).unwrap_or(i64::MAX));
    show_replicas(metrics, workers, since);
}

/// Replicas of workers that are there, by state; and how far back each is, where that is known.
fn show_replicas(metrics: &Metrics, workers: &[Worker], since: Moment) {
    metrics.replicas.clear();
    metrics.replica_behind.clear();
    for worker in workers.iter().filter(|worker| worker.last_seen >= since) {
        let Some(replica) = &worker.report.replica else { continue };
        metrics.replicas.get_or_create_owned(&State { state: replica.state.word().to_owned() }).inc();
        if let Some(behind_ms) = replica.behind_ms {
            let behind = Duration::from_millis(behind_ms).as_secs_f64();
            metrics.replica_behind.get_or_create_owned(&Of { worker: worker.report.worker.clone() }).set(behind);
        }
    }
}

/// Workers by what they do; each state is there, with 0 when there is none.
fn by_state(workers: &[Worker], since: Moment) -> BTreeMap<&'static str, i64> {
    let states = ["working", "waiting", "resting", "stopped", "blocked", "silent"];
    let mut counted: BTreeMap<&str, i64> = states.into_iter().map(|state| (state, 0)).collect();
    for worker in workers {
        let state = match worker.report.state {
            _ if worker.last_seen < since => "silent",
            WorkerState::Working => "working",
            WorkerState::Waiting => "waiting",
            WorkerState::Resting => "resting",
            WorkerState::Stopped => "stopped",
            WorkerState::Blocked => "blocked",
        };
        *counted.entry(state).or_default() += 1;
    }
    counted
}

impl Metrics {
    fn store_is_away(&self, why: &str) {
        tracing::debug!("counting jobs and workers for the metrics: {why}");
        self.store_up.set(0);
        // What was true a while ago is not told as if it were now.
        self.jobs.clear();
        self.workers.clear();
        self.replicas.clear();
        self.replica_behind.clear();
    }
}
