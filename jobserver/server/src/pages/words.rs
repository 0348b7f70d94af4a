//! From values to words and numbers as they stand on pages. Pure.

use std::time::Duration;

use nightshift_manifest::duration;
use nightshift_wire::{AttemptState, Batch, BatchState, EnrolmentState, Moment, ReplicaState, RingState};
use nightshift_wire::{Worker, WorkerState};
pub(super) use nightshift_wire::{counted, grouped};

use crate::clock::timestamp;

/// A worker not heard of for this long is shown as away: it reports every ten minutes at the least.
pub(super) const AWAY_AFTER: Duration = Duration::from_secs(15 * 60);

/// Rounded down, so that 100 means all.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100).checked_div(u128::from(whole)).map_or(0, |percent| percent.min(100) as u64)
}

/// A pace: whole from ten on, one place below.
pub(super) fn per_second(pace: f64) -> String {
    match pace {
        pace if pace >= 10.0 => grouped(pace.round() as u64),
        pace if pace > 0.0 => format!("{pace:.1}"),
        _ => "0".to_owned(),
    }
}

pub(super) fn lasting(milliseconds: u64) -> String {
    duration::show(Duration::from_millis(milliseconds))
}

pub(super) fn between(from: Moment, to: Moment) -> String {
    lasting(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

pub(super) fn ago(then: Moment, now: Moment) -> String {
    format!("{} ago", between(then, now))
}

pub(super) fn at(moment: Moment) -> String {
    timestamp(moment).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long until `left` records are done at this pace, roughly; nothing when nobody can say.
pub(super) fn time_left(left: u64, pace: Option<f64>) -> Option<String> {
    seconds_left(left, pace).map(about)
}

/// The same for `all` records of batches together: at the pace of all, but not before the slowest of those is done of which
/// it is known how many are left, and at which pace.
pub(super) fn time_left_of_all(
    all: u64,
    pace: Option<f64>,
    batches: impl Iterator<Item = (u64, Option<f64>)>,
) -> Option<String> {
    let slowest = batches.filter_map(|(left, pace)| seconds_left(left, pace)).fold(0.0, f64::max);
    if all == 0 { None } else { seconds_left(all, pace).map(|seconds| about(seconds.max(slowest))) }
}

fn seconds_left(left: u64, pace: Option<f64>) -> Option<f64> {
    Some((left as f64 / pace.filter(|pace| *pace > 0.0)?).ceil())
}

/// So many seconds, roughly.
fn about(seconds: f64) -> String {
    // Nobody needs the seconds of a day.
    let step = match seconds {
        seconds if seconds < 120.0 => 1.0,
        seconds if seconds < 7_200.0 => 60.0,
        _ => 3_600.0,
    };
    let rounded = ((seconds / step).ceil() * step * 1_000.0).min(1e15);
    lasting(rounded as u64)
}

/// Where a batch stands, in a word.
pub(super) fn batch_state(batch: &Batch) -> &'static str {
    match (batch.state, &batch.suspended) {
        (BatchState::Receiving, _) => "arriving",
        (BatchState::Open, Some(_)) => "suspended",
        (BatchState::Open, None) if batch.jobs_running > 0 => "running",
        (BatchState::Open, None) => "waiting",
        (BatchState::Done, _) => "done",
        (BatchState::Incomplete, _) => "incomplete",
    }
}

/// What there is to add to a batch's state.
pub(super) fn batch_note(batch: &Batch) -> String {
    match (batch.state, &batch.suspended) {
        (BatchState::Open, Some(reason)) => reason.clone(),
        (BatchState::Done, _) => {
            batch.finished_at.map(|end| format!("took {}", between(batch.created_at, end))).unwrap_or_default()
        }
        (BatchState::Incomplete, _) => given_up(batch),
        (BatchState::Receiving | BatchState::Open, _) => String::new(),
    }
}

/// Which jobs of a batch are not done, and why.
fn given_up(batch: &Batch) -> String {
    let failed = format!("{} of its jobs failed too often", grouped(batch.jobs_quarantined));
    match (batch.jobs_quarantined, batch.jobs_deleted) {
        (_, 0) => failed,
        (0, deleted) => format!("{} of its jobs were deleted", grouped(deleted)),
        (_, deleted) => format!("{failed}, {} were deleted", grouped(deleted)),
    }
}

/// How a worker is shown, in a word: the same as the store counts them by.
pub(super) fn worker_state(worker: &Worker, now: Moment) -> &'static str {
    if worker.last_seen < now.saturating_sub_unsigned(AWAY_AFTER.as_millis() as u64) {
        return "away";
    }
    match worker.report.state {
        _ if worker.drained.is_some() => "drained",
        WorkerState::Working => "working",
        WorkerState::Waiting => "waiting",
        WorkerState::Resting => "resting",
        WorkerState::Stopped => "stopped",
        WorkerState::Blocked => "blocked",
    }
}

/// What people call a worker.
pub(super) fn worker_name(worker: &Worker) -> String {
    let names = [&worker.name, &worker.report.host, &worker.report.worker];
    names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default()
}

/// A replica in a few words.
pub(super) fn replica_state(state: ReplicaState, behind_ms: Option<u64>) -> String {
    let behind = behind_ms.filter(|_| state == ReplicaState::Behind);
    let behind = behind.map(|ms| format!(" by {}", lasting(ms))).unwrap_or_default();
    format!("{}{behind}", state.word().replace('_', " "))
}

pub(super) fn attempt_state(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Running => "running",
        AttemptState::Lost => "lost",
        AttemptState::GivenBack => "given back",
        AttemptState::Accepted => "accepted",
        AttemptState::Superseded => "superseded",
    }
}

pub(super) fn enrolment_state(state: EnrolmentState) -> &'static str {
    match state {
        EnrolmentState::Pending => "pending",
        EnrolmentState::Approved => "approved",
        EnrolmentState::Refused => "refused",
        EnrolmentState::Revoked => "revoked",
    }
}

pub(super) fn ring_state(state: RingState) -> &'static str {
    match state {
        RingState::Open => "open",
        RingState::Waiting => "waiting",
        RingState::SentBack => "sent back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_only_all_when_nothing_is_missing() {
        assert_eq!(percent(9_999_999, 10_000_000), 99);
        assert_eq!(percent(10, 10), 100);
        assert_eq!(percent(0, 0), 0);
    }

    #[test]
    fn a_clock_that_went_back_makes_no_negative_age() {
        assert_eq!(ago(5_000, 1_000), "0s ago");
        assert_eq!(ago(0, 7_500_000), "2h 5m ago");
    }

    #[test]
    fn nobody_says_how_long_it_takes_while_nothing_moves() {
        let all = |all, batches: &[(u64, Option<f64>)]| time_left_of_all(all, Some(10.0), batches.iter().copied());
        assert_eq!(all(0, &[]), None);
        assert_eq!(all(100, &[(50, Some(5.0)), (50, None)]).as_deref(), Some("10s"));
        assert_eq!(all(100, &[(50, Some(1.0)), (50, Some(9.0))]).as_deref(), Some("50s"), "the slowest");
        assert_eq!(all(900, &[(50, Some(1.0))]).as_deref(), Some("1m 30s"), "there are more than are followed");
        assert_eq!(time_left(100, None), None);
        assert_eq!(time_left(100, Some(0.0)), None);
        assert_eq!(time_left(100, Some(3.0)).as_deref(), Some("34s"));
        assert_eq!(time_left(10_000, Some(3.0)).as_deref(), Some("56m"));
        assert_eq!(time_left(1_000_000, Some(3.0)).as_deref(), Some("3d 21h"));
        assert_eq!([0.0, 0.25, 9.94, 1_234.5].map(per_second), ["0", "0.2", "9.9", "1,235"]);
    }
}
