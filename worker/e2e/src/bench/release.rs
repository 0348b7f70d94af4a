//! `release_*`: what a release of plugins alone costs a worker that has the one before it: 200 files, one of them changed,
//! with 100 earlier releases in the repository, served over `git://` on loopback.
//!
//! `release_switch_ms`: from knowing its tag to its slot in force, on trial: fetched, verified, staged, synced, its samples
//! passed by the real core, the journal written, the link moved. Beside it, in turn: 200 files written to the same disk and
//! synced together, which is the raw limit. `release_fetch_bytes`: both directions of the fetch, without the list of refs;
//! beside it what git itself packs of the difference.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_contract::layout::{BOOT, LAUNCHER, StateDir};
use nightshift_engine::binaries::FetchLimits;
use nightshift_engine::clock::moment;
use nightshift_engine::{BreakOff, Engine, Event, FREE, Means, Source};
use nightshift_launcher::installed::Installed;
use nightshift_launcher::self_check::SelfCheck;
use nightshift_manifest::machine::this_target;
use nightshift_manifest::signers::Signers;
use nightshift_testbed::central::{CONTROL, Central};
use nightshift_testbed::faults::Proxy;
use nightshift_testbed::grid::Programs;

use super::Group;
use super::figure::{Figure, Line, Target};
use super::measure::{Moment, load_average, median, output_bytes};

pub(super) const GROUP: Group = Group { names: &[SWITCH, FETCH], run };

const SWITCH: &str = "release_switch_ms";
const FETCH: &str = "release_fetch_bytes";
const FILES: usize = 200;
const EARLIER: u32 = 100;
const ROUNDS: u32 = 15;

fn run() -> Result<Vec<Line>> {
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let mut central = Central::create(&folder.path().join("central.git"))?;
    put_plugin(&mut central)?;
    for file in 0..FILES - 7 {
        central.put(&format!("data/part-{file:03}.txt"), format!("part {file} of a table\n").repeat(20))?;
    }
    for release in 0..=EARLIER {
        change(&mut central, release)?;
        central.cut(&format!("1.{release}.0"))?;
    }
    let daemon = central.daemon()?.context("git daemon is not installed")?;
    let port = daemon.url().rsplit(':').next().and_then(|rest| rest.split('/').next()).context("a port")?.parse()?;
    let proxy = Proxy::before(port)?;
    let mut engine = engine(&central, &proxy.instead(daemon.url()), folder.path())?;
    let look = engine.look(&moment())?;
    engine.sync(&look, FREE)?;
    ensure!(engine.on_trial().is_none(), "the first release is taken at once");
    let written = fs::read_dir(engine.in_force().context("a release")?.tree().join("data"))?.count();
    ensure!(written == FILES - 7, "{written} files were staged");

    let (mut switches, mut raws, mut fetches, mut packs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let release = EARLIER + 1 + round;
        change(&mut central, release)?;
        central.cut(&format!("1.{release}.0"))?;
        let before = proxy.bytes();
        let look = engine.look(&moment())?;
        let listed = proxy.bytes() - before;

        let (before, begun) = (proxy.bytes(), Moment::now());
        let sync = engine.sync(&look, FREE)?;
        switches.push(millis(Moment::now() - begun));
        // The fetch lists the refs once more.
        fetches.push((proxy.bytes() - before).saturating_sub(listed) as f64);
        let on_trial = engine.on_trial().context("the release is on trial")?;
        ensure!(sync.switched && on_trial.tag == format!("v1.{release}.0"), "{sync:?}");
        engine.judge(Event::Proved)?;

        raws.push(raw(folder.path())?);
        let range = format!("refs/tags/v1.{release}.0\n^refs/tags/v1.{}.0\n", release - 1);
        packs.push(output_bytes(
            "git",
            &["pack-objects", "--revs", "--thin", "--stdout", "-q"],
            central.folder(),
            &range,
        )?);
    }
    let slowest = switches.iter().copied().fold(0.0, f64::max);
    let switch = Figure::new(
        SWITCH,
        median(switches),
        "ms",
        Target::AtMost(150.0),
        "writing 200 files, one sync",
        median(raws.iter().copied()),
    );
    let bytes = Figure::new(
        FETCH,
        fetches.iter().copied().fold(0.0, f64::max),
        "bytes",
        Target::AtMost(10_000.0),
        "git pack-objects --thin of the difference",
        median(packs.into_iter().map(|bytes| bytes as f64)),
    );
    let load = load_average()?;
    let note = format!("slowest of {ROUNDS}: {slowest:.0} ms; with the samples run by the core; load average {load}");
    Ok(vec![
        Line::Measured(switch.noting(note)),
        Line::Measured(bytes.noting(format!("the largest of {ROUNDS}; {EARLIER} earlier releases"))),
    ])
}

/// Seven files that every release of a grid has.
fn put_plugin(central: &mut Central) -> Result<()> {
    let manifest = "runtime = \"sql\"\n[input]\nn = \"integer\"\n[output]\ntwice = \"integer\"\n[data]\nsource = \"repo\"\n\
                    tables = []\n";
    central.put("plugins/twice/plugin.toml", manifest)?;
    central.put("plugins/twice/query.sqlite.sql", "SELECT record_id, n * 2 AS twice FROM records")?;
    central.put("plugins/twice/samples/records.csv", "n\n1\n")?;
    central.put("plugins/twice/samples/expected.csv", "n,twice,error\n1,2,\n")?;
    central.put("README.md", "a grid\n")
}

fn change(central: &mut Central, release: u32) -> Result<()> {
    let query = format!("SELECT record_id, n * 2 AS twice FROM records -- release {release}\n");
    central.put("plugins/twice/query.sqlite.sql", query)
}

fn engine(central: &Central, url: &str, folder: &Path) -> Result<Engine> {
    let state = StateDir::new(folder.join("worker"));
    let programs = Programs::beside_this_one()?;
    let installed = Installed::new(Some(programs.path(BOOT)), programs.path(LAUNCHER), folder.join("worker.toml"));
    let source = Source::new(url, CONTROL, Signers::parse(&central.signer_line())?);
    fs::create_dir_all(state.root())?;
    let break_off: BreakOff = Arc::new(|| false);
    let check = SelfCheck { installed, state: state.clone(), break_off: Arc::clone(&break_off) };
    let mut engine = Engine::open(source, state)?;
    engine.try_by(Means {
        check: Arc::new(check),
        target: this_target(),
        job_server: None,
        limits: FetchLimits::default(),
        again_after: Duration::from_secs(3600),
        break_off,
    })?;
    Ok(engine)
}

/// As many files, written to the same disk and synced together.
fn raw(folder: &Path) -> Result<f64> {
    let files = folder.join("raw");
    let begun = Moment::now();
    fs::create_dir(&files)?;
    for file in 0..FILES {
        fs::write(files.join(file.to_string()), format!("part {file} of a table\n").repeat(20))?;
    }
    rustix::fs::syncfs(fs::File::open(&files)?)?;
    let took = millis(Moment::now() - begun);
    fs::remove_dir_all(files)?;
    Ok(took)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
