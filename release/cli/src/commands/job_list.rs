//! `nightshift job list`: jobs by a filter, or those of all batches that are not finished.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Job, JobQuery};

use crate::figures::count;
use crate::job_change::{Narrowing, tag};
use crate::server::{ServerArgs, is_over, job_state};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List jobs
///
/// A job is a part of a batch: what a worker takes at a time. PICK-UPS says how often it was claimed; 1 is the aim.
/// Without a filter the jobs of every batch that is not finished are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    narrowing: Narrowing,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let Narrowing { batch, state, plugin, release, worker } = &args.narrowing;
    let mut query = JobQuery {
        batch: *batch,
        state: *state,
        plugin: plugin.clone(),
        release: release.as_deref().map(tag),
        worker: worker.clone(),
        ..JobQuery::default()
    };
    let everything = query == JobQuery::default();
    let mut batches = vec![*batch];
    if everything {
        let open = client.batches().await?;
        batches = open.iter().rev().filter(|batch| !is_over(batch)).map(|batch| Some(batch.id)).collect();
    } else if let Some(batch) = batch {
        client.batch(*batch).await?;
    }
    let mut jobs = Vec::new();
    for batch in batches {
        query = JobQuery { batch, from: None, ..query };
        loop {
            let page = client.find_jobs(&query).await?;
            jobs.extend(page.jobs);
            query.from = page.next;
            if query.from.is_none() {
                break;
            }
        }
    }
    if args.json {
        around.screen.json("jobs", &jobs)?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        around.screen.say(match everything {
            true => "no jobs: every batch is finished; see those of one with `nightshift job list --batch ID`",
            false => "no jobs: the filter chooses none",
        });
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

/// A job that failed too often.
#[cfg(test)]
pub(crate) fn example() -> Job {
    Job {
        id: 42,
        batch: 3,
        seq: 1,
        plugin: "name-count".into(),
        priority: 0,
        requirements: nightshift_wire::Requirements { memory_mb: 512, ..Default::default() },
        revision: 1,
        state: nightshift_wire::JobState::Quarantined,
        reason: "failed 5 times: no such column: nam".into(),
        records: 1_000,
        pickups: 6,
        failures: 5,
        losses: 1,
        not_before: None,
        worker: None,
        started_at: Some(0),
        finished_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_wire::JobState;

    #[test]
    fn jobs_are_listed_with_how_often_they_were_claimed() {
        let done = Job {
            id: 41,
            seq: 0,
            state: JobState::Done,
            reason: String::new(),
            pickups: 1,
            failures: 0,
            losses: 0,
            worker: Some("w-1".into()),
            finished_at: Some(1),
            ..example()
        };
        insta::assert_snapshot!(table(&[done, example()]));
    }
}
