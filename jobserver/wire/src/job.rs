//! Jobs and attempts: what a worker takes, holds and hands in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AttemptId, BatchId, DataPosition, JobId, Machine, Moment, Problem, ReachedPosition, RecordId, Requirements,
};

/// Where a job stands. Its legal moves are one table in `jobserver/rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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
    /// An admin put it aside until it is resumed.
    Suspended,
    /// An admin decided that nobody works on it any more.
    Deleted,
}

impl JobState {
    /// The state's word, the same in JSON, tables and prose.
    pub const fn word(self) -> &'static str {
        match self {
            JobState::Receiving => "receiving",
            JobState::Waiting => "waiting",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Quarantined => "quarantined",
            JobState::Suspended => "suspended",
            JobState::Deleted => "deleted",
        }
    }
}

/// Where an attempt stands. All but `Running` are ends, though a lost attempt may take its job up again, and its
/// results or those of an attempt given back are still accepted while the job needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// It holds the lease on its job.
    Running,
    /// Its lease ran out, its worker no longer holds it, or its job was suspended, edited or deleted under it.
    Lost,
    /// Its worker gave the job back.
    GivenBack,
    /// Its results were accepted: they are the job's, or were until the job was retried.
    Accepted,
    /// Another attempt's results were accepted first.
    Superseded,
}

/// A job as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its batch.
    pub batch: BatchId,
    /// Its place in the batch, from 0.
    pub seq: u64,
    /// The plugin that processes it.
    #[serde(default)]
    pub plugin: String,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// What it asks of a worker.
    #[serde(default)]
    pub requirements: Requirements,
    /// Raised by edit and retry; an attempt of an older one is refused.
    #[serde(default)]
    pub revision: u32,
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
    /// Attempts whose worker went away under it.
    #[serde(default)]
    pub losses: u32,
    /// Until then nobody gets it, because an attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// The worker that holds it or did it.
    pub worker: Option<String>,
    /// When the last attempt began.
    pub started_at: Option<Moment>,
    /// When its results were accepted.
    pub finished_at: Option<Moment>,
}

/// A job with every attempt at it, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobHistory {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The position that the data it is processed on must have reached: its batch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DataPosition>,
    /// The attempts.
    pub attempts: Vec<Attempt>,
}

/// An attempt as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number.
    pub id: AttemptId,
    /// The revision of the job it worked on.
    pub revision: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// Why it stands there; empty when there is nothing to add.
    pub reason: String,
    /// Its worker.
    pub worker: String,
    /// Tag of its release: the one of the claim, from acceptance on the one that computed the results.
    pub release: String,
    /// Commit of that release.
    pub commit: String,
    /// Records processed when it last gave a sign of life.
    pub records_done: u64,
    /// Milliseconds of work, once its results are accepted.
    pub work_ms: Option<u64>,
    /// The position that the data of its accepted results had reached; absent when none was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<ReachedPosition>,
    /// When it was claimed.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// When its lease runs out, as long as it has one.
    pub lease_until: Option<Moment>,
}

/// A worker asks for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// The most jobs it wants at once, 1 to [`MOST_AT_ONCE`].
    #[serde(default = "one")]
    pub max: u32,
    /// The attempt it works on and wants to finish first. The leases of the jobs it gets now are longer by that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<AttemptId>,
    /// What its machine offers.
    #[serde(default)]
    pub machine: Machine,
}

/// The most jobs of a claim, and the most submissions of a [`Submissions`].
pub const MOST_AT_ONCE: u32 = 100;

fn one() -> u32 {
    1
}

/// The jobs handed to a worker, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claims {
    /// The jobs, in the order in which to do them.
    pub claims: Vec<Claim>,
}

/// A job handed to a worker: a new attempt, already durable on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// The position that data on the replica must have reached, of this very primary. Absent when none was noted: the
    /// replica must be current then, if the plugin reads one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DataPosition>,
}

/// Records of a job, in input order. Only the columns that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Records {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The records; `values` stand in the order of `columns`.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// Its number.
    pub id: RecordId,
    /// Its fields as text, as they stood in the CSV.
    pub values: Vec<String>,
}

/// What became of one record: a value for each output column, or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Output column → value; an absent column is null.
    Ok(BTreeMap<String, serde_json::Value>),
    /// What went wrong with this record.
    Error(String),
}

/// The result of one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordResult {
    /// The record's number.
    pub id: RecordId,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Where results come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provenance {
    /// Tag of the release that computed them.
    pub release: String,
    /// Commit of that release.
    pub commit: String,
    /// Milliseconds of work, without waiting.
    pub work_ms: u64,
    /// What the replica had surely applied before the plugin read its data; absent when the plugin reads no replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<ReachedPosition>,
}

/// All results of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Submission {
    /// The attempt's secret.
    pub secret: String,
    /// Where the results come from.
    pub provenance: Provenance,
    /// Exactly one for each record of the job, in any order.
    pub results: Vec<RecordResult>,
}

/// Results of several attempts. Each is judged by itself, as if it came alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Submissions {
    /// 1 to [`MOST_AT_ONCE`] of them, each attempt once.
    pub submissions: Vec<AttemptSubmission>,
}

/// All results of one attempt among others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptSubmission {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its secret.
    pub secret: String,
    /// Where the results come from.
    pub provenance: Provenance,
    /// Exactly one for each record of the job, in any order.
    pub results: Vec<RecordResult>,
}

impl From<AttemptSubmission> for (AttemptId, Submission) {
    fn from(one: AttemptSubmission) -> Self {
        let AttemptSubmission { attempt, secret, provenance, results } = one;
        (attempt, Submission { secret, provenance, results })
    }
}

impl From<(AttemptId, Submission)> for AttemptSubmission {
    fn from((attempt, submission): (AttemptId, Submission)) -> Self {
        let Submission { secret, provenance, results } = submission;
        AttemptSubmission { attempt, secret, provenance, results }
    }
}

/// The answers to [`Submissions`], in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answers {
    /// One for each submission.
    pub answers: Vec<Answer>,
}

/// What became of one submission among others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The server has the results, durably.
    Receipt(Receipt),
    /// The submission was refused, or could not be taken just now.
    Problem(Problem),
}

/// The server has the results, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The job they complete.
    pub job: JobId,
    /// The same submission had been accepted before; nothing changed.
    pub repeated: bool,
}

/// A sign of life for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// The attempt's secret.
    pub secret: String,
    /// Records processed so far.
    pub done: u64,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The renewed lease in milliseconds from now; absent when the job is no longer wanted from this attempt.
    pub lease_ms: Option<u64>,
    /// Why it is no longer wanted; empty otherwise.
    pub reason: String,
}

/// Why an attempt is given back unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GiveBackCause {
    /// The worker stops, drains or changes release: never counted against the job.
    Stopped,
    /// The plugin could not process the job: counted.
    Failed,
}

/// An attempt ends without results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GiveBack {
    /// The attempt's secret.
    pub secret: String,
    /// Whether it counts against the job.
    pub cause: GiveBackCause,
    /// Why, in a sentence.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_says_no_more_than_before_asks_for_one_job_and_offers_nothing() {
        let text = r#"{"worker":"w","release":"v1.0.0","commit":"c","plugins":["p"],"holding":[],"wait_ms":0}"#;
        let claim: ClaimRequest = serde_json::from_str(text).expect("a claim");
        assert_eq!((claim.max, claim.behind, claim.machine), (1, None, Machine::default()));
    }

    #[test]
    fn a_states_word_is_how_it_travels() {
        use JobState::*;
        for state in [Receiving, Waiting, Running, Done, Quarantined, Suspended, Deleted] {
            assert_eq!(serde_json::to_value(state).expect("a word"), state.word());
        }
    }

    #[test]
    fn each_answer_of_many_is_a_receipt_or_a_problem() {
        let answers = Answers {
            answers: vec![
                Answer::Receipt(Receipt { job: 1, repeated: false }),
                Answer::Problem(Problem { code: "not_wanted".into(), status: 409, detail: "done".into() }),
            ],
        };
        let text = serde_json::to_string(&answers).expect("text");
        let written = r#"{"answers":[{"receipt":{"job":1,"repeated":false}},{"problem":{"code":"not_wanted","status":409,"detail":"done"}}]}"#;
        assert_eq!(text, written);
        assert_eq!(serde_json::from_str::<Answers>(&text).expect("read"), answers);
    }
}
