//! `nightshift release status`: the releases of the central repository, which of them workers refuse and why, and how the
//! others spread.

mod rings;

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_engine::Reviewed;
use nightshift_wire::{Rollout, Rollouts};
use serde::Serialize;

use crate::figures::moment;
use crate::grid_clone::GridClone;
use crate::releases::{self, Releases, Tags};
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;
use crate::wait::until_the_next_look;

/// List releases, which of them workers refuse and why, and how the others spread
///
/// Judges every tag of the central repository that looks like a release as a worker would that joins today. The newest
/// one that is believed is what workers run. (A worker that has seen more may refuse more: its own status says so.)
/// Exit code 8 when a release is refused.
///
/// For releases with a rollout plan the job server says how they do: its rings, the workers in them, what they did with the
/// release, and what the next ring waits for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look again and again, until no ring waits any more
    #[arg(long)]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A release as the list shows it.
#[derive(Debug, Serialize)]
struct Row {
    tag: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// How it spreads, as the job server says; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let mut last = String::new();
    loop {
        releases::fetch(&clone)?;
        let releases = releases::judge(&clone, Tags::Central, None)?;
        let newest = releases.review.newest().map(|newest| newest.commit.clone());
        let has_plan = newest.is_some_and(|commit| {
            releases::settings_of(&clone, &commit).is_some_and(|settings| settings.rollout.is_some())
        });
        let rollouts = ask(args, has_plan || args.watch, around).await;
        let rows = rows(&releases, rollouts.as_ref());
        let seen = serde_json::to_string(&rows)?;
        if seen != last {
            if !last.is_empty() {
                around.screen.clear()?;
            }
            show(&rows, args, around)?;
            last = seen;
        }
        let goes_on = rows.first().and_then(|row| row.rollout.as_ref()).is_none_or(rings::goes_on);
        if !args.watch || (rollouts.is_some() && !goes_on) {
            return Ok(if rows.iter().any(|row| row.rule.is_some()) { Exit::ReleaseRefused } else { Exit::Done });
        }
        until_the_next_look().await;
    }
}

/// What the job server says. One that does not answer is named when its answer matters: a grid without plans is shown
/// without it.
async fn ask(args: &Args, matters: bool, around: &Surroundings) -> Option<Rollouts> {
    let asked = match args.server.client(around) {
        Ok(client) => client.rollouts(None, "").await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match asked {
        Ok(rollouts) => Some(rollouts),
        Err(error) => {
            if matters {
                around.screen.warn(format!("rings are not shown, because the job server does not say: {error:#}"));
            }
            None
        }
    }
}

fn show(rows: &[Row], args: &Args, around: &Surroundings) -> anyhow::Result<()> {
    if args.json {
        return around.screen.json("releases", &rows);
    }
    if rows.is_empty() {
        around.screen.say("no release yet; cut the first with `nightshift release cut 1.0.0`");
        return Ok(());
    }
    around.screen.table(&table(rows, &TimeZone::system()))?;
    for rollout in rows.iter().filter_map(|row| row.rollout.as_ref()) {
        around.screen.data(&rings::lines(rollout))?;
    }
    for row in rows.iter().filter(|row| row.rule.is_some()) {
        let (found, advice) = (row.found.as_deref().unwrap_or_default(), row.advice.as_deref().unwrap_or_default());
        around.screen.warn(format!("{} is refused: {found}; {advice}", row.tag));
    }
    for row in rows.iter().filter(|row| row.state == "waiting") {
        around.screen.warn(format!("{} waits: {}", row.tag, row.found.as_deref().unwrap_or_default()));
    }
    Ok(())
}

/// The newest release first, refusals in their places.
fn rows(releases: &Releases, rollouts: Option<&Rollouts>) -> Vec<Row> {
    releases.review.tags.iter().rev().map(|reviewed| row(reviewed, releases, rollouts)).collect()
}

fn row(reviewed: &Reviewed, releases: &Releases, rollouts: Option<&Rollouts>) -> Row {
    let tag = reviewed.tag.name.clone();
    let newest = releases.review.newest_free().map(|newest| newest.version);
    match &reviewed.verdict {
        Ok(release) => Row {
            tag,
            state: match &release.held {
                Some(_) => "waiting",
                None if newest == Some(release.version) => "newest",
                None => "earlier",
            },
            commit: Some(release.commit.clone()),
            signer: Some(release.signer.clone()),
            signed_at: releases.made_at.get(&reviewed.tag.name).copied(),
            rule: None,
            found: release.held.as_ref().map(|held| held.why.clone()),
            advice: None,
            rollout: rings::of(rollouts, &reviewed.tag.name).cloned(),
        },
        Err(refusal) => Row {
            tag,
            state: "refused",
            commit: None,
            signer: refusal.signer.clone(),
            signed_at: None,
            rule: Some(refusal.rule.name()),
            found: Some(refusal.found.clone()),
            advice: Some(refusal.advice.clone()),
            rollout: None,
        },
    }
}

fn table(rows: &[Row], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["RELEASE", "STATE", "SIGNED BY", "ON", "COMMIT"]);
    for row in rows {
        table.row(vec![
            row.tag.clone(),
            match row.rule {
                // The rule's name is for programs; people get a sentence below.
                Some(_) => "refused".to_owned(),
                None => row.state.to_owned(),
            },
            row.signer.clone().unwrap_or_default(),
            row.signed_at.map_or_else(String::new, |signed_at| moment(signed_at, zone)),
            row.commit.as_deref().map_or_else(String::new, |commit| commit.chars().take(10).collect()),
        ]);
    }
    table
}
