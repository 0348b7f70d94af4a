//! A whole grid as real processes in one folder: a job server and workers, each with its own state folder.
//!
//! The programs are the ones just built (see [`Programs`]). Nothing is shared with the machine: free ports on
//! loopback, folders below the one given. Whatever was started is ended when its handle is dropped, by process number.
//! Cycles of a worker are started by hand ([`Worker::cycle`], [`Worker::start_cycle`]); there is no cron here.
//!
//! What is in the central repository is not this module's business: see [`crate::central`].

mod job_server;
mod processes;
mod programs;
mod worker;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use job_server::{Guard, JobServer};
pub use processes::{Process, processes_in};
pub use programs::Programs;
pub use worker::{Cycle, Ended, Worker};

/// What a grid has to know about its central repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its address, as worker.toml and jobserver.toml name it.
    pub url: String,
    /// The control branch.
    pub control_branch: String,
    /// Lines of `allowed_signers`.
    pub signers: Vec<String>,
}

/// A grid below one folder.
#[derive(Debug)]
pub struct Grid {
    folder: PathBuf,
    programs: Programs,
    repository: Repository,
    /// The job server.
    pub server: JobServer,
}

impl Grid {
    /// Starts a job server in `folder` and waits until it answers. Workers join by [`Grid::worker`].
    ///
    /// # Errors
    /// When the programs are not built, or the job server does not come up.
    pub fn start(folder: &Path, repository: Repository) -> Result<Grid> {
        Grid::start_on(folder, repository, None)
    }

    /// As [`Grid::start`]; the job server keeps everything in the store at this address, when one is named.
    ///
    /// # Errors
    /// As [`Grid::start`].
    pub fn start_on(folder: &Path, repository: Repository, store: Option<&str>) -> Result<Grid> {
        Grid::start_with(folder, repository, &store.map(|address| format!("store = {address:?}")).unwrap_or_default())
    }

    /// As [`Grid::start`], with further lines of jobserver.toml in `more`.
    ///
    /// # Errors
    /// As [`Grid::start`].
    pub fn start_with(folder: &Path, repository: Repository, more: &str) -> Result<Grid> {
        let programs = Programs::beside_this_one()?;
        let program = programs.path("nightshift-jobserver");
        let server = JobServer::start_as(&program, &folder.join("jobserver"), &repository, more)?;
        Ok(Grid { folder: folder.to_owned(), programs, repository, server })
    }

    /// A worker with a state folder of its own; no cycle runs yet. `more` are further lines of its worker.toml.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn worker(&self, name: &str, more: &str) -> Result<Worker> {
        let folder = self.folder.join("workers").join(name);
        Worker::create(&self.programs, &folder, &self.repository, &[self.server.url()], more)
    }

    /// The programs it runs.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Its central repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}
