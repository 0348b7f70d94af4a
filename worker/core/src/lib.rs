//! Takes jobs from the job server, does them block by block and hands the results in.
//!
//! One job at a time, and every step of it survives a kill at any instant:
//! 1. Claim: the server has made the attempt durable before it answers; the core notes it in a folder of its own
//!    ([`spool`]) before anything else. Killed in between, the next claim does not list it, and the server takes it back.
//! 2. Records: fetched, then saved whole.
//! 3. Blocks: each is processed by the plugin, then appended to the attempt's journal with a checksum and synced. After
//!    a kill, the same attempt goes on behind the last whole block, if the release is still the same; on another
//!    release the job starts again from its first record, so that its provenance stays true.
//! 4. Submit: repeated until the server has accepted or refused the results; only then is the folder removed. A server
//!    that is away loses no finished work, and finished attempts are handed in before any other work is done. One that
//!    is there and fails at one attempt again and again keeps nobody from other work: the attempt is set aside (`aside`).
//!
//! [`Core::run`] is that loop. It may be dropped at any await, which is as good as a kill; that is how a stop order ends
//! it at once. What it talks to is a [`JobControl`], over HTTP ([`http`]) or anything else. Plugins run on a thread of
//! their own (`workbench`), files are written on tokio's blocking threads. What the launcher orders arrives as
//! [`Orders`] (`lifeline` reads them); which releases and which jobs there are is decided elsewhere.

mod aside;
mod beside;
mod causes;
mod clock;
pub mod control;
pub mod http;
mod job;
pub mod lifeline;
pub mod lock;
pub mod moments;
pub mod orders;
mod plugins;
mod retry;
mod run;
pub mod spool;
mod swap;
mod telling;
mod workbench;

pub use control::{ControlError, JobControl};
pub use orders::Orders;
pub use run::{Core, CoreError, Ended, Pace};
pub use telling::Tell;
