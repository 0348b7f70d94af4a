//! The one place of this crate where the clock is read.
#![allow(clippy::disallowed_methods, reason = "this is the crate's clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use nightshift_wire::Moment;

/// Tells the moment: by the machine's clock, by that of a database, or as a test set it.
#[derive(Debug, Clone)]
pub struct Clock(By);

#[derive(Debug, Clone)]
enum By {
    Machine,
    /// So many milliseconds later than the machine says.
    Database(Arc<AtomicI64>),
    Hand(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(By::Machine)
    }

    /// The machine's clock, set right by what is written into the handle: so many milliseconds are added.
    pub(crate) fn set_right() -> (Clock, Arc<AtomicI64>) {
        let ahead = Arc::new(AtomicI64::new(0));
        (Clock(By::Database(Arc::clone(&ahead))), ahead)
    }

    /// A clock that stands at `moment` until it is set again through the handle.
    pub fn set_by_hand(moment: Moment) -> (Clock, Arc<AtomicI64>) {
        let hand = Arc::new(AtomicI64::new(moment));
        (Clock(By::Hand(Arc::clone(&hand))), hand)
    }

    /// Now, in milliseconds since 1970 UTC.
    pub fn now(&self) -> Moment {
        match &self.0 {
            By::Machine => machine(),
            By::Database(ahead) => machine().saturating_add(ahead.load(Ordering::Relaxed)),
            By::Hand(hand) => hand.load(Ordering::Relaxed),
        }
    }
}

fn machine() -> Moment {
    Timestamp::now().as_millisecond()
}

/// A moment of the server as a point in time.
pub fn timestamp(moment: Moment) -> Timestamp {
    Timestamp::from_millisecond(moment).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The end of a wait that begins now, for tokio's timers.
pub fn deadline(wait: std::time::Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + wait
}

/// Milliseconds from `began` to `now`.
pub(crate) fn since(began: tokio::time::Instant, now: tokio::time::Instant) -> Moment {
    Moment::try_from(now.saturating_duration_since(began).as_millis()).unwrap_or(Moment::MAX)
}

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
