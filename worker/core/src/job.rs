//! The work on one attempt, from wherever it stands on disk to all its results or the reason why there are none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_contract::message::FromCore;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Block, Results};
use nightshift_replica::position::holds;
use nightshift_wire::{AttemptId, Claim, Heartbeat, Outcome, Provenance, ReachedPosition, Records};
use tokio::time::timeout;

use crate::ahead::{self, InHand};
use crate::beside;
use crate::causes::with_causes;
use crate::clock::Stopwatch;
use crate::control::{ControlError, Fetched, Finished, Refusal, judge};
use crate::desk::{Desk, InUse, Unanswered, lock, off};
use crate::fetcher::Ready;
use crate::moments::Moment;
use crate::retry::Patience;
use crate::run::CoreError;
use crate::spool::{HeldAttempt, Journal, Origin, SpoolError, Written};
use crate::workbench::{Broken, NotDone, Part};

/// So many cores may die with an attempt without getting it any further; then the job is at fault, and not the machine.
const MOST_DEATHS: u32 = 10;

/// A job's results hold no more bytes than this, on disk and in memory: several times what a job server usually takes.
const MOST_RESULTS: u64 = 256 << 20;

/// The job in hand, for whoever looks ahead.
pub(crate) struct Hand {
    claim: Claim,
    since: Stopwatch,
    /// Records that were done when it was taken in hand; `None` until that is known.
    done_before: Option<u64>,
    done: u64,
    /// What a record of its plugin took in the job before.
    before: Option<Duration>,
}

impl Hand {
    pub(crate) fn take(claim: &Claim, before: Option<Duration>) -> Hand {
        Hand { claim: claim.clone(), since: Stopwatch::start(), done_before: None, done: 0, before }
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        self.claim.attempt
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    fn is_at(&mut self, done: u64) {
        self.done_before.get_or_insert(done);
        self.done = done;
    }

    /// Records done since it was taken in hand.
    fn here(&self) -> u64 {
        self.done.saturating_sub(self.done_before.unwrap_or(self.done))
    }

    /// What a record took; `None` when none was done.
    pub(crate) fn each(&self) -> Option<Duration> {
        let here = u32::try_from(self.here()).ok().filter(|here| *here > 0)?;
        Some(self.since.elapsed() / here)
    }

    pub(crate) fn outlook(&self) -> InHand {
        let since = self.since.elapsed();
        InHand { since, left: ahead::left(self.claim.records, self.done, self.here(), since, self.before) }
    }
}

/// Why the work on an attempt brought no results to hand in.
pub(crate) enum Unfinished {
    /// The job has to go back: its plugin or its data are at fault.
    Failed(String),
    /// The job has to go back, and the core has to end: the plugin does not come back from a block.
    Stuck(String),
    /// The job has to go back: its plugin is stopped, and its block was broken off.
    Halted(String),
    /// The job has to go back: this worker cannot do it now.
    Unable(String),
    /// The job has to go back: the disk takes no checkpoint.
    NoRoom(String),
    /// The job server fails at handing out the job's records.
    NoRecords(String),
    /// Nobody wants the attempt any more.
    NotWanted(String),
    /// The core drains and the server is away: the attempt stays on disk for the next core.
    Left,
    /// The core cannot go on.
    Broken(CoreError),
}

impl From<SpoolError> for Unfinished {
    fn from(error: SpoolError) -> Self {
        Unfinished::NoRoom(with_causes(&error))
    }
}

impl From<Broken> for Unfinished {
    fn from(error: Broken) -> Self {
        Unfinished::Broken(error.into())
    }
}

impl Desk {
    /// Does what is left to do of an attempt; the results are all on disk then.
    pub(crate) async fn work_on(
        &self,
        in_use: &InUse,
        ready: &Ready,
        hand: &Mutex<Option<Hand>>,
    ) -> Result<Finished, Unfinished> {
        let held = &ready.held;
        let attempt = held.clone();
        let written = match off(move || attempt.written()).await {
            Some(written) if written.results.len() as u64 == held.claim.records => {
                return Ok(finished(&held.claim, written));
            }
            written => written,
        };
        if let (Some(hand), Some(written)) = (&mut *lock(hand), &written) {
            hand.done = written.results.len() as u64;
        }
        let manifest = manifest_of(in_use, &held.claim)?;
        let Claim { job, attempt, plugin, records: total, .. } = &held.claim;
        tracing::info!(job, attempt, "working on job {job} with {plugin}");
        let done = || lock(hand).as_ref().map_or(0, Hand::done);
        let beaten = |done| {
            self.telling.say(FromCore::Working { job: *job, plugin: plugin.clone(), done, total: *total });
        };
        let longest = self.pace.heartbeat;
        tokio::select! {
            biased;
            reason = self.until_stopped(plugin) => Err(Unfinished::Halted(reason)),
            finished = self.process(ready, (in_use, manifest), written, hand) => finished,
            reason = beside::until_not_wanted(&*self.control, &held.claim, &ready.pulse, longest, done, beaten) => {
                Err(Unfinished::NotWanted(reason))
            }
        }
    }

    /// Processes the records block by block, as far as that is not done.
    async fn process(
        &self,
        Ready { held, records, .. }: &Ready,
        (in_use, manifest): (&InUse, &PluginManifest),
        written: Option<Written>,
        hand: &Mutex<Option<Hand>>,
    ) -> Result<Finished, Unfinished> {
        let records = match records.in_memory(manifest) {
            Some(records) => records,
            None => self.ready_records(in_use, held, Patience::Full).await?,
        };
        let data = self.data_for(&held.claim, manifest).await?;
        let (mut journal, mut so_far) = self.journal(held, &in_use.release, &records, written, data).await?;
        let data = so_far.origin.position.clone();
        let Claim { job, plugin, records: total, .. } = &held.claim;
        if held.inherited {
            let (attempt, done) = (held.clone(), so_far.results.len());
            if off(move || attempt.take_up(done)).await? > MOST_DEATHS {
                return Err(Unfinished::Failed(format!("{MOST_DEATHS} cores died after record {done} with {plugin}")));
            }
        }
        let mut jumps = self.awake().await;
        loop {
            let done = so_far.results.len();
            if let Some(hand) = &mut *lock(hand) {
                hand.is_at(done as u64);
            }
            self.bell.ring();
            let end = records.records.len().min(done + manifest.block as usize);
            let is_over = done == records.records.len();
            match is_over.then(|| fruitless(&so_far.results)).flatten() {
                Some(why) => {
                    let first = records.records.len().min(manifest.block as usize);
                    self.keep_failed(plugin, Part { of: Arc::clone(&records), places: 0..first }).await;
                    self.telling.say(FromCore::Failed { job: *job, plugin: plugin.clone(), why });
                }
                None => self.telling.working(*job, plugin, done as u64, *total),
            }
            if is_over {
                break;
            }
            let block = Part { of: Arc::clone(&records), places: done..end };
            let processed = self.process_block(manifest, block.clone()).await;
            if matches!(processed, Err(Unfinished::Failed(_) | Unfinished::Stuck(_))) {
                self.keep_failed(plugin, block).await;
            }
            let (block_results, time) = processed?;
            self.data_still_there(&held.claim, manifest, data.as_ref()).await?;
            self.moments.at(Moment::Processed { done: end as u64 }).await;

            // After a sleep the job may be another worker's, and the grid stopped.
            let now = self.awake().await;
            if std::mem::replace(&mut jumps, now) != now {
                self.is_still_wanted(&held.claim, done as u64).await?;
            }
            let (results, bytes);
            (journal, results, bytes) =
                off(move || journal.append(done, time, &block_results).map(|bytes| (journal, block_results, bytes)))
                    .await
                    .map_err(|error| Unfinished::NoRoom(format!("saving results on disk: {error}")))?;
            so_far.bytes += bytes;
            if so_far.bytes > MOST_RESULTS {
                return Err(Unfinished::Failed(format!(
                    "the results grow beyond {} MiB, more than a job server takes; hand the batch in with a smaller --job-size",
                    MOST_RESULTS >> 20
                )));
            }
            so_far.work += time;
            so_far.results.extend(results);
            self.moments.at(Moment::BlockSaved { done: so_far.results.len() as u64 }).await;
        }
        self.moments.at(Moment::Finished).await;
        Ok(finished(&held.claim, so_far))
    }

    /// Keeps records that came to nothing, before the launcher hears of it: it may want them done again.
    async fn keep_failed(&self, plugin: &str, block: Part) {
        let (failed, name) = (self.failed.clone(), plugin.to_owned());
        let keep = move || {
            let Block { columns, records } = block.block();
            failed.keep(&name, Records { columns: columns.to_vec(), records: records.to_vec() })
        };
        if let Err(error) = off(keep).await {
            tracing::warn!("keeping records that {plugin} failed at: {error}");
        }
    }

    /// Asks the job server for the lease after a sleep. One that is away changes nothing: late work is accepted while the
    /// job still needs it.
    async fn is_still_wanted(&self, claim: &Claim, done: u64) -> Result<(), Unfinished> {
        let heartbeat = Heartbeat { secret: claim.secret.clone(), done };
        match self.control.heartbeat(claim.attempt, &heartbeat).await {
            Ok(lease) if lease.lease_ms.is_none() => Err(Unfinished::NotWanted(lease.reason)),
            Err(ControlError::Refused(problem)) if judge(&problem) == Refusal::NotWanted => {
                Err(Unfinished::NotWanted(problem.detail))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// One result for each record of the block, and the time they took.
    async fn process_block(&self, manifest: &PluginManifest, block: Part) -> Result<(Results, Duration), Unfinished> {
        let plugin = &manifest.name;
        let longest = manifest.time_per_block * self.pace.block_limits + self.pace.block_grace;
        // SQLite looks at no alarm within a single function, and some take days over long texts.
        let Ok(done) = timeout(longest, self.bench.process(plugin, block.clone())).await else {
            let reason = format!("plugin {plugin} was not done with a block after {} s", longest.as_secs_f32());
            return Err(Unfinished::Stuck(reason));
        };
        let (results, time) = done?.map_err(|not_done| match not_done {
            NotDone::Failed(reason) => Unfinished::Failed(reason),
            NotDone::DataAway(reason) => {
                self.wait_for_data(plugin, &reason, None);
                Unfinished::Unable(reason)
            }
        })?;
        self.has_data(plugin);
        if results.ids().iter().eq(block.block().records.iter().map(|record| &record.id)) {
            Ok((results, time))
        } else {
            Err(Unfinished::Failed(format!("plugin {plugin} did not give one result for each record")))
        }
    }

    /// The job's records, from disk or from the server; they are on disk then.
    pub(crate) async fn ready_records(
        &self,
        in_use: &InUse,
        held: &HeldAttempt,
        patience: Patience,
    ) -> Result<Arc<Records>, Unfinished> {
        let manifest = manifest_of(in_use, &held.claim)?;
        let columns: Vec<String> = manifest.input.keys().cloned().collect();
        let attempt = held.clone();
        if let Some(records) = off(move || attempt.records()).await
            && records.columns == columns
        {
            return Ok(Arc::new(records));
        }
        let Claim { job, records: expected, .. } = &held.claim;
        let fetch = async || self.control.records(&held.claim, &columns).await;
        let Fetched { records, json } = match self.until_answered("fetching records", patience, fetch).await {
            Ok(fetched) => fetched,
            Err(Unanswered::Left) => return Err(Unfinished::Left),
            Err(Unanswered::Failing(how)) => return Err(Unfinished::NoRecords(how)),
            Err(Unanswered::Refused(problem)) => {
                return Err(match judge(&problem) {
                    Refusal::NotWanted => Unfinished::NotWanted(problem.detail),
                    Refusal::Unfit => Unfinished::Failed(problem.detail),
                });
            }
        };
        let count = records.records.len();
        if count as u64 != *expected || records.columns != columns {
            let reason = format!("job {job} has {expected} records, but {count} arrived, or other columns");
            return Err(Unfinished::Failed(reason));
        }
        self.moments.at(Moment::Fetched).await;
        self.awake().await;
        let attempt = held.clone();
        off(move || attempt.save_records(&json)).await?;
        self.moments.at(Moment::RecordsSaved).await;
        Ok(Arc::new(records))
    }

    /// The journal to append to, and what it holds already: the results of the same origin, else nothing.
    async fn journal(
        &self,
        held: &HeldAttempt,
        release: &ReleaseArgs,
        records: &Records,
        written: Option<Written>,
        position: Option<ReachedPosition>,
    ) -> Result<(Journal, Written), SpoolError> {
        let origin = Origin {
            attempt: held.claim.attempt,
            revision: held.claim.revision,
            plugin: held.claim.plugin.clone(),
            release: release.tag.clone(),
            commit: release.commit.clone(),
            position,
        };
        let held = held.clone();
        if let Some(written) = written {
            if goes_on(&written.origin, &origin) && are_results_of(&written.results, records) {
                tracing::info!("going on with job {} after {} records", held.claim.job, written.results.len());
                return off(move || held.continue_journal(&written).map(|journal| (journal, written))).await;
            }
            let of = &written.origin;
            tracing::info!(
                "beginning job {} again: its checkpoint is of {}, or of other data",
                held.claim.job,
                of.release
            );
        }
        let nothing = Written { origin, results: Results::default(), work: Duration::ZERO, bytes: 0 };
        off(move || held.begin_journal(&nothing.origin).map(|journal| (journal, nothing))).await
    }
}

pub(crate) fn finished(claim: &Claim, written: Written) -> Finished {
    let work_ms = u64::try_from(written.work.as_millis()).unwrap_or(u64::MAX);
    Finished {
        secret: claim.secret.clone(),
        provenance: Provenance {
            release: written.origin.release,
            commit: written.origin.commit,
            work_ms,
            position: written.origin.position,
        },
        results: written.results,
    }
}

/// Whether results that come `from` one origin can be gone on with `now`: the same but for the data, which may be newer.
/// What all of them hold at least are the data that were begun with.
fn goes_on(from: &Origin, now: &Origin) -> bool {
    let data = match (&from.position, &now.position) {
        (None, None) => true,
        (Some(from), Some(now)) => holds(now, &from.primary, &from.gtid),
        _ => false,
    };
    data && Origin { position: None, ..from.clone() } == Origin { position: None, ..now.clone() }
}

/// The manifest of a job's plugin, when that works in the release in use.
fn manifest_of<'a>(in_use: &'a InUse, claim: &Claim) -> Result<&'a PluginManifest, Unfinished> {
    let (Claim { plugin, .. }, InUse { release, catalogue, .. }) = (claim, in_use);
    catalogue.ready.get(plugin).ok_or_else(|| {
        let why = catalogue.left_out.get(plugin).map_or("it is not part of it", String::as_str);
        Unfinished::Unable(format!("plugin {plugin} does not run in release {}: {why}", release.tag))
    })
}

/// Why a job came to nothing although it is done: each of its records ended in an error.
fn fruitless(results: &Results) -> Option<String> {
    if results.errors() < results.len() {
        return None;
    }
    match results.decoded().into_iter().next()?.outcome {
        Outcome::Error(first) => {
            Some(format!("each of its {} records ended in an error, the first in: {first}", results.len()))
        }
        Outcome::Ok(_) => None,
    }
}

/// Whether `results` are those of the first of `records`.
fn are_results_of(results: &Results, records: &Records) -> bool {
    results.len() <= records.records.len()
        && results.ids().iter().zip(&records.records).all(|(id, record)| *id == record.id)
}

#[cfg(test)]
mod tests {
    use nightshift_wire::RecordResult;

    use super::*;

    #[test]
    fn results_are_gone_on_with_on_the_same_data_or_newer_ones_of_the_same_primary() {
        let origin = |position: Option<(&str, &str)>| Origin {
            attempt: 1,
            revision: 0,
            plugin: "p".into(),
            release: "v1.0.0".into(),
            commit: "c".into(),
            position: position.map(|(primary, gtid)| ReachedPosition { primary: primary.into(), gtid: gtid.into() }),
        };
        let from = origin(Some(("mariadb:1", "0-1-10")));
        assert!(goes_on(&from, &from) && goes_on(&from, &origin(Some(("mariadb:1", "0-1-11")))));
        for other in [Some(("mariadb:1", "0-1-9")), Some(("mariadb:2", "0-2-11")), None] {
            assert!(!goes_on(&from, &origin(other)), "{other:?}");
        }
        assert!(goes_on(&origin(None), &origin(None)) && !goes_on(&origin(None), &from));
        assert!(!goes_on(&from, &Origin { release: "v1.0.1".into(), ..from.clone() }));
    }

    #[test]
    fn a_job_came_to_nothing_when_each_of_its_records_ended_in_an_error() {
        let fruitless = |results: &[RecordResult]| fruitless(&results.into());
        let result = |id, outcome| RecordResult { id, outcome };
        let bad = result(1, Outcome::Error("no table".into()));
        let good = result(2, Outcome::Ok(std::collections::BTreeMap::new()));
        let why = fruitless(&[bad.clone(), bad.clone()]).expect("nothing");
        assert_eq!(why, "each of its 2 records ended in an error, the first in: no table");
        assert_eq!(fruitless(&[bad, good]), None);
        assert_eq!(fruitless(&[]), None);
    }
}
