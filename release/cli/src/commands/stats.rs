//! `nightshift stats`: what the grid did in which time, by whom, and whether a rollout step brought what it should.

use std::collections::HashMap;

use clap::{Subcommand, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use nightshift_client::Client;
use nightshift_contract::exit::Exit;
use nightshift_manifest::duration;
use nightshift_wire::{Moment, StatsBy, StatsPer, StatsQuery};

use super::stats_baseline;
use crate::figures::moment;
use crate::refusal::refusal;
use crate::server::ServerArgs;
use crate::stats_report;
use crate::surroundings::Surroundings;
use crate::workers;

/// See what the grid did, by hour or day, and compare it with a baseline
///
/// "If there is one thing you do, it is benchmark": record what you process before the grid goes live (`nightshift stats
/// baseline record NAME`), and compare each step of the rollout with it (`--against NAME`).
///
/// A line says how many records and jobs were accepted, how many of the records are errors and how many attempts failed; how
/// often a job was picked up (1 is the aim), by how many workers; and in which time half of the jobs, and 95 of 100, were
/// done, from their first pick-up on. Below stands how the workers spent the time. Days are those of UTC.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// From when on: so long ago (12h, 7d), or a day (2026-01-31) [default: 7d]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Until when: so long ago, or the beginning of a day [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Lines by worker, plugin or release
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// A line for each hour or day [default: day; with --by one for all the time]
    #[arg(long, value_name = "SPAN")]
    per: Option<Per>,
    /// Of this worker alone: its identity or the beginning of it, its name, or its host
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
    /// Compare the time with this baseline
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `nightshift stats …`
#[derive(Debug, Subcommand)]
enum Verb {
    /// Record, list and remove what later times are compared with
    #[command(subcommand)]
    Baseline(stats_baseline::Baselines),
}

/// What lines are about.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Worker,
    Plugin,
    Release,
}

/// What time lines cover.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Per {
    Hour,
    Day,
}

/// A moment as a person says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So many milliseconds ago.
    Ago(Moment),
    /// At this moment.
    At(Moment),
}

impl When {
    /// The moment, by the job server's clock.
    pub(crate) fn moment(self, now: Moment) -> Moment {
        match self {
            When::Ago(ago) => now.saturating_sub(ago),
            When::At(moment) => moment,
        }
    }
}

/// `7d`, or `2026-01-31`.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Ok(day) = text.parse::<Date>() {
        let begins = day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(When::At(begins.timestamp().as_millisecond()));
    }
    let ago = duration::parse(text)
        .map_err(|_| "write how long ago it is, as in \"12h\" or \"7d\", or a day, as in \"2026-01-31\"".to_owned())?;
    Ok(When::Ago(Moment::try_from(ago.as_millis()).unwrap_or(Moment::MAX)))
}

/// Both moments by the server's clock, which is asked only when it matters.
pub(crate) async fn moments(
    client: &Client,
    since: Option<When>,
    until: Option<When>,
) -> anyhow::Result<(Option<Moment>, Option<Moment>)> {
    let relative = [since, until].into_iter().flatten().any(|when| matches!(when, When::Ago(_)));
    let now = if relative { client.status().await?.now } else { 0 };
    let moments = (since.map(|when| when.moment(now)), until.map(|when| when.moment(now)));
    if let (Some(since), Some(until)) = moments
        && since >= until
    {
        return Err(refusal(Exit::Usage, "--until is not after --since"));
    }
    Ok(moments)
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    if let Some(Verb::Baseline(baselines)) = &args.verb {
        return stats_baseline::run(baselines, around).await;
    }
    let client = args.server.client(around)?;
    let (since, until) = moments(&client, args.since, args.until).await?;
    let query = StatsQuery {
        since,
        until,
        per: match (args.per, args.by) {
            (Some(Per::Hour), _) => StatsPer::Hour,
            (Some(Per::Day), _) | (None, None) => StatsPer::Day,
            (None, Some(_)) => StatsPer::Whole,
        },
        by: match args.by {
            None => StatsBy::None,
            Some(By::Worker) => StatsBy::Worker,
            Some(By::Plugin) => StatsBy::Plugin,
            Some(By::Release) => StatsBy::Release,
        },
        worker: workers::meant_if_any(&client, args.worker.as_deref()).await?,
        against: args.against.clone(),
    };
    let stats = client.stats(&query).await?;
    if args.json {
        around.screen.json("stats", &stats)?;
        return Ok(Exit::Done);
    }
    if args.csv {
        around.screen.data(&stats_report::csv(&stats)?)?;
        return Ok(Exit::Done);
    }
    if let Some(words) = asked_within(query.since, stats.since) {
        around.screen.say(words);
    }
    let names: HashMap<String, String> = match query.by {
        StatsBy::Worker => {
            let workers = client.workers().await?.into_iter();
            workers.map(|worker| (worker.report.worker.clone(), stats_report::worker_name(&worker))).collect()
        }
        _ => HashMap::new(),
    };
    if stats.rows.is_empty() {
        around.screen.say("no results were accepted in this time; --since says from when on");
    } else {
        around.screen.table(&stats_report::work(&stats, &names))?;
    }
    if let Some(time) = stats_report::time(&stats) {
        around.screen.data("\n")?;
        around.screen.table(&time)?;
    }
    if let Some(comparison) = &stats.comparison {
        around.screen.data(&format!("\n{}", stats_report::comparison(comparison)))?;
        if let Some(plugins) = stats_report::compared_plugins(comparison) {
            around.screen.table(&plugins)?;
        }
        if !comparison.next.is_empty() {
            around.screen.warn(&comparison.next);
        }
    }
    Ok(Exit::Done)
}

/// That what is counted begins before what was asked for: hours, and later days, are counted as wholes.
fn asked_within(asked: Option<Moment>, since: Moment) -> Option<String> {
    asked.filter(|asked| *asked > since).map(|_| {
        let begins = moment(since, &TimeZone::UTC);
        format!("since {begins}: the grid counts by the hour, and by the day what is long ago")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_begins_within_an_hour_is_said_to_be_counted_from_its_beginning() {
        let said = asked_within(Some(3_700_000), 3_600_000).expect("it is another");
        assert!(said.starts_with("since 1970-01-01 01:00 UTC: "), "{said}");
        assert_eq!(asked_within(Some(3_600_000), 3_600_000), None);
        assert_eq!(asked_within(None, 0), None, "nobody asked for another");
    }

    #[test]
    fn a_moment_is_said_as_a_time_ago_or_a_day() {
        assert_eq!(when("7d").map(|when| when.moment(8 * 86_400_000)), Ok(86_400_000));
        assert_eq!(when("1970-01-02"), Ok(When::At(86_400_000)));
        for wrong in ["yesterday", "7", "1970-02-30", ""] {
            assert!(when(wrong).expect_err(wrong).contains("\"2026-01-31\""), "{wrong}");
        }
    }
}
