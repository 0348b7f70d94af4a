//! Raw limits of this machine: the disk's syncs, and a million records through files and SQLite, or through MariaDB,
//! without a grid.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::{Conn, Opts, prelude::Queryable as _};
use rusqlite::Connection;

use crate::bench::measure::Moment;

/// As large as a page of the database.
const BLOCK: [u8; 4096] = [b'n'; 4096];
const SYNCING: Duration = Duration::from_secs(2);

/// How often a second the disk makes a further block of a file durable, one after the other.
pub(super) fn syncs_per_s(folder: &Path) -> Result<f64> {
    let path = folder.join("syncs");
    let mut file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let (begun, mut syncs) = (Moment::now(), 0);
    while Moment::now() - begun < SYNCING {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / (Moment::now() - begun).as_secs_f64();
    fs::remove_file(&path)?;
    Ok(rate)
}

/// Seconds to copy a CSV as a file, to insert its records and as many results in bulk, durably, and to write both to
/// another file.
pub(super) fn bulk_s(folder: &Path, csv: &[u8]) -> Result<f64> {
    let input = folder.join("raw-input.csv");
    fs::write(&input, csv)?;
    let begun = Moment::now();
    let copy = folder.join("raw-copy.csv");
    fs::copy(&input, &copy)?;
    File::open(&copy)?.sync_all()?;
    let mut database = Connection::open(folder.join("raw.sqlite"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(include_str!("raw_tables.sql"))?;
    let text = std::str::from_utf8(csv)?;
    for sql in [include_str!("raw_insert_record.sql"), include_str!("raw_insert_result.sql")] {
        let bulk = database.transaction()?;
        let mut insert = bulk.prepare(sql)?;
        for (id, line) in (1_i64..).zip(text.lines().skip(1)) {
            insert.execute((id, line))?;
        }
        drop(insert);
        bulk.commit()?;
    }
    let mut output = BufWriter::new(File::create(folder.join("raw-output.csv"))?);
    let mut query = database.prepare(include_str!("raw_select.sql"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        writeln!(output, "{},{}", row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)?;
    }
    output.flush()?;
    Ok((Moment::now() - begun).as_secs_f64())
}

/// Seconds to load a CSV's records into a table of MariaDB, as many results into another, and to write both, selected, to
/// a file.
pub(super) async fn load_data_s(url: &str, folder: &Path, csv: &[u8]) -> Result<f64> {
    let text = std::str::from_utf8(csv)?;
    let [records, results] = ["raw-records.tsv", "raw-results.tsv"].map(|file| folder.join(file));
    for (path, begin, end) in [(&records, "[\"", "\"]"), (&results, "{\"twice\":\"", "\"}")] {
        let mut file = BufWriter::new(File::create(path)?);
        for (id, line) in (1_i64..).zip(text.lines().skip(1)) {
            writeln!(file, "{id}\t{begin}{line}{end}")?;
        }
        file.flush()?;
    }
    let mut connection = Conn::new(Opts::from_url(url)?).await?;
    connection.query_drop(include_str!("raw_tables.mysql.sql")).await?;
    let begun = Moment::now();
    for (path, sql) in
        [(&records, include_str!("raw_load_records.mysql.sql")), (&results, include_str!("raw_load_results.mysql.sql"))]
    {
        // The file's name has to stand in the statement; it is one of ours.
        connection.query_drop(sql.replace("PATH", &path.display().to_string())).await?;
    }
    let mut output = BufWriter::new(File::create(folder.join("raw-output.csv"))?);
    let mut rows = 0;
    let mut selected = connection.exec_iter(include_str!("raw_select.sql"), ()).await?;
    while let Some((data, result)) = selected.next().await?.map(mysql_async::from_row::<(Vec<u8>, Vec<u8>)>) {
        for part in [&data[..], b",", &result, b"\n"] {
            output.write_all(part)?;
        }
        rows += 1;
    }
    output.flush()?;
    let seconds = (Moment::now() - begun).as_secs_f64();
    drop(selected);
    ensure!(rows + 1 == text.lines().count(), "{rows} rows came back");
    connection.disconnect().await?;
    Ok(seconds)
}
