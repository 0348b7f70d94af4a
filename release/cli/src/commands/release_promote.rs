//! `nightshift release promote`: opens a ring of a rollout early.

use nightshift_contract::exit::Exit;
use nightshift_manifest::votes::Says;

use crate::refusal::refusal;
use crate::surroundings::Surroundings;
use crate::vote_tag::Voter;

/// Open a ring for a release before its plan does
///
/// Signs and pushes a tag promote/vX.Y.Z/RING on the release's commit with your signing key, which the keys in force have to
/// name. Workers of that ring take the release at their next look, whatever the evidence says so far; what holds
/// everybody back (a pause, a cap, a denial, missing approvals) still does. With plain git:
/// `git tag -s promote/v1.5.0/ring-2 -m "early" v1.5.0^{} && git push origin promote/v1.5.0/ring-2`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version, such as 1.5.0
    version: String,
    /// The ring's name in the release's rollout plan
    ring: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let voter = Voter::of(&args.version, around)?;
    let rings = voter.rings()?;
    if !rings.contains(&args.ring) {
        let tag = voter.version.tag();
        let text = match rings.is_empty() {
            true => format!("{tag} has no rings: every worker takes it in its next cycle; nothing is to be opened"),
            false => format!("{tag} has no ring {}: its rings are {}", args.ring, rings.join(", ")),
        };
        return Err(refusal(Exit::NotFound, text));
    }
    voter.say(Says::Promote(args.ring.clone()), around)?.show(args.json, around)?;
    Ok(Exit::Done)
}
