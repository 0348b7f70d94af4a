//! How releases do, in SQLite: [`Rollouts`].

use async_trait::async_trait;
use nightshift_rules::rollout::{Evidence, Halt, Trial, Work};
use nightshift_wire::{AttemptId, Moment, TrialReport, TrialState};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{SqliteStore, columns::Column, failure::Failure};
use crate::{
    KnownRelease, Rollouts, StoreError,
    statistics::{Counted, Ended},
    words::Word as _,
};

mod sql;

#[async_trait]
impl Rollouts for SqliteStore {
    async fn note_release(&self, release: &KnownRelease, now: Moment) -> Result<(), StoreError> {
        let release = release.clone();
        let noted = self.writer.change(move |connection| note_release(connection, &release, now)).await;
        noted.map_err(|failure| failure.of("noting a release"))
    }

    async fn known_releases(&self, limit: u32) -> Result<Vec<KnownRelease>, StoreError> {
        let known = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::KNOWN_RELEASES)?;
            let rows = query.query_map(named_params! { ":limit": limit }, |row| {
                Ok(KnownRelease {
                    tag: row.get("release")?,
                    tag_id: row.get("tag_id")?,
                    settings: row.get("settings")?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        known.await.map_err(|failure| failure.of("reading the releases that spread"))
    }

    async fn count_work(&self, attempts: &[AttemptId]) -> Result<(), StoreError> {
        let (mut attempts, unknown) = self.uncounted.take(attempts);
        let counted = async {
            if !unknown.is_empty() {
                let unknown = serde_json::json!(unknown).to_string();
                // Looked up by a reader: what is accepted waits for the writer, and not for this.
                attempts.extend(self.readers.call(move |connection| ended(connection, &unknown)).await?);
            }
            let counted = Counted::of(attempts);
            self.writer.change(move |connection| add(connection, &counted)).await
        };
        counted.await.map_err(|failure| failure.of("counting what releases did"))
    }

    async fn note_trial(&self, worker: &str, trial: &TrialReport, now: Moment) -> Result<(), StoreError> {
        let (worker, trial) = (worker.to_owned(), trial.clone());
        let noted = self.writer.change(move |connection| {
            connection.prepare_cached(sql::NOTE_TRIAL)?.execute(named_params! {
                ":release": trial.release,
                ":worker": worker,
                ":ring": trial.ring,
                ":state": trial.state.word(),
                ":samples_passed": trial.samples_passed,
                ":samples_failed": trial.samples_failed,
                ":now": now,
            })?;
            Ok(())
        });
        noted.await.map_err(|failure| failure.of("noting how a trial went"))
    }

    async fn note_halt(&self, halt: &Halt) -> Result<(), StoreError> {
        let halt = halt.clone();
        let noted = self.writer.change(move |connection| {
            connection.prepare_cached(sql::NOTE_HALT)?.execute(named_params! {
                ":release": halt.release,
                ":ring": halt.ring,
                ":reason": halt.reason,
                ":now": halt.at,
            })?;
            Ok(())
        });
        noted.await.map_err(|failure| failure.of("noting that a ring is sent back"))
    }

    async fn evidence(&self, releases: &[String]) -> Result<Evidence, StoreError> {
        let releases = serde_json::json!(releases).to_string();
        let read = self.readers.call(move |connection| evidence(connection, &releases));
        read.await.map_err(|failure| failure.of("reading how releases do"))
    }
}

fn ended(connection: &Connection, attempts: &str) -> Result<Vec<Ended>, Failure> {
    let mut query = connection.prepare_cached(sql::ENDED)?;
    let rows = query.query_map(named_params! { ":attempts": attempts }, |row| {
        Ok(Ended {
            release: row.get(0)?,
            worker: row.get(1)?,
            plugin: row.get(2)?,
            accepted: row.get(3)?,
            records: row.get(4)?,
            errors: row.get(5)?,
            work_ms: row.get(6)?,
            pickups: row.get(7)?,
            picked_up: row.get(8)?,
            ended_at: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn add(connection: &Connection, counted: &Counted) -> Result<(), Failure> {
    let mut add = connection.prepare_cached(sql::ADD_WORK)?;
    for ((release, worker, plugin), sums) in &counted.releases {
        add.execute(named_params! {
            ":release": release,
            ":worker": worker,
            ":plugin": plugin,
            ":jobs": sums.jobs,
            ":records": sums.records,
            ":errors": sums.errors,
            ":work_ms": sums.work_ms,
            ":failures": sums.failures,
        })?;
    }
    let mut add = connection.prepare_cached(sql::ADD_HOURS)?;
    for ((hour, plugin), sums) in &counted.hours {
        add.execute(named_params! {
            ":hour": hour,
            ":plugin": plugin,
            ":jobs": sums.jobs,
            ":records": sums.records,
            ":errors": sums.errors,
            ":work_ms": sums.work_ms,
            ":failures": sums.failures,
        })?;
    }
    let mut add = connection.prepare_cached(sql::ADD_DONE)?;
    for ((hour, worker, release, plugin, turnaround), sums) in &counted.work {
        add.execute(named_params! {
            ":hour": hour,
            ":worker": worker,
            ":release": release,
            ":plugin": plugin,
            ":turnaround": turnaround,
            ":jobs": sums.jobs,
            ":records": sums.records,
            ":errors": sums.errors,
            ":work_ms": sums.work_ms,
            ":failures": sums.failures,
            ":pickups": sums.pickups,
        })?;
    }
    Ok(())
}

fn note_release(connection: &Connection, release: &KnownRelease, now: Moment) -> Result<(), Failure> {
    let mut query = connection.prepare_cached(sql::TAG_ID)?;
    let tag = named_params! { ":release": release.tag };
    let before: Option<String> = query.query_row(tag, |row| row.get(0)).optional()?;
    if before.is_some_and(|before| before != release.tag_id) {
        for forget in [sql::FORGET_WORK, sql::FORGET_TRIALS, sql::FORGET_HALTS] {
            connection.prepare_cached(forget)?.execute(tag)?;
        }
    }
    connection.prepare_cached(sql::NOTE_RELEASE)?.execute(named_params! {
        ":release": release.tag,
        ":tag_id": release.tag_id,
        ":settings": release.settings,
        ":now": now,
    })?;
    Ok(())
}

fn evidence(connection: &Connection, releases: &str) -> Result<Evidence, Failure> {
    let asked = named_params! { ":releases": releases };
    let mut work = connection.prepare_cached(sql::WORK)?;
    let work = work.query_map(asked, |row| {
        Ok(Work {
            release: row.get("release")?,
            worker: row.get("worker")?,
            plugin: row.get("plugin")?,
            jobs: row.get("jobs")?,
            records: row.get("records")?,
            errors: row.get("errors")?,
            work_ms: row.get("work_ms")?,
            failures: row.get("failures")?,
        })
    })?;
    let mut trials = connection.prepare_cached(sql::TRIALS)?;
    let trials = trials.query_map(asked, |row| {
        Ok(Trial {
            release: row.get("release")?,
            worker: row.get("worker")?,
            state: row.get::<_, Column<TrialState>>("state")?.0,
            samples_passed: row.get("samples_passed")?,
            samples_failed: row.get("samples_failed")?,
        })
    })?;
    let mut halts = connection.prepare_cached(sql::HALTS)?;
    let halts = halts.query_map(asked, |row| {
        Ok(Halt {
            release: row.get("release")?,
            ring: row.get("ring")?,
            reason: row.get("reason")?,
            at: row.get("halted_at")?,
        })
    })?;
    Ok(Evidence {
        work: work.collect::<Result<_, _>>()?,
        trials: trials.collect::<Result<_, _>>()?,
        halts: halts.collect::<Result<_, _>>()?,
    })
}
