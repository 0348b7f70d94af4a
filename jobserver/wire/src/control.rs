//! Stops, as the job server sees and tells them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// What is stopped, as far as the job server knows: by the repository's flags and by its own stops. A worker that hears
/// of a stop obeys, and looks at the repository itself as well; that nothing is stopped it believes of each place alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopView {
    /// Names this view; the same on every job server that sees the same stops.
    pub etag: String,
    /// What the stops say, in a sentence; absent when there is none.
    pub stopped: Option<String>,
    /// Each stop by itself.
    #[serde(default)]
    pub stops: Vec<StopSeen>,
}

/// A stop as the job server tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopSeen {
    /// Where it stands: `STOP on branch control`, `job server`.
    pub place: String,
    /// Why, in a person's words.
    pub reason: String,
    /// What it stops.
    #[serde(flatten)]
    pub scope: StopScope,
}

/// What a stop stops: everything at once, as far as its parts do not limit it. All parts hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopScope {
    /// This plugin alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Workers whose id or machine's name is like this, `*` being any text and `?` any character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Workers with this release in force, `1.5.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `now` (also when absent), or `after-job`: the job in hand is finished first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A wish to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Why; everybody who asks reads it.
    #[serde(default)]
    pub reason: String,
    /// This plugin alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Workers whose id or machine's name is like this, `*` being any text and `?` any character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Workers with this release in force, `1.5.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// `now` (also when absent), or `after-job`: the job in hand is finished first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A stop that the job server keeps itself, until it is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnStop {
    /// Its number.
    pub id: i64,
    /// Why.
    pub reason: String,
    /// What it stops.
    #[serde(flatten)]
    pub scope: StopScope,
    /// Who stopped.
    pub by: String,
    /// When.
    pub at: Moment,
}

/// The stops that the job server keeps itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnStops {
    /// Each of them, the oldest first.
    pub stops: Vec<OwnStop>,
}
