//! `echo_*_us`: what a record of 100 bytes pays for passing through a plugin that gives it back, in blocks of 1,000.
//!
//! Beside each, in turn: the same bytes through the same machinery without the runtime around it. For `sql` the block is
//! put into the same table and the same query's rows are stepped over; for `process` the same program, locked in by
//! nothing, is given the finished line and its answer is read, no more; for `wasm` the results are made without any plugin.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nightshift_contract::layout::CORE;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::sandbox::Sandbox;
use nightshift_plugin::{Data, Host, Plugin};
use nightshift_testbed::grid::Programs;
use nightshift_wire::{Outcome, Record, RecordResult, Records};

use super::super::Group;
use super::super::figure::{Figure, Line, Target};
use super::super::measure::{Moment, Talking, median};
use super::compile;

pub(super) const GROUPS: [Group; 3] =
    [Group { names: &[SQL], run: sql }, Group { names: &[WASM], run: wasm }, Group { names: &[PROCESS], run: process }];

const SQL: &str = "echo_sql_us";
const WASM: &str = "echo_wasm_us";
const PROCESS: &str = "echo_process_us";
const RECORDS: usize = 1_000;
const ROUNDS: usize = 200;

/// The plugins' own columns: what comes in, and what it comes back as.
#[derive(Clone, Copy)]
struct Columns {
    input: &'static str,
    output: &'static str,
}

const TEXT: Columns = Columns { input: "text", output: "echo" };
const SAID: Columns = Columns { input: "said", output: "heard" };

fn sql() -> Result<Vec<Line>> {
    let query = "SELECT record_id, text AS echo FROM records";
    let echo = Echo::of("runtime = \"sql\"", TEXT, |folder| Ok(fs::write(folder.join("query.sqlite.sql"), query)?))?;
    let raw = rusqlite::Connection::open_in_memory()?;
    raw.execute_batch("CREATE TEMP TABLE records (record_id INTEGER PRIMARY KEY, text TEXT)")?;
    let block = block(TEXT);
    let beside = || {
        let transaction = raw.unchecked_transaction()?;
        transaction.execute("DELETE FROM records", [])?;
        let mut insert = transaction.prepare_cached("INSERT INTO records VALUES (?, ?)")?;
        for record in &block.records {
            insert.execute((record.id, &record.values[0]))?;
        }
        drop(insert);
        transaction.commit()?;
        let mut query = raw.prepare_cached(query)?;
        let mut rows = query.query([])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            bytes += row.get_ref(1)?.as_str()?.len();
        }
        ensure!(bytes == RECORDS * 100, "{bytes} bytes came back");
        Ok(())
    };
    echo.figure(SQL, 10.0, "the same table and query in plain SQLite", beside)
}

fn wasm() -> Result<Vec<Line>> {
    let module = compile::guests().join("echo/plugin.wat");
    let echo = Echo::of("runtime = \"wasm\"\nmodule = \"plugin.wat\"", TEXT, |folder| {
        fs::copy(&module, folder.join("plugin.wat")).with_context(|| format!("copying {}", module.display()))?;
        Ok(())
    })?;
    let block = block(TEXT);
    let beside = || {
        let results = by_hand(&block, TEXT);
        ensure!(results.len() == RECORDS, "{} results", results.len());
        Ok(())
    };
    echo.figure(WASM, 2.0, "making the results without a plugin", beside)
}

fn process() -> Result<Vec<Line>> {
    let echo = Echo::of("runtime = \"process\"\ncommand = [\"./echo\"]", SAID, |folder| {
        let source = compile::guests().join("echo-native/main.c");
        compile::native(&[source], &compile::guests(), &folder.join("echo"))
    })?;
    let mut program = Talking::start(&echo.tree.path().join("plugins/echo/echo"))?;
    let records = block(SAID).records;
    let records: Vec<_> = records.iter().map(|r| serde_json::json!({"id": r.id, SAID.input: r.values[0]})).collect();
    let line = serde_json::json!({ "records": records }).to_string() + "\n";
    let beside = || {
        let answer = program.ask(&line)?;
        ensure!(answer.len() > RECORDS * 100, "an answer of {} bytes", answer.len());
        Ok(())
    };
    echo.figure(PROCESS, 5.0, "the line through the same program's pipes", beside)
}

/// A plugin that echoes, open.
struct Echo {
    tree: tempfile::TempDir,
    plugin: Box<dyn Plugin>,
    columns: Columns,
}

impl Echo {
    /// `fill` puts what the plugin needs into its folder.
    fn of(runtime: &str, columns: Columns, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Echo> {
        let tree = tempfile::tempdir().context("making a temporary folder")?;
        let folder = tree.path().join("plugins/echo");
        fs::create_dir_all(&folder)?;
        let Columns { input, output } = columns;
        let text =
            format!("{runtime}\nblock = {RECORDS}\n[input]\n{input} = \"text\"\n[output]\n{output} = \"text\"\n");
        fs::write(folder.join("plugin.toml"), &text)?;
        fill(&folder)?;
        let manifest = PluginManifest::parse("echo", &text)?;
        let sandbox = Sandbox::new(Programs::beside_this_one()?.path(CORE));
        let host = Host { sandbox: Some(sandbox), ..Host::default() };
        let plugin = nightshift_plugin::open(tree.path(), &manifest, Data::Release, &host)?;
        Ok(Echo { tree, plugin, columns })
    }

    /// Rounds of a block through the plugin and `beside`, in turn; both in microseconds a record.
    fn figure(
        mut self,
        name: &str,
        most: f64,
        what: &'static str,
        mut beside: impl FnMut() -> Result<()>,
    ) -> Result<Vec<Line>> {
        let block = block(self.columns);
        let expected = by_hand(&block, self.columns);
        ensure!(self.plugin.process(&block)? == expected, "the plugin does not give back what it is given");
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Moment::now();
            let results = self.plugin.work((&block).into())?;
            ours.push(micros_a_record(begun));
            ensure!(results.len() == RECORDS, "{} results", results.len());
            let begun = Moment::now();
            beside()?;
            raw.push(micros_a_record(begun));
        }
        let figure = Figure::new(name, median(ours), "us", Target::AtMost(most), what, median(raw));
        Ok(vec![Line::Measured(figure)])
    }
}

fn micros_a_record(begun: Moment) -> f64 {
    (Moment::now() - begun).as_secs_f64() * 1e6 / RECORDS as f64
}

/// Records of 100 bytes, no two alike, with what JSON and UTF-8 make hard.
fn block(columns: Columns) -> Records {
    let text = |id: usize| format!("{id:06} Ülle \"Q\" {:<83}", "abcdefghi ".repeat(8));
    let records = (1..=RECORDS).map(|id| Record { id: id as i64, values: vec![text(id)] });
    Records { columns: vec![columns.input.to_owned()], records: records.collect() }
}

/// The block's results, made here.
fn by_hand(block: &Records, columns: Columns) -> Vec<RecordResult> {
    let result = |record: &Record| RecordResult {
        id: record.id,
        outcome: Outcome::Ok(BTreeMap::from([(columns.output.to_owned(), record.values[0].as_str().into())])),
    };
    block.records.iter().map(result).collect()
}
