//! `batch_1m_s_sqlite` and `batch_1m_rss_mb`: a million records of 100 bytes from CSV to CSV.
//!
//! Handed in, done by four simulated workers that send back what they get, fetched. Beside it the same without a grid:
//! the CSV copied as a file, records and results inserted into a SQLite database in bulk, both read and written out.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::Bench;
use super::load::echo;
use super::raw::bulk_s;
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::Moment;

pub(in crate::bench) const GROUP: Group = Group { names: &[SECONDS, MEMORY], run };

const SECONDS: &str = "batch_1m_s_sqlite";
const MEMORY: &str = "batch_1m_rss_mb";

const RECORDS: u32 = 1_000_000;
const JOB_SIZE: u32 = 1_000;
const WORKERS: usize = 4;

fn run() -> Result<Vec<Line>> {
    let bench = Bench::set()?;
    // The job that waits since the server was set up comes first, and is one more.
    let jobs = u64::from(RECORDS / JOB_SIZE) + 1;
    let before = bench.server.memory_mb()?;
    let csv = csv();
    let begun = Moment::now();
    let batch = bench.hand_in(&csv, JOB_SIZE)?;
    bench.runtime.block_on(echo(&bench.url(), WORKERS, jobs))?;
    let lines = fetch(&bench, batch.id)?;
    let seconds = (Moment::now() - begun).as_secs_f64();
    ensure!(lines == u64::from(RECORDS) + 1, "{lines} lines for {RECORDS} records and a header");
    let counted = bench.results()?;
    ensure!(counted == u64::from(RECORDS) + 1, "the server counts {counted} results");
    let memory = bench.server.peak_memory_mb()?;
    let raw = bulk_s(bench.scene.folder(), &csv)?;
    let beside = "copying the CSV, bulk insert of records and results, reading both";
    Ok(vec![
        Line::Measured(Figure::new(SECONDS, seconds, "s", Target::AtMost(3.0 * raw), beside, raw)),
        Line::Measured(Figure::new(MEMORY, memory, "MB", Target::AtMost(200.0), "the same server at rest", before)),
    ])
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
