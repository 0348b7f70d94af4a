//! `plan_100k_s`, `plan_100k_rss_mb`: an office of 100,000 PCs for seven days, planned by a process of its own.
//!
//! Beside them, in the same run: a hundredth of these PCs. A simulation that costs as much for each PC takes a hundred
//! times as long; one whose PCs no longer fit the processor's caches takes more.

use anyhow::{Context, Result};
use nightshift_testbed::grid::Programs;

use super::Group;
use super::figure::{Figure, Line, Target};
use super::measure;

pub(super) const GROUP: Group = Group { names: &[SECONDS, MEMORY], run };

const SECONDS: &str = "plan_100k_s";
const MEMORY: &str = "plan_100k_rss_mb";
const PCS: u32 = 100_000;
const PART: u32 = 1_000;

fn run() -> Result<Vec<Line>> {
    let part = planned(PART)?;
    let all = planned(PCS)?;
    let note = format!("{:.0} jobs of a quarter of an hour a day", all.grid_jobs_a_day);
    let seconds = Figure::new(SECONDS, all.seconds, "s", Target::AtMost(60.0), "1,000 PCs", part.seconds).noting(note);
    let memory = Figure::new(MEMORY, all.peak_mb, "MB", Target::AtMost(1_000.0), "1,000 PCs", part.peak_mb);
    Ok(vec![Line::Measured(seconds), Line::Measured(memory)])
}

/// What planning so many PCs took, and what the plan says.
struct Planned {
    seconds: f64,
    peak_mb: f64,
    grid_jobs_a_day: f64,
}

/// Runs `nightshift plan`, with a network that so many PCs do not fill.
fn planned(pcs: u32) -> Result<Planned> {
    let program = Programs::beside_this_one()?.path("nightshift");
    let pcs = pcs.to_string();
    let arguments = ["plan", "--pcs", &pcs, "--days", "7", "--network", "10000", "--json"];
    let ran = measure::watched(&program, &arguments)?;
    let plan: serde_json::Value = serde_json::from_slice(&ran.stdout).context("reading the plan")?;
    let figure = &plan["plan"]["figures"]["grid_jobs_a_day"];
    let grid_jobs_a_day = figure.as_f64().with_context(|| format!("the plan says {figure}"))?;
    Ok(Planned { seconds: ran.wall.as_secs_f64(), peak_mb: ran.peak_mb, grid_jobs_a_day })
}
