//! How new data are: positions in the company's primary database, and what workers tell of their replicas.
//!
//! Whether a replica has reached a position, only its server can say: `worker/replica` asks it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// A point in the history of one primary. Positions of different primaries cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct DataPosition {
    /// The primary: `mysql:SERVER_UUID`, or `mariadb:SERVER_ID` with the id in decimal. Equal for the same server only.
    pub primary: String,
    /// All that had been committed there: a GTID set on MySQL (`@@gtid_executed`), a GTID list on MariaDB
    /// (`@@gtid_binlog_pos`).
    pub gtid: String,
    /// When it was noted.
    pub noted: Moment,
}

/// A point in the history of one primary that a replica had surely reached when a plugin read its data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct ReachedPosition {
    /// The primary, as in [`DataPosition::primary`].
    pub primary: String,
    /// What had been applied, as in [`DataPosition::gtid`].
    pub gtid: String,
}

/// What was not finished of a batch when the primary became another server, and got a position of the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repin {
    /// When that was seen.
    pub at: Moment,
    /// The position before.
    pub from: DataPosition,
    /// The position from then on.
    pub to: DataPosition,
    /// Jobs of the batch that had their results by then, of the old primary's data.
    pub jobs_done: u64,
}

/// What a replica is found to be. Only a current one is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// The server cannot be asked: it does not run, does not answer, or refuses the account.
    Away,
    /// It copies nobody.
    NotReplica,
    /// A thread of its replication stands still.
    Stopped,
    /// It is on its way to its primary.
    Connecting,
    /// It follows, and is near enough.
    Current,
    /// It follows, and is too far behind.
    Behind,
    /// It can never follow again without being built anew.
    Broken,
    /// It has what its primary never had.
    Diverged,
    /// It copies another primary than the one that counts.
    OtherPrimary,
    /// It is being built anew.
    Rebuilding,
    /// It follows, and may not be worked on as it is set up: it can be written to, or lacks a table that is needed.
    Unfit,
}

impl ReplicaState {
    /// The state's word, the same in JSON, metrics and prose.
    pub const fn word(self) -> &'static str {
        match self {
            ReplicaState::Away => "away",
            ReplicaState::NotReplica => "not_replica",
            ReplicaState::Stopped => "stopped",
            ReplicaState::Connecting => "connecting",
            ReplicaState::Current => "current",
            ReplicaState::Behind => "behind",
            ReplicaState::Broken => "broken",
            ReplicaState::Diverged => "diverged",
            ReplicaState::OtherPrimary => "other_primary",
            ReplicaState::Rebuilding => "rebuilding",
            ReplicaState::Unfit => "unfit",
        }
    }
}

/// What a worker tells of its replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaReport {
    /// What it is.
    pub state: ReplicaState,
    /// Why, in a sentence; what to do next is in it where somebody can do something.
    pub reason: String,
    /// Milliseconds that its data lie back, by the heartbeat row and the server's clock; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// The primary it copies, as in [`DataPosition::primary`]; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub primary: String,
    /// What it has applied, as in [`DataPosition::gtid`]; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gtid: String,
    /// The server's make and version, as `MariaDB 10.11.19`; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
}
