//! What happens in a demo, in order: a grid is made, two batches are handed in; while they are worked on, a new release is
//! cut and every worker takes it; half-way the stop flag is raised and every worker stops; they go on, and every record
//! is checked.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use nightshift_testbed::database::Make;
use nightshift_testbed::grid::{Worker, processes_in};
use nightshift_testbed::people;
use nightshift_wire::{Batch, BatchId, HandIn, JobSize};

use super::data::Data;
use super::interrupt::Interrupt;
use super::replicated;
use super::stage::{Prepared, Stage};
use super::verdict;
use crate::clock::Stopwatch;
use crate::commands::{batch_results, batch_submit};
use crate::figures::{count, counted, duration, share};
use crate::output::Screen;
use crate::server::is_over;
use crate::wait;

/// So long may a thing take that takes seconds.
const SOON: Duration = Duration::from_secs(60);
/// So long may nothing at all happen to the batches.
const STUCK: Duration = Duration::from_secs(120);
/// Records per job. Small jobs (and small blocks, see `stage`) cost time, so that there is something to see: in large
/// ones all records would be done before a stop flag is noticed.
const JOB_SIZE: u32 = 50;
/// The new release is cut at this share of the records, and the grid stopped at that, in per cent.
const RELEASE_AT: u64 = 20;
const STOP_AT: u64 = 50;

/// A batch of the demo and its bar.
struct Handed {
    plugin: &'static str,
    id: BatchId,
    records: u64,
    bar: ProgressBar,
    last: Cell<u64>,
}

/// What the report says.
struct Figures {
    whole: Stopwatch,
    taken: Vec<Duration>,
    stopped: Vec<Duration>,
}

/// Tells the story in `folder`. With `keep`, the grid runs on until somebody interrupts.
pub(crate) fn tell(
    folder: &Path,
    data: &Data,
    keep: bool,
    make: Option<Make>,
    user: &str,
    screen: &Screen,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut figures = Figures { whole: Stopwatch::start(), taken: Vec::new(), stopped: Vec::new() };
    let mut stage = set(folder, data, make, user, screen, interrupt)?;
    let batches = hand_in(&stage, data, screen)?;
    if stage.company.is_some() {
        replicated::break_and_heal(&stage, screen, interrupt)?;
    }
    until_share(RELEASE_AT, &batches, &stage, interrupt)?;
    release(&stage, &batches, &mut figures, screen, interrupt)?;
    until_share(STOP_AT, &batches, &stage, interrupt)?;
    stop_and_start(&stage, &batches, &mut figures, screen, interrupt)?;
    until_share(100, &batches, &stage, interrupt)?;
    for batch in &batches {
        batch.bar.finish_and_clear();
    }
    let report = check(&stage, data, &batches, &figures)?;
    screen.heading("Report");
    screen.data(&report)?;
    if keep {
        let page = stage.page();
        screen.heading(format!("The grid runs on. Its page: {page}/"));
        screen.say(format!(
            "  Commands go there with --jobserver {page}; its clone is {}",
            folder.join("grid/grid").display()
        ));
        screen.say("  Press ctrl-c to end it.");
        wait::while_it(|| !interrupt.heard());
    }
    stage.end();
    wait::at_most(SOON, || processes_in(folder).is_empty());
    let left = processes_in(folder);
    anyhow::ensure!(left.is_empty(), "processes of the demo are left: {left:?}");
    tidy(stage.folder())
}

/// Makes the grid and waits until its job server knows the release.
fn set(
    folder: &Path,
    data: &Data,
    make: Option<Make>,
    user: &str,
    screen: &Screen,
    interrupt: &Interrupt,
) -> anyhow::Result<Stage> {
    screen.heading(format!("A grid in {}", folder.display()));
    let prepared = Prepared::make(folder, data, user, make.is_some())?;
    screen.good(format!(
        "central repository, signing key, release v1.0.0; people in its data table: {}, {}",
        count(data.people.len() as u64),
        data.origin
    ));
    interrupt.check()?;
    let company = make.map(|make| replicated::primary(make, data, screen)).transpose()?;
    let stage = prepared.start(company)?;
    fs::create_dir_all(stage.results()).context("making the folder for results")?;
    screen.good(format!("job server at {}/", stage.page()));
    screen.good(format!("{}, started again by a loop that plays cron", counted(stage.workers.len() as u64, "worker")));
    wait::until("the job server to take the release", SOON, interrupt, || {
        Ok(stage.runtime.block_on(stage.client.status())?.release.map(drop))
    })?;
    if stage.company.is_some() {
        replicated::come_up(&stage, screen, interrupt)?;
    }
    Ok(stage)
}

fn hand_in(stage: &Stage, data: &Data, screen: &Screen) -> anyhow::Result<Vec<Handed>> {
    screen.heading("Two batches");
    let file = |name: &str| stage.folder().join(name);
    let create = |name: &str| {
        fs::File::create(file(name)).map(std::io::BufWriter::new).with_context(|| format!("writing {name}"))
    };
    people::write_records(&data.records, create("records.csv")?)?;
    people::write_names(data.names(), create("names.csv")?)?;
    // The small batch goes first, or it would wait for the large one.
    [("match-person", "records.csv", 0), ("name-count", "names.csv", 1)]
        .into_iter()
        .map(|(plugin, csv, priority)| {
            let hand_in = HandIn {
                plugin: plugin.to_owned(),
                name: Some(csv.trim_end_matches(".csv").to_owned()),
                priority: Some(priority),
                job_size: Some(JobSize::Records(JOB_SIZE)),
                ..HandIn::default()
            };
            let input = batch_submit::Input::File(file(csv));
            let sending = batch_submit::send(&stage.client, &hand_in, input, screen);
            let batch = stage.runtime.block_on(sending).with_context(|| csv.to_owned())?.batch();
            screen.good(format!(
                "batch {}: {} for {plugin}, in {}",
                batch.id,
                counted(batch.records, "record"),
                counted(batch.jobs, "job")
            ));
            let bar = screen.bar(batch.records, "records", plugin);
            Ok(Handed { plugin, id: batch.id, records: batch.records, bar, last: Cell::new(0) })
        })
        .collect()
}

/// Asks how far the batches are and moves their bars; whether anything moved.
fn refresh(batches: &[Handed], stage: &Stage) -> anyhow::Result<(Vec<Batch>, bool)> {
    let mut moved = false;
    let mut now = Vec::new();
    for handed in batches {
        let batch = stage.runtime.block_on(stage.client.batch(handed.id))?;
        moved |= handed.last.replace(batch.results) != batch.results;
        handed.bar.set_position(batch.results);
        now.push(batch);
    }
    Ok((now, moved))
}

/// Waits until so many per cent of all records have a result.
fn until_share(per_cent: u64, batches: &[Handed], stage: &Stage, interrupt: &Interrupt) -> anyhow::Result<()> {
    let all: u64 = batches.iter().map(|batch| batch.records).sum();
    let moved_at = Cell::new(Stopwatch::start());
    wait::until("the batches", Duration::MAX, interrupt, || {
        let (now, moved) = refresh(batches, stage)?;
        if moved {
            moved_at.set(Stopwatch::start());
        }
        anyhow::ensure!(
            moved_at.get().elapsed() < STUCK,
            "nothing happened to the batches for {}; the logs of the workers are in {}",
            duration(STUCK),
            stage.folder().join("workers").display()
        );
        let done: u64 = now.iter().map(|batch| batch.results).sum();
        let reached = if per_cent == 100 { now.iter().all(is_over) } else { done * 100 >= all * per_cent };
        Ok(reached.then_some(()))
    })
}

/// Cuts a release with a new plugin while the workers work, and waits until each has taken it.
fn release(
    stage: &Stage,
    batches: &[Handed],
    figures: &mut Figures,
    screen: &Screen,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    screen.heading("A new release, while they work");
    stage.type_command(&["plugin", "new", "shout", "--runtime", "sql"])?;
    stage.type_command(&["release", "cut", "1.1.0", "--yes"])?;
    screen.good("v1.1.0 with one more plugin is cut and pushed");
    let has_it = |worker: &Worker| worker.status().is_some_and(|status| status["release"] == "v1.1.0");
    figures.taken = one_by_one("a worker to take v1.1.0", stage, batches, interrupt, has_it, |name, time| {
        screen.good(format!("{name} took it after {}", duration(time)));
    })?;
    Ok(())
}

/// Raises the stop flag, waits until nothing of any worker runs, and takes the flag away.
fn stop_and_start(
    stage: &Stage,
    batches: &[Handed],
    figures: &mut Figures,
    screen: &Screen,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let (now, _) = refresh(batches, stage)?;
    let done: u64 = now.iter().map(|batch| batch.results).sum();
    let all: u64 = batches.iter().map(|batch| batch.records).sum();
    screen.heading(format!("Everybody stop, with {} of {} done", count(done), counted(all, "record")));
    stage.type_command(&["stop", "--reason", "the demo shows how"])?;
    screen.good("the stop flag is on the control branch");
    let is_stopped = |worker: &Worker| {
        worker.status().is_some_and(|status| status["state"] == "stopped") && worker.processes().is_empty()
    };
    figures.stopped = one_by_one("a worker to stop", stage, batches, interrupt, is_stopped, |name, time| {
        screen.good(format!("{name} stopped after {}, no process of it is left", duration(time)));
    })?;
    stage.type_command(&["start"])?;
    screen.good("the stop flag is gone; they go on");
    Ok(())
}

/// Waits until `is_so` holds for every worker; how long it took each.
fn one_by_one(
    what: &str,
    stage: &Stage,
    batches: &[Handed],
    interrupt: &Interrupt,
    is_so: impl Fn(&Worker) -> bool,
    mut tell: impl FnMut(&str, Duration),
) -> anyhow::Result<Vec<Duration>> {
    let begun = Stopwatch::start();
    let mut times: Vec<Option<Duration>> = vec![None; stage.workers.len()];
    wait::until(what, SOON, interrupt, || {
        refresh(batches, stage)?;
        for (index, worker) in stage.workers.iter().enumerate() {
            if times[index].is_none() && is_so(worker) {
                times[index] = Some(begun.elapsed());
                tell(&format!("worker-{}", index + 1), begun.elapsed());
            }
        }
        Ok(times.iter().copied().collect::<Option<Vec<_>>>())
    })
}

/// Fetches the results, checks every record, and says how it went.
fn check(stage: &Stage, data: &Data, batches: &[Handed], figures: &Figures) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for handed in batches {
        let batch = stage.runtime.block_on(stage.client.batch(handed.id))?;
        let file = stage.results().join(format!("{}.csv", handed.plugin));
        stage.runtime.block_on(batch_results::save(&stage.client, &batch, &file))?;
        let csv = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let figure = match handed.plugin {
            "match-person" => matches_line(data, &csv)?,
            _ => counts_line(data, &csv)?,
        };
        lines.push(format!(
            "{:<13} {} in, {} out, each once; {figure}",
            handed.plugin,
            count(batch.records),
            count(batch.results)
        ));
    }
    lines.push(format!("release       taken by every worker, the last after {}", duration(longest(&figures.taken))));
    lines.push(format!("stop          every process gone after {}", duration(longest(&figures.stopped))));
    lines.push(format!(
        "time          {} in all (jobs and blocks are small here, to show them; large ones are many times faster)",
        duration(figures.whole.elapsed())
    ));
    lines.push(format!("results       {}", stage.results().display()));
    Ok(lines.join("\n") + "\n")
}

fn matches_line(data: &Data, csv: &str) -> anyhow::Result<String> {
    let Some(matching) = verdict::matching(data, csv)? else {
        return Ok("how many are right is not known (no FEBRL ids)".to_owned());
    };
    let right = matching.right + matching.left_alone;
    Ok(format!(
        "{} right ({}), {} linked wrongly, {} missed",
        count(right),
        share(right, data.records.len() as u64),
        count(matching.wrong),
        count(matching.missed)
    ))
}

fn counts_line(data: &Data, csv: &str) -> anyhow::Result<String> {
    let names = data.names().len() as u64;
    let agree = verdict::counting(data, csv)?;
    anyhow::ensure!(agree == names, "only {agree} of {names} counts are those of a plain search");
    Ok(format!("all {} counts are those of a plain search", count(agree)))
}

fn longest(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}

/// Leaves the result files and nothing else.
fn tidy(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).context("tidying up")? {
        let entry = entry.context("tidying up")?;
        let path = entry.path();
        match entry.file_name() == "results" {
            true => Ok(()),
            false if path.is_dir() => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        }
        .with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}
