//! FEBRL's dataset 4, which is never part of the checkout: where to find it, and what to take when it is absent.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::{COLUMNS, Fields, Person, Record, people, records};

const PEOPLE: &str = "dataset4a.csv";
const RECORDS: &str = "dataset4b.csv";

/// The folder of the data set: `NIGHTSHIFT_FEBRL`, or `../shared/data/febrl` beside the checkout.
pub fn febrl_folder() -> Option<PathBuf> {
    let named = std::env::var_os("NIGHTSHIFT_FEBRL").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/febrl");
    Some(named.unwrap_or_else(beside)).filter(|folder| folder.join(PEOPLE).is_file() && folder.join(RECORDS).is_file())
}

/// Reads the data set. Record `rec-561-dup-0` is about person `rec-561-org`.
pub fn febrl(folder: &Path) -> anyhow::Result<(Vec<Person>, Vec<Record>)> {
    let people = read(&folder.join(PEOPLE))?.into_iter().map(|(id, fields)| Person { id, fields }).collect();
    let records = read(&folder.join(RECORDS))?
        .into_iter()
        .map(|(id, fields)| {
            let number = id.split('-').nth(1).with_context(|| format!("record {id} has no number"))?;
            Ok(Record { truth: Some(format!("rec-{number}-org")), id, fields })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok((people, records))
}

/// Generated records of which 5,000 are about somebody: one in twenty is not.
const ENOUGH: usize = 5_500;

/// The data set, or, when it is absent, as many generated people and records, which it says on stderr. As in the data
/// set, every record is about somebody.
pub fn febrl_or_generated() -> anyhow::Result<(Vec<Person>, Vec<Record>)> {
    if let Some(folder) = febrl_folder() {
        return febrl(&folder);
    }
    writeln!(
        std::io::stderr(),
        "FEBRL data is not at hand (set NIGHTSHIFT_FEBRL to its folder): generated people take its place"
    )?;
    let people = people(5_000, 4);
    let about_somebody = records(&people, ENOUGH, 4).into_iter().filter(|record| record.truth.is_some());
    Ok((people, about_somebody.take(5_000).collect()))
}

fn read(path: &Path) -> anyhow::Result<Vec<(String, Fields)>> {
    let doing = || format!("reading {}", path.display());
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).with_context(doing)?;
    let header = csv.headers().with_context(doing)?;
    ensure!(header.iter().skip(1).eq(COLUMNS), "{}: the columns are not those of FEBRL's dataset 4", path.display());
    csv.records()
        .map(|row| {
            let row = row.with_context(doing)?;
            let mut values = row.iter().map(str::to_owned);
            let id = values.next().unwrap_or_default();
            Ok((id, Fields(std::array::from_fn(|_| values.next().unwrap_or_default()))))
        })
        .collect()
}
