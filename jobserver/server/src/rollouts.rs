//! How releases spread, as this server judges it: the store's figures, the newest look at the repository and the workers'
//! reports, put before `rules::rollout`.
//!
//! 1. Attempts that were accepted or failed are collected here ([`Rollouts::count`]) and counted in the store a little
//!    later; those of a server that is killed in between are forgotten, and so are those of which the store does not say
//!    whether it counted them.
//! 2. A view is made when somebody asks and the last one is older than [`FRESH_MS`], else the last one is told.
//! 3. A ring that does worse is stored as sent back before anybody hears of it, so that it stays so on every server.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::rollout::{Holds, Plan};
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_rules::gates::HEARD_OF_MS;
use nightshift_rules::rollout::{
    self, Evidence, FORGOTTEN_AFTER_MS, Facts, Halt, Judged, Limits, RingFacts, RingVerdict,
};
use nightshift_store::{KnownRelease, StoreError};
use nightshift_wire::{
    AttemptId, FoundBad, Moment, RingState, Rollout, RolloutRing, TrialReport, TrialState, Worker, counted,
};
use sha2::{Digest, Sha256};

use crate::api::grid::ACTIVE;
use crate::app::App;
use crate::catalogue::Catalogue;
use crate::refused::chain;

/// A view is told again for so long.
const FRESH_MS: u64 = 1_000;
/// Releases that are judged: the ones noted last.
const JUDGED: u32 = 8;
/// Attempts that wait to be counted, at most: a store that is away for hours costs evidence, not memory.
const MOST_UNCOUNTED: usize = 100_000;

/// What a worker says of its trial again is written again after this time: meanwhile another server of the store may have
/// written another word of that worker.
const SAID_MS: u64 = 60_000;
/// Workers whose last word on a trial is remembered; more than a grid has.
const MOST_SAID: usize = 100_000;

/// What is known of releases that spread.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    uncounted: Mutex<Vec<AttemptId>>,
    /// What each worker said last about its trial, and when it was written into the store.
    said: Mutex<HashMap<String, (TrialReport, Moment)>>,
    last: tokio::sync::Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    view: Option<(Moment, Arc<View>)>,
    noted: Vec<KnownRelease>,
}

/// How releases spread, the newest first, and a name for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) etag: String,
    pub(crate) rollouts: Vec<Rollout>,
}

impl Rollouts {
    /// An attempt ended by which its release is judged.
    pub(crate) fn count(&self, attempt: AttemptId) {
        let mut uncounted = self.uncounted.lock().unwrap_or_else(PoisonError::into_inner);
        if uncounted.len() < MOST_UNCOUNTED {
            uncounted.push(attempt);
        }
    }

    /// Keeps what a worker says about its trial, when it says something else than before: it says it every half minute.
    pub(crate) async fn note_trial(&self, app: &App, worker: &str, trial: &TrialReport) -> Result<(), StoreError> {
        let now = app.clock.now();
        let known = || self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if known().get(worker).is_some_and(|known| is_said(known, trial, now)) {
            return Ok(());
        }
        app.store.note_trial(worker, trial, now).await?;
        let mut known = known();
        if known.len() >= MOST_SAID {
            known.clear();
        }
        known.insert(worker.to_owned(), (trial.clone(), now));
        Ok(())
    }

    /// Counts in the store what was collected.
    pub(crate) async fn write_down(&self, app: &App) -> Result<(), StoreError> {
        // A worker's row is written once for all that it did among them; the store is held up for some milliseconds.
        const AT_ONCE: usize = 2_000;
        loop {
            let some: Vec<AttemptId> = {
                let mut uncounted = self.uncounted.lock().unwrap_or_else(PoisonError::into_inner);
                let rest = uncounted.len().saturating_sub(AT_ONCE);
                uncounted.split_off(rest)
            };
            if some.is_empty() {
                return Ok(());
            }
            // What comes in meanwhile is counted the next time, or a busy server would never have done.
            let all = some.len() < AT_ONCE;
            match app.store.count_work(&some).await {
                Ok(()) => {}
                // Evidence that is missing is less than what is counted twice.
                Err(error @ StoreError::Unknown { .. }) => {
                    let ended = counted(some.len() as u64, "attempt");
                    tracing::warn!("{ended} may be missing in what releases are judged by: {}", chain(&error));
                }
                Err(error) => {
                    self.uncounted.lock().unwrap_or_else(PoisonError::into_inner).extend(some);
                    return Err(error);
                }
            }
            if all {
                return Ok(());
            }
        }
    }

    /// How releases spread.
    pub(crate) async fn view(&self, app: &App) -> Result<Arc<View>, StoreError> {
        let mut last = self.last.lock().await;
        let now = app.clock.now();
        if let Some((at, view)) = &last.view
            && (*at..at.saturating_add_unsigned(FRESH_MS)).contains(&now)
        {
            return Ok(Arc::clone(view));
        }
        self.write_down(app).await?;
        let catalogue = app.releases.now();
        if catalogue.known != last.noted {
            // The one that is offered comes last: of those that are noted, the last ones are judged.
            for known in &catalogue.known {
                app.store.note_release(known, now).await?;
            }
            last.noted.clone_from(&catalogue.known);
            // What was said of a release that is another object now is forgotten in the store.
            self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let rollouts = judge_all(app, &catalogue, now).await?;
        let written = serde_json::to_vec(&rollouts).unwrap_or_default();
        let view = Arc::new(View { etag: format!("{:x}", Sha256::digest(written))[..16].to_owned(), rollouts });
        last.view = Some((now, Arc::clone(&view)));
        Ok(view)
    }
}

/// Whether a word on a trial is in the store, as far as this server knows.
fn is_said((said, at): &(TrialReport, Moment), trial: &TrialReport, now: Moment) -> bool {
    said == trial && (*at..at.saturating_add_unsigned(SAID_MS)).contains(&now)
}

async fn judge_all(app: &App, catalogue: &Catalogue, now: Moment) -> Result<Vec<Rollout>, StoreError> {
    let holds = &catalogue.holds;
    let mut releases = app.store.known_releases(JUDGED).await?;
    releases.sort_by_key(|release| std::cmp::Reverse(ReleaseVersion::parse_tag(&release.tag).ok()));
    let tags: Vec<String> = releases.iter().map(|release| release.tag.clone()).collect();
    let mut evidence = app.store.evidence(&tags).await?;
    let workers = app.store.workers().await?;
    let counts = app.store.counts(now.saturating_sub_unsigned(ACTIVE.as_millis() as u64)).await?;
    let denied: BTreeSet<String> = holds.denies.iter().map(|deny| deny.release.tag()).collect();
    let grid = Grid { workers: &workers, denied: &denied, idle: counts.jobs_waiting + counts.jobs_running == 0, now };
    let mut rollouts = Vec::with_capacity(releases.len());
    for release in &releases {
        let plan = plan_of(release);
        let promotions = catalogue.promotions.iter().filter(|promotion| promotion.version.tag() == release.tag);
        let promoted = promotions.map(|promotion| promotion.ring.clone()).collect();
        let judged = plan.as_ref().map(|plan| grid.judge(&release.tag, plan, &promoted, &evidence)).unwrap_or_default();
        if let Some((ring, reason)) = rollout::to_halt(&judged, &release.tag, &evidence.halts) {
            tracing::warn!(release = release.tag, ring, "{} is sent back from ring {ring} on: {reason}", release.tag);
            let halt = Halt { release: release.tag.clone(), ring, reason, at: now };
            app.store.note_halt(&halt).await?;
            evidence.halts.push(halt);
        }
        rollouts.push(grid.shown(release, plan.as_ref(), judged, holds, &evidence));
    }
    Ok(rollouts)
}

/// The plan of a release that was believed, and so could be read then.
fn plan_of(release: &KnownRelease) -> Option<Plan> {
    GridSettings::parse(&release.settings, SETTINGS_FILE).ok()?.rollout
}

/// What is the same for every release.
struct Grid<'a> {
    workers: &'a [Worker],
    denied: &'a BTreeSet<String>,
    idle: bool,
    now: Moment,
}

impl Grid<'_> {
    fn judge(&self, tag: &str, plan: &Plan, promoted: &BTreeSet<String>, evidence: &Evidence) -> Vec<Judged> {
        let mut rings: Vec<RingFacts> = plan
            .rings
            .iter()
            .map(|ring| RingFacts {
                name: ring.name.clone(),
                by_tag_alone: ring.is_by_tag_alone(),
                ..RingFacts::default()
            })
            .collect();
        let heard_of = |worker: &Worker, within| worker.last_seen.saturating_add_unsigned(within) >= self.now;
        for worker in self.workers.iter().filter(|worker| heard_of(worker, FORGOTTEN_AFTER_MS)) {
            let name = &worker.report.worker;
            let ring = &mut rings[plan.ring_of(name, &worker.tags, tag)];
            ring.members.insert(name.clone());
            if heard_of(worker, HEARD_OF_MS) {
                ring.there.insert(name.clone());
            }
        }
        let limits = Limits {
            max_error_increase: plan.max_error_increase,
            max_slowdown: plan.max_slowdown,
            min_jobs: plan.min_jobs,
        };
        let (denied, idle) = (self.denied, self.idle);
        rollout::judge(&Facts { release: tag, rings: &rings, limits, evidence, denied, promoted, idle })
    }

    fn shown(
        &self,
        release: &KnownRelease,
        plan: Option<&Plan>,
        judged: Vec<Judged>,
        holds: &Holds,
        evidence: &Evidence,
    ) -> Rollout {
        let tag = &release.tag;
        let denied = ReleaseVersion::parse_tag(tag).ok().and_then(|version| holds.denied(version));
        let held = match (denied, &holds.unreadable, &holds.pause) {
            (Some(reason), _, _) => Some(format!("denied: {reason}")),
            (None, Some(why), _) => Some(format!("nobody moves: {why}")),
            (None, None, Some(why)) => Some(format!("paused: {why}")),
            (None, None, None) => None,
        };
        let has_it = |worker: &&Worker| worker.report.release == *tag;
        let rings = plan.map(|plan| plan.rings.as_slice()).unwrap_or_default().iter().zip(judged).enumerate();
        let rings = rings.map(|(place, (ring, judged))| {
            let of_ring: Vec<&Worker> = self
                .workers
                .iter()
                .filter(|worker| worker.last_seen.saturating_add_unsigned(FORGOTTEN_AFTER_MS) >= self.now)
                .filter(|worker| {
                    plan.is_some_and(|plan| plan.ring_of(&worker.report.worker, &worker.tags, tag) == place)
                })
                .collect();
            let (state, reason) = match (denied, judged.verdict) {
                (Some(reason), _) => (RingState::SentBack, format!("{tag} is denied: {reason}")),
                (None, RingVerdict::Open) => (RingState::Open, String::new()),
                (None, RingVerdict::Waiting(why)) => (RingState::Waiting, why),
                (None, RingVerdict::SentBack(why)) => (RingState::SentBack, why),
            };
            let figures = judged.figures;
            RolloutRing {
                name: judged.ring,
                state,
                reason,
                workers: of_ring.len() as u64,
                on_release: of_ring.iter().copied().filter(has_it).count() as u64,
                jobs: figures.jobs,
                records: figures.records,
                errors: figures.errors,
                expected_errors: figures.expected_errors,
                failures: figures.failures,
                pace: figures.pace,
                samples_passed: figures.samples_passed,
                bad_trials: figures.bad_trials,
                not_before: ring.not_before.map(|moment| moment.as_millisecond()),
                window: ring.window.as_ref().map(ToString::to_string),
            }
        });
        Rollout {
            release: tag.clone(),
            held,
            denied: denied.map(ToOwned::to_owned),
            rings: rings.collect(),
            on_release: self.workers.iter().filter(has_it).count() as u64,
            found_bad: self.found_bad(tag, evidence),
        }
    }

    /// Workers that say their trial of this release was bad, and what the first of them says about it.
    fn found_bad(&self, tag: &str, evidence: &Evidence) -> Option<FoundBad> {
        let bad = evidence.trials.iter().filter(|trial| trial.release == tag && trial.state == TrialState::Bad);
        let bad: BTreeSet<&str> = bad.map(|trial| trial.worker.as_str()).collect();
        let bad: Vec<&Worker> =
            self.workers.iter().filter(|worker| bad.contains(worker.report.worker.as_str())).collect();
        let of_it = |said: &&String| said.split_whitespace().next() == Some(tag);
        let says = bad.iter().find_map(|worker| worker.report.refused.iter().find(of_it));
        (!bad.is_empty())
            .then(|| FoundBad { workers: bad.len() as u64, says: says.map(ToOwned::to_owned).unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_on_a_trial_is_written_again_when_it_is_another_or_a_minute_old() {
        let word = |state| TrialReport {
            release: "v1.1.0".to_owned(),
            ring: "canary".to_owned(),
            state,
            samples_passed: 3,
            samples_failed: 0,
        };
        let said = (word(TrialState::Good), 1_000);
        assert!(is_said(&said, &word(TrialState::Good), 60_999));
        assert!(!is_said(&said, &word(TrialState::Bad), 2_000));
        assert!(!is_said(&said, &word(TrialState::Good), 61_000), "another server may have written another word");
        assert!(!is_said(&said, &word(TrialState::Good), 999), "the clock went back");
    }
}
