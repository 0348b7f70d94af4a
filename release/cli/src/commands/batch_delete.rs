//! `nightshift batch delete`: a batch is removed with its records and results.

use nightshift_contract::exit::Exit;
use nightshift_wire::BatchId;

use crate::figures::counted;
use crate::server::{ServerArgs, number};
use crate::surroundings::Surroundings;

/// Remove a batch with its records and results
///
/// You are shown what goes and asked. There is no way back: fetch the results first with `nightshift batch results`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let batch = client.batch(args.batch).await?;
    let what = format!(
        "batch {} ({}) with {} and {}",
        batch.id,
        batch.name,
        counted(batch.records, "record"),
        counted(batch.results, "result")
    );
    around.confirm(&format!("{what} would be deleted for good"), args.yes)?;
    client.delete_batch(args.batch).await?;
    match args.json {
        true => around.screen.json("deleted", &batch)?,
        false => around.screen.good(format!("{what} is deleted")),
    }
    Ok(Exit::Done)
}
