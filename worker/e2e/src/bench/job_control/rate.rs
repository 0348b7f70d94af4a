//! `jobs_per_s_sqlite` and what a job costs the server: no-op jobs of one record, one job per request, each claimed,
//! submitted and acknowledged when it is on disk. Beside the rate stand the disk's own syncs, measured before and after.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::Fleet;
use super::raw::syncs_per_s;
use super::{Bench, CLIENTS};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, own_cpu};

pub(in crate::bench) const GROUP: Group = Group { names: &[RATE, CPU], run };

const RATE: &str = "jobs_per_s_sqlite";
const CPU: &str = "jobs_server_cpu_us_sqlite";

/// More than can be done while it is measured.
const JOBS: u32 = 250_000;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(15);

/// The machine at one moment of the run.
struct Look {
    done: u64,
    at: Moment,
    server_cpu: Duration,
    own_cpu: Duration,
}

fn run() -> Result<Vec<Line>> {
    let bench = Bench::set()?;
    bench.hand_in_jobs(JOBS)?;
    let folder = bench.scene.folder();
    let syncs_before = syncs_per_s(folder)?;
    let (begin, end, done) = bench.runtime.block_on(async {
        let mut fleet = Fleet::connect(&bench.url(), CLIENTS).await?;
        let look = |done| Ok(Look { done, at: Moment::now(), server_cpu: bench.server.cpu()?, own_cpu: own_cpu()? });
        fleet.measure(WARM_UP, MEASURED, look).await
    })?;
    let syncs = f64::midpoint(syncs_before, syncs_per_s(folder)?);
    // One more was done to learn how records are numbered.
    let counted = bench.results()?;
    ensure!(counted == done + 1, "{done} jobs were acknowledged, the server counts {counted} with the first");

    let jobs = (end.done - begin.done) as f64;
    let per_job = |begin: Duration, end: Duration| (end - begin).as_secs_f64() * 1e6 / jobs;
    let rate = jobs / (end.at - begin.at).as_secs_f64();
    let (cpu, own) = (per_job(begin.server_cpu, end.server_cpu), per_job(begin.own_cpu, end.own_cpu));
    Ok(vec![
        Line::Measured(Figure::new(RATE, rate, "1/s", Target::AtLeast(5_000.0), "syncs of the disk", syncs)),
        Line::Measured(Figure::new(CPU, cpu, "us", Target::AtMost(250.0), "CPU time of the load generator", own)),
    ])
}
