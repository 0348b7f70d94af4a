//! The store that needs no set-up: one SQLite file beside the job server.
//!
//! Everything that changes goes through one writing thread (`writer.rs`: many verbs, one commit, then the answers),
//! everything that only looks through readers of its own (`readers.rs`). The verbs themselves are in `crate::work`;
//! `load.rs` reads the rows they need, `write.rs` writes what they changed. Queries are the `.sql` files of this folder,
//! the tables `migrations/`.

mod access;
mod acts;
mod backup;
mod board;
mod columns;
mod connection;
mod failure;
mod hand_in;
mod leases;
mod ledger;
mod load;
mod lock;
mod private;
mod read;
mod readers;
mod replicas;
mod rollouts;
mod sessions;
mod sql;
mod statistics;
mod stops;
mod workers;
mod write;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use nightshift_wire::{
    AttemptId, Batch, BatchId, BatchState, Claim, ClaimRequest, ErrorRate, GiveBack, Heartbeat, Job, JobAction,
    JobFilter, JobHistory, JobId, JobPage, Lease, Moment, Receipt, Records, Report, Submission, Worker, WorkerChange,
};
use rusqlite::Connection;

pub use self::backup::{CopyError, copy};
use self::{failure::Failure, hand_in::NewJob, lock::Lock, readers::Readers, writer::Writer};
use crate::{
    Changed, Counts, ExplainFacts, JobChange, JobResults, LostAttempt, NewBatch, Refusal, Store, StoreError,
    leftovers::{Leftovers, Removal},
    statistics::Uncounted,
    work::{
        attempts::{Beats, GivesBack},
        batches::{BatchChange, ChangesBatch},
        claim::ClaimJobs,
        jobs::{CHANGED_AT_ONCE, ChangesJobs},
        leases::{Expires, went_back},
        set::WorkingSet,
        submit::{HandedIn, Submits},
        submitted::Submitted,
        turn_down::TurnsDown,
        workers::ChangesWorker,
    },
};

mod migrations {
    refinery::embed_migrations!("src/sqlite/migrations");
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another job server has it open.
    #[error("{} is in use by another job server: stop that one first", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The lock beside the database cannot be made.
    #[error("cannot make the lock {}: the folder must exist and be writable", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The files of the database cannot be made, or kept from others.
    #[error("cannot make {} a file that only its owner reads: the folder must be writable", path.display())]
    Files {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite cannot open the file.
    #[error("cannot open {}: it must be a database of Nightshift's, on a disk that is writable and not full", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is a database of another program.
    #[error("{} is another program's database: it has tables, but no history of Nightshift's; nothing was changed, name another state_dir", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The tables cannot be brought to this version.
    #[error("cannot bring the tables of {} to this version: a newer job server may have written them", path.display())]
    Tables {
        /// The database.
        path: PathBuf,
        /// What the migration said.
        source: Box<refinery::Error>,
    },
    /// It cannot be told which hand-ins broke off.
    #[error("cannot look for half-handed-in batches in {}", path.display())]
    Unfinished {
        /// The database.
        path: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// The writing thread cannot be started.
    #[error("cannot start the thread that writes {}", path.display())]
    Thread {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    leftovers: Leftovers,
    uncounted: Uncounted,
    /// The latest moment from which a lease may count; after a start that is not known.
    latest: AtomicI64,
    /// The last to go: nobody else opens the database before the writer has ended.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database at `path`, made when there is none: one server at a time, tables brought to this version,
    /// hand-ins that a dead server left unfinished out of sight, but on a full disk, where results can be fetched all the
    /// same. What is left of them goes later ([`Store::tidy`]). Blocks.
    pub fn open(path: &Path) -> Result<SqliteStore, OpenError> {
        let lock = Lock::take(path)?;
        let connection = connect(path)?;
        let unfinished = |failure: Failure| OpenError::Unfinished {
            path: path.to_owned(),
            source: failure.of("taking batches whose hand-in broke off out of sight"),
        };
        let leftovers = Leftovers::default();
        for left in hand_in::unfinished(&connection).map_err(unfinished)? {
            let batch = left.batch;
            tracing::info!(batch, "{left}");
            leftovers.note(batch);
        }
        match hand_in::abandon_all(&connection).map_err(unfinished) {
            Err(OpenError::Unfinished { source, .. }) if source.is_retryable() => {
                let error = &source as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "batches whose hand-in broke off stay in sight until there is room to remove them"
                );
            }
            abandoned => abandoned?,
        }
        SqliteStore::start(connection, path.to_owned(), lock, leftovers)
    }

    fn start(
        connection: Connection,
        path: PathBuf,
        lock: Lock,
        leftovers: Leftovers,
    ) -> Result<SqliteStore, OpenError> {
        match Writer::start(connection) {
            Ok(writer) => {
                let latest = AtomicI64::new(Moment::MAX);
                let (readers, uncounted) = (Readers::new(path), Uncounted::default());
                Ok(SqliteStore { writer, readers, leftovers, uncounted, latest, _lock: lock })
            }
            Err(source) => Err(OpenError::Thread { path, source }),
        }
    }

    async fn find(&self, filter: JobFilter, from: JobId, limit: u32) -> Result<JobPage, Failure> {
        self.readers.call(move |connection| read::find(connection, &filter, from, limit)).await
    }

    /// One step of a change: what the filter chooses is looked up beside the writer, and judged again by it.
    async fn change(&self, change: &JobChange, from: JobId, now: Moment) -> Result<Changed, Failure> {
        if change.filter.is_empty() {
            return Ok(Changed::default());
        }
        let page = self.find(change.filter.clone(), from, CHANGED_AT_ONCE).await?;
        let (step, next) = ChangesJobs::step(change, page, now);
        let changed = self.writer.run(step).await?;
        Ok(Changed { next, ..changed })
    }

    /// Deletes what is left of a batch's jobs, so that nobody works on one of them, and then takes the batch out of sight.
    async fn delete(&self, batch: BatchId, now: Moment) -> Result<(), Failure> {
        let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
        let reason = "its batch was deleted".to_owned();
        let change = JobChange { action: JobAction::Delete, filter, reason, dry_run: false };
        loop {
            let seen = self.readers.call(move |connection| read::batch(connection, batch)).await?;
            if seen.state == BatchState::Receiving {
                return Err(Refusal::StillReceiving(batch).into());
            }
            let mut from = Some(0);
            while let Some(at) = from {
                from = self.change(&change, at, now).await?.next;
            }
            let take_away = move |connection: &Connection, set: &mut WorkingSet| {
                set.lanes_changed();
                hand_in::take_away(connection, batch)
            };
            // A job that was retried meanwhile is deleted in the next round.
            let taken = self.writer.call(1, take_away).await;
            // Whatever is heard of it: what is still to be seen is not removed.
            self.leftovers.note(batch);
            if taken? {
                break;
            }
        }
        Ok(())
    }

    async fn remove(&self, batch: BatchId) -> Result<(), Failure> {
        let step = move |connection: &Connection, _: &mut _| hand_in::remove_some(connection, batch);
        while self.writer.call(writer::HEAVY, step).await? == Removal::GoesOn {}
        Ok(())
    }
}

/// A connection to write with, the tables brought to this version.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let database = |source| OpenError::Database { path: path.to_owned(), source };
    private::keep(path).map_err(|source| OpenError::Files { path: path.to_owned(), source })?;
    let mut connection = Connection::open(path).map_err(database)?;
    if connection::is_foreign(&connection).map_err(database)? {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    connection::prepare_to_write(&connection).map_err(database)?;
    migrations::migrations::runner()
        .run(&mut connection)
        .map_err(|source| OpenError::Tables { path: path.to_owned(), source: Box::new(source) })?;
    Ok(connection)
}

#[async_trait]
impl Store for SqliteStore {
    async fn open_batch(&self, batch: NewBatch, now: Moment) -> Result<BatchId, StoreError> {
        let opened = self.writer.call(1, move |connection, _| hand_in::open(connection, &batch, now)).await;
        opened.map_err(|failure| failure.of("opening a batch"))
    }

    async fn append_job(&self, batch: BatchId, records: Vec<Vec<String>>) -> Result<(), StoreError> {
        self.append_jobs(batch, vec![records]).await
    }

    async fn append_jobs(&self, batch: BatchId, jobs: Vec<Vec<Vec<String>>>) -> Result<(), StoreError> {
        let doing = "storing records of a batch";
        let new: Result<Vec<NewJob>, Failure> = jobs.iter().map(|records| NewJob::new(records)).collect();
        let new = new.map_err(|failure| failure.of(doing))?;
        drop(jobs);
        let records = new.iter().map(|job| job.records).sum();
        let appended = self.writer.call(records, move |connection, _| hand_in::append(connection, batch, &new)).await;
        appended.map_err(|failure| failure.of(doing))
    }

    async fn seal_batch(&self, batch: BatchId) -> Result<Batch, StoreError> {
        let sealed = self.writer.call(1, move |connection, set| {
            hand_in::seal(connection, batch)?;
            set.lanes_changed();
            read::batch(connection, batch)
        });
        sealed.await.map_err(|failure| failure.of("sealing a batch"))
    }

    async fn abandon_batch(&self, batch: BatchId) -> Result<(), StoreError> {
        let abandon = async {
            match self.writer.call(1, move |connection, _| hand_in::abandon(connection, batch)).await {
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
        };
        abandon.await.map_err(|failure| failure.of("removing a batch whose hand-in broke off"))
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let doing = "removing what is left of a batch";
        let remove = async |batch| self.remove(batch).await.map_err(|failure| failure.of(doing));
        self.leftovers.remove_each(remove).await
    }

    async fn claim(&self, request: &ClaimRequest, now: Moment) -> Result<Vec<Claim>, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let claimed = self.writer.run(ClaimJobs::new(request, now)).await;
        claimed.map_err(|failure| failure.of("claiming a job"))
    }

    async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, StoreError> {
        let (secret, columns) = (secret.to_owned(), columns.to_vec());
        let read = self.readers.call(move |connection| read::records(connection, attempt, &secret, &columns)).await;
        read.map_err(|failure| failure.of("reading the records of a job"))
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat, now: Moment) -> Result<Lease, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let lease = self.writer.run(Beats { attempt, heartbeat: heartbeat.clone(), now }).await;
        lease.map_err(|failure| failure.of("renewing a lease"))
    }

    async fn submit(&self, attempt: AttemptId, submission: Submission, now: Moment) -> Result<Receipt, StoreError> {
        let submit = async {
            let submitted = Arc::new(Submitted::new::<Failure>(submission)?);
            self.writer.run(Submits { attempt, submitted, now }).await
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
                Ok(submitted) => self.writer.begin(Submits { attempt, submitted: Arc::new(submitted), now }).await,
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
        let answered = self.writer.run(TurnsDown { attempt, secret, release, reason, now }).await;
        answered.map_err(|failure| failure.of("turning results down"))
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack, now: Moment) -> Result<bool, StoreError> {
        let given = self.writer.run(GivesBack { attempt, give_back: give_back.clone(), now }).await;
        given.map_err(|failure| failure.of("giving a job back"))
    }

    async fn alive(&self, now: Moment) -> Result<Option<u64>, StoreError> {
        let gap = self.writer.call(1, move |connection, _| leases::alive(connection, now)).await;
        gap.map_err(|failure| failure.of("noting that the server is alive"))
    }

    async fn expire(&self, now: Moment) -> Result<Vec<LostAttempt>, StoreError> {
        let latest = self.latest.swap(now, Ordering::Relaxed);
        let expire = async {
            if went_back(now, latest) {
                self.writer.call(1, move |connection, _| leases::shorten(connection, now)).await?;
            }
            self.writer.run(Expires { now }).await
        };
        let lost = expire.await;
        if lost.is_err() {
            self.latest.fetch_max(latest, Ordering::Relaxed);
        }
        lost.map_err(|failure: Failure| failure.of("taking back jobs whose lease is over"))
    }

    async fn change_jobs(&self, change: &JobChange, from: JobId, now: Moment) -> Result<Changed, StoreError> {
        self.change(change, from, now).await.map_err(|failure| failure.of("changing jobs"))
    }

    async fn suspend_batch(&self, batch: BatchId, reason: &str, _: Moment) -> Result<Batch, StoreError> {
        let suspends = ChangesBatch { batch, change: BatchChange::Suspend { reason: reason.to_owned() } };
        self.writer.run(suspends).await.map_err(|failure| failure.of("suspending a batch"))?;
        self.batch(batch).await
    }

    async fn resume_batch(
        &self,
        batch: BatchId,
        error_rate: Option<ErrorRate>,
        _: Moment,
    ) -> Result<Batch, StoreError> {
        let resumes = ChangesBatch { batch, change: BatchChange::Resume { error_rate } };
        self.writer.run(resumes).await.map_err(|failure| failure.of("resuming a batch"))?;
        self.batch(batch).await
    }

    async fn delete_batch(&self, batch: BatchId, now: Moment) -> Result<(), StoreError> {
        self.delete(batch, now).await.map_err(|failure| failure.of("deleting a batch"))
    }

    async fn change_worker(&self, worker: &str, change: &WorkerChange, _: Moment) -> Result<Worker, StoreError> {
        let changes = ChangesWorker { worker: worker.to_owned(), change: change.clone() };
        self.writer.run(changes).await.map_err(|failure| failure.of("changing a worker"))?;
        self.worker(worker).await
    }

    async fn find_jobs(&self, filter: &JobFilter, from: JobId, limit: u32) -> Result<JobPage, StoreError> {
        self.find(filter.clone(), from, limit).await.map_err(|failure| failure.of("looking for jobs"))
    }

    async fn job(&self, job: JobId) -> Result<JobHistory, StoreError> {
        let job = self.readers.call(move |connection| read::history(connection, job)).await;
        job.map_err(|failure| failure.of("reading a job"))
    }

    async fn explain(&self, job: JobId) -> Result<ExplainFacts, StoreError> {
        let facts = self.readers.call(move |connection| read::explain(connection, job)).await;
        facts.map_err(|failure| failure.of("looking why a job waits"))
    }

    async fn batches(&self, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let batches = self.readers.call(move |connection| read::batches(connection, limit)).await;
        batches.map_err(|failure| failure.of("listing batches"))
    }

    async fn batch(&self, batch: BatchId) -> Result<Batch, StoreError> {
        let batch = self.readers.call(move |connection| read::batch(connection, batch)).await;
        batch.map_err(|failure| failure.of("reading a batch"))
    }

    async fn jobs(&self, batch: BatchId, from: u64, limit: u32) -> Result<Vec<Job>, StoreError> {
        let jobs = self.readers.call(move |connection| read::jobs(connection, batch, from, limit)).await;
        jobs.map_err(|failure| failure.of("listing the jobs of a batch"))
    }

    async fn results(&self, batch: BatchId, seq: u64) -> Result<Option<JobResults>, StoreError> {
        let results = self.readers.call(move |connection| read::results(connection, batch, seq)).await;
        results.map_err(|failure| failure.of("reading the results of a batch"))
    }

    async fn report(&self, report: &Report, address: &str, now: Moment) -> Result<(), StoreError> {
        let (report, address) = (report.clone(), address.to_owned());
        let kept = self.writer.call(1, move |connection, _| workers::report(connection, &report, &address, now)).await;
        kept.map_err(|failure| failure.of("keeping a worker's report"))
    }

    async fn workers(&self) -> Result<Vec<Worker>, StoreError> {
        let workers = self.readers.call(read::workers).await;
        workers.map_err(|failure| failure.of("listing workers"))
    }

    async fn worker(&self, worker: &str) -> Result<Worker, StoreError> {
        let name = worker.to_owned();
        let worker = self.readers.call(move |connection| read::worker(connection, &name)).await;
        worker.map_err(|failure| failure.of("reading a worker"))
    }

    async fn counts(&self, active_since: Moment) -> Result<Counts, StoreError> {
        let counts = self.readers.call(move |connection| read::counts(connection, active_since)).await;
        counts.map_err(|failure| failure.of("counting jobs and workers"))
    }
}
