//! Writes what a group of verbs changed in the working set: each row once, each table in one statement or a few.
//!
//! The order, which is the order of locks too: attempts that ended, the accepted one, those that run on, new ones (a job
//! has one attempt that holds it at a time); jobs; results; workers; plugins' types; the batches' counters. A batch's row
//! is the one that everybody wants, so it is locked last and for the shortest time.

use mysql_async::{Value, params};
use nightshift_wire::{AttemptState, JobId, JobState, Moment};

use super::{
    connection::Tx,
    failure::Failure,
    rows::{self, Changed, Key, RowOf},
    sql,
};
use crate::{
    words::Word as _,
    work::{
        rows::{AttemptRow, BatchCounts, BatchRow, JobRow, WorkerRow},
        set::{ResultsChange, WorkingSet},
        submitted::ResultRow,
    },
};

/// Whether the next group may be loaded before what was written is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Written {
    /// What others read without a lock was written as differences, or not at all.
    Beside,
    /// A job waits now that did not; or what is known of a worker or a batch, beside its counters, is another.
    Alone,
}

impl Written {
    fn by(set: &WorkingSet) -> Written {
        let waits = set.changed_jobs().any(|(row, _)| row.state == JobState::Waiting);
        let worker = set.changed_workers().any(|(row, stored)| stored.is_none_or(|stored| is_another(row, stored)));
        let halted = |row: &BatchRow, stored: &BatchRow| {
            (&stored.suspended, stored.error_rate) != (&row.suspended, row.error_rate)
        };
        let batch = set.changed_batches().any(|(row, stored)| stored.is_some_and(|stored| halted(row, stored)));
        if waits || worker || batch { Written::Alone } else { Written::Beside }
    }
}

/// Where the rows of a group come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// They were read, and locked, in this transaction.
    Read,
    /// They are remembered, and were not asked for: a row that is another by now is found when it is written.
    Remembered,
}

impl Rows {
    /// Changes rows of one table that are there.
    async fn change<K: Key, const N: usize>(
        self,
        tx: &mut Tx,
        read: &str,
        remembered: &str,
        rows: &[Changed<K, N>],
    ) -> Result<(), Failure> {
        match self {
            Rows::Read => rows::change(tx, read, rows).await.map(drop),
            Rows::Remembered if rows::change(tx, remembered, rows).await? == rows.len() => Ok(()),
            Rows::Remembered => Err(Failure::Changed("what was remembered of an attempt".to_owned())),
        }
    }
}

/// Writes every change; from then on the set has none.
pub(super) async fn write(tx: &mut Tx, set: &mut WorkingSet) -> Result<Written, Failure> {
    let written = rows(tx, set, Rows::Read).await?;
    batches(tx, set).await?;
    Ok(written)
}

/// Writes every change but those of batches.
pub(super) async fn rows(tx: &mut Tx, set: &WorkingSet, from: Rows) -> Result<Written, Failure> {
    let written = Written::by(set);
    attempts(tx, set, from).await?;
    jobs(tx, set, from).await?;
    results(tx, set.results()).await?;
    workers(tx, set, from).await?;
    let mut types: Vec<_> = set.changed_types().map(|(row, _)| row).collect();
    types.sort_unstable_by(|one, other| one.plugin.cmp(&other.plugin));
    for row in types {
        let written = params! {
            "plugin" => &row.plugin,
            "records" => row.measured.records,
            "work_ms" => row.measured.work_ms,
            "accepted_at" => row.accepted_at,
        };
        tx.change(sql::WRITE_JOB_TYPE, written).await?;
    }
    Ok(written)
}

/// Writes the changes of batches, after all others; from then on the set has none.
pub(super) async fn batches(tx: &mut Tx, set: &mut WorkingSet) -> Result<(), Failure> {
    let mut batches: Vec<_> = set.changed_batches().collect();
    batches.sort_unstable_by_key(|(row, _)| row.id);
    for (row, stored) in batches {
        batch(tx, row, stored).await?;
    }
    set.written();
    Ok(())
}

async fn attempts(tx: &mut Tx, set: &WorkingSet, from: Rows) -> Result<(), Failure> {
    let mut new: Vec<&AttemptRow> = Vec::new();
    let [mut ended, mut accepted, mut running] = [const { Vec::new() }; 3];
    for (row, stored) in set.changed_attempts() {
        let Some(stored) = stored else {
            new.push(row);
            continue;
        };
        let changed = match row.state {
            AttemptState::Running => &mut running,
            AttemptState::Accepted => &mut accepted,
            AttemptState::Lost | AttemptState::GivenBack | AttemptState::Superseded => &mut ended,
        };
        changed.push(Changed { key: row.id, was: fate(stored), is: fate(row) });
    }
    for mut changed in [ended, accepted, running] {
        changed.sort_unstable_by_key(|row| row.key);
        from.change(tx, sql::WRITE_ATTEMPTS, sql::WRITE_RUNNING_ATTEMPTS, &changed).await?;
    }
    new.sort_unstable_by_key(|row| row.id);
    let (run, ended): (Vec<&AttemptRow>, Vec<&AttemptRow>) =
        new.into_iter().partition(|row| row.state == AttemptState::Running);
    rows::insert(tx, sql::INSERT_ENDED_ATTEMPTS, ended.into_iter().map(short)).await?;
    rows::insert(tx, sql::INSERT_ATTEMPTS, run.into_iter().map(begun)).await?;
    Ok(())
}

/// A new attempt that runs; nothing else came of it yet.
fn begun(row: &AttemptRow) -> RowOf<10> {
    [
        row.id.into(),
        row.job.into(),
        row.secret.as_str().into(),
        row.worker.as_str().into(),
        row.revision.into(),
        row.lease_ms.into(),
        row.started_at.into(),
        row.release.as_str().into(),
        row.commit.as_str().into(),
        row.lease_until.into(),
    ]
}

/// A new attempt that ended at once, without results.
fn short(row: &AttemptRow) -> RowOf<13> {
    let [id, job, secret, worker, revision, lease_ms, started_at, release, commit, lease_until] = begun(row);
    let (state, reason, ended_at) = (row.state.word().into(), row.reason.as_str().into(), row.ended_at.into());
    [id, job, secret, worker, revision, lease_ms, started_at, release, commit, lease_until, state, reason, ended_at]
}

/// What changes about an attempt.
fn fate(row: &AttemptRow) -> RowOf<10> {
    let reached = row.position.as_ref();
    [
        row.release.as_str().into(),
        row.commit.as_str().into(),
        row.state.word().into(),
        row.reason.as_str().into(),
        row.lease_until.into(),
        row.records_done.into(),
        row.work_ms.into(),
        reached.map(|reached| reached.primary.as_str()).into(),
        reached.map(|reached| reached.gtid.as_str()).into(),
        row.ended_at.into(),
    ]
}

async fn jobs(tx: &mut Tx, set: &WorkingSet, from: Rows) -> Result<(), Failure> {
    let mut changed = Vec::new();
    for (row, stored) in set.changed_jobs() {
        let stored = stored.ok_or_else(|| Failure::Contradiction(format!("job {} is new to a verb", row.id)))?;
        changed.push(Changed { key: row.id, was: place(stored), is: place(row) });
    }
    changed.sort_unstable_by_key(|row| row.key);
    from.change(tx, sql::WRITE_JOBS, sql::WRITE_HELD_JOBS, &changed).await
}

/// Where a job stands.
fn place(row: &JobRow) -> RowOf<13> {
    let (attempt, worker) = row.holder.as_ref().map(|(attempt, worker)| (*attempt, worker.as_str())).unzip();
    [
        row.lane.into(),
        row.state.word().into(),
        row.reason.as_str().into(),
        row.revision.into(),
        row.errors.into(),
        row.pickups.into(),
        row.failures.into(),
        row.losses.into(),
        row.not_before.into(),
        attempt.into(),
        worker.into(),
        row.started_at.into(),
        row.finished_at.into(),
    ]
}

async fn results(tx: &mut Tx, changes: &[ResultsChange]) -> Result<(), Failure> {
    for changes in changes.chunk_by(|one, next| superseded(one).is_none() && superseded(next).is_none()) {
        if let Some((first, records)) = changes.first().and_then(superseded) {
            for sql in [sql::SUPERSEDE_RESULTS, sql::DELETE_RESULTS] {
                tx.change(sql, params! { "first_record" => first, "records" => records }).await?;
            }
            continue;
        }
        let mut accepted: Vec<_> = changes.iter().filter_map(accepted).flatten().collect();
        // In the order of their keys, which is the order of the table: the fastest, and the same for everybody.
        accepted.sort_unstable_by_key(|(_, _, result)| result.record);
        let row = |&(job, attempt, result): &(i64, i64, &ResultRow)| -> RowOf<5> {
            let (value, error) = (result.value.as_deref().into(), result.error.as_deref().into());
            [result.record.into(), job.into(), attempt.into(), value, error]
        };
        rows::insert(tx, sql::INSERT_RESULTS, accepted.iter().map(row)).await?;
    }
    Ok(())
}

/// The first record, and the number of records, whose results a change supersedes.
fn superseded(change: &ResultsChange) -> Option<(i64, u64)> {
    match change {
        ResultsChange::Superseded { first, records } => Some((*first, *records)),
        ResultsChange::Accepted { .. } => None,
    }
}

/// The results a change accepts, each with its job and attempt.
fn accepted(change: &ResultsChange) -> Option<impl Iterator<Item = (i64, i64, &ResultRow)>> {
    match change {
        ResultsChange::Superseded { .. } => None,
        ResultsChange::Accepted { job, attempt, submitted } => {
            Some(submitted.results.iter().map(|result| (*job, *attempt, result)))
        }
    }
}

async fn workers(tx: &mut Tx, set: &WorkingSet, from: Rows) -> Result<(), Failure> {
    let mut changed: Vec<(&WorkerRow, Option<&WorkerRow>)> = set.changed_workers().collect();
    changed.sort_unstable_by(|(one, _), (other, _)| one.worker.cmp(&other.worker));
    let credits: Vec<_> = changed.iter().filter_map(|&(row, stored)| Some(credit(row, stored?))).collect();
    from.change(tx, sql::CREDIT_WORKERS, sql::CREDIT_SOUND_WORKERS, &credits).await?;
    for (row, stored) in changed {
        match stored {
            Some(stored) if is_another(row, stored) => own(tx, row, stored).await?,
            Some(_) => {}
            None => {
                let met = params! {
                    "worker" => &row.worker,
                    "first_seen" => row.first_seen,
                    "last_seen" => row.last_seen,
                    "jobs_done" => row.jobs_done,
                    "records_done" => row.records_done,
                };
                tx.change(sql::MEET_WORKER, met).await?;
                own(tx, row, &WorkerRow::met(&row.worker, row.first_seen)).await?;
            }
        }
    }
    Ok(())
}

/// Writes what is not written as a difference, of that only what is another.
async fn own(tx: &mut Tx, row: &WorkerRow, stored: &WorkerRow) -> Result<(), Failure> {
    rows::change(tx, sql::WRITE_WORKER, &[description(row, stored)?]).await?;
    if streak(row) != streak(stored) {
        let (job, since) = row.failing.unzip();
        let streak = params! {
            "worker" => &row.worker,
            "failures_in_row" => row.failures_in_row,
            "failing_job" => job,
            "failing_since" => since,
        };
        tx.change(sql::WRITE_STREAK, streak).await?;
    }
    Ok(())
}

/// What the worker says of itself, and what people say of it.
fn description<'a>(row: &'a WorkerRow, stored: &WorkerRow) -> Result<Changed<&'a str, 6>, Failure> {
    let described = |row: &WorkerRow| -> Result<RowOf<6>, Failure> {
        Ok([
            row.name.as_str().into(),
            serde_json::to_string(&row.plugins)?.into(),
            row.machine.memory_mb.into(),
            row.machine.disk_mb.into(),
            serde_json::to_string(&row.tags)?.into(),
            row.drained.as_deref().into(),
        ])
    };
    Ok(Changed { key: row.worker.as_str(), was: described(stored)?, is: described(row)? })
}

/// How its last jobs went: columns that hold only together.
fn streak(row: &WorkerRow) -> (u32, Option<(JobId, Moment)>) {
    (row.failures_in_row, row.failing)
}

/// Whether something is another that is not written as a difference.
fn is_another(row: &WorkerRow, stored: &WorkerRow) -> bool {
    let WorkerRow {
        worker: _,
        name,
        plugins,
        machine,
        tags,
        drained,
        failures_in_row: _,
        failing: _,
        first_seen: _,
        last_seen: _,
        jobs_done: _,
        records_done: _,
    } = stored;
    let said = (name, plugins, machine, tags, drained);
    said != (&row.name, &row.plugins, &row.machine, &row.tags, &row.drained) || streak(row) != streak(stored)
}

/// What a worker did since it was read.
fn credit<'a>(row: &'a WorkerRow, stored: &WorkerRow) -> Changed<&'a str, 3> {
    let did = |now: u64, before: u64| Value::from(now.saturating_sub(before));
    let (jobs, records) = (did(row.jobs_done, stored.jobs_done), did(row.records_done, stored.records_done));
    let was = [stored.last_seen.into(), did(0, 0), did(0, 0)];
    Changed { key: row.worker.as_str(), was, is: [row.last_seen.into(), jobs, records] }
}

async fn batch(tx: &mut Tx, row: &BatchRow, stored: Option<&BatchRow>) -> Result<(), Failure> {
    let before = stored.map_or_else(BatchCounts::default, |stored| stored.counts);
    let counts = row.counts.since(&before);
    if counts != BatchCounts::default() {
        let count = params! {
            "batch" => row.id,
            "running" => counts.running,
            "done" => counts.done,
            "quarantined" => counts.quarantined,
            "suspended" => counts.suspended,
            "deleted" => counts.deleted,
            "results" => counts.results,
            "errors" => counts.errors,
            "judged_results" => counts.judged_results,
            "judged_errors" => counts.judged_errors,
            "now" => row.counted_at,
        };
        tx.change(sql::COUNT_BATCH, count).await?;
    }
    if stored.is_some_and(|stored| stored.suspended != row.suspended) {
        tx.change(sql::SUSPEND_BATCH, params! { "batch" => row.id, "reason" => &row.suspended }).await?;
    }
    if stored.is_some_and(|stored| stored.error_rate != row.error_rate) {
        let allowed = params! { "batch" => row.id, "error_rate" => row.error_rate.as_per_mille() };
        tx.change(sql::ALLOW_ERRORS, allowed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_worker_only_what_a_verb_changed_is_written() {
        let stored = WorkerRow::met("w", 0);
        let mut row = WorkerRow { last_seen: 7, jobs_done: 1, records_done: 9, ..stored.clone() };
        assert!(!is_another(&row, &stored), "what it did is written as a difference");
        row.machine.disk_mb = 5;
        assert!(is_another(&row, &stored));
        let changed = description(&row, &stored).expect("text");
        let columns = (0..6).filter(|column| changed.was[*column] != changed.is[*column]);
        assert_eq!(columns.collect::<Vec<_>>(), [3], "and nothing of what people wrote meanwhile");
    }

    #[test]
    fn whatever_is_another_about_a_worker_is_written() {
        let stored = WorkerRow::met("w", 0);
        let other: [fn(&mut WorkerRow); 8] = [
            |row| row.name.push('x'),
            |row| row.plugins.push("x".to_owned()),
            |row| row.machine.memory_mb = 5,
            |row| row.machine.disk_mb = 5,
            |row| row.tags.extend(["x".to_owned()]),
            |row| row.drained = Some("x".to_owned()),
            |row| row.failures_in_row = 5,
            |row| row.failing = Some((5, 5)),
        ];
        for (case, change) in other.into_iter().enumerate() {
            let mut row = stored.clone();
            change(&mut row);
            let Changed { was, is, .. } = description(&row, &stored).expect("text");
            let written = was != is || streak(&row) != streak(&stored);
            assert!(is_another(&row, &stored) && written, "case {case}");
        }
    }
}
