//! Every query about sessions, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const END: &str = include_str!("end.sql");
pub(super) const INSERT: &str = include_str!("insert.sql");
pub(super) const ONE: &str = include_str!("one.sql");
pub(super) const OVER: &str = include_str!("over.sql");
