//! `nightshift job delete`: nobody works on these jobs any more.

use nightshift_contract::exit::Exit;
use nightshift_wire::JobAction;

use crate::job_change::{ChangeArgs, ChosenJobs, change};
use crate::surroundings::Surroundings;

/// Give jobs up
///
/// Their records come back in the results with an error that says so. Done jobs stay. There is no way back.
///
/// Give jobs by number, or choose them by the flags; then their number is shown first and you are asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    jobs: ChosenJobs,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    change(JobAction::Delete, args.jobs.filter(), "deleted", &args.change, around).await
}
