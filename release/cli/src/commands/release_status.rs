//! `nightshift release status`: the releases of the central repository, and which of them workers refuse and why.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_engine::Reviewed;
use serde::Serialize;

use crate::figures::moment;
use crate::grid_clone::GridClone;
use crate::releases::{self, Releases, Tags};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List releases, and which of them workers refuse and why
///
/// Judges every tag of the central repository that looks like a release as a worker would that joins today. The newest
/// one that is believed is what workers run. (A worker that has seen more may refuse more: its own status says so.)
/// Exit code 8 when a release is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
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
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    releases::fetch(&clone)?;
    let releases = releases::judge(&clone, Tags::Central, None)?;
    let rows = rows(&releases);
    let refused = rows.iter().any(|row| row.rule.is_some());
    if args.json {
        around.screen.json("releases", &rows)?;
    } else if rows.is_empty() {
        around.screen.say("no release yet; cut the first with `nightshift release cut 1.0.0`");
    } else {
        around.screen.table(&table(&rows, &TimeZone::system()))?;
        for row in rows.iter().filter(|row| row.rule.is_some()) {
            let (found, advice) = (row.found.as_deref().unwrap_or_default(), row.advice.as_deref().unwrap_or_default());
            around.screen.warn(format!("{} is refused: {found}; {advice}", row.tag));
        }
        for row in rows.iter().filter(|row| row.state == "waiting") {
            around.screen.warn(format!("{} waits: {}", row.tag, row.found.as_deref().unwrap_or_default()));
        }
    }
    Ok(if refused { Exit::ReleaseRefused } else { Exit::Done })
}

/// The newest release first, refusals in their places.
fn rows(releases: &Releases) -> Vec<Row> {
    releases.review.tags.iter().rev().map(|reviewed| row(reviewed, releases)).collect()
}

fn row(reviewed: &Reviewed, releases: &Releases) -> Row {
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
