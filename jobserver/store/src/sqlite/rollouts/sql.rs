//! Every query about rollouts, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const ADD_DONE: &str = include_str!("add_done.sql");
pub(super) const ADD_HOURS: &str = include_str!("add_hours.sql");
pub(super) const ADD_WORK: &str = include_str!("add_work.sql");
pub(super) const ENDED: &str = include_str!("ended.sql");
pub(super) const FORGET_HALTS: &str = include_str!("forget_halts.sql");
pub(super) const FORGET_TRIALS: &str = include_str!("forget_trials.sql");
pub(super) const FORGET_WORK: &str = include_str!("forget_work.sql");
pub(super) const HALTS: &str = include_str!("halts.sql");
pub(super) const KNOWN_RELEASES: &str = include_str!("known_releases.sql");
pub(super) const NOTE_HALT: &str = include_str!("note_halt.sql");
pub(super) const NOTE_RELEASE: &str = include_str!("note_release.sql");
pub(super) const NOTE_TRIAL: &str = include_str!("note_trial.sql");
pub(super) const TAG_ID: &str = include_str!("tag_id.sql");
pub(super) const TRIALS: &str = include_str!("trials.sql");
pub(super) const WORK: &str = include_str!("work.sql");
