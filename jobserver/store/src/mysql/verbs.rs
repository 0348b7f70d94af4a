//! The verbs of the store: which of them go through the group writer, which are transactions of their own, and as what a
//! failure of each is reported.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use nightshift_wire::{
    AttemptId, Batch, BatchId, BatchState, Claim, ClaimRequest, ErrorRate, GiveBack, Heartbeat, Job, JobAction,
    JobFilter, JobHistory, JobId, JobPage, Lease, Moment, Receipt, Records, Report, Submission, Worker, WorkerChange,
};

use super::{
    MysqlStore,
    connection::in_rounds,
    failure::Failure,
    hand_in::{self, NewJob},
    leases, read, workers,
};
use crate::{
    Changed, Counts, ExplainFacts, JobChange, JobResults, LostAttempt, NewBatch, Refusal, Store, StoreError,
    work::{
        attempts::{Beats, GivesBack},
        batches::{BatchChange, ChangesBatch},
        claim::ClaimJobs,
        jobs::{CHANGED_AT_ONCE, ChangesJobs},
        leases::{Expires, went_back},
        submit::{HandedIn, Submits},
        submitted::Submitted,
        turn_down::TurnsDown,
        workers::ChangesWorker,
    },
};

impl MysqlStore {
    async fn append(&self, batch: BatchId, jobs: Vec<NewJob>) -> Result<(), Failure> {
        let records = jobs.iter().map(NewJob::len).sum();
        let first_job = self.numbers.jobs(&self.writers, jobs.len()).await?;
        let first = (first_job, self.numbers.records(&self.writers, records).await?);
        in_rounds!(self.writers, |tx, in_doubt| hand_in::append(tx, batch, &jobs, first, in_doubt))
    }

    async fn find(&self, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, Failure> {
        in_rounds!(self.readers, |tx, _in_doubt| read::find(tx, filter, from, limit))
    }

    /// One step of a change: what the filter chooses is looked up beside the writer, and judged again by it.
    async fn change(&self, change: &JobChange, from: JobId, now: Moment) -> Result<Changed, Failure> {
        if change.filter.is_empty() {
            return Ok(Changed::default());
        }
        let page = self.find(&change.filter, from, CHANGED_AT_ONCE).await?;
        let (step, next) = ChangesJobs::step(change, page, now);
        let changed = self.work.run(step).await?;
        Ok(Changed { next, ..changed })
    }

    /// Deletes what is left of a batch's jobs, so that nobody works on one of them, and then takes the batch out of sight.
    async fn delete(&self, batch: BatchId, now: Moment) -> Result<(), Failure> {
        let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
        let reason = "its batch was deleted".to_owned();
        let change = JobChange { action: JobAction::Delete, filter, reason, dry_run: false };
        loop {
            let seen = in_rounds!(self.readers, |tx, _in_doubt| read::batch(tx, batch))?;
            if seen.state == BatchState::Receiving {
                return Err(Refusal::StillReceiving(batch).into());
            }
            let mut from = Some(0);
            while let Some(at) = from {
                from = self.change(&change, at, now).await?.next;
            }
            // A job that was retried meanwhile is deleted in the next round.
            let by = self.presence.name();
            let taken = in_rounds!(self.writers, |tx, in_doubt| hand_in::take_away(tx, batch, by, in_doubt));
            // Whatever is heard of it: what is still to be seen is not removed.
            self.leftovers.note(batch);
            if taken? {
                break;
            }
        }
        self.work.lanes_changed();
        Ok(())
    }

    async fn abandon(&self, batch: BatchId) -> Result<(), Failure> {
        match in_rounds!(self.writers, |tx, in_doubt| hand_in::abandon(tx, batch, in_doubt)) {
            refused @ Err(Failure::Refused(_)) => return refused,
            abandoned => {
                // From here on its removal is the store's own business, however often it has to begin again.
                self.leftovers.note(batch);
                abandoned?;
            }
        }
        self.remove(batch).await?;
        self.leftovers.gone(batch);
        Ok(())
    }

    async fn take_back(&self, now: Moment, went_back: bool) -> Result<Vec<LostAttempt>, Failure> {
        if went_back {
            in_rounds!(self.writers, |tx, _in_doubt| leases::shorten(tx, now))?;
        }
        self.work.run(Expires { now }).await
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn open_batch(&self, batch: NewBatch, now: Moment) -> Result<BatchId, StoreError> {
        let doing = "opening a batch";
        let id = self.numbers.batch(&self.writers).await.map_err(|failure| failure.of(doing))?;
        let receiver = self.presence.name();
        let opened = in_rounds!(self.writers, |tx, in_doubt| hand_in::open(tx, (id, &batch), receiver, now, in_doubt));
        opened.map_err(|failure| failure.of(doing))
    }

    async fn append_job(&self, batch: BatchId, records: Vec<Vec<String>>) -> Result<(), StoreError> {
        self.append_jobs(batch, vec![records]).await
    }

    async fn append_jobs(&self, batch: BatchId, jobs: Vec<Vec<Vec<String>>>) -> Result<(), StoreError> {
        let doing = "storing records of a batch";
        let new: Result<Vec<NewJob>, Failure> = jobs.iter().map(|records| NewJob::new(records)).collect();
        let new = new.map_err(|failure| failure.of(doing))?;
        drop(jobs);
        self.append(batch, new).await.map_err(|failure| failure.of(doing))
    }

    async fn seal_batch(&self, batch: BatchId) -> Result<Batch, StoreError> {
        let sealed = in_rounds!(self.writers, |tx, in_doubt| async {
            hand_in::seal(tx, batch, in_doubt).await?;
            read::batch(tx, batch).await
        });
        self.work.lanes_changed();
        sealed.map_err(|failure| failure.of("sealing a batch"))
    }

    async fn abandon_batch(&self, batch: BatchId) -> Result<(), StoreError> {
        self.abandon(batch).await.map_err(|failure| failure.of("removing a batch whose hand-in broke off"))
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let doing = "removing what is left of a batch";
        let taken_over = self.take_over(0).await.map_err(|failure| failure.of(doing));
        let remove = async |batch| self.remove(batch).await.map_err(|failure| failure.of(doing));
        self.leftovers.remove_each(remove).await.and(taken_over)
    }

    async fn claim(&self, request: &ClaimRequest, now: Moment) -> Result<Vec<Claim>, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let claimed = self.work.run(ClaimJobs::new(request, now)).await;
        claimed.map_err(|failure| failure.of("claiming a job"))
    }

    async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, StoreError> {
        let read = in_rounds!(self.readers, |tx, _in_doubt| read::records(tx, attempt, secret, columns));
        read.map_err(|failure| failure.of("reading the records of a job"))
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat, now: Moment) -> Result<Lease, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let lease = self.work.run(Beats { attempt, heartbeat: heartbeat.clone(), now }).await;
        lease.map_err(|failure| failure.of("renewing a lease"))
    }

    async fn submit(&self, attempt: AttemptId, submission: Submission, now: Moment) -> Result<Receipt, StoreError> {
        let submit = async {
            let submitted = Arc::new(Submitted::new::<Failure>(submission)?);
            self.work.run(Submits { attempt, submitted, now }).await
        };
        let HandedIn { receipt, ended } = submit.await.map_err(|failure: Failure| failure.of("accepting results"))?;
        self.uncounted.keep(attempt, ended);
        Ok(receipt)
    }

    async fn submit_many(
        &self,
        submissions: Vec<(AttemptId, Submission)>,
        now: Moment,
    ) -> Vec<Result<Receipt, StoreError>> {
        let mut begun = Vec::with_capacity(submissions.len());
        for (attempt, submission) in submissions {
            let begins = match Submitted::new::<Failure>(submission) {
                Ok(submitted) => self.work.begin(Submits { attempt, submitted: Arc::new(submitted), now }).await,
                Err(failure) => Err(failure),
            };
            begun.push((attempt, begins));
        }
        let mut answers = Vec::with_capacity(begun.len());
        for (attempt, begun) in begun {
            let answer = match begun {
                Ok(answered) => answered.await.unwrap_or(Err(Failure::Ended)),
                Err(failure) => Err(failure),
            };
            let accepted = answer.map(|HandedIn { receipt, ended }| {
                self.uncounted.keep(attempt, ended);
                receipt
            });
            answers.push(accepted.map_err(|failure| failure.of("accepting results")));
        }
        answers
    }

    async fn turn_down(
        &self,
        attempt: AttemptId,
        secret: &str,
        release: &str,
        reason: &str,
        now: Moment,
    ) -> Result<Option<Receipt>, StoreError> {
        let (secret, release, reason) = (secret.to_owned(), release.to_owned(), reason.to_owned());
        let answered = self.work.run(TurnsDown { attempt, secret, release, reason, now }).await;
        answered.map_err(|failure| failure.of("turning results down"))
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack, now: Moment) -> Result<bool, StoreError> {
        let given = self.work.run(GivesBack { attempt, give_back: give_back.clone(), now }).await;
        given.map_err(|failure| failure.of("giving a job back"))
    }

    async fn alive(&self, now: Moment) -> Result<Option<u64>, StoreError> {
        let mut before = None;
        let gap = in_rounds!(self.writers, |tx, in_doubt| leases::alive(tx, now, &mut before, in_doubt));
        gap.map_err(|failure| failure.of("noting that the server is alive"))
    }

    async fn expire(&self, now: Moment) -> Result<Vec<LostAttempt>, StoreError> {
        let latest = self.latest.swap(now, Ordering::Relaxed);
        let lost = self.take_back(now, went_back(now, latest)).await;
        if lost.is_err() {
            self.latest.fetch_max(latest, Ordering::Relaxed);
        }
        lost.map_err(|failure| failure.of("taking back jobs whose lease is over"))
    }

    async fn change_jobs(&self, change: &JobChange, from: JobId, now: Moment) -> Result<Changed, StoreError> {
        self.change(change, from, now).await.map_err(|failure| failure.of("changing jobs"))
    }

    async fn suspend_batch(&self, batch: BatchId, reason: &str, _: Moment) -> Result<Batch, StoreError> {
        let suspends = ChangesBatch { batch, change: BatchChange::Suspend { reason: reason.to_owned() } };
        self.work.run(suspends).await.map_err(|failure| failure.of("suspending a batch"))?;
        self.batch(batch).await
    }

    async fn resume_batch(
        &self,
        batch: BatchId,
        error_rate: Option<ErrorRate>,
        _: Moment,
    ) -> Result<Batch, StoreError> {
        let resumes = ChangesBatch { batch, change: BatchChange::Resume { error_rate } };
        self.work.run(resumes).await.map_err(|failure| failure.of("resuming a batch"))?;
        self.work.read_anew();
        self.batch(batch).await
    }

    async fn delete_batch(&self, batch: BatchId, now: Moment) -> Result<(), StoreError> {
        self.delete(batch, now).await.map_err(|failure| failure.of("deleting a batch"))
    }

    async fn change_worker(&self, worker: &str, change: &WorkerChange, _: Moment) -> Result<Worker, StoreError> {
        let changes = ChangesWorker { worker: worker.to_owned(), change: change.clone() };
        self.work.run(changes).await.map_err(|failure| failure.of("changing a worker"))?;
        self.worker(worker).await
    }

    async fn find_jobs(&self, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, StoreError> {
        self.find(filter, from, limit).await.map_err(|failure| failure.of("looking for jobs"))
    }

    async fn job(&self, job: JobId) -> Result<JobHistory, StoreError> {
        let job = in_rounds!(self.readers, |tx, _in_doubt| read::history(tx, job));
        job.map_err(|failure| failure.of("reading a job"))
    }

    async fn explain(&self, job: JobId) -> Result<ExplainFacts, StoreError> {
        let facts = in_rounds!(self.readers, |tx, _in_doubt| read::explain(tx, job));
        facts.map_err(|failure| failure.of("looking why a job waits"))
    }

    async fn batches(&self, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let batches = in_rounds!(self.readers, |tx, _in_doubt| read::batches(tx, limit));
        batches.map_err(|failure| failure.of("listing batches"))
    }

    async fn batch(&self, batch: BatchId) -> Result<Batch, StoreError> {
        let batch = in_rounds!(self.readers, |tx, _in_doubt| read::batch(tx, batch));
        batch.map_err(|failure| failure.of("reading a batch"))
    }

    async fn jobs(&self, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, StoreError> {
        let jobs = in_rounds!(self.readers, |tx, _in_doubt| read::jobs(tx, batch, from, limit));
        jobs.map_err(|failure| failure.of("listing the jobs of a batch"))
    }

    async fn results(&self, batch: BatchId, seq: u64) -> Result<Option<JobResults>, StoreError> {
        let results = in_rounds!(self.readers, |tx, _in_doubt| read::results(tx, batch, seq));
        results.map_err(|failure| failure.of("reading the results of a batch"))
    }

    async fn report(&self, report: &Report, address: &str, now: Moment) -> Result<(), StoreError> {
        let kept = in_rounds!(self.writers, |tx, _in_doubt| workers::report(tx, report, address, now));
        kept.map_err(|failure| failure.of("keeping a worker's report"))
    }

    async fn workers(&self) -> Result<Vec<Worker>, StoreError> {
        let workers = in_rounds!(self.readers, |tx, _in_doubt| read::workers(tx));
        workers.map_err(|failure| failure.of("listing workers"))
    }

    async fn worker(&self, worker: &str) -> Result<Worker, StoreError> {
        let worker = in_rounds!(self.readers, |tx, _in_doubt| read::worker(tx, worker));
        worker.map_err(|failure| failure.of("reading a worker"))
    }

    async fn counts(&self, active_since: Moment) -> Result<Counts, StoreError> {
        let counts = in_rounds!(self.readers, |tx, _in_doubt| read::counts(tx, active_since));
        counts.map_err(|failure| failure.of("counting jobs and workers"))
    }
}
