//! `nightshift job show`: one job with every attempt at it.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::{AttemptState, JobHistory, JobId};

use crate::commands::batch_show::position_in_words;
use crate::figures::{count, counted, moment};
use crate::server::{ServerArgs, job_state, number};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// Show a job with every attempt at it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's number
    #[arg(value_name = "ID", value_parser = number)]
    job: JobId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let job = args.server.client(around)?.job(args.job).await?;
    match args.json {
        true => around.screen.json("job", &job)?,
        false => around.screen.data(&lines(&job, &TimeZone::system()))?,
    }
    Ok(Exit::Done)
}

fn lines(history: &JobHistory, zone: &TimeZone) -> String {
    let job = &history.job;
    let state = match job.reason.as_str() {
        "" => job_state(job.state).to_owned(),
        reason => format!("{}: {reason}", job_state(job.state)),
    };
    let tried = format!(
        "{}, {}, {}",
        counted(job.pickups.into(), "pick-up"),
        counted(job.failures.into(), "failure"),
        counted(job.losses.into(), "lost lease")
    );
    let mut text = format!(
        "job        {}, number {} of batch {}\nplugin     {}\nstate      {state}\npriority   {}\nrequires   {}\n\
         revision   {}\nrecords    {}\ntried      {tried}\nworker     {}\n",
        job.id,
        count(job.seq + 1),
        job.batch,
        job.plugin,
        job.priority,
        job.requirements,
        job.revision,
        count(job.records),
        job.worker.as_deref().unwrap_or("none"),
    );
    if let Some(position) = &history.position {
        text += &format!("data       {}\n", position_in_words(position, zone));
    }
    if let Some(until) = job.not_before {
        text += &format!("not before {}\n", moment(until, zone));
    }
    if history.attempts.is_empty() {
        return text;
    }
    let mut table = Table::new(&[">ATTEMPT", "STATE", ">REVISION", "WORKER", "RELEASE", "BEGUN", "ENDED", "REASON"]);
    for attempt in &history.attempts {
        table.row(vec![
            attempt.id.to_string(),
            attempt_state(attempt.state).to_owned(),
            attempt.revision.to_string(),
            attempt.worker.clone(),
            attempt.release.clone(),
            moment(attempt.started_at, zone),
            attempt.ended_at.map(|ended| moment(ended, zone)).unwrap_or_default(),
            attempt.reason.clone(),
        ]);
    }
    format!("{text}\n{table}")
}

fn attempt_state(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Running => "running",
        AttemptState::Lost => "lost",
        AttemptState::GivenBack => "given back",
        AttemptState::Accepted => "accepted",
        AttemptState::Superseded => "superseded",
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Attempt;

    use super::*;
    use crate::commands::{batch_show, job_list};

    #[test]
    fn a_job_is_shown_with_its_attempts_the_newest_first() {
        let attempt = |id, state, reason: &str| Attempt {
            id,
            revision: 1,
            state,
            reason: reason.into(),
            worker: "0193-w1".into(),
            release: "v1.0.0".into(),
            commit: "c".into(),
            records_done: 500,
            work_ms: None,
            position: None,
            started_at: 0,
            ended_at: Some(60_000),
            lease_until: None,
        };
        let attempts = vec![
            attempt(9, AttemptState::GivenBack, "no such column: nam"),
            attempt(7, AttemptState::Lost, "the lease of attempt 7 ran out"),
        ];
        insta::assert_snapshot!(lines(
            &JobHistory { job: job_list::example(), position: batch_show::example().position, attempts },
            &TimeZone::UTC
        ));
    }
}
