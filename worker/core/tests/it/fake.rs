//! A job server in memory, as strict as the real one, which can be told to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use nightshift_core::{ControlError, Fetched, Finished, JobControl};
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, GiveBackCause, Heartbeat, JobId, Lease, Outcome, Problem, Provenance,
    Receipt, Record, RecordResult, Records, Submission, code,
};
use tokio::sync::Notify;

/// A verb of [`JobControl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Claim,
    Records,
    Heartbeat,
    Submit,
    GiveBack,
}

/// How the next request of a verb fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It never arrives.
    Away,
    /// It is done, but its answer is lost.
    AnswerLost,
    /// The server is there, and fails.
    Fault,
    /// It is refused with this code.
    Refused(&'static str),
}

/// The server.
pub(crate) struct FakeServer {
    state: Mutex<State>,
    changed: Notify,
    lease: Duration,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<JobId, Job>,
    attempts: i64,
    failures: Vec<(Verb, Failure)>,
    given_back: Vec<(JobId, GiveBackCause, String)>,
    claims: Vec<ClaimRequest>,
    heartbeats: Vec<(AttemptId, u64)>,
    handed_out: BTreeSet<AttemptId>,
    away: bool,
    caps: Vec<Option<u64>>,
    unwanted: BTreeSet<AttemptId>,
    failing: BTreeSet<(Verb, JobId)>,
}

struct Job {
    plugin: String,
    records: Vec<Record>,
    attempts: u32,
    stands: Stands,
}

enum Stands {
    Waiting,
    Running(AttemptId),
    Done { attempt: AttemptId, provenance: Provenance, results: Vec<RecordResult> },
    Failed,
}

/// The columns of every job.
const COLUMNS: [&str; 2] = ["note", "n"];

impl FakeServer {
    /// A server whose leases are so short that heartbeats matter.
    pub(crate) fn new() -> FakeServer {
        FakeServer { state: Mutex::default(), changed: Notify::new(), lease: Duration::from_millis(60) }
    }

    /// A job of `count` records for `plugin`: n is 0, 1, 2, …
    pub(crate) fn add_job(&self, plugin: &str, count: usize) -> JobId {
        self.add_job_of(plugin, (0..count).map(|n| n.to_string()).collect())
    }

    /// A job for `plugin` with these values of n.
    pub(crate) fn add_job_of(&self, plugin: &str, values: Vec<String>) -> JobId {
        let mut state = self.state();
        let id = state.jobs.len() as i64 + 1;
        let record = |(index, n): (usize, String)| Record { id: id * 1000 + index as i64, values: vec!["x".into(), n] };
        let records = values.into_iter().enumerate().map(record).collect();
        state.jobs.insert(id, Job { plugin: plugin.to_owned(), records, attempts: 0, stands: Stands::Waiting });
        drop(state);
        self.changed.notify_waiters();
        id
    }

    /// The next request of this verb fails; several add up.
    pub(crate) fn fail_next(&self, verb: Verb, failure: Failure) {
        self.state().failures.push((verb, failure));
    }

    /// From now on, every request of this verb for this job fails.
    pub(crate) fn fail_at(&self, verb: Verb, job: JobId) {
        self.state().failing.insert((verb, job));
    }

    /// Nothing reaches the server any more.
    pub(crate) fn go_away(&self) {
        self.state().away = true;
    }

    /// Whatever was to fail does not.
    pub(crate) fn come_back(&self) {
        let mut state = self.state();
        state.away = false;
        state.failures.clear();
        state.failing.clear();
    }

    /// Whether a job has its results.
    pub(crate) fn is_done(&self, job: JobId) -> bool {
        self.results(job).is_some()
    }

    /// Every attempt so far is no longer wanted.
    pub(crate) fn want_no_more(&self) {
        let mut state = self.state();
        state.unwanted = (1..=state.attempts).collect();
    }

    /// This attempt is no longer wanted.
    pub(crate) fn do_not_want(&self, attempt: AttemptId) {
        self.state().unwanted.insert(attempt);
    }

    /// Waits until `happened` says so.
    pub(crate) async fn until(&self, happened: impl Fn(&FakeServer) -> bool) {
        loop {
            let changed = self.changed.notified();
            if happened(self) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until no job waits or runs.
    pub(crate) async fn until_all_done(&self) {
        let over = |job: &Job| matches!(job.stands, Stands::Done { .. } | Stands::Failed);
        self.until(|server| server.state().jobs.values().all(over)).await;
    }

    /// The accepted results of a job and where they come from.
    pub(crate) fn results(&self, job: JobId) -> Option<(Vec<RecordResult>, Provenance)> {
        match &self.state().jobs[&job].stands {
            Stands::Done { results, provenance, .. } => Some((results.clone(), provenance.clone())),
            _ => None,
        }
    }

    /// How often a job was claimed.
    pub(crate) fn attempts(&self, job: JobId) -> u32 {
        self.state().jobs[&job].attempts
    }

    /// Jobs that came back, with the reason.
    pub(crate) fn given_back(&self) -> Vec<(JobId, GiveBackCause, String)> {
        self.state().given_back.clone()
    }

    /// Every claim asked for.
    pub(crate) fn claims(&self) -> Vec<ClaimRequest> {
        self.state().claims.clone()
    }

    /// What every heartbeat said is done.
    pub(crate) fn heartbeats(&self) -> Vec<u64> {
        self.state().heartbeats.iter().map(|(_, done)| *done).collect()
    }

    /// Every cap on bulk transfers.
    pub(crate) fn caps(&self) -> Vec<Option<u64>> {
        self.state().caps.clone()
    }

    /// How often an attempt was kept alive.
    pub(crate) fn beats_of(&self, attempt: AttemptId) -> usize {
        self.state().heartbeats.iter().filter(|(other, _)| *other == attempt).count()
    }

    /// Whether an attempt has its records.
    pub(crate) fn has_handed_out_records_of(&self, attempt: AttemptId) -> bool {
        self.state().handed_out.contains(&attempt)
    }

    /// Whether every failure asked for has happened.
    pub(crate) fn has_failed_enough(&self) -> bool {
        self.state().failures.is_empty()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Fails at this attempt's job, if it is to.
    fn fail_at_job_of(&self, verb: Verb, attempt: AttemptId) -> Result<(), ControlError> {
        let state = self.state();
        let fails = state.jobs.iter().any(|(id, job)| {
            matches!(job.stands, Stands::Running(other) if other == attempt) && state.failing.contains(&(verb, *id))
        });
        if fails { Err(ControlError::Failing("its row is broken".into())) } else { Ok(()) }
    }

    /// Does a request the way it was asked to fail.
    fn answer<T>(&self, verb: Verb, work: impl FnOnce(&mut State) -> Result<T, Problem>) -> Result<T, ControlError> {
        let mut state = self.state();
        if state.away {
            return Err(away());
        }
        let planned = state.failures.iter().position(|(other, _)| *other == verb);
        let failure = planned.map(|index| state.failures.remove(index).1);
        let answer = match failure {
            Some(Failure::Away) => Err(away()),
            Some(Failure::Fault) => Err(ControlError::Failing("its table is broken".into())),
            Some(Failure::Refused(code)) => Err(ControlError::Refused(problem(code))),
            Some(Failure::AnswerLost) => work(&mut state).map_err(ControlError::Refused).and(Err(away())),
            None => work(&mut state).map_err(ControlError::Refused),
        };
        drop(state);
        self.changed.notify_waiters();
        answer
    }
}

fn away() -> ControlError {
    ControlError::Away("the cable is cut".into())
}

fn problem(code: &str) -> Problem {
    Problem { code: code.to_owned(), status: 409, detail: format!("refused as {code}") }
}

impl State {
    /// The job this attempt runs.
    fn running(&mut self, attempt: AttemptId, secret: &str) -> Result<(JobId, &mut Job), Problem> {
        if secret != format!("secret {attempt}") {
            return Err(problem(code::WRONG_SECRET));
        }
        let wanted = !self.unwanted.contains(&attempt);
        let job =
            self.jobs.iter_mut().find(|(_, job)| matches!(job.stands, Stands::Running(other) if other == attempt));
        job.filter(|_| wanted).map(|(id, job)| (*id, job)).ok_or_else(|| problem(code::NOT_WANTED))
    }
}

#[async_trait]
impl JobControl for FakeServer {
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError> {
        let deadline = tokio::time::sleep(Duration::from_millis(request.wait_ms));
        tokio::pin!(deadline);
        self.state().claims.push(request.clone());
        loop {
            let lease_ms = self.lease.as_millis() as u64;
            let claim = self.answer(Verb::Claim, |state| {
                for job in state.jobs.values_mut() {
                    if matches!(job.stands, Stands::Running(attempt) if !request.holding.contains(&attempt)) {
                        job.stands = Stands::Waiting;
                    }
                }
                let attempt = state.attempts + 1;
                let free =
                    |job: &&mut Job| matches!(job.stands, Stands::Waiting) && request.plugins.contains(&job.plugin);
                let Some((id, job)) = state.jobs.iter_mut().map(|(id, job)| (*id, job)).find(|(_, job)| free(job))
                else {
                    return Ok(None);
                };
                state.attempts = attempt;
                job.attempts += 1;
                job.stands = Stands::Running(attempt);
                Ok(Some(Claim {
                    attempt,
                    secret: format!("secret {attempt}"),
                    job: id,
                    revision: 0,
                    batch: 1,
                    plugin: job.plugin.clone(),
                    records: job.records.len() as u64,
                    lease_ms,
                    position: None,
                }))
            })?;
            if claim.is_some() {
                return Ok(claim);
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = &mut deadline => return Ok(None),
            }
        }
    }

    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Fetched, ControlError> {
        self.fail_at_job_of(Verb::Records, claim.attempt)?;
        self.answer(Verb::Records, |state| {
            let (_, job) = state.running(claim.attempt, &claim.secret)?;
            let place = |column: &String| COLUMNS.iter().position(|other| other == column);
            let places: Option<Vec<usize>> = columns.iter().map(place).collect();
            let places = places.ok_or_else(|| problem(code::MISSING_COLUMN))?;
            let pick = |record: &Record| Record {
                id: record.id,
                values: places.iter().map(|place| record.values[*place].clone()).collect(),
            };
            let records = Records { columns: columns.to_vec(), records: job.records.iter().map(pick).collect() };
            state.handed_out.insert(claim.attempt);
            Ok(records.into())
        })
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError> {
        let lease_ms = Some(self.lease.as_millis() as u64);
        self.answer(Verb::Heartbeat, |state| {
            state.heartbeats.push((attempt, heartbeat.done));
            match state.running(attempt, &heartbeat.secret) {
                Ok(_) => Ok(Lease { lease_ms, reason: String::new() }),
                Err(problem) => Ok(Lease { lease_ms: None, reason: problem.detail }),
            }
        })
    }

    async fn submit(&self, attempt: AttemptId, finished: &Finished) -> Result<Receipt, ControlError> {
        let submission = serde_json::from_slice::<Submission>(&finished.json()).expect("a submission");
        self.fail_at_job_of(Verb::Submit, attempt)?;
        self.answer(Verb::Submit, |state| {
            let done = |job: &Job| matches!(job.stands, Stands::Done { attempt: other, .. } if other == attempt);
            if let Some((id, _)) = state.jobs.iter().find(|(_, job)| done(job)) {
                return Ok(Receipt { job: *id, repeated: true });
            }
            let (id, job) = state.running(attempt, &submission.secret)?;
            let wanted: BTreeSet<i64> = job.records.iter().map(|record| record.id).collect();
            let given: BTreeSet<i64> = submission.results.iter().map(|result| result.id).collect();
            if wanted != given || submission.results.len() != job.records.len() {
                return Err(problem(code::WRONG_RESULTS));
            }
            let Submission { provenance, results, .. } = submission.clone();
            job.stands = Stands::Done { attempt, provenance, results };
            Ok(Receipt { job: id, repeated: false })
        })
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError> {
        self.fail_at_job_of(Verb::GiveBack, attempt)?;
        self.answer(Verb::GiveBack, |state| {
            let (id, job) = state.running(attempt, &give_back.secret)?;
            job.stands = match give_back.cause {
                GiveBackCause::Stopped => Stands::Waiting,
                GiveBackCause::Failed => Stands::Failed,
            };
            state.given_back.push((id, give_back.cause, give_back.reason.clone()));
            Ok(())
        })
    }

    fn cap_bulk(&self, bytes_per_second: Option<u64>) {
        self.state().caps.push(bytes_per_second);
    }
}

/// Checks that a job of [`FakeServer::add_job`] has exactly one right result for each of its records.
pub(crate) fn assert_doubled(server: &FakeServer, job: JobId, count: usize) {
    let (results, _) = server.results(job).expect("the job is done");
    let right = |n: usize| RecordResult {
        id: job * 1000 + n as i64,
        outcome: Outcome::Ok([("twice".to_owned(), (2 * n).into())].into()),
    };
    let expected: Vec<RecordResult> = (0..count).map(right).collect();
    assert_eq!(results, expected);
}
