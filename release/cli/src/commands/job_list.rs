//! `nightshift job list`: jobs by a filter, or those of all batches that are not finished; a page of them, which is quick
//! however many there are.

use nightshift_client::Client;
use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, Job, JobId, JobQuery};
use serde::Serialize;

use crate::figures::count;
use crate::job_change::{Narrowing, tag};
use crate::server::{ServerArgs, is_over, job_state, number};
use crate::surroundings::Surroundings;
use crate::table::Table;
use crate::workers;

/// List jobs
///
/// A job is a part of a batch: what a worker takes at a time. PICK-UPS says how often it was claimed; 1 is the aim.
/// Without a filter the jobs of every batch that is not finished are listed. There may be a million: so many are listed as
/// --limit says, and the last line says how to go on; in JSON it is `next`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    narrowing: Narrowing,
    /// From this job number on
    #[arg(long, value_name = "JOB", value_parser = number)]
    from: Option<JobId>,
    /// List so many at most
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// List all of them
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let Narrowing { batch, state, plugin, release, worker, owner } = &args.narrowing;
    let query = JobQuery {
        batch: *batch,
        state: *state,
        plugin: plugin.clone(),
        release: release.as_deref().map(tag),
        worker: workers::meant_if_any(&client, worker.as_deref()).await?,
        owner: owner.clone(),
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
    let limit = if args.all { usize::MAX } else { args.limit as usize };
    let List { jobs, next } = list(&client, query, batches, args.from, limit).await?;
    if args.json {
        around.screen.json_document(&List { jobs, next })?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        around.screen.say(match everything {
            true => {
                "no jobs: every batch is finished; see those of one with `nightshift job list --batch ID`".to_owned()
            }
            false => none(&args.narrowing),
        });
        return Ok(Exit::Done);
    }
    around.screen.table(&table(&jobs))?;
    if let Some(Next { batch, from }) = next {
        let batch = batch.filter(|_| everything).map(|batch| format!(" --batch {batch}")).unwrap_or_default();
        around.screen.say(format!("there are more: go on with the same and{batch} --from {from}, or say --all"));
    }
    Ok(Exit::Done)
}

/// That the filter chooses nothing, and where a name stands that may be mistaken.
fn none(narrowing: &Narrowing) -> String {
    match (&narrowing.plugin, &narrowing.release) {
        (Some(plugin), _) => {
            format!(
                "no jobs: the filter chooses none; `nightshift batch list` names the plugins, is {plugin:?} one of them?"
            )
        }
        (None, Some(release)) => {
            format!(
                "no jobs: the filter chooses none; `nightshift release status` names the releases, is {release} one of them?"
            )
        }
        (None, None) => "no jobs: the filter chooses none".to_owned(),
    }
}

/// Jobs, and where to go on when there are more.
#[derive(Debug, Serialize)]
struct List {
    jobs: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// The batch whose jobs were being listed, if one was, and the number of its next job.
#[derive(Debug, Serialize)]
struct Next {
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchId>,
    from: JobId,
}

async fn list(
    client: &Client,
    query: JobQuery,
    batches: Vec<Option<BatchId>>,
    from: Option<JobId>,
    limit: usize,
) -> anyhow::Result<List> {
    let mut jobs: Vec<Job> = Vec::new();
    for batch in batches {
        let mut query = JobQuery { batch, from, ..query.clone() };
        loop {
            if jobs.len() >= limit {
                return Ok(List { jobs, next: Some(Next { batch, from: query.from.unwrap_or(0) }) });
            }
            query.limit = u32::try_from(limit - jobs.len()).ok();
            let page = client.find_jobs(&query).await?;
            jobs.extend(page.jobs);
            query.from = page.next;
            if query.from.is_none() {
                break;
            }
        }
    }
    Ok(List { jobs, next: None })
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
