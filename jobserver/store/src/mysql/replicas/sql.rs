//! Every query about replicas, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const BUILDERS: &str = include_str!("builders.sql");
pub(super) const END_REBUILD: &str = include_str!("end_rebuild.sql");
pub(super) const NOTE_REPIN: &str = include_str!("note_repin.sql");
pub(super) const PERMIT: &str = include_str!("permit.sql");
pub(super) const REPIN: &str = include_str!("repin.sql");
pub(super) const REPINS: &str = include_str!("repins.sql");
pub(super) const TO_REPIN: &str = include_str!("to_repin.sql");
pub(super) const TURN: &str = include_str!("turn.sql");
