//! `nightshift batch show`: one batch, whole.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, BatchId, DataPosition};

use crate::figures::{count, counted, moment, share};
use crate::server::{ServerArgs, batch_state, number};
use crate::surroundings::Surroundings;

/// Show a batch and how far it is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let batch = args.server.client(around)?.batch(args.batch).await?;
    match args.json {
        true => around.screen.json("batch", &batch)?,
        false => around.screen.data(&lines(&batch, &TimeZone::system()))?,
    }
    Ok(Exit::Done)
}

fn lines(batch: &Batch, zone: &TimeZone) -> String {
    let records = format!(
        "{} with a result ({}), {} of them an error",
        count(batch.results),
        share(batch.results, batch.records),
        count(batch.errors)
    );
    let jobs = format!(
        "{}: {} done, {} running, {} waiting, {} suspended, {} quarantined, {} deleted",
        count(batch.jobs),
        count(batch.jobs_done),
        count(batch.jobs_running),
        count(batch.jobs_waiting),
        count(batch.jobs_suspended),
        count(batch.jobs_quarantined),
        count(batch.jobs_deleted)
    );
    let state = match &batch.suspended {
        Some(reason) => format!("{}, suspended: {reason}", batch_state(batch)),
        None => batch_state(batch).to_owned(),
    };
    let data = batch.position.as_ref().map(|position| format!("data       {}\n", position_in_words(position, zone)));
    let data = data.unwrap_or_default();
    let finished = batch.finished_at.map_or_else(|| "not yet".to_owned(), |finished| moment(finished, zone));
    format!(
        "batch      {}\nname       {}\nplugin     {}\nstate      {}\npriority   {}\nrequires   {}\nrecords    {}, {records}\n\
         may fail   {} of the results, else it is suspended\njobs       {jobs}\ncolumns    {}\nadded      {}\nhanded in  {}\nfinished   {finished}\n{data}",
        batch.id,
        batch.name,
        batch.plugin,
        state,
        batch.priority,
        batch.requirements,
        counted(batch.records, "record"),
        batch.error_rate,
        batch.columns.join(", "),
        batch.outputs.join(", "),
        moment(batch.created_at, zone),
    )
}

/// A position that data must have reached.
pub(crate) fn position_in_words(position: &DataPosition, zone: &TimeZone) -> String {
    // Servers write sets of positions on several lines.
    let gtid = position.gtid.split_whitespace().collect::<String>();
    format!("of {} at {gtid} or later, noted {}", position.primary, moment(position.noted, zone))
}

/// A batch that is half done.
#[cfg(test)]
pub(crate) fn example() -> Batch {
    Batch {
        id: 3,
        name: "march".into(),
        plugin: "name-count".into(),
        state: nightshift_wire::BatchState::Open,
        suspended: None,
        priority: 0,
        requirements: nightshift_wire::Requirements { memory_mb: 2_000, ..nightshift_wire::Requirements::default() },
        position: Some(DataPosition { primary: "mariadb:7".into(), gtid: "0-7-12,\n1-7-5".into(), noted: 60_000 }),
        error_rate: nightshift_wire::ErrorRate::DEFAULT,
        columns: vec!["id".into(), "name".into()],
        outputs: vec!["name_count".into(), "word_counts".into()],
        records: 20_000,
        results: 12_345,
        errors: 2,
        jobs: 20,
        jobs_done: 12,
        jobs_running: 3,
        jobs_quarantined: 0,
        jobs_waiting: 5,
        jobs_suspended: 0,
        jobs_deleted: 0,
        created_at: 0,
        finished_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_shown_with_counts_that_add_up() {
        insta::assert_snapshot!(lines(&example(), &TimeZone::UTC));
    }
}
