//! `jobs_per_s_*` and what a job costs the server: no-op jobs of one record, claimed, submitted and acknowledged when
//! they are on disk; one job per request, and on MariaDB also up to a hundred.
//!
//! Beside the rate stand the disk's own syncs, measured before and after; the note tells whose CPU time went into a job.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::Fleet;
use super::raw::syncs_per_s;
use super::{Bench, CLIENTS, On};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, load_average, own_cpu};

pub(in crate::bench) const GROUPS: [Group; 3] = [
    Group { names: &[SQLITE.rate, SQLITE.cpu], run: || run(&SQLITE) },
    Group { names: &[MARIADB.rate, MARIADB.cpu], run: || run(&MARIADB) },
    Group { names: &[BATCHED.rate, BATCHED.cpu], run: || run(&BATCHED) },
];

/// A way of doing jobs.
struct Way {
    rate: &'static str,
    least: f64,
    /// The server's part of a job.
    cpu: &'static str,
    most_us: f64,
    on: On,
    /// Jobs of a request.
    at_once: u32,
    /// More than can be done while it is measured.
    jobs: u32,
}

const SQLITE: Way = Way {
    rate: "jobs_per_s_sqlite",
    least: 5_000.0,
    cpu: "jobs_server_cpu_us_sqlite",
    most_us: 250.0,
    on: On::Sqlite,
    at_once: 1,
    jobs: 600_000,
};

const MARIADB: Way =
    Way { rate: "jobs_per_s_mariadb", cpu: "jobs_server_cpu_us_mariadb", on: On::MariaDb, jobs: 300_000, ..SQLITE };

const BATCHED: Way = Way {
    rate: "jobs_per_s_batched_mariadb",
    least: 15_000.0,
    cpu: "jobs_server_cpu_us_batched_mariadb",
    at_once: 100,
    jobs: 800_000,
    ..MARIADB
};

const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(15);

/// The machine at one moment of the run.
struct Look {
    done: u64,
    at: Moment,
    server_cpu: Duration,
    database_cpu: Duration,
    own_cpu: Duration,
}

fn run(way: &Way) -> Result<Vec<Line>> {
    let bench = Bench::set(way.on)?;
    bench.hand_in_jobs(way.jobs)?;
    let folder = bench.scene.folder();
    let syncs_before = syncs_per_s(folder)?;
    let (begin, end, done) = bench.runtime.block_on(async {
        let mut fleet = Fleet::connect(&bench.url(), CLIENTS, way.at_once).await?;
        let look = |done| {
            let (server_cpu, database_cpu) = (bench.server.cpu()?, bench.database_cpu()?);
            Ok(Look { done, at: Moment::now(), server_cpu, database_cpu, own_cpu: own_cpu()? })
        };
        fleet.measure(WARM_UP, MEASURED, look).await
    })?;
    let load = load_average()?;
    let syncs = f64::midpoint(syncs_before, syncs_per_s(folder)?);
    // One more was done to learn how records are numbered.
    let counted = bench.results()?;
    ensure!(counted == done + 1, "{done} jobs were acknowledged, the server counts {counted} with the first");

    let jobs = (end.done - begin.done) as f64;
    let per_job = |cpu: fn(&Look) -> Duration| (cpu(&end) - cpu(&begin)).as_secs_f64() * 1e6 / jobs;
    let rate = jobs / (end.at - begin.at).as_secs_f64();
    let (cpu, own) = (per_job(|look| look.server_cpu), per_job(|look| look.own_cpu));
    let database = per_job(|look| look.database_cpu);
    let note = format!(
        "CPU time of a job: server {cpu:.0} us, database {database:.0} us, load generator {own:.0} us; \
         syncs of the disk {syncs:.0} a second; load average {load}"
    );
    let rate = Figure::new(way.rate, rate, "1/s", Target::AtLeast(way.least), "syncs of the disk", syncs);
    let cpu = Figure::new(way.cpu, cpu, "us", Target::AtMost(way.most_us), "CPU time of the load generator", own);
    Ok(vec![Line::Measured(rate.noting(note)), Line::Measured(cpu)])
}
