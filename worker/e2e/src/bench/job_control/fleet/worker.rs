//! One simulated worker: a connection over which it holds a job, shows signs of life, hands in and claims as the job ends,
//! and listens for stops.
//!
//! Lengths and waits are the product's: heartbeats as in `worker/core`, listening and the back-off of a connection as in
//! `worker/launcher/src/watch/hearing.rs`. Two things differ. The product's core and launcher have a connection each. And
//! after a connection was lost, a worker here shows a sign of life at once, where a core waits for the next minute:
//! that the server is back for somebody is known when it has renewed a lease.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nightshift_wire::{
    Claim, ClaimRequest, Claims, Heartbeat, Lease, Machine, Outcome, Problem, Provenance, Receipt, RecordResult,
    Records, StopView, Submission,
};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use super::http2::{Answer, Connection, Ended, Request};
use super::tally::Kind;
use super::{Phase, Shared, Stage};
use crate::bench::job_control::load::PLUGIN;
use crate::bench::measure::Moment;

/// A job's length, and the time between signs of life.
const JOB: Duration = Duration::from_secs(15 * 60);
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long the server may keep a question about stops, and a claim.
const STOP_WAIT: Duration = Duration::from_secs(55);
const CLAIM_WAIT_MS: u64 = 10_000;
/// The pause after a connection was lost or could not be made; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const RELEASE: &str = "v1.0.0";

/// Lives until the fleet is dismissed and its last job is handed in.
pub(super) async fn live(number: usize, shared: &Shared, mut phases: watch::Receiver<Phase>) -> Result<()> {
    let line = Line::new(number, shared);
    let worker = Worker { number, shared, line, back: Cell::new(false), disk_mb: Cell::new(51_200) };
    worker.health(Moment::now()).await?;
    shared.arrive(Stage::Connected);
    tokio::select! {
        never = worker.listen() => never,
        worked = worker.work(&mut phases) => worked,
    }
}

/// A number from 0 to 1, spread evenly over the numbers of workers; another one for each series.
fn spread(number: usize, series: usize) -> f64 {
    // The golden ratio and the like: their multiples fill the range between 0 and 1 evenly.
    const STEPS: [f64; 4] = [0.618_033_988_7, 0.414_213_562_3, 0.732_050_807_5, 0.236_067_977_5];
    ((number as f64 + 0.5) * STEPS[series % STEPS.len()] + series as f64 * 0.37).fract()
}

struct Worker<'a> {
    number: usize,
    shared: &'a Shared,
    line: Line<'a>,
    /// The server renewed a lease after it was killed.
    back: Cell<bool>,
    /// The disk it has left, in megabytes: after every job it is another.
    disk_mb: Cell<u64>,
}

/// A job in hand.
struct Job {
    claim: Claim,
    records: Records,
}

/// What is next, and when.
struct Plan {
    beat: Moment,
    end: Moment,
    health: Option<Moment>,
}

impl Plan {
    fn next(&self) -> Moment {
        let sooner = |a: Moment, b: Moment| if b < a { b } else { a };
        let next = sooner(self.beat, self.end);
        self.health.map_or(next, |health| sooner(next, health))
    }
}

impl Worker<'_> {
    /// Asks about stops, always.
    async fn listen(&self) -> Result<()> {
        let mut seen = String::new();
        // So that not everybody's waits end together ever after.
        let mut wait = STOP_WAIT.mul_f64(spread(self.number, 3));
        loop {
            let (asked, first) = (Moment::now(), seen.is_empty());
            let request = Request::get(&format!("/v1/stop?seen={seen}&wait_ms={}", wait.as_millis()));
            let due = if first { asked } else { asked + wait };
            let (answer, _) = self.line.ask(Kind::Stop, due, &request).await?;
            let view: StopView = read(&answer, "a question about stops")?;
            ensure!(view.stopped.is_none(), "the grid is stopped: {view:?}");
            ensure!(first || view.etag == seen, "nobody stopped the grid, and the view of it changed: {view:?}");
            if !first {
                wait = STOP_WAIT;
            }
            seen = view.etag;
        }
    }

    async fn work(&self, phases: &mut watch::Receiver<Phase>) -> Result<()> {
        let mut job = {
            let _turn = self.shared.turns.acquire().await?;
            self.begin(Moment::now()).await?
        };
        self.shared.arrive(Stage::Begun);
        let Phase::Working(start) = *phases.wait_for(|phase| *phase != Phase::Arriving).await? else {
            bail!("a fleet begins to work before anything else");
        };
        let beat = start + HEARTBEAT.mul_f64(spread(self.number, 1));
        let mut plan = Plan { beat, end: start + JOB.mul_f64(spread(self.number, 0)), health: None };
        loop {
            tokio::select! {
                biased;
                changed = phases.changed() => {
                    changed?;
                    match *phases.borrow_and_update() {
                        Phase::Measured(begin, length) => {
                            plan.health = Some(begin + length.mul_f64(spread(self.number, 2)));
                        }
                        Phase::Dismissed => break,
                        Phase::Arriving | Phase::Working(_) => {}
                    }
                }
                () = self.line.came_back.notified() => {
                    self.beat(&job, Moment::now()).await?;
                    if !self.back.replace(true) {
                        self.shared.arrive(Stage::Back);
                    }
                }
                () = sleep(plan.next() - Moment::now()) => self.go_on(&mut plan, &mut job).await?,
            }
        }
        let _turn = self.shared.turns.acquire().await?;
        self.submit(&job, Moment::now()).await?;
        self.shared.arrive(Stage::HandedIn);
        Ok(())
    }

    /// Does what is due.
    async fn go_on(&self, plan: &mut Plan, job: &mut Job) -> Result<()> {
        let now = Moment::now();
        if plan.end <= now {
            self.submit(job, plan.end).await?;
            *job = self.begin(Moment::now()).await?;
            (plan.end, plan.beat) = (plan.end + JOB, Moment::now() + HEARTBEAT);
        } else if plan.beat <= now {
            self.beat(job, plan.beat).await?;
            plan.beat = plan.beat + HEARTBEAT;
        } else if let Some(due) = plan.health.take_if(|due| *due <= now) {
            self.health(due).await?;
        }
        Ok(())
    }

    async fn health(&self, due: Moment) -> Result<()> {
        let (answer, _) = self.line.ask(Kind::Health, due, &Request::get("/healthz")).await?;
        good(&answer, "/healthz")
    }

    /// Claims a job and fetches its records.
    async fn begin(&self, due: Moment) -> Result<Job> {
        let disk_mb = self.disk_mb.replace(self.disk_mb.get() - 100);
        let request = ClaimRequest {
            worker: format!("w{:05}", self.number),
            release: RELEASE.to_owned(),
            commit: "c".repeat(40),
            plugins: vec![PLUGIN.to_owned()],
            holding: Vec::new(),
            wait_ms: CLAIM_WAIT_MS,
            max: 1,
            behind: None,
            machine: Machine { memory_mb: 8_192, disk_mb },
        };
        let request = Request::post("/v1/claims", serde_json::to_vec(&request)?);
        let (answer, tries) = self.line.ask(Kind::Claim, due, &request).await?;
        let claim = read::<Claims>(&answer, "a claim")?.claims.pop().context("a claim was answered without a job")?;
        self.shared.claimed(claim.job, tries)?;
        let path = format!("/v1/attempts/{}/records?secret={}", claim.attempt, claim.secret);
        let (answer, _) = self.line.ask(Kind::Records, Moment::now(), &Request::get(&path)).await?;
        let records = read(&answer, "fetching records")?;
        Ok(Job { claim, records })
    }

    async fn beat(&self, Job { claim, .. }: &Job, due: Moment) -> Result<()> {
        let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 0 };
        let path = format!("/v1/attempts/{}/heartbeat", claim.attempt);
        let request = Request::post(&path, serde_json::to_vec(&heartbeat)?);
        let (answer, _) = self.line.ask(Kind::Heartbeat, due, &request).await?;
        let lease: Lease = read(&answer, "a heartbeat")?;
        ensure!(lease.lease_ms.is_some(), "attempt {} was taken from its worker: {}", claim.attempt, lease.reason);
        Ok(())
    }

    async fn submit(&self, Job { claim, records }: &Job, due: Moment) -> Result<()> {
        let work_ms = u64::try_from(JOB.as_millis())?;
        let provenance = Provenance { release: RELEASE.to_owned(), commit: "c".repeat(40), work_ms, position: None };
        let value = Outcome::Ok([("twice".to_owned(), 2.into())].into());
        let results = records.records.iter().map(|record| RecordResult { id: record.id, outcome: value.clone() });
        let submission = Submission { secret: claim.secret.clone(), provenance, results: results.collect() };
        let path = format!("/v1/attempts/{}/results", claim.attempt);
        let request = Request::post(&path, serde_json::to_vec(&submission)?);
        let (answer, tries) = self.line.ask(Kind::Submission, due, &request).await?;
        let receipt: Receipt = read(&answer, "a submission")?;
        ensure!(receipt.job == claim.job, "attempt {} was receipted as job {}", claim.attempt, receipt.job);
        ensure!(!receipt.repeated || tries == Tries::Several, "job {} had results already", claim.job);
        self.shared.submitted();
        Ok(())
    }
}

fn good(answer: &Answer, what: &str) -> Result<()> {
    let Answer { status, body } = answer;
    ensure!(*status == 200, "{what} was refused: {status}: {}", String::from_utf8_lossy(body));
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer, what: &str) -> Result<T> {
    good(answer, what)?;
    serde_json::from_slice(&answer.body).with_context(|| format!("reading the answer to {what}"))
}

/// A connection that is made again when it was lost, later and later while that fails.
struct Line<'a> {
    number: usize,
    shared: &'a Shared,
    connection: RefCell<Option<Rc<Connection>>>,
    connecting: Mutex<()>,
    failures: Cell<u32>,
    /// It was lost and is there again.
    came_back: Notify,
}

/// How often a request was sent until it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    One,
    Several,
}

impl<'a> Line<'a> {
    fn new(number: usize, shared: &'a Shared) -> Line<'a> {
        let (connection, connecting, came_back) = (RefCell::default(), Mutex::default(), Notify::new());
        Line { number, shared, connection, connecting, failures: Cell::new(0), came_back }
    }

    /// Asks until there is an answer; its time is counted when it is the answer to the first try.
    async fn ask(&self, kind: Kind, due: Moment, request: &Request) -> Result<(Answer, Tries)> {
        let mut tries = Tries::One;
        loop {
            let connection = self.connection().await?;
            match connection.ask(request).await {
                Ok(answer) if self.shared.may_be_away() && is_away(&answer) => {
                    self.failures.set(self.failures.get() + 1);
                    self.pause().await;
                }
                Ok(answer) => {
                    if tries == Tries::One {
                        self.shared.tally().answered(kind, due, Moment::now());
                    }
                    self.failures.set(0);
                    return Ok((answer, tries));
                }
                Err(Ended) => {
                    if tries == Tries::One {
                        self.shared.tally().unanswered(due);
                    }
                    self.lost(&connection)?;
                }
            }
            tries = Tries::Several;
        }
    }

    async fn connection(&self) -> Result<Rc<Connection>> {
        let _alone = self.connecting.lock().await;
        if let Some(connection) = &*self.connection.borrow() {
            return Ok(Rc::clone(connection));
        }
        let came_back = self.failures.get() > 0;
        loop {
            if self.failures.get() > 0 {
                self.pause().await;
            }
            match Connection::open(&self.shared.address).await {
                Ok(connection) => {
                    let connection = Rc::new(connection);
                    self.connection.replace(Some(Rc::clone(&connection)));
                    if came_back {
                        self.came_back.notify_one();
                    }
                    return Ok(connection);
                }
                Err(error) if !self.shared.may_be_away() => return Err(error),
                Err(_) => self.failures.set(self.failures.get() + 1),
            }
        }
    }

    fn lost(&self, connection: &Rc<Connection>) -> Result<()> {
        ensure!(self.shared.may_be_away(), "a connection was lost although nothing was killed");
        let mut kept = self.connection.borrow_mut();
        // Several requests see the same connection end.
        if kept.take_if(|kept| Rc::ptr_eq(kept, connection)).is_some() {
            self.failures.set(self.failures.get() + 1);
        }
        Ok(())
    }

    /// Between a half and the whole of a pause that doubles.
    async fn pause(&self) {
        let doublings = self.failures.get().saturating_sub(1).min(10);
        let whole = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        sleep(whole.mul_f64(spread(self.number, 1 + doublings as usize).mul_add(0.5, 0.5))).await;
    }
}

/// The server is there, its store is not yet.
fn is_away(answer: &Answer) -> bool {
    answer.status == 0 && serde_json::from_slice::<Problem>(&answer.body).is_ok_and(|problem| problem.status == 503)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_do_is_spread_evenly() {
        for series in 0..4 {
            let mut tenths = [0; 10];
            for number in 0..10_000 {
                tenths[(spread(number, series) * 10.0) as usize] += 1;
            }
            assert!(tenths.iter().all(|count| (990..=1010).contains(count)), "{series}: {tenths:?}");
        }
    }
}
