//! `nightshift worker resume`: a drained worker gets jobs again.

use nightshift_contract::exit::Exit;
use nightshift_wire::WorkerChange;

use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::workers;

/// Give a drained worker jobs again
///
/// Also one that was drained because its jobs failed while others' succeeded; its failures so far are forgotten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let worker = workers::meant(&client, &args.worker).await?;
    let worker = client.change_worker(&worker, &WorkerChange::Resume).await?;
    match args.json {
        true => around.screen.json("worker", &worker)?,
        false => around.screen.good(format!("worker {} gets jobs again", args.worker)),
    }
    Ok(Exit::Done)
}
