//! `nightshift worker drain`: a worker gets no further jobs until it is resumed.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Reason, WorkerChange};

use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::workers;

/// Give a worker no further jobs until it is resumed
///
/// What it has in hand it may finish.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// Why; people read it at the worker
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
    let change = WorkerChange::Drain(Reason { reason: args.reason.clone() });
    let client = args.server.client(around)?;
    let worker = client.change_worker(&workers::meant(&client, &args.worker).await?, &change).await?;
    if args.json {
        around.screen.json("worker", &worker)?;
    } else {
        around.screen.good(format!(
            "worker {} gets no further jobs: {}; `nightshift worker resume {}` ends that",
            args.worker,
            worker.drained.as_deref().unwrap_or_default(),
            args.worker
        ));
    }
    Ok(Exit::Done)
}
