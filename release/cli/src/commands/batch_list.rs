//! `nightshift batch list`: every batch and how far it is.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::Batch;

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
    around.screen.table(&table(&batches, &TimeZone::system()))?;
    Ok(Exit::Done)
}

fn table(batches: &[Batch], zone: &TimeZone) -> Table {
    let mut table = Table::new(&[">BATCH", "NAME", "PLUGIN", "STATE", ">RECORDS", ">DONE", ">ERRORS", "HANDED IN"]);
    for batch in batches {
        table.row(vec![
            batch.id.to_string(),
            batch.name.clone(),
            batch.plugin.clone(),
            batch_state(batch).to_owned(),
            count(batch.records),
            share(batch.results, batch.records),
            count(batch.errors),
            moment(batch.created_at, zone),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::batch_show::example;

    #[test]
    fn batches_are_listed_with_how_far_they_are() {
        let long = Batch { id: 12, name: "all customers".into(), records: 1_000_000, ..example() };
        insta::assert_snapshot!(table(&[long, example()], &TimeZone::UTC));
    }
}
