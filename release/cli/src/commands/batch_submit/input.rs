//! What is handed in: a file, standard input, parameters typed on the command line, or a range of keys, of which nothing
//! travels.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_wire::{HandIn, InputFormat};
use serde_json::{Map, Value};
use tokio::fs::File;
use tokio::io::AsyncRead;

use super::Args;
use crate::refusal::{OrRefuse, refusal};
use crate::surroundings::Surroundings;

/// Where the records come from.
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// A text made here.
    Text(String),
}

/// The bytes of an input, and how many they are when that is known.
pub(super) struct Opened {
    pub(super) bytes: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) length: Option<u64>,
}

impl Input {
    pub(super) async fn open(self) -> anyhow::Result<Opened> {
        let file = match self {
            Input::Text(text) => {
                let length = Some(text.len() as u64);
                return Ok(Opened { bytes: Box::new(Cursor::new(text.into_bytes())), length });
            }
            Input::File(path) => File::open(path).await.or_refuse(Exit::NotFound, || "opening it".to_owned())?,
            Input::Stdin => File::from_std(std::io::stdin().as_fd().try_clone_to_owned().context("opening it")?.into()),
        };
        let about = file.metadata().await.context("reading it")?;
        Ok(Opened { bytes: Box::new(file), length: about.is_file().then_some(about.len()) })
    }
}

/// What the command line says is to be handed in.
pub(super) struct Meant {
    pub(super) input: Input,
    /// What errors call it.
    pub(super) shown: String,
    pub(super) hand_in: HandIn,
}

/// Reads the command line's part about the input.
pub(super) fn meant(args: &Args, around: &Surroundings) -> anyhow::Result<Meant> {
    let (input, shown, own_name, format) = match (&args.file, &args.params, &args.table) {
        (Some(file), ..) if file.as_os_str() == "-" => {
            (Input::Stdin, "standard input".to_owned(), "stdin".to_owned(), args.format)
        }
        (Some(file), ..) => {
            let format = args.format.or_else(|| format_of(file));
            (Input::File(around.resolve(file)), file.display().to_string(), stem(file), format)
        }
        (None, Some(file), _) => {
            (Input::File(around.resolve(file)), file.display().to_string(), stem(file), Some(InputFormat::Jsonl))
        }
        (None, None, Some(table)) => {
            let shown = format!("table {table}");
            let name = format!("{table} {}-{}", args.from.unwrap_or_default(), args.to.unwrap_or_default());
            (Input::Text(String::new()), shown, name, None)
        }
        (None, None, None) => {
            let lines = parameters(&args.param).map_err(|text| refusal(Exit::Usage, text))?;
            (Input::Text(lines), "the parameters".to_owned(), "parameters".to_owned(), Some(InputFormat::Jsonl))
        }
    };
    let hand_in = HandIn {
        plugin: args.plugin.clone(),
        name: Some(args.name.clone().unwrap_or(own_name)),
        priority: Some(args.priority),
        job_size: args.job_size,
        key: args.key.clone(),
        format,
        table: args.table.clone(),
        key_column: args.key_column.clone(),
        from: args.from,
        to: args.to,
        memory: args.memory.clone(),
        disk: args.disk.clone(),
        tags: args.tag.clone(),
        min_release: args.min_release.clone(),
        error_rate: args.error_rate,
        dry_run: args.dry_run.is_some(),
        first: args.dry_run.flatten(),
    };
    Ok(Meant { input, shown, hand_in })
}

/// What a file holds by its name: `people.jsonl`, `people.ndjson.gz`.
fn format_of(file: &Path) -> Option<InputFormat> {
    let name = file.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    (name.ends_with(".jsonl") || name.ends_with(".ndjson")).then_some(InputFormat::Jsonl)
}

/// A file's name without what its end says about it.
fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let inner = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = Path::new(inner).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// `a=1,b=2` for each record as JSON lines; every value is text.
fn parameters(records: &[String]) -> Result<String, String> {
    let mut lines = String::new();
    let mut keys: Option<BTreeSet<String>> = None;
    for record in records {
        let mut fields = Map::new();
        for part in record.split(',') {
            let Some((name, value)) = part.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
                return Err(format!(
                    "--param {record:?}: write NAME=VALUE with commas between, as in year=2024,region=north; values with \
                     a comma in them need --params FILE.jsonl"
                ));
            };
            if fields.insert(name.trim().to_owned(), Value::from(value)).is_some() {
                return Err(format!("--param {record:?}: {} is there twice; write it once", name.trim()));
            }
        }
        let found: BTreeSet<String> = fields.keys().cloned().collect();
        let first = keys.get_or_insert_with(|| found.clone());
        if *first != found {
            let names = first.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("--param {record:?}: write the same names every time; those of the first are {names}"));
        }
        lines.push_str(&format!("{}\n", Value::from(fields)));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_record_each() {
        let records = ["year=2024,region=north".to_owned(), "region=a=b,year=".to_owned()];
        let lines = "{\"region\":\"north\",\"year\":\"2024\"}\n{\"region\":\"a=b\",\"year\":\"\"}\n";
        assert_eq!(parameters(&records), Ok(lines.to_owned()));
    }

    #[test]
    fn parameters_that_make_no_record_are_refused_with_an_example() {
        for (records, said) in [
            (&["year"][..], "--param \"year\": write NAME=VALUE with commas between"),
            (&["=1"], "write NAME=VALUE"),
            (&["a=1,a=2"], "--param \"a=1,a=2\": a is there twice"),
            (&["a=1,b=2", "a=1"], "--param \"a=1\": write the same names every time; those of the first are a, b"),
        ] {
            let records: Vec<String> = records.iter().map(|record| (*record).to_owned()).collect();
            let error = parameters(&records).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        let known = |name: &str| (format_of(Path::new(name)), stem(Path::new(name)));
        assert_eq!(known("in/people.csv"), (None, "people".to_owned()));
        assert_eq!(known("people.csv.gz"), (None, "people".to_owned()));
        assert_eq!(
            known("people.JSONL.gz"),
            (Some(InputFormat::Jsonl), "people.JSONL".trim_end_matches(".JSONL").to_owned())
        );
        assert_eq!(known("people.ndjson"), (Some(InputFormat::Jsonl), "people".to_owned()));
        assert_eq!(known(".csv"), (None, ".csv".to_owned()));
    }
}
