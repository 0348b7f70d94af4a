//! The one place of this crate that reads clocks.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightshift_contract::wake::Clocks;
use rustix::time::{ClockId, clock_gettime};

/// Measures a piece of time from its making on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

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
