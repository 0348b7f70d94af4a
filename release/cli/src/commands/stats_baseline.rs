//! `nightshift stats baseline …`: what was done before the grid, or before a step of its rollout, kept under a name.

use std::time::Duration;

use clap::Subcommand;
use nightshift_contract::exit::Exit;
use nightshift_manifest::duration;
use nightshift_wire::{Baseline, BaselineOffice, NewBaseline};

use super::plan::share;
use super::stats::{When, moments, when};
use crate::figures::counted;
use crate::list::{self, ListArgs, RemoveArgs};
use crate::refusal::refusal;
use crate::server::ServerArgs;
use crate::stats_report;
use crate::surroundings::Surroundings;

/// `nightshift stats baseline …`
#[derive(Debug, Subcommand)]
pub(crate) enum Baselines {
    Record(Box<RecordArgs>),
    /// List the baselines
    List(ListArgs),
    /// Remove a baseline
    Remove(RemoveArgs),
}

/// Record what was done in a time, so that later times are compared with it
///
/// Record one before the grid goes live, with your processing server as its only worker, and let it be of some days: the
/// records in an hour of work, by plugin, and how many workers contributed. Say what the office is planned to have (--pcs,
/// --speed, --idle, as for `nightshift plan`), and `nightshift stats --against NAME` says at each step of the rollout what
/// is to be expected of that many machines. Without that every worker is expected to do as much as one of the baseline.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// Its name: letters, digits and the signs . _ - @
    #[arg(value_name = "NAME")]
    name: String,
    /// From when on: so long ago (12h, 7d), or a day (2026-01-31) [default: 7d]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Until when: so long ago, or the beginning of a day [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// PCs that the grid is to have in the end
    #[arg(long, value_name = "N")]
    pcs: Option<u32>,
    /// How fast a PC is, as a share of a machine of the baseline [default: 10%]
    #[arg(long, value_name = "PERCENT", value_parser = share, requires = "pcs")]
    speed: Option<f64>,
    /// How long a PC is idle a day [default: 16h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "pcs")]
    idle: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(baselines: &Baselines, around: &Surroundings) -> anyhow::Result<Exit> {
    match baselines {
        Baselines::Record(args) => record(args, around).await,
        Baselines::List(args) => {
            let baselines = args.server.client(around)?.baselines().await?;
            let none = "there is no baseline: nightshift stats baseline record NAME";
            list::show("baselines", &baselines, none, stats_report::baselines, args.json, around)
        }
        Baselines::Remove(args) => {
            args.server.client(around)?.remove_baseline(&args.name).await?;
            list::gone("removed", &args.name, &format!("the baseline {} is removed", args.name), args.json, around)
        }
    }
}

async fn record(args: &RecordArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let office = office(args)?;
    let client = args.server.client(around)?;
    let (since, until) = moments(&client, args.since, args.until).await?;
    let wanted = NewBaseline { name: args.name.clone(), since, until, office };
    let made = client.record_baseline(&wanted).await?;
    if args.json {
        around.screen.json("baseline", &made)?;
        return Ok(Exit::Done);
    }
    around.screen.table(&stats_report::figures(&made.figures))?;
    around.screen.good(format!("the baseline {} is recorded: {}", made.name, summary(&made)));
    if made.figures.hours < FEW_HOURS {
        around.screen.warn(format!(
            "it is of {} with results only; better is one of some days",
            counted(made.figures.hours, "hour")
        ));
    }
    around.screen.say(format!("After each step of the rollout: nightshift stats --since 3d --against {}", made.name));
    Ok(Exit::Done)
}

/// A baseline of fewer hours is of chance.
const FEW_HOURS: u64 = 24;

fn summary(made: &Baseline) -> String {
    let records = made.figures.plugins.iter().map(|plugin| plugin.records).sum();
    format!("{} by {}", counted(records, "record"), counted(made.figures.workers, "worker"))
}

/// What the flags say of the office.
fn office(args: &RecordArgs) -> anyhow::Result<Option<BaselineOffice>> {
    let Some(pcs) = args.pcs else { return Ok(None) };
    let speed = args.speed.unwrap_or(0.1);
    if !(0.001..=100.0).contains(&speed) {
        return Err(refusal(Exit::Usage, "--speed: give it a share from 0.1% to 10000%"));
    }
    let idle_ms = args.idle.map_or(16 * 3_600_000, |idle| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
    Ok(Some(BaselineOffice { pcs, speed_per_mille: (speed * 1_000.0).round() as u32, idle_ms }))
}
