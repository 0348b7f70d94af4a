//! Every query of the statistics, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const ADD_TIME: &str = include_str!("add_time.sql");
pub(super) const ALL_WORKERS: &str = include_str!("all_workers.sql");
pub(super) const BASELINE: &str = include_str!("baseline.sql");
pub(super) const BASELINES: &str = include_str!("baselines.sql");
pub(super) const COUNT: &str = include_str!("count.sql");
pub(super) const COUNTED: &str = include_str!("counted.sql");
pub(super) const FORGET_DAY: &str = include_str!("forget_day.sql");
pub(super) const FORGET_DAYS_OF_TIME: &str = include_str!("forget_days_of_time.sql");
pub(super) const FORGET_HOUR: &str = include_str!("forget_hour.sql");
pub(super) const FORGET_HOURS_OF_WORK: &str = include_str!("forget_hours_of_work.sql");
pub(super) const FORGET_TIME: &str = include_str!("forget_time.sql");
pub(super) const NOTE_BASELINE: &str = include_str!("note_baseline.sql");
pub(super) const OLDEST_DAY: &str = include_str!("oldest_day.sql");
pub(super) const OLDEST_HOUR: &str = include_str!("oldest_hour.sql");
pub(super) const OLDEST_TIME: &str = include_str!("oldest_time.sql");
pub(super) const REMOVE_BASELINE: &str = include_str!("remove_baseline.sql");
pub(super) const ROLL_HOUR: &str = include_str!("roll_hour.sql");
pub(super) const ROLL_TIME: &str = include_str!("roll_time.sql");
pub(super) const WORK: &str = include_str!("work.sql");
pub(super) const WORK_OF: &str = include_str!("work_of.sql");
pub(super) const WORKER_TIME: &str = include_str!("worker_time.sql");
pub(super) const WORKERS: &str = include_str!("workers.sql");
pub(super) const WORKERS_NOW: &str = include_str!("workers_now.sql");
