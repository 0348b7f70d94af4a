//! What a failure or a lost lease leads to, and how long a job waits after a failure.
//!
//! Stops never come here. Lost leases have a limit of their own, far above what switching PCs off does by chance: a job
//! that takes its machine down each time must end, a good one must not.

use nightshift_wire::Moment;

use crate::life::JobEvent;

/// So many lost leases quarantine a job.
pub const MOST_LOSSES: u32 = 10;

/// The wait after the first failure.
const FIRST_BACK_OFF_MS: u64 = 30_000;
/// No wait is longer.
const LONGEST_BACK_OFF_MS: u64 = 15 * 60_000;
/// Whoever claims may have looked at the clock a little before the failure was noted.
const TOLERANCE_MS: u64 = 60_000;

/// What happens to a job whose plugin failed for the `failures`-th time, this time included.
pub fn after_failure(failures: u32, max_attempts: u32) -> JobEvent {
    if failures < max_attempts { JobEvent::Failed } else { JobEvent::GivenUp }
}

/// What happens to a job whose lease ran out for the `losses`-th time, this time included.
pub fn after_loss(losses: u32) -> JobEvent {
    if losses < MOST_LOSSES { JobEvent::Lost } else { JobEvent::LostTooOften }
}

/// Why a job that was lost too often is quarantined; `last` says how it was lost this time.
pub fn lost_too_often(losses: u32, last: &str) -> String {
    format!(
        "PCs went away under it {losses} times, the last time: {last}; see whether it takes them down, then retry it"
    )
}

/// The moment before which nobody gets a job that failed for the `failures`-th time: waits of half a minute, doubling,
/// a quarter of an hour at most.
pub fn not_before(failures: u32, now: Moment) -> Moment {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    now.saturating_add_unsigned(FIRST_BACK_OFF_MS.saturating_mul(doubled).min(LONGEST_BACK_OFF_MS))
}

/// Whether a job that was not to go out before a moment may. A moment that lies further ahead than a wait is long is of a
/// clock that went back since.
pub fn is_due(not_before: Moment, now: Moment) -> bool {
    not_before <= now || not_before > now.saturating_add_unsigned(LONGEST_BACK_OFF_MS + TOLERANCE_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn switching_pcs_off_does_not_quarantine_a_job_before_its_tenth_time() {
        assert_eq!(after_loss(1), JobEvent::Lost);
        assert_eq!(after_loss(9), JobEvent::Lost);
        assert_eq!(after_loss(10), JobEvent::LostTooOften);
        assert_eq!(after_loss(u32::MAX), JobEvent::LostTooOften);
    }

    #[test]
    fn a_job_lost_too_often_says_so_and_what_to_do() {
        let reason = lost_too_often(10, "the lease of attempt 12 ran out");
        assert_eq!(
            reason,
            "PCs went away under it 10 times, the last time: the lease of attempt 12 ran out; see whether it takes them \
             down, then retry it"
        );
    }

    #[test]
    fn the_wait_after_a_failure_doubles_up_to_a_quarter_of_an_hour() {
        let waits: Vec<i64> = (1..=7).map(|failures| not_before(failures, 0) / 1000).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn a_job_that_failed_by_a_clock_that_went_back_since_is_due() {
        let year = 365 * 24 * 3_600_000;
        assert!(is_due(not_before(1, year), 0) && is_due(not_before(9, year), 0));
        assert!(!is_due(not_before(9, 60_000), 0), "both saw nearly the same clock");
    }

    proptest! {
        #[test]
        fn a_wait_is_over_at_its_moment_and_not_before(failures: u32, now in 0..Moment::MAX / 2) {
            let until = not_before(failures, now);
            prop_assert!(!is_due(until, now) && !is_due(until, until - 1) && is_due(until, until));
        }

        #[test]
        fn no_number_of_failures_makes_a_job_wait_less_or_for_ever(failures: u32, now: Moment) {
            let until = not_before(failures, now);
            prop_assert!(until >= now && until.saturating_sub(now) <= 15 * 60_000);
            prop_assert!(not_before(failures.saturating_add(1), now) >= until);
        }
    }

    #[test]
    fn a_job_is_quarantined_at_its_last_allowed_failure() {
        assert_eq!(after_failure(1, 3), JobEvent::Failed);
        assert_eq!(after_failure(2, 3), JobEvent::Failed);
        assert_eq!(after_failure(3, 3), JobEvent::GivenUp);
    }

    #[test]
    fn a_job_with_one_attempt_or_none_is_quarantined_at_once() {
        assert_eq!(after_failure(1, 1), JobEvent::GivenUp);
        assert_eq!(after_failure(1, 0), JobEvent::GivenUp);
    }
}
