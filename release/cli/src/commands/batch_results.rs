//! `nightshift batch results`: fetches a batch's results, counts them, and puts them in place whole or not at all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind::BrokenPipe, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_client::Client;
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, BatchId, Only, ResultsFormat, ResultsQuery};

use crate::figures::{count, counted, share};
use crate::refusal::refusal;
use crate::server::{ServerArgs, has_errors, is_over, number};
use crate::surroundings::Surroundings;

/// Fetch a batch's results as CSV or JSON lines
///
/// The columns handed in, the plugin's columns and `error`, in the order of the records handed in. The file appears
/// when it is whole and its records are counted. Exit code 5 when some records have an error instead of a value, 75
/// when the batch is not finished.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Where to write them; an existing file is replaced [default: standard output]
    #[arg(short, long, value_name = "OUT.csv")]
    output: Option<PathBuf>,
    /// How to write them [default: jsonl for a file named so, else csv]
    #[arg(long, value_name = "csv|jsonl", value_parser = format)]
    format: Option<ResultsFormat>,
    /// Only some of the records: those with an error, or those without a result
    #[arg(long, value_name = "errors|unprocessed", value_parser = only)]
    only: Option<Only>,
    /// Take what is there, though the batch is not finished
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let batch = client.batch(args.batch).await?;
    if !is_over(&batch) && !args.partial {
        let text = format!(
            "batch {} is not finished: {} of {} have a result ({}); try again later, or take what is there with --partial",
            batch.id,
            count(batch.results),
            counted(batch.records, "record"),
            share(batch.results, batch.records)
        );
        return Err(refusal(Exit::TryLater, text));
    }
    match &args.output {
        None => print(&client, batch.id, args.query()).await?,
        Some(output) => {
            let query = args.query();
            let records = save_as(&client, &batch, &around.resolve(output), query).await?;
            let which = match query.only {
                Only::All => "as handed in",
                Only::Errors => "those with an error",
                Only::Unprocessed => "those without a result",
            };
            around.screen.good(format!("{}: {}, {which}", output.display(), counted(records, "record")));
        }
    }
    Ok(if has_errors(&batch) { Exit::RecordErrors } else { Exit::Done })
}

impl Args {
    fn query(&self) -> ResultsQuery {
        let format = self.format.unwrap_or_else(|| format_of(self.output.as_deref()));
        ResultsQuery { format, only: self.only.unwrap_or_default() }
    }
}

/// JSON lines for a file that is named so.
pub(crate) fn format_of(output: Option<&Path>) -> ResultsFormat {
    let extension = output.and_then(Path::extension).map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("jsonl" | "ndjson") => ResultsFormat::Jsonl,
        _ => ResultsFormat::Csv,
    }
}

pub(crate) fn format(text: &str) -> Result<ResultsFormat, String> {
    match text {
        "csv" => Ok(ResultsFormat::Csv),
        "jsonl" => Ok(ResultsFormat::Jsonl),
        _ => Err("write csv or jsonl".to_owned()),
    }
}

fn only(text: &str) -> Result<Only, String> {
    match text {
        "all" => Ok(Only::All),
        "errors" => Ok(Only::Errors),
        "unprocessed" => Ok(Only::Unprocessed),
        _ => Err("write errors, unprocessed or all".to_owned()),
    }
}

/// How many records there must be, where that is known.
fn expected(batch: &Batch, only: Only) -> Option<u64> {
    match only {
        Only::All => Some(batch.records),
        Only::Errors => is_over(batch).then_some(batch.errors),
        Only::Unprocessed => is_over(batch).then(|| batch.records - batch.results),
    }
}

/// Fetches a batch's CSV into `output`; see [`save_as`].
pub(crate) async fn save(client: &Client, batch: &Batch, output: &Path) -> anyhow::Result<u64> {
    save_as(client, batch, output, ResultsQuery::default()).await
}

/// Fetches results into `output`. The file stands there only when they are whole, one record for each one handed in where
/// all are asked for; their number is returned.
pub(crate) async fn save_as(client: &Client, batch: &Batch, output: &Path, query: ResultsQuery) -> anyhow::Result<u64> {
    let what = || format!("writing {}", output.display());
    let folder = output.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".nightshift-")
        .tempfile_in(folder)
        // The error's own text names a file that only this program knows.
        .map_err(|error| io::Error::from(error.kind()))
        .with_context(|| format!("{}: is {} a folder you can write to?", what(), folder.display()))?;
    fetch(client, batch.id, query, file.as_file_mut()).await?;
    file.as_file().sync_all().with_context(what)?;
    let records = count_records(file.path(), query.format)
        .with_context(|| format!("counting the results of batch {}", batch.id))?;
    let expected = expected(batch, query.only).unwrap_or(records);
    anyhow::ensure!(
        records == expected,
        "batch {} came back with {}, but {} were expected; nothing is written to {}: look at the job server's log",
        batch.id,
        counted(records, "record"),
        count(expected),
        output.display()
    );
    make_readable(file.path()).with_context(what)?;
    file.persist(output).with_context(what)?;
    Ok(records)
}

/// Fetches results to standard output. A reader that has seen enough (`| head`) ends it.
pub(crate) async fn print(client: &Client, batch: BatchId, query: ResultsQuery) -> anyhow::Result<()> {
    match fetch(client, batch, query, &mut io::stdout().lock()).await {
        Err(error) if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == BrokenPipe) => Ok(()),
        done => done,
    }
}

async fn fetch(client: &Client, batch: BatchId, query: ResultsQuery, to: &mut impl Write) -> anyhow::Result<()> {
    let mut download = client.results_as(batch, query).await?;
    while let Some(piece) = download.chunk().await? {
        to.write_all(&piece).context("writing the results")?;
    }
    to.flush().context("writing the results")
}

fn count_records(path: &Path, format: ResultsFormat) -> anyhow::Result<u64> {
    if format == ResultsFormat::Jsonl {
        return count_lines(path).map_err(Into::into);
    }
    let mut reader = csv::ReaderBuilder::new().from_path(path)?;
    let (mut record, mut records) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        records += 1;
    }
    Ok(records)
}

fn count_lines(path: &Path) -> io::Result<u64> {
    let (mut reader, mut lines) = (BufReader::new(File::open(path)?), 0);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines);
        }
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = piece.len();
        reader.consume(length);
    }
}

/// A temporary file is its owner's alone; a result is an ordinary file.
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}
