//! `nightshift start`: takes every stop flag away, wherever people put one.

use nightshift_contract::exit::Exit;
use serde::Serialize;

use crate::control::{Control, RepositoryArgs};
use crate::figures::counted;
use crate::output::Screen;
use crate::same_grid::Check;
use crate::server::{ServerArgs, wait_for};
use crate::surroundings::Surroundings;

/// Start the grid again
///
/// Removes every stop flag: entries named STOP on the control branch and on the default branch of the central repository,
/// refs named stop, and the stops of the job server. Workers begin again with their next cycle. (A STOP file in a
/// worker's own state folder is that machine's business: `nightshift-worker start`.)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// What was taken away, for scripts.
#[derive(Debug, Serialize)]
struct Taken {
    /// The places in the repository where flags stood.
    repository: Vec<String>,
    /// The reasons of the job server's stops.
    job_server: Vec<String>,
    /// Why the job server's could not be taken away; empty when they could.
    job_server_problem: String,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let silent = Screen::silent();
    let screen = if args.json { &silent } else { &around.screen };
    let job_server = Check::of(&args.repository, &args.server, around)
        .and_then(|check| check.refuse_another(&args.server, around))
        .and_then(|()| wait_for(async { Ok(args.server.client(around)?.clear_stops().await?) }));
    let control = Control::open(&args.repository, around)?;
    let repository = control.start("Start the grid\n")?;
    match repository.is_empty() {
        true => screen.say(format!("{} has no stop flag", control.url)),
        false => screen.good(format!("the stop flag is gone from {}: {}", control.url, repository.join("; "))),
    }
    let url = args.server.url(around);
    let (stops, problem) = match &job_server {
        Ok(own) => (own.stops.iter().map(|stop| stop.reason.clone()).collect(), String::new()),
        Err(error) => (Vec::new(), format!("{error:#}")),
    };
    match (&job_server, stops.len()) {
        (Err(_), _) => screen.warn(format!(
            "a stop of the job server {url} would still stand: {problem}; `nightshift start` again when it is back"
        )),
        (Ok(_), 0) => {}
        (Ok(_), number) => screen.good(format!("gone from the job server {url}: {}", counted(number as u64, "stop"))),
    }
    if !repository.is_empty() || !stops.is_empty() {
        screen.say("Workers begin again with their next cycle, within ten minutes.");
    }
    if args.json {
        around.screen.json("start", &Taken { repository, job_server: stops, job_server_problem: problem })?;
    }
    // A job server that nobody named need not be there.
    Ok(if job_server.is_err() && args.server.is_named(around) { Exit::TryLater } else { Exit::Done })
}
