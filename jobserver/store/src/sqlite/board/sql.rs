//! Every query of the dashboard, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const BATCH_OVER_TIME: &str = include_str!("batch_over_time.sql");
pub(super) const BATCHES: &str = include_str!("batches.sql");
pub(super) const ERRORS_BY_KIND: &str = include_str!("errors_by_kind.sql");
pub(super) const HOURS: &str = include_str!("hours.sql");
pub(super) const SPOOL: &str = include_str!("spool.sql");
pub(super) const WORK_NOW: &str = include_str!("work_now.sql");
pub(super) const WORKERS: &str = include_str!("workers.sql");
pub(super) const WORKERS_BY_REASON: &str = include_str!("workers_by_reason.sql");
pub(super) const WORKERS_BY_RELEASE: &str = include_str!("workers_by_release.sql");
pub(super) const WORKERS_BY_REPLICA: &str = include_str!("workers_by_replica.sql");
pub(super) const WORKERS_BY_STATE: &str = include_str!("workers_by_state.sql");
