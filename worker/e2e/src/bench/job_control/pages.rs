//! `page_*`, `live20_cpu_pct` and `cli_list_ms`: the dashboard, and a list on the command line, with a million jobs and ten
//! thousand workers in the store.
//!
//! Pages are asked for one after the other on one connection, as a person who looks around does, and timed to their last
//! byte. The server reads its figures for the open pages of twenty browsers as it does for one.

use std::time::Duration;

use anyhow::{Result, ensure};
use nightshift_testbed::grid::Programs;
use nightshift_wire::{Report, WorkerState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http::{Connection, get, post};
use super::{Bench, On};
use crate::bench::Group;
use crate::bench::figure::{Figure, Line, Target};
use crate::bench::measure::{Moment, cost, load_average, median};

const OVERVIEW: &str = "page_overview_p95_ms";
const JOBS: &str = "page_jobs_p95_ms";
const SIZE: &str = "page_max_kb";
const LIVE: &str = "live20_cpu_pct";
const LIST: &str = "cli_list_ms";

pub(in crate::bench) const GROUP: Group = Group { names: &[OVERVIEW, JOBS, SIZE, LIVE, LIST], run };

const JOBS_THERE: u32 = 1_000_000;
const WORKERS: u32 = 10_000;
const BROWSERS: usize = 20;
/// So many times each page is asked for.
const ASKED: usize = 200;
/// So many times the command is run.
const LISTED: usize = 40;
const WATCHED: Duration = Duration::from_secs(30);

fn run() -> Result<Vec<Line>> {
    let bench = Bench::set(On::Sqlite)?;
    let jobs = bench.hand_in_jobs(JOBS_THERE)?;
    let address = bench.url().trim_start_matches("http://").to_owned();
    bench.runtime.block_on(report_workers(&address))?;
    let ask = |path: &str| bench.runtime.block_on(ask(&address, path));
    let (raw, _) = ask("/healthz")?;
    let (overview, mut largest) = ask("/")?;
    let mut slowest = 0.0_f64;
    let middle = jobs * 1_000;
    for path in [
        "/jobs".to_owned(),
        format!("/jobs?batch={jobs}"),
        format!("/jobs?batch={jobs}&state=waiting"),
        format!("/jobs?from={middle}"),
        "/workers".to_owned(),
        "/batches".to_owned(),
        format!("/batches/{jobs}"),
    ] {
        let (p95, bytes) = ask(&path)?;
        slowest = slowest.max(p95);
        largest = largest.max(bytes);
    }
    let list = list(&bench.url())?;
    let quiet = bench.server.cpu()?;
    bench.runtime.block_on(async { tokio::time::sleep(WATCHED).await });
    let quiet = bench.server.cpu()? - quiet;
    let before = bench.server.cpu()?;
    let heard = bench.runtime.block_on(watch(&address))?;
    let busy = bench.server.cpu()?.saturating_sub(before);
    ensure!(heard > BROWSERS as u64, "{BROWSERS} browsers heard {heard} times of something in {} s", WATCHED.as_secs());
    let percent = |cpu: Duration| cpu.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    let load = load_average()?;
    let with = format!("with {JOBS_THERE} jobs and {WORKERS} workers; load average {load}");
    let beside = "GET /healthz on the same connection";
    let overview = Figure::new(OVERVIEW, overview, "ms", Target::AtMost(50.0), beside, raw).noting(with);
    let slowest = Figure::new(JOBS, slowest, "ms", Target::AtMost(50.0), beside, raw);
    let largest = Figure::new(SIZE, largest as f64 / 1_000.0, "kB", Target::AtMost(200.0), "no page at all", 1.0);
    let live = Figure::new(LIVE, percent(busy), "%", Target::AtMost(5.0), "no browser", percent(quiet).max(0.1));
    let live = live.noting(format!("heard {heard} times of something"));
    let all = [
        overview,
        slowest.noting("the slowest of /jobs (all, a batch, a state, from the middle), /workers, /batches".to_owned()),
        largest,
        live,
        list,
    ];
    Ok(all.map(Line::Measured).into())
}

/// How long `nightshift job list --json` takes from its start to its end: the first page of jobs of the batches that are not
/// finished. Beside it: the same program that asks nobody.
fn list(url: &str) -> Result<Figure> {
    let program = Programs::beside_this_one()?.path("nightshift");
    let times = |arguments: &[&str]| -> Result<f64> {
        let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(std::ffi::OsStr::new).collect();
        let times = (0..LISTED).map(|_| Ok(cost(&program, &arguments)?.wall_ms)).collect::<Result<Vec<_>>>()?;
        Ok(median(times))
    };
    let alone = times(&["--version"])?;
    let listed = times(&["job", "list", "--json", "--jobserver", url])?;
    Ok(Figure::new(LIST, listed, "ms", Target::AtMost(50.0), "nightshift --version", alone))
}

/// Ten thousand workers say how they are.
async fn report_workers(address: &str) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let mut request = Vec::new();
    for number in 0..WORKERS {
        let report = Report {
            worker: format!("w-{number:05}"),
            host: format!("pc-{number}"),
            state: if number % 3 == 0 { WorkerState::Resting } else { WorkerState::Waiting },
            reason: if number % 3 == 0 { "the office is open".into() } else { "no job waits".into() },
            release: "v1.0.0".into(),
            refused: Vec::new(),
            steps: Vec::new(),
            trial: None,
            replica: None,
            spool: nightshift_wire::Spool::default(),
        };
        post(&mut request, "/v1/reports", &serde_json::to_vec(&report)?);
        let (status, _) = connection.ask(&request).await?;
        ensure!(status == 204, "a report was answered with {status}");
    }
    Ok(())
}

/// How long the page takes for all but the slowest twentieth, in milliseconds, and its size in bytes.
async fn ask(address: &str, path: &str) -> Result<(f64, usize)> {
    let mut connection = Connection::open(address).await?;
    let (mut request, mut times, mut size) = (Vec::new(), Vec::with_capacity(ASKED), 0);
    get(&mut request, path);
    for _ in 0..ASKED {
        let begun = Moment::now();
        let (status, page) = connection.ask(&request).await?;
        ensure!(status == 200, "{path} was answered with {status}");
        size = size.max(page.len());
        times.push((Moment::now() - begun).as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[ASKED * 95 / 100], size))
}

/// Opens the pages of so many browsers and listens for a while: how often one of them heard something.
async fn watch(address: &str) -> Result<u64> {
    let mut open = Vec::new();
    for _ in 0..BROWSERS {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n").await?;
        open.push(stream);
    }
    let listening = open.into_iter().map(|mut stream| async move {
        let (mut heard, mut piece) = (0_u64, vec![0; 64 * 1024]);
        let end = tokio::time::sleep(WATCHED);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok::<_, anyhow::Error>(heard),
                read = stream.read(&mut piece) => {
                    ensure!(read? > 0, "the job server closed an open page");
                    heard += 1;
                }
            }
        }
    });
    let heard = futures_util::future::try_join_all(listening).await?;
    Ok(heard.into_iter().sum())
}
