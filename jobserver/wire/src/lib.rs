//! The types of the job server's HTTP API, `/v1`, shared by server, worker and command line.
//!
//! Plain data, and how counts are put into words: what may happen to a job is decided in `jobserver/rules`, how bytes travel in
//! `jobserver/client` and `jobserver/server`. Moments are milliseconds since 1970 UTC by the server's clock
//! ([`Moment`]), durations milliseconds. Field names are the words of docs/GLOSSARY.md.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/claims` | [`ClaimRequest`] | 200 [`Claims`], or 204 when nothing came up while waiting, the grid is stopped, or the worker claims again |
//! | `GET /v1/attempts/ID/records?secret=S&column=C…` | | 200 [`Records`] |
//! | `POST /v1/attempts/ID/heartbeat` | [`Heartbeat`] | 200 [`Lease`] |
//! | `POST /v1/attempts/ID/results` | [`Submission`] | 200 [`Receipt`] |
//! | `POST /v1/results` | [`Submissions`] | 200 [`Answers`] |
//! | `POST /v1/attempts/ID/give-back` | [`GiveBack`] | 204 |
//! | `POST /v1/batches?plugin=P&name=N&…` ([`HandIn`]) | CSV or JSON lines, also gzip, streamed | 201 [`Batch`]; 200 when its key was handed in before |
//! | `POST /v1/batches?dry_run=true&…` | the same | 200 [`Preview`] |
//! | `GET /v1/batches`, `/v1/batches/ID` | | 200 list of [`Batch`], [`Batch`] |
//! | `GET /v1/batches/ID/jobs` | | 200 list of [`Job`] |
//! | `POST /v1/batches/ID/suspend`, `/v1/batches/ID/resume` | [`Reason`] | 200 [`Batch`] |
//! | `DELETE /v1/batches/ID` | | 204 |
//! | `GET /v1/jobs?batch=B&state=S&…` ([`JobQuery`]) | | 200 [`JobPage`] |
//! | `GET /v1/jobs/ID` | | 200 [`JobHistory`] |
//! | `GET /v1/jobs/ID/explain` | | 200 [`Explanation`] |
//! | `POST /v1/jobs/actions` | [`ActionRequest`] | 200 [`ActionReport`] |
//! | `GET /v1/batches/ID/results?format=F&only=O` ([`ResultsQuery`]) | | 200 CSV or JSON lines, streamed, in input order |
//! | `GET /v1/batches/ID/receipt` | | 200 [`BatchReceipt`] |
//! | `POST /v1/reports` | [`Report`] | 204 |
//! | `GET /v1/replication` | | 200 [`Replication`]; over TLS or from this machine only |
//! | `POST /v1/rebuilds` | [`RebuildRequest`] | 200 [`RebuildPermit`] |
//! | `DELETE /v1/rebuilds/WORKER` | | 204: it builds no more |
//! | `GET /v1/workers`, `/v1/workers/ID` | | 200 list of [`Worker`], [`Worker`] |
//! | `POST /v1/workers/ID` | [`WorkerChange`] | 200 [`Worker`] |
//! | `GET /v1/status` | | 200 [`Status`] |
//! | `POST /v1/stop` | [`StopRequest`] | 200 [`OwnStops`]: all that the job server keeps itself |
//! | `DELETE /v1/stop` | | 200 [`OwnStops`]: those that were taken away |
//! | `GET /v1/stop?seen=ETAG&wait_ms=N` | | 200 [`StopView`], as soon as it is another one than `seen` or the wait is over |
//! | `GET /v1/rollouts?worker=ID&seen=ETAG` | | 200 [`Rollouts`], without the releases when they are as they were |
//! | `GET /v1/rollouts/TAG` | | 200 [`Rollout`] |
//! | `PUT /v1/artifacts/SHA256` | the file | 201 [`Artifact`]; 200 when it was there |
//! | `GET`, `HEAD`, `DELETE /v1/artifacts/SHA256` | | 200 the file, or 206 a range of it; 204 when deleted |
//! | `GET /v1/artifacts` | | 200 list of [`Artifact`] |
//! | `GET /healthz`, `/readyz`, `/metrics` | | 200 `ok`; 200 `ok` or 503 and why; OpenMetrics text |
//!
//! Tokens, workers that join and the rules of joining have a table of their own, in `access.rs`, statistics and baselines in
//! `statistics.rs`.
//!
//! Every refusal is a [`Problem`] (`application/problem+json`). `GET /` is a page for people.

mod access;
mod action;
mod artifact;
mod batch;
mod control;
mod error_rate;
mod explain;
mod input;
mod job;
mod position;
mod problem;
mod proof;
mod replication;
mod requirements;
mod rollout;
mod statistics;
mod words;
mod worker;

pub use access::{
    Enrolment, EnrolmentDecision, EnrolmentState, JoinRequest, JoinRule, Joined, Me, NewJoinRule, NewToken, Role,
    Token, TokenMade, access_code,
};
pub use action::{
    ActionReport, ActionRequest, JobAction, JobEdit, JobFilter, JobPage, JobQuery, Reason, Unchanged, WorkerChange,
};
pub use artifact::Artifact;
pub use batch::{Batch, BatchState, HandIn, ResumeBatch};
pub use control::{OwnStop, OwnStops, StopRequest, StopScope, StopSeen, StopView};
pub use error_rate::{ErrorRate, WrongErrorRate};
pub use explain::{Explanation, Gate, KeptOff};
pub use input::{Estimate, InputFormat, InputProblem, JobSize, Preview, SizedBy, WrongJobSize};
pub use job::{
    Answer, Answers, Attempt, AttemptState, AttemptSubmission, Claim, ClaimRequest, Claims, GiveBack, GiveBackCause,
    Heartbeat, Job, JobHistory, JobState, Lease, MOST_AT_ONCE, Outcome, Provenance, Receipt, Record, RecordResult,
    Records, Submission, Submissions,
};
pub use position::{DataPosition, ReachedPosition, Repin, ReplicaReport, ReplicaState};
pub use problem::{Problem, code};
pub use proof::{BatchReceipt, ByPosition, ByRelease, InputReceipt, Only, ResultsFormat, ResultsQuery};
pub use replication::{Donor, RebuildPermit, RebuildRequest, Replication, ReplicationTls};
pub use requirements::{Machine, Requirements};
pub use rollout::{FoundBad, RingState, Rollout, RolloutRing, Rollouts, TrialReport, TrialState};
pub use statistics::{
    Baseline, BaselineOffice, Comparison, GridFigures, NewBaseline, PluginCompared, PluginFigures, Stat, Stats,
    StatsBy, StatsPer, StatsQuery, Step, WorkerTime,
};
pub use words::{amount, counted, grouped};
pub use worker::{PrimaryStatus, Report, Spool, Status, StepReport, Worker, WorkerState};

/// Milliseconds since 1970-01-01 UTC by the job server's clock.
pub type Moment = i64;
/// Number of a batch, never used again.
pub type BatchId = i64;
/// Number of a job, never used again.
pub type JobId = i64;
/// Number of an attempt, never used again.
pub type AttemptId = i64;
/// Number of a record, unique over all batches.
pub type RecordId = i64;
