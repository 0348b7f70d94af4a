//! What this server knows without asking: attempts that it gave out a moment ago, as they were committed, and workers as it
//! read them within the last second. It is what submissions and claims would have to read.
//!
//! What is remembered of attempts is no more than a guess: another server, or another writer of this one, may have changed it
//! since. A group that rests on it asks for it in the statements that change the rows (`write.rs`), and is run once more on
//! what is read when a row turns out to be another. That is done for first attempts at a job alone: while one runs and nobody
//! else was given the job since, it is as it was when it was given out, but for losses, which results leave alone.
//!
//! What is remembered of workers is never wrong by more than a second, as the queue is: what another server changed about
//! one (drained it, gave it a job) is seen by its claims here that much later. What this server changes, it forgets.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nightshift_wire::{AttemptId, ClaimRequest, Moment};

use crate::work::rows::{AttemptRow, JobRow, WorkerRow};

/// Jobs that take longer are handed in so rarely that reading them costs nothing.
const KEPT_MS: i64 = 20_000;

/// So many attempts are kept at most: some 20 MB.
const KEPT: usize = 32_768;

/// An attempt that runs, with its job and its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) attempt: AttemptRow,
    pub(super) job: JobRow,
    pub(super) worker: WorkerRow,
    /// Its results may be accepted on this; else it is only known to run.
    is_plain: bool,
}

impl Begun {
    /// An attempt that a group began.
    pub(super) fn of(attempt: &AttemptRow, job: &JobRow, worker: &WorkerRow) -> Begun {
        Begun {
            attempt: attempt.clone(),
            job: job.clone(),
            // Results add to what their worker did, whatever that is; and say that it was there.
            worker: WorkerRow { last_seen: worker.last_seen, ..WorkerRow::met(&worker.worker, worker.first_seen) },
            // What a worker failed at is forgotten when it does something: then its row has to be read.
            is_plain: job.pickups == 1 && worker.failures_in_row == 0,
        }
    }
}

/// What a group did that is to be known when it is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Attempts it began.
    pub(super) begun: Vec<Begun>,
    /// Attempts it met that do not run, or do not any more.
    pub(super) ended: Vec<AttemptId>,
    /// What is known of workers may be another now, or an attempt runs again that had ended.
    pub(super) workers_changed: bool,
}

/// What a server knows, shared by its writers.
#[derive(Debug, Default)]
pub(super) struct Given(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    begun: HashMap<AttemptId, Begun>,
    /// In the order in which they were given, with those that were taken out since.
    order: VecDeque<(Moment, AttemptId)>,
    /// Those that are kept, by worker.
    on: HashMap<String, BTreeSet<AttemptId>>,
    /// Workers as they were read, with the attempts that ran on them.
    read: HashMap<String, (WorkerRow, Vec<AttemptId>)>,
}

impl Kept {
    /// Takes one out that is handed in, or that ended.
    fn take(&mut self, id: AttemptId) -> Option<Begun> {
        let begun = self.begun.remove(&id)?;
        let worker = &begun.attempt.worker;
        if let Some(on) = self.on.get_mut(worker) {
            on.remove(&id);
            if on.is_empty() {
                self.on.remove(worker);
            }
        }
        // Its worker says by its next claim that it has it no more; it shall not be looked for then.
        if let Some((_, held)) = self.read.get_mut(worker) {
            held.retain(|held| *held != id);
        }
        Some(begun)
    }

    /// One that was taken out may run on: what runs on its worker has to be read.
    fn forget_worker_of(&mut self, begun: &Begun) {
        self.read.remove(&begun.attempt.worker);
    }
}

impl Given {
    /// Takes in what a group did that is committed.
    pub(super) fn note(&self, done: Done) {
        let Done { begun, ended, workers_changed } = done;
        self.drop_ended(ended);
        if workers_changed {
            self.forget_workers();
        }
        self.keep(begun);
    }

    fn keep(&self, begun: impl IntoIterator<Item = Begun>) {
        let mut kept = self.kept();
        for begun in begun {
            let (id, now) = (begun.attempt.id, begun.attempt.started_at);
            kept.order.push_back((now, id));
            kept.on.entry(begun.attempt.worker.clone()).or_default().insert(id);
            kept.begun.insert(id, begun);
            let over = |given: Moment| now.saturating_sub(given) > KEPT_MS;
            while kept.begun.len() > KEPT || kept.order.front().is_some_and(|(given, _)| over(*given)) {
                let Some((_, old)) = kept.order.pop_front() else { break };
                if let Some(old) = kept.take(old) {
                    kept.forget_worker_of(&old);
                }
            }
        }
    }

    /// Takes attempts out that are handed in; `None` when one of them is not there, or its results need more than is
    /// remembered. Whether they end by it is not known yet: should they be refused, their workers have to be read
    /// ([`Given::forget_workers`]).
    pub(super) fn take(&self, attempts: &[AttemptId]) -> Option<Vec<Begun>> {
        let mut kept = self.kept();
        let taken: Vec<Option<Begun>> = attempts.iter().map(|id| kept.take(*id)).collect();
        if taken.iter().all(|begun| begun.as_ref().is_some_and(|begun| begun.is_plain)) {
            return taken.into_iter().collect();
        }
        taken.iter().flatten().for_each(|begun| kept.forget_worker_of(begun));
        None
    }

    fn drop_ended(&self, attempts: impl IntoIterator<Item = AttemptId>) {
        let mut kept = self.kept();
        let ended: BTreeSet<AttemptId> = attempts.into_iter().inspect(|id| drop(kept.take(*id))).collect();
        if !ended.is_empty() {
            kept.read.values_mut().for_each(|(_, held)| held.retain(|held| !ended.contains(held)));
        }
    }

    /// A worker that asks for jobs, and what runs on its name as far as is known; `None` when it has to be read. Attempts may
    /// be among these that have ended, and none is missing that this server gave out.
    pub(super) fn worker(&self, request: &ClaimRequest) -> Option<(WorkerRow, Vec<AttemptId>)> {
        let kept = self.kept();
        let (row, held) = kept.read.get(&request.worker)?;
        // What it says of itself will be written, and is compared with what is there.
        if row.plugins != request.plugins || row.machine != request.machine {
            return None;
        }
        let begun = kept.on.get(&request.worker).into_iter().flatten();
        let runs: BTreeSet<AttemptId> = held.iter().chain(begun).copied().collect();
        Some((row.clone(), runs.into_iter().collect()))
    }

    /// Keeps a worker as it was read.
    pub(super) fn keep_worker(&self, row: &WorkerRow, held: &[AttemptId]) {
        self.kept().read.insert(row.worker.clone(), (row.clone(), held.to_vec()));
    }

    /// Workers are read anew.
    pub(super) fn forget_workers(&self) {
        self.kept().read.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{AttemptState, JobState};

    use super::*;

    fn begun(id: AttemptId, started_at: Moment) -> Begun {
        begun_by(id, started_at, 1, 0)
    }

    fn begun_by(id: AttemptId, started_at: Moment, pickups: u32, failures_in_row: u32) -> Begun {
        let attempt = AttemptRow {
            id,
            job: 7,
            secret: "s".to_owned(),
            worker: "w".to_owned(),
            revision: 1,
            release: "v1.0.0".to_owned(),
            commit: "c".to_owned(),
            state: AttemptState::Running,
            reason: String::new(),
            lease_ms: 1,
            lease_until: Some(started_at + 1),
            records_done: 0,
            work_ms: None,
            position: None,
            started_at,
            ended_at: None,
        };
        let job = JobRow {
            id: 7,
            batch: 1,
            seq: 0,
            lane: 1,
            state: JobState::Running,
            reason: String::new(),
            revision: 1,
            first_record: 1,
            records: 1,
            errors: 0,
            pickups,
            failures: 0,
            losses: 0,
            not_before: 0,
            holder: Some((id, "w".to_owned())),
            started_at: Some(started_at),
            finished_at: None,
        };
        let failing = (failures_in_row > 0).then_some((3, 0));
        let worker = WorkerRow { failures_in_row, failing, ..WorkerRow::met("w", 0) };
        Begun::of(&attempt, &job, &worker)
    }

    fn ids(taken: Option<Vec<Begun>>) -> Option<Vec<AttemptId>> {
        taken.map(|taken| taken.iter().map(|begun| begun.attempt.id).collect())
    }

    #[test]
    fn attempts_are_taken_once_and_all_or_none() {
        let given = Given::default();
        given.keep((1..=3).map(|id| begun(id, 0)));
        assert_eq!(ids(given.take(&[2, 1])), Some(vec![2, 1]));
        assert_eq!(ids(given.take(&[2])), None);
        assert_eq!(ids(given.take(&[3, 4])), None);
        assert_eq!(ids(given.take(&[3])), None, "who asks in vain for one reads the others too");
    }

    #[test]
    fn attempts_are_kept_for_a_while_and_not_without_end() {
        let given = Given::default();
        given.keep([begun(1, 0)]);
        given.keep([begun(2, KEPT_MS)]);
        assert_eq!(ids(given.take(&[1])), Some(vec![1]));
        given.keep([begun(3, KEPT_MS + 1)]);
        given.keep([begun(4, 2 * KEPT_MS + 1)]);
        assert_eq!(ids(given.take(&[2])), None);
        assert_eq!(ids(given.take(&[3])), Some(vec![3]));

        let many = i64::try_from(KEPT).expect("few");
        given.keep((10..=10 + many).map(|id| begun(id, 2 * KEPT_MS + 2)));
        assert_eq!(ids(given.take(&[10])), None);
        assert_eq!(ids(given.take(&[11])), Some(vec![11]));
        assert!(given.kept().begun.len() < KEPT);
    }

    #[test]
    fn a_worker_is_known_until_it_is_forgotten_with_all_that_was_given_to_it() {
        let given = Given::default();
        let request = |plugins: &[&str]| ClaimRequest {
            worker: "w".to_owned(),
            release: "v1.0.0".to_owned(),
            commit: "c".to_owned(),
            plugins: plugins.iter().map(|plugin| (*plugin).to_owned()).collect(),
            holding: Vec::new(),
            wait_ms: 0,
            max: 1,
            behind: None,
            machine: nightshift_wire::Machine::default(),
        };
        let held = |plugins: &[&str]| given.worker(&request(plugins)).map(|(_, held)| held);
        // Committed while the worker was read by another group.
        given.keep([begun(2, 0)]);
        assert_eq!(held(&["p"]), None);
        let row = WorkerRow { plugins: vec!["p".to_owned()], ..WorkerRow::met("w", 0) };
        given.keep_worker(&row, &[1]);
        assert_eq!(held(&["p"]), Some(vec![1, 2]));
        assert_eq!(held(&["p", "q"]), None, "it says something new of itself");
        given.keep([begun(1, 0), begun(3, 0)]);
        assert_eq!(held(&["p"]), Some(vec![1, 2, 3]));
        given.take(&[1, 2]);
        assert_eq!(held(&["p"]), Some(vec![3]), "handed in");
        given.keep_worker(&row, &[3, 7]);
        given.drop_ended([7, 3]);
        assert_eq!(held(&["p"]), Some(vec![]), "ended elsewhere");
        given.keep([begun(4, 0)]);
        assert_eq!(given.take(&[4, 5]), None);
        assert_eq!(held(&["p"]), None, "4 may be refused, and runs on then");
        given.keep_worker(&row, &[]);
        given.keep([begun(6, 0)]);
        given.keep([begun(8, KEPT_MS + 1)]);
        assert_eq!(held(&["p"]), None, "6 runs, and is not remembered any more");
        given.keep_worker(&row, &[]);
        given.forget_workers();
        assert_eq!(held(&["p"]), None);
    }

    #[test]
    fn results_of_a_job_that_was_tried_before_and_of_a_worker_that_failed_need_what_is_stored() {
        let given = Given::default();
        given.keep_worker(&WorkerRow::met("w", 0), &[]);
        for (pickups, failures_in_row) in [(2, 0), (1, 1)] {
            given.keep([begun_by(1, 0, pickups, failures_in_row)]);
            assert_eq!(given.kept().on["w"], BTreeSet::from([1]), "it is known to run all the same");
            assert_eq!(ids(given.take(&[1])), None);
        }
        given.keep([begun_by(1, 0, 1, 0)]);
        assert_eq!(ids(given.take(&[1])), Some(vec![1]));
    }
}
