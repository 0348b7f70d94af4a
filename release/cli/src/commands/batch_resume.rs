//! `nightshift batch resume`: a suspended batch's jobs go out again.

use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, ErrorRate};

use crate::server::{ServerArgs, number};
use crate::surroundings::Surroundings;

/// Let a suspended batch's jobs go out again
///
/// Errors it had so far do not suspend it any more; those from now on count. Jobs that were suspended one by one stay so:
/// `nightshift job resume --batch ID`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// The part of its further results that may be errors before it is suspended again, as in 0.6 or 60%
    #[arg(long, value_name = "PART")]
    error_rate: Option<ErrorRate>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let batch = args.server.client(around)?.resume_batch(args.batch, args.error_rate).await?;
    match args.json {
        true => around.screen.json("batch", &batch)?,
        false => around.screen.good(format!("the jobs of batch {} go out", batch.id)),
    }
    Ok(Exit::Done)
}
