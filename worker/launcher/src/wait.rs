//! Waiting for something another process does, where nothing can be waited on: looks again until a deadline.
#![allow(clippy::disallowed_methods, reason = "the one file of the launcher that sleeps between looks")]

use std::time::Duration;

use crate::clock;

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Calls `look` until it answers or `at_most` has passed; `None` when it never did. `look` is called at least once.
pub fn until<T>(at_most: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock::since_start() + u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX / 2);
    loop {
        if let Some(answer) = look() {
            return Some(answer);
        }
        if clock::since_start() >= deadline {
            return None;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
