//! `nightshift release deny`: nobody takes a release, and who has it goes back to the one before. Unsigned, because it
//! only holds back.

use nightshift_contract::exit::Exit;
use nightshift_manifest::rollout::Deny;
use nightshift_manifest::version::ReleaseVersion;

use crate::control::holds::Held;
use crate::control::{Control, RepositoryArgs};
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Let nobody take or keep a release
///
/// Commits it to rollout.toml on the control branch. Workers that have it go back to the release they had before, at
/// their next look; the job server takes no more results of it. Workers that went back do not take it again, also when it
/// is no longer denied: mend it and cut it under a higher version. To go back further than one release:
/// `nightshift release rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The release, such as 1.5.0
    version: String,
    /// Why; people read it at every worker and every result that is turned down
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let text = args.version.strip_prefix('v').unwrap_or(&args.version);
    let release: ReleaseVersion = text.parse().map_err(|error| refusal(Exit::Usage, format!("{error}")))?;
    let reason = args.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(refusal(Exit::Usage, "say why with --reason: people read it at every worker"));
    }
    let control = Control::open(&args.repository, around)?;
    let would = match control.has_tag(&release.tag())? {
        true => format!(
            "{} would be denied for good: who has it goes back to the release before, and nobody takes it",
            release.tag()
        ),
        false => format!(
            "{} would be denied, and there is no release of that name in {}: nobody would take it, should it come",
            release.tag(),
            control.url
        ),
    };
    around.confirm(&would, args.yes)?;
    let (tag, message) = (release.tag(), format!("Deny {}: {reason}\n", release.tag()));
    let changed = control.hold(&message, |holds| {
        holds.denies.retain(|deny| deny.release != release);
        holds.denies.push(Deny { release, reason: reason.clone() });
    })?;
    match changed {
        true => {
            around.screen.good(format!("{tag} is denied in {}: {reason}", control.url));
            around
                .screen
                .say("Workers that have it go back to the release before at their next look, within a minute.");
        }
        false => around.screen.say(format!("{tag} was denied already in {}: {reason}", control.url)),
    }
    if args.json {
        let (release, reason) = (Some(tag), Some(reason.as_str()));
        around.screen.json("held", &Held { repository: &control.url, changed, release, ring: None, reason })?;
    }
    Ok(Exit::Done)
}
