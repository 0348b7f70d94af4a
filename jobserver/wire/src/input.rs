//! What an owner hands in besides plain CSV, and what a dry run says about it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the body of a hand-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputFormat {
    /// A header, then a row for each record.
    Csv,
    /// A JSON object on each line, all with the same keys.
    Jsonl,
}

/// How many records a job gets: a number, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum JobSize {
    /// As many as keep a worker busy for a while, by the plugin's measured speed.
    Auto,
    /// So many.
    Records(u32),
}

/// A text that is no job size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no job size: write a whole number, or auto")]
pub struct WrongJobSize(String);

impl FromStr for JobSize {
    type Err = WrongJobSize;

    fn from_str(text: &str) -> Result<Self, WrongJobSize> {
        match text {
            "auto" => Ok(JobSize::Auto),
            number => number.parse().map(JobSize::Records).map_err(|_| WrongJobSize(number.to_owned())),
        }
    }
}

impl fmt::Display for JobSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobSize::Auto => f.write_str("auto"),
            JobSize::Records(records) => write!(f, "{records}"),
        }
    }
}

impl From<JobSize> for String {
    fn from(size: JobSize) -> String {
        size.to_string()
    }
}

impl TryFrom<String> for JobSize {
    type Error = WrongJobSize;

    fn try_from(text: String) -> Result<Self, WrongJobSize> {
        text.parse()
    }
}

impl From<u32> for JobSize {
    fn from(records: u32) -> Self {
        JobSize::Records(records)
    }
}

/// What a dry run found: nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The plugin asked for.
    pub plugin: String,
    /// Tag of the release it was looked up in.
    pub release: String,
    /// Columns found, in order; none when the header cannot be read.
    pub columns: Vec<String>,
    /// Columns that the plugin needs.
    pub required: Vec<String>,
    /// Columns found that the plugin does not look at; they come back with the results.
    pub ignored: Vec<String>,
    /// Columns that the plugin adds.
    pub outputs: Vec<String>,
    /// The first three records.
    pub first: Vec<Vec<String>>,
    /// Records counted.
    pub records: u64,
    /// Whether the input was read to its end; otherwise there are more records than were counted.
    pub complete: bool,
    /// Records a job would have.
    pub job_size: u32,
    /// What the job size follows from.
    pub job_size_by: SizedBy,
    /// Jobs the records counted would make.
    pub jobs: u64,
    /// How long the records counted would take.
    pub estimate: Estimate,
    /// What keeps the input from being taken, the first hundred of it.
    pub problems: Vec<InputProblem>,
    /// Problems beyond these.
    pub more_problems: u64,
}

/// What a job size follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SizedBy {
    /// The owner asked for it.
    Owner,
    /// The plugin's measured speed.
    Measured,
    /// The speed at which the plugin did its own samples; no job of it was done yet.
    Samples,
    /// The grid's setting.
    Setting,
}

/// How long a batch would take, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// Milliseconds of work for one worker; absent when nothing was measured.
    pub work_ms: Option<u64>,
    /// Workers heard of lately.
    pub workers: u64,
    /// Milliseconds until these workers were done, had they nothing else to do; absent when that is not known.
    pub elapsed_ms: Option<u64>,
    /// How it was estimated, in a sentence.
    pub how: String,
}

/// What keeps an input from being taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputProblem {
    /// The line, from 1; absent when it concerns the whole input.
    pub line: Option<u64>,
    /// The column, from 1; absent when it concerns the whole line.
    pub column: Option<u64>,
    /// What is wrong, and what to do.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_size_is_a_number_or_auto_wherever_it_stands() {
        for (text, size) in [("auto", JobSize::Auto), ("12", JobSize::Records(12))] {
            assert_eq!(text.parse(), Ok(size));
            assert_eq!(size.to_string(), text);
        }
        let error = "many".parse::<JobSize>().expect_err("no size").to_string();
        assert_eq!(error, "\"many\" is no job size: write a whole number, or auto");
    }
}
