//! How releases do, in MySQL or MariaDB: [`Rollouts`], twin of `sqlite/rollouts.rs`.
//!
//! Work is added to what other servers counted. When nobody knows whether a step was committed, it is not repeated: what
//! is counted too little opens nothing, what is counted twice might.

use async_trait::async_trait;
use mysql_async::{Params, params};
use nightshift_rules::rollout::{Evidence, Halt, Trial, Work};
use nightshift_wire::{AttemptId, Moment, TrialReport};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
    rows,
};
use crate::{
    KnownRelease, Rollouts, StoreError,
    statistics::{Counted, Ended, Sums},
    words::Word as _,
};

mod sql;

#[async_trait]
impl Rollouts for MysqlStore {
    async fn note_release(&self, release: &KnownRelease, now: Moment) -> Result<(), StoreError> {
        let noted = in_rounds!(self.writers, |tx, _in_doubt| note_release(tx, release, now));
        noted.map_err(|failure| failure.of("noting a release"))
    }

    async fn known_releases(&self, limit: u32) -> Result<Vec<KnownRelease>, StoreError> {
        let known = in_rounds!(self.readers, |tx, _in_doubt| known(tx, limit));
        known.map_err(|failure| failure.of("reading the releases that spread"))
    }

    async fn count_work(&self, attempts: &[AttemptId]) -> Result<(), StoreError> {
        let (known, unknown) = self.uncounted.take(attempts);
        let counted = in_rounds!(self.writers, |tx, in_doubt| count(tx, &known, &unknown, in_doubt));
        counted.map_err(|failure| failure.of("counting what releases did"))
    }

    async fn note_trial(&self, worker: &str, trial: &TrialReport, now: Moment) -> Result<(), StoreError> {
        let said = params! {
            "release" => &trial.release,
            "worker" => worker,
            "ring" => &trial.ring,
            "state" => trial.state.word(),
            "samples_passed" => trial.samples_passed,
            "samples_failed" => trial.samples_failed,
            "now" => now,
        };
        let noted = in_rounds!(self.writers, |tx, _in_doubt| tx.change(sql::NOTE_TRIAL, said.clone()));
        noted.map(drop).map_err(|failure| failure.of("noting how a trial went"))
    }

    async fn note_halt(&self, halt: &Halt) -> Result<(), StoreError> {
        let sent_back = params! {
            "release" => &halt.release,
            "ring" => &halt.ring,
            "reason" => &halt.reason,
            "now" => halt.at,
        };
        let noted = in_rounds!(self.writers, |tx, _in_doubt| tx.change(sql::NOTE_HALT, sent_back.clone()));
        noted.map(drop).map_err(|failure| failure.of("noting that a ring is sent back"))
    }

    async fn evidence(&self, releases: &[String]) -> Result<Evidence, StoreError> {
        let asked: Params = params! { "releases" => serde_json::json!(releases).to_string() };
        let read = in_rounds!(self.readers, |tx, _in_doubt| evidence(tx, &asked));
        read.map_err(|failure| failure.of("reading how releases do"))
    }
}

async fn note_release(tx: &mut Tx, release: &KnownRelease, now: Moment) -> Result<(), Failure> {
    let tag: Params = params! { "release" => &release.tag };
    let before: Option<String> = match tx.first(sql::TAG_ID, tag.clone()).await? {
        Some(mut row) => Some(row.get("tag_id")?),
        None => None,
    };
    if before.is_some_and(|before| before != release.tag_id) {
        for forget in [sql::FORGET_WORK, sql::FORGET_TRIALS, sql::FORGET_HALTS] {
            tx.change(forget, tag.clone()).await?;
        }
    }
    let noted = params! {
        "release" => &release.tag,
        "tag_id" => &release.tag_id,
        "settings" => &release.settings,
        "now" => now,
    };
    tx.change(sql::NOTE_RELEASE, noted).await?;
    Ok(())
}

async fn known(tx: &mut Tx, limit: u32) -> Result<Vec<KnownRelease>, Failure> {
    let rows = tx.all(sql::KNOWN_RELEASES, params! { "limit" => limit }).await?;
    let read = |mut row: Fields| {
        Ok(KnownRelease { tag: row.get("release")?, tag_id: row.get("tag_id")?, settings: row.get("settings")? })
    };
    rows.into_iter().map(read).collect()
}

async fn count(tx: &mut Tx, known: &[Ended], unknown: &[AttemptId], in_doubt: bool) -> Result<(), Failure> {
    if in_doubt {
        return Ok(());
    }
    let mut attempts = known.to_vec();
    if !unknown.is_empty() {
        let unknown = serde_json::json!(unknown).to_string();
        for row in tx.all(sql::ENDED, params! { "attempts" => unknown }).await? {
            attempts.push(ended(row)?);
        }
    }
    let Counted { releases, hours, work } = Counted::of(attempts);
    let releases = releases.iter().map(|((release, worker, plugin), sums)| {
        let Sums { jobs, records, errors, work_ms, failures, .. } = sums;
        (release, worker, plugin, jobs, records, errors, work_ms, failures)
    });
    rows::write(tx, sql::ADD_WORK, releases).await?;
    let hours = hours.iter().map(|((hour, plugin), sums)| {
        let Sums { jobs, records, errors, work_ms, failures, .. } = sums;
        (hour, plugin, jobs, records, errors, work_ms, failures)
    });
    rows::write(tx, sql::ADD_HOURS, hours).await?;
    let work = work.iter().map(|((hour, worker, release, plugin, turnaround), sums)| {
        let Sums { jobs, records, errors, work_ms, failures, pickups } = sums;
        (hour, worker, release, plugin, turnaround, jobs, records, errors, work_ms, failures, pickups)
    });
    rows::write(tx, sql::ADD_DONE, work).await?;
    Ok(())
}

fn ended(mut row: Fields) -> Result<Ended, Failure> {
    Ok(Ended {
        release: row.get("release")?,
        worker: row.get("worker")?,
        plugin: row.get("plugin")?,
        accepted: row.get("accepted")?,
        records: row.get("records")?,
        errors: row.get("errors")?,
        work_ms: row.get("work_ms")?,
        pickups: row.get("pickups")?,
        picked_up: row.get("picked_up")?,
        ended_at: row.get("ended_at")?,
    })
}

fn work(mut row: Fields) -> Result<Work, Failure> {
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
}

async fn evidence(tx: &mut Tx, asked: &Params) -> Result<Evidence, Failure> {
    let trial = |mut row: Fields| {
        Ok::<_, Failure>(Trial {
            release: row.get("release")?,
            worker: row.get("worker")?,
            state: row.word("state")?,
            samples_passed: row.get("samples_passed")?,
            samples_failed: row.get("samples_failed")?,
        })
    };
    let halt = |mut row: Fields| {
        Ok::<_, Failure>(Halt {
            release: row.get("release")?,
            ring: row.get("ring")?,
            reason: row.get("reason")?,
            at: row.get("halted_at")?,
        })
    };
    Ok(Evidence {
        work: tx.all(sql::WORK, asked.clone()).await?.into_iter().map(work).collect::<Result<_, _>>()?,
        trials: tx.all(sql::TRIALS, asked.clone()).await?.into_iter().map(trial).collect::<Result<_, _>>()?,
        halts: tx.all(sql::HALTS, asked.clone()).await?.into_iter().map(halt).collect::<Result<_, _>>()?,
    })
}
