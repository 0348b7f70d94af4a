//! `batch_1m_ratio`, `batch_1m_s_sqlite` and `batch_1m_rss_mb*`: a million records of 100 bytes from CSV to CSV.
//!
//! Handed in, done by four simulated workers that send back what they get, fetched. Beside it the same without a grid:
//! on MariaDB, the records and the results loaded and both selected, by the same server in the same run; on SQLite, the
//! CSV copied as a file, records and results inserted in bulk, both read and written out.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::load::echo;
use super::raw::{self, syncs_per_s};
use super::{Bench, On};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, load_average};

pub(in crate::bench) const GROUPS: [Group; 2] = [
    Group { names: &["batch_1m_ratio", "batch_1m_rss_mb"], run: mariadb },
    Group { names: &["batch_1m_s_sqlite", "batch_1m_rss_mb_sqlite"], run: sqlite },
];

const RECORDS: u32 = 1_000_000;
const JOB_SIZE: u32 = 1_000;
const WORKERS: usize = 4;

fn mariadb() -> Result<Vec<Line>> {
    let bench = Bench::set(On::MariaDb)?;
    let csv = csv();
    let (whole, note) = through_the_grid(&bench, &csv)?;
    let url = bench.database.as_ref().map(super::Database::url).transpose()?.unwrap_or_default();
    let raw = bench.runtime.block_on(raw::load_data_s(&url, bench.scene.folder(), &csv))?;
    let note = format!("{note}; {:.1} s beside {raw:.1} s", whole.seconds);
    let beside = "LOAD DATA of records and of results, SELECT of both (as 1)";
    let ratio = Figure::new("batch_1m_ratio", whole.seconds / raw, "", Target::AtMost(3.0), beside, 1.0);
    Ok(vec![Line::Measured(ratio.noting(note)), whole.memory("batch_1m_rss_mb")])
}

fn sqlite() -> Result<Vec<Line>> {
    let bench = Bench::set(On::Sqlite)?;
    let csv = csv();
    let (whole, note) = through_the_grid(&bench, &csv)?;
    let raw = raw::bulk_s(bench.scene.folder(), &csv)?;
    let beside = "copying the CSV, bulk insert of records and results, reading both";
    let seconds = Figure::new("batch_1m_s_sqlite", whole.seconds, "s", Target::AtMost(3.0 * raw), beside, raw);
    Ok(vec![Line::Measured(seconds.noting(note)), whole.memory("batch_1m_rss_mb_sqlite")])
}

/// What the batch took.
struct Whole {
    seconds: f64,
    rest_mb: f64,
    peak_mb: f64,
}

impl Whole {
    fn memory(&self, name: &str) -> Line {
        let target = Target::AtMost(200.0);
        Line::Measured(Figure::new(name, self.peak_mb, "MB", target, "the same server at rest", self.rest_mb))
    }
}

fn through_the_grid(bench: &Bench, csv: &Bytes) -> Result<(Whole, String)> {
    // The job that waits since the server was set up comes first, and is one more.
    let jobs = u64::from(RECORDS / JOB_SIZE) + 1;
    let rest_mb = bench.server.memory_mb()?;
    let cpu = || anyhow::Ok((bench.server.cpu()?, bench.database_cpu()?));
    let (begun, before) = (Moment::now(), cpu()?);
    let batch = bench.hand_in(csv, JOB_SIZE)?;
    let handed_in = Moment::now();
    bench.runtime.block_on(echo(&bench.url(), WORKERS, jobs))?;
    let done = Moment::now();
    let lines = fetch(bench, batch.id)?;
    let (fetched, after) = (Moment::now(), cpu()?);
    ensure!(lines == u64::from(RECORDS) + 1, "{lines} lines for {RECORDS} records and a header");
    let counted = bench.results()?;
    ensure!(counted == u64::from(RECORDS) + 1, "the server counts {counted} results");
    let note = format!(
        "handing in {:.1} s, work {:.1} s, fetching {:.1} s; CPU time: server {:.1} s, database {:.1} s; \
         syncs of the disk {:.0} a second; load average {}",
        (handed_in - begun).as_secs_f64(),
        (done - handed_in).as_secs_f64(),
        (fetched - done).as_secs_f64(),
        (after.0 - before.0).as_secs_f64(),
        (after.1 - before.1).as_secs_f64(),
        syncs_per_s(bench.scene.folder())?,
        load_average()?,
    );
    let seconds = (fetched - begun).as_secs_f64();
    Ok((Whole { seconds, rest_mb, peak_mb: bench.server.peak_memory_mb()? }, note))
}

/// The column that the plugin takes and a million records of 100 bytes, with their newlines.
fn csv() -> Bytes {
    let mut csv = String::with_capacity(101 * RECORDS as usize);
    csv += "n\n";
    for record in 0..RECORDS {
        let _ = writeln!(csv, "{record:0>99}");
    }
    csv.into()
}

/// Fetches the results into a file; how many lines they have.
fn fetch(bench: &Bench, batch: nightshift_wire::BatchId) -> Result<u64> {
    let mut file = File::create(bench.scene.folder().join("results.csv"))?;
    bench.runtime.block_on(async {
        let mut results = bench.client.results(batch).await?;
        let mut lines = 0;
        while let Some(piece) = results.chunk().await? {
            lines += piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
            file.write_all(&piece)?;
        }
        Ok(lines)
    })
}
