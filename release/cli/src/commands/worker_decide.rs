//! `nightshift worker approve` and `nightshift worker revoke`: who works in this grid.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Enrolment, EnrolmentDecision};

use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Let a worker in that asked to join
///
/// `nightshift worker list` shows who waits. The worker begins with its next cycle, within ten minutes.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// The worker's id
    #[arg(value_name = "ID")]
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
    /// The worker's id
    #[arg(value_name = "ID")]
    worker: String,
    /// Why; the worker's status shows it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `worker approve`.
pub(crate) async fn approve(args: &ApproveArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let decision = EnrolmentDecision::Approve { name: args.name.clone() };
    let after = args.server.client(around)?.decide(&args.worker, &decision).await?;
    show(&after, args.json, around)
}

/// Runs `worker revoke`.
pub(crate) async fn revoke(args: &RevokeArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let decision = EnrolmentDecision::Revoke { reason: args.reason.clone() };
    let after = args.server.client(around)?.decide(&args.worker, &decision).await?;
    show(&after, args.json, around)
}

fn show(after: &Enrolment, json: bool, around: &Surroundings) -> anyhow::Result<Exit> {
    match json {
        true => around.screen.json("enrolment", after)?,
        false => around.screen.good(format!("worker {} on {} is {}", after.worker, after.host, after.reason)),
    }
    Ok(Exit::Done)
}
