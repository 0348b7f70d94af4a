//! `nightshift status`: the grid on one screen.

use std::time::Duration;

use nightshift_client::{Client, ClientError};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, PrimaryStatus, Spool, Status, StopScope, StopSeen, Worker, WorkerState, access_code};
use serde::Serialize;

use crate::commands::worker_list::shut_out;
use crate::figures::{count, counted, duration, share};
use crate::server::{ServerArgs, is_over, worker_state};
use crate::surroundings::Surroundings;
use crate::wait::until_the_next_look;
use crate::workers;

/// Show the grid on one screen: release, workers and why they idle, jobs, open batches
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look again and again; Ctrl-C ends it
    #[arg(long)]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What the screen shows.
#[derive(Debug, Serialize)]
struct Grid<'a> {
    jobserver: &'a str,
    #[serde(flatten)]
    status: Status,
    worker_states: Vec<StateCount>,
    idle_reasons: Vec<Idle>,
    /// The stops that stand, those of parts of the grid among them.
    stops: Vec<StopSeen>,
    /// Results that workers could not hand in yet.
    spool: Spool,
    /// Workers that asked to join and were not decided about; 0 for who may not decide.
    waiting_to_join: usize,
    open_batches: Vec<Batch>,
}

/// How many workers are in a state.
#[derive(Debug, Serialize)]
struct StateCount {
    state: &'static str,
    workers: usize,
}

/// Workers that do not work, and why.
#[derive(Debug, Serialize)]
struct Idle {
    reason: String,
    workers: usize,
}

/// So many reasons and batches fit the screen beside everything else.
const MOST_REASONS: usize = 5;
const MOST_BATCHES: usize = 10;

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let mut last = String::new();
    loop {
        let grid = match look(&client, args.server.url(around)).await {
            // Who watches is told that nobody answers, and goes on watching.
            Err(error) if args.watch && !last.is_empty() && error.is_retryable() => {
                around.screen.warn(format!("{:#}", anyhow::Error::new(error)));
                until_the_next_look().await;
                continue;
            }
            grid => grid?,
        };
        let seen = lines(&grid);
        if seen != last {
            if !last.is_empty() {
                around.screen.clear()?;
            }
            match args.json {
                true => around.screen.json("status", &grid)?,
                false => around.screen.data(&seen)?,
            }
            last = seen;
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        until_the_next_look().await;
    }
}

/// Asks the job server for everything the screen shows.
async fn look<'a>(client: &Client, jobserver: &'a str) -> Result<Grid<'a>, ClientError> {
    let status = client.status().await?;
    // An owner is told how many workers there are, and not which.
    let workers = match client.workers().await {
        Err(error) if error.problem().is_some_and(|problem| problem.code == access_code::NOT_ALLOWED) => Vec::new(),
        workers => workers?,
    };
    let open_batches = client.batches().await?.into_iter().filter(|batch| !is_over(batch)).collect();
    let stops = client.stop("", Duration::ZERO).await?.stops;
    let enrolments = client.enrolments().await.unwrap_or_default();
    let waiting_to_join = workers::waiting(&enrolments).count();
    // Who is let in no more said what it said last.
    let workers: Vec<Worker> = workers.into_iter().filter(|worker| shut_out(worker, &enrolments).is_none()).collect();
    let (worker_states, idle_reasons, spool) = (states(&workers), idle(&workers), spool(&workers));
    Ok(Grid { jobserver, status, worker_states, idle_reasons, stops, spool, waiting_to_join, open_batches })
}

/// Why workers do not work, the reason of most first.
fn idle(workers: &[Worker]) -> Vec<Idle> {
    let mut reasons: Vec<Idle> = Vec::new();
    for worker in workers.iter().filter(|worker| worker.report.state != WorkerState::Working) {
        let reason =
            worker.drained.as_ref().map_or_else(|| worker.report.reason.clone(), |why| format!("drained: {why}"));
        match reasons.iter_mut().find(|known| known.reason == reason) {
            _ if reason.is_empty() => {}
            Some(known) => known.workers += 1,
            None => reasons.push(Idle { reason, workers: 1 }),
        }
    }
    reasons.sort_by_key(|idle| std::cmp::Reverse(idle.workers));
    reasons
}

/// What all workers together could not hand in yet.
fn spool(workers: &[Worker]) -> Spool {
    workers.iter().fold(Spool::default(), |all, worker| {
        let Spool { jobs, bytes } = worker.report.spool;
        Spool { jobs: all.jobs + jobs, bytes: all.bytes + bytes }
    })
}

/// How many workers do what, in the order of the states.
fn states(workers: &[Worker]) -> Vec<StateCount> {
    use WorkerState::{Blocked, Resting, Stopped, Waiting, Working};
    [Working, Waiting, Resting, Stopped, Blocked]
        .into_iter()
        .map(|state| StateCount {
            state: worker_state(state),
            workers: workers.iter().filter(|worker| worker.report.state == state).count(),
        })
        .filter(|count| count.workers > 0)
        .collect()
}

fn lines(grid: &Grid<'_>) -> String {
    let status = &grid.status;
    let release = match (&status.release, status.release_problem.as_str()) {
        (Some(release), "") => release.clone(),
        (Some(release), problem) => format!("{release}; {problem}"),
        (None, "") => "none yet; cut one with `nightshift release cut 1.0.0`".to_owned(),
        (None, problem) => format!("none; {problem}"),
    };
    let states: Vec<String> =
        grid.worker_states.iter().map(|count| format!("{} {}", count.workers, count.state)).collect();
    let states = if states.is_empty() { String::new() } else { format!("; last reports: {}", states.join(", ")) };
    let mut text = format!(
        "job server  {} (version {})\nrelease     {release}\nworkers     {} heard of in the last two minutes{states}\n\
         jobs        {} waiting, {} running, {} done, {} quarantined\n",
        grid.jobserver,
        status.version,
        count(status.workers),
        count(status.jobs_waiting),
        count(status.jobs_running),
        count(status.jobs_done),
        count(status.jobs_quarantined),
    );
    if let Some(primary) = &status.primary {
        text.push_str(&format!("primary     {}\n", in_words(primary, status.now)));
    }
    for stop in grid.stops.iter().filter(|stop| stop.scope != StopScope::default()) {
        text.push_str(&format!("stopped     {}\n", part_in_words(stop)));
    }
    if let Some(flag) = &status.stopped {
        text.push_str(&format!("stopped     {flag}; `nightshift start` removes the flag\n"));
    }
    if status.jobs_suspended > 0 {
        text.push_str(&format!("suspended   {}\n", counted(status.jobs_suspended, "job")));
    }
    if !grid.spool.is_empty() {
        text.push_str(&format!("spool       {}: finished, and not handed in yet\n", grid.spool));
    }
    if grid.waiting_to_join > 0 {
        let (who, wait) = match grid.waiting_to_join {
            1 => ("1 worker".to_owned(), "waits"),
            several => (counted(several as u64, "worker"), "wait"),
        };
        text.push_str(&format!("to join     {who} {wait} to be let in: `nightshift worker list`\n"));
    }
    for Idle { reason, workers } in grid.idle_reasons.iter().take(MOST_REASONS) {
        text.push_str(&format!("idle        {}: {reason}\n", counted(*workers as u64, "worker")));
    }
    for batch in grid.open_batches.iter().take(MOST_BATCHES) {
        text.push_str(&format!(
            "batch {:<5} {} for {}: {} of {} records ({}){}\n",
            batch.id,
            batch.name,
            batch.plugin,
            count(batch.results),
            count(batch.records),
            share(batch.results, batch.records),
            batch.suspended.as_ref().map(|why| format!("; suspended: {why}")).unwrap_or_default(),
        ));
    }
    let more = grid.open_batches.len().saturating_sub(MOST_BATCHES);
    if more > 0 {
        text.push_str(&format!("and {more} more open batches; see `nightshift batch list`\n"));
    }
    text
}

/// A stop of a part of the grid.
fn part_in_words(stop: &StopSeen) -> String {
    let StopScope { plugin, worker, release, when } = &stop.scope;
    let parts = [("plugin", plugin), ("worker", worker), ("release", release)];
    let parts = parts.into_iter().filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")));
    let mut what = parts.collect::<Vec<_>>().join(", ");
    if what.is_empty() {
        what.push_str("everything");
    }
    let when = if when.is_some() { " after the job in hand" } else { "" };
    format!("{what}{when}: {} ({}); `nightshift start` removes the flag", stop.reason, stop.place)
}

/// The primary of the company's data, and how old what is known of it is.
fn in_words(primary: &PrimaryStatus, now: i64) -> String {
    let mut words = match &primary.position {
        None => "has not answered yet".to_owned(),
        Some(position) => {
            let age = Duration::from_millis(u64::try_from(now - position.noted).unwrap_or(0));
            format!("{}, position noted {} ago", position.primary, duration(age))
        }
    };
    for more in std::iter::once(&primary.problem).filter(|problem| !problem.is_empty()).chain(&primary.warnings) {
        words.push_str("; ");
        words.push_str(more);
    }
    words
}

#[cfg(test)]
mod tests {
    use nightshift_wire::DataPosition;

    use super::*;
    use crate::commands::{batch_show, worker_list};

    fn grid(release: Option<&str>, problem: &str) -> String {
        let status = Status {
            version: "0.1.0".into(),
            now: 0,
            release: release.map(str::to_owned),
            release_id: None,
            control_id: None,
            release_problem: problem.into(),
            stopped: Some("prices are wrong (STOP on branch control)".into()),
            jobs_waiting: 5,
            jobs_running: 3,
            jobs_done: 12,
            jobs_quarantined: 0,
            jobs_suspended: 0,
            jobs_deleted: 0,
            workers: 1,
            primary: Some(PrimaryStatus {
                position: Some(DataPosition { primary: "mariadb:7".into(), gtid: "0-7-12".into(), noted: -1_500 }),
                problem: String::new(),
                warnings: Vec::new(),
            }),
        };
        let mut workers = [worker_list::example(), worker_list::example()];
        workers[0].report.spool = Spool { jobs: 3, bytes: 12_000_000 };
        let (worker_states, idle_reasons, spool) = (states(&workers), idle(&workers), spool(&workers));
        let open_batches = vec![batch_show::example(); MOST_BATCHES + 2];
        let jobserver = "http://127.0.0.1:7070";
        let scope = StopScope { plugin: Some("names".into()), ..StopScope::default() };
        let stops = vec![StopSeen { place: "job server".into(), reason: "it is slow".into(), scope }];
        lines(&Grid { jobserver, status, worker_states, idle_reasons, stops, spool, waiting_to_join: 2, open_batches })
    }

    #[test]
    fn the_grid_fits_one_screen() {
        insta::assert_snapshot!(grid(Some("v1.0.0"), ""));
    }

    #[test]
    fn a_primary_that_cannot_be_asked_says_why() {
        let away = PrimaryStatus { position: None, problem: "it is silent".into(), warnings: vec!["set a".into()] };
        assert_eq!(in_words(&away, 0), "has not answered yet; it is silent; set a");
    }

    #[test]
    fn a_grid_without_a_release_says_how_to_get_one() {
        assert!(grid(None, "").contains("release     none yet; cut one with `nightshift release cut 1.0.0`"));
        assert!(grid(None, "no answer").contains("release     none; no answer"));
        assert!(grid(Some("v1.0.0"), "no answer").contains("release     v1.0.0; no answer"));
    }
}
