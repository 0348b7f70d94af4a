//! The verbs every store offers, and what each promises.
//!
//! They are the promises the conformance suite (`tests/it/suite`) checks against `dyn Store`; how they are kept is each
//! store's business. Waiting for work, parsing CSV and knowing releases are the server's.

use async_trait::async_trait;
use nightshift_wire::{
    AttemptId, Batch, BatchId, Claim, ClaimRequest, ErrorRate, GiveBack, Heartbeat, Job, JobFilter, JobHistory, JobId,
    JobPage, Lease, Moment, Receipt, Records, Report, Submission, Worker, WorkerChange,
};

use crate::{
    Board, Changed, Counts, ExplainFacts, JobChange, JobResults, Ledger, LostAttempt, NewBatch, Replicas, Rollouts,
    Statistics, StoreError,
};

/// What the job server needs of a store. When a verb answers `Ok`, what it did is durable; when it fails, it did
/// nothing, unless it says that this is [not known](StoreError::Unknown).
#[async_trait]
pub trait Store: Board + Ledger + Replicas + Rollouts + Statistics + Send + Sync {
    /// Begins a hand-in. Nothing of the batch can be claimed before [`seal_batch`](Store::seal_batch).
    async fn open_batch(&self, batch: NewBatch, now: Moment) -> Result<BatchId, StoreError>;

    /// Appends one job to a batch that is being handed in: its records, each with a field per column. Memory is that
    /// of one job, however large the batch.
    async fn append_job(&self, batch: BatchId, records: Vec<Vec<String>>) -> Result<(), StoreError>;

    /// Appends several jobs, as [`append_job`](Store::append_job) one after the other; a store that can does so in one
    /// step. After an error some of them may be there: the batch has to be abandoned.
    async fn append_jobs(&self, batch: BatchId, jobs: Vec<Vec<Vec<String>>>) -> Result<(), StoreError> {
        for records in jobs {
            self.append_job(batch, records).await?;
        }
        Ok(())
    }

    /// Ends a hand-in: all jobs of the batch can be claimed from this step on.
    async fn seal_batch(&self, batch: BatchId) -> Result<Batch, StoreError>;

    /// Removes a batch whose hand-in broke off, with everything in it. Batches that were being handed in when a server died
    /// are out of sight when its store is opened again, and removed by [`Store::tidy`].
    async fn abandon_batch(&self, batch: BatchId) -> Result<(), StoreError>;

    /// Removes what is left of deleted batches, and of batches whose hand-in broke off while the store was away or full, or
    /// with its server, in small steps; call after a start, after a deletion, and now and then.
    async fn tidy(&self) -> Result<(), StoreError>;

    /// Gives the worker jobs, [`max`](ClaimRequest::max) at most (never more than
    /// [`MOST_AT_ONCE`](nightshift_wire::MOST_AT_ONCE)): waiting ones whose lane it may take from (`rules::gates`), of the
    /// highest priority, then of the oldest batch, then by place in it; none when there is none. The attempts are durable
    /// before they are answered. A job claimed behind another attempt, or behind another of the same claim, has that
    /// one's lease as well.
    ///
    /// First every running attempt on this worker's name that is not in `holding` is lost and its job waits again.
    /// Does not wait for work: `wait_ms` is the server's business.
    async fn claim(&self, request: &ClaimRequest, now: Moment) -> Result<Vec<Claim>, StoreError>;

    /// The records of the attempt's job, in input order, with these columns in this order (all when none is named),
    /// as long as the job needs the attempt.
    async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, StoreError>;

    /// A sign of life. Renews the lease; an attempt that was lost takes its job up again when nobody else has it.
    /// The answer has no lease when the job does not need the attempt any more.
    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat, now: Moment) -> Result<Lease, StoreError>;

    /// Accepts an attempt's results, once: in one transaction they are stored and the job is done. The same attempt
    /// again is acknowledged and changes nothing. A lost attempt is accepted as long as the job needs it.
    async fn submit(&self, attempt: AttemptId, submission: Submission, now: Moment) -> Result<Receipt, StoreError>;

    /// Several submissions, each judged by itself, as if it came alone; the answers in their order.
    async fn submit_many(
        &self,
        submissions: Vec<(AttemptId, Submission)>,
        now: Moment,
    ) -> Vec<Result<Receipt, StoreError>>;

    /// Turns results down that a denied release computed: the attempt ends, and its job waits again at once, with nothing
    /// counted against it. An attempt that was accepted before is acknowledged: only then there is an answer.
    async fn turn_down(
        &self,
        attempt: AttemptId,
        secret: &str,
        release: &str,
        reason: &str,
        now: Moment,
    ) -> Result<Option<Receipt>, StoreError>;

    /// Ends an attempt without results: its job waits again (after a failure not at once), or is quarantined when it
    /// failed too often; a worker that fails where others succeed is drained. The answer says whether the attempt ended just
    /// now: repeating it, or giving back an attempt that ended otherwise, is acknowledged and changes nothing.
    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack, now: Moment) -> Result<bool, StoreError>;

    /// Notes that a server is alive; to be called every second, and always before [`expire`](Store::expire). When the last
    /// sign of any server is longer ago than the tolerance, every running lease is extended by that time, once: the
    /// answer says by how many milliseconds. When the clock went back since then, no lease reaches further than its length
    /// from now.
    async fn alive(&self, now: Moment) -> Result<Option<u64>, StoreError>;

    /// Takes back jobs whose lease is over, some hundred at a time: call again while the answer is not empty. When the
    /// clock went back since the last call, no lease reaches further than its length from now.
    async fn expire(&self, now: Moment) -> Result<Vec<LostAttempt>, StoreError>;

    /// Does something to some hundred of the jobs a filter chooses, from job number `from` on: call again with
    /// [`next`](Changed::next) until it is `None`. Jobs are judged as they are in that moment; `dry_run` only judges.
    async fn change_jobs(&self, change: &JobChange, from: JobId, now: Moment) -> Result<Changed, StoreError>;

    /// Hands out none of the batch's jobs until it is resumed; jobs that run go on.
    async fn suspend_batch(&self, batch: BatchId, reason: &str, now: Moment) -> Result<Batch, StoreError>;

    /// Hands out the batch's jobs again; errors it had so far do not trip its breaker any more, and from now on it may be
    /// allowed another part of them.
    async fn resume_batch(
        &self,
        batch: BatchId,
        error_rate: Option<ErrorRate>,
        now: Moment,
    ) -> Result<Batch, StoreError>;

    /// Deletes a batch that was handed in, with its records and results: when this returns, attempts at its jobs are lost and
    /// nobody sees it. Its rows stay until [`tidy`](Store::tidy).
    async fn delete_batch(&self, batch: BatchId, now: Moment) -> Result<(), StoreError>;

    /// Drains, resumes, tags or names a worker.
    async fn change_worker(&self, worker: &str, change: &WorkerChange, now: Moment) -> Result<Worker, StoreError>;

    /// Jobs that a filter chooses, by number, from job number `from` on.
    async fn find_jobs(&self, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, StoreError>;

    /// A job with every attempt at it, the newest first.
    async fn job(&self, job: JobId) -> Result<JobHistory, StoreError>;

    /// What `rules::explain` has to know about a job and the grid.
    async fn explain(&self, job: JobId) -> Result<ExplainFacts, StoreError>;

    /// The newest batches, newest first.
    async fn batches(&self, limit: u32) -> Result<Vec<Batch>, StoreError>;

    /// One batch.
    async fn batch(&self, batch: BatchId) -> Result<Batch, StoreError>;

    /// Jobs of a batch in input order, from place `from` on (the first is 0).
    async fn jobs(&self, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, StoreError>;

    /// The job at place `seq` of a batch (the first is 0) with its records and their outcomes; `None` past the last
    /// job. Called with 0, 1, 2 … it gives a batch's results in input order, in the memory of one job.
    async fn results(&self, batch: BatchId, seq: u64) -> Result<Option<JobResults>, StoreError>;

    /// Keeps a worker's report about itself; `address` is where it came from, for people.
    async fn report(&self, report: &Report, address: &str, now: Moment) -> Result<(), StoreError>;

    /// Every worker ever heard of, the one heard of last first.
    async fn workers(&self) -> Result<Vec<Worker>, StoreError>;

    /// One worker.
    async fn worker(&self, worker: &str) -> Result<Worker, StoreError>;

    /// The grid in figures; workers count when they were heard of at or after `active_since`.
    async fn counts(&self, active_since: Moment) -> Result<Counts, StoreError>;
}
