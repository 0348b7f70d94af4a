//! The cap on bulk transfers: records on their way here and results on their way to the server. Heartbeats, claims and
//! everything else that is small never wait for it.
//!
//! [`Bucket`] is pure: tokens are bytes, they come in at the cap's rate, a second's worth at most is saved up, and what
//! is taken beyond that is a debt that has to be waited for. So whoever transfers the next piece waits for the pieces
//! before it, and several transfers at once share the cap.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// So many bytes are paced at a time.
pub(crate) const PIECE: usize = 16 * 1024;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    bytes_per_second: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// An empty bucket at the moment `now`.
    pub(crate) fn new(bytes_per_second: u64, now: Duration) -> Bucket {
        Bucket { bytes_per_second: bytes_per_second.max(1) as f64, level: 0.0, at: now }
    }

    /// Takes tokens at `now` and returns how long to wait before the bytes may go.
    pub(crate) fn take(&mut self, bytes: usize, now: Duration) -> Duration {
        let came_in = now.saturating_sub(self.at).as_secs_f64() * self.bytes_per_second;
        self.level = (self.level + came_in).min(self.bytes_per_second) - bytes as f64;
        self.at = self.at.max(now);
        Duration::try_from_secs_f64(-self.level / self.bytes_per_second).unwrap_or_default()
    }
}

/// The cap of one client, which may be changed while transfers are under way.
#[derive(Debug)]
pub(crate) struct Cap {
    began: Stopwatch,
    bucket: Mutex<Option<Bucket>>,
}

impl Default for Cap {
    fn default() -> Cap {
        Cap { began: Stopwatch::start(), bucket: Mutex::default() }
    }
}

impl Cap {
    fn bucket(&self) -> MutexGuard<'_, Option<Bucket>> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the cap, or takes it away.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        let now = self.began.elapsed();
        *self.bucket() = bytes_per_second.map(|rate| Bucket::new(rate, now));
    }

    /// How long a body takes under the cap, beyond what a network without one takes.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        let rate = self.bucket().map(|bucket| bucket.bytes_per_second);
        rate.map_or(Duration::ZERO, |rate| Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(Duration::MAX))
    }

    /// Whether there is a cap.
    pub(crate) fn is_set(&self) -> bool {
        self.bucket().is_some()
    }

    /// Waits until so many bytes may go.
    pub(crate) async fn pass(&self, bytes: usize) {
        let wait = self.bucket().as_mut().map(|bucket| bucket.take(bytes, self.began.elapsed()));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_transfer_takes_as_long_as_the_cap_says() {
        let mut bucket = Bucket::new(1000, Duration::ZERO);
        let mut now = Duration::ZERO;
        for _ in 0..10 {
            now += bucket.take(500, now);
        }
        assert_eq!(now, 5 * SECOND);
    }

    #[test]
    fn transfers_at_once_share_the_cap() {
        let mut bucket = Bucket::new(1000, Duration::ZERO);
        let waits = [bucket.take(1000, Duration::ZERO), bucket.take(1000, Duration::ZERO)];
        assert_eq!(waits, [SECOND, 2 * SECOND]);
    }

    #[test]
    fn a_second_of_silence_is_saved_up_and_not_an_hour() {
        let mut bucket = Bucket::new(1000, Duration::ZERO);
        assert_eq!(bucket.take(1000, 3600 * SECOND), Duration::ZERO);
        assert_eq!(bucket.take(1000, 3600 * SECOND), SECOND);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_never_frees_bytes() {
        let mut bucket = Bucket::new(1000, 10 * SECOND);
        assert_eq!(bucket.take(1000, 5 * SECOND), SECOND);
        assert_eq!(bucket.take(1000, 10 * SECOND), 2 * SECOND);
    }
}
