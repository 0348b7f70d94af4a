//! Every query about acts, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const INSERT: &str = include_str!("insert.sql");
pub(super) const NEWEST: &str = include_str!("newest.sql");
