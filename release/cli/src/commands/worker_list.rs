//! `nightshift worker list`: every worker as it last reported itself.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::{EnrolmentState, Worker};

use crate::figures::{count, moment};
use crate::server::{ServerArgs, worker_state};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List workers and what they do
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
    let client = args.server.client(around)?;
    let workers = client.workers().await?;
    if args.json {
        around.screen.json("workers", &workers)?;
        return Ok(Exit::Done);
    }
    // Who may not decide about them is not told of them.
    let waiting = client.enrolments().await.unwrap_or_default();
    for worker in waiting.iter().filter(|worker| worker.state == EnrolmentState::Pending) {
        let (host, address) = (&worker.host, &worker.address);
        around.screen.warn(format!("on {host} ({address}) waits to join: nightshift worker approve {}", worker.worker));
    }
    if workers.is_empty() {
        around.screen.say("no worker has reported yet; on a worker, `nightshift-worker doctor` says what keeps it");
        return Ok(Exit::Done);
    }
    around.screen.table(&table(&workers, &TimeZone::system()))?;
    Ok(Exit::Done)
}

fn table(workers: &[Worker], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["WORKER", "HOST", "STATE", "RELEASE", ">JOBS", ">RECORDS", "LAST SEEN", "REASON"]);
    for worker in workers {
        let report = &worker.report;
        let mut reason = worker.drained.as_deref().unwrap_or(&report.reason).to_owned();
        if let Some(refused) = report.refused.first() {
            let separator = if reason.is_empty() { "" } else { "; " };
            reason = format!("{reason}{separator}refused {refused}");
        }
        table.row(vec![
            report.worker.clone(),
            report.host.clone(),
            if worker.drained.is_some() { "drained" } else { worker_state(report.state) }.to_owned(),
            if report.release.is_empty() { "none".to_owned() } else { report.release.clone() },
            count(worker.jobs_done),
            count(worker.records_done),
            moment(worker.last_seen, zone),
            reason,
        ]);
    }
    table
}

/// A worker that is stopped and refuses a release.
#[cfg(test)]
pub(crate) fn example() -> Worker {
    use nightshift_wire::{Report, WorkerState};
    Worker {
        report: Report {
            worker: "0193-w1".into(),
            host: "desk-17".into(),
            state: WorkerState::Stopped,
            reason: "prices are wrong (STOP on branch control)".into(),
            release: "v1.0.0".into(),
            refused: vec!["v1.1.0: the tag is not signed".into()],
            trial: None,
            steps: Vec::new(),
        },
        address: "10.0.0.17".into(),
        first_seen: 0,
        last_seen: 60_000,
        jobs_done: 7,
        records_done: 7_000,
        name: String::new(),
        tags: std::collections::BTreeSet::new(),
        drained: None,
        plugins: Vec::new(),
        machine: nightshift_wire::Machine::default(),
        jobs_running: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_wire::{Report, WorkerState};

    #[test]
    fn workers_are_listed_with_what_they_do_and_why() {
        let stopped = example();
        let report = Report {
            worker: "0193-w2".into(),
            state: WorkerState::Waiting,
            reason: String::new(),
            release: String::new(),
            refused: Vec::new(),
            ..stopped.report.clone()
        };
        let waiting = Worker { report, ..stopped.clone() };
        insta::assert_snapshot!(table(&[stopped, waiting], &TimeZone::UTC));
    }
}
