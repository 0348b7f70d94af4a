//! One cycle of a worker: lock, look, sync, hand off to the core, watch over it, report.
//!
//! What may happen is decided in pure functions ([`decide`], [`watch::care`], and the rules in `updater/manifest` and
//! `worker/contract`); the rest carries it out. Releases are `updater/engine`'s business, jobs and plugins the core's:
//! this crate never links them, so that a core of any release can be watched.

pub mod clock;
pub mod cycle;
pub mod decide;
pub mod doctor;
pub mod heard;
mod hearing;
pub mod identity;
pub mod installed;
pub mod join;
pub mod leftovers;
pub mod lock;
pub mod log;
pub mod lookout;
pub mod machine;
pub mod process;
pub mod programs;
pub mod replica;
pub mod report;
pub mod repository;
pub mod rollout;
pub mod screen;
pub mod self_check;
pub mod sender;
pub mod settings;
pub mod status;
pub mod stop_file;
pub mod swap;
pub mod wait;
pub mod watch;
pub mod watchdog;
