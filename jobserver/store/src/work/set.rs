//! The working set: the rows some verbs need, and what the verbs change.
//!
//! A verb is a function on it (`claim.rs`, `submit.rs` …), written once for all stores. It reads rows; when one was not
//! loaded it ends with [`Halt::Missing`], has what it changed undone, and is run again after the store has loaded it. A
//! refused verb is undone too and leaves the set as it was. The store that drives it goes, for a group of verbs:
//!
//! 1. begin a transaction; load what each verb says it will [need](super::task::Task::needs), locked against others;
//! 2. run each verb; when it is missing something, [write](WorkingSet::written) what changed so far if what is missing is
//!    a [query](Need::is_query), load it, and run the verb again;
//! 3. write every change: [`new_attempts`](WorkingSet::attempts), jobs, batches' differences …; commit; answer.
//! 4. When the commit failed, [`forget`](WorkingSet::forget) all, the queue included; else [`end`](WorkingSet::end).
//!
//! Whatever makes a job begin or cease to wait passes through [`put_job`](WorkingSet::put_job), which tells the queue.

use std::{collections::HashMap, ops::Range, sync::Arc};

use nightshift_rules::{gates::Lane, life::IllegalMove};
use nightshift_wire::{AttemptId, AttemptState, BatchId, JobId, JobState, Moment, RecordId};

use super::{
    queue::{OpenLane, Queue, Read, Waiting},
    rows::{AttemptRow, BatchRow, JobRow, LaneId, LaneRow, TypeRow, WorkerRow},
    submitted::Submitted,
    table::Table,
};
use crate::Refusal;

/// Something a verb needs and the store has to load.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    /// An attempt ([`WorkingSet::load_attempt`]), and its job as with [`Need::Job`].
    Attempt(AttemptId),
    /// A job ([`WorkingSet::load_job`]), and, unless they are there: its lane, its batch and the type of its plugin.
    Job(JobId),
    /// A batch that was sealed ([`WorkingSet::load_batch`]).
    Batch(BatchId),
    /// A worker ([`WorkingSet::load_worker`]).
    Worker(String),
    /// The type of a plugin ([`WorkingSet::load_type`]).
    Type(String),
    /// The lane of a batch for such jobs, made when there is none ([`WorkingSet::load_lane`]).
    Lane(BatchId, Lane),
    /// A query: the numbers of the running attempts on a worker's name ([`WorkingSet::load_held`]).
    Held(String),
    /// A query: the numbers of running attempts whose lease is over, the longest first, at most
    /// [`OVER_AT_ONCE`](super::leases::OVER_AT_ONCE) ([`WorkingSet::load_over`]).
    Over(Moment),
    /// A query: the lanes of open batches ([`WorkingSet::load_lanes`]).
    Lanes,
    /// A query: waiting jobs of a lane from a place on, by place, at most [`BLOCK`](super::queue::BLOCK)
    /// ([`WorkingSet::load_block`]).
    Block {
        /// The lane.
        lane: LaneId,
        /// The first place.
        from: u64,
    },
}

impl Need {
    /// Whether its answer depends on rows that earlier verbs may have changed: those have to be written first.
    pub(crate) fn is_query(&self) -> bool {
        matches!(self, Need::Held(_) | Need::Over(_) | Need::Lanes | Need::Block { .. })
    }
}

/// Why a verb did not come to its end. What it had changed is undone.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Load these and run it again.
    Missing(Vec<Need>),
    /// A rule says no.
    Refused(Refusal),
    /// What is stored contradicts itself or the rules.
    Contradiction(String),
}

impl From<Need> for Halt {
    fn from(need: Need) -> Self {
        Halt::Missing(vec![need])
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Halt::Refused(refusal)
    }
}

impl From<IllegalMove> for Halt {
    fn from(illegal: IllegalMove) -> Self {
        Halt::Contradiction(illegal.to_string())
    }
}

impl From<Read> for Halt {
    fn from(read: Read) -> Self {
        Halt::from(match read {
            Read::Lanes => Need::Lanes,
            Read::Block { lane, from } => Need::Block { lane, from },
        })
    }
}

/// What a verb does with the results of a job; to be done in the order of the verbs.
#[derive(Debug, Clone)]
pub(crate) enum ResultsChange {
    /// They are stored.
    Accepted { job: JobId, attempt: AttemptId, submitted: Arc<Submitted> },
    /// Those that the records of a job have become superseded ones.
    Superseded {
        /// Its first record.
        first: RecordId,
        /// How many it has.
        records: u64,
    },
}

/// Rows and changes of one group of verbs, and the queue, which outlives the group.
#[derive(Debug)]
pub(crate) struct WorkingSet {
    pub(super) queue: Queue,
    jobs: Table<JobId, JobRow>,
    attempts: Table<AttemptId, AttemptRow>,
    batches: Table<BatchId, BatchRow>,
    workers: Table<String, WorkerRow>,
    types: Table<String, TypeRow>,
    lanes: HashMap<LaneId, LaneRow>,
    kinds: HashMap<(BatchId, Lane), LaneId>,
    held: HashMap<String, Vec<AttemptId>>,
    over: Option<Vec<AttemptId>>,
    results: Vec<ResultsChange>,
    /// How many of these were there before the verb at work.
    results_kept: usize,
    numbers: Range<AttemptId>,
}

impl WorkingSet {
    /// An empty set with an unread queue.
    pub(crate) fn new() -> WorkingSet {
        WorkingSet {
            queue: Queue::new(),
            jobs: Table::new(),
            attempts: Table::new(),
            batches: Table::new(),
            workers: Table::new(),
            types: Table::new(),
            lanes: HashMap::new(),
            kinds: HashMap::new(),
            held: HashMap::new(),
            over: None,
            results: Vec::new(),
            results_kept: 0,
            numbers: 0..0,
        }
    }

    /// The group is committed: its rows are forgotten, the queue stays.
    pub(crate) fn end(&mut self) {
        self.jobs.clear();
        self.attempts.clear();
        self.batches.clear();
        self.workers.clear();
        self.types.clear();
        self.lanes.clear();
        self.kinds.clear();
        self.held.clear();
        self.over = None;
        self.results.clear();
        self.results_kept = 0;
    }

    /// The group was not committed, or nobody knows: everything is read anew.
    pub(crate) fn forget(&mut self) {
        self.end();
        self.queue.forget();
    }

    /// The queue is read anew from the top: others may have changed what waits.
    pub(crate) fn forget_queue(&mut self) {
        self.queue.forget();
    }

    /// The hand-in of a batch ended, or its removal began: other lanes are open now.
    pub(crate) fn lanes_changed(&mut self) {
        self.queue.lanes_changed();
    }

    /// Numbers for new attempts, never used before. [`numbers_left`](WorkingSet::numbers_left) says when to bring more.
    pub(crate) fn load_numbers(&mut self, numbers: Range<AttemptId>) {
        self.numbers = numbers;
    }

    /// How many attempts can be made before numbers have to be loaded.
    pub(crate) fn numbers_left(&self) -> i64 {
        self.numbers.end - self.numbers.start
    }

    pub(crate) fn load_job(&mut self, id: JobId, row: Option<JobRow>) {
        self.jobs.load(id, row);
    }

    pub(crate) fn load_attempt(&mut self, id: AttemptId, row: Option<AttemptRow>) {
        self.attempts.load(id, row);
    }

    pub(crate) fn load_batch(&mut self, id: BatchId, row: Option<BatchRow>) {
        self.batches.load(id, row);
    }

    pub(crate) fn load_worker(&mut self, worker: &str, row: Option<WorkerRow>) {
        self.workers.load(worker.to_owned(), row);
    }

    pub(crate) fn load_type(&mut self, plugin: &str, row: Option<TypeRow>) {
        self.types.load(plugin.to_owned(), row);
    }

    pub(crate) fn load_lane(&mut self, lane: LaneRow) {
        self.kinds.insert((lane.batch, lane.kind.clone()), lane.id);
        self.lanes.insert(lane.id, lane);
    }

    pub(crate) fn load_held(&mut self, worker: &str, attempts: Vec<AttemptId>) {
        self.held.insert(worker.to_owned(), attempts);
    }

    pub(crate) fn load_over(&mut self, attempts: Vec<AttemptId>) {
        self.over = Some(attempts);
    }

    pub(crate) fn load_lanes(&mut self, open: Vec<OpenLane>) {
        self.queue.lanes(open);
    }

    pub(crate) fn load_block(&mut self, lane: LaneId, from: u64, jobs: &[Waiting]) {
        self.queue.fill(lane, from, jobs);
    }

    pub(crate) fn has_job(&self, id: JobId) -> bool {
        self.jobs.is_loaded(&id)
    }

    pub(crate) fn has_attempt(&self, id: AttemptId) -> bool {
        self.attempts.is_loaded(&id)
    }

    pub(crate) fn has_batch(&self, id: BatchId) -> bool {
        self.batches.is_loaded(&id)
    }

    pub(crate) fn has_lane(&self, id: LaneId) -> bool {
        self.lanes.contains_key(&id)
    }

    pub(crate) fn has_type(&self, plugin: &str) -> bool {
        self.types.is_loaded(plugin)
    }

    pub(crate) fn has_worker(&self, worker: &str) -> bool {
        self.workers.is_loaded(worker)
    }

    pub(crate) fn has_held(&self, worker: &str) -> bool {
        self.held.contains_key(worker)
    }

    /// What was loaded of the attempts that run on a worker's name.
    pub(crate) fn loaded_held(&self, worker: &str) -> Option<&[AttemptId]> {
        self.held.get(worker).map(Vec::as_slice)
    }

    /// Attempts that were loaded and do not run, or do not any more.
    pub(crate) fn not_running(&self) -> impl Iterator<Item = AttemptId> {
        self.attempts.loaded().filter(|(_, row)| row.is_none_or(|row| row.lease_until.is_none())).map(|(id, _)| *id)
    }

    /// Whether an attempt that had ended runs again.
    pub(crate) fn takes_up(&self) -> bool {
        let runs = |row: &AttemptRow| row.lease_until.is_some();
        self.attempts.changed().any(|(row, stored)| runs(row) && stored.is_some_and(|stored| !runs(stored)))
    }

    /// A worker that was loaded and is there, with the attempts that ran on its name.
    pub(crate) fn loaded_worker(&self, worker: &str) -> Option<(&WorkerRow, &[AttemptId])> {
        Some((self.workers.get(worker).flatten()?, self.held.get(worker)?))
    }

    /// Whether a job was loaded and is there.
    pub(crate) fn knows_job(&self, id: JobId) -> bool {
        self.jobs.get(&id).flatten().is_some()
    }

    /// Whether a batch was loaded and is there.
    pub(crate) fn knows_batch(&self, id: BatchId) -> bool {
        self.batches.get(&id).flatten().is_some()
    }

    /// What the queue has to read before it can offer so many jobs, as far as that can be foretold: better read at the
    /// beginning of a group than in its middle. `None` when nothing is missing.
    pub(crate) fn foreseen(&self, takes: usize) -> Option<Need> {
        self.queue.foreseen(takes).map(|read| match read {
            Read::Lanes => Need::Lanes,
            Read::Block { lane, from } => Need::Block { lane, from },
        })
    }

    /// Jobs that the queue is likely to offer after one that it offered, those included that were loaded.
    pub(crate) fn offered_after(&self, job: JobId, most: usize) -> Vec<JobId> {
        self.queue.offered_after(job, most)
    }

    /// Jobs that were changed: as they are, and as they are stored.
    pub(crate) fn changed_jobs(&self) -> impl Iterator<Item = (&JobRow, Option<&JobRow>)> {
        self.jobs.changed()
    }

    /// Attempts that were changed, and (stored: `None`) new ones. A job has one running attempt at a time: those that
    /// ended have to be written before those that run.
    pub(crate) fn changed_attempts(&self) -> impl Iterator<Item = (&AttemptRow, Option<&AttemptRow>)> {
        self.attempts.changed()
    }

    /// New attempts that run, each with its job and its worker.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (&AttemptRow, &JobRow, &WorkerRow)> {
        self.attempts.changed().filter(|(_, stored)| stored.is_none()).filter_map(|(attempt, _)| {
            let job = self.jobs.get(&attempt.job).flatten()?;
            let worker = self.workers.get(&attempt.worker).flatten()?;
            let holds = job.holder.as_ref().is_some_and(|(holder, _)| *holder == attempt.id);
            (holds && attempt.state == AttemptState::Running).then_some((attempt, job, worker))
        })
    }

    /// Batches that were changed.
    pub(crate) fn changed_batches(&self) -> impl Iterator<Item = (&BatchRow, Option<&BatchRow>)> {
        self.batches.changed()
    }

    /// Workers that were changed, and new ones.
    pub(crate) fn changed_workers(&self) -> impl Iterator<Item = (&WorkerRow, Option<&WorkerRow>)> {
        self.workers.changed()
    }

    /// Types of plugins that were changed, and new ones.
    pub(crate) fn changed_types(&self) -> impl Iterator<Item = (&TypeRow, Option<&TypeRow>)> {
        self.types.changed()
    }

    /// What happens to results, in this order. New attempts have to be written before.
    pub(crate) fn results(&self) -> &[ResultsChange] {
        &self.results
    }

    /// Every change is in the database (in the group's transaction).
    pub(crate) fn written(&mut self) {
        self.jobs.written();
        self.attempts.written();
        self.batches.written();
        self.workers.written();
        self.types.written();
        self.results.clear();
        self.results_kept = 0;
    }

    /// The verb at work is done: what it changed stays.
    pub(super) fn keep(&mut self) {
        self.jobs.keep();
        self.attempts.keep();
        self.batches.keep();
        self.workers.keep();
        self.types.keep();
        self.results_kept = self.results.len();
    }

    /// Undoes what the verb at work changed.
    pub(super) fn undo(&mut self) {
        let WorkingSet { queue, jobs, attempts, batches, workers, types, results, results_kept, .. } = self;
        jobs.undo(|undone, back| tell(queue, undone, back));
        attempts.undo(|_, _| {});
        batches.undo(|_, back| {
            if let Some(batch) = back {
                queue.suspend(batch.id, batch.suspended.is_some());
            }
        });
        workers.undo(|_, _| {});
        types.undo(|_, _| {});
        results.truncate(*results_kept);
        // Numbers that an undone verb took are not used again; lists of held attempts may name some that never were.
    }

    /// A job; `None` when there is none, or none to be had just now.
    pub(super) fn job(&self, id: JobId) -> Result<Option<&JobRow>, Halt> {
        self.jobs.get(&id).ok_or_else(|| Need::Job(id).into())
    }

    /// A job that must be there: something else points to it.
    pub(super) fn known_job(&self, id: JobId) -> Result<&JobRow, Halt> {
        self.job(id)?.ok_or_else(|| Halt::Contradiction(format!("there is no job {id}")))
    }

    pub(super) fn attempt(&self, id: AttemptId) -> Result<Option<&AttemptRow>, Halt> {
        self.attempts.get(&id).ok_or_else(|| Need::Attempt(id).into())
    }

    /// An attempt that must be there.
    pub(super) fn known_attempt(&self, id: AttemptId) -> Result<&AttemptRow, Halt> {
        self.attempt(id)?.ok_or_else(|| Halt::Contradiction(format!("there is no attempt {id}")))
    }

    pub(super) fn batch(&self, id: BatchId) -> Result<Option<&BatchRow>, Halt> {
        self.batches.get(&id).ok_or_else(|| Need::Batch(id).into())
    }

    /// A batch that must be there.
    pub(super) fn known_batch(&self, id: BatchId) -> Result<&BatchRow, Halt> {
        self.batch(id)?.ok_or_else(|| Halt::Contradiction(format!("there is no batch {id}")))
    }

    pub(super) fn worker(&self, worker: &str) -> Result<Option<&WorkerRow>, Halt> {
        self.workers.get(worker).ok_or_else(|| Need::Worker(worker.to_owned()).into())
    }

    pub(super) fn plugin(&self, plugin: &str) -> Result<Option<&TypeRow>, Halt> {
        self.types.get(plugin).ok_or_else(|| Need::Type(plugin.to_owned()).into())
    }

    /// What the jobs of a lane have in common; loaded with each job.
    pub(super) fn kind(&self, lane: LaneId) -> Result<&Lane, Halt> {
        match self.lanes.get(&lane) {
            Some(lane) => Ok(&lane.kind),
            None => Err(Halt::Contradiction(format!("lane {lane} was not loaded with its job"))),
        }
    }

    /// The lane of a batch for such jobs.
    pub(super) fn lane(&self, batch: BatchId, kind: Lane) -> Result<LaneId, Halt> {
        let key = (batch, kind);
        match self.kinds.get(&key) {
            Some(lane) => Ok(*lane),
            None => Err(Need::Lane(key.0, key.1).into()),
        }
    }

    /// Running attempts on a worker's name.
    pub(super) fn held(&self, worker: &str) -> Result<Vec<AttemptId>, Halt> {
        let held = self.held.get(worker).ok_or_else(|| Halt::from(Need::Held(worker.to_owned())))?;
        let loaded = |id: &AttemptId| self.attempts.get(id);
        let runs = |id: &AttemptId| loaded(id).is_none_or(|row| row.is_some_and(|row| row.lease_until.is_some()));
        Ok(held.iter().copied().filter(runs).collect())
    }

    /// Running attempts whose lease was over when they were read.
    pub(super) fn over(&self, now: Moment) -> Result<&[AttemptId], Halt> {
        self.over.as_deref().ok_or_else(|| Need::Over(now).into())
    }

    /// The next number of an attempt.
    pub(super) fn number(&mut self) -> Result<AttemptId, Halt> {
        self.numbers.next().ok_or_else(|| Halt::Contradiction("no numbers of attempts were loaded".to_owned()))
    }

    /// Changes a job; the queue hears when it begins or ceases to wait.
    pub(super) fn put_job(&mut self, row: JobRow) {
        tell(&mut self.queue, self.jobs.get(&row.id).flatten(), Some(&row));
        self.jobs.put(row.id, row);
    }

    pub(super) fn put_attempt(&mut self, row: AttemptRow) {
        if row.lease_until.is_some()
            && let Some(held) = self.held.get_mut(&row.worker)
            && !held.contains(&row.id)
        {
            held.push(row.id);
        }
        self.attempts.put(row.id, row);
    }

    pub(super) fn put_batch(&mut self, row: BatchRow) {
        self.queue.suspend(row.id, row.suspended.is_some());
        self.batches.put(row.id, row);
    }

    pub(super) fn put_worker(&mut self, row: WorkerRow) {
        self.workers.put(row.worker.clone(), row);
    }

    pub(super) fn put_type(&mut self, row: TypeRow) {
        self.types.put(row.plugin.clone(), row);
    }

    pub(super) fn change_results(&mut self, change: ResultsChange) {
        self.results.push(change);
    }
}

/// Tells the queue what a job's change means to it.
fn tell(queue: &mut Queue, before: Option<&JobRow>, after: Option<&JobRow>) {
    let waits = |job: &&JobRow| job.state == JobState::Waiting;
    let (before, after) = (before.filter(waits), after.filter(waits));
    if let Some(before) = before
        && after.is_none_or(|after| after.lane != before.lane)
    {
        queue.gone(before.lane, before.seq);
    }
    if let Some(after) = after {
        queue.waits(after.lane, Waiting { job: after.id, seq: after.seq, not_before: after.not_before });
    }
}
