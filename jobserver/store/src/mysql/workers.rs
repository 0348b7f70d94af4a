//! What workers report about themselves.

use mysql_async::params;
use nightshift_wire::{Moment, Report};

use super::{connection::Tx, failure::Failure, sql};
use crate::words::Word as _;

pub(super) async fn report(tx: &mut Tx, report: &Report, address: &str, now: Moment) -> Result<(), Failure> {
    let known = params! {
        "worker" => &report.worker,
        "host" => &report.host,
        "state" => report.state.word(),
        "reason" => &report.reason,
        "release" => &report.release,
        "refused" => serde_json::to_string(&report.refused)?,
        "steps" => serde_json::to_string(&report.steps)?,
        "replica" => report.replica.as_ref().map(serde_json::to_string).transpose()?,
        "spool_jobs" => report.spool.jobs,
        "spool_bytes" => report.spool.bytes,
        "address" => address,
        "now" => now,
    };
    tx.change(sql::REPORT, known).await?;
    Ok(())
}
