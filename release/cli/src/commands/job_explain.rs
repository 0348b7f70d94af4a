//! `nightshift job explain`: why a job stands where it stands.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Explanation, JobId};

use crate::figures::{count, counted};
use crate::output::Screen;
use crate::server::{ServerArgs, number};
use crate::surroundings::Surroundings;
use crate::table::Table;

/// Say why a job waits, or stands where it stands
///
/// For a job that waits, the workers are counted by the first thing that keeps each from taking it.
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
    let explanation = args.server.client(around)?.explain(args.job).await?;
    match args.json {
        true => around.screen.json("explanation", &explanation)?,
        false => around.screen.data(&lines(&explanation, &around.screen))?,
    }
    Ok(Exit::Done)
}

fn lines(explanation: &Explanation, screen: &Screen) -> String {
    let Explanation { job, summary, ahead, free, busy, kept_off, .. } = explanation;
    let Some(ahead) = ahead else { return format!("job {job}: {summary}\n") };
    let mut text = format!("job {job} waits: {summary}\n");
    text += &format!("\n{} before it\n\n", counted(*ahead, "waiting job"));
    let mut table = Table::new(&[">WORKERS", "MAY TAKE IT?", "FOR EXAMPLE"]);
    for (workers, may) in [(free, "yes, free"), (busy, "yes, busy with another job")] {
        if *workers > 0 {
            table.row(vec![count(*workers), may.to_owned(), String::new()]);
        }
    }
    for group in kept_off {
        table.row(vec![count(group.workers), format!("no: {}", group.why), group.example.clone()]);
    }
    text += &screen.fit(&table);
    text
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Gate, JobState, KeptOff};

    use super::*;

    #[test]
    fn a_waiting_job_is_explained_by_counting_workers() {
        let kept_off = vec![
            KeptOff { gate: Gate::Drained, workers: 1, why: "drained (too hot)".into(), example: "0193-w1".into() },
            KeptOff { gate: Gate::Tag, workers: 40, why: "lacks the tag gpu".into(), example: "0193-w2".into() },
        ];
        let waiting = Explanation {
            job: 42,
            state: JobState::Waiting,
            summary: "3 jobs go out before it; the worker that may take it is busy".into(),
            not_before: None,
            ahead: Some(3),
            free: 0,
            busy: 1,
            kept_off,
        };
        let running = Explanation {
            state: JobState::Running,
            summary: "worker 0193-w1 has it in hand".into(),
            ahead: None,
            ..waiting.clone()
        };
        let screen = Screen::silent();
        insta::assert_snapshot!(format!("{}----\n{}", lines(&waiting, &screen), lines(&running, &screen)));
    }
}
