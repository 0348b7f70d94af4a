//! The work on one attempt, from wherever it stands on disk to all its results or the reason why there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_contract::message::FromCore;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{Claim, Problem, Provenance, Record, RecordResult, Records, Submission};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::beside::{self, First};
use crate::causes::with_causes;
use crate::control::{ControlError, JobControl, Refusal, judge};
use crate::moments::{Moment, Moments};
use crate::orders::{self, Orders};
use crate::retry::{self, Failures, Patience, Then};
use crate::run::{CoreError, Pace, off};
use crate::spool::{HeldAttempt, Journal, Origin, SpoolError, Written};
use crate::telling::Telling;
use crate::workbench::{Broken, Catalogue, Workbench};

/// So many cores may die with an attempt without getting it any further; then the job is at fault, and not the machine.
const MOST_DEATHS: u32 = 10;

/// A job's results hold no more bytes than this, on disk and in memory: several times what a job server usually takes.
const MOST_RESULTS: u64 = 256 << 20;

/// What an attempt is worked on with.
pub(crate) struct Desk {
    pub(crate) control: Arc<dyn JobControl>,
    pub(crate) bench: Workbench,
    pub(crate) release: ReleaseArgs,
    pub(crate) catalogue: Catalogue,
    pub(crate) orders: watch::Receiver<Orders>,
    pub(crate) telling: Telling,
    pub(crate) moments: Box<dyn Moments>,
    pub(crate) pace: Pace,
}

/// Why the work on an attempt brought no results to hand in.
pub(crate) enum Unfinished {
    /// The job has to go back: its plugin or its data are at fault.
    Failed(String),
    /// The job has to go back, and the core has to end: the plugin does not come back from a block.
    Stuck(String),
    /// The job has to go back: this worker cannot do it now.
    Unable(String),
    /// The job has to go back: the disk takes no checkpoint.
    NoRoom(String),
    /// The job server fails at handing out the job's records.
    NoRecords(String),
    /// The results are on disk, and the job server fails at taking them.
    NotTaken(String),
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

/// Why a request has no answer.
pub(crate) enum Unanswered {
    /// It was refused for good.
    Refused(Problem),
    /// The core drains, and the server is away.
    Left,
    /// The server is there, but it fails at this; holds how.
    Failing(String),
}

impl Desk {
    /// Does what is left to do of `held`; the results are all on disk then.
    pub(crate) async fn work_on(&self, held: &HeldAttempt, patience: Patience) -> Result<Submission, Unfinished> {
        let attempt = held.clone();
        let written = match off(move || attempt.written()).await {
            Some(written) if written.results.len() as u64 == held.claim.records => {
                return Ok(submission(&held.claim, written));
            }
            written => written,
        };
        let Claim { job, attempt, plugin, .. } = &held.claim;
        let Some(manifest) = self.catalogue.ready.get(plugin) else {
            let why = self.catalogue.left_out.get(plugin).map_or("it is not part of it", String::as_str);
            let reason = format!("plugin {plugin} does not run in release {}: {why}", self.release.tag);
            return Err(Unfinished::Unable(reason));
        };

        let done = written.as_ref().map_or(0, |written| written.results.len());
        let first = if held.inherited { First::AtOnce } else { First::Later };
        let done = AtomicU64::new(done as u64);
        tracing::info!(job, attempt, "working on job {job} with {plugin}");
        tokio::select! {
            finished = self.process(held, manifest, written, &done, patience) => finished,
            reason = beside::until_not_wanted(&*self.control, &self.telling, &held.claim, &done, first) => {
                Err(Unfinished::NotWanted(reason))
            }
        }
    }

    /// Fetches the records and processes them block by block, as far as that is not done.
    async fn process(
        &self,
        held: &HeldAttempt,
        manifest: &PluginManifest,
        written: Option<Written>,
        progress: &AtomicU64,
        patience: Patience,
    ) -> Result<Submission, Unfinished> {
        let records = self.records(held, manifest, patience).await?;
        let (mut journal, mut so_far) = self.journal(held, &records, written).await?;
        let Claim { job, plugin, records: total, .. } = &held.claim;
        if held.inherited {
            let (attempt, done) = (held.clone(), so_far.results.len());
            if off(move || attempt.take_up(done)).await? > MOST_DEATHS {
                return Err(Unfinished::Failed(format!("{MOST_DEATHS} cores died after record {done} with {plugin}")));
            }
        }
        loop {
            let done = so_far.results.len();
            progress.store(done as u64, Ordering::Relaxed);
            self.telling.working(*job, plugin, done as u64, *total);
            let rest = &records.records[done..];
            if rest.is_empty() {
                break;
            }
            let block = &rest[..rest.len().min(manifest.block as usize)];
            let (results, time) = self.process_block(manifest, &records.columns, block).await?;
            self.moments.at(Moment::Processed { done: (done + block.len()) as u64 }).await;

            let to_append = Arc::clone(&results);
            let bytes;
            (journal, bytes) = off(move || journal.append(done, time, &to_append).map(|bytes| (journal, bytes)))
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
            so_far.results.extend(results.iter().cloned());
            self.moments.at(Moment::BlockSaved { done: so_far.results.len() as u64 }).await;
        }
        self.moments.at(Moment::Finished).await;
        Ok(submission(&held.claim, so_far))
    }

    /// One result for each record of the block, and the time they took.
    async fn process_block(
        &self,
        manifest: &PluginManifest,
        columns: &[String],
        block: &[Record],
    ) -> Result<(Arc<[RecordResult]>, Duration), Unfinished> {
        let records = Records { columns: columns.to_vec(), records: block.to_vec() };
        let plugin = &manifest.name;
        let longest = manifest.time_per_block * self.pace.block_limits + self.pace.block_grace;
        // SQLite looks at no alarm within a single function, and some take days over long texts.
        let Ok(done) = timeout(longest, self.bench.process(plugin, records)).await else {
            let reason = format!("plugin {plugin} was not done with a block after {} s", longest.as_secs_f32());
            return Err(Unfinished::Stuck(reason));
        };
        let (results, time) = done?.map_err(Unfinished::Failed)?;
        if results.iter().map(|result| result.id).eq(block.iter().map(|record| record.id)) {
            Ok((results.into(), time))
        } else {
            Err(Unfinished::Failed(format!("plugin {plugin} did not give one result for each record")))
        }
    }

    /// The job's records, from disk or from the server; they are on disk then.
    async fn records(
        &self,
        held: &HeldAttempt,
        manifest: &PluginManifest,
        patience: Patience,
    ) -> Result<Arc<Records>, Unfinished> {
        let columns: Vec<String> = manifest.input.keys().cloned().collect();
        let attempt = held.clone();
        if let Some(records) = off(move || attempt.records()).await
            && records.columns == columns
        {
            return Ok(Arc::new(records));
        }
        let Claim { job, records: expected, .. } = &held.claim;
        let fetch = async || self.control.records(&held.claim, &columns).await;
        let records = match self.until_answered("fetching records", patience, fetch).await {
            Ok(records) => Arc::new(records),
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
        let (attempt, to_save) = (held.clone(), Arc::clone(&records));
        off(move || attempt.save_records(&to_save)).await?;
        self.moments.at(Moment::RecordsSaved).await;
        Ok(records)
    }

    /// The journal to append to, and what it holds already: the results of the same origin, else nothing.
    async fn journal(
        &self,
        held: &HeldAttempt,
        records: &Records,
        written: Option<Written>,
    ) -> Result<(Journal, Written), SpoolError> {
        let origin = Origin {
            attempt: held.claim.attempt,
            revision: held.claim.revision,
            plugin: held.claim.plugin.clone(),
            release: self.release.tag.clone(),
            commit: self.release.commit.clone(),
        };
        let held = held.clone();
        if let Some(written) = written {
            if written.origin == origin && are_results_of(&written.results, records) {
                tracing::info!("going on with job {} after {} records", held.claim.job, written.results.len());
                return off(move || held.continue_journal(&written).map(|journal| (journal, written))).await;
            }
            tracing::info!("beginning job {} again: its checkpoint is of {}", held.claim.job, written.origin.release);
        }
        let nothing = Written { origin, results: Vec::new(), work: Duration::ZERO, bytes: 0 };
        off(move || held.begin_journal(&nothing.origin).map(|journal| (journal, nothing))).await
    }

    /// Asks until there is an answer, less and less often, or until [`retry::after_failure`] says that it is enough.
    pub(crate) async fn until_answered<T>(
        &self,
        doing: &str,
        patience: Patience,
        mut ask: impl AsyncFnMut() -> Result<T, ControlError>,
    ) -> Result<T, Unanswered> {
        let mut failures = Failures::default();
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(ControlError::Refused(problem)) => return Err(Unanswered::Refused(problem)),
                Err(error) => error,
            };
            failures.tries += 1;
            failures.faults += u32::from(matches!(error, ControlError::Failing(_)));
            match retry::after_failure(failures, patience, self.drain().is_some()) {
                Then::AskAgain => self.wait_for_server(doing, failures.tries, &error).await,
                Then::Leave => return Err(Unanswered::Left),
                Then::SetAside => return Err(Unanswered::Failing(with_causes(&error))),
            }
        }
    }

    /// Waits before the server is asked again; a new order ends the wait.
    pub(crate) async fn wait_for_server(&self, doing: &str, failures: u32, error: &ControlError) {
        let why = with_causes(error);
        if failures == 1 {
            tracing::warn!("{doing}: {why}; trying again");
        }
        self.telling.say(FromCore::Waiting(format!("the job server ({doing}): {why}")));
        self.pause(retry::wait(failures, self.pace.away_first, self.pace.away_most, fastrand::f64())).await;
    }

    /// Waits for `time`, or until the launcher orders something.
    pub(crate) async fn pause(&self, time: Duration) {
        let mut orders = self.orders.clone();
        let now = orders.borrow_and_update().clone();
        tokio::select! {
            () = sleep(time) => {}
            () = orders::until(&mut orders, |orders| (*orders != now).then_some(())) => {}
        }
    }

    /// The same, for waits so long that a core which drains already must not begin them.
    pub(crate) async fn pause_unless_draining(&self, time: Duration) {
        if self.drain().is_none() {
            self.pause(time).await;
        }
    }

    /// Why the core drains, when it does.
    pub(crate) fn drain(&self) -> Option<String> {
        self.orders.borrow().drain.clone()
    }
}

fn submission(claim: &Claim, written: Written) -> Submission {
    let work_ms = u64::try_from(written.work.as_millis()).unwrap_or(u64::MAX);
    Submission {
        secret: claim.secret.clone(),
        provenance: Provenance { release: written.origin.release, commit: written.origin.commit, work_ms },
        results: written.results,
    }
}

/// Whether `results` are those of the first of `records`.
fn are_results_of(results: &[RecordResult], records: &Records) -> bool {
    results.len() <= records.records.len()
        && results.iter().zip(&records.records).all(|(result, record)| result.id == record.id)
}
