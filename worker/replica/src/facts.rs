//! What is seen of a replica's server: facts by name, nothing judged.
//!
//! How they are asked for is in `look.rs`, how what servers call them differs in `status.rs`, what their errors mean in
//! `complaint.rs`. Whether it is good enough, [`crate::verdict`] says.

mod complaint;
mod look;
mod status;

use std::collections::BTreeSet;
use std::time::Duration;

pub use complaint::Complaint;
pub(crate) use look::Connection;
pub use look::{Looker, Needs, Patience, USUAL_HEARTBEAT};

use crate::make::{Make, Version};
use crate::position::Gtids;

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its make and version.
    pub version: Version,
    /// Who it is.
    pub identity: Identity,
    /// Whether it takes writes of nobody but replication and administrators.
    pub read_only: bool,
    /// Whether transactions have names that hold on every server; always so on MariaDB.
    pub gtids_on: bool,
    /// The setting by which it goes on where its data do not fit, so that it looks well and is not; `None` when it never does.
    pub skips: Option<String>,
    /// After so long without a word it takes its primary for gone.
    pub net_timeout: Duration,
    /// Whom it copies; empty when nobody.
    pub channels: Vec<Channel>,
    /// All that it has: `@@gtid_executed`, or `@@gtid_slave_pos` on MariaDB.
    pub applied: Gtids,
    /// What its own binary log holds last of each server, on MariaDB, where it has one in the format ROW; the same as `applied`
    /// on MySQL.
    pub logged: Gtids,
    /// The row that somebody writes on the primary again and again.
    pub heartbeat: Heartbeat,
    /// Those of the needed tables that it has not.
    pub missing_tables: BTreeSet<String>,
}

/// Who a server is, as others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `server_id`.
    pub id: u64,
    /// `server_uuid`, on MySQL.
    pub uuid: Option<String>,
}

impl Facts {
    /// The name under which its own transactions stand in [`Gtids`].
    pub fn own_name(&self) -> String {
        self.identity.uuid.clone().unwrap_or_else(|| self.identity.id.to_string())
    }
}

/// A way by which a server copies another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name; the usual one is empty.
    pub name: String,
    /// The primary's address, as `host:port`.
    pub address: String,
    /// The account at the primary.
    pub user: String,
    /// The primary, as [`nightshift_wire::DataPosition::primary`]; `None` before it was ever reached, on MariaDB also when
    /// it was not since the replica's start.
    pub primary: Option<String>,
    /// Fetches transactions.
    pub receiver: Thread,
    /// Applies them.
    pub applier: Thread,
    /// Whether positions are transactions and not files.
    pub by_gtid: bool,
    /// What was fetched: on MySQL since the channel was last told whom to copy.
    pub retrieved: Gtids,
    /// What is not copied.
    pub filters: Filters,
    /// So many seconds it was told to stay behind.
    pub delay: u64,
    /// What the server says it is behind: `None` when it does not know. It lies: nothing is judged by it.
    pub seconds_behind: Option<u64>,
}

/// One of a channel's two threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// What it does.
    pub running: Running,
    /// Its last error's number, 0 when there is none.
    pub errno: u32,
    /// Its last error in the server's words.
    pub error: String,
    /// What that means.
    pub complaint: Complaint,
}

/// Whether a thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Running {
    /// It does.
    Yes,
    /// It stands still, until somebody starts it.
    No,
    /// It runs and has no connection.
    Connecting,
}

/// What a channel leaves out, as the server shows it; lists with commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Only these schemas.
    pub do_db: String,
    /// Not these schemas.
    pub ignore_db: String,
    /// Only these tables.
    pub do_table: String,
    /// Not these tables.
    pub ignore_table: String,
    /// Only tables like these.
    pub wild_do_table: String,
    /// Not tables like these.
    pub wild_ignore_table: String,
}

/// What became of asking for the heartbeat row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// There is one.
    Row {
        /// Who wrote it, by `server_id`.
        server: u64,
        /// When: microseconds since 1970, by the writer's clock.
        at: i64,
    },
    /// There is no such table, none in it, or it may not be read.
    None(String),
}

/// Why a server could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It cannot be reached, or breaks off.
    Unreachable(String),
    /// It accepts a connection and says nothing for so long; holds what was asked.
    Silent(Duration, &'static str),
    /// It refuses the account; in its words.
    Credentials(String),
    /// The account may not see how replication is doing; the account, as the server knows it.
    MayNotLook(String),
    /// It is none of the makes and versions that can be worked with; its version.
    Unsupported(String),
    /// It answers with something else than facts.
    Strange(String),
}

/// The name of a primary, as in [`nightshift_wire::DataPosition::primary`].
pub fn primary_name(make: Make, identity: &str) -> String {
    format!("{}:{}", make.word(), identity.to_ascii_lowercase())
}
