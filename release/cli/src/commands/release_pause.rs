//! `nightshift release pause`: no worker takes another release until `resume`, or one release goes no further than a ring.
//! Unsigned, because holding back is the easy direction.

use nightshift_contract::exit::Exit;
use nightshift_manifest::rollout::Cap;
use nightshift_manifest::version::ReleaseVersion;

use crate::control::holds::Held;
use crate::control::{Control, RepositoryArgs};
use crate::grid_clone::GridClone;
use crate::refusal::refusal;
use crate::releases;
use crate::surroundings::Surroundings;

/// Let no worker take another release until `nightshift release resume`
///
/// Commits `pause` to rollout.toml on the control branch. Every worker keeps the release it has and goes on working;
/// none moves to another one, whatever rings are open. To stop the work, too: `nightshift stop`.
///
/// With --release and --beyond, only that release is paused, and only in the rings after RING: those up to it go on taking it
/// (a `[[cap]]` in rollout.toml). A promotion does not lift that.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; every worker's status shows it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Pause this release alone, such as 1.5.0
    #[arg(long, value_name = "VERSION", requires = "beyond")]
    release: Option<String>,
    /// The last ring that goes on taking it
    #[arg(long, value_name = "RING", requires = "release")]
    beyond: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let reason = match args.reason.trim() {
        "" => "no reason given",
        reason => reason,
    };
    if let (Some(release), Some(ring)) = (&args.release, &args.beyond) {
        let to = Cap { release: version(release)?, ring: ring.clone(), reason: reason.to_owned() };
        return cap(&to, args, around);
    }
    let control = Control::open(&args.repository, around)?;
    let message = format!("Pause rollouts: {reason}\n");
    let changed = control.hold(&message, |holds| holds.pause = Some(reason.to_owned()))?;
    match changed {
        true => {
            around.screen.good(format!("rollouts are paused in {}: {reason}", control.url));
            around.screen.say("Workers keep the release they have. `nightshift release resume` lets them go on.");
        }
        false => around.screen.say(format!("rollouts were paused already in {}: {reason}", control.url)),
    }
    if args.json {
        let reason = Some(reason);
        around.screen.json("held", &Held { repository: &control.url, changed, reason, ..Held::default() })?;
    }
    Ok(Exit::Done)
}

/// Lets a release go no further than a ring.
fn cap(cap: &Cap, args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let Cap { ring, reason, .. } = cap;
    let tag = cap.release.tag();
    if args.repository.is_the_clones_own() {
        check_ring(cap, around)?;
    }
    let control = Control::open(&args.repository, around)?;
    let message = format!("Pause {tag} beyond ring {ring}: {reason}\n");
    let changed = control.hold(&message, |holds| {
        holds.caps.retain(|other| other.release != cap.release);
        holds.caps.push(cap.clone());
    })?;
    let (url, version) = (&control.url, cap.release);
    match changed {
        true => {
            around.screen.good(format!("{tag} goes no further than ring {ring} in {url}: {reason}"));
            let resume = format!("`nightshift release resume --release {version}` lets it go on");
            around.screen.say(format!("Who has it keeps it. {resume}."));
        }
        false => around.screen.say(format!("{tag} went no further than ring {ring} already in {url}: {reason}")),
    }
    if args.json {
        let (release, ring, reason) = (Some(tag), Some(ring.as_str()), Some(reason.as_str()));
        around.screen.json("held", &Held { repository: url, changed, release, ring, reason })?;
    }
    Ok(Exit::Done)
}

/// A misspelt ring would keep the release from everybody. Where the release is here, its plan says which rings there are.
fn check_ring(cap: &Cap, around: &Surroundings) -> anyhow::Result<()> {
    let Some(clone) = GridClone::find(around)? else { return Ok(()) };
    let Some(settings) = releases::settings_of(&clone, &format!("refs/tags/{}", cap.release.tag())) else {
        return Ok(());
    };
    let (tag, ring) = (cap.release.tag(), &cap.ring);
    let text = match settings.rollout {
        Some(plan) if plan.rings.iter().any(|other| other.name == *ring) => return Ok(()),
        Some(plan) => {
            let rings = plan.rings.iter().map(|ring| ring.name.as_str()).collect::<Vec<_>>().join(", ");
            format!("{tag} has no ring {ring:?}; it has {rings}")
        }
        None => format!("{tag} has no rollout plan, and so no ring: `nightshift release pause` holds back everything"),
    };
    Err(refusal(Exit::Usage, text))
}

/// Reads a release's version.
pub(super) fn version(text: &str) -> anyhow::Result<ReleaseVersion> {
    text.strip_prefix('v').unwrap_or(text).parse().map_err(|error| refusal(Exit::Usage, format!("{error}")))
}
