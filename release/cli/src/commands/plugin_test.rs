//! `nightshift plugin test`: a plugin on its own samples, or on any records, as they stand in the work folder.

use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Data, Host, Replica, samples};
use nightshift_wire::{Outcome, RecordResult, Records};

use crate::checks::say_report;
use crate::figures::counted;
use crate::grid_clone::GridClone;
use crate::refusal::{OrRefuse, refusal};
use crate::sample_server::SampleServer;
use crate::surroundings::Surroundings;

/// Try a plugin
///
/// Without RECORDS.csv: runs the plugin over samples/records.csv in its folder and compares the results with
/// samples/expected.csv; exit code 1 when they differ. With RECORDS.csv: runs it over these records on the data tables
/// in data/, or on those of the server that --data names, and prints the results as CSV; exit code 5 when some records
/// have errors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's name
    name: String,
    /// Records to run it over
    #[arg(value_name = "RECORDS.csv")]
    records: Option<PathBuf>,
    /// The server whose tables the records meet, for a plugin with source = "replica": mysql://reader@HOST/SCHEMA
    #[arg(long, value_name = "URL", requires = "records")]
    data: Option<String>,
    /// A file with the password for --data
    #[arg(long, value_name = "FILE", requires = "data")]
    password_file: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let folder = clone.root.join("plugins").join(&args.name);
    if !folder.is_dir() {
        let text = format!("there is no plugin {} in {}", args.name, clone.root.join("plugins").display());
        return Err(refusal(Exit::NotFound, text));
    }
    let Some(file) = &args.records else {
        let spinner = around.screen.spinner(&format!("testing {}", args.name));
        let report = samples::run(&folder, &clone.root, SampleServer::on(&around.host).host_for(&folder)?)
            .or_refuse(Exit::Usage, || format!("testing {}", args.name))?;
        drop(spinner);
        if say_report(&report, around) {
            return Ok(Exit::Done);
        }
        let text = format!(
            "plugin {} fails its own samples; change the query, or samples/expected.csv where the query is right",
            args.name
        );
        return Err(refusal(Exit::Failed, text));
    };
    let host = Host { replica: replica(args, around)?, ..around.host.clone() };
    try_records(&folder, &clone.root, file, &host, around)
}

/// The server that `--data` names.
fn replica(args: &Args, around: &Surroundings) -> anyhow::Result<Option<Replica>> {
    let Some(address) = &args.data else { return Ok(None) };
    let replica = Replica::parse(address).or_refuse(Exit::Usage, || "reading --data".to_owned())?;
    let Some(file) = &args.password_file else { return Ok(Some(replica)) };
    let text = std::fs::read_to_string(around.resolve(file))
        .or_refuse(Exit::Usage, || format!("reading the password in {}", file.display()))?;
    Ok(Some(replica.with_password(text.trim_end_matches(['\r', '\n']))))
}

fn try_records(folder: &Path, tree: &Path, file: &Path, host: &Host, around: &Surroundings) -> anyhow::Result<Exit> {
    let name = file.display().to_string();
    let (manifest, records, results) =
        samples::try_records(folder, tree, &around.resolve(file), &name, Data::Release, host)
            .or_refuse(Exit::Usage, || format!("testing {}", folder.display()))?;
    around.screen.data(&as_csv(&manifest, &records, &results)?)?;
    let errors = results.iter().filter(|result| matches!(result.outcome, Outcome::Error(_))).count();
    let records = counted(results.len() as u64, "record");
    if errors == 0 {
        around.screen.good(format!("plugin {}: {records}, no errors", manifest.name));
        return Ok(Exit::Done);
    }
    around.screen.warn(format!("plugin {}: {records}, {}", manifest.name, counted(errors as u64, "error")));
    Ok(Exit::RecordErrors)
}

/// Input columns, output columns, `error`: the columns in which a batch's results come back.
fn as_csv(manifest: &PluginManifest, records: &Records, results: &[RecordResult]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let outputs: Vec<&str> = manifest.output.keys().map(String::as_str).collect();
    let header = records.columns.iter().map(String::as_str).chain(outputs.iter().copied()).chain(["error"]);
    csv.write_record(header)?;
    for (record, result) in records.records.iter().zip(results) {
        let (values, error) = match &result.outcome {
            Outcome::Ok(values) => (Some(values), ""),
            Outcome::Error(error) => (None, error.as_str()),
        };
        let answer = |name: &&str| samples::text(values.and_then(|values| values.get(*name)));
        let row = record.values.iter().cloned().chain(outputs.iter().map(answer)).chain([error.to_owned()]);
        csv.write_record(row)?;
    }
    String::from_utf8(csv.into_inner().context("writing results as CSV")?).context("writing results as CSV")
}
