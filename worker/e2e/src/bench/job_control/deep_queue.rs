//! `jobs_deep_queue_ratio*` and `jobserver_rss_mb*`: the rate with a million jobs waiting beside the rate with a
//! thousand, and the server's memory with the million.
//!
//! Two servers take turns, so that both see the same machine: in each round a thousand jobs are handed in and then, on
//! the clock, a thousand are done. One of them has a million more waiting all the while.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::Fleet;
use super::raw::syncs_per_s;
use super::{Bench, CLIENTS, On};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, load_average, median};

pub(in crate::bench) const GROUPS: [Group; 2] = [
    Group { names: &[SQLITE.ratio, SQLITE.memory], run: || run(&SQLITE) },
    Group { names: &[MARIADB.ratio, MARIADB.memory], run: || run(&MARIADB) },
];

/// The figures of one store.
struct Names {
    on: On,
    ratio: &'static str,
    memory: &'static str,
}

const SQLITE: Names =
    Names { on: On::Sqlite, ratio: "jobs_deep_queue_ratio_sqlite", memory: "jobserver_rss_mb_sqlite" };
const MARIADB: Names = Names { on: On::MariaDb, ratio: "jobs_deep_queue_ratio", memory: "jobserver_rss_mb" };

const DEEP: u32 = 1_000_000;
const SHALLOW: u32 = 1_000;
const ROUNDS: usize = 40;

/// A server, its fleet, and what the rounds cost on it.
struct Side {
    bench: Bench,
    fleet: Fleet,
    rates: Vec<f64>,
    cpu: Duration,
}

impl Side {
    fn set(on: On, jobs: u32) -> Result<(Side, f64)> {
        let bench = Bench::set(on)?;
        let before = bench.server.memory_mb()?;
        bench.hand_in_jobs(jobs)?;
        let fleet = bench.runtime.block_on(Fleet::connect(&bench.url(), CLIENTS, 1))?;
        Ok((Side { bench, fleet, rates: Vec::new(), cpu: Duration::ZERO }, before))
    }

    fn cpu(&self) -> Result<Duration> {
        Ok(self.bench.server.cpu()? + self.bench.database_cpu()?)
    }

    fn round(&mut self) -> Result<()> {
        self.bench.hand_in_jobs(SHALLOW)?;
        let (begun, cpu) = (Moment::now(), self.cpu()?);
        self.bench.runtime.block_on(self.fleet.drain(SHALLOW.into()))?;
        self.rates.push(f64::from(SHALLOW) / (Moment::now() - begun).as_secs_f64());
        self.cpu += self.cpu()?.saturating_sub(cpu);
        Ok(())
    }

    /// CPU time of server and database for a job, in microseconds.
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (ROUNDS as f64 * f64::from(SHALLOW))
    }
}

fn run(names: &Names) -> Result<Vec<Line>> {
    let (mut deep, before) = Side::set(names.on, DEEP)?;
    let (mut shallow, _) = Side::set(names.on, SHALLOW)?;
    for _ in 0..ROUNDS {
        shallow.round()?;
        deep.round()?;
    }
    let load = load_average()?;
    let memory = deep.bench.server.peak_memory_mb()?;
    for Side { bench, .. } in [&deep, &shallow] {
        let (expected, counted) = (ROUNDS as u64 * u64::from(SHALLOW) + 1, bench.results()?);
        ensure!(counted == expected, "{expected} jobs were acknowledged, the server counts {counted}");
    }
    let syncs = syncs_per_s(deep.bench.scene.folder())?;
    let (deep_rate, shallow_rate) = (median(deep.rates.iter().copied()), median(shallow.rates.iter().copied()));
    let note = format!(
        "{deep_rate:.0} jobs a second beside {shallow_rate:.0}; CPU time of server and database for a job {:.0} us \
         beside {:.0}; syncs of the disk {syncs:.0} a second; load average {load}",
        deep.cpu_us(),
        shallow.cpu_us()
    );
    let ratio = deep_rate / shallow_rate;
    let ratio = Figure::new(names.ratio, ratio, "", Target::AtLeast(0.9), "1,000 waiting (as 1)", 1.0);
    let memory = Figure::new(names.memory, memory, "MB", Target::AtMost(150.0), "the same server at rest", before);
    Ok(vec![Line::Measured(ratio.noting(note)), Line::Measured(memory)])
}
