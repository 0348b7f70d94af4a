//! `nightshift start`: takes every stop flag away, wherever people put one.

use nightshift_contract::exit::Exit;

use crate::control::{Control, RepositoryArgs};
use crate::surroundings::Surroundings;

/// Start the grid again
///
/// Removes every stop flag of the central repository: entries named STOP on the control branch and on the default
/// branch, and refs named stop. Workers begin again with their next cycle. (A STOP file in a worker's own state folder
/// is that machine's business: `nightshift-worker start`.)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let control = Control::open(&args.repository, around)?;
    let taken = control.start("Start the grid\n")?;
    if taken.is_empty() {
        around.screen.say(format!("{} has no stop flag", control.url));
        return Ok(Exit::Done);
    }
    around.screen.good(format!("the stop flag is gone from {}: {}", control.url, taken.join("; ")));
    around.screen.say("Workers begin again with their next cycle.");
    Ok(Exit::Done)
}
