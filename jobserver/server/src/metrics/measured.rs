//! A store whose verbs are timed and counted. Every verb of the trait is one line here, those with a default of their
//! own too: a default would call other verbs instead of the store's better one.

use std::sync::Arc;

use async_trait::async_trait;
use nightshift_rules::rollout::{Evidence, Halt};
use nightshift_rules::sizing;
use nightshift_store::{
    BatchFilter, Board, Changed, Computed, Counts, ExplainFacts, HourOfWork, Input, JobChange, JobResults,
    KnownRelease, Ledger, LostAttempt, NewBatch, Noted, Repinned, Replicas, Rollouts, Statistics, Store, StoreError,
    WorkFound, WorkNow, WorkQuery, WorkerFilter, WorkersNow,
};
use nightshift_wire::{
    AttemptId, Baseline, Batch, BatchId, Claim, ClaimRequest, DataPosition, ErrorRate, GiveBack, Heartbeat, Job,
    JobFilter, JobHistory, JobId, JobPage, Lease, Moment, RebuildPermit, RebuildRequest, Receipt, Records, Repin,
    Report, Submission, TrialReport, Worker, WorkerChange, WorkerTime,
};

use super::{Metrics, Verb};
use crate::clock::Stopwatch;

/// A store, and where its times go.
pub(crate) struct Measured {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl Measured {
    pub(crate) fn over(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Arc<dyn Store> {
        Arc::new(Measured { store, metrics })
    }

    async fn timed<T>(
        &self,
        verb: &'static str,
        doing: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let watch = Stopwatch::start();
        let done = doing.await;
        self.metrics.verb_seconds.get_or_create_owned(&Verb { verb }).observe(watch.seconds());
        if done.as_ref().is_err_and(is_failure) {
            self.metrics.verb_failures.get_or_create_owned(&Verb { verb }).inc();
        }
        done
    }
}

/// Whether the store failed, and did not only refuse.
fn is_failure(error: &StoreError) -> bool {
    error.refusal().is_none()
}

/// A trait's verbs, `verb(arguments) -> answer;`, and what is counted when one went well. In braces those that are not
/// like this.
macro_rules! verbs {
    ($part:ident $({ $($unlike:tt)* })?: $($verb:ident($($argument:ident: $kind:ty),*) -> $answer:ty $(, counts $count:expr)?;)*) => {
        #[async_trait]
        impl $part for Measured {
            $($($unlike)*)?
            $(async fn $verb(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                let done = self.timed(stringify!($verb), self.store.$verb($($argument),*)).await;
                $(if let Ok(answer) = &done {
                    let count: fn(&Metrics, &$answer) = $count;
                    count(&self.metrics, answer);
                })?
                done
            })*
        }
    };
}

verbs! {
    Store {
        async fn submit_many(
            &self,
            submissions: Vec<(AttemptId, Submission)>,
            now: Moment,
        ) -> Vec<Result<Receipt, StoreError>> {
            let watch = Stopwatch::start();
            let answers = self.store.submit_many(submissions, now).await;
            self.metrics.verb_seconds.get_or_create_owned(&Verb { verb: "submit_many" }).observe(watch.seconds());
            let first = answers.iter().flatten().filter(|receipt| !receipt.repeated).count();
            self.metrics.jobs_completed.inc_by(first as u64);
            if answers.iter().any(|answer| answer.as_ref().is_err_and(is_failure)) {
                self.metrics.verb_failures.get_or_create_owned(&Verb { verb: "submit_many" }).inc();
            }
            answers
        }
    }:
    open_batch(batch: NewBatch, now: Moment) -> BatchId;
    append_job(batch: BatchId, records: Vec<Vec<String>>) -> ();
    append_jobs(batch: BatchId, jobs: Vec<Vec<Vec<String>>>) -> ();
    seal_batch(batch: BatchId) -> Batch;
    abandon_batch(batch: BatchId) -> ();
    tidy() -> ();
    claim(request: &ClaimRequest, now: Moment) -> Vec<Claim>, counts |metrics, claims| {
        metrics.attempts.inc_by(claims.len() as u64);
    };
    records(attempt: AttemptId, secret: &str, columns: &[String]) -> Records;
    heartbeat(attempt: AttemptId, heartbeat: &Heartbeat, now: Moment) -> Lease;
    submit(attempt: AttemptId, submission: Submission, now: Moment) -> Receipt, counts |metrics, receipt| {
        metrics.jobs_completed.inc_by(u64::from(!receipt.repeated));
    };
    turn_down(attempt: AttemptId, secret: &str, release: &str, reason: &str, now: Moment) -> Option<Receipt>;
    give_back(attempt: AttemptId, give_back: &GiveBack, now: Moment) -> bool, counts |metrics, ended| {
        metrics.attempts_given_back.inc_by(u64::from(*ended));
    };
    alive(now: Moment) -> Option<u64>;
    expire(now: Moment) -> Vec<LostAttempt>, counts |metrics, lost| {
        metrics.leases_lost.inc_by(lost.len() as u64);
    };
    change_jobs(change: &JobChange, from: JobId, now: Moment) -> Changed;
    suspend_batch(batch: BatchId, reason: &str, now: Moment) -> Batch;
    resume_batch(batch: BatchId, error_rate: Option<ErrorRate>, now: Moment) -> Batch;
    delete_batch(batch: BatchId, now: Moment) -> ();
    change_worker(worker: &str, change: &WorkerChange, now: Moment) -> Worker;
    find_jobs(filter: &JobFilter, from: JobId, limit: u32) -> JobPage;
    job(job: JobId) -> JobHistory;
    explain(job: JobId) -> ExplainFacts;
    batches(limit: u32) -> Vec<Batch>;
    batch(batch: BatchId) -> Batch;
    jobs(batch: BatchId, from: u64, limit: u32) -> Vec<Job>;
    results(batch: BatchId, seq: u64) -> Option<JobResults>;
    report(report: &Report, address: &str, now: Moment) -> ();
    workers() -> Vec<Worker>;
    worker(worker: &str) -> Worker;
    counts(active_since: Moment) -> Counts;
}

verbs! {
    Board:
    work_now() -> WorkNow;
    workers_now(away_before: Moment) -> WorkersNow;
    find_batches(filter: &BatchFilter, before: BatchId, limit: u32) -> Vec<Batch>;
    find_workers(filter: &WorkerFilter, after: &str, limit: u32) -> Vec<Worker>;
    hours(since: Moment) -> Vec<HourOfWork>;
    batch_over_time(batch: BatchId, each: Moment) -> Vec<(Moment, u64, u64)>;
    errors_by_kind(batch: BatchId, most: u32) -> Vec<(String, u64)>;
}

verbs! {
    Ledger:
    note_input(batch: BatchId, input: &Input) -> Noted;
    input_of_key(key: &str) -> Option<(BatchId, Input)>;
    input(batch: BatchId) -> Option<Input>;
    speed(plugin: &str) -> sizing::Measured;
    computed(batch: BatchId, from: u64, to: u64) -> Vec<Computed>;
    jobs_with_errors(batch: BatchId, from: u64, to: u64) -> Vec<u64>;
}

verbs! {
    Replicas:
    repin(seen: &DataPosition, now: Moment) -> Vec<Repinned>;
    repins(batch: BatchId) -> Vec<Repin>;
    permit_rebuild(request: &RebuildRequest, at_once: u32, now: Moment) -> RebuildPermit;
    end_rebuild(worker: &str) -> ();
}

verbs! {
    Rollouts:
    note_release(release: &KnownRelease, now: Moment) -> ();
    known_releases(limit: u32) -> Vec<KnownRelease>;
    count_work(attempts: &[AttemptId]) -> ();
    note_trial(worker: &str, trial: &TrialReport, now: Moment) -> ();
    note_halt(halt: &Halt) -> ();
    evidence(releases: &[String]) -> Evidence;
}

verbs! {
    Statistics:
    work(query: &WorkQuery) -> Option<WorkFound>;
    worker_time(since: Moment, until: Moment) -> Vec<WorkerTime>;
    note_worker_time(away_before: Moment, known_since: Moment, now: Moment) -> ();
    roll_up(hours_before: Moment, days_before: Moment) -> bool;
    baselines() -> Vec<Baseline>;
    note_baseline(baseline: &Baseline) -> bool;
    remove_baseline(name: &str) -> bool;
}
