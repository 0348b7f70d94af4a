//! Whether and when to ask a job server again: longer waits each time, never all workers at once, and no end while it is
//! away. A server that is there and fails at one attempt again and again gets only so many tries: other work goes on.

use std::time::Duration;

/// Tries at one attempt that a server may fail at, before the attempt is set aside: about two minutes of a usual pace.
pub(crate) const MOST_FAULTS: u32 = 10;
/// Tries to hand in finished work that a draining core makes before it leaves it to the next core.
pub(crate) const TRIES_WHILE_DRAINING: u32 = 3;
/// How long to go on about an attempt at which the server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as it is away, and for a bounded number of faults.
    Full,
    /// One try: it failed at this before.
    Once,
}

/// What a request has met with so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// Tries without an answer.
    pub(crate) tries: u32,
    /// Those of them at which the server was there and failed.
    pub(crate) faults: u32,
}

/// What to do after a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Wait and ask again.
    AskAgain,
    /// Leave it on disk to the next core.
    Leave,
    /// Set the attempt aside, and go on with other work.
    SetAside,
}

/// Decides what to do after a try that failed.
pub(crate) fn after_failure(failures: Failures, patience: Patience, draining: bool) -> Then {
    match patience {
        Patience::Once => Then::SetAside,
        Patience::Full if draining && failures.tries >= TRIES_WHILE_DRAINING => Then::Leave,
        Patience::Full if failures.faults >= MOST_FAULTS => Then::SetAside,
        Patience::Full => Then::AskAgain,
    }
}

/// The wait after the `failures`-th failure in a row (from 1): doubles from `first` up to `most`, then `chance`, a number
/// from 0 to 1, takes up to half of it off.
pub(crate) fn wait(failures: u32, first: Duration, most: Duration, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = first.saturating_mul(1 << doublings).min(most);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_second_half() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(30));
        let waits: Vec<u64> = (1..=7).map(|failures| wait(failures, first, most, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(wait(7, first, most, 1.0), Duration::from_secs(15));
        assert_eq!(wait(u32::MAX, first, most, 0.5), Duration::from_millis(22_500));
    }

    fn then(tries: u32, faults: u32, patience: Patience, draining: bool) -> Then {
        after_failure(Failures { tries, faults }, patience, draining)
    }

    #[test]
    fn a_server_that_is_away_is_asked_without_end_and_one_that_fails_ten_times() {
        assert_eq!(then(u32::MAX, 0, Patience::Full, false), Then::AskAgain);
        assert_eq!(then(1000, 9, Patience::Full, false), Then::AskAgain);
        assert_eq!(then(10, 10, Patience::Full, false), Then::SetAside);
        assert_eq!(then(1, 0, Patience::Once, false), Then::SetAside);
    }

    #[test]
    fn a_draining_core_asks_a_few_times_and_leaves_the_rest_to_the_next() {
        assert_eq!(then(2, 2, Patience::Full, true), Then::AskAgain);
        assert_eq!(then(3, 0, Patience::Full, true), Then::Leave);
        assert_eq!(then(30, 10, Patience::Full, true), Then::Leave);
    }
}
