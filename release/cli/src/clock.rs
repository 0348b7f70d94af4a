//! The one place of this program that reads the clock.
#![allow(clippy::disallowed_methods, reason = "this file is where the clock is read")]

use std::time::{Duration, Instant};

/// The moment a wait or a measurement began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
