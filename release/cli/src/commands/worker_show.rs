//! `nightshift worker show`: one worker, whole.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::Worker;

use crate::figures::{count, moment};
use crate::server::{ServerArgs, worker_state};
use crate::surroundings::Surroundings;

/// Show a worker: what it does, what it has, and the steps of its last cycle
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worker's identity
    #[arg(value_name = "ID")]
    worker: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let worker = args.server.client(around)?.worker(&args.worker).await?;
    match args.json {
        true => around.screen.json("worker", &worker)?,
        false => around.screen.data(&lines(&worker, &TimeZone::system()))?,
    }
    Ok(Exit::Done)
}

/// A worker as people read it.
pub(crate) fn lines(worker: &Worker, zone: &TimeZone) -> String {
    let report = &worker.report;
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let amount = |megabytes: u64| if megabytes == 0 { "unknown".to_owned() } else { format!("{megabytes} MB") };
    let state = match report.reason.as_str() {
        "" => worker_state(report.state).to_owned(),
        reason => format!("{}: {reason}", worker_state(report.state)),
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
        worker.drained.as_deref().unwrap_or("no"),
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
    for refused in &report.refused {
        text += &format!("refused    {refused}\n");
    }
    for step in &report.steps {
        let next = if step.next.is_empty() { String::new() } else { format!("; {}", step.next) };
        text += &format!("{} {:<8} {}{next}\n", if step.ok { "✓" } else { "!" }, step.step, step.found);
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
        worker.machine = Machine { memory_mb: 2_000, disk_mb: 0 };
        let step = |step: &str, ok, found: &str, next: &str| StepReport {
            step: step.into(),
            ok,
            found: found.into(),
            next: next.into(),
        };
        worker.report.steps =
            vec![step("lock", true, "got it", ""), step("look", false, "no answer", "check the network")];
        insta::assert_snapshot!(lines(&worker, &TimeZone::UTC));
    }
}
