//! The store in a schema of a MySQL (8.0.16 or later) or MariaDB (10.6 or later) server, which several job servers may
//! share.
//!
//! Verbs of job control go through the group writer (`writer.rs`): many verbs, one transaction. Everything else is a
//! transaction of its own (`verbs.rs`). Both are tried in rounds (`connection.rs`). What keeps several servers right is that
//! a row is locked before it is judged, or asked for as it is changed. Queries are the `.sql` files of this folder, twins of
//! those of `sqlite/` with the reasons where they differ; the tables are in `migrations/`. Nothing is kept in memory but
//! numbers that nobody else can get (`numbers.rs`), what this server did a moment ago (`given.rs`) and the queue, which are
//! good guesses, and a lock that says this server lives (`presence.rs`).

mod access;
mod acts;
mod address;
mod board;
mod connection;
mod failure;
mod given;
mod hand_in;
mod join;
mod leases;
mod ledger;
mod load;
mod migrate;
mod numbers;
mod presence;
mod read;
mod replicas;
mod rollouts;
mod rows;
mod sessions;
mod sql;
mod statistics;
mod stops;
mod verbs;
mod workers;
mod write;
mod writer;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicI64},
};

use nightshift_wire::{BatchId, Moment};

pub use self::{
    address::{Address, AddressError},
    connection::Limits,
};
use self::{
    connection::{Connections, in_rounds},
    failure::Failure,
    numbers::Numbers,
    presence::Presence,
    writer::Writers,
};
use crate::{
    StoreError,
    leftovers::{Leftovers, Removal},
    statistics::Uncounted,
};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be reached or used.
    #[error("cannot use the store {address}: its server must run, and have that schema and user")]
    Database {
        /// The store, without its password.
        address: String,
        /// What the store said.
        source: StoreError,
    },
    /// Its server lacks what the store builds on.
    #[error("cannot use the store {address}: it needs MySQL 8.0.16 or MariaDB 10.6 or later, and this is {version}")]
    TooOld {
        /// The store, without its password.
        address: String,
        /// What the server calls itself.
        version: String,
    },
    /// A worker that uses the store directly cannot use these tables.
    #[error(
        "cannot use the store {address}: its tables are of version {found}, and this worker knows {known}; bring job \
         servers and workers to the same version"
    )]
    OtherVersion {
        /// The store, without its password.
        address: String,
        /// The version of the tables.
        found: i64,
        /// The version this program knows.
        known: i64,
    },
    /// The thread that writes cannot be started.
    #[error("starting the thread that writes to the store: this machine has no room for another")]
    Thread(#[source] std::io::Error),
    /// Another job server changes the tables and does not come to an end.
    #[error("cannot use the store {address}: another job server has been changing its tables for a minute; try again")]
    Migrating {
        /// The store, without its password.
        address: String,
    },
    /// The tables cannot be brought to this version.
    #[error("cannot bring the tables of {address} to this version: a newer job server may have written them")]
    Tables {
        /// The store, without its password.
        address: String,
        /// What the migration said.
        source: Box<refinery::Error>,
    },
}

/// The store in a MySQL or MariaDB schema.
#[derive(Debug)]
pub struct MysqlStore {
    address: Address,
    limits: Limits,
    /// Verbs of job control.
    work: Writers,
    writers: Connections,
    readers: Connections,
    numbers: Arc<Numbers>,
    presence: Presence,
    leftovers: Leftovers,
    uncounted: Uncounted,
    /// The latest moment from which a lease given by this server may count; after a start that is not known.
    latest: AtomicI64,
}

impl MysqlStore {
    /// Opens the schema: tables brought to this version, hand-ins that a dead server left unfinished out of sight. What is
    /// left of them goes later ([`Store::tidy`]). Other servers may use the schema at the same time.
    ///
    /// # Errors
    /// When the database cannot be used, with what to do about it.
    pub async fn open(address: &Address, limits: Limits) -> Result<MysqlStore, OpenError> {
        check(address, &Connections::to_read(address.opts(), limits)).await?;
        migrate::run(address, limits).await?;
        let store = MysqlStore::connect(address, limits).await?;
        let doing = "taking over what servers left that are gone";
        match store.take_over(presence::LAST_BREATH_S).await.map_err(|failure| failure.of(doing)) {
            Ok(()) => {}
            Err(error) if error.is_retryable() => tracing::warn!("{doing}: not yet, the store cannot be written"),
            Err(source) => return Err(OpenError::Database { address: address.to_string(), source }),
        }
        Ok(store)
    }

    /// A store whose tables are in order.
    async fn connect(address: &Address, limits: Limits) -> Result<MysqlStore, OpenError> {
        let away = |failure: Failure| OpenError::Database {
            address: address.to_string(),
            source: failure.of("taking this server's lock"),
        };
        let (writers, readers) =
            (Connections::to_write(address.opts(), limits), Connections::to_read(address.opts(), limits));
        let presence = Presence::begin(address.opts(), limits).await.map_err(away)?;
        let numbers = Arc::new(Numbers::default());
        let work = Writers::start(address.opts(), limits, &numbers, presence.name()).map_err(OpenError::Thread)?;
        Ok(MysqlStore {
            address: address.clone(),
            limits,
            work,
            writers,
            readers,
            numbers,
            presence,
            leftovers: Leftovers::default(),
            uncounted: Uncounted::default(),
            latest: AtomicI64::new(Moment::MAX),
        })
    }

    /// Takes hand-ins whose servers are gone out of sight and makes them leftovers of this one, as it does with batches that
    /// those servers did not live to remove; what belongs to servers that live stays theirs. Each server has so many seconds
    /// to show that it is gone.
    async fn take_over(&self, seconds: u32) -> Result<(), Failure> {
        let unfinished = in_rounds!(self.readers, |tx, _in_doubt| hand_in::unfinished(tx))?;
        // Asking about a server that lives takes a moment: each is asked about once.
        let mut alive = BTreeSet::from([self.presence.name().to_owned()]);
        for hand_in::Unfinished { left, receiver } in unfinished {
            if alive.contains(&receiver) {
                continue;
            }
            if !presence::is_gone(self.address.opts(), self.limits, &receiver, seconds).await? {
                alive.insert(receiver);
                continue;
            }
            let batch = left.batch;
            match in_rounds!(self.writers, |tx, _in_doubt| hand_in::abandon(tx, batch, true)) {
                // It was sealed just before its server ended.
                Err(Failure::Refused(_)) => continue,
                abandoned => abandoned?,
            }
            if self.leftovers.note(batch) {
                tracing::info!(batch, "{left}");
            }
        }
        Ok(())
    }

    /// Removes what is left of a batch that nobody sees any more, in small steps.
    async fn remove(&self, batch: BatchId) -> Result<(), Failure> {
        loop {
            let step = in_rounds!(self.writers, |tx, _in_doubt| hand_in::remove_some(tx, batch));
            if step? == Removal::Finished {
                return Ok(());
            }
        }
    }
}

/// Whether the server can do what the store needs, and keeps what it acknowledges.
async fn check(address: &Address, readers: &Connections) -> Result<(), OpenError> {
    let away = |failure: Failure| OpenError::Database {
        address: address.to_string(),
        source: failure.of("asking the database for its version"),
    };
    let server = in_rounds!(readers, |tx, _in_doubt| server(tx)).map_err(away)?;
    if !server.is_new_enough() {
        return Err(OpenError::TooOld { address: address.to_string(), version: server.version });
    }
    if !server.durable {
        tracing::warn!(
            "the store {address} may lose acknowledged results in a power cut: set innodb_flush_log_at_trx_commit = 1 \
             and sync_binlog = 1 on its server"
        );
    }
    Ok(())
}

/// What the server says of itself.
#[derive(Debug)]
struct Server {
    version: String,
    durable: bool,
}

impl Server {
    fn is_new_enough(&self) -> bool {
        let mut numbers = self.version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let version: (u32, u32, u32) = (next(), next(), next());
        version >= if self.version.contains("MariaDB") { (10, 6, 0) } else { (8, 0, 16) }
    }
}

async fn server(tx: &mut connection::Tx) -> Result<Server, Failure> {
    let row = tx.first(sql::SERVER, ()).await?;
    let mut row = row.ok_or_else(|| Failure::Contradiction("a server without a version".to_owned()))?;
    let binlog: i64 = row.get("log_bin")?;
    let durable = row.get::<i64>("flush")? == 1 && (binlog == 0 || row.get::<i64>("sync_binlog")? == 1);
    Ok(Server { version: row.get("version")?, durable })
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn servers_that_cannot_skip_locked_rows_are_told_by_their_version() {
        let new_enough = |version: &str| Server { version: version.to_owned(), durable: true }.is_new_enough();
        for version in ["10.6.1-MariaDB", "10.11.19-MariaDB-0+deb12u1", "8.0.16", "9.7.4", "12.0.2-MariaDB-log"] {
            assert!(new_enough(version), "{version}");
        }
        for version in ["10.5.9-MariaDB", "8.0.15", "5.7.44-log", ""] {
            assert!(!new_enough(version), "{version}");
        }
    }
}
