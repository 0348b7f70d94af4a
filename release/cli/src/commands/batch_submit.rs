//! `nightshift batch submit`: hands a CSV in, as it streams from a file or standard input, and waits for it when asked to.
//!
//! What is a good CSV is the job server's decision; it keeps all of the file or nothing.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use futures_util::TryStreamExt;
use nightshift_client::{Client, ClientError};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, HandIn, JobSize};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::figures::{count, counted, duration};
use crate::output::Screen;
use crate::refusal::{OrRefuse, exit_of, refusal};
use crate::server::{ServerArgs, has_errors};
use crate::surroundings::Surroundings;
use crate::wait;

/// Bytes read from the file at a time.
const PIECE: usize = 64 * 1024;

/// Hand in a CSV
///
/// The first line names the columns; the plugin's input columns must be among them. Spaces after commas, Windows line
/// ends, a byte-order mark and a missing last newline are fine. A file that cannot be taken is refused whole, with the
/// line. Prints the batch's number.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The CSV; - is standard input
    file: PathBuf,
    /// The plugin that shall process the records
    #[arg(long, value_name = "NAME")]
    plugin: String,
    /// What you call the batch [default: the file's name, or stdin]
    #[arg(long)]
    name: Option<String>,
    /// Higher goes first
    #[arg(long, value_name = "P", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Records per job: a number, or auto for a quarter of an hour of work by the plugin's measured speed [default: the
    /// grid's setting]
    #[arg(long, value_name = "auto|N")]
    job_size: Option<JobSize>,
    /// Wait until every record has its result; exit code 5 when some have errors
    #[arg(long)]
    wait: bool,
    /// Print the batch as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let (input, shown, own_name) = match args.file.as_os_str() == "-" {
        true => (Input::Stdin, "standard input".to_owned(), "stdin".to_owned()),
        false => (Input::File(around.resolve(&args.file)), args.file.display().to_string(), stem(&args.file)),
    };
    let name = args.name.clone().unwrap_or(own_name);
    let hand_in = HandIn {
        plugin: args.plugin.clone(),
        name: Some(name.clone()),
        priority: Some(args.priority),
        job_size: args.job_size,
        ..HandIn::default()
    };
    let sent = send(&client, &hand_in, input, &around.screen).await;
    let mut batch = sent.map_err(|error| name_the_input(error, &shown, &name))?;
    around.screen.good(format!(
        "batch {}: {} in {} for {}",
        batch.id,
        counted(batch.records, "record"),
        counted(batch.jobs, "job"),
        batch.plugin
    ));
    if !args.wait {
        around.screen.say(format!("`nightshift batch show {}` says how far it is.", batch.id));
        show(args, around, &batch)?;
        return Ok(Exit::Done);
    }
    let bar = around.screen.bar(batch.records, "records", &format!("batch {}", batch.id));
    batch = wait::until_over(&client, batch.id, &bar, &around.screen).await?;
    bar.finish_and_clear();
    let took = batch.finished_at.map(|end| Duration::from_millis(u64::try_from(end - batch.created_at).unwrap_or(0)));
    let after = took.map(|took| format!(" after {}", duration(took))).unwrap_or_default();
    around.screen.good(format!("batch {} is finished{after}: {}", batch.id, counted(batch.results, "result")));
    show(args, around, &batch)?;
    around.screen.say(format!("Fetch the results with `nightshift batch results {} -o OUT.csv`.", batch.id));
    if has_errors(&batch) {
        around.screen.warn(format!(
            "{} of {} have an error instead of a value",
            count(batch.errors.max(batch.records - batch.results)),
            counted(batch.records, "record")
        ));
        return Ok(Exit::RecordErrors);
    }
    Ok(Exit::Done)
}

/// Where a CSV comes from.
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Hands in a CSV.
pub(crate) async fn send(client: &Client, hand_in: &HandIn, input: Input, screen: &Screen) -> anyhow::Result<Batch> {
    let csv = match input {
        Input::File(path) => File::open(path).await.or_refuse(Exit::NotFound, || "opening it".to_owned())?,
        Input::Stdin => File::from_std(std::io::stdin().as_fd().try_clone_to_owned().context("opening it")?.into()),
    };
    let about = csv.metadata().await.context("reading it")?;
    let length = about.is_file().then_some(about.len());
    let bar = screen.byte_bar(length, "handing in");
    let sent = bar.clone();
    let csv = ReaderStream::with_capacity(csv, PIECE).inspect_ok(move |piece| sent.inc(piece.len() as u64));
    let handed_in = client.hand_in(hand_in, csv).await;
    bar.finish_and_clear();
    handed_in.map_err(|error| match &error {
        ClientError::Away { .. } => anyhow::Error::new(error)
            .context("nothing was handed in; start the job server or name it with --jobserver, then try again"),
        ClientError::Refused { .. } if error.is_retryable() => {
            anyhow::Error::new(error).context("nothing was handed in; try again later")
        }
        _ if error.is_retryable() => {
            anyhow::Error::new(error).context("handing in broke off; see `nightshift batch list` before trying again")
        }
        _ => error.into(),
    })
}

/// The error with what was read in front, as in `people.csv, line 3: …` for what the job server says about a line.
fn name_the_input(error: anyhow::Error, shown: &str, batch: &str) -> anyhow::Error {
    let doing = format!("handing in batch {batch:?}: ");
    let about_a_line = error
        .downcast_ref::<ClientError>()
        .and_then(ClientError::problem)
        .and_then(|problem| problem.detail.strip_prefix(&doing))
        .filter(|found| found.starts_with("line "));
    match about_a_line {
        Some(found) => refusal(exit_of(&error), format!("{shown}, {found}")),
        None => error.context(shown.to_owned()),
    }
}

fn show(args: &Args, around: &Surroundings, batch: &Batch) -> anyhow::Result<()> {
    match args.json {
        true => around.screen.json("batch", batch),
        false => around.screen.data(&format!("{}\n", batch.id)),
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}
