//! `jobs_deep_queue_ratio_sqlite` and `jobserver_rss_mb`: the rate with a million jobs waiting beside the rate with a
//! thousand, and the server's memory with the million.
//!
//! Two servers take turns, so that both see the same machine: in each round a thousand jobs are handed in and then, on
//! the clock, a thousand are done. One of them has a million more waiting all the while.

use anyhow::{Result, ensure};

use super::load::Fleet;
use super::{Bench, CLIENTS};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, median};

pub(in crate::bench) const GROUP: Group = Group { names: &[RATIO, MEMORY], run };

const RATIO: &str = "jobs_deep_queue_ratio_sqlite";
const MEMORY: &str = "jobserver_rss_mb";

const DEEP: u32 = 1_000_000;
const SHALLOW: u32 = 1_000;
const ROUNDS: usize = 40;

fn run() -> Result<Vec<Line>> {
    let (deep, shallow) = (Bench::set()?, Bench::set()?);
    let before = deep.server.memory_mb()?;
    deep.hand_in_jobs(DEEP)?;
    let connect = |bench: &Bench| bench.runtime.block_on(Fleet::connect(&bench.url(), CLIENTS));
    shallow.hand_in_jobs(SHALLOW)?;
    let (mut deep_fleet, mut shallow_fleet) = (connect(&deep)?, connect(&shallow)?);
    let (mut deep_rates, mut shallow_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        shallow_rates.push(round(&shallow, &mut shallow_fleet)?);
        deep_rates.push(round(&deep, &mut deep_fleet)?);
    }
    let memory = deep.server.peak_memory_mb()?;
    for bench in [&deep, &shallow] {
        let (expected, counted) = (ROUNDS as u64 * u64::from(SHALLOW) + 1, bench.results()?);
        ensure!(counted == expected, "{expected} jobs were acknowledged, the server counts {counted}");
    }
    let (deep_rate, shallow_rate) = (median(deep_rates), median(shallow_rates));
    let ratio = deep_rate / shallow_rate;
    Ok(vec![
        Line::Measured(Figure::new(RATIO, ratio, "", Target::AtLeast(0.9), "1,000 waiting (as 1)", 1.0)),
        Line::Measured(Figure::new(MEMORY, memory, "MB", Target::AtMost(150.0), "the same server at rest", before)),
    ])
}

/// Jobs a second of one round.
fn round(bench: &Bench, fleet: &mut Fleet) -> Result<f64> {
    bench.hand_in_jobs(SHALLOW)?;
    let begun = Moment::now();
    bench.runtime.block_on(fleet.drain(SHALLOW.into()))?;
    Ok(f64::from(SHALLOW) / (Moment::now() - begun).as_secs_f64())
}
