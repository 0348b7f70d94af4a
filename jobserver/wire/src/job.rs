//! Jobs and attempts: what a worker takes, holds and hands in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, BatchId, JobId, Moment, RecordId};

/// Where a job stands. Its legal moves are one table in `jobserver/rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its batch is still arriving.
    Receiving,
    /// It can be claimed.
    Waiting,
    /// An attempt holds a lease on it.
    Running,
    /// Its results are accepted.
    Done,
    /// It failed too often; a person decides.
    Quarantined,
}

/// A job as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its batch.
    pub batch: BatchId,
    /// Its place in the batch, from 0.
    pub seq: u64,
    /// Where it stands.
    pub state: JobState,
    /// Why it stands there, in a sentence; empty when there is nothing to add.
    pub reason: String,
    /// Records in it.
    pub records: u64,
    /// How often it was claimed; 1 is the aim.
    pub pickups: u32,
    /// Attempts that failed by the job's or the plugin's fault.
    pub failures: u32,
    /// The worker that holds it or did it.
    pub worker: Option<String>,
    /// When the last attempt began.
    pub started_at: Option<Moment>,
    /// When its results were accepted.
    pub finished_at: Option<Moment>,
}

/// A worker asks for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The worker's enrolled identity.
    pub worker: String,
    /// Tag of the release the worker runs.
    pub release: String,
    /// Commit of that release.
    pub commit: String,
    /// Plugins of that release which work on this machine.
    pub plugins: Vec<String>,
    /// Every attempt the worker still holds. Any other attempt on its name is lost and its job goes back at once:
    /// it was killed between the claim and its first note of it.
    pub holding: Vec<AttemptId>,
    /// How long the server may wait for work to come up, in milliseconds.
    pub wait_ms: u64,
    /// The attempt the worker does first, when it asks ahead: the lease of the new one includes what that still needs.
    #[serde(default)]
    pub behind: Option<AttemptId>,
}

/// A job handed to a worker: a new attempt, already durable on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The attempt.
    pub attempt: AttemptId,
    /// Proves later requests for this attempt.
    pub secret: String,
    /// The job.
    pub job: JobId,
    /// The job's revision; an attempt of an older one is refused.
    pub revision: u32,
    /// The job's batch.
    pub batch: BatchId,
    /// The plugin to run.
    pub plugin: String,
    /// Records in the job.
    pub records: u64,
    /// The lease: how long the job is this worker's without a heartbeat, in milliseconds from now.
    pub lease_ms: u64,
}

/// Records of a job, in input order. Only the columns that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The records; `values` stand in the order of `columns`.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub id: RecordId,
    /// Its fields as text, as they stood in the CSV.
    pub values: Vec<String>,
}

/// What became of one record: a value for each output column, or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Output column → value; an absent column is null.
    Ok(BTreeMap<String, serde_json::Value>),
    /// What went wrong with this record.
    Error(String),
}

/// The result of one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordResult {
    /// The record's number.
    pub id: RecordId,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Where results come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Tag of the release that computed them.
    pub release: String,
    /// Commit of that release.
    pub commit: String,
    /// Milliseconds of work, without waiting.
    pub work_ms: u64,
}

/// All results of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The attempt's secret.
    pub secret: String,
    /// Where the results come from.
    pub provenance: Provenance,
    /// Exactly one for each record of the job, in any order.
    pub results: Vec<RecordResult>,
}

/// The server has the results, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The job they complete.
    pub job: JobId,
    /// The same submission had been accepted before; nothing changed.
    pub repeated: bool,
}

/// A sign of life for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The attempt's secret.
    pub secret: String,
    /// Records processed so far.
    pub done: u64,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The renewed lease in milliseconds from now; absent when the job is no longer wanted from this attempt.
    pub lease_ms: Option<u64>,
    /// Why it is no longer wanted; empty otherwise.
    pub reason: String,
}

/// Why an attempt is given back unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GiveBackCause {
    /// The worker stops, drains or changes release: never counted against the job.
    Stopped,
    /// The plugin could not process the job: counted.
    Failed,
}

/// An attempt ends without results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBack {
    /// The attempt's secret.
    pub secret: String,
    /// Whether it counts against the job.
    pub cause: GiveBackCause,
    /// Why, in a sentence.
    pub reason: String,
}
