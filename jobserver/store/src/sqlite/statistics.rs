//! Statistics of the grid in SQLite: [`Statistics`]. What is counted after acceptance is written in `rollouts.rs`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nightshift_rules::spare_time;
use nightshift_wire::{Baseline, Moment, WorkerTime};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{SqliteStore, failure::Failure};
use crate::{
    Statistics, StoreError, WorkFound, WorkQuery,
    statistics::{HOUR_MS, Lines, Sums, begins, minute, minutes_since},
};

mod sql;

#[async_trait]
impl Statistics for SqliteStore {
    async fn work(&self, query: &WorkQuery) -> Result<Option<WorkFound>, StoreError> {
        let query = query.clone();
        let read = self.readers.call(move |connection| match &query.worker {
            Some(worker) => work_of(connection, &query, worker),
            None => work(connection, &query),
        });
        read.await.map_err(|failure| failure.of("reading what was done"))
    }

    async fn worker_time(&self, since: Moment, until: Moment) -> Result<Vec<WorkerTime>, StoreError> {
        let read = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::WORKER_TIME)?;
            let rows = query.query_map(named_params! { ":since": since, ":until": until }, |row| {
                Ok(WorkerTime {
                    state: row.get("state")?,
                    reason: row.get("reason")?,
                    worker_minutes: row.get("worker_minutes")?,
                    minutes: row.get("minutes")?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        read.await.map_err(|failure| failure.of("reading how workers spent the time"))
    }

    async fn note_worker_time(&self, away_before: Moment, known_since: Moment, now: Moment) -> Result<(), StoreError> {
        let doing = "counting how workers spend the time";
        let workers = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::WORKERS_NOW)?;
            let known = named_params! { ":away_before": away_before, ":known_since": known_since };
            let rows = query.query_map(known, |row| Ok((row.get("shown")?, row.get("why")?, row.get("workers")?)))?;
            Ok(rows.collect::<Result<Vec<(String, String, u64)>, _>>()?)
        });
        let workers = spare_time::counted(workers.await.map_err(|failure| failure.of(doing))?);
        let counted = self.writer.change(move |connection| {
            let last: Moment = connection.prepare_cached(sql::COUNTED)?.query_row([], |row| row.get(0))?;
            connection.prepare_cached(sql::COUNT)?.execute(named_params! { ":minute": minute(now) })?;
            let minutes = minutes_since(last, now);
            let mut add = connection.prepare_cached(sql::ADD_TIME)?;
            for (state, reason, workers) in workers.iter().filter(|_| minutes > 0) {
                add.execute(named_params! {
                    ":hour": now - now.rem_euclid(HOUR_MS),
                    ":state": state,
                    ":reason": reason,
                    ":worker_minutes": workers * minutes,
                    ":minutes": minutes,
                })?;
            }
            Ok(())
        });
        counted.await.map_err(|failure| failure.of(doing))
    }

    async fn roll_up(&self, hours_before: Moment, days_before: Moment) -> Result<bool, StoreError> {
        let rolled = self.writer.change(move |connection| roll_up(connection, hours_before, days_before));
        rolled.await.map_err(|failure| failure.of("making days of old hours"))
    }

    async fn baselines(&self) -> Result<Vec<Baseline>, StoreError> {
        let read = self.readers.call(|connection| {
            let mut query = connection.prepare_cached(sql::BASELINES)?;
            let mut rows = query.query([])?;
            let mut baselines = Vec::new();
            while let Some(row) = rows.next()? {
                baselines.push(baseline(row)?);
            }
            Ok(baselines)
        });
        read.await.map_err(|failure| failure.of("reading the baselines"))
    }

    async fn note_baseline(&self, baseline: &Baseline) -> Result<bool, StoreError> {
        let baseline = baseline.clone();
        let noted = self.writer.change(move |connection| {
            let office = baseline.office.as_ref().map(serde_json::to_string).transpose()?;
            let noted = connection.prepare_cached(sql::NOTE_BASELINE)?.execute(named_params! {
                ":name": baseline.name,
                ":recorded_at": baseline.recorded_at,
                ":recorded_by": baseline.recorded_by,
                ":since": baseline.since,
                ":until": baseline.until,
                ":figures": serde_json::to_string(&baseline.figures)?,
                ":office": office,
            })?;
            Ok(noted > 0)
        });
        noted.await.map_err(|failure| failure.of("recording a baseline"))
    }

    async fn remove_baseline(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let removed = self.writer.change(move |connection| {
            Ok(connection.prepare_cached(sql::REMOVE_BASELINE)?.execute(named_params! { ":name": name })? > 0)
        });
        removed.await.map_err(|failure| failure.of("removing a baseline"))
    }
}

fn work(connection: &Connection, asked: &WorkQuery) -> Result<Option<WorkFound>, Failure> {
    let WorkQuery { since, until, by, most, .. } = asked;
    let (per, by) = (asked.per.unwrap_or(Moment::MAX), by.word());
    let steps = asked.most_rows();
    let mut query = connection.prepare_cached(sql::WORK)?;
    let mut rows =
        query.query(named_params! { ":since": since, ":until": until, ":per": per, ":by": by, ":most": steps })?;
    let (mut lines, mut read) = (Lines::default(), 0);
    while let Some(row) = rows.next()? {
        read += 1;
        add(&mut lines, row)?;
    }
    if lines.len() > *most || read >= steps {
        return Ok(None);
    }
    let mut query = connection.prepare_cached(sql::WORKERS)?;
    let mut rows =
        query.query(named_params! { ":since": since, ":until": until, ":per": per, ":by": by, ":most": most })?;
    let mut workers = BTreeMap::new();
    while let Some(row) = rows.next()? {
        workers.insert((row.get("line")?, row.get("of_what")?), row.get("workers")?);
    }
    let all = connection
        .prepare_cached(sql::ALL_WORKERS)?
        .query_row(named_params! { ":since": since, ":until": until }, |row| row.get(0))?;
    Ok(Some(lines.end(*since, &workers, all)))
}

fn work_of(connection: &Connection, asked: &WorkQuery, worker: &str) -> Result<Option<WorkFound>, Failure> {
    let mut query = connection.prepare_cached(sql::WORK_OF)?;
    let mut rows = query.query(named_params! {
        ":begins": serde_json::to_string(&begins(asked.since, asked.until))?,
        ":worker": worker,
        ":per": asked.per.unwrap_or(Moment::MAX),
        ":by": asked.by.word(),
    })?;
    let mut lines = Lines::default();
    while let Some(row) = rows.next()? {
        add(&mut lines, row)?;
    }
    Ok((lines.len() <= asked.most).then(|| lines.end_of_one(asked.since)))
}

fn add(lines: &mut Lines, row: &Row<'_>) -> Result<(), Failure> {
    let sums = Sums {
        jobs: row.get("jobs")?,
        records: row.get("records")?,
        errors: row.get("errors")?,
        work_ms: row.get("work_ms")?,
        failures: row.get("failures")?,
        pickups: row.get("pickups")?,
    };
    lines.add(row.get("line")?, row.get("of_what")?, row.get("turnaround")?, sums);
    Ok(())
}

fn roll_up(connection: &Connection, hours_before: Moment, days_before: Moment) -> Result<bool, Failure> {
    let oldest = |sql: &str, before: Moment| {
        let mut query = connection.prepare_cached(sql)?;
        query.query_row(named_params! { ":before": before }, |row| row.get::<_, Moment>(0)).optional()
    };
    let steps =
        [(sql::OLDEST_HOUR, sql::ROLL_HOUR, sql::FORGET_HOUR), (sql::OLDEST_TIME, sql::ROLL_TIME, sql::FORGET_TIME)];
    let mut more = false;
    for (find, roll, forget) in steps {
        if let Some(hour) = oldest(find, hours_before)? {
            for change in [roll, forget] {
                connection.prepare_cached(change)?.execute(named_params! { ":hour": hour })?;
            }
            more = true;
        }
    }
    if let Some(day) = oldest(sql::OLDEST_DAY, days_before)? {
        connection.prepare_cached(sql::FORGET_DAY)?.execute(named_params! { ":day": day })?;
        more = true;
    }
    for forget in [sql::FORGET_DAYS_OF_TIME, sql::FORGET_HOURS_OF_WORK] {
        connection.prepare_cached(forget)?.execute(named_params! { ":before": days_before })?;
    }
    Ok(more)
}

fn baseline(row: &Row<'_>) -> Result<Baseline, Failure> {
    let (figures, office): (String, Option<String>) = (row.get("figures")?, row.get("office")?);
    Ok(Baseline {
        name: row.get("name")?,
        recorded_at: row.get("recorded_at")?,
        recorded_by: row.get("recorded_by")?,
        since: row.get("since")?,
        until: row.get("until")?,
        figures: serde_json::from_str(&figures)?,
        office: office.as_deref().map(serde_json::from_str).transpose()?,
    })
}
