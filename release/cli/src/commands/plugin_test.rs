//! `nightshift plugin test`: a plugin on its own samples, or on any records, as they stand in the work folder; and what it
//! costs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::samples::{self, SampleError, SampleReport};
use nightshift_plugin::speed::{self, Speed};
use nightshift_plugin::{Data, Host, Replica};
use nightshift_wire::{Outcome, RecordResult, Records};
use serde_json::{Value, json};

use crate::checks::say_report;
use crate::figures::{amount, count, counted, duration, short};
use crate::grid_clone::GridClone;
use crate::refusal::{OrRefuse, refusal};
use crate::sample_server::SampleServer;
use crate::surroundings::Surroundings;

/// A job of so many records is what the articles begin with.
const JOB: u64 = 1_000;
/// So long it is measured, about.
const MEASURED_FOR: Duration = Duration::from_millis(500);

/// Try a plugin
///
/// Without RECORDS.csv: runs the plugin over samples/records.csv in its folder and compares the results with
/// samples/expected.csv; exit code 1 when they differ. With RECORDS.csv: runs it over these records on the data tables
/// in data/, or on those of the server that --data names, and prints the results as CSV; exit code 5 when some records
/// have errors. Either way it says what a record and a job take on this machine, and how much memory.
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let folder = clone.root.join("plugins").join(&args.name);
    if !folder.is_dir() {
        let text = format!("there is no plugin {} in {}", args.name, clone.root.join("plugins").display());
        return Err(refusal(Exit::NotFound, text));
    }
    match &args.records {
        None => {
            let mut server = SampleServer::on(&around.host);
            try_samples(args, &folder, &clone.root, server.host_for(&folder)?, around)
        }
        Some(file) => {
            let host = Host { replica: replica(args, around)?, ..around.host.clone() };
            try_records(args, (&folder, &clone.root), file, &host, around)
        }
    }
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

fn try_samples(args: &Args, folder: &Path, tree: &Path, host: &Host, around: &Surroundings) -> anyhow::Result<Exit> {
    let what = || format!("testing {}", args.name);
    let spinner = around.screen.spinner(&what());
    let report = samples::run(folder, tree, host).or_refuse(Exit::Usage, what)?;
    // What a plugin costs that is wrong nobody wants to know.
    let speed = match report.is_good() {
        true => {
            let (manifest, records) = samples::sample_records(folder).or_refuse(Exit::Usage, what)?;
            measured(speed::measure((folder, tree), &manifest, &records, (Data::Samples, MEASURED_FOR), host), around)
        }
        false => None,
    };
    drop(spinner);
    if args.json {
        let differences = report.differences.iter().map(|difference| {
            json!({ "line": difference.line, "column": difference.column, "expected": difference.expected,
                    "found": difference.found })
        });
        let test = json!({ "plugin": report.plugin, "records": report.records, "good": report.is_good(),
                           "differences": differences.collect::<Vec<_>>(), "speed": speed.as_ref().map(as_json) });
        around.screen.json("test", &test)?;
    } else {
        say_report(&report, around);
    }
    if !report.is_good() {
        return Err(refusal(Exit::Failed, unlike_samples(&report)));
    }
    if let Some(speed) = speed.filter(|_| !args.json) {
        say_speed(&speed, around);
    }
    Ok(Exit::Done)
}

/// What was measured, if anything could be; if not, why is said, and no more: the results stand.
fn measured(speed: Result<Option<Speed>, SampleError>, around: &Surroundings) -> Option<Speed> {
    match speed {
        Ok(Some(speed)) => return Some(speed),
        Ok(None) => around.screen.say("  what a record takes was not measured: none has a result"),
        Err(error) => {
            let error = anyhow::Error::from(error);
            around.screen.warn(format!("what a record takes was not measured: {error:#}"));
        }
    }
    None
}

fn unlike_samples(report: &SampleReport) -> String {
    format!(
        "plugin {} fails its own samples; change the plugin, or samples/expected.csv where the plugin is right",
        report.plugin
    )
}

fn try_records(
    args: &Args,
    (folder, tree): (&Path, &Path),
    file: &Path,
    host: &Host,
    around: &Surroundings,
) -> anyhow::Result<Exit> {
    let name = file.display().to_string();
    let what = || format!("testing {}", folder.display());
    let spinner = around.screen.spinner(&format!("testing {}", args.name));
    let (manifest, records, results) =
        samples::try_records(folder, tree, &around.resolve(file), &name, Data::Release, host)
            .or_refuse(Exit::Usage, what)?;
    let good = good(&records, &results, &manifest);
    let speed = speed::measure((folder, tree), &manifest, &good, (Data::Release, MEASURED_FOR), host);
    let speed = measured(speed, around);
    drop(spinner);
    let errors = results.iter().filter(|result| matches!(result.outcome, Outcome::Error(_))).count();
    if args.json {
        let test = json!({ "plugin": manifest.name, "records": results.len(), "errors": errors, "results": results,
                           "speed": speed.as_ref().map(as_json) });
        around.screen.json("test", &test)?;
    } else {
        around.screen.data(&as_csv(&manifest, &records, &results)?)?;
    }
    let records = counted(results.len() as u64, "record");
    match errors {
        0 => around.screen.good(format!("plugin {}: {records}, no errors", manifest.name)),
        errors => {
            around.screen.warn(format!("plugin {}: {records}, {}", manifest.name, counted(errors as u64, "error")));
        }
    }
    if let Some(speed) = speed {
        say_speed(&speed, around);
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::RecordErrors })
}

/// As many records as measuring needs: a block of them, without those that have errors, which may have taken all the time
/// that there is.
fn good(records: &Records, results: &[RecordResult], manifest: &PluginManifest) -> Records {
    let both = records.records.iter().zip(results);
    let good = both.filter(|(_, result)| matches!(result.outcome, Outcome::Ok(_))).map(|(record, _)| record.clone());
    Records { columns: records.columns.clone(), records: good.take(manifest.block as usize).collect() }
}

/// What the plugin costs on this machine, and what that means for jobs.
fn say_speed(speed: &Speed, around: &Surroundings) {
    let each = speed.worked / u32::try_from(speed.records).unwrap_or(u32::MAX).max(1);
    around.screen.say(format!(
        "  {} a record, opened in {}, {} of memory",
        short(each),
        duration(speed.opened),
        amount(speed.memory)
    ));
    around.screen.say(format!(
        "  a job of {} records takes {} on a machine like this one, measured on {}",
        count(JOB),
        short(speed.of_job(JOB)),
        counted(speed.records, "record")
    ));
}

fn as_json(speed: &Speed) -> Value {
    json!({
        "opened_ms": speed.opened.as_secs_f64() * 1e3,
        "records": speed.records,
        "record_us": speed.worked.as_secs_f64() * 1e6 / speed.records.max(1) as f64,
        "memory_bytes": speed.memory,
        "job_records": JOB,
        "job_ms": speed.of_job(JOB).as_secs_f64() * 1e3,
    })
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
