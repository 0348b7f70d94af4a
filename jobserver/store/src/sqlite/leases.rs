//! Leases in one step each: extended after a time without a server, shortened after the clock went back.

use nightshift_rules::lease;
use nightshift_wire::Moment;
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{failure::Failure, sql};
use crate::work::leases::GAP_TOLERANCE_MS;

/// Notes that the server is alive; leases are extended by the time since it last was, when that is long, and shortened
/// when the clock went back.
pub(super) fn alive(connection: &Connection, now: Moment) -> Result<Option<u64>, Failure> {
    let last: Option<Moment> =
        connection.prepare_cached(sql::LAST_ALIVE)?.query_row([], |row| row.get(0)).optional()?;
    let gap = lease::gap(last, now, GAP_TOLERANCE_MS);
    if last.is_some_and(|last| now < last) {
        shorten(connection, now)?;
    }
    if let Some(gap) = gap {
        connection.prepare_cached(sql::EXTEND_LEASES)?.execute(named_params! { ":gap": gap })?;
    }
    connection.prepare_cached(sql::NOTE_ALIVE)?.execute(named_params! { ":now": now })?;
    Ok(gap)
}

/// The clock may have gone back: leases given by a later one would keep the jobs of workers that are gone until it is
/// there again.
pub(super) fn shorten(connection: &Connection, now: Moment) -> Result<(), Failure> {
    connection.prepare_cached(sql::SHORTEN_LEASES)?.execute(named_params! { ":now": now })?;
    Ok(())
}
