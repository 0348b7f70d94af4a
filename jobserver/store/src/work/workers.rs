//! What is noted of workers as they work, and what people change about them.

use nightshift_rules::quota::{self, Streak};
use nightshift_wire::{JobId, Machine, Moment, Reason, WorkerChange};

use super::{
    rows::WorkerRow,
    set::{Halt, Need, WorkingSet},
    task::Verb,
};
use crate::Refusal;

/// A sign of a worker within so many milliseconds of the last is not worth a write of its own.
const SEEN_AGAIN_MS: i64 = 1_000;

/// A worker as it is known, or as it is met now.
fn meet(set: &WorkingSet, worker: &str, now: Moment) -> Result<(WorkerRow, bool), Halt> {
    Ok(match set.worker(worker)? {
        Some(row) => (WorkerRow { last_seen: row.last_seen.max(now), ..row.clone() }, true),
        None => (WorkerRow::met(worker, now), false),
    })
}

/// A worker asked for something.
pub(super) fn see(set: &mut WorkingSet, worker: &str, now: Moment) -> Result<(), Halt> {
    if set.worker(worker)?.is_some_and(|row| now < row.last_seen.saturating_add(SEEN_AGAIN_MS)) {
        return Ok(());
    }
    let (row, _) = meet(set, worker, now)?;
    set.put_worker(row);
    Ok(())
}

/// Notes what a known worker says it can do.
pub(super) fn describe(set: &mut WorkingSet, worker: &str, plugins: &[String], machine: Machine) -> Result<(), Halt> {
    let Some(row) = set.worker(worker)?.filter(|row| row.plugins != plugins || row.machine != machine) else {
        return Ok(());
    };
    let row = WorkerRow { plugins: plugins.to_vec(), machine, ..row.clone() };
    set.put_worker(row);
    Ok(())
}

/// A worker's results were accepted.
pub(super) fn credit(set: &mut WorkingSet, worker: &str, records: u64, now: Moment) -> Result<(), Halt> {
    let (row, _) = meet(set, worker, now)?;
    set.put_worker(WorkerRow {
        failures_in_row: 0,
        failing: None,
        jobs_done: row.jobs_done + 1,
        records_done: row.records_done + records,
        ..row
    });
    Ok(())
}

/// A job failed on a worker; one that fails job after job while others succeed is drained. The same job again says
/// nothing more about the worker.
pub(super) fn failed(set: &mut WorkingSet, worker: &str, job: JobId, plugin: &str, now: Moment) -> Result<(), Halt> {
    let accepted = set.plugin(plugin)?.map(|plugin| plugin.accepted_at);
    let (mut row, _) = meet(set, worker, now)?;
    if row.failing.is_none_or(|(last, _)| last != job) {
        let since = row.failing.map(|(_, since)| since);
        let streak = Streak { failed: row.failures_in_row, since }.failed(now);
        row.failures_in_row = streak.failed;
        row.failing = streak.since.map(|since| (job, since));
        if row.drained.is_none()
            && let Some(bad) = quota::judge(streak, plugin, accepted, now)
        {
            row.drained = Some(bad.to_string());
        }
    }
    set.put_worker(row);
    Ok(())
}

/// What a person changes about a worker, on its way to the store.
#[derive(Debug)]
pub(crate) struct ChangesWorker {
    pub(crate) worker: String,
    pub(crate) change: WorkerChange,
}

impl Verb for ChangesWorker {
    type Answer = ();

    fn needs(&self, _: &WorkingSet, needs: &mut Vec<Need>) {
        needs.push(Need::Worker(self.worker.clone()));
    }

    fn run(&self, set: &mut WorkingSet) -> Result<(), Halt> {
        let Some(row) = set.worker(&self.worker)? else {
            return Err(Refusal::NoSuchWorker(self.worker.clone()).into());
        };
        let mut row = row.clone();
        match &self.change {
            WorkerChange::Drain(Reason { reason }) => {
                row.drained = Some(match reason.trim() {
                    "" => "drained by an admin".to_owned(),
                    reason => reason.to_owned(),
                });
            }
            WorkerChange::Resume => {
                row.drained = None;
                row.failures_in_row = 0;
                row.failing = None;
            }
            WorkerChange::Tags(tags) => row.tags.clone_from(tags),
            WorkerChange::Name(name) => row.name.clone_from(name),
        }
        set.put_worker(row);
        Ok(())
    }
}
