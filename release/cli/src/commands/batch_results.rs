//! `nightshift batch results`: fetches a batch's CSV, counts it, and puts it in place whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_client::Client;
use nightshift_contract::exit::Exit;
use nightshift_wire::{Batch, BatchId};

use crate::figures::{count, counted, share};
use crate::refusal::refusal;
use crate::server::{ServerArgs, has_errors, is_over};
use crate::surroundings::Surroundings;

/// Fetch a batch's results as CSV
///
/// The columns handed in, the plugin's columns and `error`, in the order of the records handed in. The file appears
/// when it is whole and its records are counted. Exit code 5 when some records have an error instead of a value, 75
/// when the batch is not finished.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID")]
    batch: BatchId,
    /// Where to write the CSV; an existing file is replaced [default: standard output]
    #[arg(short, long, value_name = "OUT.csv")]
    output: Option<PathBuf>,
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
        None => fetch(&client, batch.id, &mut io::stdout().lock()).await?,
        Some(output) => {
            let counted_records = save(&client, &batch, &around.resolve(output)).await?;
            around.screen.good(format!("{}: {}, as handed in", output.display(), counted(counted_records, "record")));
        }
    }
    Ok(if has_errors(&batch) { Exit::RecordErrors } else { Exit::Done })
}

/// Fetches a batch's CSV into `output`. The file stands there only when it has one record for each one handed in; their
/// number is returned.
pub(crate) async fn save(client: &Client, batch: &Batch, output: &Path) -> anyhow::Result<u64> {
    let what = || format!("writing {}", output.display());
    let folder = output.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".nightshift-")
        .tempfile_in(folder)
        // The error's own text names a file that only this program knows.
        .map_err(|error| io::Error::from(error.kind()))
        .with_context(|| format!("{}: is {} a folder you can write to?", what(), folder.display()))?;
    fetch(client, batch.id, file.as_file_mut()).await?;
    file.as_file().sync_all().with_context(what)?;
    let records = count_records(file.path()).with_context(|| format!("counting the results of batch {}", batch.id))?;
    anyhow::ensure!(
        records == batch.records,
        "batch {} came back with {}, but {} were handed in; nothing is written to {}: look at the job server's log",
        batch.id,
        counted(records, "record"),
        count(batch.records),
        output.display()
    );
    make_readable(file.path()).with_context(what)?;
    file.persist(output).with_context(what)?;
    Ok(records)
}

async fn fetch(client: &Client, batch: BatchId, to: &mut impl Write) -> anyhow::Result<()> {
    let mut download = client.results(batch).await?;
    while let Some(piece) = download.chunk().await? {
        to.write_all(&piece).context("writing the results")?;
    }
    to.flush().context("writing the results")
}

fn count_records(path: &Path) -> anyhow::Result<u64> {
    let mut reader = csv::ReaderBuilder::new().from_path(path)?;
    let (mut record, mut records) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        records += 1;
    }
    Ok(records)
}

/// A temporary file is its owner's alone; a result is an ordinary file.
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}
