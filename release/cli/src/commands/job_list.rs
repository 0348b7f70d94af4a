//! `nightshift job list`: the jobs of a batch, or of all batches that are not finished.

use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, Job};

use crate::figures::count;
use crate::server::{ServerArgs, is_over, job_state};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List jobs
///
/// A job is a part of a batch: what a worker takes at a time. PICK-UPS says how often it was claimed; 1 is the aim.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this batch [default: every batch that is not finished]
    #[arg(long, value_name = "ID")]
    batch: Option<BatchId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let batches = match args.batch {
        Some(batch) => vec![batch],
        None => client.batches().await?.iter().rev().filter(|batch| !is_over(batch)).map(|batch| batch.id).collect(),
    };
    let mut jobs = Vec::new();
    for batch in batches {
        jobs.extend(client.jobs(batch).await?);
    }
    if args.json {
        around.screen.json("jobs", &jobs)?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        around.screen.say("no jobs: every batch is finished; see those of one with `nightshift job list --batch ID`");
        return Ok(Exit::Done);
    }
    around.screen.table(&table(&jobs))?;
    Ok(Exit::Done)
}

fn table(jobs: &[Job]) -> Table {
    let mut table = Table::new(&[">JOB", ">BATCH", "STATE", ">RECORDS", ">PICK-UPS", ">FAILURES", "WORKER", "REASON"]);
    for job in jobs {
        table.row(vec![
            job.id.to_string(),
            job.batch.to_string(),
            job_state(job.state).to_owned(),
            count(job.records),
            job.pickups.to_string(),
            job.failures.to_string(),
            job.worker.clone().unwrap_or_default(),
            job.reason.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_wire::JobState;

    #[test]
    fn jobs_are_listed_with_how_often_they_were_claimed() {
        let done = Job {
            id: 41,
            batch: 3,
            seq: 0,
            plugin: "name-count".into(),
            priority: 0,
            requirements: nightshift_wire::Requirements::default(),
            revision: 1,
            state: JobState::Done,
            reason: String::new(),
            records: 1_000,
            pickups: 1,
            failures: 0,
            losses: 0,
            not_before: None,
            worker: Some("w-1".into()),
            started_at: Some(0),
            finished_at: Some(1),
        };
        let quarantined = Job {
            id: 42,
            state: JobState::Quarantined,
            reason: "failed 5 times: no such column: nam".into(),
            pickups: 5,
            failures: 5,
            worker: None,
            ..done.clone()
        };
        insta::assert_snapshot!(table(&[done, quarantined]));
    }
}
