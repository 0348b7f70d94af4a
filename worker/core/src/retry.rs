//! How long to wait before asking a job server again that is away: longer each time, and never all workers at once.

use std::time::Duration;

/// The wait after the `failures`-th failure in a row (from 1): doubles from `first` up to `most`, then `chance`, a number
/// from 0 to 1, takes up to half of it off.
pub(crate) fn wait(failures: u32, first: Duration, most: Duration, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let whole = first.saturating_mul(1 << doublings).min(most);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

/// Tries to hand in finished work that a draining core makes before it leaves it to the next core.
pub(crate) const TRIES_WHILE_DRAINING: u32 = 3;

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
}
