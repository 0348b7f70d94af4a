//! Whose results are accepted: the first whole set from any attempt the job still needs.
//!
//! The store asks inside the transaction that stores the results, so that the facts cannot change in between.
//! The order of the questions matters: an attempt accepted before is acknowledged before anything else is looked at,
//! and results are compared only for an attempt that is wanted, on data of the primary that the job asks for.

use nightshift_wire::{AttemptId, JobState, RecordId};

use crate::attempt::{AttemptFacts, AttemptState, JobFacts};

/// What to do with a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Store the results and complete the job.
    Accept,
    /// This attempt was accepted before: acknowledge, change nothing.
    Repeated,
    /// The job does not need this attempt: refuse, change nothing.
    NotWanted(NotWanted),
    /// The results were computed on another primary's data: refuse, change nothing.
    OtherPrimary(OtherPrimary),
    /// The results do not match the job's records one to one: refuse, change nothing.
    WrongResults(WrongResults),
}

/// Why a job does not need an attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWanted {
    /// The job was changed after the attempt began.
    #[error("the job is at revision {now}, this attempt works on revision {given}")]
    StaleRevision {
        /// The attempt's revision.
        given: u32,
        /// The job's revision.
        now: u32,
    },
    /// Results were accepted, of this attempt or of another.
    #[error("the job is done: its results were accepted")]
    Done,
    /// The job failed too often.
    #[error("the job is quarantined")]
    Quarantined,
    /// An admin suspended the job. Its results would be accepted all the same.
    #[error("the job is suspended")]
    Suspended,
    /// An admin deleted the job.
    #[error("the job was deleted")]
    Deleted,
    /// Another attempt holds the job.
    #[error("the job is in the hands of attempt {by}")]
    HeldBy {
        /// The attempt that holds it.
        by: AttemptId,
    },
    /// The attempt was given back by its worker.
    #[error("the attempt was given back")]
    GivenBack,
    /// The release that computed the results is denied.
    #[error("{release} computed the results, and it is denied: {reason}")]
    ReleaseDenied {
        /// Tag of the release.
        release: String,
        /// Why it is denied.
        reason: String,
    },
}

/// Whose data a job asks for, and whose its results were computed on; as in `DataPosition::primary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Primaries<'a> {
    /// The primary of the position that the job is pinned to, when it is.
    pub pinned: Option<&'a str>,
    /// The primary of the position that the worker tells, when it tells one.
    pub reached: Option<&'a str>,
}

/// Results that say nothing about the data that the job asks for. Positions of one primary mean nothing on another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the results were computed on data of {reached}, and the job asks for data of {pinned}; it is to be done again there"
)]
pub struct OtherPrimary {
    /// The primary that the job asks for.
    pub pinned: String,
    /// The one whose data it was.
    pub reached: String,
}

/// How results fail to match the job's records one to one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongResults {
    /// A result for a record of another job.
    #[error("record {0} is not one of this job's; a submission has exactly one result for each record of its job")]
    Foreign(RecordId),
    /// Two results for one record.
    #[error("record {0} has two results; a submission has exactly one result for each record of its job")]
    Repeated(RecordId),
    /// No result for a record.
    #[error("record {0} has no result; a submission has exactly one result for each record of its job")]
    Missing(RecordId),
}

/// Judges a submission. The caller has checked the attempt's secret.
pub fn judge(
    job: &JobFacts,
    attempt: &AttemptFacts,
    primaries: Primaries<'_>,
    results: impl IntoIterator<Item = RecordId>,
) -> Verdict {
    if attempt.state == AttemptState::Accepted {
        return Verdict::Repeated;
    }
    if let Err(reason) = needed(job, attempt) {
        return Verdict::NotWanted(reason);
    }
    if let Primaries { pinned: Some(pinned), reached: Some(reached) } = primaries
        && pinned != reached
    {
        let (pinned, reached) = (pinned.to_owned(), reached.to_owned());
        return Verdict::OtherPrimary(OtherPrimary { pinned, reached });
    }
    match one_each(job, results) {
        Ok(()) => Verdict::Accept,
        Err(wrong) => Verdict::WrongResults(wrong),
    }
}

/// Judges a submission that a denied release computed: an attempt that was accepted before the release was denied is
/// acknowledged as ever; any other is refused with the reason.
pub fn judge_denied(attempt: &AttemptFacts, release: &str, reason: &str) -> Verdict {
    match attempt.state {
        AttemptState::Accepted => Verdict::Repeated,
        _ => Verdict::NotWanted(NotWanted::ReleaseDenied { release: release.to_owned(), reason: reason.to_owned() }),
    }
}

/// Whether the job would take results of this attempt now: it waits again, runs, whoever holds it, or is suspended (the
/// work is needed all the same), and was not changed since.
pub fn needed(job: &JobFacts, attempt: &AttemptFacts) -> Result<(), NotWanted> {
    if attempt.revision != job.revision {
        return Err(NotWanted::StaleRevision { given: attempt.revision, now: job.revision });
    }
    match job.state {
        JobState::Receiving | JobState::Waiting | JobState::Running | JobState::Suspended => Ok(()),
        JobState::Done => Err(NotWanted::Done),
        JobState::Quarantined => Err(NotWanted::Quarantined),
        JobState::Deleted => Err(NotWanted::Deleted),
    }
}

/// Exactly one result for each record of the job.
fn one_each(job: &JobFacts, results: impl IntoIterator<Item = RecordId>) -> Result<(), WrongResults> {
    let mut seen = vec![false; usize::try_from(job.records).unwrap_or(usize::MAX)];
    for id in results {
        let place = id.checked_sub(job.first_record).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| seen.get_mut(place)) {
            None => return Err(WrongResults::Foreign(id)),
            Some(true) => return Err(WrongResults::Repeated(id)),
            Some(seen) => *seen = true,
        }
    }
    match (job.first_record..).zip(&seen).find(|(_, seen)| !**seen) {
        Some((id, _)) => Err(WrongResults::Missing(id)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(state: JobState, attempt: Option<AttemptId>) -> JobFacts {
        JobFacts { state, revision: 1, attempt, first_record: 100, records: 3 }
    }

    fn attempt(state: AttemptState) -> AttemptFacts {
        AttemptFacts { id: 7, state, revision: 1 }
    }

    /// Judged without any position.
    fn judge(job: &JobFacts, attempt: &AttemptFacts, results: impl IntoIterator<Item = RecordId>) -> Verdict {
        super::judge(job, attempt, Primaries::default(), results)
    }

    const WHOLE: [RecordId; 3] = [102, 100, 101];

    #[test]
    fn a_whole_set_of_results_is_accepted_in_any_order() {
        let running = job(JobState::Running, Some(7));
        assert_eq!(judge(&running, &attempt(AttemptState::Running), WHOLE), Verdict::Accept);
    }

    #[test]
    fn a_late_attempt_is_accepted_while_the_job_waits_again_or_runs_elsewhere() {
        for job in [job(JobState::Waiting, None), job(JobState::Running, Some(8))] {
            for state in [AttemptState::Lost, AttemptState::GivenBack] {
                assert_eq!(judge(&job, &attempt(state), WHOLE), Verdict::Accept, "{job:?} {state:?}");
            }
        }
    }

    #[test]
    fn the_same_submission_again_is_acknowledged_whatever_it_carries_now() {
        let done = job(JobState::Done, Some(7));
        assert_eq!(judge(&done, &attempt(AttemptState::Accepted), WHOLE), Verdict::Repeated);
        assert_eq!(judge(&done, &attempt(AttemptState::Accepted), []), Verdict::Repeated);
    }

    #[test]
    fn a_repetition_is_acknowledged_even_after_the_job_was_changed() {
        let changed = JobFacts { revision: 2, ..job(JobState::Waiting, None) };
        assert_eq!(judge(&changed, &attempt(AttemptState::Accepted), WHOLE), Verdict::Repeated);
    }

    #[test]
    fn an_attempt_after_the_first_accepted_one_is_not_wanted() {
        let done = job(JobState::Done, Some(8));
        for state in [AttemptState::Superseded, AttemptState::Lost, AttemptState::GivenBack] {
            assert_eq!(judge(&done, &attempt(state), WHOLE), Verdict::NotWanted(NotWanted::Done));
        }
    }

    #[test]
    fn an_attempt_of_an_older_revision_is_refused_with_both_revisions() {
        let changed = JobFacts { revision: 2, ..job(JobState::Running, Some(7)) };
        let verdict = judge(&changed, &attempt(AttemptState::Running), WHOLE);
        let reason = NotWanted::StaleRevision { given: 1, now: 2 };
        assert_eq!(reason.to_string(), "the job is at revision 2, this attempt works on revision 1");
        assert_eq!(verdict, Verdict::NotWanted(reason));
    }

    #[test]
    fn results_of_a_denied_release_are_refused_with_the_reason() {
        for state in [AttemptState::Running, AttemptState::Lost, AttemptState::GivenBack, AttemptState::Superseded] {
            let Verdict::NotWanted(reason) = judge_denied(&attempt(state), "v1.5.0", "wrong prices") else {
                panic!("{state:?} is refused");
            };
            assert_eq!(reason.to_string(), "v1.5.0 computed the results, and it is denied: wrong prices");
        }
    }

    #[test]
    fn what_was_accepted_before_its_release_was_denied_is_acknowledged_again() {
        assert_eq!(judge_denied(&attempt(AttemptState::Accepted), "v1.5.0", "wrong prices"), Verdict::Repeated);
    }

    #[test]
    fn a_quarantined_job_waits_for_a_person_not_for_results() {
        let quarantined = job(JobState::Quarantined, None);
        let verdict = judge(&quarantined, &attempt(AttemptState::Lost), WHOLE);
        assert_eq!(verdict, Verdict::NotWanted(NotWanted::Quarantined));
    }

    #[test]
    fn results_of_a_suspended_job_are_accepted_because_the_work_is_needed_all_the_same() {
        let suspended = job(JobState::Suspended, None);
        assert_eq!(judge(&suspended, &attempt(AttemptState::Lost), WHOLE), Verdict::Accept);
    }

    #[test]
    fn nobody_waits_for_the_results_of_a_deleted_job() {
        let deleted = job(JobState::Deleted, None);
        let verdict = judge(&deleted, &attempt(AttemptState::Lost), WHOLE);
        assert_eq!(verdict, Verdict::NotWanted(NotWanted::Deleted));
    }

    #[test]
    fn an_attempt_from_before_a_retry_is_refused_though_the_job_waits_again() {
        let retried = JobFacts { revision: 2, ..job(JobState::Waiting, None) };
        for state in [AttemptState::Lost, AttemptState::GivenBack, AttemptState::Superseded] {
            let verdict = judge(&retried, &attempt(state), WHOLE);
            assert_eq!(verdict, Verdict::NotWanted(NotWanted::StaleRevision { given: 1, now: 2 }), "{state:?}");
        }
    }

    #[test]
    fn results_of_another_primarys_data_are_refused_unless_they_were_accepted_before() {
        let (a, b) = (Some("mariadb:1"), Some("mariadb:2"));
        let refused = |pinned: &str, reached: &str| {
            Verdict::OtherPrimary(OtherPrimary { pinned: pinned.to_owned(), reached: reached.to_owned() })
        };
        let cases = [
            (None, None, Verdict::Accept),
            (None, a, Verdict::Accept),
            // A plugin that reads no replica tells no position, also of a job that was handed in for one that does.
            (a, None, Verdict::Accept),
            (a, a, Verdict::Accept),
            (a, b, refused("mariadb:1", "mariadb:2")),
        ];
        let (running, ours) = (job(JobState::Running, Some(7)), attempt(AttemptState::Running));
        for (pinned, reached, verdict) in cases {
            let primaries = Primaries { pinned, reached };
            assert_eq!(super::judge(&running, &ours, primaries, WHOLE), verdict, "{primaries:?}");
        }
        let other = Primaries { pinned: a, reached: b };
        let (done, accepted) = (job(JobState::Done, Some(7)), attempt(AttemptState::Accepted));
        assert_eq!(super::judge(&done, &accepted, other, WHOLE), Verdict::Repeated);
        assert_eq!(super::judge(&done, &ours, other, WHOLE), Verdict::NotWanted(NotWanted::Done));
    }

    proptest! {
        #[test]
        fn results_are_accepted_only_one_for_each_record(ids in proptest::collection::vec(98_i64..105, 0..6)) {
            let running = job(JobState::Running, Some(7));
            let verdict = judge(&running, &attempt(AttemptState::Running), ids.iter().copied());
            let mut sorted = ids;
            sorted.sort_unstable();
            prop_assert_eq!(verdict == Verdict::Accept, sorted == [100, 101, 102]);
        }
    }

    #[test]
    fn missing_foreign_and_repeated_records_refuse_the_whole_submission() {
        let running = job(JobState::Running, Some(7));
        let cases: [(&[RecordId], WrongResults); 8] = [
            (&[], WrongResults::Missing(100)),
            (&[100, 102], WrongResults::Missing(101)),
            (&[100, 101, 102, 103], WrongResults::Foreign(103)),
            (&[99, 100, 101, 102], WrongResults::Foreign(99)),
            (&[100, 101, 101], WrongResults::Repeated(101)),
            (&[100, 101, 102, 100], WrongResults::Repeated(100)),
            (&[RecordId::MIN], WrongResults::Foreign(RecordId::MIN)),
            (&[RecordId::MAX], WrongResults::Foreign(RecordId::MAX)),
        ];
        for (results, wrong) in cases {
            let verdict = judge(&running, &attempt(AttemptState::Running), results.iter().copied());
            assert_eq!(verdict, Verdict::WrongResults(wrong), "{results:?}");
        }
    }
}
