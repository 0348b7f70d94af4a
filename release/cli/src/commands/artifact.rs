//! `nightshift artifact …`: files that the job server keeps for the grid, by the SHA-256 of their bytes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use futures_util::TryStreamExt;
use jiff::tz::TimeZone;
use nightshift_client::Client;
use nightshift_contract::exit::Exit;
use nightshift_engine::binaries::digest_of;
use nightshift_wire::Artifact;
use serde::Serialize;
use tokio_util::io::ReaderStream;

use crate::figures::{amount, moment};
use crate::list::{self, ListArgs};
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;

/// Bytes of a file that are sent at once.
const PIECE: usize = 256 * 1024;

/// `nightshift artifact …`
#[derive(Debug, Subcommand)]
pub(crate) enum Artifacts {
    /// List the files that the job server keeps for the grid
    List(ListArgs),
    Put(PutArgs),
    Get(GetArgs),
    Delete(DeleteArgs),
}

/// Put a file where workers fetch it, and print its name, the SHA-256 of its bytes
///
/// `nightshift release cut` does this by itself for the programs of a release.
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Fetch a file by its name, and check that it is the one
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The SHA-256 of its bytes, which is its name
    #[arg(value_name = "SHA256")]
    sha256: String,
    /// Where it shall stand; it appears whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Delete a file; workers that need it for a release cannot fetch it any more
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The SHA-256 of its bytes, which is its name
    #[arg(value_name = "SHA256")]
    sha256: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A file that was fetched, for scripts.
#[derive(Debug, Serialize)]
struct Fetched<'f> {
    sha256: &'f str,
    bytes: u64,
    /// Where it stands.
    file: &'f Path,
}

/// Runs the command.
pub(crate) async fn run(artifacts: &Artifacts, around: &Surroundings) -> anyhow::Result<Exit> {
    match artifacts {
        Artifacts::List(args) => {
            let artifacts = args.server.client(around)?.artifacts().await?;
            let none = "there is none: `nightshift artifact put FILE`, or `nightshift release cut --core FILE`, puts one there";
            let table = |artifacts: &[Artifact]| table(artifacts, &TimeZone::system());
            list::show("artifacts", &artifacts, none, table, args.json, around)
        }
        Artifacts::Put(args) => put(args, around).await,
        Artifacts::Get(args) => {
            let output = around.resolve(&args.output);
            let bytes = fetch(&args.server.client(around)?, &args.sha256, &output).await?;
            match args.json {
                true => around.screen.json("artifact", &Fetched { sha256: &args.sha256, bytes, file: &output })?,
                false => around.screen.good(format!("{}: {}", args.output.display(), amount(bytes))),
            }
            Ok(Exit::Done)
        }
        Artifacts::Delete(args) => {
            args.server.client(around)?.delete_artifact(&args.sha256).await?;
            list::gone("deleted", &args.sha256, &format!("the artifact {} is deleted", args.sha256), args.json, around)
        }
    }
}

async fn put(args: &PutArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let file = around.resolve(&args.file);
    let doing = || format!("reading {}", file.display());
    let sha256 = digest_of(&file).with_context(doing)?;
    let opened = tokio::fs::File::open(&file).await.with_context(doing)?;
    let size = opened.metadata().await.with_context(doing)?.len();
    let bar = around.screen.byte_bar(Some(size), "uploading");
    let sent = bar.clone();
    let bytes = ReaderStream::with_capacity(opened, PIECE).inspect_ok(move |piece| sent.inc(piece.len() as u64));
    let put = args.server.client(around)?.put_artifact(sha256.as_str(), size, bytes).await;
    bar.finish_and_clear();
    let put = put?;
    match args.json {
        true => around.screen.json("artifact", &put)?,
        false => around.screen.data(&format!("{}\n", put.sha256))?,
    }
    around.screen.good(format!(
        "{}: {} put into the job server's artifact store",
        args.file.display(),
        amount(put.bytes)
    ));
    Ok(Exit::Done)
}

/// Fetches an artifact into `output`, which stands there only when its bytes are those of its name; how many there are.
async fn fetch(client: &Client, sha256: &str, output: &Path) -> anyhow::Result<u64> {
    let what = || format!("writing {}", output.display());
    let folder = output.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".nightshift-")
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))
        .with_context(|| format!("{}: is {} a folder you can write to?", what(), folder.display()))?;
    let mut part = client.artifact(sha256, 0).await?;
    let mut bytes = 0;
    while let Some(piece) = part.bytes.chunk().await? {
        bytes += piece.len() as u64;
        file.write_all(&piece).with_context(what)?;
    }
    file.as_file().sync_all().with_context(what)?;
    let found = digest_of(file.path()).with_context(what)?;
    anyhow::ensure!(
        found.as_str() == sha256,
        "the job server sent bytes whose SHA-256 is {}, and not {sha256}; nothing is written to {}",
        found.as_str(),
        output.display()
    );
    file.persist(output).with_context(what)?;
    Ok(bytes)
}

fn table(artifacts: &[Artifact], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["SHA256", ">SIZE", "PUT"]);
    for artifact in artifacts {
        table.row(vec![artifact.sha256.clone(), amount(artifact.bytes), moment(artifact.created_at, zone)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_listed_with_their_sizes() {
        let artifact = |digit: &str, bytes| Artifact { sha256: digit.repeat(64), bytes, created_at: 60_000 };
        insta::assert_snapshot!(table(&[artifact("a", 12_000_000), artifact("b", 900)], &TimeZone::UTC));
    }
}
