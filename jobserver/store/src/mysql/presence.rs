//! Which servers are alive, for the one thing that depends on it: a hand-in whose server died is removed.
//!
//! Every server has a name and keeps a lock of that name on a connection of its own, for as long as it lives. The database
//! gives the lock up with the connection, so whoever gets the lock of a server knows that it is gone: at once when it was
//! killed, after the database's own time-out when its machine was cut off. Nothing else is ever decided by these locks: a
//! server that lives and lost its connection loses at worst a hand-in, which is then refused and begun again.

use std::time::Duration;

use mysql_async::{Conn, Opts, params, prelude::Queryable as _};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    connection::{Fields, Limits, within},
    failure::Failure,
    sql,
};

/// How often the connection is looked at; also what keeps it from being closed as idle.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a new server waits for the lock of one that may just have died.
pub(super) const LAST_BREATH_S: u32 = 1;

/// This server's lock. Dropping it gives the lock up.
#[derive(Debug)]
pub(super) struct Presence {
    name: String,
    _held: oneshot::Sender<()>,
}

impl Presence {
    /// Takes a lock under a new name and keeps it.
    pub(super) async fn begin(opts: &Opts, limits: Limits) -> Result<Presence, Failure> {
        let name = format!("nightshift server {}", Uuid::new_v4().simple());
        let held = Named::take(opts, limits, &name, 0).await?;
        let (sender, gone) = oneshot::channel();
        tokio::spawn(keep(opts.clone(), limits, name.clone(), held, gone));
        Ok(Presence { name, _held: sender })
    }

    /// The name that batches note as their receiver.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Keeps the lock until the server is gone, on a new connection when the old one broke.
async fn keep(opts: Opts, limits: Limits, name: String, held: Option<Named>, mut gone: oneshot::Receiver<()>) {
    let mut held = held;
    loop {
        if tokio::time::timeout(LOOK_EVERY, &mut gone).await.is_ok() {
            if let Some(held) = held {
                held.end().await;
            }
            return;
        }
        let alive = match &mut held {
            Some(held) => within(limits.statement, held.connection.ping()).await.is_ok(),
            None => false,
        };
        if !alive {
            held = Named::take(&opts, limits, &name, 0).await.ok().flatten();
        }
    }
}

/// Whether a server is gone: nobody keeps its lock, or gives it up within so many seconds.
pub(super) async fn is_gone(opts: &Opts, limits: Limits, server: &str, seconds: u32) -> Result<bool, Failure> {
    match Named::take(opts, limits, server, seconds).await? {
        None => Ok(false),
        Some(free) => {
            free.end().await;
            Ok(true)
        }
    }
}

/// A named lock and the connection it lives on.
#[derive(Debug)]
pub(super) struct Named {
    connection: Conn,
    limit: Duration,
}

impl Named {
    /// Takes a lock on a new connection; `None` when somebody else kept it for so many seconds.
    pub(super) async fn take(opts: &Opts, limits: Limits, name: &str, seconds: u32) -> Result<Option<Named>, Failure> {
        let mut connection = within(limits.connect, Conn::new(opts.clone())).await?;
        let limit = limits.statement + Duration::from_secs(u64::from(seconds));
        let asked = connection.exec_first(sql::TAKE_LOCK, params! { "name" => name, "seconds" => seconds });
        let row = within(limit, asked).await?;
        let taken: Option<i64> = row.map(|row| Fields::of(row).get("taken")).transpose()?.flatten();
        match taken {
            Some(1) => Ok(Some(Named { connection, limit: limits.statement })),
            _ => Ok(None),
        }
    }

    /// Ends the connection, and with it the lock.
    pub(super) async fn end(self) {
        // When the database does not answer, the connection is closed all the same.
        let _ = within(self.limit, self.connection.disconnect()).await;
    }
}
