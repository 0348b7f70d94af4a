//! `nightshift status`: the grid on one screen.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, Status, Worker, WorkerState};
use serde::Serialize;

use crate::figures::{count, share};
use crate::server::{ServerArgs, is_over, worker_state};
use crate::surroundings::Surroundings;

/// Show the grid: release, workers, jobs, open batches
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    open_batches: Vec<Batch>,
}

/// How many workers are in a state.
#[derive(Debug, Serialize)]
struct StateCount {
    state: &'static str,
    workers: usize,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let status = client.status().await?;
    let workers = client.workers().await?;
    let open_batches = client.batches().await?.into_iter().filter(|batch| !is_over(batch)).collect();
    let worker_states = states(&workers);
    let grid = Grid { jobserver: args.server.url(around), status, worker_states, open_batches };
    match args.json {
        true => around.screen.json("status", &grid)?,
        false => around.screen.data(&lines(&grid))?,
    }
    Ok(Exit::Done)
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
    if let Some(flag) = &status.stopped {
        text.push_str(&format!("stopped     {flag}; `nightshift start` removes the flag\n"));
    }
    for batch in &grid.open_batches {
        text.push_str(&format!(
            "batch {:<5} {} for {}: {} of {} records ({})\n",
            batch.id,
            batch.name,
            batch.plugin,
            count(batch.results),
            count(batch.records),
            share(batch.results, batch.records)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{batch_show, worker_list};

    fn grid(release: Option<&str>, problem: &str) -> String {
        let status = Status {
            version: "0.1.0".into(),
            now: 0,
            release: release.map(str::to_owned),
            release_problem: problem.into(),
            stopped: Some("prices are wrong (STOP on branch control)".into()),
            jobs_waiting: 5,
            jobs_running: 3,
            jobs_done: 12,
            jobs_quarantined: 0,
            jobs_suspended: 0,
            jobs_deleted: 0,
            workers: 1,
        };
        let worker_states = states(&[worker_list::example()]);
        let open_batches = vec![batch_show::example()];
        lines(&Grid { jobserver: "http://127.0.0.1:7070", status, worker_states, open_batches })
    }

    #[test]
    fn the_grid_fits_one_screen() {
        insta::assert_snapshot!(grid(Some("v1.0.0"), ""));
    }

    #[test]
    fn a_grid_without_a_release_says_how_to_get_one() {
        assert!(grid(None, "").contains("release     none yet; cut one with `nightshift release cut 1.0.0`"));
        assert!(grid(None, "no answer").contains("release     none; no answer"));
        assert!(grid(Some("v1.0.0"), "no answer").contains("release     v1.0.0; no answer"));
    }
}
