//! Changing jobs: which ones, what would happen, the question before it, and what came of it.
//!
//! Jobs named by number are changed at once: who names them has looked. A filter may choose a million, so the job server
//! is asked first how many it chooses; the person is shown that and asked. Scripts say --yes.

use nightshift_contract::exit::Exit;
use nightshift_wire::{ActionReport, ActionRequest, BatchId, JobAction, JobFilter, JobId, JobState};

use crate::figures::{count, counted};
use crate::refusal::refusal;
use crate::server::{ServerArgs, number, parse_job_state};
use crate::surroundings::Surroundings;
use crate::workers;

/// Jobs by what they have in common.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Narrowing {
    /// Jobs of this batch
    #[arg(long, value_name = "ID", value_parser = number)]
    pub(crate) batch: Option<BatchId>,
    /// Jobs that stand there: waiting, running, done, quarantined, suspended or deleted
    #[arg(long, value_name = "STATE", value_parser = parse_job_state)]
    pub(crate) state: Option<JobState>,
    /// Jobs for this plugin
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin: Option<String>,
    /// Done jobs whose results this release computed
    #[arg(long, value_name = "VERSION")]
    pub(crate) release: Option<String>,
    /// Jobs that this worker holds or did
    #[arg(long, value_name = "WORKER")]
    pub(crate) worker: Option<String>,
    /// Jobs of batches that the token of this name handed in
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
}

impl Narrowing {
    /// The filter, for these jobs only when some are named.
    pub(crate) fn filter(&self, ids: &[JobId]) -> JobFilter {
        JobFilter {
            ids: ids.to_vec(),
            batch: self.batch,
            state: self.state,
            plugin: self.plugin.clone(),
            release: self.release.as_deref().map(tag),
            worker: self.worker.clone(),
            owner: self.owner.clone(),
        }
    }
}

/// A release's tag, however a person writes its version.
pub(crate) fn tag(version: &str) -> String {
    if version.starts_with('v') { version.to_owned() } else { format!("v{version}") }
}

/// How a change is made.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Why; people read it at the job
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; for scripts
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Jobs named by number or by what they have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct ChosenJobs {
    /// The jobs' numbers; without any, the flags choose
    #[arg(value_name = "ID", value_parser = number, required_unless_present_any = ["batch", "state", "plugin", "release", "worker", "owner"])]
    pub(crate) ids: Vec<JobId>,
    #[command(flatten)]
    pub(crate) narrowing: Narrowing,
}

impl ChosenJobs {
    pub(crate) fn filter(&self) -> JobFilter {
        self.narrowing.filter(&self.ids)
    }
}

/// Does `action` to the jobs of `filter`; `done` is what they are afterwards, in one word.
pub(crate) async fn change(
    action: JobAction,
    filter: JobFilter,
    done: &str,
    args: &ChangeArgs,
    around: &Surroundings,
) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let worker = workers::meant_if_any(&client, filter.worker.as_deref()).await?;
    let filter = JobFilter { worker, ..filter };
    let named = !filter.ids.is_empty();
    let request = ActionRequest { action, filter, reason: args.reason.clone(), dry_run: true };
    if args.dry_run {
        return show(&client.change_jobs(&request).await?, &format!("would be {done}"), named, args, around);
    }
    // Who names jobs has looked; but nothing brings back what is deleted.
    if (!named || request.action == JobAction::Delete) && !args.yes {
        let would = client.change_jobs(&request).await?;
        if would.changed == 0 {
            return show(&would, done, named, args, around);
        }
        let question = format!("{} of {} would be {done}", count(would.changed), counted(would.matched, "chosen job"));
        around.confirm(&format!("{question}{}", besides(&request)), args.yes)?;
    }
    let report = client.change_jobs(&ActionRequest { dry_run: false, ..request }).await?;
    show(&report, &format!("{} {done}", if report.changed == 1 { "is" } else { "are" }), named, args, around)
}

/// What a change means besides for the jobs themselves.
fn besides(request: &ActionRequest) -> &'static str {
    let done = request.filter.state == Some(JobState::Done) || request.filter.release.is_some();
    match request.action {
        JobAction::Retry if done => {
            "; their batches are open again until those are done, and results there are so far are kept as superseded"
        }
        _ => "",
    }
}

fn show(
    report: &ActionReport,
    done: &str,
    named: bool,
    args: &ChangeArgs,
    around: &Surroundings,
) -> anyhow::Result<Exit> {
    let exit = exit(report, named);
    if args.json {
        around.screen.json("report", report)?;
        return Ok(exit);
    }
    if report.matched == 0 {
        let none = "no job is chosen; see which there are with `nightshift job list`";
        if exit == Exit::NotFound {
            return Err(refusal(exit, none));
        }
        around.screen.say(none);
        return Ok(exit);
    }
    let (talk, left) = said(report, done);
    if report.changed > 0 {
        around.screen.good(talk);
    } else {
        around.screen.warn(talk);
    }
    for line in left {
        around.screen.say(line);
    }
    Ok(exit)
}

/// Jobs that were named and are not there are not found; named jobs of which none could be changed are a failure. A
/// filter that chooses nothing has nothing left to do.
fn exit(report: &ActionReport, named: bool) -> Exit {
    match (report.matched, report.changed) {
        (0, _) if named => Exit::NotFound,
        (1.., 0) if named => Exit::Failed,
        _ => Exit::Done,
    }
}

/// What a person is told: the result, and a line for each job that stays as it is.
fn said(report: &ActionReport, done: &str) -> (String, Vec<String>) {
    let talk = format!("{} of {} {done}", count(report.changed), counted(report.matched, "chosen job"));
    let mut left: Vec<String> =
        report.unchanged.iter().map(|job| format!("  job {} stays as it is: {}", job.job, job.why)).collect();
    let more = (report.matched - report.changed).saturating_sub(report.unchanged.len() as u64);
    if more > 0 {
        left.push(format!("  and {} more", count(more)));
    }
    (talk, left)
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Unchanged;

    use super::*;

    fn report() -> ActionReport {
        let unchanged = vec![Unchanged { job: 12, why: "it was deleted".to_owned() }];
        ActionReport { matched: 1_234, changed: 1_200, unchanged }
    }

    #[test]
    fn what_came_of_a_change_is_counted_and_every_job_left_alone_says_why() {
        let (talk, left) = said(&report(), "are retried");
        assert_eq!(talk, "1,200 of 1,234 chosen jobs are retried");
        assert_eq!(left, ["  job 12 stays as it is: it was deleted", "  and 33 more"]);
    }

    #[test]
    fn jobs_that_were_named_have_to_be_there_and_a_filter_may_choose_nothing() {
        assert_eq!(exit(&ActionReport::default(), true), Exit::NotFound);
        assert_eq!(exit(&ActionReport::default(), false), Exit::Done);
        assert_eq!(exit(&ActionReport { changed: 0, ..report() }, true), Exit::Failed);
        assert_eq!(exit(&report(), true), Exit::Done);
    }

    #[test]
    fn a_version_is_a_tag_with_or_without_its_letter() {
        assert_eq!((tag("1.4.0"), tag("v1.4.0")), ("v1.4.0".to_owned(), "v1.4.0".to_owned()));
    }
}
