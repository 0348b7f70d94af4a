//! Which worker may take which jobs: the first gate that a worker fails for a lane.
//!
//! A **lane** is the jobs of one batch that are alike for dispatch, so that a claim asks once for all of them, however
//! many they are. `explain` asks the same question for every worker there is; nothing else decides who gets a job.

use std::collections::BTreeSet;

pub use nightshift_wire::Gate;
use nightshift_wire::{JobEdit, Machine, Moment, Requirements, WorkerState};
use semver::Version;

/// A worker not heard of for so long is not counted on. A core asks for work or gives a sign of life every minute, a
/// launcher reports at the end of every cycle of ten.
pub const HEARD_OF_MS: u64 = 15 * 60_000;

/// What the jobs of a lane have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The plugin that processes them.
    pub plugin: String,
    /// Higher goes first.
    pub priority: i32,
    /// What they ask of a worker.
    pub requirements: Requirements,
}

impl Lane {
    /// The lane of a job after an edit; the same when it changes nothing.
    pub fn edited(&self, edit: &JobEdit) -> Lane {
        Lane {
            plugin: edit.plugin.clone().unwrap_or_else(|| self.plugin.clone()),
            priority: edit.priority.unwrap_or(self.priority),
            requirements: edit.requirements.clone().unwrap_or_else(|| self.requirements.clone()),
        }
    }
}

/// What is known of a worker. One that claims was heard of just now and works.
#[derive(Debug, Clone, Copy)]
pub struct WorkerFacts<'a> {
    /// When it was last heard of.
    pub last_seen: Moment,
    /// What it said it does.
    pub state: WorkerState,
    /// Why it gets no jobs; `None` when it may.
    pub drained: Option<&'a str>,
    /// Tag of its release.
    pub release: &'a str,
    /// Plugins that work there.
    pub plugins: &'a [String],
    /// What its machine offers.
    pub machine: Machine,
    /// Tags an admin gave it.
    pub tags: &'a BTreeSet<String>,
}

/// The first gate that keeps a worker from the jobs of a lane; `None` when it may take them. `suspended` says whether the
/// lane's batch is.
pub fn first_failed(worker: &WorkerFacts<'_>, lane: &Lane, suspended: bool, now: Moment) -> Option<Gate> {
    let Requirements { release, .. } = &lane.requirements;
    let silent = worker.last_seen.saturating_add_unsigned(HEARD_OF_MS) < now;
    let gates = [
        (Gate::BatchSuspended, suspended),
        (Gate::NotHeardOf, silent),
        (Gate::Stopped, worker.state == WorkerState::Stopped),
        (Gate::Resting, worker.state == WorkerState::Resting),
        (Gate::Blocked, worker.state == WorkerState::Blocked),
        (Gate::Drained, worker.drained.is_some()),
        (Gate::ReleaseTooOld, release.as_deref().is_some_and(|oldest| is_older(worker.release, oldest))),
        (Gate::NoSuchPlugin, !worker.plugins.contains(&lane.plugin)),
    ];
    gates.into_iter().find_map(|(gate, fails)| fails.then_some(gate)).or_else(|| unmet(worker, &lane.requirements))
}

/// The first thing that the jobs of a lane ask and a worker has not, whatever it does just now; `None` when it has all of it.
pub fn unmet(worker: &WorkerFacts<'_>, asked: &Requirements) -> Option<Gate> {
    let Requirements { memory_mb, disk_mb, tags, release } = asked;
    let gates = [
        (Gate::ReleaseTooOld, release.as_deref().is_some_and(|oldest| is_older(worker.release, oldest))),
        (Gate::Memory, worker.machine.memory_mb < *memory_mb),
        (Gate::Disk, worker.machine.disk_mb < *disk_mb),
        (Gate::Tag, !tags.is_subset(worker.tags)),
    ];
    gates.into_iter().find_map(|(gate, fails)| fails.then_some(gate))
}

/// Whether a release is older than the oldest that may process a job. One that cannot be read passes nothing, and
/// nothing passes a requirement that cannot be read: the jobs wait, and `explain` says for what.
fn is_older(release: &str, oldest: &str) -> bool {
    match (version(release), version(oldest)) {
        (Some(release), Some(oldest)) => release < oldest,
        _ => true,
    }
}

/// Reads `v1.4.0` or `1.4.0`; no release has a pre-release or build part.
pub fn version(tag: &str) -> Option<Version> {
    let version = Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
    (version.pre.is_empty() && version.build.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = 1_000_000_000;

    struct Worker {
        plugins: Vec<String>,
        tags: BTreeSet<String>,
    }

    fn worker() -> Worker {
        Worker { plugins: vec!["name-count".to_owned()], tags: BTreeSet::from(["gpu".to_owned()]) }
    }

    impl Worker {
        fn facts(&self) -> WorkerFacts<'_> {
            WorkerFacts {
                last_seen: NOW,
                state: WorkerState::Waiting,
                drained: None,
                release: "v1.4.0",
                plugins: &self.plugins,
                machine: Machine { memory_mb: 2_048, disk_mb: 10_000 },
                tags: &self.tags,
            }
        }
    }

    fn lane(requirements: Requirements) -> Lane {
        Lane { plugin: "name-count".to_owned(), priority: 0, requirements }
    }

    fn gate(worker: &WorkerFacts<'_>, requirements: Requirements) -> Option<Gate> {
        first_failed(worker, &lane(requirements), false, NOW)
    }

    #[test]
    fn a_worker_that_meets_every_requirement_may_take_the_job() {
        let asked = Requirements {
            memory_mb: 2_048,
            disk_mb: 10_000,
            tags: ["gpu".to_owned()].into(),
            release: Some("1.4.0".to_owned()),
        };
        assert_eq!(gate(&worker().facts(), asked), None);
        assert_eq!(gate(&worker().facts(), Requirements::default()), None);
    }

    #[test]
    fn each_requirement_that_is_not_met_is_a_gate_of_its_own() {
        let plain = Requirements::default;
        let cases = [
            (Requirements { memory_mb: 2_049, ..plain() }, Gate::Memory),
            (Requirements { disk_mb: 10_001, ..plain() }, Gate::Disk),
            (Requirements { tags: ["gpu".to_owned(), "big".to_owned()].into(), ..plain() }, Gate::Tag),
            (Requirements { release: Some("v1.4.1".to_owned()), ..plain() }, Gate::ReleaseTooOld),
            (Requirements { release: Some("1.10.0".to_owned()), ..plain() }, Gate::ReleaseTooOld),
        ];
        for (asked, failed) in cases {
            assert_eq!(gate(&worker().facts(), asked), Some(failed));
        }
    }

    #[test]
    fn a_machine_that_does_not_say_what_it_has_meets_no_requirement() {
        let worker = worker();
        let unknown = WorkerFacts { machine: Machine::default(), ..worker.facts() };
        assert_eq!(gate(&unknown, Requirements { memory_mb: 1, ..Requirements::default() }), Some(Gate::Memory));
        assert_eq!(gate(&unknown, Requirements { disk_mb: 1, ..Requirements::default() }), Some(Gate::Disk));
        assert_eq!(gate(&unknown, Requirements::default()), None);
    }

    #[test]
    fn a_worker_that_does_not_work_gets_nothing_and_the_first_gate_says_why() {
        let worker = worker();
        let facts = worker.facts();
        let gone = NOW.saturating_sub_unsigned(HEARD_OF_MS);
        let cases = [
            (WorkerFacts { last_seen: gone, ..facts }, None),
            (WorkerFacts { last_seen: gone - 1, state: WorkerState::Stopped, ..facts }, Some(Gate::NotHeardOf)),
            (WorkerFacts { state: WorkerState::Stopped, drained: Some("hot"), ..facts }, Some(Gate::Stopped)),
            (WorkerFacts { state: WorkerState::Resting, ..facts }, Some(Gate::Resting)),
            (WorkerFacts { state: WorkerState::Blocked, ..facts }, Some(Gate::Blocked)),
            (WorkerFacts { state: WorkerState::Working, ..facts }, None),
            (WorkerFacts { drained: Some("hot"), plugins: &[], ..facts }, Some(Gate::Drained)),
            (WorkerFacts { plugins: &[], ..facts }, Some(Gate::NoSuchPlugin)),
            (WorkerFacts { last_seen: Moment::MAX, ..facts }, None),
        ];
        for (facts, failed) in cases {
            assert_eq!(gate(&facts, Requirements::default()), failed, "{facts:?}");
        }
    }

    #[test]
    fn no_worker_gets_a_job_of_a_suspended_batch() {
        let lane = lane(Requirements::default());
        assert_eq!(first_failed(&worker().facts(), &lane, true, NOW), Some(Gate::BatchSuspended));
    }

    #[test]
    fn a_release_that_cannot_be_read_never_passes_for_a_new_one() {
        let worker = worker();
        let asked = |oldest: &str| Requirements { release: Some(oldest.to_owned()), ..Requirements::default() };
        let odd = WorkerFacts { release: "newest", ..worker.facts() };
        assert_eq!(gate(&odd, asked("1.0.0")), Some(Gate::ReleaseTooOld));
        assert_eq!(gate(&worker.facts(), asked("newest")), Some(Gate::ReleaseTooOld));
    }

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let before = lane(Requirements { memory_mb: 5, ..Requirements::default() });
        let edit = JobEdit { priority: Some(9), ..JobEdit::default() };
        assert_eq!(before.edited(&edit), Lane { priority: 9, ..before.clone() });
        assert_eq!(before.edited(&JobEdit::default()), before);
        let none = JobEdit { requirements: Some(Requirements::default()), ..JobEdit::default() };
        assert_eq!(before.edited(&none).requirements, Requirements::default());
    }
}
