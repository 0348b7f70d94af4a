//! `cycle_noop_*`: what a cycle costs that finds nothing to do.
//!
//! A release is in force and the refs have not moved; the worker is outside its hours, so no core starts; the report is
//! sent. The repository is served over `git://` on loopback. Boot becomes the launcher, so one process is measured.
//! Beside it, in turn: `git ls-remote` on the same daemon, which is the look alone.

use anyhow::{Context, Result, ensure};
use nightshift_contract::layout::BOOT;

use super::Group;
use super::figure::{Figure, Line, Target};
use super::measure::{cost, median};
use crate::scene::Scene;

pub(super) const GROUP: Group = Group { names: &[CPU, WALL], run };

const CPU: &str = "cycle_noop_cpu_ms";
const WALL: &str = "cycle_noop_wall_ms";
const CYCLES: usize = 50;

fn run() -> Result<Vec<Line>> {
    let mut scene = Scene::set()?;
    scene.put_twice(crate::scene::Work::Quick)?;
    scene.put_closed_hours()?;
    scene.central.cut("1.0.0")?;
    let daemon = scene.central.daemon()?.context("git daemon is not installed")?;
    let worker = scene.grid.worker("w1", &format!("repository = {:?}\n", daemon.url()))?;
    let first = worker.cycle()?;
    ensure!(first.code == Some(0), "the first cycle ended with {:?}: {}", first.code, first.stderr);
    let status = worker.status().context("the first cycle wrote its status")?;
    ensure!(status["state"] == "resting" && status["release"] == "v1.0.0", "the first cycle found {status:#}");

    let boot = scene.grid.programs().path(BOOT);
    let config = worker.config();
    let (mut cycles, mut looks) = (Vec::new(), Vec::new());
    for _ in 0..CYCLES {
        cycles.push(cost(&boot, &["run".as_ref(), "--config".as_ref(), config.as_ref()])?);
        looks.push(cost("git", &["ls-remote".as_ref(), daemon.url().as_ref()])?);
    }
    let heard = scene.ask(async |client| client.workers().await)?;
    ensure!(heard.len() == 1, "the job server heard of {} workers", heard.len());

    const BESIDE: &str = "git ls-remote on the same daemon";
    let figure = |name, most, value: fn(&super::measure::Cost) -> f64| {
        let (of_cycles, of_looks) = (median(cycles.iter().map(value)), median(looks.iter().map(value)));
        Line::Measured(Figure::new(name, of_cycles, "ms", Target::AtMost(most), BESIDE, of_looks))
    };
    Ok(vec![figure(CPU, 15.0, |cost| cost.cpu_ms), figure(WALL, 40.0, |cost| cost.wall_ms)])
}
