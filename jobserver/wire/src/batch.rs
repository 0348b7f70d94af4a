//! Batches: what an owner hands in.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{BatchId, DataPosition, ErrorRate, InputFormat, JobSize, Moment, Requirements};

/// The query of a hand-in; the body is the input, unless the records are a range of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HandIn {
    /// The plugin that shall process the records.
    pub plugin: String,
    /// What the owner calls the batch; the server makes up a name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Higher goes first; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Records per job; the grid's setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub job_size: Option<JobSize>,
    /// The owner's key for this hand-in: the same input under the same key makes one batch, however often it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the body is; by its content type when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub format: Option<InputFormat>,
    /// The data table whose keys are the records; the body is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The table's column of whole numbers that the records name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_column: Option<String>,
    /// The first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The last key; it belongs to the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Memory a worker's machine must have, as in `512MB`; what the plugin requires when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Disk space a worker must have free, as in `2GB`; what the plugin requires when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Tags a worker must have; those the plugin requires when empty. Each is a part `tag` of the query by itself.
    #[serde(rename = "tag", default, skip_serializing)]
    pub tags: Vec<String>,
    /// The oldest release that may process the records, as in `1.4.0`; what the plugin requires when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_release: Option<String>,
    /// The part of its results that may be errors before the batch is suspended, as in `0.05` or `5%`; the grid's setting when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub error_rate: Option<ErrorRate>,
    /// Only look: store nothing, answer a [`Preview`](crate::Preview).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// A dry run reads so many records; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// A suspended batch goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResumeBatch {
    /// Why, in a sentence; may be empty.
    pub reason: String,
    /// The part of its further results that may be errors, as in `0.05` or `5%`; as it was when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error_rate: Option<ErrorRate>,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Its CSV is still arriving; none of its jobs can be claimed.
    Receiving,
    /// Its jobs can be claimed.
    Open,
    /// Every record has its result.
    Done,
    /// Nothing is left to do, but jobs are quarantined or deleted and their records have no result.
    Incomplete,
}

/// A batch and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Its number.
    pub id: BatchId,
    /// What its owner calls it.
    pub name: String,
    /// The plugin that processes its records.
    pub plugin: String,
    /// Where it stands.
    pub state: BatchState,
    /// Why none of its jobs goes out; absent when they do. Jobs that run go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Higher goes first. Jobs that were edited may have another.
    pub priority: i32,
    /// What its jobs ask of a worker. Jobs that were edited may ask for something else.
    #[serde(default)]
    pub requirements: Requirements,
    /// The position of the primary when it was handed in, or after a failover: no job of it is processed on older data.
    /// Absent when its plugin reads no replica, or the job server knows no primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DataPosition>,
    /// The part of its results that may be errors before it is suspended, as in `5 %`.
    #[schema(value_type = String)]
    pub error_rate: ErrorRate,
    /// Columns of the CSV handed in, in order.
    pub columns: Vec<String>,
    /// Columns that the plugin adds, in order.
    pub outputs: Vec<String>,
    /// Records handed in.
    pub records: u64,
    /// Records with an accepted result (a value or an error).
    pub results: u64,
    /// Of these, results that are an error.
    pub errors: u64,
    /// Jobs it was split into.
    pub jobs: u64,
    /// Jobs that wait for a worker.
    #[serde(default)]
    pub jobs_waiting: u64,
    /// Jobs with accepted results.
    pub jobs_done: u64,
    /// Jobs in the hands of a worker.
    pub jobs_running: u64,
    /// Jobs that failed too often.
    pub jobs_quarantined: u64,
    /// Jobs that an admin suspended.
    #[serde(default)]
    pub jobs_suspended: u64,
    /// Jobs that an admin deleted.
    #[serde(default)]
    pub jobs_deleted: u64,
    /// When the hand-in began.
    pub created_at: Moment,
    /// When nothing was left to do.
    pub finished_at: Option<Moment>,
}
