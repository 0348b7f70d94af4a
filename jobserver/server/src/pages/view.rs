//! From the API's values to what stands on the page: words, numbers and ages. Pure.

use std::time::Duration;

use askama::Template;
use nightshift_manifest::duration;
use nightshift_wire::{Batch, BatchState, Moment, Status, Worker, WorkerState};

use crate::clock::timestamp;

/// A worker not heard of for this long is shown as away: it reports every ten minutes at the least.
const AWAY_AFTER: Duration = Duration::from_secs(15 * 60);

/// The page.
#[derive(Debug, Template)]
#[template(path = "status.html")]
pub(super) struct StatusPage {
    pub(super) status: Status,
    pub(super) batches: Vec<BatchRow>,
    /// There may be more batches than the page shows.
    pub(super) full: bool,
    pub(super) workers: Vec<WorkerRow>,
}

impl StatusPage {
    fn now(&self) -> String {
        timestamp(self.status.now).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

/// A batch on the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BatchRow {
    id: i64,
    name: String,
    plugin: String,
    state: &'static str,
    note: String,
    records: String,
    results: u64,
    total: u64,
    percent: u64,
    errors: String,
    jobs: String,
    age: String,
    has_results: bool,
    over: bool,
}

impl BatchRow {
    pub(super) fn new(batch: &Batch, now: Moment) -> BatchRow {
        let (state, note) = match (batch.state, &batch.suspended) {
            (BatchState::Receiving, _) => ("arriving", String::new()),
            (BatchState::Open, Some(reason)) => ("suspended", reason.clone()),
            (BatchState::Open, None) if batch.jobs_running > 0 => ("running", String::new()),
            (BatchState::Open, None) => ("waiting", String::new()),
            (BatchState::Done, _) => ("done", took(batch)),
            (BatchState::Incomplete, _) => ("incomplete", given_up(batch)),
        };
        BatchRow {
            id: batch.id,
            name: batch.name.clone(),
            plugin: batch.plugin.clone(),
            state,
            note,
            records: grouped(batch.records),
            results: batch.results,
            total: batch.records.max(1),
            percent: percent(batch.results, batch.records),
            errors: grouped(batch.errors),
            jobs: format!("{} of {}", grouped(batch.jobs_done), grouped(batch.jobs)),
            age: age(batch.created_at, now),
            has_results: batch.state != BatchState::Receiving,
            over: matches!(batch.state, BatchState::Done | BatchState::Incomplete),
        }
    }
}

/// Which jobs of a batch are not done, and why.
fn given_up(batch: &Batch) -> String {
    let failed = format!("{} of its jobs failed too often", grouped(batch.jobs_quarantined));
    match (batch.jobs_quarantined, batch.jobs_deleted) {
        (_, 0) => failed,
        (0, deleted) => format!("{} of its jobs were deleted", grouped(deleted)),
        (_, deleted) => format!("{failed}, {} were deleted", grouped(deleted)),
    }
}

fn took(batch: &Batch) -> String {
    batch.finished_at.map(|end| format!("took {}", between(batch.created_at, end))).unwrap_or_default()
}

/// A worker on the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WorkerRow {
    id: String,
    name: String,
    state: &'static str,
    reason: String,
    release: String,
    refused: Vec<String>,
    trouble: Vec<String>,
    jobs: String,
    records: String,
    seen: String,
}

impl WorkerRow {
    pub(super) fn new(worker: &Worker, now: Moment) -> WorkerRow {
        let report = &worker.report;
        let silent = Duration::from_millis(u64::try_from(now - worker.last_seen).unwrap_or(0));
        let state = match report.state {
            _ if silent >= AWAY_AFTER => "away",
            _ if worker.drained.is_some() => "drained",
            WorkerState::Working => "working",
            WorkerState::Waiting => "waiting",
            WorkerState::Resting => "resting",
            WorkerState::Stopped => "stopped",
            WorkerState::Blocked => "blocked",
        };
        let trouble = report.steps.iter().filter(|step| !step.ok).map(|step| match step.next.as_str() {
            "" => format!("{}: {}", step.step, step.found),
            next => format!("{}: {}; to do: {next}", step.step, step.found.trim_end_matches('.')),
        });
        WorkerRow {
            id: report.worker.clone(),
            name: [&worker.name, &report.host, &report.worker]
                .into_iter()
                .find(|name| !name.is_empty())
                .cloned()
                .unwrap_or_default(),
            state,
            reason: worker.drained.as_ref().unwrap_or(&report.reason).clone(),
            release: if report.release.is_empty() { "none".to_owned() } else { report.release.clone() },
            refused: report.refused.clone(),
            trouble: trouble.collect(),
            jobs: grouped(worker.jobs_done),
            records: grouped(worker.records_done),
            seen: age(worker.last_seen, now),
        }
    }
}

/// Rounded down, so that 100 means all.
fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100).checked_div(u128::from(whole)).map_or(0, |percent| percent.min(100) as u64)
}

fn age(then: Moment, now: Moment) -> String {
    format!("{} ago", between(then, now))
}

fn between(from: Moment, to: Moment) -> String {
    duration::show(Duration::from_millis(u64::try_from(to - from).unwrap_or(0)))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_all_is_only_all_when_nothing_is_missing() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(percent(9_999_999, 10_000_000), 99);
        assert_eq!(percent(10, 10), 100);
        assert_eq!(percent(0, 0), 0);
    }

    #[test]
    fn a_clock_that_went_back_makes_no_negative_age() {
        assert_eq!(age(5_000, 1_000), "0s ago");
        assert_eq!(age(0, 7_500_000), "2h 5m ago");
    }
}
