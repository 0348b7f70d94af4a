//! `nightshift job retry`: quarantined or done jobs are processed anew.

use nightshift_contract::exit::Exit;
use nightshift_wire::JobAction;

use crate::job_change::{ChangeArgs, ChosenJobs, change};
use crate::surroundings::Surroundings;

/// Process quarantined or done jobs anew
///
/// The jobs wait again at a higher revision: their failures are forgotten, and attempts from before are refused. Results
/// that were accepted are kept as superseded. After a bad release: `nightshift job retry --release 1.4.0`.
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
    change(JobAction::Retry, args.jobs.filter(), "retried", &args.change, around).await
}
