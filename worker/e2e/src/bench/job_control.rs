//! Job control under load: `jobs_*`, `jobserver_*`, `batch_1m_*`, `fleet10k_*`, `page_*`, `live20_*` and `cli_list_ms`.
//!
//! The server is the release binary in a process of its own, its store on this machine's disk: SQLite, or a private
//! MariaDB that syncs its redo log and its binary log at every commit. The load comes from simulated workers in this
//! process (`load.rs`), which say truthfully what they hold and hand in one result for each record. What they had
//! acknowledged is compared with what the server counts at the end.

mod batch;
mod deep_queue;
mod fleet;
mod http;
mod load;
mod pages;
mod rate;
mod raw;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_client::{Client, Timeouts};
use nightshift_testbed::database::{Make, SCHEMA, Server, USER, Wishes};
use nightshift_wire::{Batch, BatchId, HandIn, JobSize};

pub(super) use batch::GROUPS as BATCH;
pub(super) use deep_queue::GROUPS as DEEP_QUEUE;
pub(super) use fleet::GROUP as FLEET;
pub(super) use pages::GROUP as PAGES;
pub(super) use rate::GROUPS as RATE;

use self::load::PLUGIN;
use super::measure::Watched;
use crate::scene::Scene;

/// As many simulated workers as the figures speak of.
const CLIENTS: usize = 256;

/// A hand-in is sent in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Sealing a batch of a million jobs takes a while.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where a job server keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Sqlite,
    MariaDb,
}

/// A job server with a release, what it costs, and a client for all but the load itself.
struct Bench {
    scene: Scene,
    client: Client,
    server: Watched,
    /// After the scene: the job server ends before its database.
    database: Option<Database>,
    runtime: tokio::runtime::Runtime,
}

/// A private MariaDB as a plain installation has it, and durable.
struct Database {
    server: Server,
    watched: Watched,
}

impl Database {
    fn start() -> Result<Database> {
        let settings = ["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=96M"].map(str::to_owned);
        let statements = [
            format!("CREATE USER IF NOT EXISTS '{USER}'@'localhost'"),
            format!("GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'localhost'"),
        ];
        let wishes =
            Wishes { binlog: true, settings: settings.to_vec(), statements: statements.to_vec(), ..Wishes::default() };
        let server = Server::start(Make::MariaDb, wishes)?;
        let server = server.with_context(|| format!("there is no MariaDB: {}", Make::MariaDb.advice()))?;
        let watched = Watched::new(server.pid());
        Ok(Database { server, watched })
    }

    /// By its socket, as a job server reaches the database of its own machine.
    fn url(&self) -> Result<String> {
        Ok(format!("mysql://{USER}@localhost/{SCHEMA}?socket={}", self.server.socket()?.display()))
    }
}

impl Bench {
    fn set(on: On) -> Result<Bench> {
        let database = match on {
            On::Sqlite => None,
            On::MariaDb => Some(Database::start()?),
        };
        let url = database.as_ref().map(Database::url).transpose()?;
        let scene = Scene::with_release_on(url.as_deref())?;
        let client = Client::new([scene.grid.server.url()], Timeouts::all(PATIENCE))?;
        let server = Watched::new(scene.grid.server.pid()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Waits until the server knows the release, and is done with before anything is measured.
        let first = scene.hand_in_numbers(1, 1)?;
        ensure!(first.jobs == 1, "a batch of one job");
        Ok(Bench { scene, client, server, database, runtime })
    }

    fn url(&self) -> String {
        self.scene.grid.server.url()
    }

    /// CPU time of the database so far; none for one that is part of the server.
    fn database_cpu(&self) -> Result<Duration> {
        self.database.as_ref().map_or(Ok(Duration::ZERO), |database| database.watched.cpu())
    }

    /// Hands in a CSV, piece by piece.
    fn hand_in(&self, csv: &bytes::Bytes, job_size: u32) -> Result<Batch> {
        let hand_in = HandIn { plugin: PLUGIN.into(), job_size: Some(JobSize::Records(job_size)), ..HandIn::default() };
        let pieces: Vec<Result<_, std::io::Error>> =
            (0..csv.len()).step_by(PIECE).map(|at| Ok(csv.slice(at..csv.len().min(at + PIECE)))).collect();
        let batch = self.runtime.block_on(self.client.hand_in(&hand_in, futures_util::stream::iter(pieces)))?;
        Ok(batch)
    }

    /// Hands in so many jobs of one record each.
    fn hand_in_jobs(&self, jobs: u32) -> Result<BatchId> {
        let batch = self.hand_in(&crate::scene::numbers(jobs).into(), 1)?;
        ensure!(batch.jobs == u64::from(jobs), "{} jobs of {jobs}", batch.jobs);
        Ok(batch.id)
    }

    /// Results that the server counts in all its batches.
    fn results(&self) -> Result<u64> {
        let batches = self.runtime.block_on(self.client.batches()).context("counting results")?;
        Ok(batches.iter().map(|batch| batch.results).sum())
    }
}
