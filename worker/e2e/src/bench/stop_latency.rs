//! `stop_latency_*`: from the `git push` of a stop flag to the end of the last process of 20 workers.
//!
//! Each worker runs a job with a process plugin that keeps another process in hiding; intervals are those that are shipped
//! (workers look every 60 s, the job server every 2 s), and phases are random. Five stops with the job server up, one with
//! it down; in between the benchmark takes the flag away and starts the cycles itself, as cron would. The slowest of a
//! round counts, and of the rounds the slowest. At the end everything is finished, and the receipt has to say that every
//! record handed in has exactly one result.
//!
//! Beside it: the time of the `git push` itself, which the figures include.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_testbed::grid::{Cycle, Worker, processes_in};
use nightshift_testbed::wait;

use super::Group;
use super::figure::{Figure, Line, Lost, Target};
use super::measure::{Moment, cost};
use crate::scene::Scene;

pub(super) const GROUP: Group = Group { names: &[UP, DOWN], run };

const UP: &str = "stop_latency_up_p99_s";
const DOWN: &str = "stop_latency_down_p99_s";
const WORKERS: usize = 20;
const STOPS_UP: usize = 5;
/// A job lasts longer than workers may take to notice a stop by themselves.
const RECORDS: u32 = 400;
const EACH: Duration = Duration::from_millis(200);
const JOBS: u32 = 40;
/// Within this a worker has its job in hand, on a loaded machine.
const WORKING_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(180);
const DONE_WITHIN: Duration = Duration::from_secs(900);

fn run() -> Result<Vec<Line>> {
    let mut stage = Stage::set()?;
    // First, while every job is whole: a job server that is away hands out no others.
    let down = stage.round(Server::Down)?;
    let mut ups = Vec::new();
    for _ in 0..STOPS_UP {
        ups.push(stage.round(Server::Up)?);
    }
    let lost_nothing = stage.finish().context(Lost)?;
    const BESIDE: &str = "the git push alone";
    let slowest = |of: fn(&Stopped) -> f64| ups.iter().map(of).fold(0.0, f64::max);
    let rounds: Vec<String> = ups.iter().map(|stopped| format!("{:.1}", stopped.seconds)).collect();
    let up = Figure::new(UP, slowest(|stopped| stopped.seconds), "s", Target::AtMost(5.0), BESIDE, slowest(|s| s.push));
    let up = up.noting(format!("rounds {}; {lost_nothing}", rounds.join(", ")));
    let down = Figure::new(DOWN, down.seconds, "s", Target::AtMost(65.0), BESIDE, down.push);
    Ok(vec![Line::Measured(up), Line::Measured(down)])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Up,
    Down,
}

/// What a round took.
struct Stopped {
    /// From the beginning of the push to the end of the last process.
    seconds: f64,
    /// The push alone.
    push: f64,
}

struct Stage {
    // Before the scene, which their folders lie in.
    workers: Vec<Worker>,
    scene: Scene,
    /// An admin's clone of the control branch.
    clone: PathBuf,
    batch: i64,
    random: RandomState,
}

impl Stage {
    fn set() -> Result<Stage> {
        let mut scene = Scene::as_shipped()?;
        scene.put_twice_as_a_program(EACH, 5)?;
        scene.central.cut("1.0.0")?;
        let clone = scene.folder().join("admin");
        let folder = clone.to_string_lossy().into_owned();
        git(&["clone", "--quiet", "--branch", "control", &scene.central.url(), &folder])?;
        let workers = (1..=WORKERS).map(|number| scene.grid.worker(&format!("w{number}"), "look_every = \"60s\"\n"));
        let workers = workers.collect::<Result<_>>()?;
        let batch = scene.hand_in_numbers(RECORDS * JOBS, RECORDS)?.id;
        Ok(Stage { workers, scene, clone, batch, random: RandomState::new() })
    }

    /// Starts every worker, stops the grid, waits for the last process, and starts the grid again.
    fn round(&mut self, server: Server) -> Result<Stopped> {
        let spread = if server == Server::Down { 30_000 } else { 5000 };
        let mut cycles: Vec<Cycle> = Vec::new();
        for worker in &self.workers {
            self.wait_up_to(spread / WORKERS as u64 * 2);
            cycles.push(worker.start_cycle()?);
        }
        for worker in &self.workers {
            worker.status_says("a job in hand", WORKING_WITHIN, |status| status["state"] == "working")?;
        }
        if server == Server::Down {
            self.scene.grid.server.kill();
        }
        self.wait_up_to(spread);
        let begun = Moment::now();
        self.push("STOP", "reason = \"a measurement\"\n")?;
        let pushed = Moment::now() - begun;
        // The server may run, and the admin's git; everything else in the folder is of a worker.
        let workers = self.scene.folder().join("workers");
        let none = || processes_in(&workers).is_empty().then(Moment::now);
        let last = wait::until("the last process of the workers to end", STOPPED_WITHIN, none)?;
        for cycle in cycles {
            let ended = cycle.ended_within(STOPPED_WITHIN)?;
            ensure!(ended.code == Some(6), "a cycle ended with {ended:?}");
        }
        self.remove_flag()?;
        if server == Server::Down {
            self.scene.grid.server.restart()?;
        }
        wait::until("the job server to see that the flag is gone", STOPPED_WITHIN, || {
            let view = self.scene.ask(async |client| client.stop("", Duration::ZERO).await);
            view.is_ok_and(|view| view.stopped.is_none()).then_some(())
        })?;
        Ok(Stopped { seconds: (last - begun).as_secs_f64(), push: pushed.as_secs_f64() })
    }

    /// Lets the workers finish the batch, and looks at its receipt.
    fn finish(&self) -> Result<String> {
        let _cycles = self.workers.iter().map(Worker::start_cycle).collect::<Result<Vec<_>>>()?;
        wait::until("the batch to be done", DONE_WITHIN, || {
            self.scene.batch(self.batch).is_ok_and(|batch| batch.finished_at.is_some()).then_some(())
        })?;
        self.scene.check_numbers(self.batch, RECORDS * JOBS)?;
        let receipt = self.scene.ask(async |client| client.receipt(self.batch).await)?;
        ensure!(receipt.in_is_out && receipt.unprocessed == 0, "the receipt says: {}", receipt.verdict);
        Ok(format!("{} records in, {} results out", RECORDS * JOBS, receipt.results))
    }

    fn push(&self, name: &str, content: &str) -> Result<()> {
        std::fs::write(self.clone.join(name), content)?;
        self.git(&["add", name])?;
        self.git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "stop"])?;
        self.git(&["push", "--quiet", "origin", "control"])
    }

    fn remove_flag(&self) -> Result<()> {
        self.git(&["rm", "--quiet", "STOP"])?;
        self.git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "start"])?;
        self.git(&["push", "--quiet", "origin", "control"])
    }

    fn git(&self, words: &[&str]) -> Result<()> {
        let folder = self.clone.to_string_lossy().into_owned();
        git(&[&["-C", folder.as_str()], words].concat())
    }

    /// Waits for a random time.
    fn wait_up_to(&self, most_ms: u64) {
        let random = self.random.hash_one(format!("{:?}", Moment::now())) % most_ms.max(1);
        // Nothing is waited for but the time.
        let _ = wait::until("a random moment", Duration::from_millis(random), || None::<()>);
    }
}

fn git(words: &[&str]) -> Result<()> {
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    cost("git", &words).map(drop)
}
