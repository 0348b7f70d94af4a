//! The store that needs no set-up: one SQLite file beside the job server.
//!
//! Everything that changes goes through one writing thread (`writer.rs`: many verbs, one commit, then the answers),
//! everything that only looks through readers of its own (`readers.rs`). `moves.rs` is where a job's state changes;
//! queries are the `.sql` files of this folder, the tables `migrations/`.

mod access;
mod columns;
mod connection;
mod failure;
mod hand_in;
mod ledger;
mod lock;
mod moves;
mod read;
mod readers;
mod sql;
mod work;
mod workers;
mod writer;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use nightshift_wire::{
    AttemptId, Batch, BatchId, Claim, ClaimRequest, GiveBack, Heartbeat, Job, Lease, Moment, Receipt, Records, Report,
    Submission, Worker,
};
use rusqlite::Connection;
use uuid::Uuid;

use self::{
    failure::Failure,
    hand_in::{NewJob, Removal},
    lock::Lock,
    readers::Readers,
    work::Submitted,
    writer::Writer,
};
use crate::{Counts, JobResults, LostAttempt, NewBatch, Store, StoreError};

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
    /// Batches whose hand-in broke off and which are not gone yet.
    broken_off: Mutex<BTreeSet<BatchId>>,
    /// The latest moment from which a lease may count; after a start that is not known.
    latest: AtomicI64,
    /// The last to go: nobody else opens the database before the writer has ended.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database at `path`, made when there is none: one server at a time, tables brought to this version,
    /// batches whose hand-in a dead server left unfinished removed. On a full disk they stay until there is room
    /// ([`Store::tidy`]), because results can be fetched all the same. Blocks.
    pub fn open(path: &Path) -> Result<SqliteStore, OpenError> {
        let lock = Lock::take(path)?;
        let mut connection = connect(path)?;
        let unfinished = |failure: Failure| OpenError::Unfinished {
            path: path.to_owned(),
            source: failure.of("removing batches whose hand-in broke off"),
        };
        let mut broken_off = hand_in::unfinished(&connection).map_err(unfinished)?;
        while let Some(&batch) = broken_off.first() {
            tracing::info!(batch, "removing batch {batch}: its hand-in broke off");
            match remove(&mut connection, batch).map_err(|failure| failure.of("removing a batch")) {
                Ok(()) => broken_off.remove(&batch),
                Err(error) if error.is_retryable() => break,
                Err(source) => return Err(OpenError::Unfinished { path: path.to_owned(), source }),
            };
        }
        SqliteStore::start(connection, path.to_owned(), lock, broken_off)
    }

    fn start(
        connection: Connection,
        path: PathBuf,
        lock: Lock,
        broken_off: BTreeSet<BatchId>,
    ) -> Result<SqliteStore, OpenError> {
        match Writer::start(connection) {
            Ok(writer) => {
                let broken_off = Mutex::new(broken_off);
                let latest = AtomicI64::new(Moment::MAX);
                Ok(SqliteStore { writer, readers: Readers::new(path), broken_off, latest, _lock: lock })
            }
            Err(source) => Err(OpenError::Thread { path, source }),
        }
    }

    fn broken_off(&self) -> MutexGuard<'_, BTreeSet<BatchId>> {
        self.broken_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn remove(&self, batch: BatchId) -> Result<(), Failure> {
        while self.writer.call(move |connection| hand_in::remove_some(connection, batch)).await? == Removal::GoesOn {}
        Ok(())
    }
}

/// A connection to write with, the tables brought to this version.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let database = |source| OpenError::Database { path: path.to_owned(), source };
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

fn remove(connection: &mut Connection, batch: BatchId) -> Result<(), Failure> {
    loop {
        let step = connection.transaction()?;
        let removal = hand_in::remove_some(&step, batch)?;
        step.commit()?;
        if removal == Removal::Finished {
            return Ok(());
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open_batch(&self, batch: NewBatch, now: Moment) -> Result<BatchId, StoreError> {
        let opened = self.writer.call(move |connection| hand_in::open(connection, &batch, now)).await;
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
        let appended = self.writer.call(move |connection| hand_in::append(connection, batch, &new)).await;
        appended.map_err(|failure| failure.of(doing))
    }

    async fn seal_batch(&self, batch: BatchId) -> Result<Batch, StoreError> {
        let sealed = self.writer.call(move |connection| {
            hand_in::seal(connection, batch)?;
            read::batch(connection, batch)
        });
        sealed.await.map_err(|failure| failure.of("sealing a batch"))
    }

    async fn abandon_batch(&self, batch: BatchId) -> Result<(), StoreError> {
        let abandon = async {
            match self.writer.call(move |connection| hand_in::abandon(connection, batch)).await {
                refused @ Err(Failure::Refused(_)) => return refused,
                abandoned => {
                    // From here on its removal is the store's own business, however often it has to begin again.
                    self.broken_off().insert(batch);
                    abandoned?;
                }
            }
            self.remove(batch).await?;
            self.broken_off().remove(&batch);
            Ok(())
        };
        abandon.await.map_err(|failure| failure.of("removing a batch whose hand-in broke off"))
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let left: Vec<BatchId> = self.broken_off().iter().copied().collect();
        for batch in left {
            let removed = self.remove(batch).await;
            removed.map_err(|failure| failure.of("removing a batch whose hand-in broke off"))?;
            self.broken_off().remove(&batch);
            tracing::info!(batch, "batch {batch} is removed: its hand-in had broken off");
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest, now: Moment) -> Result<Option<Claim>, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let request = request.clone();
        let secret = Uuid::new_v4().simple().to_string();
        let claimed = self.writer.call(move |connection| work::claim(connection, &request, secret, now)).await;
        claimed.map_err(|failure| failure.of("claiming a job"))
    }

    async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, StoreError> {
        let (secret, columns) = (secret.to_owned(), columns.to_vec());
        let read = self.readers.call(move |connection| read::records(connection, attempt, &secret, &columns)).await;
        read.map_err(|failure| failure.of("reading the records of a job"))
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat, now: Moment) -> Result<Lease, StoreError> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let heartbeat = heartbeat.clone();
        let lease = self.writer.call(move |connection| work::heartbeat(connection, attempt, &heartbeat, now)).await;
        lease.map_err(|failure| failure.of("renewing a lease"))
    }

    async fn submit(&self, attempt: AttemptId, submission: Submission, now: Moment) -> Result<Receipt, StoreError> {
        let doing = "accepting results";
        let submitted = Submitted::new(submission).map_err(|failure| failure.of(doing))?;
        let receipt = self.writer.call(move |connection| work::submit(connection, attempt, &submitted, now)).await;
        receipt.map_err(|failure| failure.of(doing))
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack, now: Moment) -> Result<(), StoreError> {
        let give_back = give_back.clone();
        let given = self.writer.call(move |connection| work::give_back(connection, attempt, &give_back, now)).await;
        given.map_err(|failure| failure.of("giving a job back"))
    }

    async fn expire(&self, now: Moment) -> Result<Vec<LostAttempt>, StoreError> {
        let latest = self.latest.swap(now, Ordering::Relaxed);
        let lost = self.writer.call(move |connection| {
            if now < latest {
                work::shorten_leases(connection, now)?;
            }
            work::expire(connection, now)
        });
        let lost = lost.await;
        if lost.is_err() {
            self.latest.fetch_max(latest, Ordering::Relaxed);
        }
        lost.map_err(|failure| failure.of("taking back jobs whose lease is over"))
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
        let kept = self.writer.call(move |connection| workers::report(connection, &report, &address, now)).await;
        kept.map_err(|failure| failure.of("keeping a worker's report"))
    }

    async fn workers(&self) -> Result<Vec<Worker>, StoreError> {
        let workers = self.readers.call(read::workers).await;
        workers.map_err(|failure| failure.of("listing workers"))
    }

    async fn counts(&self, active_since: Moment) -> Result<Counts, StoreError> {
        let counts = self.readers.call(move |connection| read::counts(connection, active_since)).await;
        counts.map_err(|failure| failure.of("counting jobs and workers"))
    }
}
