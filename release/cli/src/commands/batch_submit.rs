//! `nightshift batch submit`: hands records in, as they stream from a file or standard input, and waits for them when
//! asked to; or only looks, in a dry run.
//!
//! What is a good input is the job server's decision; it keeps all of it or nothing.

mod input;
mod preview;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::TryStreamExt;
use indicatif::ProgressBar;
use nightshift_client::{Client, ClientError, HandedIn};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, ErrorRate, HandIn, InputFormat, JobSize, code};
use tokio_util::io::ReaderStream;

pub(crate) use self::input::Input;
use self::input::{Meant, Opened};
use crate::figures::{count, counted, duration};
use crate::output::Screen;
use crate::refusal::{exit_of, refusal};
use crate::server::{ServerArgs, has_errors};
use crate::surroundings::Surroundings;
use crate::wait;

/// Bytes read from the file at a time.
const PIECE: usize = 64 * 1024;

/// Hand in a batch
///
/// A CSV: the first line names the columns; the plugin's input columns must be among them. Spaces after commas, Windows
/// line ends, a byte-order mark and a missing last newline are fine. Or JSON lines: an object on each line, all with the
/// same keys. Either may be packed with gzip. Or parameters, or the keys of a data table. What cannot be taken is refused
/// whole, with the line. Prints the batch's number.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("records").required(true).args(["file", "param", "params", "table"])))]
pub(crate) struct Args {
    /// The CSV or JSON lines (*.jsonl, *.ndjson); - is standard input
    file: Option<PathBuf>,
    /// A record typed here, as in year=2024,region=north; repeat it for each record
    #[arg(long, value_name = "NAME=VALUE,…")]
    param: Vec<String>,
    /// Records as JSON lines, whatever the file is called
    #[arg(long, value_name = "FILE.jsonl")]
    params: Option<PathBuf>,
    /// A data table that the plugin reads: the records are its keys, the rows stay where they are
    #[arg(long, value_name = "TABLE", requires_all = ["key_column", "from", "to"])]
    table: Option<String>,
    /// The column of the table with the keys, which are whole numbers; it is also the records' only column
    #[arg(long, value_name = "COLUMN", requires = "table")]
    key_column: Option<String>,
    /// The first key
    #[arg(long, value_name = "N", requires = "table", allow_negative_numbers = true)]
    from: Option<i64>,
    /// The last key; it belongs to the batch
    #[arg(long, value_name = "N", requires = "table", allow_negative_numbers = true)]
    to: Option<i64>,
    /// What the input is [default: jsonl for a file named so, else csv]
    #[arg(long, value_name = "csv|jsonl", value_parser = format)]
    format: Option<InputFormat>,
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
    /// Memory a worker must have, as in 512MB [default: what the plugin requires; so for the next three]
    #[arg(long, value_name = "AMOUNT")]
    memory: Option<String>,
    /// Disk space a worker must have free, as in 2GB
    #[arg(long, value_name = "AMOUNT")]
    disk: Option<String>,
    /// A tag a worker must have; several add up
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The oldest release that may process the records
    #[arg(long, value_name = "VERSION")]
    min_release: Option<String>,
    /// The part of its results that may be errors before it is suspended, as in 0.6 or 60% [default: the grid's setting]
    #[arg(long, value_name = "PART")]
    error_rate: Option<ErrorRate>,
    /// Your own key for this batch: handing the same records in again under it makes no second batch
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Store nothing; show columns, jobs, time and everything that is wrong, of all records or the first N. Exit code 2
    /// when something is wrong
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, conflicts_with = "wait")]
    dry_run: Option<Option<u64>>,
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
    let Meant { input, shown, hand_in } = input::meant(args, around)?;
    let name = hand_in.name.clone().unwrap_or_default();
    if hand_in.dry_run {
        let (stream, bar) =
            stream(input, &around.screen, "reading").await.map_err(|error| error.context(shown.clone()))?;
        let seen = client.preview(&hand_in, stream).await;
        bar.finish_and_clear();
        let seen = seen.map_err(|error| name_the_input(error.into(), &shown, &name))?;
        match args.json {
            true => around.screen.json("preview", &seen)?,
            false => around.screen.data(&preview::lines(&seen))?,
        }
        return Ok(if seen.problems.is_empty() { Exit::Done } else { Exit::Usage });
    }
    let sent = send(&client, &hand_in, input, &around.screen).await;
    let mut batch = match sent.map_err(|error| name_the_input(error, &shown, &name))? {
        HandedIn::New(batch) => {
            around.screen.good(format!(
                "batch {}: {} in {} for {}",
                batch.id,
                counted(batch.records, "record"),
                counted(batch.jobs, "job"),
                batch.plugin
            ));
            batch
        }
        HandedIn::Before(batch) => {
            around.screen.good(format!("batch {}: handed in before under this key; nothing was stored now", batch.id));
            batch
        }
    };
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

/// Hands in an input.
pub(crate) async fn send(client: &Client, hand_in: &HandIn, input: Input, screen: &Screen) -> anyhow::Result<HandedIn> {
    let (stream, bar) = stream(input, screen, "handing in").await?;
    let handed_in = client.hand_in_by_key(hand_in, stream).await;
    bar.finish_and_clear();
    handed_in.map_err(|error| what_there_is(error, hand_in.key.is_some()))
}

/// An error of handing in, with what may be there of the batch and what to do next.
fn what_there_is(error: ClientError, has_key: bool) -> anyhow::Error {
    match &error {
        ClientError::Away { .. } => anyhow::Error::new(error)
            .context("nothing was handed in; start the job server or name it with --jobserver, then try again"),
        ClientError::Refused { problem } if error.is_retryable() && problem.code != code::OUTCOME_UNKNOWN => {
            anyhow::Error::new(error).context("nothing was handed in; try again later")
        }
        _ if error.is_retryable() && has_key => anyhow::Error::new(error)
            .context("handing in broke off; try again with the same --key, which makes no second batch"),
        _ if error.is_retryable() => {
            anyhow::Error::new(error).context("handing in broke off; see `nightshift batch list` before trying again")
        }
        _ => error.into(),
    }
}

/// The bytes of an input, and a bar that moves with them.
async fn stream(
    input: Input,
    screen: &Screen,
    label: &str,
) -> anyhow::Result<(impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + use<>, ProgressBar)> {
    let Opened { bytes, length } = input.open().await?;
    let bar = screen.byte_bar(length, label);
    let sent = bar.clone();
    let stream = ReaderStream::with_capacity(bytes, PIECE).inspect_ok(move |piece| sent.inc(piece.len() as u64));
    Ok((stream, bar))
}

fn format(text: &str) -> Result<InputFormat, String> {
    match text {
        "csv" => Ok(InputFormat::Csv),
        "jsonl" => Ok(InputFormat::Jsonl),
        _ => Err("write csv or jsonl".to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use nightshift_wire::Problem;

    use super::*;

    #[test]
    fn nothing_is_said_to_be_handed_in_only_when_that_is_known() {
        let said = |code: &str, has_key| {
            let problem = Problem { code: code.to_owned(), status: 503, detail: "the store".to_owned() };
            what_there_is(ClientError::Refused { problem }, has_key).to_string()
        };
        assert_eq!(said(code::STORE_AWAY, false), "nothing was handed in; try again later");
        assert_eq!(
            said(code::OUTCOME_UNKNOWN, false),
            "handing in broke off; see `nightshift batch list` before trying again"
        );
        assert_eq!(
            said(code::OUTCOME_UNKNOWN, true),
            "handing in broke off; try again with the same --key, which makes no second batch"
        );
    }
}
