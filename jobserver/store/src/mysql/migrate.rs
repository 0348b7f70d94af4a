//! The tables are brought to this version, by one server at a time.
//!
//! The procedure: take the named lock of the schema, on a connection of its own; let refinery run what is missing; give
//! the lock up. MySQL commits after every CREATE TABLE, so each migration is written to be run again when it was cut off.

use mysql_async::{Opts, Pool, PoolConstraints, PoolOpts};

use super::{OpenError, address::Address, connection::Limits, failure::Failure, presence::Named};

mod files {
    refinery::embed_migrations!("src/mysql/migrations");
}

/// How long a server waits for another that migrates.
const PATIENCE_S: u32 = 60;

pub(super) async fn run(address: &Address, limits: Limits) -> Result<(), OpenError> {
    let away = |source: Failure| OpenError::Database { address: address.to_string(), source: source.of("migrating") };
    // Names of locks are those of the whole server and at most 64 characters long.
    let name: String = format!("nightshift migrates {}", address.opts().db_name().unwrap_or_default());
    let name: String = name.chars().take(64).collect();
    let held = Named::take(address.opts(), limits, &name, PATIENCE_S).await.map_err(away)?;
    let Some(held) = held else {
        return Err(OpenError::Migrating { address: address.to_string() });
    };
    let one = PoolConstraints::new(0, 1).unwrap_or_default();
    let opts = mysql_async::OptsBuilder::from_opts(address.opts().clone())
        .pool_opts(PoolOpts::default().with_constraints(one).with_reset_connection(false));
    let mut pool = Pool::new(Opts::from(opts));
    let migrated = files::migrations::runner().run_async(&mut pool).await;
    // A pool that cannot say goodbye is closed all the same.
    let _ = tokio::time::timeout(limits.connect, pool.disconnect()).await;
    held.end().await;
    migrated.map(|_| ()).map_err(|source| OpenError::Tables { address: address.to_string(), source: Box::new(source) })
}

/// The version that the migrations of this program lead to.
pub(super) fn newest() -> i64 {
    let runner = files::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}
