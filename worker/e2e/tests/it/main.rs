//! Whole-grid stories with real processes.
//!
//! Each story has a central repository, a job server and workers of its own (see `nightshift_e2e::scene`); they can run
//! side by side. Cycles are started by the story, as cron would. Needs everything built: `cargo build --workspace
//! --all-targets --locked`.

mod ahead;
mod away;
mod batches;
mod cycles;
mod fixtures;
mod fleet;
mod kill_switch;
mod kills;
mod let_in;
mod own_replica;
mod package;
mod people;
mod programs;
mod releases;
mod replica;
mod replica_doctor;
mod stops;
mod the_original;
mod updates;
