//! What people are told while a core runs, and how often.
//!
//! The status file follows within a second. A report goes to the job server when something changed that a person would
//! act on, and else every [`SIGN_OF_LIFE`], because a thousand workers report.

use std::time::Duration;

use nightshift_contract::message::FromCore;
use nightshift_wire::{ReplicaReport, ReplicaState, Report, WorkerState};

use super::care::{Care, Phase};
use crate::decide::Next;

/// The time between two reports when nothing changes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// The time between two status files when only the records done have changed.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What the worker does, and why, in words. `said` is the last thing the core said about its work.
pub(super) fn in_words(care: &Care, said: Option<&FromCore>) -> (WorkerState, String) {
    let (state, work) = match said {
        Some(FromCore::Working { job, plugin, done, total }) => {
            (WorkerState::Working, format!("job {job} ({plugin}), {done} of {total} records"))
        }
        Some(FromCore::Opening(plugin)) => (WorkerState::Waiting, format!("waits for plugin {plugin} to open")),
        Some(FromCore::Waiting(what)) => (WorkerState::Waiting, format!("waits for {what}")),
        _ => (WorkerState::Waiting, "the core starts".to_owned()),
    };
    match (care.phase(), care.wanted()) {
        (Phase::Running, _) => (state, work),
        (Phase::Pausing { .. }, _) => {
            (WorkerState::Blocked, "the core ended by itself; it is started again shortly".into())
        }
        (Phase::Draining, Next::Work) => (state, format!("{work}; then the core is started again")),
        (Phase::Draining, wanted) => (state, format!("{work}; no further job: {}", wanted.in_words().0)),
        (Phase::Stopping { .. }, wanted) => (state, format!("stopping the core: {}", wanted.in_words().0)),
    }
}

/// Why a worker waits, with why it takes no job that needs its replica, where that is not said yet.
pub(super) fn and_replica(state: WorkerState, reason: String, replica: Option<&ReplicaReport>) -> String {
    let keeps_jobs_off = |replica: &&ReplicaReport| {
        let follows = matches!(replica.state, ReplicaState::Current | ReplicaState::Behind);
        state == WorkerState::Waiting && !follows && !reason.contains(&replica.reason)
    };
    match replica.filter(keeps_jobs_off) {
        Some(replica) => format!("{reason}; no job that needs the replica: {}", replica.reason),
        None => reason,
    }
}

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Telling {
    written: Option<(Report, u64)>,
    sent: Option<(Report, u64)>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// The status file is to be written.
    pub(super) status: bool,
    /// A report is to be sent.
    pub(super) report: bool,
}

impl Telling {
    /// Says what is due for this report at `now` (milliseconds), and takes it as done.
    pub(super) fn due(&mut self, report: &Report, now: u64) -> Due {
        let status = match &self.written {
            None => true,
            Some((last, at)) => {
                last != report && (matters(last, report) || now.saturating_sub(*at) >= millis(STATUS_EVERY))
            }
        };
        let send = match &self.sent {
            None => true,
            Some((last, at)) => matters(last, report) || now.saturating_sub(*at) >= millis(SIGN_OF_LIFE),
        };
        if status {
            self.written = Some((report.clone(), now));
        }
        if send {
            self.sent = Some((report.clone(), now));
        }
        Due { status, report: send }
    }
}

/// Whether the second report differs from the first in more than how far the work is.
fn matters(last: &Report, report: &Report) -> bool {
    let steps = |report: &Report| report.steps.iter().map(|step| (step.step.clone(), step.ok)).collect::<Vec<_>>();
    let replica = |report: &Report| report.replica.as_ref().map(|replica| replica.state);
    last.state != report.state
        || last.release != report.release
        || last.refused != report.refused
        || replica(last) != replica(report)
        || last.spool.is_empty() != report.spool.is_empty()
        || steps(last) != steps(report)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: WorkerState, reason: &str) -> Report {
        Report {
            worker: "w".into(),
            host: "h".into(),
            state,
            reason: reason.into(),
            release: "v1.0.0".into(),
            refused: Vec::new(),
            trial: None,
            replica: None,
            spool: nightshift_wire::Spool::default(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn progress_is_written_every_second_and_sent_every_half_minute() {
        let mut telling = Telling::default();
        let progress = |done: u32| report(WorkerState::Working, &format!("{done} of 1000"));
        assert_eq!(telling.due(&progress(1), 0), Due { status: true, report: true });
        assert_eq!(telling.due(&progress(2), 500), Due { status: false, report: false });
        assert_eq!(telling.due(&progress(3), 1000), Due { status: true, report: false });
        assert_eq!(telling.due(&progress(3), 3000), Due { status: false, report: false });
        assert_eq!(telling.due(&progress(3), 30_000), Due { status: false, report: true });
    }

    #[test]
    fn a_worker_that_waits_says_why_it_takes_no_job_that_needs_its_replica() {
        let replica = |state, reason: &str| ReplicaReport {
            state,
            reason: reason.into(),
            behind_ms: None,
            primary: String::new(),
            gtid: String::new(),
            server: String::new(),
        };
        let said =
            |state, reason: &str, replica: Option<&ReplicaReport>| and_replica(state, reason.to_owned(), replica);
        let (waiting, refused) = (WorkerState::Waiting, "the primary refused the copying account copy");
        let away = replica(ReplicaState::Away, refused);
        assert_eq!(
            said(waiting, "waits for work", Some(&away)),
            "waits for work; no job that needs the replica: the primary refused the copying account copy"
        );
        let known = format!("waits for the data of its plugins ({refused})");
        assert_eq!(said(waiting, &known, Some(&away)), known, "once is enough");
        assert_eq!(said(WorkerState::Working, "job 7", Some(&away)), "job 7");
        assert_eq!(said(waiting, "waits for work", None), "waits for work");
        for follows in [ReplicaState::Current, ReplicaState::Behind] {
            let follows = replica(follows, "it follows");
            assert_eq!(said(waiting, "waits for work", Some(&follows)), "waits for work");
        }
    }

    #[test]
    fn what_a_person_would_act_on_is_told_at_once() {
        let mut telling = Telling::default();
        telling.due(&report(WorkerState::Working, "x"), 0);
        let blocked = report(WorkerState::Blocked, "x");
        assert_eq!(telling.due(&blocked, 1), Due { status: true, report: true });
        let refused = Report { refused: vec!["v2.0.0".into()], ..blocked };
        assert_eq!(telling.due(&refused, 2), Due { status: true, report: true });
        let keeps = |jobs| Report { spool: nightshift_wire::Spool { jobs, bytes: 9 }, ..refused.clone() };
        assert_eq!(telling.due(&keeps(1), 3), Due { status: true, report: true });
        assert_eq!(telling.due(&keeps(2), 4), Due { status: false, report: false });
    }
}
