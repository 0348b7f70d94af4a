//! `nightshift batch errors`: the records of a batch whose result is an error, as far as there are results.

use std::path::PathBuf;

use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, Only, ResultsFormat, ResultsQuery};

use super::batch_results::{format, format_of, print, save_as};
use crate::figures::counted;
use crate::server::{ServerArgs, is_over, number};
use crate::surroundings::Surroundings;

/// Fetch the records whose result is an error
///
/// The columns handed in, the plugin's columns (empty) and `error`, in the order of the records handed in; a header alone
/// when there is none. Also while the batch runs. A corrected copy can be handed in as a batch of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Where to write them; an existing file is replaced [default: standard output]
    #[arg(short, long, value_name = "OUT.csv")]
    output: Option<PathBuf>,
    /// How to write them [default: jsonl for a file named so, else csv]
    #[arg(long, value_name = "csv|jsonl", value_parser = format)]
    format: Option<ResultsFormat>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let batch = client.batch(args.batch).await?;
    let format = args.format.unwrap_or_else(|| format_of(args.output.as_deref()));
    let query = ResultsQuery { format, only: Only::Errors };
    match &args.output {
        None => print(&client, batch.id, query).await?,
        Some(output) => {
            let records = save_as(&client, &batch, &around.resolve(output), query).await?;
            around.screen.good(format!("{}: {} with an error", output.display(), counted(records, "record")));
        }
    }
    if !is_over(&batch) {
        around.screen.say(format!("batch {} is not finished: there may be more later", batch.id));
    }
    Ok(Exit::Done)
}
