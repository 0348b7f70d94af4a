//! Workers as they report themselves, and the grid as a whole.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DataPosition, Machine, Moment, ReplicaReport, TrialReport, amount, counted};

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// A core runs and processes a job.
    Working,
    /// A core runs and waits for work or for the job server.
    Waiting,
    /// Outside its working hours, or ended on request until its next cycle.
    Resting,
    /// Stopped by a stop flag.
    Stopped,
    /// Something keeps it from working; the reason says what.
    Blocked,
}

/// One step of a worker's cycle, as its status shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepReport {
    /// The step's name: lock, look, sync, hours, core.
    pub step: String,
    /// It went well.
    pub ok: bool,
    /// What it found, in plain words.
    pub found: String,
    /// What a person can do about it; empty when there is nothing to do.
    pub next: String,
}

/// Results that are kept on a worker because the job server did not take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Spool {
    /// Jobs whose results they are.
    pub jobs: u64,
    /// Their bytes on the worker's disk.
    pub bytes: u64,
}

/// In words: `2 jobs, 340 kB`.
impl std::fmt::Display for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", counted(self.jobs, "job"), amount(self.bytes))
    }
}

impl Spool {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.jobs == 0
    }
}

/// What a worker tells the job server about itself, at the end of a cycle and whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The worker's enrolled identity.
    pub worker: String,
    /// The machine's host name, for people.
    pub host: String,
    /// What it does.
    pub state: WorkerState,
    /// Why, in a sentence.
    pub reason: String,
    /// Tag of the release in force; empty when there is none yet.
    pub release: String,
    /// Releases it refused and that are still offered, with the reason, newest first.
    pub refused: Vec<String>,
    /// The steps of the cycle.
    pub steps: Vec<StepReport>,
    /// What it says about the release it tried last; absent when it tried none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialReport>,
    /// How its replica is; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaReport>,
    /// Finished results that it could not hand in yet; nothing when all is handed in.
    #[serde(default, skip_serializing_if = "Spool::is_empty")]
    pub spool: Spool,
}

/// A worker as the job server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    /// Its last report.
    #[serde(flatten)]
    pub report: Report,
    /// The address its last request came from, for people; never used to tell workers apart.
    pub address: String,
    /// When it was first heard of.
    pub first_seen: Moment,
    /// When it was last heard of.
    pub last_seen: Moment,
    /// Jobs it has done.
    pub jobs_done: u64,
    /// Records it has done.
    pub records_done: u64,
    /// What people call it; empty for the name of its host.
    #[serde(default)]
    pub name: String,
    /// Tags an admin gave it; jobs may ask for them.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Why it gets no jobs; absent when it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<String>,
    /// Plugins it could run when it last asked for work.
    #[serde(default)]
    pub plugins: Vec<String>,
    /// What its machine offered when it last asked for work.
    #[serde(default)]
    pub machine: Machine,
    /// Jobs it holds.
    #[serde(default)]
    pub jobs_running: u64,
}

/// The grid in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// The server's clock.
    pub now: Moment,
    /// Tag of the newest release the server knows and believes; absent when there is none.
    pub release: Option<String>,
    /// Id of that tag as git names it, by which two grids with a tag of one name are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_id: Option<String>,
    /// The commit of the control branch that was seen last, which tells them apart before the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_id: Option<String>,
    /// Why no release is known, or what is wrong with the repository; empty when all is well.
    pub release_problem: String,
    /// What the stop flag in the repository says; absent when there is none. While there is one no job is handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Jobs that can be claimed.
    pub jobs_waiting: u64,
    /// Jobs in the hands of a worker.
    pub jobs_running: u64,
    /// Jobs done.
    pub jobs_done: u64,
    /// Jobs that failed too often.
    pub jobs_quarantined: u64,
    /// Jobs that an admin suspended.
    #[serde(default)]
    pub jobs_suspended: u64,
    /// Jobs that an admin deleted.
    #[serde(default)]
    pub jobs_deleted: u64,
    /// Workers heard of within the last two minutes.
    pub workers: u64,
    /// The primary of the company's data; absent when the server has none to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<PrimaryStatus>,
}

/// How a job server stands with the primary of the company's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrimaryStatus {
    /// What it is and how far it was when it answered last; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DataPosition>,
    /// Why it cannot be asked just now, or does not count as the primary; empty when all is well.
    pub problem: String,
    /// What to change there, although it counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
