//! `nightshift batch list`: every batch and how far it is.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;

use crate::figures::{count, moment, share};
use crate::server::{ServerArgs, batch_state};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List batches, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let batches = args.server.client(around)?.batches().await?;
    if args.json {
        around.screen.json("batches", &batches)?;
        return Ok(Exit::Done);
    }
    if batches.is_empty() {
        around.screen.say("no batch yet; hand one in with `nightshift batch submit FILE.csv --plugin NAME`");
        return Ok(Exit::Done);
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&[">BATCH", "NAME", "PLUGIN", "STATE", ">RECORDS", ">DONE", ">ERRORS", "HANDED IN"]);
    for batch in &batches {
        table.row(vec![
            batch.id.to_string(),
            batch.name.clone(),
            batch.plugin.clone(),
            batch_state(batch).to_owned(),
            count(batch.records),
            share(batch.results, batch.records),
            count(batch.errors),
            moment(batch.created_at, &zone),
        ]);
    }
    around.screen.table(&table)?;
    Ok(Exit::Done)
}
