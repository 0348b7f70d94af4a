//! Statistics as people and spreadsheets read them. Pure.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use nightshift_manifest::duration;
use nightshift_wire::{Baseline, Comparison, GridFigures, Moment, Stat, Stats, StatsBy, StatsPer, Step, Worker};

use crate::figures::{count, share};
use crate::table::Table;

/// Reasons that are listed; rarer ones are in JSON.
const REASONS: usize = 12;

/// What was done, a line for each time and thing. `names`: what people call workers.
pub(crate) fn work(stats: &Stats, names: &HashMap<String, String>) -> Table {
    let when = match stats.per {
        StatsPer::Hour => Some("HOUR (UTC)"),
        StatsPer::Day => Some("DAY (UTC)"),
        StatsPer::Whole => None,
    };
    let what = match stats.by {
        StatsBy::None => None,
        StatsBy::Worker => Some("WORKER"),
        StatsBy::Plugin => Some("PLUGIN"),
        StatsBy::Release => Some("RELEASE"),
    };
    let figures = [">RECORDS", ">ERRORS", ">JOBS", ">FAILED", ">PICK-UPS", ">WORKERS", ">HALF IN", ">95% IN"];
    let headers: Vec<&str> = when.into_iter().chain(what).chain(figures).collect();
    let mut table = Table::new(&headers);
    let mut line = |when: Option<String>, what: Option<String>, stat: &Stat| {
        table.row(when.into_iter().chain(what).chain(cells(stat)).collect());
    };
    for row in &stats.rows {
        let of = match (stats.by, names.get(&row.of)) {
            (StatsBy::Release, _) if row.of.is_empty() => "none".to_owned(),
            (_, Some(name)) => name.clone(),
            (_, None) => row.of.clone(),
        };
        line(when.map(|_| moment(row.begin, stats.per)), what.map(|_| of), row);
    }
    if stats.rows.len() > 1 {
        // The first column says that it is all of them.
        let all = || Some("all".to_owned());
        match (when, what) {
            (Some(_), what) => line(all(), what.map(|_| String::new()), &stats.total),
            (None, what) => line(None, what.and_then(|_| all()), &stats.total),
        }
    }
    table
}

fn cells(stat: &Stat) -> [String; 8] {
    let lasting = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), lasting);
    [
        count(stat.records),
        share(stat.errors, stat.records),
        count(stat.jobs),
        count(stat.failures),
        per_job(stat),
        count(stat.workers),
        lasting(stat.turnaround_p50_ms),
        lasting(stat.turnaround_p95_ms),
    ]
}

/// Pick-ups per job: 1 is the aim.
fn per_job(stat: &Stat) -> String {
    if stat.jobs == 0 { "-".to_owned() } else { format!("{:.2}", stat.pickups as f64 / stat.jobs as f64) }
}

/// Below a minute with a tenth of a second, else by its two largest units.
fn lasting(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{:.1}s", ms as f64 / 1_000.0),
        _ => duration::show(Duration::from_millis(ms)),
    }
}

fn moment(begin: Moment, per: StatsPer) -> String {
    let shape = if per == StatsPer::Hour { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" };
    Timestamp::from_millisecond(begin).map_or_else(|_| "?".to_owned(), |begin| begin.strftime(shape).to_string())
}

/// How the workers spent the time; `None` when nobody knows.
pub(crate) fn time(stats: &Stats) -> Option<Table> {
    let all: u64 = stats.time.iter().map(|time| time.worker_minutes).sum();
    if all == 0 {
        return None;
    }
    let mut table = Table::new(&["WORKERS WERE", ">HOURS", ">SHARE", "WHY"]);
    for time in stats.time.iter().take(REASONS) {
        table.row(vec![
            time.state.clone(),
            format!("{:.1}", time.worker_minutes as f64 / 60.0),
            share(time.worker_minutes, all),
            time.reason.clone(),
        ]);
    }
    Some(table)
}

/// The comparison with a baseline, in a line.
pub(crate) fn comparison(comparison: &Comparison) -> String {
    let Baseline { name, since, until, .. } = &comparison.baseline;
    let word = match comparison.step {
        Step::TooLittle => "nothing to say yet",
        Step::AsExpected => "as expected",
        Step::Short => "less than expected",
        Step::More => "more than expected",
    };
    let day = |moment: Moment| self::moment(moment, StatsPer::Day);
    format!("against {name} ({} to {}): {}; {word}\n", day(*since), day(*until), comparison.says)
}

/// Plugins that were used then and now; `None` when too little was done, of which rates would be none.
pub(crate) fn compared_plugins(comparison: &Comparison) -> Option<Table> {
    let headers = ["PLUGIN", ">RECORDS AN HOUR THEN", ">NOW", ">PER HOUR OF WORK THEN", ">NOW"];
    let mut table = Table::new(&headers);
    for plugin in &comparison.plugins {
        table.row(vec![
            plugin.plugin.clone(),
            count(plugin.then_per_hour),
            count(plugin.now_per_hour),
            count(plugin.then_per_worker_hour),
            count(plugin.now_per_worker_hour),
        ]);
    }
    (comparison.step != Step::TooLittle && !comparison.plugins.is_empty()).then_some(table)
}

/// What was recorded as a baseline, by plugin.
pub(crate) fn figures(figures: &GridFigures) -> Table {
    let mut table = Table::new(&["PLUGIN", ">RECORDS", ">JOBS", ">ERRORS", ">PER HOUR OF WORK"]);
    for plugin in &figures.plugins {
        let an_hour = plugin.records as f64 * 3_600_000.0 / plugin.work_ms.max(1) as f64;
        table.row(vec![
            plugin.plugin.clone(),
            count(plugin.records),
            count(plugin.jobs),
            share(plugin.errors, plugin.records),
            count(an_hour.round() as u64),
        ]);
    }
    table
}

/// The baselines, one a line.
pub(crate) fn baselines(baselines: &[Baseline]) -> Table {
    let mut table = Table::new(&["NAME", "FROM", "TO", ">HOURS", ">RECORDS", ">WORKERS", "PLAN", "RECORDED BY"]);
    for baseline in baselines {
        let figures = &baseline.figures;
        let plan = baseline.office.map(|office| {
            let speed = f64::from(office.speed_per_mille) / 10.0;
            format!("{} PCs of {speed} %, idle {}", office.pcs, duration::show(Duration::from_millis(office.idle_ms)))
        });
        table.row(vec![
            baseline.name.clone(),
            moment(baseline.since, StatsPer::Day),
            moment(baseline.until, StatsPer::Day),
            count(figures.hours),
            count(figures.plugins.iter().map(|plugin| plugin.records).sum()),
            count(figures.workers),
            plan.unwrap_or_default(),
            baseline.recorded_by.clone(),
        ]);
    }
    table
}

/// The lines as CSV, moments in RFC 3339.
pub(crate) fn csv(stats: &Stats) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "begin",
        "of",
        "records",
        "jobs",
        "errors",
        "work_ms",
        "failures",
        "pickups",
        "workers",
        "turnaround_p50_ms",
        "turnaround_p95_ms",
    ])?;
    let optional = |ms: Option<u64>| ms.map_or_else(String::new, |ms| ms.to_string());
    for row in &stats.rows {
        let begin = Timestamp::from_millisecond(row.begin).map_or_else(|_| String::new(), |begin| begin.to_string());
        let figures = [row.records, row.jobs, row.errors, row.work_ms, row.failures, row.pickups, row.workers];
        let times = [row.turnaround_p50_ms, row.turnaround_p95_ms].map(optional);
        let figures = figures.map(|figure| figure.to_string());
        csv.write_record([begin, row.of.clone()].iter().chain(&figures).chain(&times))?;
    }
    let bytes = csv.into_inner().context("writing CSV")?;
    String::from_utf8(bytes).context("writing CSV")
}

/// What people call a worker.
pub(crate) fn worker_name(worker: &Worker) -> String {
    let names = [&worker.name, &worker.report.host, &worker.report.worker];
    names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{BaselineOffice, PluginCompared, PluginFigures, WorkerTime};

    use super::*;

    const DAY_MS: Moment = 86_400_000;

    fn stat(begin: Moment, of: &str, jobs: u64) -> Stat {
        Stat {
            begin,
            of: of.to_owned(),
            records: 1_000 * jobs,
            jobs,
            errors: jobs,
            work_ms: 900_000 * jobs,
            failures: 2,
            pickups: jobs + 3,
            workers: 5,
            turnaround_p50_ms: Some(901_234),
            turnaround_p95_ms: Some(7_300_000),
        }
    }

    fn stats(per: StatsPer, by: StatsBy, rows: Vec<Stat>) -> Stats {
        let time = |state: &str, reason: &str, worker_minutes| WorkerTime {
            state: state.to_owned(),
            reason: reason.to_owned(),
            worker_minutes,
            minutes: worker_minutes / 2,
        };
        Stats {
            now: 3 * DAY_MS,
            since: 0,
            until: 3 * DAY_MS,
            per,
            by,
            total: stat(0, "", rows.iter().map(|row| row.jobs).sum()),
            rows,
            time: vec![time("working", "", 12_345), time("blocked", "its replica is … s behind", 61)],
            comparison: None,
        }
    }

    fn baseline() -> Baseline {
        let names =
            PluginFigures { plugin: "names".to_owned(), records: 20_000, jobs: 20, errors: 3, work_ms: 72_000_000 };
        Baseline {
            name: "before".to_owned(),
            recorded_at: 8 * DAY_MS,
            recorded_by: "anna".to_owned(),
            since: 0,
            until: 7 * DAY_MS,
            figures: GridFigures { workers: 1, hours: 160, plugins: vec![names], ..GridFigures::default() },
            office: Some(BaselineOffice { pcs: 50, speed_per_mille: 100, idle_ms: 57_600_000 }),
        }
    }

    #[test]
    fn a_day_a_line_with_what_the_workers_did_below() {
        let idle = Stat { begin: 2 * DAY_MS, ..Stat::default() };
        let days = stats(StatsPer::Day, StatsBy::None, vec![stat(0, "", 96), stat(DAY_MS, "", 1_200), idle]);
        insta::assert_snapshot!(format!("{}\n{}", work(&days, &HashMap::new()), time(&days).expect("known")));
    }

    #[test]
    fn workers_have_the_names_that_people_call_them_by() {
        let workers = stats(StatsPer::Whole, StatsBy::Worker, vec![stat(0, "0193-w1", 96), stat(0, "0193-w2", 7)]);
        let names = HashMap::from([("0193-w1".to_owned(), "anna's desk".to_owned())]);
        insta::assert_snapshot!(work(&workers, &names));
        let fitted = work(&workers, &names).fitted(80);
        assert!(fitted.lines().all(|line| line.chars().count() <= 80), "{fitted}");
    }

    #[test]
    fn a_spreadsheet_gets_every_figure_with_moments_it_can_read() {
        let hours = stats(StatsPer::Hour, StatsBy::Plugin, vec![stat(3_600_000, "na,mes", 1), Stat::default()]);
        insta::assert_snapshot!(csv(&hours).expect("text"));
    }

    fn compared() -> Comparison {
        Comparison {
            baseline: baseline(),
            figures: GridFigures::default(),
            machines_percent: Some(10),
            expected_percent: Some(33),
            measured_percent: Some(31),
            step: Step::AsExpected,
            says: "at 10 % of the machines expect +33 %: measured +31 %".to_owned(),
            next: String::new(),
            plugins: vec![PluginCompared {
                plugin: "names".to_owned(),
                then_per_hour: 1_000,
                now_per_hour: 1_310,
                then_per_worker_hour: 1_000,
                now_per_worker_hour: 500,
            }],
        }
    }

    #[test]
    fn statistics_in_json_have_these_fields() {
        let days = stats(StatsPer::Day, StatsBy::None, vec![stat(0, "", 1)]);
        let days = Stats { comparison: Some(compared()), ..days };
        insta::assert_snapshot!(serde_json::to_string_pretty(&days).expect("JSON"));
    }

    #[test]
    fn a_step_is_compared_in_the_articles_words() {
        let compared = compared();
        insta::assert_snapshot!(format!("{}{}", comparison(&compared), compared_plugins(&compared).expect("one")));
    }

    #[test]
    fn baselines_are_listed_with_what_they_are_of_and_what_was_planned() {
        let plain = Baseline { name: "step-2".to_owned(), office: None, ..baseline() };
        insta::assert_snapshot!(format!("{}\n{}", baselines(&[baseline(), plain]), figures(&baseline().figures)));
    }
}
