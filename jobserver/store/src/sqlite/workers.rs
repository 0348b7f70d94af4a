//! What workers report about themselves.

use nightshift_wire::{Moment, Report};
use rusqlite::{Connection, named_params};

use super::{columns::Column, failure::Failure, sql};

pub(super) fn report(connection: &Connection, report: &Report, address: &str, now: Moment) -> Result<(), Failure> {
    connection.prepare_cached(sql::REPORT)?.execute(named_params! {
        ":worker": report.worker,
        ":host": report.host,
        ":state": Column(report.state),
        ":reason": report.reason,
        ":release": report.release,
        ":refused": serde_json::to_string(&report.refused)?,
        ":steps": serde_json::to_string(&report.steps)?,
        ":replica": report.replica.as_ref().map(serde_json::to_string).transpose()?,
        ":spool_jobs": report.spool.jobs,
        ":spool_bytes": report.spool.bytes,
        ":address": address,
        ":now": now,
    })?;
    Ok(())
}
