//! Takes jobs from the job server, does them block by block and hands the results in.
//!
//! One job is in hand at a time, at most one further is got ready ahead of it, and finished ones are handed in beside it,
//! so that neither the network nor a job server that is away keeps the plugin waiting. Every step survives a kill at any
//! instant:
//! 1. Claim: the server has made the attempt durable before it answers; the core notes it in a folder of its own
//!    ([`spool`]) before anything else. Killed in between, the next claim does not list it, and the server takes it back.
//! 2. Records: fetched, then saved whole. A job claimed ahead waits like this, kept alive by heartbeats (`fetcher`).
//! 3. Blocks: each is processed by the plugin, then appended to the attempt's journal with a checksum and synced. After
//!    a kill, the same attempt goes on behind the last whole block, if the release is still the same; on another
//!    release the job starts again from its first record, so that its provenance stays true (`job`).
//! 4. Submit: repeated until the server has accepted or refused the results, while the next job is already in hand; only
//!    then is the folder removed. A server that is away loses no finished work. One that is there and fails at one
//!    attempt again and again keeps nobody from other work (`outbox`, `settle`).
//!
//! [`Core::run`] is all of it in one future. It may be dropped at any await, which is as good as a kill; that is how a
//! stop order ends it at once. What it talks to is a [`JobControl`], over HTTP ([`http`]) or the
//! store itself ([`direct`]). Plugins run
//! on a thread of their own (`workbench`), files are written on tokio's blocking threads. What the launcher orders
//! arrives as [`Orders`] (`lifeline` reads them); which releases and which jobs there are is decided elsewhere.

pub mod again;
mod ahead;
mod awake;
mod beside;
mod causes;
mod clock;
pub mod control;
mod data_away;
mod desk;
pub mod direct;
mod fetcher;
mod freshness;
pub mod http;
mod job;
pub mod lifeline;
pub mod lock;
pub mod machine;
pub mod moments;
pub mod orders;
mod outbox;
pub mod pace;
mod plugins;
mod retry;
mod run;
pub mod samples;
mod settle;
pub mod spool;
mod stopped;
mod swap;
mod telling;
mod workbench;

pub use control::{ControlError, Fetched, Finished, JobControl};
pub use freshness::Currency;
pub use orders::Orders;
pub use pace::Pace;
pub use run::{Core, CoreError, Ended};
pub use telling::Tell;
