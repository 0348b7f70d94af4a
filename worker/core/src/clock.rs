//! The one place of this crate that reads clocks.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

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
