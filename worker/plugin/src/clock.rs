//! The one place of this crate that reads the clock: an alarm that a long query looks at, and an allowance.
#![allow(clippy::disallowed_methods, reason = "the file that may read the clock")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(crate) use nightshift_kin::Stopwatch;

/// Rings once a set time is over. Shared between the one who sets it and the one who is to stop.
#[derive(Debug)]
pub(crate) struct Alarm {
    start: Instant,
    due_ms: AtomicU64,
    stopped: AtomicBool,
}

impl Alarm {
    /// An alarm that is off.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), due_ms: AtomicU64::new(u64::MAX), stopped: AtomicBool::new(false) }
    }

    /// Sets it to ring after `time`.
    pub(crate) fn set(&self, time: Duration) {
        let due = self.start.elapsed().saturating_add(time).as_millis();
        self.due_ms.store(u64::try_from(due).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Lets it ring until [`Alarm::forget_stop`], whatever it is set to.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Takes an earlier stop back.
    pub(crate) fn forget_stop(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// Whether it was stopped, and that not taken back.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Switches it off.
    pub(crate) fn off(&self) {
        self.due_ms.store(u64::MAX, Ordering::Relaxed);
    }

    /// How long until it rings, in milliseconds' steps; long when it is off.
    pub(crate) fn left(&self) -> Duration {
        let due = Duration::from_millis(self.due_ms.load(Ordering::Relaxed));
        due.saturating_sub(self.start.elapsed())
    }

    /// Whether it rings now.
    pub(crate) fn rings(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
            || self.start.elapsed().as_millis() >= u128::from(self.due_ms.load(Ordering::Relaxed))
    }
}

/// Lets so much through in a burst, and then one more each second.
#[derive(Debug)]
pub(crate) struct Allowance {
    burst: f64,
    left: f64,
    looked: Instant,
}

impl Allowance {
    /// All of `burst` is there.
    pub(crate) fn of(burst: u32) -> Self {
        Self { burst: burst.into(), left: burst.into(), looked: Instant::now() }
    }

    /// Takes one, where there is one.
    pub(crate) fn take(&mut self) -> bool {
        let now = Instant::now();
        self.left = (self.left + (now - self.looked).as_secs_f64()).min(self.burst);
        self.looked = now;
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}
