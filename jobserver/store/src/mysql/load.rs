//! Loads what verbs need into the working set: all that a group needs in few statements.
//!
//! Attempts and jobs are locked until the commit, always attempts first and both in the order of their numbers; what the
//! queue offers and another server has in hand is left to it. Batches, workers and types are not locked: what changes in
//! them is written as a difference, or is last-one-wins. An attempt brings its job and its worker with it, a job its lane,
//! its batch and its plugin's type; those of batches that are not (or no more) open to anybody are not there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use mysql_async::params;
use nightshift_rules::{gates::Lane, sizing::Measured};
use nightshift_wire::{AttemptId, BatchId, ErrorRate, JobId, Machine, Moment};

use super::{
    connection::{Fields, Tx},
    failure::Failure,
    given::Begun,
    rows::look_up,
    sql,
};
use crate::work::{
    leases::OVER_AT_ONCE,
    queue::{BLOCK, OpenLane, Waiting},
    rows::{AttemptRow, BatchCounts, BatchRow, JobRow, LaneId, LaneRow, TypeRow, WorkerRow},
    set::{Need, WorkingSet},
};

/// More lanes than these are not remembered from group to group.
const LANES_KNOWN: usize = 10_000;

/// Lanes never change: those seen once are not read again.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<LaneId, LaneRow>);

/// How jobs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jobs {
    /// By somebody who means these: whoever has one in hand is waited for.
    Meant,
    /// By a claim, from the queue: another will do.
    Offered,
}

/// Needs, sorted by what they ask for.
#[derive(Default)]
struct Needs {
    attempts: BTreeSet<AttemptId>,
    jobs: BTreeSet<JobId>,
    batches: BTreeSet<BatchId>,
    workers: BTreeSet<String>,
    types: BTreeSet<String>,
    lanes: Vec<(BatchId, Lane)>,
    held: BTreeSet<String>,
    over: Option<Moment>,
    open: bool,
    blocks: Vec<(LaneId, u64)>,
}

impl Needs {
    fn sort(set: &WorkingSet, needs: impl IntoIterator<Item = Need>) -> Needs {
        let mut sorted = Needs::default();
        for need in needs {
            match need {
                Need::Attempt(id) if !set.has_attempt(id) => drop(sorted.attempts.insert(id)),
                Need::Job(id) if !set.has_job(id) => drop(sorted.jobs.insert(id)),
                Need::Batch(id) if !set.has_batch(id) => drop(sorted.batches.insert(id)),
                Need::Worker(worker) if !set.has_worker(&worker) => drop(sorted.workers.insert(worker)),
                Need::Type(plugin) if !set.has_type(&plugin) => drop(sorted.types.insert(plugin)),
                Need::Lane(batch, kind) => sorted.lanes.push((batch, kind)),
                Need::Held(worker) if !set.has_held(&worker) => drop(sorted.held.insert(worker)),
                Need::Over(now) => sorted.over = Some(now),
                Need::Lanes => sorted.open = true,
                Need::Block { lane, from } => sorted.blocks.push((lane, from)),
                _ => {}
            }
        }
        sorted
    }
}

/// Loads all of it.
pub(super) async fn load(
    tx: &mut Tx,
    set: &mut WorkingSet,
    lanes: &mut Lanes,
    needs: impl IntoIterator<Item = Need>,
    how: Jobs,
) -> Result<(), Failure> {
    let mut needs = Needs::sort(set, needs);
    queries(tx, set, &needs).await?;
    let mut attempts: BTreeMap<AttemptId, Option<AttemptRow>> = needs.attempts.iter().map(|id| (*id, None)).collect();
    for mut row in look_up(tx, sql::ATTEMPTS, needs.attempts.iter().copied()).await? {
        let row = attempt(&mut row)?;
        attempts.insert(row.id, Some(row));
    }
    let mut its_jobs: BTreeSet<JobId> = attempts.values().flatten().map(|row| row.job).collect();
    its_jobs.retain(|job| !set.has_job(*job));
    needs.workers.extend(attempts.values().flatten().map(|row| row.worker.clone()));
    let (meant, offered) = match how {
        Jobs::Meant => (&(&its_jobs | &needs.jobs), &BTreeSet::new()),
        Jobs::Offered => (&its_jobs, &(&needs.jobs - &its_jobs)),
    };
    let mut jobs: BTreeMap<JobId, Option<JobRow>> = meant.union(offered).map(|id| (*id, None)).collect();
    for (sql, ids) in [(sql::JOBS_AT_WORK, meant), (sql::NEXT_JOBS, offered)] {
        for mut row in look_up(tx, sql, ids.iter().copied()).await? {
            let row = job(&mut row)?;
            jobs.insert(row.id, Some(row));
        }
    }
    let found: Vec<(LaneId, BatchId)> = jobs.values().flatten().map(|job| (job.lane, job.batch)).collect();
    needs.types.extend(lanes.load(tx, set, found.iter().map(|(lane, _)| *lane)).await?);
    needs.batches.extend(found.iter().map(|(_, batch)| *batch));
    beside(tx, set, needs).await?;

    for (id, row) in jobs {
        // The batch is being handed in or removed: nobody has to do with its jobs.
        set.load_job(id, row.filter(|row| set.knows_batch(row.batch)));
    }
    for (id, row) in attempts {
        set.load_attempt(id, row.filter(|row| set.knows_job(row.job)));
    }
    Ok(())
}

/// Loads attempts that are remembered, with their jobs and workers, and reads what stands beside them. Whether all of them
/// are of batches that are there.
pub(super) async fn recall(
    tx: &mut Tx,
    set: &mut WorkingSet,
    lanes: &mut Lanes,
    given: Vec<Begun>,
) -> Result<bool, Failure> {
    let batches = given.iter().map(|begun| begun.job.batch).collect();
    let types = match lanes.load(tx, set, given.iter().map(|begun| begun.job.lane)).await {
        // Its batch was removed since.
        Err(Failure::Contradiction(_)) => return Ok(false),
        types => types?,
    };
    beside(tx, set, Needs { batches, types, ..Needs::default() }).await?;
    let mut all = true;
    for begun in given {
        let Begun { attempt, job, worker, .. } = begun;
        all &= set.knows_batch(job.batch);
        set.load_job(job.id, Some(job));
        set.load_attempt(attempt.id, Some(attempt));
        set.load_worker(&worker.worker.clone(), Some(worker));
    }
    Ok(all)
}

/// What is asked for by a rule and not by a number.
async fn queries(tx: &mut Tx, set: &mut WorkingSet, needs: &Needs) -> Result<(), Failure> {
    if !needs.held.is_empty() {
        let mut held: BTreeMap<&str, Vec<AttemptId>> = needs.held.iter().map(|worker| (&**worker, vec![])).collect();
        for mut row in look_up(tx, sql::RUNNING_ATTEMPTS, &needs.held).await? {
            let worker: String = row.get("worker")?;
            if let Some(held) = held.get_mut(worker.as_str()) {
                held.push(row.get("id")?);
            }
        }
        for (worker, mut attempts) in held {
            attempts.sort_unstable();
            set.load_held(worker, attempts);
        }
    }
    if let Some(now) = needs.over {
        let rows = tx.all(sql::ATTEMPTS_OVER, params! { "now" => now, "limit" => OVER_AT_ONCE }).await?;
        set.load_over(rows.into_iter().map(|mut row| row.get("id")).collect::<Result<_, _>>()?);
    }
    for (batch, kind) in &needs.lanes {
        set.load_lane(lane_like(tx, *batch, kind).await?);
    }
    if needs.open {
        let rows = tx.all(sql::OPEN_LANES, ()).await?;
        let open = rows
            .into_iter()
            .map(|mut row| Ok(OpenLane { suspended: row.get::<i64>("suspended")? != 0, lane: lane(&mut row)? }));
        set.load_lanes(open.collect::<Result<_, Failure>>()?);
    }
    for &(lane, from) in &needs.blocks {
        let rows = tx.all(sql::WAITING_JOBS, params! { "lane" => lane, "from" => from, "limit" => BLOCK }).await?;
        let waiting = rows.into_iter().map(|mut row| {
            Ok(Waiting { job: row.get("id")?, seq: row.get("seq")?, not_before: row.get("not_before")? })
        });
        set.load_block(lane, from, &waiting.collect::<Result<Vec<_>, Failure>>()?);
    }
    Ok(())
}

/// What stands beside attempts and jobs.
async fn beside(tx: &mut Tx, set: &mut WorkingSet, needs: Needs) -> Result<(), Failure> {
    let Needs { mut batches, mut workers, mut types, .. } = needs;
    batches.retain(|batch| !set.has_batch(*batch));
    workers.retain(|worker| !set.has_worker(worker));
    types.retain(|plugin| !set.has_type(plugin));
    for mut row in look_up(tx, sql::BATCHES_AT_WORK, batches.iter().copied()).await? {
        let row = batch(&mut row)?;
        set.load_batch(row.id, Some(row));
    }
    for mut row in look_up(tx, sql::WORKERS_AT_WORK, &workers).await? {
        let row = worker(&mut row)?;
        set.load_worker(&row.worker.clone(), Some(row));
    }
    for mut row in look_up(tx, sql::JOB_TYPES, &types).await? {
        let plugin: String = row.get("plugin")?;
        let measured = Measured { records: row.get("records")?, work_ms: row.get("work_ms")? };
        let sampled = Measured { records: row.get("sampled_records")?, work_ms: row.get("sampled_ms")? };
        let accepted_at = row.get("accepted_at")?;
        set.load_type(&plugin.clone(), Some(TypeRow { plugin, measured, sampled, accepted_at }));
    }
    // Loading keeps what is there already: these are the ones that were not found.
    batches.into_iter().for_each(|batch| set.load_batch(batch, None));
    workers.iter().for_each(|worker| set.load_worker(worker, None));
    types.iter().for_each(|plugin| set.load_type(plugin, None));
    Ok(())
}

impl Lanes {
    /// Loads lanes; the plugins of all of them.
    async fn load(
        &mut self,
        tx: &mut Tx,
        set: &mut WorkingSet,
        lanes: impl Iterator<Item = LaneId>,
    ) -> Result<BTreeSet<String>, Failure> {
        let lanes: BTreeSet<LaneId> = lanes.filter(|lane| !set.has_lane(*lane)).collect();
        let unknown: Vec<LaneId> = lanes.iter().copied().filter(|lane| !self.0.contains_key(lane)).collect();
        if self.0.len() + unknown.len() > LANES_KNOWN {
            self.0.retain(|lane, _| lanes.contains(lane));
        }
        for mut row in look_up(tx, sql::LANES, unknown).await? {
            let lane = lane(&mut row)?;
            self.0.insert(lane.id, lane);
        }
        let mut plugins = BTreeSet::new();
        for lane in lanes {
            let known = self.0.get(&lane);
            let known = known.ok_or_else(|| Failure::Contradiction(format!("there is no lane {lane}")))?;
            plugins.insert(known.kind.plugin.clone());
            set.load_lane(known.clone());
        }
        Ok(plugins)
    }
}

/// The lane of a batch for such jobs, made when there is none.
pub(super) async fn lane_like(tx: &mut Tx, batch: BatchId, kind: &Lane) -> Result<LaneRow, Failure> {
    let requirements = serde_json::to_string(&kind.requirements)?;
    let like = || {
        params! {
            "batch" => batch,
            "plugin" => &kind.plugin,
            "priority" => kind.priority,
            "requirements" => &requirements,
        }
    };
    if let Some(mut found) = tx.first(sql::LANE_LIKE, like()).await? {
        return lane(&mut found);
    }
    tx.change(sql::INSERT_LANE, like()).await?;
    match tx.first(sql::LANE_LIKE, like()).await? {
        Some(mut made) => lane(&mut made),
        None => Err(Failure::Contradiction(format!("a lane of batch {batch} is gone as soon as it is made"))),
    }
}

fn lane(row: &mut Fields) -> Result<LaneRow, Failure> {
    let kind =
        Lane { plugin: row.get("plugin")?, priority: row.get("priority")?, requirements: row.json("requirements")? };
    Ok(LaneRow { id: row.get("id")?, batch: row.get("batch_id")?, kind })
}

fn attempt(row: &mut Fields) -> Result<AttemptRow, Failure> {
    Ok(AttemptRow {
        id: row.get("id")?,
        job: row.get("job_id")?,
        secret: row.get("secret")?,
        worker: row.get("worker")?,
        revision: row.get("revision")?,
        release: row.get("release")?,
        commit: row.get("release_commit")?,
        state: row.word("state")?,
        reason: row.get("reason")?,
        lease_ms: row.get("lease_ms")?,
        lease_until: row.get("lease_until")?,
        records_done: row.get("records_done")?,
        work_ms: row.get("work_ms")?,
        position: row.reached()?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
    })
}

fn job(row: &mut Fields) -> Result<JobRow, Failure> {
    let holder: (Option<AttemptId>, Option<String>) = (row.get("attempt_id")?, row.get("worker")?);
    Ok(JobRow {
        id: row.get("id")?,
        batch: row.get("batch_id")?,
        seq: row.get("seq")?,
        lane: row.get("lane_id")?,
        state: row.word("state")?,
        reason: row.get("reason")?,
        revision: row.get("revision")?,
        first_record: row.get("first_record")?,
        records: row.get("records")?,
        errors: row.get("errors")?,
        pickups: row.get("pickups")?,
        failures: row.get("failures")?,
        losses: row.get("losses")?,
        not_before: row.get("not_before")?,
        holder: holder.0.zip(holder.1),
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn batch(row: &mut Fields) -> Result<BatchRow, Failure> {
    Ok(BatchRow {
        id: row.get("id")?,
        suspended: row.get("suspended")?,
        lease_ms: row.get("lease_ms")?,
        max_attempts: row.get("max_attempts")?,
        error_rate: ErrorRate::per_mille(row.get("error_rate")?),
        position: row.position()?.map(Arc::new),
        counts: BatchCounts {
            running: row.get("jobs_running")?,
            done: row.get("jobs_done")?,
            quarantined: row.get("jobs_quarantined")?,
            suspended: row.get("jobs_suspended")?,
            deleted: row.get("jobs_deleted")?,
            results: row.get("results")?,
            errors: row.get("errors")?,
            judged_results: row.get("judged_results")?,
            judged_errors: row.get("judged_errors")?,
        },
        counted_at: row.get("counted_at")?,
    })
}

fn worker(row: &mut Fields) -> Result<WorkerRow, Failure> {
    let failing: (Option<JobId>, Option<Moment>) = (row.get("failing_job")?, row.get("failing_since")?);
    Ok(WorkerRow {
        worker: row.get("worker")?,
        name: row.get("name")?,
        plugins: row.json("plugins")?,
        machine: Machine { memory_mb: row.get("memory_mb")?, disk_mb: row.get("disk_mb")? },
        tags: row.json("tags")?,
        drained: row.get("drained")?,
        failures_in_row: row.get("failures_in_row")?,
        failing: failing.0.zip(failing.1),
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        jobs_done: row.get("jobs_done")?,
        records_done: row.get("records_done")?,
    })
}
