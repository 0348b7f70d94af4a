//! How releases spread over the grid: what workers say about their trials, and what the job server makes of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// How far a worker's trial of a release is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// It goes on.
    Running,
    /// The release does here what it must.
    Good,
    /// It has a fault that the release before does not show on the same machine.
    Bad,
    /// Something else came in between; it is tried again.
    Unknown,
}

/// What a worker says about the release it tried last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrialReport {
    /// Tag of the release.
    pub release: String,
    /// The ring of it that the worker counts itself to; empty when the release has no plan.
    #[serde(default)]
    pub ring: String,
    /// How far the trial is, or how it ended.
    pub state: TrialState,
    /// Samples of plugins that passed here.
    #[serde(default)]
    pub samples_passed: u32,
    /// Samples of plugins that did not.
    #[serde(default)]
    pub samples_failed: u32,
}

/// Whether the workers of a ring may have a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RingState {
    /// They may take it.
    Open,
    /// Not yet.
    Waiting,
    /// Never again; who has it goes back to the release before.
    SentBack,
}

/// A ring of a release, as the job server judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutRing {
    /// Its name.
    pub name: String,
    /// Whether its workers may have the release.
    pub state: RingState,
    /// What it waits for, or why it was sent back; empty when it is open.
    pub reason: String,
    /// Workers that belong to it.
    pub workers: u64,
    /// Of these, those that have the release in force.
    pub on_release: u64,
    /// Jobs they did with it.
    pub jobs: u64,
    /// Records of these.
    pub records: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Errors that the release before lets expect; absent when there is nothing to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_errors: Option<u64>,
    /// Jobs that failed.
    pub failures: u64,
    /// The time the middle worker needs, in thousandths of its own time with the release before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u64>,
    /// Workers whose plugins' samples passed.
    pub samples_passed: u64,
    /// Workers whose trial was bad.
    pub bad_trials: u64,
    /// Nobody of it takes the release before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// Its workers take the release only in these hours, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

/// Workers that found a release bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundBad {
    /// How many.
    pub workers: u64,
    /// What one of them says about it; empty when none of them says anything.
    pub says: String,
}

/// How a release spreads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// Tag of the release.
    pub release: String,
    /// What holds it back for everybody (denied, paused, `rollout.toml` unreadable); absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Why it is denied; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<String>,
    /// Its rings; none when it has no plan and everybody takes it.
    pub rings: Vec<RolloutRing>,
    /// Workers that have it in force, in whatever ring.
    pub on_release: u64,
    /// Workers that found it bad in their trial and went back; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_bad: Option<FoundBad>,
}

/// How releases spread, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rollouts {
    /// The server's clock.
    pub now: Moment,
    /// Names everything else in this answer; the same on every job server that judges the same.
    pub etag: String,
    /// The tags of the worker that asks, given to it by an admin; absent when nobody says which worker asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
    /// The releases; absent when they are as they were under the etag that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<Vec<Rollout>>,
}
