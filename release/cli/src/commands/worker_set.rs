//! `nightshift worker set`: what people call a worker, and which tags it has.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::WorkerChange;

use crate::commands::worker_show;
use crate::refusal::refusal;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::workers;

/// Name a worker, give it tags
///
/// Jobs may ask for tags; see [requires] in docs/PLUGINS.md and `nightshift job edit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// What people call it; empty for the name of its host
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tag it has; several add up, and those it had are replaced
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// It has no tags
    #[arg(long, conflicts_with = "tag")]
    no_tags: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let changes = changes(args);
    if changes.is_empty() {
        return Err(refusal(Exit::Usage, "nothing to set: give --name, --tag or --no-tags"));
    }
    let id = workers::meant(&client, &args.worker).await?;
    for change in changes {
        client.change_worker(&id, &change).await?;
    }
    let worker = client.worker(&id).await?;
    match args.json {
        true => around.screen.json("worker", &worker)?,
        false => around.screen.data(&worker_show::lines(&worker, None, &TimeZone::system()))?,
    }
    Ok(Exit::Done)
}

fn changes(args: &Args) -> Vec<WorkerChange> {
    let tags = (args.no_tags || !args.tag.is_empty()).then(|| WorkerChange::Tags(args.tag.iter().cloned().collect()));
    args.name.clone().map(WorkerChange::Name).into_iter().chain(tags).collect()
}
