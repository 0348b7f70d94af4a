//! Every query about stops, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const ADD: &str = include_str!("add.sql");
pub(super) const ALL: &str = include_str!("all.sql");
pub(super) const ALL_TO_CLEAR: &str = include_str!("all_to_clear.sql");
pub(super) const CLEAR: &str = include_str!("clear.sql");
