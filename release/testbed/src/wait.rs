//! Waiting for what other processes do: looks again until a deadline, and says what did not happen.
//!
//! The one place where tests, benchmarks and the demo poll. Where something can be waited on, wait on that.
#![allow(clippy::disallowed_methods, reason = "the one file that polls across a process boundary")]

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a thing may take that takes a moment on an idle machine; generous, because test machines are loaded.
pub const SOON: Duration = Duration::from_secs(60);

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long ago something was.
#[derive(Debug, Clone, Copy)]
pub struct Since(Option<Instant>);

impl Since {
    /// It is now.
    pub fn now() -> Since {
        Since(Some(Instant::now()))
    }

    /// It never was.
    pub fn long_ago() -> Since {
        Since(None)
    }

    /// How long ago.
    pub fn elapsed(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.elapsed())
    }
}

/// Calls `look` until it answers; `what` names what is waited for.
///
/// # Errors
/// When it never answered within `at_most`.
pub fn until<T>(what: impl Display, at_most: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    until_ok(what, at_most, || Ok(look()))
}

/// As [`until`], with a `look` that can fail for good.
///
/// # Errors
/// When `look` failed, or never answered within `at_most`.
pub fn until_ok<T>(what: impl Display, at_most: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = look()? {
            return Ok(answer);
        }
        if begun.elapsed() >= at_most {
            bail!("waited {} s for {what}; it did not happen", at_most.as_secs());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
