//! When the next job is claimed: at once when none is in hand, ahead of time when the one in hand lasts. Pure.

use std::time::Duration;

use crate::pace::AheadPace;

/// What is known when it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The job in hand; `None` when there is none.
    pub(crate) in_hand: Option<InHand>,
    /// The core drains.
    pub(crate) draining: bool,
    /// Another release is ordered and takes over after the job in hand.
    pub(crate) changing_release: bool,
    /// No plugin of the release works.
    pub(crate) no_plugin: bool,
    /// As many attempts, or bytes of results, are on disk as may be.
    pub(crate) outbox_full: bool,
    /// So long no job is taken, because the disk took no checkpoint.
    pub(crate) no_room_for: Option<Duration>,
    /// Bytes free on the disk; `None` when it does not say.
    pub(crate) disk_free: Option<u64>,
    /// How long the working hours last; `None` when they do not end soon.
    pub(crate) hours_left: Option<Duration>,
    /// Since a claim ahead brought nothing; `None` when the last one brought a job.
    pub(crate) since_none: Option<Duration>,
}

/// How far the job in hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InHand {
    /// How long it is in hand.
    pub(crate) since: Duration,
    /// How long it still takes, as far as that is known.
    pub(crate) left: Option<Duration>,
}

/// What to do about the next job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Claim it, and wait at the server until there is one.
    Claim,
    /// Claim it if there is one: a job is in hand.
    ClaimAhead,
    /// Look again after so long.
    Later(Duration),
    /// Not until something changes.
    Not,
}

/// Decides whether to claim the next job now. Where something only changes with the job in hand, its blocks bring the
/// question up again.
pub(crate) fn decide(facts: &Facts, pace: &AheadPace) -> Verdict {
    if facts.draining || facts.changing_release || facts.no_plugin || facts.outbox_full {
        return Verdict::Not;
    }
    if let Some(wait) = facts.no_room_for {
        return Verdict::Later(wait);
    }
    let Some(InHand { since, left }) = facts.in_hand else { return Verdict::Claim };
    if facts.disk_free.is_some_and(|free| free < pace.least_disk) {
        return Verdict::Not;
    }
    if let Some(wait) = facts.since_none.and_then(|since| pace.again.checked_sub(since)).filter(|wait| !wait.is_zero())
    {
        return Verdict::Later(wait);
    }
    let Some(left) = left else {
        return match pace.unmeasured.checked_sub(since) {
            Some(wait) if !wait.is_zero() => Verdict::Later(wait),
            _ => Verdict::ClaimAhead,
        };
    };
    // The next job could not even begin before the hours are over.
    if facts.hours_left.is_some_and(|hours| hours <= left) || left < pace.least {
        return Verdict::Not;
    }
    match left.checked_sub(pace.lead) {
        Some(wait) if !wait.is_zero() => Verdict::Later(wait),
        _ => Verdict::ClaimAhead,
    }
}

/// How long a job still takes: by its own speed once a part of it is done, else by that of the last job of its plugin.
///
/// `done` of `total` records are done, `here` of them in `since`; `before` is what one record of the plugin took before.
pub(crate) fn left(total: u64, done: u64, here: u64, since: Duration, before: Option<Duration>) -> Option<Duration> {
    let rest = total.saturating_sub(done);
    let each = match here {
        0 => before?.as_secs_f64(),
        here => since.as_secs_f64() / here as f64,
    };
    let left = Duration::try_from_secs_f64(each * rest as f64).unwrap_or(Duration::MAX);
    // Before the first block is done, the time it has already taken counts.
    Some(if here == 0 { left.saturating_sub(since) } else { left })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PACE: AheadPace = AheadPace {
        lead: Duration::from_secs(300),
        least: Duration::from_millis(50),
        unmeasured: Duration::from_secs(2),
        again: Duration::from_secs(30),
        least_disk: 1000,
    };

    fn idle() -> Facts {
        Facts {
            in_hand: None,
            draining: false,
            changing_release: false,
            no_plugin: false,
            outbox_full: false,
            no_room_for: None,
            disk_free: Some(1000),
            hours_left: None,
            since_none: None,
        }
    }

    fn working(left: Option<Duration>) -> Facts {
        Facts { in_hand: Some(InHand { since: SECOND, left }), ..idle() }
    }

    fn verdict(facts: Facts) -> Verdict {
        decide(&facts, &PACE)
    }

    #[test]
    fn a_core_without_a_job_claims_one_and_one_with_a_job_that_lasts_the_next() {
        assert_eq!(verdict(idle()), Verdict::Claim);
        assert_eq!(verdict(working(Some(60 * SECOND))), Verdict::ClaimAhead);
    }

    #[test]
    fn no_job_is_taken_longer_ahead_than_needed() {
        assert_eq!(verdict(working(Some(900 * SECOND))), Verdict::Later(600 * SECOND));
        assert_eq!(verdict(working(Some(300 * SECOND))), Verdict::ClaimAhead);
    }

    #[test]
    fn a_job_that_ends_at_once_needs_none_ahead() {
        assert_eq!(verdict(working(Some(Duration::from_millis(49)))), Verdict::Not);
    }

    #[test]
    fn a_job_of_unknown_length_is_expected_to_last_once_it_has_lasted() {
        assert_eq!(verdict(working(None)), Verdict::Later(SECOND));
        let long = Facts { in_hand: Some(InHand { since: 2 * SECOND, left: None }), ..idle() };
        assert_eq!(verdict(long), Verdict::ClaimAhead);
    }

    #[test]
    fn nothing_is_claimed_while_draining_changing_release_or_with_a_full_outbox() {
        for facts in [working(Some(SECOND)), idle()] {
            assert_eq!(verdict(Facts { draining: true, ..facts }), Verdict::Not);
            assert_eq!(verdict(Facts { changing_release: true, ..facts }), Verdict::Not);
            assert_eq!(verdict(Facts { no_plugin: true, ..facts }), Verdict::Not);
            assert_eq!(verdict(Facts { outbox_full: true, ..facts }), Verdict::Not);
            assert_eq!(verdict(Facts { no_room_for: Some(SECOND), ..facts }), Verdict::Later(SECOND));
        }
    }

    #[test]
    fn nothing_is_claimed_ahead_when_the_disk_is_short_or_the_hours_end_before() {
        let facts = working(Some(60 * SECOND));
        assert_eq!(verdict(Facts { disk_free: Some(999), ..facts }), Verdict::Not);
        assert_eq!(verdict(Facts { disk_free: None, ..facts }), Verdict::ClaimAhead);
        assert_eq!(verdict(Facts { hours_left: Some(60 * SECOND), ..facts }), Verdict::Not);
        assert_eq!(verdict(Facts { hours_left: Some(61 * SECOND), ..facts }), Verdict::ClaimAhead);
        assert_eq!(
            verdict(Facts { disk_free: Some(1), ..idle() }),
            Verdict::Claim,
            "without a job in hand one is tried"
        );
    }

    #[test]
    fn after_a_claim_ahead_that_brought_nothing_the_server_is_left_alone_for_a_while() {
        let facts = working(Some(60 * SECOND));
        assert_eq!(verdict(Facts { since_none: Some(10 * SECOND), ..facts }), Verdict::Later(20 * SECOND));
        assert_eq!(verdict(Facts { since_none: Some(30 * SECOND), ..facts }), Verdict::ClaimAhead);
        assert_eq!(verdict(Facts { since_none: Some(SECOND), ..idle() }), Verdict::Claim);
    }

    #[test]
    fn what_is_left_of_a_job_is_told_by_its_own_speed_or_by_that_of_the_job_before() {
        assert_eq!(left(100, 50, 25, 5 * SECOND, None), Some(10 * SECOND));
        assert_eq!(left(100, 50, 0, 5 * SECOND, Some(SECOND)), Some(45 * SECOND));
        assert_eq!(left(100, 0, 0, 500 * SECOND, Some(SECOND)), Some(Duration::ZERO));
        assert_eq!(left(100, 50, 0, 5 * SECOND, None), None);
        assert_eq!(left(u64::MAX, 0, 1, Duration::MAX, None), Some(Duration::MAX));
    }
}
