//! `nightshift release pause`: no worker takes another release until `resume`. Unsigned, because holding back is the easy
//! direction.

use nightshift_contract::exit::Exit;

use crate::control::{Control, RepositoryArgs};
use crate::surroundings::Surroundings;

/// Let no worker take another release until `nightshift release resume`
///
/// Commits `pause` to rollout.toml on the control branch. Every worker keeps the release it has and goes on working;
/// none moves to another one, whatever rings are open. To stop the work, too: `nightshift stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; every worker's status shows it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let control = Control::open(&args.repository, around)?;
    let reason = match args.reason.trim() {
        "" => "no reason given",
        reason => reason,
    };
    let message = format!("Pause rollouts: {reason}\n");
    match control.hold(&message, |holds| holds.pause = Some(reason.to_owned()))? {
        true => {
            around.screen.good(format!("rollouts are paused in {}: {reason}", control.url));
            around.screen.say("Workers keep the release they have. `nightshift release resume` lets them go on.");
        }
        false => around.screen.say(format!("rollouts were paused already in {}: {reason}", control.url)),
    }
    Ok(Exit::Done)
}
