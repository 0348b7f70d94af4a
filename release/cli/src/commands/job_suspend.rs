//! `nightshift job suspend`: nobody works on these jobs until they are resumed.

use nightshift_contract::exit::Exit;
use nightshift_wire::JobAction;

use crate::job_change::{ChangeArgs, ChosenJobs, change};
use crate::surroundings::Surroundings;

/// Put jobs aside until they are resumed
///
/// A worker that has such a job in hand drops it at its next sign of life. If it hands in results all the same, they count:
/// the work is needed.
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
    change(JobAction::Suspend, args.jobs.filter(), "suspended", &args.change, around).await
}
