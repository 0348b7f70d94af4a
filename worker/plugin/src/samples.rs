//! Runs a plugin over its own sample records and compares what comes out with what its author expects.
//!
//! In the plugin's folder: `samples/records.csv` (the input columns at least), `samples/expected.csv` (the output columns
//! and perhaps `error`, line by line for the same records) and, where a sample needs its own data, `samples/TABLE.csv`.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use nightshift_manifest::csv::Row;
use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{ColumnType, DataSource, PLUGIN_FILE, PluginManifest, Runtime};
use nightshift_wire::{Outcome, Record, RecordResult, Records};
use serde_json::Value;

use crate::csv_file::CsvFile;
use crate::{BlockError, Data, Host, OpenError, has_twin, open_in};

const RECORDS: &str = "samples/records.csv";
const EXPECTED: &str = "samples/expected.csv";

/// What came of a plugin's samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleReport {
    /// The plugin.
    pub plugin: String,
    /// How many sample records there are.
    pub records: usize,
    /// Where the results are not what the author expects, in order.
    pub differences: Vec<Difference>,
}

impl SampleReport {
    /// Whether every result is as expected.
    pub fn is_good(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A result that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The plugin.
    pub plugin: String,
    /// Line of `samples/expected.csv`.
    pub line: u64,
    /// The output column, or `error`.
    pub column: String,
    /// What the author expects; empty is null.
    pub expected: String,
    /// What the plugin returned; empty is null.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { plugin, line, column, expected, found } = self;
        write!(f, "plugins/{plugin}/{EXPECTED}, line {line}: ")?;
        match (column.as_str(), expected.as_str(), found.as_str()) {
            ("error", "", error) => write!(f, "the record should have a result, and failed: {error}"),
            ("error", error, "") => write!(f, "the record should fail with {error:?}, and has a result"),
            _ => write!(f, "{column} should be {expected:?} and is {found:?}"),
        }
    }
}

/// Why samples could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// One of the plugin's files says something that cannot be taken, or is missing.
    #[error(transparent)]
    File(#[from] FileError),
    /// The plugin cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The plugin fails on its own samples.
    #[error("running the samples of plugin {plugin}")]
    Block {
        /// The plugin.
        plugin: String,
        /// Why it fails.
        #[source]
        source: BlockError,
    },
}

impl SampleError {
    /// Whether the samples were not run for want of a server: they show nothing then, good or bad.
    pub fn is_for_want_of_a_server(&self) -> bool {
        matches!(self, SampleError::Open(OpenError::NoPrivateServer { .. }))
    }

    /// Whether this machine may not run the plugin at all, whatever it does.
    pub fn is_for_want_of_a_sandbox(&self) -> bool {
        matches!(self, SampleError::Open(OpenError::NotAllowed { .. }))
    }
}

/// Whether the samples of the plugin in `folder` need a server of their own ([`Host::private_server`]).
///
/// # Errors
/// When its manifest cannot be read.
pub fn need_server(folder: &Path) -> Result<bool, SampleError> {
    let manifest = manifest(folder)?;
    let on_sqlite = manifest.runtime == Runtime::Sql && has_twin(folder);
    Ok(manifest.source == DataSource::Replica && !on_sqlite)
}

/// Runs the samples of the plugin in `folder` on its sample tables; tables it has no sample of come from `tree`.
///
/// # Errors
/// When there are no samples, or they cannot be run. Results that differ are no error: see [`SampleReport`].
pub fn run(folder: &Path, tree: &Path, host: &Host) -> Result<SampleReport, SampleError> {
    let (manifest, records) = sample_records(folder)?;
    let name_of = |file: &str| format!("plugins/{}/{file}", manifest.name);
    let expected = Expected::read(&folder.join(EXPECTED), &name_of(EXPECTED), &manifest)?;
    if expected.rows.len() != records.records.len() {
        let (lines, records) = (expected.rows.len(), records.records.len());
        let problem = format!("{lines} expected results for {records} records in records.csv: write one line for each");
        return Err(FileError::whole(&name_of(EXPECTED), problem).into());
    }
    let results = process((folder, tree), &manifest, &records, Data::Samples, host)?;
    let differences = expected.rows.iter().zip(&results).flat_map(|(row, result)| expected.compare(row, result));
    Ok(SampleReport { plugin: manifest.name.clone(), records: results.len(), differences: differences.collect() })
}

/// The manifest and the sample records of the plugin in `folder`.
///
/// # Errors
/// When a file is missing or says something that cannot be taken.
pub fn sample_records(folder: &Path) -> Result<(PluginManifest, Records), SampleError> {
    let manifest = manifest(folder)?;
    let name = format!("plugins/{}/{RECORDS}", manifest.name);
    let records = records(&folder.join(RECORDS), &name, &manifest)?;
    Ok((manifest, records))
}

/// Runs the plugin in `folder` over the records of any CSV file, here called `name`: the records as the plugin saw them
/// (numbered from 1), and one result for each.
///
/// # Errors
/// As [`run`].
pub fn try_records(
    folder: &Path,
    tree: &Path,
    csv: &Path,
    name: &str,
    data: Data,
    host: &Host,
) -> Result<(PluginManifest, Records, Vec<RecordResult>), SampleError> {
    let manifest = manifest(folder)?;
    let records = records(csv, name, &manifest)?;
    let results = process((folder, tree), &manifest, &records, data, host)?;
    Ok((manifest, records, results))
}

fn manifest(folder: &Path) -> Result<PluginManifest, SampleError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let file = PluginManifest::path_of(&name);
    let text = std::fs::read_to_string(folder.join(PLUGIN_FILE)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let problem =
                format!("the file is missing: write what the plugin is, or begin with `nightshift plugin new {name}`");
            FileError::whole(&file, problem).into()
        }
        ErrorKind::InvalidData => FileError::whole(&file, "it is not UTF-8: save it as UTF-8").into(),
        _ => OpenError::Read { file, source: error },
    })?;
    Ok(PluginManifest::parse(&name, &text)?)
}

fn process(
    (folder, tree): (&Path, &Path),
    manifest: &PluginManifest,
    records: &Records,
    data: Data,
    host: &Host,
) -> Result<Vec<RecordResult>, SampleError> {
    let mut plugin = open_in(folder, tree, manifest, data, host)?;
    let mut results = Vec::with_capacity(records.records.len());
    for block in records.records.chunks(manifest.block as usize) {
        let block = Records { columns: records.columns.clone(), records: block.to_vec() };
        let done = plugin.process(&block);
        results.extend(done.map_err(|source| SampleError::Block { plugin: manifest.name.clone(), source })?);
    }
    Ok(results)
}

/// The input columns of the records in a CSV file; other columns are left out, as the job server does.
fn records(path: &Path, name: &str, manifest: &PluginManifest) -> Result<Records, FileError> {
    let mut csv = CsvFile::open(path, name)?;
    let columns: Vec<String> = manifest.input.keys().cloned().collect();
    let places: Vec<usize> = columns.iter().map(|column| place(&csv, name, column)).collect::<Result<_, _>>()?;
    let mut records = Vec::new();
    while let Some(row) = csv.next()? {
        let id = records.len() as i64 + 1;
        records.push(Record { id, values: places.iter().map(|place| row.fields[*place].clone()).collect() });
    }
    match records.is_empty() {
        true => Err(FileError::whole(name, "there is no record: write at least one")),
        false => Ok(Records { columns, records }),
    }
}

fn place(csv: &CsvFile, name: &str, column: &str) -> Result<usize, FileError> {
    csv.columns.iter().position(|other| other == column).ok_or_else(|| FileError {
        line: Some(1),
        ..FileError::whole(name, format!("there is no column {column}: add it"))
    })
}

/// The author's expectations.
struct Expected {
    plugin: String,
    /// Output column, its place in the file, its type.
    outputs: Vec<(String, usize, ColumnType)>,
    error: Option<usize>,
    rows: Vec<Row>,
}

impl Expected {
    fn read(path: &Path, name: &str, manifest: &PluginManifest) -> Result<Self, FileError> {
        let mut csv = CsvFile::open(path, name)?;
        let outputs = manifest
            .output
            .iter()
            .map(|(column, column_type)| Ok((column.clone(), place(&csv, name, column)?, *column_type)))
            .collect::<Result<_, FileError>>()?;
        let error = csv.columns.iter().position(|column| column == "error");
        let mut rows = Vec::new();
        while let Some(row) = csv.next()? {
            rows.push(row);
        }
        Ok(Self { plugin: manifest.name.clone(), outputs, error, rows })
    }

    fn compare(&self, Row { line, fields }: &Row, result: &RecordResult) -> Vec<Difference> {
        let difference = |column: &str, expected: &str, found: String| Difference {
            plugin: self.plugin.clone(),
            line: *line,
            column: column.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        let error = self.error.map_or("", |place| &fields[place]);
        let values = match &result.outcome {
            Outcome::Error(found) if found == error => return Vec::new(),
            Outcome::Error(found) => return vec![difference("error", error, found.clone())],
            Outcome::Ok(_) if !error.is_empty() => return vec![difference("error", error, String::new())],
            Outcome::Ok(values) => values,
        };
        let differs = |(column, place, column_type): &(String, usize, ColumnType)| {
            let found = text(values.get(column));
            let expected = &fields[*place];
            (!is_same(expected, &found, *column_type)).then(|| difference(column, expected, found))
        };
        self.outputs.iter().filter_map(differs).collect()
    }
}

/// A value as a result CSV shows it.
pub fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Numbers are the same when their values are, however they are written.
fn is_same(expected: &str, found: &str, column_type: ColumnType) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    match (column_type, expected.parse::<f64>(), found.parse::<f64>()) {
        (ColumnType::Real, Ok(expected), Ok(found)) => close(expected, found),
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value_and_texts_by_letter() {
        assert!(is_same("1.50", "1.5", ColumnType::Real) && is_same("0.30000000000000004", "0.3", ColumnType::Real));
        assert!(!is_same("1.50", "1.5", ColumnType::Text) && !is_same("", "0", ColumnType::Real));
        assert!(
            is_same("", &text(None), ColumnType::Integer) && is_same("7", &text(Some(&7.into())), ColumnType::Integer)
        );
    }
}
