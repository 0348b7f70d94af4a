//! `nightshift job resume`: suspended jobs wait again.

use nightshift_contract::exit::Exit;
use nightshift_wire::JobAction;

use crate::job_change::{ChangeArgs, ChosenJobs, change};
use crate::surroundings::Surroundings;

/// Let suspended jobs go out again
///
/// Only suspended jobs are resumed. A quarantined job is retried instead.
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
    change(JobAction::Resume, args.jobs.filter(), "resumed", &args.change, around).await
}
