//! Why a job stands where it stands: for one that waits, the workers counted by the first gate each fails.
//!
//! The gates are those of dispatch itself ([`crate::gates`]), so that an explanation cannot differ from what happens. One is
//! the worker's own: it asks for no job whose data its replica has not, and so what it last said of that explains more.

use std::collections::BTreeMap;

use nightshift_wire::{Explanation, Gate, Job, JobState, KeptOff, Moment, ReplicaState, Requirements, Worker, counted};

use crate::auto_size::Hands;
use crate::gates::{self, Lane, WorkerFacts};
use crate::retry;

/// What is known of a job and the grid when it is explained.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The job.
    pub job: &'a Job,
    /// What the stop flag says that keeps every job back; `None` when there is none.
    pub stopped: Option<&'a str>,
    /// What the stop says that keeps the jobs of its plugin back; `None` when there is none.
    pub plugin_stopped: Option<&'a str>,
    /// Why the newest release has not got its plugin; `None` when it has.
    pub no_plugin: Option<&'a str>,
    /// Whether its plugin reads workers' replicas.
    pub on_replica: bool,
    /// Why its batch is suspended; `None` when it is not.
    pub batch_suspended: Option<&'a str>,
    /// Waiting jobs that go out before it, whoever may take them.
    pub ahead: u64,
    /// Every worker that was ever heard of.
    pub workers: &'a [Worker],
}

/// Explains a job.
pub fn explain(facts: &Facts<'_>, now: Moment) -> Explanation {
    let job = facts.job;
    let waits = job.state == JobState::Waiting;
    let mut explanation = Explanation {
        job: job.id,
        state: job.state,
        summary: String::new(),
        not_before: job.not_before.filter(|until| waits && !retry::is_due(*until, now)),
        ahead: waits.then_some(facts.ahead),
        free: 0,
        busy: 0,
        kept_off: Vec::new(),
    };
    if waits {
        count_workers(&mut explanation, facts, now);
        explanation.summary = why_it_waits(&explanation, facts, now);
    } else {
        explanation.summary = where_it_stands(job);
    }
    explanation
}

fn count_workers(explanation: &mut Explanation, facts: &Facts<'_>, now: Moment) {
    let Job { plugin, priority, requirements, .. } = facts.job;
    let lane = Lane { plugin: plugin.clone(), priority: *priority, requirements: requirements.clone() };
    let mut kept_off: BTreeMap<Gate, (u64, &Worker)> = BTreeMap::new();
    for worker in facts.workers {
        match first_failed(facts, worker, &lane, now) {
            Some(gate) => kept_off.entry(gate).or_insert((0, worker)).0 += 1,
            None if worker.jobs_running > 0 => explanation.busy += 1,
            None => explanation.free += 1,
        }
    }
    explanation.kept_off = kept_off
        .into_iter()
        .map(|(gate, (workers, example))| KeptOff {
            gate,
            workers,
            why: why(gate, facts, example),
            example: example.report.worker.clone(),
        })
        .collect();
}

/// The first gate that a worker fails. Whatever it lists among its plugins, one whose data are not there it does not run.
fn first_failed(facts: &Facts<'_>, worker: &Worker, lane: &Lane, now: Moment) -> Option<Gate> {
    let failed = gates::first_failed(&known(worker), lane, facts.batch_suspended.is_some(), now);
    let has_data = |worker: &Worker| match &worker.report.replica {
        Some(replica) => replica.state == ReplicaState::Current,
        // Nothing was said of it: what the worker lists counts.
        None => failed.is_none(),
    };
    match failed {
        None | Some(Gate::NoSuchPlugin) if facts.on_replica && !has_data(worker) => Some(Gate::Replica),
        failed => failed,
    }
}

fn known(worker: &Worker) -> WorkerFacts<'_> {
    WorkerFacts {
        last_seen: worker.last_seen,
        state: worker.report.state,
        drained: worker.drained.as_deref(),
        release: &worker.report.release,
        plugins: &worker.plugins,
        machine: worker.machine,
        tags: &worker.tags,
    }
}

/// What a gate means for this job, with what is the matter with one of the workers that fail it.
fn why(gate: Gate, facts: &Facts<'_>, example: &Worker) -> String {
    let with =
        |text: &str, reason: &str| if reason.is_empty() { text.to_owned() } else { format!("{text} ({reason})") };
    match gate {
        Gate::BatchSuspended => with("the batch is suspended", facts.batch_suspended.unwrap_or_default()),
        Gate::NotHeardOf => format!("not heard of for {} minutes", gates::HEARD_OF_MS / 60_000),
        Gate::Stopped => with("stopped", &example.report.reason),
        Gate::Resting => with("resting", &example.report.reason),
        Gate::Blocked => with("kept from working", &example.report.reason),
        Gate::Drained => with("drained", example.drained.as_deref().unwrap_or_default()),
        Gate::NoSuchPlugin if facts.no_plugin.is_some() => {
            format!("cannot run plugin {}: the release on offer has none of that name", facts.job.plugin)
        }
        Gate::NoSuchPlugin => with(
            &format!("cannot run plugin {}: not in its release, or broken there", facts.job.plugin),
            &example.report.reason,
        ),
        Gate::Replica => {
            let replica = match &example.report.replica {
                Some(replica) => replica.reason.as_str(),
                None => "it has none: [replication] of jobserver.toml or [replica] of worker.toml is missing",
            };
            format!("plugin {} needs the worker's replica, which is not current ({replica})", facts.job.plugin)
        }
        Gate::ReleaseTooOld | Gate::Memory | Gate::Disk | Gate::Tag => lacks(gate, &facts.job.requirements, example),
    }
}

/// What of the requirements a worker does not meet; nothing for gates that are about other things.
fn lacks(gate: Gate, asked: &Requirements, example: &Worker) -> String {
    match gate {
        Gate::ReleaseTooOld => {
            let release = match example.report.release.as_str() {
                "" => "no release",
                release => release,
            };
            format!("runs {release}, the job asks for {} at least", asked.release.as_deref().unwrap_or_default())
        }
        Gate::Memory => {
            format!("has {} of memory, the job asks for {} MB", megabytes(example.machine.memory_mb), asked.memory_mb)
        }
        Gate::Disk => {
            format!("has {} free on disk, the job asks for {} MB", megabytes(example.machine.disk_mb), asked.disk_mb)
        }
        Gate::Tag => {
            let missing: Vec<&str> = asked.tags.difference(&example.tags).map(String::as_str).collect();
            format!("lacks the tag {}", missing.join(", "))
        }
        _ => String::new(),
    }
}

/// Who of the workers heard of since a moment meets what jobs will ask: how many do, and what those lack that do not.
pub fn hands(workers: &[Worker], asked: &Requirements, since: Moment) -> Hands {
    let (mut hands, mut lacking) = (Hands::default(), BTreeMap::new());
    for worker in workers.iter().filter(|worker| worker.last_seen >= since) {
        match gates::unmet(&known(worker), asked) {
            None => hands.able += 1,
            Some(gate) => lacking.entry(gate).or_insert((0, worker)).0 += 1,
        }
    }
    let said = lacking
        .into_iter()
        .map(|(gate, (workers, example))| format!("{}: {}", counted(workers, "worker"), lacks(gate, asked, example)));
    hands.others = said.collect();
    hands
}

/// What a machine has, if it says so.
fn megabytes(number: u64) -> String {
    if number == 0 { "an unknown amount".to_owned() } else { format!("{number} MB") }
}

fn why_it_waits(explanation: &Explanation, facts: &Facts<'_>, now: Moment) -> String {
    let job = facts.job;
    if let Some(reason) = facts.stopped {
        return format!("the grid is stopped: {reason}; no job goes out until `nightshift start`");
    }
    if let Some(reason) = facts.plugin_stopped {
        return format!("plugin {} is stopped: {reason}; its jobs go out again after `nightshift start`", job.plugin);
    }
    if let Some(reason) = facts.batch_suspended {
        let batch = job.batch;
        return format!("batch {batch} is suspended: {reason}; `nightshift batch resume {batch}` lets its jobs go out");
    }
    let able = explanation.free + explanation.busy;
    if facts.workers.is_empty() {
        return "no worker was ever heard of; `nightshift-worker doctor` on a worker says what keeps it".to_owned();
    }
    if let Some(why) = facts.no_plugin.filter(|_| able == 0) {
        let batch = job.batch;
        return format!(
            "no worker may take it, and none will: {why}; cut a release that has the plugin, or `nightshift batch delete {batch}`"
        );
    }
    if able == 0 {
        let groups: Vec<String> = explanation
            .kept_off
            .iter()
            .map(|group| format!("{}: {}", counted(group.workers, "worker"), group.why))
            .collect();
        return format!("no worker may take it; {}", groups.join("; "));
    }
    let may = match (able, explanation.free) {
        (1, 0) => "the worker that may take it is busy".to_owned(),
        (1, _) => "the worker that may take it is free".to_owned(),
        (_, 0) => format!("all {able} workers that may take it are busy"),
        (_, free) => format!("{able} workers may take it, {free} of them free"),
    };
    if let Some(until) = explanation.not_before {
        let seconds = until.saturating_sub(now).max(0).unsigned_abs().div_ceil(1000);
        let last = if job.reason.is_empty() { String::new() } else { format!(", the last time: {}", job.reason) };
        return format!(
            "it failed {}{last}; nobody gets it for another {seconds} s, then {may}",
            counted(job.failures.into(), "time")
        );
    }
    match facts.ahead {
        0 => format!("it is the next to go out; {may}"),
        1 => format!("one job goes out before it; {may}"),
        ahead => format!("{} go out before it; {may}", counted(ahead, "job")),
    }
}

fn where_it_stands(job: &Job) -> String {
    let Job { id, reason, .. } = job;
    let worker = job.worker.as_deref().unwrap_or("nobody");
    match job.state {
        JobState::Receiving => "its batch is still arriving; it can be claimed after the last byte".to_owned(),
        JobState::Waiting => String::new(),
        JobState::Running => format!("worker {worker} has it in hand"),
        JobState::Done => format!("it is done: worker {worker} handed in its results"),
        JobState::Quarantined => format!(
            "it is quarantined: {reason}; mend the cause and `nightshift job retry {id}`, or `nightshift job delete {id}`"
        ),
        JobState::Suspended => format!("it is suspended: {reason}; `nightshift job resume {id}` puts it back"),
        JobState::Deleted => format!("it was deleted: {reason}; its records come back with an error that says so"),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Machine, Report, WorkerState};

    use super::*;

    const NOW: Moment = 1_000_000_000;

    fn job() -> Job {
        Job {
            id: 12,
            batch: 7,
            seq: 3,
            plugin: "match-person".to_owned(),
            priority: 0,
            requirements: Requirements { tags: ["gpu".to_owned()].into(), ..Requirements::default() },
            revision: 1,
            state: JobState::Waiting,
            reason: String::new(),
            records: 1_000,
            pickups: 0,
            failures: 0,
            losses: 0,
            not_before: None,
            worker: None,
            started_at: None,
            finished_at: None,
        }
    }

    fn worker(name: &str) -> Worker {
        Worker {
            report: Report {
                worker: name.to_owned(),
                host: "pc".to_owned(),
                state: WorkerState::Waiting,
                reason: String::new(),
                release: "v1.4.0".to_owned(),
                refused: Vec::new(),
                trial: None,
                replica: None,
                spool: nightshift_wire::Spool::default(),
                steps: Vec::new(),
            },
            address: "10.0.0.1".to_owned(),
            first_seen: 0,
            last_seen: NOW,
            jobs_done: 0,
            records_done: 0,
            name: String::new(),
            tags: ["gpu".to_owned()].into(),
            drained: None,
            plugins: vec!["match-person".to_owned()],
            machine: Machine::default(),
            jobs_running: 0,
        }
    }

    fn summary(job: &Job, workers: &[Worker], ahead: u64) -> String {
        explain(
            &Facts {
                job,
                stopped: None,
                plugin_stopped: None,
                no_plugin: None,
                on_replica: false,
                batch_suspended: None,
                ahead,
                workers,
            },
            NOW,
        )
        .summary
    }

    #[test]
    fn a_job_nobody_may_take_says_how_many_workers_fail_which_gate_first() {
        let untagged = || Worker { tags: Default::default(), ..worker("w-untagged") };
        let drained = Worker { drained: Some("3 jobs failed".to_owned()), ..untagged() };
        let gone = Worker { last_seen: 0, drained: Some("hot".to_owned()), ..worker("w-gone") };
        let other = Worker { plugins: vec!["name-count".to_owned()], ..worker("w-other") };
        let workers = [untagged(), untagged(), drained, gone, other];
        let job = job();
        let explanation = explain(
            &Facts {
                job: &job,
                stopped: None,
                plugin_stopped: None,
                no_plugin: None,
                on_replica: false,
                batch_suspended: None,
                ahead: 5,
                workers: &workers,
            },
            NOW,
        );
        assert_eq!(
            explanation.summary,
            "no worker may take it; 1 worker: not heard of for 15 minutes; 1 worker: drained (3 jobs failed); 1 worker: \
             cannot run plugin match-person: not in its release, or broken there; 2 workers: lacks the tag gpu"
        );
        let gates: Vec<(Gate, u64)> = explanation.kept_off.iter().map(|group| (group.gate, group.workers)).collect();
        assert_eq!(gates, [(Gate::NotHeardOf, 1), (Gate::Drained, 1), (Gate::NoSuchPlugin, 1), (Gate::Tag, 2)]);
        assert_eq!((explanation.free, explanation.busy, explanation.ahead), (0, 0, Some(5)));
    }

    #[test]
    fn a_job_whose_plugin_is_in_no_release_any_more_says_so_and_what_to_do() {
        let job = job();
        let why = "release v1.5.0 has no plugin \"match-person\"; it has name-count";
        let explained = |workers: &[Worker]| {
            let facts = Facts {
                job: &job,
                stopped: None,
                plugin_stopped: None,
                no_plugin: Some(why),
                on_replica: false,
                batch_suspended: None,
                ahead: 0,
                workers,
            };
            explain(&facts, NOW).summary
        };
        let other = Worker { plugins: vec!["name-count".to_owned()], ..worker("w-other") };
        let said = explained(&[other]);
        assert!(said.starts_with(&format!("no worker may take it, and none will: {why}")), "{said}");
        assert!(said.ends_with("cut a release that has the plugin, or `nightshift batch delete 7`"), "{said}");
        let behind = explained(&[worker("w-behind")]);
        assert!(behind.contains("the worker that may take it is free"), "one that still has it does it: {behind}");
    }

    #[test]
    fn a_job_whose_data_no_worker_has_says_what_is_the_matter_with_a_replica_whatever_the_worker_lists() {
        let job = job();
        let refused = "the primary refused the copying account copy; set it right in [replication] of jobserver.toml";
        let with_replica = |name: &str, state, plugins: &[&str]| {
            let nothing = String::new;
            let reason = refused.to_owned();
            let replica = Some(nightshift_wire::ReplicaReport {
                state,
                reason,
                behind_ms: None,
                primary: nothing(),
                gtid: nothing(),
                server: nothing(),
            });
            let plugins = plugins.iter().map(|plugin| (*plugin).to_owned()).collect();
            Worker { report: Report { replica, ..worker(name).report }, plugins, ..worker(name) }
        };
        let explained = |on_replica, workers: &[Worker]| {
            let facts = Facts {
                job: &job,
                stopped: None,
                plugin_stopped: None,
                no_plugin: None,
                on_replica,
                batch_suspended: None,
                ahead: 0,
                workers,
            };
            explain(&facts, NOW)
        };
        let (away, stopped) = (ReplicaState::Away, ReplicaState::Stopped);
        let workers = [with_replica("w-1", away, &["name-count"]), with_replica("w-2", stopped, &["match-person"])];
        let explanation = explained(true, &workers);
        let gates: Vec<(Gate, u64)> = explanation.kept_off.iter().map(|group| (group.gate, group.workers)).collect();
        assert_eq!((gates, explanation.free), (vec![(Gate::Replica, 2)], 0));
        assert!(explanation.summary.contains(refused), "{}", explanation.summary);
        let none = Worker { plugins: Vec::new(), ..worker("w-3") };
        let said = explained(true, &[none]).summary;
        assert!(said.contains("[replication] of jobserver.toml or [replica] of worker.toml is missing"), "{said}");
        let current = [with_replica("w-1", ReplicaState::Current, &["match-person"])];
        assert_eq!(explained(true, &current).free, 1);
        assert_eq!(explained(false, &workers[1..]).free, 1, "a plugin that reads none asks for none");
    }

    #[test]
    fn every_worker_is_counted_once() {
        let busy = Worker { jobs_running: 1, ..worker("w-busy") };
        let stopped = Worker { report: Report { state: WorkerState::Stopped, ..worker("w").report }, ..worker("w") };
        let workers = [worker("w-1"), busy, stopped];
        let job = job();
        let explanation = explain(
            &Facts {
                job: &job,
                stopped: None,
                plugin_stopped: None,
                no_plugin: None,
                on_replica: false,
                batch_suspended: None,
                ahead: 0,
                workers: &workers,
            },
            NOW,
        );
        let kept: u64 = explanation.kept_off.iter().map(|group| group.workers).sum();
        assert_eq!((explanation.free, explanation.busy, kept), (1, 1, 1));
    }

    #[test]
    fn a_job_some_may_take_says_its_place_and_whether_they_are_free() {
        let job = job();
        let busy = || Worker { jobs_running: 2, ..worker("w-busy") };
        assert_eq!(summary(&job, &[worker("w")], 0), "it is the next to go out; the worker that may take it is free");
        assert_eq!(summary(&job, &[busy()], 1), "one job goes out before it; the worker that may take it is busy");
        assert_eq!(
            summary(&job, &[busy(), worker("w")], 40),
            "40 jobs go out before it; 2 workers may take it, 1 of them free"
        );
        assert_eq!(
            summary(&job, &[busy(), busy()], 0),
            "it is the next to go out; all 2 workers that may take it are busy"
        );
    }

    #[test]
    fn a_job_in_back_off_says_for_how_long_and_what_failed() {
        let failed =
            Job { failures: 2, reason: "no such column: nam".to_owned(), not_before: Some(NOW + 59_001), ..job() };
        assert_eq!(
            summary(&failed, &[worker("w")], 0),
            "it failed 2 times, the last time: no such column: nam; nobody gets it for another 60 s, then the worker that \
             may take it is free"
        );
        let over = Job { not_before: Some(NOW), ..failed };
        assert!(summary(&over, &[worker("w")], 0).starts_with("it is the next"));
    }

    #[test]
    fn a_grid_without_workers_and_a_suspended_batch_say_what_to_do() {
        let job = job();
        assert!(summary(&job, &[], 0).contains("nightshift-worker doctor"));
        let suspended = Facts {
            job: &job,
            stopped: None,
            plugin_stopped: None,
            no_plugin: None,
            on_replica: false,
            batch_suspended: Some("prices are wrong"),
            ahead: 0,
            workers: &[worker("w")],
        };
        let explanation = explain(&suspended, NOW);
        assert_eq!(
            explanation.summary,
            "batch 7 is suspended: prices are wrong; `nightshift batch resume 7` lets its jobs go out"
        );
        assert_eq!(explanation.kept_off[0].gate, Gate::BatchSuspended);
    }

    #[test]
    fn a_stopped_grid_says_so_before_anything_else() {
        let job = job();
        let stopped = Facts {
            job: &job,
            stopped: Some("prices are wrong"),
            plugin_stopped: Some("it is odd"),
            no_plugin: None,
            on_replica: false,
            batch_suspended: Some("late"),
            ahead: 0,
            workers: &[],
        };
        assert_eq!(
            explain(&stopped, NOW).summary,
            "the grid is stopped: prices are wrong; no job goes out until `nightshift start`"
        );
    }

    #[test]
    fn a_job_that_does_not_wait_says_where_it_stands_and_what_to_do() {
        let with = |state| Job { state, reason: "it failed".to_owned(), worker: Some("w".to_owned()), ..job() };
        let said = |state| summary(&with(state), &[worker("w")], 0);
        assert_eq!(said(JobState::Running), "worker w has it in hand");
        assert_eq!(said(JobState::Done), "it is done: worker w handed in its results");
        assert_eq!(
            said(JobState::Quarantined),
            "it is quarantined: it failed; mend the cause and `nightshift job retry 12`, or `nightshift job delete 12`"
        );
        assert_eq!(said(JobState::Suspended), "it is suspended: it failed; `nightshift job resume 12` puts it back");
        assert!(said(JobState::Deleted).starts_with("it was deleted: it failed"));
        assert!(said(JobState::Receiving).contains("still arriving"));
    }

    #[test]
    fn a_machine_that_does_not_say_what_it_has_is_told_from_a_small_one() {
        let asked = Requirements { memory_mb: 512, ..Requirements::default() };
        let job = Job { requirements: asked, ..job() };
        assert!(summary(&job, &[worker("w")], 0).contains("has an unknown amount of memory, the job asks for 512 MB"));
        let small = Worker { machine: Machine { memory_mb: 256, disk_mb: 0 }, ..worker("w") };
        assert!(summary(&job, &[small], 0).contains("has 256 MB of memory, the job asks for 512 MB"));
    }

    #[test]
    fn who_meets_what_jobs_will_ask_is_counted_before_there_are_any() {
        let with_tag = worker("w");
        let without = |id| Worker { tags: Default::default(), ..worker(id) };
        let away = Worker { last_seen: 0, ..with_tag.clone() };
        let asked = Requirements { tags: ["gpu".to_owned()].into(), ..Requirements::default() };
        let found = hands(&[with_tag, away, without("x"), without("y")], &asked, NOW - 1);
        assert_eq!((found.able, found.others), (1, vec!["2 workers: lacks the tag gpu".to_owned()]));
    }
}
