//! Statistics of the grid in MySQL and MariaDB, twin of `sqlite/statistics.rs`.
//!
//! Counting minutes and making days of hours begin by locking one row, so that of several servers one does it. When nobody
//! knows whether a step was committed, minutes are not counted again; a roll-up is, because what is gone cannot be rolled
//! up twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mysql_async::{Params, params};
use nightshift_rules::spare_time;
use nightshift_wire::{Baseline, Moment, WorkerTime};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
};
use crate::{
    Statistics, StoreError, WorkFound, WorkQuery,
    statistics::{HOUR_MS, Lines, Sums, begins, lies_ahead, minute, minutes_since},
};

mod sql;

#[async_trait]
impl Statistics for MysqlStore {
    async fn work(&self, query: &WorkQuery) -> Result<Option<WorkFound>, StoreError> {
        let read = match &query.worker {
            Some(worker) => in_rounds!(self.readers, |tx, _in_doubt| work_of(tx, query, worker)),
            None => in_rounds!(self.readers, |tx, _in_doubt| work(tx, query)),
        };
        read.map_err(|failure| failure.of("reading what was done"))
    }

    async fn worker_time(&self, since: Moment, until: Moment) -> Result<Vec<WorkerTime>, StoreError> {
        let time = |mut row: Fields| {
            Ok::<_, Failure>(WorkerTime {
                state: row.get("state")?,
                reason: row.get("reason")?,
                worker_minutes: row.get("worker_minutes")?,
                minutes: row.get("minutes")?,
            })
        };
        let read = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::WORKER_TIME, params! { "since" => since, "until" => until }).await?;
            rows.into_iter().map(time).collect::<Result<Vec<_>, Failure>>()
        });
        read.map_err(|failure| failure.of("reading how workers spent the time"))
    }

    async fn note_worker_time(&self, away_before: Moment, known_since: Moment, now: Moment) -> Result<(), StoreError> {
        let counted = in_rounds!(self.writers, |tx, in_doubt| count(tx, away_before, known_since, now, in_doubt));
        counted.map_err(|failure| failure.of("counting how workers spend the time"))
    }

    async fn roll_up(&self, hours_before: Moment, days_before: Moment) -> Result<bool, StoreError> {
        let rolled = in_rounds!(self.writers, |tx, _in_doubt| roll_up(tx, hours_before, days_before));
        rolled.map_err(|failure| failure.of("making days of old hours"))
    }

    async fn baselines(&self) -> Result<Vec<Baseline>, StoreError> {
        let read = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::BASELINES, ()).await?;
            rows.into_iter().map(baseline).collect::<Result<Vec<_>, Failure>>()
        });
        read.map_err(|failure| failure.of("reading the baselines"))
    }

    async fn note_baseline(&self, baseline: &Baseline) -> Result<bool, StoreError> {
        let noted = in_rounds!(self.writers, |tx, in_doubt| note(tx, baseline, in_doubt));
        noted.map_err(|failure| failure.of("recording a baseline"))
    }

    async fn remove_baseline(&self, name: &str) -> Result<bool, StoreError> {
        let removed =
            in_rounds!(self.writers, |tx, _in_doubt| tx.change(sql::REMOVE_BASELINE, params! { "name" => name }));
        removed.map(|removed| removed > 0).map_err(|failure| failure.of("removing a baseline"))
    }
}

async fn work(tx: &mut Tx, asked: &WorkQuery) -> Result<Option<WorkFound>, Failure> {
    let WorkQuery { since, until, by, most, .. } = asked;
    let (per, by) = (asked.per.unwrap_or(Moment::MAX), by.word());
    let steps = asked.most_rows();
    let limited = |most: usize| -> Params {
        params! { "since" => since, "until" => until, "per" => per, "by" => by, "most" => most }
    };
    let rows = tx.all(sql::WORK, limited(steps)).await?;
    let (mut lines, read) = (Lines::default(), rows.len());
    for row in rows {
        add(&mut lines, row)?;
    }
    if lines.len() > *most || read >= steps {
        return Ok(None);
    }
    let mut workers = BTreeMap::new();
    for mut row in tx.all(sql::WORKERS, limited(*most)).await? {
        let line = (row.get("line")?, row.get("of_what")?);
        workers.insert(line, row.get("workers")?);
    }
    let all = tx.first(sql::ALL_WORKERS, params! { "since" => since, "until" => until }).await?;
    let all = all.map_or(Ok(0), |mut row| row.get("workers"))?;
    Ok(Some(lines.end(*since, &workers, all)))
}

async fn work_of(tx: &mut Tx, asked: &WorkQuery, worker: &str) -> Result<Option<WorkFound>, Failure> {
    let of = params! {
        "begins" => serde_json::to_string(&begins(asked.since, asked.until))?,
        "worker" => worker,
        "per" => asked.per.unwrap_or(Moment::MAX),
        "by" => asked.by.word(),
    };
    let mut lines = Lines::default();
    for row in tx.all(sql::WORK_OF, of).await? {
        add(&mut lines, row)?;
    }
    Ok((lines.len() <= asked.most).then(|| lines.end_of_one(asked.since)))
}

fn add(lines: &mut Lines, mut row: Fields) -> Result<(), Failure> {
    let (began, of, step) = (row.get("line")?, row.get("of_what")?, row.get("turnaround")?);
    let sums = Sums {
        jobs: row.get("jobs")?,
        records: row.get("records")?,
        errors: row.get("errors")?,
        work_ms: row.get("work_ms")?,
        failures: row.get("failures")?,
        pickups: row.get("pickups")?,
    };
    lines.add(began, of, step, sums);
    Ok(())
}

async fn count(
    tx: &mut Tx,
    away_before: Moment,
    known_since: Moment,
    now: Moment,
    in_doubt: bool,
) -> Result<(), Failure> {
    let last = counted(tx).await?;
    let minutes = minutes_since(last, now);
    if in_doubt || (minutes == 0 && !lies_ahead(last, now)) {
        return Ok(());
    }
    tx.change(sql::COUNT, params! { "minute" => minute(now) }).await?;
    if minutes == 0 {
        return Ok(());
    }
    let known = params! { "away_before" => away_before, "known_since" => known_since };
    let workers = tx.all(sql::WORKERS_NOW, known).await?.into_iter().map(|mut row| {
        Ok::<_, Failure>((row.get::<String>("shown")?, row.get::<String>("why")?, row.get::<u64>("workers")?))
    });
    let mut workers = spare_time::counted(workers.collect::<Result<Vec<_>, _>>()?);
    workers.sort();
    for (state, reason, workers) in workers {
        let time = params! {
            "hour" => now - now.rem_euclid(HOUR_MS),
            "state" => state,
            "reason" => reason,
            "worker_minutes" => workers * minutes,
            "minutes" => minutes,
        };
        tx.change(sql::ADD_TIME, time).await?;
    }
    Ok(())
}

/// The minute that was counted last; from here on to the end of the transaction no other server counts or rolls up.
async fn counted(tx: &mut Tx) -> Result<Moment, Failure> {
    let row = tx.first(sql::COUNTED, ()).await?;
    let mut row = row.ok_or_else(|| Failure::Contradiction("nothing says which minute was counted last".to_owned()))?;
    row.get("minute")
}

async fn roll_up(tx: &mut Tx, hours_before: Moment, days_before: Moment) -> Result<bool, Failure> {
    counted(tx).await?;
    let steps =
        [(sql::OLDEST_HOUR, sql::ROLL_HOUR, sql::FORGET_HOUR), (sql::OLDEST_TIME, sql::ROLL_TIME, sql::FORGET_TIME)];
    let mut more = false;
    for (find, roll, forget) in steps {
        if let Some(hour) = oldest(tx, find, hours_before).await? {
            for change in [roll, forget] {
                tx.change(change, params! { "hour" => hour }).await?;
            }
            more = true;
        }
    }
    if let Some(day) = oldest(tx, sql::OLDEST_DAY, days_before).await? {
        tx.change(sql::FORGET_DAY, params! { "day" => day }).await?;
        more = true;
    }
    for forget in [sql::FORGET_DAYS_OF_TIME, sql::FORGET_HOURS_OF_WORK] {
        tx.change(forget, params! { "before" => days_before }).await?;
    }
    Ok(more)
}

async fn oldest(tx: &mut Tx, find: &str, before: Moment) -> Result<Option<Moment>, Failure> {
    let row = tx.first(find, params! { "before" => before }).await?;
    row.map(|mut row| row.get("began")).transpose()
}

async fn note(tx: &mut Tx, baseline: &Baseline, in_doubt: bool) -> Result<bool, Failure> {
    let before = tx.first(sql::BASELINE, params! { "name" => &baseline.name }).await?;
    if let Some(mut before) = before {
        // After a commit in doubt it may be this very one.
        return Ok(in_doubt && before.get::<Moment>("recorded_at")? == baseline.recorded_at);
    }
    let new = params! {
        "name" => &baseline.name,
        "recorded_at" => baseline.recorded_at,
        "recorded_by" => &baseline.recorded_by,
        "since" => baseline.since,
        "until" => baseline.until,
        "figures" => serde_json::to_string(&baseline.figures)?,
        "office" => baseline.office.as_ref().map(serde_json::to_string).transpose()?,
    };
    tx.change(sql::NOTE_BASELINE, new).await?;
    Ok(true)
}

fn baseline(mut row: Fields) -> Result<Baseline, Failure> {
    let office: Option<String> = row.get("office")?;
    Ok(Baseline {
        name: row.get("name")?,
        recorded_at: row.get("recorded_at")?,
        recorded_by: row.get("recorded_by")?,
        since: row.get("since")?,
        until: row.get("until")?,
        figures: row.json("figures")?,
        office: office.as_deref().map(serde_json::from_str).transpose()?,
    })
}
