//! `nightshift release status`: the releases of the central repository, how each of them stands and why, and how they
//! spread.
//!
//! What people hold back is read from the control branch, as workers read it, so that it is told without a job server, too.
//! What keeps a release from workers is decided in [`standing`]; the job server's part is shown by [`rings`].

mod rings;
mod standing;

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_engine::Reviewed;
use nightshift_manifest::rollout::{Cap, Holds};
use nightshift_wire::{Rollout, Rollouts};
use serde::Serialize;

use crate::control::RepositoryArgs;
use crate::figures::{count, moment};
use crate::grid_clone::GridClone;
use crate::releases::{self, Releases, Tags};
use crate::same_grid::Check;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;
use crate::wait::until_the_next_look;
use standing::{Standing, State};

/// List releases, which of them workers may not have and why, and how the others spread
///
/// Judges every tag of the central repository that looks like a release as a worker would that joins today. The newest
/// one that is believed and not held back is what workers run. (A worker that has seen more may refuse more: its own status
/// says so.) Exit code 8 when a release is refused, or when one above the newest was denied or sent back.
///
/// The job server says how many workers have a release and, for those with a rollout plan, how they do: its rings, the
/// workers in them, what they did with the release, and what the next ring waits for.
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

/// What is shown.
#[derive(Debug, Serialize)]
struct Listing {
    /// What holds every release back: a pause, or a `rollout.toml` that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    /// What is said of that.
    #[serde(skip)]
    held_sentence: Option<String>,
    releases: Vec<Row>,
}

/// A release as the list shows it.
#[derive(Debug, Serialize)]
struct Row {
    tag: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<i64>,
    /// The rule of trust that it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    /// Why it is refused, denied, sent back or waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// The rings it goes no further than, by `release pause --beyond`, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    caps: Vec<Cap>,
    /// How it spreads, as the job server says; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
    /// What is said of it below the list.
    #[serde(skip)]
    sentences: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let check = Check::of(&RepositoryArgs::default(), &args.server, around);
    let is_of_this_grid = check.and_then(|check| check.refuse_another(&args.server, around));
    let mut last = String::new();
    loop {
        releases::fetch(&clone)?;
        let releases = releases::judge(&clone, Tags::Central, None)?;
        let holds = releases::held_back(&clone)?;
        let newest = releases.review.newest().map(|newest| newest.commit.clone());
        let has_plan = newest.is_some_and(|commit| {
            releases::settings_of(&clone, &commit).is_some_and(|settings| settings.rollout.is_some())
        });
        let rollouts = match &is_of_this_grid {
            Ok(()) => ask(args, has_plan || args.watch, around).await,
            Err(_) => None,
        };
        let known = Known { clone: &clone, releases: &releases, holds: &holds, rollouts: rollouts.as_ref() };
        let (held, held_sentence) = held(&holds).unzip();
        let listing = Listing { held, held_sentence, releases: known.rows() };
        let seen = serde_json::to_string(&listing)?;
        if seen != last {
            if !last.is_empty() {
                around.screen.clear()?;
            }
            if let Err(why) = &is_of_this_grid
                && args.server.is_named(around)
            {
                around.screen.warn(format!("who has a release is not shown; of the job server: {why:#}"));
            }
            show(&listing, rollouts.as_ref().map(|rollouts| rollouts.now), args, around)?;
            last = seen;
        }
        if !args.watch || (rollouts.is_some() && !goes_on(&listing.releases)) {
            return Ok(exit(&listing.releases));
        }
        until_the_next_look().await;
    }
}

/// Whether the highest release that is believed has still to reach somebody.
fn goes_on(rows: &[Row]) -> bool {
    let Some(row) = rows.iter().find(|row| row.state != State::Refused) else { return true };
    match row.state {
        State::Denied | State::SentBack => false,
        // One that waits for approvals, or that the job server has not seen yet, is still to come.
        _ => row.rollout.as_ref().is_none_or(rings::goes_on),
    }
}

/// Refused tags count wherever they are; what was rolled back counts until a newer release took its place.
fn exit(rows: &[Row]) -> Exit {
    let refused = rows.iter().any(|row| row.state == State::Refused);
    let mut above = rows.iter().take_while(|row| row.state != State::Newest);
    let rolled_back = above.any(|row| matches!(row.state, State::Denied | State::SentBack));
    if refused || rolled_back { Exit::ReleaseRefused } else { Exit::Done }
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

/// Why nobody takes any release, when it is so, and the sentence about it.
fn held(holds: &Holds) -> Option<(String, String)> {
    match (&holds.unreadable, &holds.pause) {
        (Some(why), _) => {
            let held = format!("nobody moves: {why}");
            Some((held.clone(), held))
        }
        (None, Some(why)) => Some((
            format!("paused: {why}"),
            format!("rollouts are paused: {why}; `nightshift release resume` lets them go on"),
        )),
        (None, None) => None,
    }
}

fn show(listing: &Listing, now: Option<i64>, args: &Args, around: &Surroundings) -> anyhow::Result<()> {
    if args.json {
        return around.screen.json_document(listing);
    }
    let Listing { held_sentence, releases, .. } = listing;
    if releases.is_empty() {
        around.screen.say("no release yet; cut the first with `nightshift release cut 1.0.0`");
    } else {
        let zone = TimeZone::system();
        around.screen.table(&table(releases, &zone))?;
        // Those that are over and that nobody has any more are in the list, and that is enough.
        for row in releases {
            let Some(rollout) = &row.rollout else { continue };
            if row.state != State::Earlier || rollout.on_release > 0 {
                around.screen.data(&rings::lines(rollout, row.state, now.unwrap_or_default(), &zone))?;
            }
        }
    }
    if let Some(held) = held_sentence {
        around.screen.warn(held);
    }
    for sentence in releases.iter().flat_map(|row| &row.sentences) {
        around.screen.warn(sentence);
    }
    Ok(())
}

/// Everything that is known of the releases.
struct Known<'k> {
    clone: &'k GridClone,
    releases: &'k Releases,
    holds: &'k Holds,
    rollouts: Option<&'k Rollouts>,
}

impl Known<'_> {
    /// The newest release first, refusals in their places.
    fn rows(&self) -> Vec<Row> {
        let mut free = State::Newest;
        let reviewed = self.releases.review.tags.iter().rev();
        reviewed
            .map(|reviewed| {
                let row = self.row(reviewed, free);
                if row.state == State::Newest {
                    free = State::Earlier;
                }
                row
            })
            .collect()
    }

    /// A release; `free` is how it stands when nothing keeps it from workers.
    fn row(&self, reviewed: &Reviewed, free: State) -> Row {
        let tag = reviewed.tag.name.clone();
        let with = |standing: Option<Standing>| Row {
            state: standing.as_ref().map_or(free, |standing| standing.state),
            sentences: standing.iter().map(|standing| standing.sentence(&tag)).collect(),
            found: standing.as_ref().map(|standing| standing.found.clone()),
            advice: standing.and_then(|standing| standing.advice),
            tag: tag.clone(),
            commit: None,
            signer: None,
            signed_at: None,
            rule: None,
            caps: Vec::new(),
            rollout: None,
        };
        let release = match &reviewed.verdict {
            Ok(release) => release,
            Err(refusal) => {
                let row = with(Some(Standing::refused(refusal)));
                return Row { signer: refusal.signer.clone(), rule: Some(refusal.rule.name()), ..row };
            }
        };
        let rollout = rings::of(self.rollouts, &tag);
        let mut row = Row {
            commit: Some(release.commit.clone()),
            signer: Some(release.signer.clone()),
            signed_at: self.releases.made_at.get(&tag).copied(),
            caps: self.holds.caps_of(release.version).cloned().collect(),
            rollout: rollout.cloned(),
            ..with(Standing::of(release.version, release.held.as_ref(), self.holds, rollout))
        };
        row.sentences.extend(rollout.and_then(rings::found_bad));
        if !row.caps.is_empty() {
            let plan = releases::settings_of(self.clone, &release.commit).and_then(|settings| settings.rollout);
            let rings: Vec<String> = plan.into_iter().flat_map(|plan| plan.rings).map(|ring| ring.name).collect();
            row.sentences.push(standing::capped(release.version, &row.caps, &rings));
        }
        row
    }
}

fn table(rows: &[Row], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["RELEASE", "STATE", ">ON", "SIGNED BY", "SIGNED", "COMMIT"]);
    for row in rows {
        table.row(vec![
            row.tag.clone(),
            row.state.to_string(),
            row.rollout.as_ref().map_or_else(String::new, |rollout| count(rollout.on_release)),
            row.signer.clone().unwrap_or_default(),
            row.signed_at.map_or_else(String::new, |signed_at| moment(signed_at, zone)),
            row.commit.as_deref().map_or_else(String::new, |commit| commit.chars().take(10).collect()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use nightshift_wire::RingState;

    use super::rings::tests::{ring, rollout};
    use super::*;

    fn row(state: State, rollout: Option<Rollout>) -> Row {
        let tag = "v1.5.0".to_owned();
        let (commit, signer, signed_at, rule, found) = (None, None, None, None, None);
        let (advice, caps, sentences) = (None, Vec::new(), Vec::new());
        Row { tag, state, commit, signer, signed_at, rule, found, advice, caps, rollout, sentences }
    }

    #[test]
    fn a_watch_is_over_when_the_highest_release_that_is_believed_is_and_a_refused_tag_above_it_holds_nothing_up() {
        let done = || Some(rollout(vec![ring("all", RingState::Open, "")]));
        let spreads = || Some(rollout(vec![ring("all", RingState::Waiting, "jobs")]));
        assert!(!goes_on(&[row(State::Refused, None), row(State::Newest, done())]));
        assert!(goes_on(&[row(State::Refused, None), row(State::Newest, spreads())]));
        assert!(!goes_on(&[row(State::Denied, None), row(State::Newest, spreads())]));
        assert!(!goes_on(&[row(State::SentBack, spreads()), row(State::Newest, done())]));
        assert!(goes_on(&[row(State::Newest, None)]), "the job server has not seen it yet");
        assert!(goes_on(&[]), "there is none yet");
    }

    #[test]
    fn a_release_that_was_rolled_back_is_told_by_the_exit_code_until_a_newer_one_took_its_place() {
        let codes = |states: &[State]| exit(&states.iter().map(|state| row(*state, None)).collect::<Vec<_>>());
        assert_eq!(codes(&[State::Newest, State::Earlier]), Exit::Done);
        assert_eq!(codes(&[State::Waiting, State::Newest]), Exit::Done);
        assert_eq!(codes(&[State::Denied, State::Newest]), Exit::ReleaseRefused);
        assert_eq!(codes(&[State::SentBack]), Exit::ReleaseRefused);
        assert_eq!(codes(&[State::Newest, State::SentBack, State::Denied]), Exit::Done);
        assert_eq!(codes(&[State::Newest, State::Refused]), Exit::ReleaseRefused);
    }
}
