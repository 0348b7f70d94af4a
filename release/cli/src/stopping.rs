//! What the workers do after a stop: counted from what they reported. Pure.

use nightshift_manifest::stop::{Scope, Who};
use nightshift_wire::{Moment, Worker, WorkerState};
use serde::Serialize;

use crate::figures::counted;

/// A worker whose core runs reports every half minute; one that says nothing for so long is silent: it may be switched
/// off, suspended or cut off, and stops by itself when it comes back.
const SILENT_AFTER_MS: i64 = 2 * 60_000;

/// The workers that a stop concerns, by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// No core runs.
    pub(crate) stopped: u64,
    /// A core runs.
    pub(crate) running: u64,
    /// A core ran when they were heard of last, which is a while ago.
    pub(crate) silent: u64,
}

/// Counts the workers that `scope` concerns.
pub(crate) fn count(workers: &[Worker], scope: &Scope, now: Moment) -> Tally {
    let mut tally = Tally::default();
    for worker in workers {
        let report = &worker.report;
        let who = Who { worker: &report.worker, host: &report.host, release: &report.release };
        if !scope.concerns(who) {
            continue;
        }
        let runs = matches!(report.state, WorkerState::Working | WorkerState::Waiting);
        match (runs, now.saturating_sub(worker.last_seen) > SILENT_AFTER_MS) {
            (false, _) => tally.stopped += 1,
            (true, false) => tally.running += 1,
            (true, true) => tally.silent += 1,
        }
    }
    tally
}

impl Tally {
    /// As a person reads it.
    pub(crate) fn in_words(&self) -> String {
        let Tally { stopped, running, silent } = self;
        format!("{} stopped, {running} running, {silent} silent", counted(*stopped, "worker"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, state: &str, release: &str, last_seen: Moment) -> Worker {
        let worker = serde_json::json!({
            "worker": name, "host": format!("pc-{name}"), "state": state, "reason": "", "release": release,
            "refused": [], "steps": [], "address": "", "first_seen": 0, "last_seen": last_seen, "jobs_done": 0,
            "records_done": 0, "name": "", "tags": [], "drained": null, "plugins": [],
            "machine": { "memory_mb": 0, "disk_mb": 0 }, "jobs_running": 0,
        });
        serde_json::from_value(worker).expect("a worker")
    }

    #[test]
    fn workers_are_counted_by_what_they_said_last_and_when() {
        const NOW: Moment = 10_000_000;
        let workers = [
            worker("a", "stopped", "v1.0.0", NOW - 500_000),
            worker("b", "working", "v1.0.0", NOW - 1000),
            worker("c", "waiting", "v1.1.0", NOW - 121_000),
            worker("d", "resting", "v1.1.0", NOW),
        ];
        let everything = count(&workers, &Scope::everything(), NOW);
        assert_eq!(everything, Tally { stopped: 2, running: 1, silent: 1 });
        assert_eq!(everything.in_words(), "2 workers stopped, 1 running, 1 silent");
        let some = Scope::read(None, Some("pc-[b]"), None, None);
        assert!(some.is_err());
        let some = Scope::read(None, Some("pc-b"), None, None).expect("understood");
        assert_eq!(count(&workers, &some, NOW), Tally { running: 1, ..Tally::default() });
        let release = Scope::read(None, None, Some("1.1.0"), None).expect("understood");
        let release = count(&workers, &release, NOW);
        assert_eq!(release.in_words(), "1 worker stopped, 0 running, 1 silent");
        assert_eq!(release, Tally { stopped: 1, running: 0, silent: 1 });
    }
}
