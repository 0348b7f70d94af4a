//! `nightshift batch suspend`: none of a batch's jobs goes out until it is resumed.

use nightshift_contract::exit::Exit;
use nightshift_wire::BatchId;

use crate::server::{ServerArgs, number};
use crate::surroundings::Surroundings;

/// Hand out none of a batch's jobs until it is resumed
///
/// Jobs that workers have in hand go on and count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Why; people read it at the batch
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let batch = args.server.client(around)?.suspend_batch(args.batch, &args.reason).await?;
    if args.json {
        around.screen.json("batch", &batch)?;
    } else {
        around.screen.good(format!(
            "batch {} is suspended: {}; `nightshift batch resume {}` lets its jobs go out again",
            batch.id,
            batch.suspended.as_deref().unwrap_or_default(),
            batch.id
        ));
    }
    Ok(Exit::Done)
}
