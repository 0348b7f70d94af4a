//! `nightshift release approve`: stands behind a release that needs several people.

use nightshift_contract::exit::Exit;
use nightshift_manifest::votes::Says;

use crate::figures::counted;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;
use crate::vote_tag::Voter;

/// Changed files shown one by one.
const SHOWN: usize = 20;

/// Stand behind a release that needs several people
///
/// Where nightshift.toml says `[trust] threshold = 2` or more, workers take a release only when so many people stand
/// behind it, the one who signed it among them. Signs and pushes a tag approve/vX.Y.Z/WHO on the release's commit with
/// your signing key, which the keys in force have to name. With plain git:
/// `git tag -s approve/v1.5.0/ben -m "looked at" v1.5.0^{} && git push origin approve/v1.5.0/ben`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version, such as 1.5.0
    version: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let voter = Voter::of(&args.version, around)?;
    let (screen, tag) = (&around.screen, voter.version.tag());
    let release = voter.release()?;
    screen.heading(format!("{tag}, signed by {}, commit {}", release.signer, &release.commit[..10]));
    let changes = voter.changes()?;
    screen.say(format!("{} changed since the release before it", counted(changes.len() as u64, "file")));
    for change in changes.iter().take(SHOWN) {
        screen.say(format!("  {change}"));
    }
    if changes.len() > SHOWN {
        screen.say(format!("  and {} more", changes.len() - SHOWN));
    }
    if release.held.is_none() {
        screen.say(format!("{tag} has everybody it needs already; one more does no harm"));
    }
    if !args.yes && around.can_ask && !screen.ask(&format!("\nStand behind {tag}?"))? {
        return Err(refusal(Exit::Failed, "not approved; nothing was changed"));
    }
    let said = voter.say(Says::Approve(voter.who()?), around)?;
    match &said.held {
        None => screen.say(format!("{tag} has everybody it needs. Workers take it as its rollout allows.")),
        Some(held) => screen.warn(held),
    }
    said.show(args.json, around)?;
    Ok(Exit::Done)
}
