//! Leases in one step each: extended after a time without a server, shortened after the clock went back.

use mysql_async::params;
use nightshift_rules::lease;
use nightshift_wire::Moment;

use super::{connection::Tx, failure::Failure, sql};
use crate::work::leases::GAP_TOLERANCE_MS;

/// Notes that a server is alive; leases are extended by the time since one last was, when that is long, and
/// shortened when the clock went back. Of several servers
/// that come back at the same time one does it: the others find the moment changed. `before` is what an earlier round
/// extended them by, in case it was committed after all.
pub(super) async fn alive(
    tx: &mut Tx,
    now: Moment,
    before: &mut Option<u64>,
    in_doubt: bool,
) -> Result<Option<u64>, Failure> {
    let Some(mut row) = tx.first(sql::LAST_ALIVE, ()).await? else {
        tx.change(sql::BEGIN_LIFE, params! { "now" => now }).await?;
        return Ok(None);
    };
    let last: Moment = row.get("last_alive")?;
    if in_doubt && last == now {
        return Ok(*before);
    }
    let gap = lease::gap(Some(last), now, GAP_TOLERANCE_MS);
    *before = gap;
    if tx.change(sql::NOTE_ALIVE, params! { "now" => now, "before" => last }).await? != 1 {
        return Ok(None);
    }
    if now < last {
        shorten(tx, now).await?;
    }
    if let Some(gap) = gap {
        tx.change(sql::EXTEND_LEASES, params! { "gap" => gap }).await?;
    }
    Ok(gap)
}

/// The clock may have gone back: leases given by a later one would keep the jobs of workers that are gone until it is
/// there again.
pub(super) async fn shorten(tx: &mut Tx, now: Moment) -> Result<(), Failure> {
    tx.change(sql::SHORTEN_LEASES, params! { "now" => now }).await?;
    Ok(())
}
