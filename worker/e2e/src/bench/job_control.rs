//! Job control under load: `jobs_*`, `jobserver_*` and `batch_1m_*`.
//!
//! The server is the release binary in a process of its own, its store on this machine's disk; the load comes from
//! simulated workers in this process (`load.rs`), which say truthfully that they hold nothing and hand in one result
//! for each record. What they had acknowledged is compared with what the server counts at the end.

mod batch;
mod deep_queue;
mod http;
mod load;
mod rate;
mod raw;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_client::{Client, Timeouts};
use nightshift_wire::{Batch, BatchId, HandIn, JobSize};

pub(super) use batch::GROUP as BATCH;
pub(super) use deep_queue::GROUP as DEEP_QUEUE;
pub(super) use rate::GROUP as RATE;

use self::load::PLUGIN;
use super::measure::Watched;
use crate::scene::Scene;

/// As many simulated workers as the figures speak of.
const CLIENTS: usize = 256;

/// A hand-in is sent in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Sealing a batch of a million jobs takes a while.
const PATIENCE: Duration = Duration::from_secs(240);

/// A job server with a release, what it costs, and a client for all but the load itself.
struct Bench {
    scene: Scene,
    client: Client,
    server: Watched,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn set() -> Result<Bench> {
        let scene = Scene::with_release()?;
        let client = Client::new([scene.grid.server.url()], Timeouts::all(PATIENCE))?;
        let server = Watched::new(scene.grid.server.pid()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Waits until the server knows the release, and is done with before anything is measured.
        let first = scene.hand_in_numbers(1, 1)?;
        ensure!(first.jobs == 1, "a batch of one job");
        Ok(Bench { scene, client, server, runtime })
    }

    fn url(&self) -> String {
        self.scene.grid.server.url()
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
