//! `nightshift worker approve` and `nightshift worker revoke`: who works in this grid.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Enrolment, EnrolmentDecision, Worker};

use crate::figures::counted;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::workers;

/// Let a worker in that asked to join
///
/// `nightshift worker list` shows who waits. The worker begins with its next cycle, within ten minutes.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// What people shall call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Let a worker in no more, for good
///
/// It takes no job and hands nothing in from now on: at once on the job server that is asked, within a minute on others.
/// Its jobs go to other workers when their leases run out. Also refuses a worker that waits for approval. The machine can
/// come back as a new worker only, by a join token.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// Why; the worker's status shows it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `worker approve`.
pub(crate) async fn approve(args: &ApproveArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let decision = EnrolmentDecision::Approve { name: args.name.clone() };
    let client = args.server.client(around)?;
    let worker = workers::meant_to_join(&client, &args.worker).await?;
    let after = client.decide(&worker, &decision).await?;
    show(&after, args.json, around)
}

/// Runs `worker revoke`.
pub(crate) async fn revoke(args: &RevokeArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let decision = EnrolmentDecision::Revoke { reason: args.reason.clone() };
    let client = args.server.client(around)?;
    let id = workers::meant(&client, &args.worker).await?;
    around.confirm(&who(&id, &client.workers().await?), args.yes)?;
    let after = client.decide(&id, &decision).await?;
    show(&after, args.json, around)
}

/// Who would be let in no more, and what that means for its jobs.
fn who(id: &str, workers: &[Worker]) -> String {
    let known = workers.iter().find(|worker| worker.report.worker == id);
    let (called, in_hand) = match known {
        Some(worker) => {
            let Worker { report, name, jobs_running, .. } = worker;
            let name = if name.is_empty() { String::new() } else { format!("{name}, ") };
            (format!(" ({name}on {}; {} done)", report.host, counted(worker.jobs_done, "job")), *jobs_running)
        }
        None => (String::new(), 0),
    };
    let jobs = match in_hand {
        0 => String::new(),
        jobs => format!(", and what it did of {} in hand is lost", counted(jobs, "job")),
    };
    format!("worker {id}{called} would be let in no more, for good{jobs}")
}

fn show(after: &Enrolment, json: bool, around: &Surroundings) -> anyhow::Result<Exit> {
    match json {
        true => around.screen.json("enrolment", after)?,
        false => around.screen.good(format!("worker {} on {} is {}", after.worker, after.host, after.reason)),
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::worker_list;

    #[test]
    fn whom_a_revocation_is_about_is_said_before_it_happens() {
        let working = Worker { jobs_running: 1, name: "anna".into(), ..worker_list::example() };
        assert_eq!(
            who("0193-w1", &[working]),
            "worker 0193-w1 (anna, on desk-17; 7 jobs done) would be let in no more, for good, and what it did of 1 job in \
             hand is lost"
        );
        assert_eq!(who("0193-w2", &[]), "worker 0193-w2 would be let in no more, for good");
    }
}
