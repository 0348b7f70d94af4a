//! The one place of this crate that reads clocks.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use jiff::Timestamp;
use nightshift_contract::wake::Clocks;
pub(crate) use nightshift_kin::Stopwatch;
use rustix::time::{ClockId, clock_gettime};

/// Wall-clock time, for working hours.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// All clocks at once, to see whether time jumped.
pub(crate) fn clocks() -> Clocks {
    let read = |clock| {
        let time = clock_gettime(clock);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
    };
    let (awake, since_start) = (read(ClockId::Monotonic), read(ClockId::Boottime));
    Clocks { wall: now().as_millisecond(), awake, since_start }
}
