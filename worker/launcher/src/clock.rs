//! The launcher's clocks. Deciders take `now`; it is read here and handed in.
#![allow(clippy::disallowed_methods, reason = "the one file of the launcher that reads clocks")]

use jiff::Timestamp;
use nightshift_contract::wake::Clocks;
pub use nightshift_engine::clock::moment;
use rustix::time::{ClockId, clock_gettime};

/// Wall-clock time: for working hours and for people.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Milliseconds since this machine started, suspended time included; never goes back while the machine runs.
pub fn since_start() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// All clocks at once, to see whether time jumped.
pub fn clocks() -> Clocks {
    let awake = clock_gettime(ClockId::Monotonic);
    let awake = u64::try_from(awake.tv_sec).unwrap_or(0) * 1000 + u64::try_from(awake.tv_nsec).unwrap_or(0) / 1_000_000;
    Clocks { wall: now().as_millisecond(), awake, since_start: since_start() }
}
