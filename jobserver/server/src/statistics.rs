//! Statistics as people ask for them: which hours and days a time has, what was done in them, and how that compares.

use std::collections::BTreeSet;

use nightshift_rules::baseline;
use nightshift_store::{DAY_MS, HOUR_MS, HourOfWork, Store, StoreError, WorkQuery};
use nightshift_wire::{
    Baseline, Comparison, GridFigures, Moment, PluginFigures, Stat, Stats, StatsBy, StatsPer, StatsQuery, WorkerTime,
};

/// Hours are kept for so many days; then they become days.
pub(crate) const DAYS_OF_HOURS: i64 = 8;
/// Days are kept for so many days.
pub(crate) const DAYS_OF_DAYS: i64 = 400;
/// Lines of one answer, at most.
const MOST_LINES: usize = 20_000;
/// Asked without a time, it is about so many days.
const DAYS_ASKED: i64 = 7;

/// Why there are no statistics.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoStatistics {
    #[error("the time ends before it begins: give a `since` before `until`")]
    Backwards,
    #[error("hours are kept for {DAYS_OF_HOURS} days and are days since then: ask per day, or from less far back on")]
    HoursAreGone,
    #[error(
        "these are more than {MOST_LINES} lines: ask for a shorter time, per day or altogether, or by something else"
    )]
    TooMany,
    #[error("there is no baseline {0:?}: see `nightshift stats baseline list`")]
    NoBaseline(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Hours that began before this midnight have become days, or are about to.
pub(crate) fn hours_before(now: Moment) -> Moment {
    midnight(now) - DAYS_OF_HOURS * DAY_MS
}

/// Days that began before this midnight are forgotten.
pub(crate) fn days_before(now: Moment) -> Moment {
    midnight(now) - DAYS_OF_DAYS * DAY_MS
}

fn midnight(moment: Moment) -> Moment {
    moment - moment.rem_euclid(DAY_MS)
}

/// A time of whole hours; of whole days where it reaches back to those that have become days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) since: Moment,
    pub(crate) until: Moment,
}

impl Time {
    pub(crate) fn new(since: Option<Moment>, until: Option<Moment>, now: Moment) -> Result<Time, NoStatistics> {
        // What lies before anything that is kept, or after anything that can be, is no other time.
        let kept = |moment: Moment| moment.clamp(days_before(now), now.saturating_add(1));
        let until = until.unwrap_or(now.saturating_add(1));
        let since = since.unwrap_or_else(|| until.min(now).saturating_sub(DAYS_ASKED * DAY_MS));
        if since >= until {
            return Err(NoStatistics::Backwards);
        }
        let whole = |moment: Moment| if moment < hours_before(now) { DAY_MS } else { HOUR_MS };
        let (since, until) = (kept(since), kept(until));
        let (back, on) = (since.rem_euclid(whole(since)), (-until).rem_euclid(whole(until)));
        Ok(Time { since: since - back, until: until + on })
    }
}

/// Statistics, as asked for.
pub(crate) async fn stats(store: &dyn Store, asked: &StatsQuery, now: Moment) -> Result<Stats, NoStatistics> {
    let time = Time::new(asked.since, asked.until, now)?;
    let Time { since, until } = time;
    if asked.per == StatsPer::Hour && since < hours_before(now) {
        return Err(NoStatistics::HoursAreGone);
    }
    let query = WorkQuery {
        since,
        until,
        per: match asked.per {
            StatsPer::Hour => Some(HOUR_MS),
            StatsPer::Day => Some(DAY_MS),
            StatsPer::Whole => None,
        },
        by: asked.by,
        worker: asked.worker.clone(),
        most: MOST_LINES,
    };
    let found = store.work(&query).await?.ok_or(NoStatistics::TooMany)?;
    let workers_time = match asked.worker {
        Some(_) => Vec::new(),
        None => store.worker_time(since, until).await?,
    };
    let comparison = match &asked.against {
        Some(name) => Some(compare(store, name, time, &workers_time).await?),
        None => None,
    };
    Ok(Stats {
        now,
        since,
        until: until.min(now),
        per: asked.per,
        by: asked.by,
        rows: found.rows,
        total: found.total,
        time: workers_time,
        comparison,
    })
}

async fn compare(
    store: &dyn Store,
    name: &str,
    time: Time,
    workers_time: &[WorkerTime],
) -> Result<Comparison, NoStatistics> {
    let baseline = find(store, name).await?;
    let now = figures(store, time, workers_time).await?;
    Ok(baseline::compare(&baseline, &now))
}

async fn find(store: &dyn Store, name: &str) -> Result<Baseline, NoStatistics> {
    let found = store.baselines().await?.into_iter().find(|baseline| baseline.name == name);
    found.ok_or_else(|| NoStatistics::NoBaseline(name.to_owned()))
}

/// What the grid did in a time, as a baseline has it.
pub(crate) async fn grid_figures(store: &dyn Store, time: Time) -> Result<GridFigures, NoStatistics> {
    let workers_time = store.worker_time(time.since, time.until).await?;
    figures(store, time, &workers_time).await
}

async fn figures(store: &dyn Store, time: Time, workers_time: &[WorkerTime]) -> Result<GridFigures, NoStatistics> {
    let whole = WorkQuery {
        since: time.since,
        until: time.until,
        per: None,
        by: StatsBy::Plugin,
        worker: None,
        most: MOST_LINES,
    };
    let work = store.work(&whole).await?.ok_or(NoStatistics::TooMany)?;
    let hours = store.hours(time.since).await?;
    Ok(add_up(&work.rows, &work.total, &hours, workers_time, time.until))
}

fn add_up(
    plugins: &[Stat],
    total: &Stat,
    hours: &[HourOfWork],
    workers_time: &[WorkerTime],
    until: Moment,
) -> GridFigures {
    let worked: BTreeSet<Moment> =
        hours.iter().filter(|hour| hour.hour < until && hour.jobs > 0).map(|hour| hour.hour).collect();
    let busy = workers_time.iter().filter(|time| time.state == "working").map(|time| time.minutes).max();
    GridFigures {
        workers: total.workers,
        hours: worked.len() as u64,
        busy_minutes: busy.unwrap_or(0),
        turnaround_p50_ms: total.turnaround_p50_ms,
        turnaround_p95_ms: total.turnaround_p95_ms,
        plugins: plugins
            .iter()
            .map(|plugin| PluginFigures {
                plugin: plugin.of.clone(),
                records: plugin.records,
                jobs: plugin.jobs,
                errors: plugin.errors,
                work_ms: plugin.work_ms,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-01-02 03:04:05 UTC.
    const NOW: Moment = 1_735_787_045_000;

    #[test]
    fn a_time_is_made_of_whole_hours_and_of_whole_days_where_hours_are_gone() {
        let this = NOW - NOW % HOUR_MS;
        let day = Time::new(Some(NOW - DAY_MS), None, NOW).expect("a day");
        assert_eq!((day.since, day.until), (this - DAY_MS, this + HOUR_MS));
        let long = Time::new(Some(NOW - 30 * DAY_MS), Some(NOW - 20 * DAY_MS), NOW).expect("days");
        assert_eq!((long.since % DAY_MS, long.until % DAY_MS), (0, 0));
        assert_eq!(long.until - long.since, 11 * DAY_MS);
        let week = Time::new(None, None, NOW).expect("a week");
        assert_eq!(week.since, this - 7 * DAY_MS);
        assert!(week.since >= hours_before(NOW), "a week can be had by the hour");
        assert!(matches!(Time::new(Some(5), Some(5), NOW), Err(NoStatistics::Backwards)));
        let ever = Time::new(Some(Moment::MIN), Some(Moment::MAX), NOW).expect("everything");
        assert_eq!((ever.since, ever.until), (days_before(NOW), this + HOUR_MS));
    }

    #[test]
    fn a_baseline_counts_hours_with_results_once_whatever_plugin_they_were_of() {
        let hour = |hour: Moment, plugin: &str, jobs| HourOfWork {
            hour,
            plugin: plugin.to_owned(),
            jobs,
            records: 1,
            errors: 0,
            work_ms: 1,
            failures: 0,
        };
        let hours = [hour(0, "a", 1), hour(0, "b", 1), hour(HOUR_MS, "a", 0), hour(2 * HOUR_MS, "a", 1)];
        let time = |state: &str, minutes| WorkerTime {
            state: state.to_owned(),
            reason: String::new(),
            worker_minutes: 9 * minutes,
            minutes,
        };
        let figures = add_up(&[], &Stat::default(), &hours, &[time("waiting", 90), time("working", 45)], 2 * HOUR_MS);
        assert_eq!((figures.hours, figures.busy_minutes), (1, 45));
    }
}
