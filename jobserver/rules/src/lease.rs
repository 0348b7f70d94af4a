//! Leases: how long a claimed job is its worker's, when that is over, and what a sign of life leads to.
//!
//! A lease is over only when the store takes the job back; until then a heartbeat renews it however late it comes,
//! because nobody else wants the job yet. Lengths come from measured times, moments from the server's clock.

use nightshift_wire::{JobState, Moment};

use crate::{
    acceptance::{self, NotWanted},
    attempt::{AttemptFacts, AttemptState, JobFacts},
    auto_size::Speed,
};

/// No lease is longer: a worker that is gone for good must not keep a job for longer than a day.
pub const CEILING_MS: u64 = 24 * 60 * 60 * 1000;

/// The lease of a job: twice the time it is expected to take, but no shorter than the grid's setting and no longer
/// than [`CEILING_MS`]. A plugin of which no job was done yet is expected to be as fast as with its samples; one of which
/// nothing is known gets the setting.
pub fn length(records: u64, speed: Speed, shortest_ms: u64) -> u64 {
    let expected_ms = speed.measured().expected_ms(records).unwrap_or(0);
    expected_ms.saturating_mul(2).max(shortest_ms).min(CEILING_MS)
}

/// The lease of a job that waits on its worker behind another: its own length and that of the one before it.
pub fn behind(own_ms: u64, before_ms: u64) -> u64 {
    own_ms.saturating_add(before_ms).min(CEILING_MS)
}

/// By how much every running lease is extended because no server was there to hear a sign of life: the time since the
/// last server was alive, when that is more than the tolerance; `None` also when there was none yet, or the clock went
/// back.
pub fn gap(last_alive: Option<Moment>, now: Moment, tolerance_ms: u64) -> Option<u64> {
    let away = u64::try_from(now.checked_sub(last_alive?)?).ok()?;
    (away > tolerance_ms).then_some(away)
}

/// The moment a lease runs out when it is given or renewed now.
pub fn renew(now: Moment, length_ms: u64) -> Moment {
    now.saturating_add_unsigned(length_ms)
}

/// When is a lease lost? From the moment on that it runs until.
pub fn is_over(until: Moment, now: Moment) -> bool {
    until <= now
}

/// What a heartbeat leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The attempt holds the job: its lease is renewed.
    Renew,
    /// The attempt was lost and nobody else has the job: it is this attempt's again.
    TakeUp,
    /// The worker may drop the job.
    NotWanted(NotWanted),
}

/// Judges a sign of life. The caller has checked the attempt's secret.
pub fn heartbeat(job: &JobFacts, attempt: &AttemptFacts) -> Beat {
    if let Err(reason) = acceptance::needed(job, attempt) {
        return Beat::NotWanted(reason);
    }
    if job.state == JobState::Suspended {
        return Beat::NotWanted(NotWanted::Suspended);
    }
    match (job.attempt, attempt.state) {
        (Some(by), _) if by == attempt.id => Beat::Renew,
        (Some(by), _) => Beat::NotWanted(NotWanted::HeldBy { by }),
        (None, AttemptState::Lost) if job.state == JobState::Waiting => Beat::TakeUp,
        (None, _) => Beat::NotWanted(NotWanted::GivenBack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::Measured;

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_lease_is_lost_from_the_moment_on_that_it_runs_until() {
        let until = renew(1_000, 500);
        assert!(!is_over(until, 1_499));
        assert!(is_over(until, 1_500));
        assert!(is_over(until, Moment::MAX));
    }

    #[test]
    fn a_lease_is_twice_the_expected_time_within_floor_and_ceiling() {
        let second_each = Speed::Measured(Measured { records: 100, work_ms: 100_000 });
        assert_eq!(length(1_000, second_each, MINUTE), 2_000_000);
        assert_eq!(length(10, second_each, MINUTE), MINUTE);
        assert_eq!(length(1_000_000, second_each, MINUTE), CEILING_MS);
        assert_eq!(length(u64::MAX, second_each, MINUTE), CEILING_MS);
    }

    #[test]
    fn a_plugin_of_which_nothing_is_known_gets_the_grids_setting() {
        assert_eq!(length(1_000_000, Speed::Unknown, 15 * MINUTE), 15 * MINUTE);
    }

    #[test]
    fn a_lease_follows_the_samples_until_a_job_was_done() {
        let none = Measured::default();
        let samples = Measured { records: 2, work_ms: 20_000 };
        assert_eq!(length(1_000, Speed::of(none, samples), MINUTE), 20_000_000, "ten seconds a record");
        assert_eq!(length(1, Speed::of(none, samples), MINUTE), MINUTE);
        assert_eq!(length(u64::MAX, Speed::of(none, samples), MINUTE), CEILING_MS);
        let jobs = Measured { records: 1_000, work_ms: 100_000 };
        assert_eq!(length(1_000, Speed::of(jobs, samples), MINUTE), 200_000, "what was really done counts more");
    }

    #[test]
    fn a_prefetched_job_has_the_time_of_the_one_before_it_as_well() {
        assert_eq!(behind(15 * MINUTE, 40 * MINUTE), 55 * MINUTE);
        assert_eq!(behind(CEILING_MS, 1), CEILING_MS);
        assert_eq!(behind(u64::MAX, u64::MAX), CEILING_MS);
    }

    #[test]
    fn leases_are_extended_by_the_time_no_server_was_there_to_hear() {
        assert_eq!(gap(Some(1_000), 3_601_000, 10_000), Some(3_600_000));
        assert_eq!(gap(Some(1_000), 11_001, 10_000), Some(10_001));
    }

    #[test]
    fn a_pause_within_the_tolerance_a_clock_gone_back_and_a_first_start_extend_nothing() {
        assert_eq!(gap(Some(1_000), 11_000, 10_000), None);
        assert_eq!(gap(Some(5_000), 1_000, 10_000), None);
        assert_eq!(gap(Some(Moment::MIN), Moment::MAX, 10_000), None);
        assert_eq!(gap(None, 1_000_000, 10_000), None);
    }

    #[test]
    fn a_moment_never_overflows() {
        assert_eq!(renew(Moment::MAX - 1, CEILING_MS), Moment::MAX);
    }

    fn facts(job: (JobState, Option<i64>), attempt: AttemptState) -> (JobFacts, AttemptFacts) {
        (
            JobFacts { state: job.0, revision: 1, attempt: job.1, first_record: 1, records: 1 },
            AttemptFacts { id: 7, state: attempt, revision: 1 },
        )
    }

    #[test]
    fn a_heartbeat_renews_takes_up_or_says_why_not() {
        use {AttemptState::*, JobState as Job};
        let cases = [
            ((Job::Running, Some(7)), Running, Beat::Renew),
            ((Job::Waiting, None), Lost, Beat::TakeUp),
            ((Job::Running, Some(8)), Lost, Beat::NotWanted(NotWanted::HeldBy { by: 8 })),
            ((Job::Waiting, None), GivenBack, Beat::NotWanted(NotWanted::GivenBack)),
            ((Job::Done, Some(7)), Accepted, Beat::NotWanted(NotWanted::Done)),
            ((Job::Done, Some(8)), Superseded, Beat::NotWanted(NotWanted::Done)),
            ((Job::Quarantined, None), Lost, Beat::NotWanted(NotWanted::Quarantined)),
            ((Job::Suspended, None), Lost, Beat::NotWanted(NotWanted::Suspended)),
            ((Job::Deleted, None), Lost, Beat::NotWanted(NotWanted::Deleted)),
        ];
        for (job, attempt, beat) in cases {
            let (job, attempt) = facts(job, attempt);
            assert_eq!(heartbeat(&job, &attempt), beat, "{job:?} {attempt:?}");
        }
    }

    #[test]
    fn an_attempt_lost_to_a_suspension_takes_its_job_up_again_once_it_is_resumed() {
        let (job, attempt) = facts((JobState::Waiting, None), AttemptState::Lost);
        assert_eq!(heartbeat(&job, &attempt), Beat::TakeUp);
    }

    #[test]
    fn an_attempt_of_an_older_revision_is_not_renewed() {
        let (job, attempt) = facts((JobState::Running, Some(7)), AttemptState::Running);
        let changed = JobFacts { revision: 2, ..job };
        let stale = NotWanted::StaleRevision { given: 1, now: 2 };
        assert_eq!(heartbeat(&changed, &attempt), Beat::NotWanted(stale));
    }
}
