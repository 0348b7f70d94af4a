//! What an owner gets back: which results to fetch, and the receipt that says whether anything is missing.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{BatchId, BatchState, DataPosition, Repin};

/// The query of a download of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ResultsQuery {
    /// How they are written.
    #[serde(default)]
    #[param(inline)]
    pub format: ResultsFormat,
    /// Which of them.
    #[serde(default)]
    #[param(inline)]
    pub only: Only,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultsFormat {
    /// A header, then a row for each record.
    #[default]
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// Which records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// All of them, as handed in.
    #[default]
    All,
    /// Those whose result is an error.
    Errors,
    /// Those without a result: not processed yet, or of a job that waits for a person.
    Unprocessed,
}

/// What became of a batch, counted from its rows: the proof that nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchReceipt {
    /// The batch.
    pub batch: BatchId,
    /// What its owner calls it.
    pub name: String,
    /// The plugin that processed it.
    pub plugin: String,
    /// Where it stands.
    pub state: BatchState,
    /// Records handed in.
    pub records: u64,
    /// Records with an accepted result.
    pub results: u64,
    /// Of these, results that are an error.
    pub errors: u64,
    /// Records without a result.
    pub unprocessed: u64,
    /// Whether every record handed in has exactly one result.
    pub in_is_out: bool,
    /// The same in a sentence.
    pub verdict: String,
    /// Workers that computed the results.
    pub workers: u64,
    /// The results by the release that computed them.
    pub by_release: Vec<ByRelease>,
    /// The results by the position of the data they were computed on.
    pub by_position: Vec<ByPosition>,
    /// The position of the primary that its data must have reached; absent when none was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DataPosition>,
    /// How that position changed because the primary became another server, the first time first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repinned: Vec<Repin>,
    /// What was handed in; absent for a batch of a server that did not note it.
    pub input: Option<InputReceipt>,
    /// SHA-256 of the results as CSV, all of them, as they are downloaded; absent as long as the batch is not finished.
    pub results_digest: Option<String>,
}

/// Results that one release computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ByRelease {
    /// Tag of the release.
    pub release: String,
    /// Its commit.
    pub commit: String,
    /// Jobs.
    pub jobs: u64,
    /// Results.
    pub results: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Workers that computed them.
    pub workers: u64,
}

/// Results that were computed on one state of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ByPosition {
    /// The primary; absent when no position was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The position, which all of these data had reached; absent when it was not recorded.
    pub position: Option<String>,
    /// Results.
    pub results: u64,
}

/// What was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputReceipt {
    /// SHA-256 of the input's bytes, unpacked.
    pub digest: String,
    /// How many bytes.
    pub bytes: u64,
    /// What was asked for with them, as JSON.
    pub parameters: String,
    /// The owner's key, when there was one.
    pub key: Option<String>,
}
