//! A primary and its replica, which copies it by GTID over a proxy: what a company and one of its workers have.
//!
//! The pair is told to replicate and not waited for: what it then does is what is looked at.

use anyhow::Result;

use super::{Make, Server, Wishes, literal};
use crate::faults::Proxy;

/// The account by which the replica copies the primary.
pub const REPLICATOR: &str = "replicator";
/// Its password.
pub const REPLICATOR_PASSWORD: &str = "copies all";

/// What the two shall be like beyond the usual. Both write binary logs.
#[derive(Debug, Clone, Default)]
pub struct PairWishes {
    /// Of the primary.
    pub primary: Wishes,
    /// Of the replica.
    pub replica: Wishes,
}

/// Two servers of one make.
#[derive(Debug)]
pub struct Pair {
    /// Where the company writes.
    pub primary: Server,
    /// Its copy, which takes no other writes than the primary's.
    pub replica: Server,
    /// What the replica reaches the primary through.
    pub between: Proxy,
}

impl Pair {
    /// Starts both on fresh data; `None` when this machine has no server of that make.
    ///
    /// # Errors
    /// When there is one and it does not start, with the end of its log.
    pub fn start(make: Make, wishes: PairWishes) -> Result<Option<Pair>> {
        let PairWishes { primary, replica } = wishes;
        let Some(primary) = start_primary(make, primary)? else { return Ok(None) };
        let between = Proxy::before(primary.port())?;
        let copy = copy(make, between.port(), (REPLICATOR, REPLICATOR_PASSWORD));
        let Some(replica) = Server::start(make, as_replica(make, replica, copy))? else { return Ok(None) };
        Ok(Some(Pair { primary, replica, between }))
    }

    /// A further replica of the same primary, over the same proxy.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub fn another_replica(&self, wishes: Wishes) -> Result<Option<Server>> {
        let make = self.primary.make();
        let copy = copy(make, self.between.port(), (REPLICATOR, REPLICATOR_PASSWORD));
        Server::start(make, as_replica(make, wishes, copy))
    }
}

/// Starts a server that can be copied; `None` when this machine has none of that make.
///
/// # Errors
/// When there is one and it does not start, with the end of its log.
pub fn start_primary(make: Make, wishes: Wishes) -> Result<Option<Server>> {
    Server::start(make, as_primary(wishes))
}

fn as_primary(mut wishes: Wishes) -> Wishes {
    wishes.binlog = true;
    wishes.at_first.splice(
        0..0,
        [
            format!("CREATE USER {REPLICATOR}@'127.0.0.1' IDENTIFIED BY '{REPLICATOR_PASSWORD}'"),
            format!("GRANT REPLICATION SLAVE ON *.* TO {REPLICATOR}@'127.0.0.1'"),
        ],
    );
    wishes
}

pub(super) fn as_replica(make: Make, mut wishes: Wishes, copy: [String; 2]) -> Wishes {
    wishes.binlog = true;
    let mut settings: Vec<String> = ["--read-only=ON", "--relay-log=relay"].map(str::to_owned).into();
    if make == Make::MariaDb {
        settings.push("--log-slave-updates=ON".to_owned());
    }
    wishes.settings.splice(0..0, settings);
    wishes.at_first.extend(copy);
    wishes
}

/// What a replica is told to copy the primary that is reached on `port` by an account, a user and a password; each statement
/// for itself. A connection that fails is tried again after a second, not after the minute that servers wait of themselves.
pub(super) fn copy(make: Make, port: u16, (user, password): (&str, &str)) -> [String; 2] {
    let (user, password) = (literal(user), literal(password));
    match make {
        Make::MariaDb => [
            format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER={user}, \
                 MASTER_PASSWORD={password}, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"
            ),
            "START SLAVE".to_owned(),
        ],
        Make::MySql => [
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, \
                 SOURCE_USER={user}, SOURCE_PASSWORD={password}, SOURCE_AUTO_POSITION=1, \
                 GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1"
            ),
            "START REPLICA".to_owned(),
        ],
    }
}
