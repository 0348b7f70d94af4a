//! `nightshift worker show`: one worker, whole.

use jiff::tz::TimeZone;
use nightshift_client::{Client, ClientError};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Enrolment, EnrolmentState, ReplicaReport, Worker};

use crate::commands::worker_list::{replica_state, shut_out};
use crate::figures::{count, moment};
use crate::refusal::refusal;
use crate::server::{ServerArgs, worker_state};
use crate::surroundings::Surroundings;
use crate::workers;

/// Show a worker: what it does, what it has, and the steps of its last cycle
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worker: its identity or the beginning of it, its name, or its host
    #[arg(value_name = "WORKER")]
    worker: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let id = workers::meant(&client, &args.worker).await?;
    let worker = match client.worker(&id).await {
        Err(error) if is_not_heard_of(&error) => return show_waiting(&id, &client, args, around).await,
        worker => worker?,
    };
    if args.json {
        around.screen.json("worker", &worker)?;
        return Ok(Exit::Done);
    }
    // Who may not decide about workers is not told of it.
    let enrolments = client.enrolments().await.unwrap_or_default();
    around.screen.data(&lines(&worker, shut_out(&worker, &enrolments), &TimeZone::system()))?;
    Ok(Exit::Done)
}

/// It did not report yet, whether or not it asked to join.
fn is_not_heard_of(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.status == 404)
}

/// Who asked to join and was never heard of since.
async fn show_waiting(id: &str, client: &Client, args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let enrolments = client.enrolments().await?;
    let Some(enrolment) = enrolments.iter().find(|enrolment| enrolment.worker == id) else {
        let text = format!("there is no worker {id}; see which there are with `nightshift worker list`");
        return Err(refusal(Exit::NotFound, text));
    };
    match args.json {
        true => around.screen.json("enrolment", enrolment)?,
        false => around.screen.data(&asked_to_join(enrolment, &TimeZone::system()))?,
    }
    Ok(Exit::Done)
}

fn asked_to_join(enrolment: &Enrolment, zone: &TimeZone) -> String {
    let Enrolment { worker, host, address, asked_at, join_token, state, reason, .. } = enrolment;
    let state = match state {
        EnrolmentState::Pending => format!("waits to join; `nightshift worker approve {worker}` lets it in"),
        _ => reason.clone(),
    };
    format!(
        "worker     {worker}\nhost       {host} at {address}\nstate      {state}\nasked      {} with the token {join_token}\n",
        moment(*asked_at, zone)
    )
}

/// A worker as people read it; `out` when nobody lets it in any more.
pub(crate) fn lines(worker: &Worker, out: Option<&Enrolment>, zone: &TimeZone) -> String {
    let report = &worker.report;
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let amount = |megabytes: u64| if megabytes == 0 { "unknown".to_owned() } else { format!("{megabytes} MB") };
    let said = match report.reason.as_str() {
        "" => worker_state(report.state).to_owned(),
        reason => format!("{}: {reason}", worker_state(report.state)),
    };
    let state = match out {
        None => said,
        Some(out) => format!("{}, let in no more (it last said: {said})", out.reason),
    };
    let drained = match (out, worker.drained.as_deref()) {
        (None, Some(reason)) => reason,
        (None, None) => "no",
        (Some(_), _) => "for good",
    };
    let tags = worker.tags.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut text = format!(
        "worker     {}\nname       {}\nhost       {} at {}\nstate      {state}\ndrained    {}\nrelease    {}\n\
         plugins    {}\ntags       {}\nmemory     {}\ndisk free  {}\njobs       {} in hand, {} done\nrecords    {}\n\
         first seen {}\nlast seen  {}\n",
        report.worker,
        or(&worker.name, "none"),
        report.host,
        worker.address,
        drained,
        or(&report.release, "none"),
        or(&worker.plugins.join(" "), "none known"),
        or(&tags, "none"),
        amount(worker.machine.memory_mb),
        amount(worker.machine.disk_mb),
        count(worker.jobs_running),
        count(worker.jobs_done),
        count(worker.records_done),
        moment(worker.first_seen, zone),
        moment(worker.last_seen, zone),
    );
    if !report.spool.is_empty() {
        text += &format!("spool      {} not handed in yet\n", report.spool);
    }
    if let Some(replica) = &report.replica {
        text += &format!("replica    {}\n", replica_lines(replica));
    }
    for refused in &report.refused {
        text += &format!("refused    {refused}\n");
    }
    for step in &report.steps {
        let next = if step.next.is_empty() { String::new() } else { format!("; {}", step.next) };
        text += &format!("{} {:<8} {}{next}\n", if step.ok { "✓" } else { "!" }, step.step, step.found);
    }
    text
}

/// A replica: how it is and why; then the server, whom it copies and how far it is, as far as that is known.
fn replica_lines(replica: &ReplicaReport) -> String {
    let mut text = replica_state(replica);
    if !replica.reason.is_empty() {
        text += &format!(": {}", replica.reason);
    }
    let known = [("server", &replica.server), ("copies", &replica.primary), ("reached", &replica.gtid)];
    for (name, value) in known.into_iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("\n  {name:<8} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Machine, StepReport};

    use super::*;
    use crate::commands::worker_list;

    #[test]
    fn a_worker_is_shown_with_what_it_has_and_why_it_gets_no_jobs() {
        let mut worker = worker_list::example();
        worker.drained = Some("its last 3 jobs failed while other workers' jobs were accepted".into());
        worker.tags = ["gpu".to_owned()].into();
        worker.report.spool = nightshift_wire::Spool { jobs: 2, bytes: 340_000 };
        worker.machine = Machine { memory_mb: 2_000, disk_mb: 0 };
        let step = |step: &str, ok, found: &str, next: &str| StepReport {
            step: step.into(),
            ok,
            found: found.into(),
            next: next.into(),
        };
        worker.report.steps =
            vec![step("lock", true, "got it", ""), step("look", false, "no answer", "check the network")];
        insta::assert_snapshot!(lines(&worker, None, &TimeZone::UTC));
        let revoked = worker_list::example_revoked(&worker);
        let asks = Enrolment { state: EnrolmentState::Pending, ..revoked.clone() };
        assert!(asked_to_join(&asks, &TimeZone::UTC).contains("`nightshift worker approve 0193-w1` lets it in"));
        let shown = lines(&worker, Some(&revoked), &TimeZone::UTC);
        let state = shown.lines().find(|line| line.starts_with("state ")).expect("a state");
        assert!(
            state.starts_with("state      revoked by anna: sold, let in no more (it last said: stopped"),
            "{state}"
        );
    }
}
