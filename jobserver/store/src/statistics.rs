//! What the grid did in each hour and day, and how its workers spent the time: counters that add up, so that nobody has to
//! look at jobs to draw a year.
//!
//! One row for each hour, worker, release, plugin and step of [`turnaround`], written by the step that counts work for
//! releases ([`Rollouts::count_work`](crate::Rollouts::count_work)). Hours become days when they are old, and days go when
//! they are very old ([`Statistics::roll_up`]): the tables are bounded by what there is of workers, releases and plugins.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use nightshift_rules::turnaround::{self, Turnarounds};
use nightshift_wire::{AttemptId, Baseline, Moment, Stat, StatsBy, WorkerTime};

use crate::StoreError;

/// Milliseconds of an hour, as rows have it.
pub const HOUR_MS: Moment = 3_600_000;
/// Milliseconds of a day, as rows have it.
pub const DAY_MS: Moment = 24 * HOUR_MS;
/// The longest tag of a release that rows are kept under. A worker may call its release anything.
const LONGEST_RELEASE: usize = 64;
/// The step that stands in the rows of attempts that failed.
const NO_STEP: i64 = -1;

/// Which work is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkQuery {
    /// From the hours and days that began at this moment on.
    pub since: Moment,
    /// Before those that began at this one.
    pub until: Moment,
    /// Lines cover so many milliseconds; all the time together when `None`.
    pub per: Option<Moment>,
    /// What a line is about.
    pub by: StatsBy,
    /// Of this worker alone.
    pub worker: Option<String>,
    /// Lines there may be at most.
    pub most: usize,
}

impl WorkQuery {
    /// Rows that are read for the lines, at most: a line has a row for each step of turnaround.
    pub(crate) fn most_rows(&self) -> usize {
        (self.most + 1).saturating_mul(usize::from(turnaround::STEPS) + 1)
    }
}

/// Work that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkFound {
    /// The lines, by time, in each the one with most records first.
    pub rows: Vec<Stat>,
    /// All together.
    pub total: Stat,
}

/// The part of a store that keeps statistics.
#[async_trait]
pub trait Statistics: Send + Sync {
    /// What was done; `None` when that is more lines than there may be.
    async fn work(&self, query: &WorkQuery) -> Result<Option<WorkFound>, StoreError>;

    /// How workers spent the time in the hours and days that began in it, the longest first.
    async fn worker_time(&self, since: Moment, until: Moment) -> Result<Vec<WorkerTime>, StoreError>;

    /// Counts the minutes since the last call (five at most) for what workers are now; of several servers that count
    /// the same minute one does. Who was not heard of since `away_before` is away, since `known_since` is nobody.
    async fn note_worker_time(&self, away_before: Moment, known_since: Moment, now: Moment) -> Result<(), StoreError>;

    /// Makes days of hours that are before one moment, and forgets days that are before another: an hour at a time; whether
    /// there is more to do. Both moments are midnights.
    async fn roll_up(&self, hours_before: Moment, days_before: Moment) -> Result<bool, StoreError>;

    /// The baselines, by name.
    async fn baselines(&self) -> Result<Vec<Baseline>, StoreError>;

    /// Keeps a baseline; whether there was none of that name.
    async fn note_baseline(&self, baseline: &Baseline) -> Result<bool, StoreError>;

    /// Removes a baseline; whether there was one.
    async fn remove_baseline(&self, name: &str) -> Result<bool, StoreError>;
}

/// An attempt that ended, as it is looked up to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) release: String,
    pub(crate) worker: String,
    pub(crate) plugin: String,
    /// Its results were accepted; else it failed.
    pub(crate) accepted: bool,
    /// Records of its job.
    pub(crate) records: u64,
    /// Of these, errors; 0 when the job was retried since.
    pub(crate) errors: u64,
    pub(crate) work_ms: u64,
    /// Attempts that were started at its job.
    pub(crate) pickups: u64,
    /// When the first of these was.
    pub(crate) picked_up: Moment,
    pub(crate) ended_at: Moment,
}

/// Attempts whose results this server accepted and that were not counted yet: looking them up would read what was just
/// written. Nothing is kept before the first counting: a worker that uses the store directly never counts.
#[derive(Debug, Default)]
pub(crate) struct Uncounted {
    counts: AtomicBool,
    ended: Mutex<HashMap<AttemptId, Ended>>,
}

/// More attempts than these are looked up.
const MOST_UNCOUNTED: usize = 32_768;

impl Uncounted {
    /// Keeps an attempt whose acceptance is durable.
    pub(crate) fn keep(&self, attempt: AttemptId, ended: Option<Ended>) {
        if let Some(ended) = ended.filter(|_| self.counts.load(Ordering::Relaxed)) {
            let mut kept = self.kept();
            if kept.len() < MOST_UNCOUNTED {
                kept.insert(attempt, ended);
            }
        }
    }

    /// Of attempts that are counted now, those that are kept, and the numbers of the others.
    pub(crate) fn take(&self, attempts: &[AttemptId]) -> (Vec<Ended>, Vec<AttemptId>) {
        self.counts.store(true, Ordering::Relaxed);
        let mut kept = self.kept();
        let mut taken = Vec::with_capacity(attempts.len());
        let unknown = attempts.iter().copied().filter(|id| match kept.remove(id) {
            Some(ended) => {
                taken.push(ended);
                false
            }
            None => true,
        });
        let unknown = unknown.collect();
        (taken, unknown)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<AttemptId, Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What attempts add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) jobs: u64,
    pub(crate) records: u64,
    pub(crate) errors: u64,
    pub(crate) work_ms: u64,
    pub(crate) failures: u64,
    pub(crate) pickups: u64,
}

impl Sums {
    fn of(ended: &Ended) -> Sums {
        match ended.accepted {
            true => Sums {
                jobs: 1,
                records: ended.records,
                errors: ended.errors,
                work_ms: ended.work_ms,
                failures: 0,
                pickups: ended.pickups,
            },
            false => Sums { failures: 1, ..Sums::default() },
        }
    }

    fn add(&mut self, other: Sums) {
        self.jobs += other.jobs;
        self.records += other.records;
        self.errors += other.errors;
        self.work_ms = self.work_ms.saturating_add(other.work_ms);
        self.failures += other.failures;
        self.pickups += other.pickups;
    }
}

/// Attempts that ended, added up in the three ways they are kept. The order is that of the tables' keys, so that every server
/// locks rows in the same one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// By release, worker, plugin.
    pub(crate) releases: BTreeMap<(String, String, String), Sums>,
    /// By hour, plugin.
    pub(crate) hours: BTreeMap<(Moment, String), Sums>,
    /// By hour, worker, release, plugin, step.
    pub(crate) work: BTreeMap<(Moment, String, String, String, i64), Sums>,
}

impl Counted {
    pub(crate) fn of(attempts: Vec<Ended>) -> Counted {
        let mut counted = Counted::default();
        for ended in attempts {
            let sums = Sums::of(&ended);
            let hour = ended.ended_at - ended.ended_at.rem_euclid(HOUR_MS);
            let step = match ended.accepted {
                true => i64::from(turnaround::step(ended.picked_up, ended.ended_at)),
                false => NO_STEP,
            };
            let Ended { release, worker, plugin, .. } = ended;
            let is_a_tag = !release.is_empty() && release.chars().count() <= LONGEST_RELEASE;
            counted.hours.entry((hour, plugin.clone())).or_default().add(sums);
            if is_a_tag {
                counted.releases.entry((release.clone(), worker.clone(), plugin.clone())).or_default().add(sums);
            }
            let release = if is_a_tag { release } else { String::new() };
            counted.work.entry((hour, worker, release, plugin, step)).or_default().add(sums);
        }
        counted
    }
}

/// Rows of work as they are read, made into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<(Moment, String), (Sums, Turnarounds)>,
    all: (Sums, Turnarounds),
}

impl Lines {
    /// Adds a row.
    pub(crate) fn add(&mut self, begin: Moment, of: String, step: i64, sums: Sums) {
        let line = self.lines.entry((begin, of)).or_default();
        for (line, turnarounds) in [line, &mut self.all] {
            line.add(sums);
            if let Ok(step) = u8::try_from(step) {
                turnarounds.add(step, sums.jobs);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines; `workers` is how many there were to each, and of all.
    pub(crate) fn end(self, since: Moment, workers: &BTreeMap<(Moment, String), u64>, all_workers: u64) -> WorkFound {
        let stat = |begin: Moment, of: String, (sums, turnarounds): &(Sums, Turnarounds), workers: u64| Stat {
            begin: begin.max(since),
            of,
            records: sums.records,
            jobs: sums.jobs,
            errors: sums.errors,
            work_ms: sums.work_ms,
            failures: sums.failures,
            pickups: sums.pickups,
            workers,
            turnaround_p50_ms: turnarounds.of_hundred(50),
            turnaround_p95_ms: turnarounds.of_hundred(95),
        };
        let total = stat(since, String::new(), &self.all, all_workers);
        let rows = self.lines.into_iter().map(|(key, line)| {
            let workers = workers.get(&key).copied().unwrap_or_default();
            stat(key.0, key.1, &line, workers)
        });
        let mut rows: Vec<Stat> = rows.collect();
        rows.sort_by(|one, other| {
            (one.begin, std::cmp::Reverse(one.records), &one.of).cmp(&(
                other.begin,
                std::cmp::Reverse(other.records),
                &other.of,
            ))
        });
        WorkFound { rows, total }
    }

    /// The lines of one worker: whatever was done it did.
    pub(crate) fn end_of_one(self, since: Moment) -> WorkFound {
        let did = |(sums, _): &(Sums, Turnarounds)| u64::from(sums.jobs > 0);
        let workers = self.lines.iter().map(|(key, line)| (key.clone(), did(line))).collect();
        let all = did(&self.all);
        self.end(since, &workers, all)
    }
}

/// The hours that began in a time, and with them the days: what one worker's rows are looked up by.
pub(crate) fn begins(since: Moment, until: Moment) -> Vec<Moment> {
    /// More than are ever kept.
    const MOST: usize = 20_000;
    let first = since - since.rem_euclid(HOUR_MS);
    (0..MOST as Moment)
        .map(|hour| first + hour * HOUR_MS)
        .skip_while(|begin| *begin < since)
        .take_while(|begin| *begin < until)
        .collect()
}

/// The minute a moment is in.
pub(crate) fn minute(now: Moment) -> Moment {
    now - now.rem_euclid(60_000)
}

/// Minutes to be counted when the last one that was is `last`.
pub(crate) fn minutes_since(last: Moment, now: Moment) -> u64 {
    /// What lies further back was counted by nobody: no server was there.
    const MOST: i64 = 5;
    let minutes = (minute(now) - last) / 60_000;
    u64::try_from(minutes.min(MOST)).unwrap_or(0)
}

/// Whether the minute that was counted last is of a clock that went back since. Another server may have counted the next one
/// a moment ago.
pub(crate) fn lies_ahead(last: Moment, now: Moment) -> bool {
    last > minute(now).saturating_add(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(release: &str, worker: &str, ended_at: Moment) -> Ended {
        Ended {
            release: release.to_owned(),
            worker: worker.to_owned(),
            plugin: "names".to_owned(),
            accepted: true,
            records: 10,
            errors: 1,
            work_ms: 5,
            pickups: 1,
            picked_up: ended_at - 1,
            ended_at,
        }
    }

    #[test]
    fn a_release_without_a_tag_is_counted_in_the_hours_and_judged_by_nobody() {
        let counted =
            Counted::of(vec![ended("", "a", 1), ended(&"v".repeat(65), "a", 2), ended("v1.0.0", "a", HOUR_MS)]);
        assert_eq!(counted.releases.len(), 1);
        let hours: Vec<_> = counted.hours.iter().map(|((hour, _), sums)| (*hour, sums.jobs)).collect();
        assert_eq!(hours, [(0, 2), (HOUR_MS, 1)]);
        assert_eq!(counted.work.keys().map(|key| key.2.as_str()).collect::<Vec<_>>(), ["", "v1.0.0"]);
    }

    #[test]
    fn what_was_accepted_here_is_counted_once_without_looking_it_up() {
        let uncounted = Uncounted::default();
        uncounted.keep(1, Some(ended("v1.0.0", "a", 1)));
        assert_eq!(uncounted.take(&[1]), (vec![], vec![1]), "nobody counted before");
        uncounted.keep(2, Some(ended("v1.0.0", "a", 2)));
        uncounted.keep(3, None);
        assert_eq!(uncounted.take(&[1, 2, 3]), (vec![ended("v1.0.0", "a", 2)], vec![1, 3]));
        assert_eq!(uncounted.take(&[2]), (vec![], vec![2]));
    }

    #[test]
    fn a_failure_is_a_failure_and_nothing_else() {
        let counted = Counted::of(vec![Ended { accepted: false, ..ended("v1.0.0", "a", 1) }]);
        let sums: Vec<_> = counted.work.values().copied().collect();
        assert_eq!(sums, [Sums { failures: 1, ..Sums::default() }]);
    }

    #[test]
    fn minutes_that_no_server_saw_are_not_made_up() {
        assert_eq!(minutes_since(0, 59_999), 0, "this minute is counted");
        assert_eq!(minutes_since(0, 60_000), 1);
        assert_eq!(minutes_since(0, 10 * HOUR_MS), 5);
        assert_eq!(minutes_since(120_000, 60_000), 0, "the clock went back");
        assert!(lies_ahead(180_000, 60_000));
        assert!(!lies_ahead(120_000, 119_999), "two servers at the turn of a minute");
    }

    #[test]
    fn the_hours_of_a_time_are_those_that_began_in_it() {
        assert_eq!(begins(0, 2 * HOUR_MS + 1), [0, HOUR_MS, 2 * HOUR_MS]);
        assert_eq!(begins(1, 2 * HOUR_MS), [HOUR_MS]);
        assert_eq!(begins(5, 5), [0; 0]);
    }
}
