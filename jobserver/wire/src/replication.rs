//! How workers come to a replica of their own: what they need to copy the primary, and leave to build it anew.
//!
//! Who may rebuild and who waits is decided in `jobserver/rules`; how a replica is built, in `worker/replica`.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// What a worker's own server needs to copy the primary. It has a password in it, which its `Debug` leaves out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replication {
    /// The primary's host, as workers reach it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account that may replicate and dump.
    pub user: String,
    /// The account's password.
    pub password: String,
    /// How the way to the primary is kept from others.
    pub tls: ReplicationTls,
    /// The schemas to copy; all that the account may see when empty.
    pub schemas: Vec<String>,
    /// The primary that counts, as in [`DataPosition::primary`](crate::DataPosition::primary); absent when the job
    /// server does not know it just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The table whose row the primary gets each second, as `schema.table`; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
    /// The clock by which that row is written, when this was answered; absent where there is no such row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Moment>,
    /// A replica of the primary that data are copied from when a worker's are built anew; absent when from the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub donor: Option<Donor>,
}

/// A replica of the primary that gives its data to others. It has the primary's account for that, and is known by the same
/// authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Donor {
    /// Its host, as workers reach it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replication { host, port, user, tls, schemas, primary, heartbeat, now, donor, .. } = self;
        f.debug_struct("Replication")
            .field("host", host)
            .field("port", port)
            .field("user", user)
            .field("password", &"(not shown)")
            .field("tls", tls)
            .field("schemas", schemas)
            .field("primary", primary)
            .field("heartbeat", heartbeat)
            .field("now", now)
            .field("donor", donor)
            .finish()
    }
}

/// How a replica talks to its primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicationTls {
    /// In clear text.
    Off,
    /// Encrypted, with whoever answers.
    Encrypt,
    /// Encrypted, with a server that has a certificate for its name.
    Verify {
        /// Certificates of the authority that signed it, as PEM.
        ca: String,
    },
}

/// A worker asks to build its replica anew, or to go on with that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebuildRequest {
    /// The worker's enrolled identity.
    pub worker: String,
    /// Why the replica is built anew, in a sentence.
    pub reason: String,
}

/// The answer: so that many workers which come back together do not drown the primary, some have to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebuildPermit {
    /// For how long it may, in milliseconds from now: it asks again before that is over, as long as it builds. Absent
    /// when it has to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Why it has to wait; empty otherwise.
    pub reason: String,
    /// When to ask again, in milliseconds from now.
    pub ask_again_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replications_password_is_not_among_what_is_logged_of_it() {
        let replication = Replication {
            host: "db".to_owned(),
            port: 3306,
            user: "copy".to_owned(),
            password: "s3cret".to_owned(),
            tls: ReplicationTls::Verify { ca: "PEM".to_owned() },
            schemas: vec!["people".to_owned()],
            primary: None,
            heartbeat: None,
            now: None,
            donor: None,
        };
        let shown = format!("{replication:?}");
        assert!(shown.contains("\"copy\"") && !shown.contains("s3cret"), "{shown}");
    }
}
