//! The one place of this crate that reads the clock.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use std::time::{Duration, Instant};

/// Measures a piece of time from its making on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
