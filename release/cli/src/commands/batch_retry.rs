//! `nightshift batch retry`: a batch's quarantined jobs, or those a release computed, are processed anew.

use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, JobAction, JobFilter, JobState};

use crate::figures::counted;
use crate::job_change::{ChangeArgs, change, tag};
use crate::server::number;
use crate::surroundings::Surroundings;

/// Process a batch's quarantined jobs anew
///
/// With --release, the done jobs whose results that release computed; their results are kept as superseded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Done jobs whose results this release computed, instead of quarantined ones
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let batch = args.change.server.client(around)?.batch(args.batch).await?;
    if args.release.is_none() && batch.jobs_quarantined == 0 && batch.jobs_deleted > 0 {
        let deleted = counted(batch.jobs_deleted, "deleted job");
        around.screen.warn(format!("it has {deleted}, and what is deleted stays so: hand the records in again"));
    }
    let filter = JobFilter {
        batch: Some(args.batch),
        state: Some(if args.release.is_some() { JobState::Done } else { JobState::Quarantined }),
        release: args.release.as_deref().map(tag),
        ..JobFilter::default()
    };
    change(JobAction::Retry, filter, "retried", &args.change, around).await
}
