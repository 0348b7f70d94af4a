//! Why a job waits, as `job explain` says it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{JobId, JobState, Moment};

/// What can keep a worker from a job, in the order in which it is asked. Only the first that a worker fails counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The job's batch is suspended: no worker gets it.
    BatchSuspended,
    /// Nothing was heard of the worker lately.
    NotHeardOf,
    /// A stop flag stops the worker.
    Stopped,
    /// It is outside its working hours, or ended on request until its next cycle.
    Resting,
    /// Something keeps it from working at all.
    Blocked,
    /// An admin, or its failures, drained it.
    Drained,
    /// The release it runs is older than the job asks for.
    ReleaseTooOld,
    /// Its release has no such plugin, or the plugin does not work there.
    NoSuchPlugin,
    /// Its machine has less memory than the job asks for, or does not say how much.
    Memory,
    /// Its disk has less space than the job asks for, or it does not say how much.
    Disk,
    /// It lacks a tag that the job asks for.
    Tag,
    /// The plugin reads the worker's replica, and that is not current, or there is none.
    Replica,
}

/// Why a job stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Why, in a sentence or two, with what to do next.
    pub summary: String,
    /// Until then nobody gets it, because an attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// Waiting jobs that go out before it, whoever may take them; absent when the job does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// Workers that may take it and have nothing to do.
    pub free: u64,
    /// Workers that may take it and are busy with another job.
    pub busy: u64,
    /// Workers that may not take it, by the first gate each fails, in the order of the gates.
    pub kept_off: Vec<KeptOff>,
}

/// Workers that fail the same gate first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptOff {
    /// The gate.
    pub gate: Gate,
    /// How many workers.
    pub workers: u64,
    /// What that means for this job, in words.
    pub why: String,
    /// One of these workers.
    pub example: String,
}
