//! `fleet10k_p99_ms` and `fleet10k_reconnect_s`: ten thousand workers on one job server, at work and after a restart.
//!
//! 1. All connect at once and ask `/healthz`: how fast that goes is the raw reference of coming back.
//! 2. Each takes a job. From then on jobs of 15 minutes end, evenly spread; each worker hands in and claims the next, shows a
//!    sign of life every 60 s and always has a question about stops open. All on one HTTP/2 connection per worker.
//! 3. For 180 s every request is counted; each worker asks `/healthz` once: the raw reference of the times.
//! 4. The server is killed and started again. Every worker comes back by itself and has its lease renewed.
//! 5. Every worker hands in the job it holds. Each must be accepted, the server must count what was acknowledged, and no
//!    job may have been handed out twice: otherwise the group has failed.
//!
//! The workers live in one thread of this process (`worker.rs`, over `http2.rs`); their times go to `tally.rs`.

mod http2;
mod tally;
mod worker;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nightshift_testbed::database::Make;
use nightshift_wire::{BatchId, JobId, JobState};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};

use self::tally::Tally;
use self::worker::Tries;
use super::raw::syncs_per_s;
use super::{Bench, On};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Lost, Target};
use crate::bench::measure::{Moment, Watched, load_average, own_cpu};

pub(in crate::bench) const GROUP: Group = Group { names: &[P99, RECONNECT], run };

const P99: &str = "fleet10k_p99_ms";
const RECONNECT: &str = "fleet10k_reconnect_s";

const WORKERS: usize = 10_000;
/// One for each worker, and more than end and are claimed anew in the whole run.
const JOBS: u32 = 18_000;
/// Files that are not connections.
const OTHER_FILES: u64 = 200;

/// Longer than a question about stops is open: those asked while everybody connected are answered by then.
const SETTLING: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(180);
/// What was due at the end of the time measured is answered within this.
const ANSWERED: Duration = Duration::from_secs(5);
/// For a stage that all workers go through.
const STAGE: Duration = Duration::from_secs(240);
/// Workers that take their first job, or hand in their last, at the same time.
const AT_ONCE: usize = 256;

/// What the fleet is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Connect, take a job.
    Arriving,
    /// Work; since when.
    Working(Moment),
    /// Go on, being measured from then for so long.
    Measured(Moment, Duration),
    /// Hand in and go.
    Dismissed,
}

/// What every worker goes through once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connected,
    Begun,
    Back,
    HandedIn,
    /// The fleet ended: everybody is done, or one has failed.
    Gone,
}

/// What all workers share.
struct Shared {
    address: String,
    turns: Semaphore,
    tally: Mutex<Tally>,
    stages: [AtomicUsize; 5],
    /// Told when all workers are through a stage.
    through: mpsc::Sender<(Stage, Moment)>,
    /// The server was killed.
    killed: AtomicBool,
    /// No worker lives any more.
    gone: AtomicBool,
    claimed: Mutex<HashSet<JobId>>,
    /// Claims of which an answer may have been lost with the server.
    claims_in_doubt: AtomicU64,
    submitted: AtomicU64,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_be_away(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    fn arrive(&self, stage: Stage) {
        if self.stages[stage as usize].fetch_add(1, Ordering::Relaxed) + 1 == WORKERS {
            // Nobody listens any more when another worker has failed.
            let _ = self.through.send((stage, Moment::now()));
        }
    }

    fn claimed(&self, job: JobId, tries: Tries) -> Result<()> {
        if tries == Tries::Several {
            self.claims_in_doubt.fetch_add(1, Ordering::Relaxed);
        }
        let new = self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(job);
        ensure!(new, "job {job} was handed out twice");
        Ok(())
    }

    fn submitted(&self) {
        self.submitted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ten thousand workers in a thread of their own.
struct Fleet {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    through: mpsc::Receiver<(Stage, Moment)>,
    thread: JoinHandle<Result<()>>,
}

impl Fleet {
    fn start(url: &str) -> Result<Fleet> {
        let (told, through) = mpsc::channel();
        let shared = Arc::new(Shared {
            address: url.trim_start_matches("http://").to_owned(),
            turns: Semaphore::new(AT_ONCE),
            tally: Mutex::default(),
            stages: [const { AtomicUsize::new(0) }; 5],
            through: told,
            killed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            claimed: Mutex::default(),
            claims_in_doubt: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
        });
        let (phase, phases) = watch::channel(Phase::Arriving);
        let thread = std::thread::Builder::new().name("fleet".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let ended = live(&shared, &phases);
                shared.gone.store(true, Ordering::Relaxed);
                // Whoever waits for the fleet hears of its end at once; perhaps nobody does.
                let _ = shared.through.send((Stage::Gone, Moment::now()));
                ended
            }
        })?;
        Ok(Fleet { shared, phase, through, thread })
    }

    /// When all workers were through a stage.
    fn through(&self, stage: Stage) -> Result<Moment> {
        let waited = self.through.recv_timeout(STAGE);
        let so_far = self.shared.stages[stage as usize].load(Ordering::Relaxed);
        let (seen, at) = waited.map_err(|_| anyhow!("only {so_far} of {WORKERS} workers are {stage:?} in time"))?;
        ensure!(seen == stage, "the workers are {seen:?}, and {so_far} of {WORKERS} were {stage:?} before");
        Ok(at)
    }

    /// Lets it run on for a while, unless a worker fails.
    fn run_on(&self, length: Duration) -> Result<()> {
        match self.through.recv_timeout(length) {
            Err(_) => Ok(()),
            Ok((seen, _)) => Err(anyhow!("the workers are {seen:?} while they should work")),
        }
    }

    /// What a worker met with, when one has ended the fleet; `otherwise` when none has.
    fn why(self, otherwise: anyhow::Error) -> anyhow::Error {
        if !self.shared.gone.load(Ordering::Relaxed) {
            return otherwise;
        }
        match self.thread.join() {
            Ok(Err(error)) => error.context(otherwise),
            _ => otherwise,
        }
    }
}

/// The thread of the workers.
fn live(shared: &Arc<Shared>, phases: &watch::Receiver<Phase>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut living = JoinSet::new();
        for number in 0..WORKERS {
            let (shared, phases) = (Arc::clone(shared), phases.clone());
            living.spawn_local(async move { worker::live(number, &shared, phases).await });
        }
        while let Some(ended) = living.join_next().await {
            ended??;
        }
        Ok(())
    })
}

/// CPU time of everybody.
struct Cpu([Duration; 3]);

impl Cpu {
    fn now(bench: &Bench) -> Result<Cpu> {
        Ok(Cpu([bench.server.cpu()?, bench.database_cpu()?, own_cpu()?]))
    }

    /// The part of a core that each took since `before`, for people.
    fn since(&self, before: &Cpu, length: Duration) -> String {
        let mut parts = self
            .0
            .iter()
            .zip(&before.0)
            .map(|(now, then)| 100.0 * now.saturating_sub(*then).as_secs_f64() / length.as_secs_f64());
        let mut part = || parts.next().unwrap_or_default();
        format!("CPU: server {:.1} %, database {:.1} %, load generator {:.1} % of a core", part(), part(), part())
    }
}

fn run() -> Result<Vec<Line>> {
    raise_file_limit()?;
    let on = if Make::MariaDb.program().is_some() { On::MariaDb } else { On::Sqlite };
    let mut bench = Bench::set(on)?;
    let batch = bench.hand_in_jobs(JOBS)?;
    let fleet = Fleet::start(&bench.url())?;
    let measured = measure(&mut bench, &fleet, batch);
    // What a worker met with says more than that the fleet has ended.
    let lines = measured.map_err(|error| fleet.why(error).context(Lost))?;
    let said = if on == On::Sqlite { "on SQLite, as there is no MariaDB here; " } else { "" };
    Ok(lines.into_iter().map(|line| line.noting_first(said)).collect())
}

fn measure(bench: &mut Bench, fleet: &Fleet, batch: BatchId) -> Result<Vec<Line>> {
    let begun = Moment::now();
    let raw_connect = fleet.through(Stage::Connected)? - begun;
    fleet.through(Stage::Begun)?;
    fleet.phase.send_replace(Phase::Working(Moment::now()));
    fleet.run_on(SETTLING)?;

    let before = Cpu::now(bench)?;
    let begin = Moment::now();
    fleet.shared.tally().open(begin, MEASURED);
    fleet.phase.send_replace(Phase::Measured(begin, MEASURED));
    fleet.run_on(MEASURED)?;
    let cpu = Cpu::now(bench)?.since(&before, MEASURED);
    let load = load_average()?;
    fleet.run_on(ANSWERED)?;
    let missing = fleet.shared.tally().missing();
    ensure!(missing == 0, "{missing} requests had no answer");
    let memory = bench.server.memory_mb()?;

    fleet.shared.killed.store(true, Ordering::Relaxed);
    let killed = Moment::now();
    bench.scene.grid.server.restart().context("starting the job server again")?;
    let listening = Moment::now();
    bench.server = Watched::new(bench.scene.grid.server.pid()?);
    let back = fleet.through(Stage::Back)? - listening;
    let cpu_back = bench.server.cpu()?;

    fleet.phase.send_replace(Phase::Dismissed);
    fleet.through(Stage::HandedIn)?;
    check(bench, &fleet.shared, batch)?;

    let (all, health, told) = {
        let tally = fleet.shared.tally();
        (tally.all(), tally.health(), tally.told())
    };
    let note = format!(
        "{} requests in {} s, each kind with p50/p99/max in ms: {told}; {cpu}; memory of the server {memory:.0} MB; \
         syncs of the disk {:.0} a second; load average {load}",
        all.count,
        MEASURED.as_secs(),
        syncs_per_s(bench.scene.folder())?,
    );
    let beside = "/healthz over the same connections";
    let p99 = Figure::new(P99, all.p99_ms, "ms", Target::AtMost(50.0), beside, health.p99_ms).noting(note);
    let submitted = fleet.shared.submitted.load(Ordering::Relaxed);
    let note = format!(
        "killed and listening again in {:.1} s; CPU time of the server until all were back {:.1} s; {submitted} jobs \
         handed in, 0 lost, 0 leases stolen; load average {}",
        (listening - killed).as_secs_f64(),
        cpu_back.as_secs_f64(),
        load_average()?
    );
    let (back, raw) = (back.as_secs_f64(), raw_connect.as_secs_f64());
    let beside = "all connecting at once and asking /healthz";
    let reconnect = Figure::new(RECONNECT, back, "s", Target::AtMost(10.0), beside, raw).noting(note);
    Ok(vec![Line::Measured(p99), Line::Measured(reconnect)])
}

/// Whether the server has what was acknowledged, and gave no job to two workers.
fn check(bench: &Bench, shared: &Shared, batch: BatchId) -> Result<()> {
    let (submitted, counted) = (shared.submitted.load(Ordering::Relaxed), bench.results()?);
    ensure!(counted == submitted, "{submitted} jobs were acknowledged, the server counts {counted}");
    let claimed = shared.claimed.lock().unwrap_or_else(PoisonError::into_inner).len();
    ensure!(claimed as u64 == submitted, "{claimed} jobs were claimed, {submitted} handed in");
    let in_doubt = shared.claims_in_doubt.load(Ordering::Relaxed);
    let jobs = bench.runtime.block_on(bench.client.jobs(batch))?;
    let again = jobs.iter().filter(|job| job.pickups > 1 || job.losses > 0 || job.failures > 0).count() as u64;
    ensure!(again <= in_doubt, "{again} jobs were handed out again, although only {in_doubt} claims had no answer");
    let running = jobs.iter().filter(|job| job.state == JobState::Running).count();
    ensure!(running == 0, "{running} jobs still run, although everybody has handed in");
    Ok(())
}

/// Room for a connection to each worker.
fn raise_file_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("asking how many files may be open")?;
    let wanted = WORKERS as u64 + OTHER_FILES;
    ensure!(hard >= wanted, "{hard} files may be open here, and {wanted} have to be");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit of open files")
}
