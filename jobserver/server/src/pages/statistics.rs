//! Statistics: what the grid did in some days, by whom, how its workers spent the time, and how that compares with baselines.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use nightshift_rules::baseline;
use nightshift_store::{DAY_MS, HOUR_MS};
use nightshift_wire::{Baseline, Moment, Stat, Stats, StatsBy, StatsPer, StatsQuery, Step, WorkerTime};
use serde::Deserialize;

use super::chart::{self, Svg};
use super::frame::{Frame, Visitor};
use super::words::{grouped, lasting, percent};
use crate::api::{Shared, query, statistics};
use crate::app::App;
use crate::clock::timestamp;
use crate::refused::{Refused, while_doing};
use crate::statistics::{Time, grid_figures, stats};

const DOING: &str = "making the statistics";
/// Lines of the table; the API has all.
const LINES: usize = 100;
/// Reasons in the table of times.
const REASONS: usize = 15;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    days: String,
    #[serde(default)]
    by: String,
}

/// What was done in some time, in words.
pub(super) struct Done {
    pub(super) when: String,
    pub(super) of: String,
    pub(super) records: String,
    pub(super) errors: String,
    pub(super) jobs: String,
    pub(super) failures: String,
    pub(super) pickups: String,
    pub(super) workers: String,
    pub(super) half: String,
    pub(super) most: String,
}

impl Done {
    pub(super) fn new(stat: &Stat, per: StatsPer) -> Done {
        let shape = if per == StatsPer::Hour { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" };
        let time = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), lasting);
        let pickups = stat.pickups as f64 / stat.jobs.max(1) as f64;
        Done {
            when: timestamp(stat.begin).strftime(shape).to_string(),
            of: stat.of.clone(),
            records: grouped(stat.records),
            errors: grouped(stat.errors),
            jobs: grouped(stat.jobs),
            failures: grouped(stat.failures),
            pickups: if stat.jobs == 0 { "–".to_owned() } else { format!("{pickups:.2}") },
            workers: grouped(stat.workers),
            half: time(stat.turnaround_p50_ms),
            most: time(stat.turnaround_p95_ms),
        }
    }
}

struct Spent {
    state: String,
    hours: String,
    share: u64,
    reason: String,
}

struct Compared {
    name: String,
    recorded: String,
    state: &'static str,
    says: String,
    next: String,
}

#[derive(Template)]
#[template(path = "statistics.html")]
struct Page {
    frame: Frame,
    days: &'static str,
    by: &'static str,
    chart: Svg,
    each: &'static str,
    rows: Vec<Done>,
    is_cut: bool,
    total: Done,
    spent: Vec<Spent>,
    baselines: Vec<Compared>,
}

impl Page {
    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn spans(&self) -> [(&'static str, &'static str); 3] {
        [("1", "last day"), ("7", "last week"), ("30", "last 30 days")]
    }

    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn things(&self) -> [(&'static str, &'static str); 4] {
        [("", "by time"), ("worker", "by worker"), ("plugin", "by plugin"), ("release", "by release")]
    }
}

pub(super) async fn page(State(app): Shared, visitor: Visitor, uri: Uri) -> Result<Response, Refused> {
    let asked: Asked = query(&uri)?;
    let (days, span) = match asked.days.as_str() {
        "1" => ("1", 1),
        "" | "7" => ("7", 7),
        "30" => ("30", 30),
        _ => return Err(Refused::bad_request(format!("{DOING}: `days` is 1, 7 or 30"))),
    };
    let (by, of) = match asked.by.as_str() {
        "" => ("", StatsBy::None),
        "worker" => ("worker", StatsBy::Worker),
        "plugin" => ("plugin", StatsBy::Plugin),
        "release" => ("release", StatsBy::Release),
        _ => return Err(Refused::bad_request(format!("{DOING}: `by` is worker, plugin, release or nothing"))),
    };
    let now = app.clock.now();
    let time = |per| StatsQuery {
        since: Some(now - span * DAY_MS),
        until: None,
        per,
        by: StatsBy::None,
        worker: None,
        against: None,
    };
    let (per, each, each_ms) = match span {
        1 => (StatsPer::Hour, "an hour", HOUR_MS),
        _ => (StatsPer::Day, "a day", DAY_MS),
    };
    let over_time = read(&app, &time(per), now).await?;
    let told = match of {
        StatsBy::None => over_time.clone(),
        by => read(&app, &StatsQuery { by, ..time(StatsPer::Whole) }, now).await?,
    };
    let done: Vec<_> = over_time.rows.iter().map(|row| (row.begin, row.records, row.errors)).collect();
    let newest_first = of == StatsBy::None;
    let mut rows: Vec<Done> = told.rows.iter().map(|row| Done::new(row, told.per)).collect();
    if newest_first {
        rows.reverse();
    }
    let is_cut = rows.len() > LINES;
    rows.truncate(LINES);
    super::shown(&Page {
        frame: visitor.frame(&app, "Statistics", "statistics"),
        days,
        by,
        chart: chart::over_time(&done, over_time.since, now, each_ms, "Records done over time"),
        each,
        rows,
        is_cut,
        total: Done::new(&told.total, told.per),
        spent: spent(&over_time.time),
        baselines: compared(&app, Time { since: over_time.since, until: over_time.until }).await?,
    })
}

async fn read(app: &App, asked: &StatsQuery, now: Moment) -> Result<Stats, Refused> {
    stats(&*app.store, asked, now).await.map_err(statistics::refused(DOING))
}

fn spent(time: &[WorkerTime]) -> Vec<Spent> {
    let all = time.iter().map(|time| time.worker_minutes).sum();
    let rows = time.iter().take(REASONS).map(|time| Spent {
        state: time.state.clone(),
        hours: format!("{:.1}", time.worker_minutes as f64 / 60.0),
        share: percent(time.worker_minutes, all),
        reason: time.reason.clone(),
    });
    rows.collect()
}

/// The newest baselines, and how the time compares with them.
async fn compared(app: &App, time: Time) -> Result<Vec<Compared>, Refused> {
    const NEWEST: usize = 10;
    let mut baselines: Vec<Baseline> = app.store.baselines().await.map_err(while_doing(|| DOING))?;
    if baselines.is_empty() {
        return Ok(Vec::new());
    }
    baselines.sort_by_key(|baseline| std::cmp::Reverse(baseline.recorded_at));
    let figures = grid_figures(&*app.store, time).await.map_err(statistics::refused(DOING))?;
    let compared = baselines.iter().take(NEWEST).map(|known| {
        let comparison = baseline::compare(known, &figures);
        Compared {
            name: known.name.clone(),
            recorded: timestamp(known.recorded_at).strftime("%Y-%m-%d").to_string(),
            state: match comparison.step {
                Step::TooLittle => "waiting",
                Step::AsExpected | Step::More => "done",
                Step::Short => "blocked",
            },
            says: comparison.says,
            next: comparison.next,
        }
    });
    Ok(compared.collect())
}
