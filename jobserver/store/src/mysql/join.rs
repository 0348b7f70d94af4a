//! Workers that use the store directly, without a job server between: they join it and never change its tables.
//!
//! Hand-ins, leases that expire and everything people do remain the job servers' business. A worker's own clock may be
//! wrong, and it is not the only one to give leases: it goes by the database's.

use nightshift_wire::Moment;

use super::connection::{Connections, Limits, Tx, in_rounds};
use super::failure::Failure;
use super::{Address, MysqlStore, OpenError, check, migrate, sql};
use crate::StoreError;

impl MysqlStore {
    /// Opens the schema as a worker does: nothing is migrated and nothing removed.
    ///
    /// # Errors
    /// When the database cannot be used, or its tables are of another version.
    pub async fn join(address: &Address, limits: Limits) -> Result<MysqlStore, OpenError> {
        let readers = Connections::to_read(address.opts(), limits);
        check(address, &readers).await?;
        let found = in_rounds!(readers, |tx, _in_doubt| version(tx)).map_err(|failure| OpenError::Database {
            address: address.to_string(),
            source: failure.of("asking the store for its version"),
        })?;
        let known = migrate::newest();
        if found != known {
            return Err(OpenError::OtherVersion { address: address.to_string(), found, known });
        }
        MysqlStore::connect(address, limits).await
    }

    /// The database's clock.
    ///
    /// # Errors
    /// When it cannot be asked now.
    pub async fn moment(&self) -> Result<Moment, StoreError> {
        let read = in_rounds!(self.readers, |tx, _in_doubt| moment(tx));
        read.map_err(|failure| failure.of("asking the database for the time"))
    }
}

async fn version(tx: &mut Tx) -> Result<i64, Failure> {
    let row = tx.first(sql::TABLES_VERSION, ()).await?;
    row.ok_or_else(|| Failure::Contradiction("tables without a version".to_owned()))?.get("version")
}

async fn moment(tx: &mut Tx) -> Result<Moment, Failure> {
    let row = tx.first(sql::MOMENT, ()).await?;
    row.ok_or_else(|| Failure::Contradiction("a server without a clock".to_owned()))?.get("moment")
}
