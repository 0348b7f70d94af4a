//! How the three programs of a worker talk: boot, launcher and core.
//!
//! Standard library only, because boot is built from nothing else and is never updated. What is said here stays
//! readable for every later version: folders ([`layout`]), exit codes ([`exit`]), the core's arguments ([`handoff`]),
//! the lines that cross the core's stdin and stdout ([`message`]), who holds a lock ([`holder`]), what programs are locked in
//! by ([`protections`]) and what they see all the same ([`shown`]), the two lines of `worker.toml` that boot needs ([`boot_config`]) and which launcher it becomes ([`boot_state`]). What a line means for trust or for a job is decided elsewhere.

pub mod boot_config;
pub mod boot_state;
pub mod exit;
pub mod handoff;
pub mod holder;
pub mod layout;
pub mod message;
pub mod protections;
pub mod shown;
pub mod wake;
