//! How long a worker that cannot look at the repository carries on: it cannot see the stop flag either.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::duration;

/// A moment by both clocks of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The wall clock, which people and time servers set.
    pub wall: Timestamp,
    /// Milliseconds since the machine's start, time asleep included.
    pub since_boot_ms: u64,
    /// Names the machine's start, so that times since different starts are not compared.
    pub boot: String,
}

/// Whether to carry on without having looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offline {
    /// Carry on with the release in force.
    CarryOn {
        /// For this long.
        left: Duration,
    },
    /// Take no new jobs.
    Over {
        /// Why, in a sentence.
        reason: String,
    },
}

/// Judges by the larger of what the two clocks say has passed since the last look that counted. A wall clock gone back
/// counts as expired: nobody knows how much has passed.
pub fn judge(now: &Moment, last_look: Option<&Moment>, max_offline: Duration) -> Offline {
    let over = |reason: &str| Offline::Over { reason: reason.to_owned() };
    let Some(last) = last_look else { return over("the repository was never looked at") };
    let Ok(by_wall) = Duration::try_from(now.wall.duration_since(last.wall)) else {
        return over("the clock went back since the last look at the repository");
    };
    let by_boot = match now.boot == last.boot {
        true => Duration::from_millis(now.since_boot_ms.saturating_sub(last.since_boot_ms)),
        false => Duration::ZERO,
    };
    let passed = by_wall.max(by_boot);
    match max_offline.checked_sub(passed) {
        Some(left) if !left.is_zero() => Offline::CarryOn { left },
        _ => Offline::Over {
            reason: format!(
                "the last look at the repository was {} ago, and max_offline is {}",
                duration::show(passed),
                duration::show(max_offline)
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// `hours` on the wall clock and since a start of the machine.
    fn moment(wall_hours: i64, boot_hours: u64, boot: &str) -> Moment {
        let wall = Timestamp::from_second(1_772_000_000 + wall_hours * 3600).expect("a time");
        Moment { wall, since_boot_ms: boot_hours * 3_600_000, boot: boot.to_owned() }
    }

    #[test]
    fn a_worker_carries_on_for_max_offline_after_its_last_look() {
        let last = moment(0, 1, "a");
        let left = Duration::from_secs(60 * 60);
        assert_eq!(judge(&moment(23, 24, "a"), Some(&last), DAY), Offline::CarryOn { left });
        assert_eq!(
            judge(&moment(24, 25, "a"), Some(&last), DAY),
            Offline::Over { reason: "the last look at the repository was 1d ago, and max_offline is 1d".into() }
        );
    }

    #[test]
    fn the_clock_that_says_more_counts() {
        let last = moment(0, 1, "a");
        assert!(matches!(judge(&moment(1, 30, "a"), Some(&last), DAY), Offline::Over { .. }));
        assert!(matches!(judge(&moment(30, 2, "a"), Some(&last), DAY), Offline::Over { .. }));
    }

    #[test]
    fn a_clock_gone_back_counts_as_expired() {
        let last = moment(10, 1, "a");
        assert!(matches!(judge(&moment(9, 2, "a"), Some(&last), DAY), Offline::Over { .. }));
    }

    #[test]
    fn times_since_different_starts_of_the_machine_are_not_compared() {
        let last = moment(0, 100, "a");
        let left = Duration::from_secs(23 * 60 * 60);
        assert_eq!(judge(&moment(1, 0, "b"), Some(&last), DAY), Offline::CarryOn { left });
    }

    #[test]
    fn a_worker_that_never_looked_takes_no_jobs() {
        assert!(matches!(judge(&moment(0, 0, "a"), None, DAY), Offline::Over { .. }));
    }
}
