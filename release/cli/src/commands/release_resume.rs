//! `nightshift release resume`: rollouts go on where they were paused. What is denied or capped stays so.

use nightshift_contract::exit::Exit;

use crate::control::{Control, RepositoryArgs};
use crate::surroundings::Surroundings;

/// Let rollouts go on that `nightshift release pause` paused
///
/// Takes `pause` out of rollout.toml on the control branch. Releases that are denied stay denied.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let control = Control::open(&args.repository, around)?;
    match control.hold("Resume rollouts\n", |holds| holds.pause = None)? {
        true => around.screen.good(format!("rollouts go on in {}", control.url)),
        false => around.screen.say(format!("rollouts are not paused in {}", control.url)),
    }
    Ok(Exit::Done)
}
