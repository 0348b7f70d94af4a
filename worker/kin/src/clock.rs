//! The one place of this crate that reads the clock: a stopwatch, which the crates above it use too.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use std::time::{Duration, Instant};

/// Measures a piece of time from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
