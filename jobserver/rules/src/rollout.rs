//! How a release does, ring by ring, and which ring is opened or sent back for it.
//!
//! Evidence is what accepted jobs and workers' own reports say. A ring is open when every ring before it has shown enough
//! ([`Health::Confirmed`]), or when a signed tag opened it early; silence opens nothing. A ring shows enough by so many jobs, done no worse than with the release
//! before; or, on a grid without work, by the plugins' own samples, passed by half of its workers that are there. It does
//! worse ([`Health::Worse`]) when
//! - more workers than one in twenty report a bad trial,
//! - more records are errors, or more jobs fail, than the release before lets expect for the same plugins,
//! - half of its workers are slower than they were themselves, with the same plugins.
//!
//! A ring that does worse is sent back, and so are those after it, for good: whoever stores the verdict passes it in
//! again as a [`Halt`]. Rings before it keep what they have. Everything is counted with the release before: the highest
//! lower one that was not itself sent back or denied.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_wire::{Moment, TrialState, counted};
use semver::Version;

use crate::gates::version;

/// Jobs from which on a ring's errors and times are judged, where `min_jobs` is not less.
const JUDGED_FROM: u64 = 5;
/// A worker's time is compared where the release before lets expect at least this.
const TIME_THAT_TELLS_MS: u64 = 100;
/// One bad trial in so many is the machine's fault.
const BAD_TRIALS_IN: u64 = 20;
/// A worker not heard of for so long belongs to no ring.
pub const FORGOTTEN_AFTER_MS: u64 = 7 * 24 * 60 * 60_000;

/// What a worker did with a release and a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Tag of the release.
    pub release: String,
    /// The worker.
    pub worker: String,
    /// The plugin.
    pub plugin: String,
    /// Jobs accepted.
    pub jobs: u64,
    /// Their records.
    pub records: u64,
    /// Of these, errors.
    pub errors: u64,
    /// The time they took.
    pub work_ms: u64,
    /// Jobs that failed.
    pub failures: u64,
}

/// What a worker said about a release it tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Tag of the release.
    pub release: String,
    /// The worker.
    pub worker: String,
    /// How far the trial is, or how it ended.
    pub state: TrialState,
    /// Samples of plugins that passed.
    pub samples_passed: u64,
    /// Samples of plugins that did not.
    pub samples_failed: u64,
}

/// A ring that was sent back, and with it those after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// Tag of the release.
    pub release: String,
    /// The ring.
    pub ring: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// Everything that is known about some releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Work, by release, worker and plugin.
    pub work: Vec<Work>,
    /// Trials, by release and worker.
    pub trials: Vec<Trial>,
    /// What was sent back.
    pub halts: Vec<Halt>,
}

/// A ring of the plan and the workers in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RingFacts {
    /// Its name.
    pub name: String,
    /// Only tags lead into it.
    pub by_tag_alone: bool,
    /// Workers in it that were heard of lately.
    pub members: BTreeSet<String>,
    /// Of these, those that are there now.
    pub there: BTreeSet<String>,
}

/// How much worse a release may do, and how much it has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of all records that may be errors beyond what is expected.
    pub max_error_increase: u32,
    /// Thousandths of the expected time that a worker may need more.
    pub max_slowdown: u32,
    /// Jobs a ring has to do.
    pub min_jobs: u32,
}

/// What there is to judge about a release.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its tag.
    pub release: &'a str,
    /// Its rings, in their order.
    pub rings: &'a [RingFacts],
    /// What its plan allows.
    pub limits: Limits,
    /// What is known of it and of the releases before.
    pub evidence: &'a Evidence,
    /// Releases that nothing is compared with: denied ones.
    pub denied: &'a BTreeSet<String>,
    /// Its rings that signed tags opened early.
    pub promoted: &'a BTreeSet<String>,
    /// No job waits or runs.
    pub idle: bool,
}

/// Whether a ring's workers may have the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingVerdict {
    /// They may take it.
    Open,
    /// Not yet; says what for.
    Waiting(String),
    /// They go back, for good; says why.
    SentBack(String),
}

/// What a ring has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Enough, and nothing worse.
    Confirmed,
    /// Not enough yet; says how much of what.
    TooLittle(String),
    /// Worse than before; says how.
    Worse(String),
}

/// A ring's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its workers that did a job, or reported a trial, with the release.
    pub workers: u64,
    /// Jobs they did.
    pub jobs: u64,
    /// Records of these.
    pub records: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Errors that the release before lets expect, where it can be compared.
    pub expected_errors: Option<u64>,
    /// Jobs that failed.
    pub failures: u64,
    /// Thousandths of the expected time that the middle worker needed; 1000 is as before.
    pub pace: Option<u64>,
    /// Workers whose samples passed.
    pub samples_passed: u64,
    /// Workers whose trial was bad.
    pub bad_trials: u64,
}

/// A ring, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its name.
    pub ring: String,
    /// Whether its workers may have the release.
    pub verdict: RingVerdict,
    /// What it has shown.
    pub health: Health,
    /// The figures behind it.
    pub figures: Figures,
}

/// Judges every ring of a release, in their order.
pub fn judge(facts: &Facts<'_>) -> Vec<Judged> {
    let before = Before::of(facts);
    let mut judged: Vec<Judged> = Vec::with_capacity(facts.rings.len());
    let mut sent_back: Option<String> = None;
    for ring in facts.rings {
        let figures = figures(facts, &before, ring);
        let health = health(facts, &before, ring, &figures);
        let halted = facts.evidence.halts.iter().find(|halt| halt.release == facts.release && halt.ring == ring.name);
        if sent_back.is_none() {
            sent_back = match (halted, &health) {
                (Some(halt), _) => Some(halt.reason.clone()),
                (None, Health::Worse(why)) => Some(why.clone()),
                _ => None,
            };
        }
        let verdict = match &sent_back {
            Some(why) => RingVerdict::SentBack(why.clone()),
            None if facts.promoted.contains(&ring.name) => RingVerdict::Open,
            None => opening(&judged),
        };
        judged.push(Judged { ring: ring.name.clone(), verdict, health, figures });
    }
    judged
}

/// What has to be stored as a [`Halt`]: the first ring sent back that no halt says so of yet, and why.
pub fn to_halt(judged: &[Judged], release: &str, known: &[Halt]) -> Option<(String, String)> {
    let first = judged.iter().find_map(|ring| match &ring.verdict {
        RingVerdict::SentBack(why) => Some((ring.ring.clone(), why.clone())),
        _ => None,
    })?;
    let is_known = known.iter().any(|halt| halt.release == release && halt.ring == first.0);
    (!is_known).then_some(first)
}

/// Whether a ring is open, by what those before it have shown: each of them, also before one that was opened early.
fn opening(before: &[Judged]) -> RingVerdict {
    if let Some(last) = before.last().filter(|last| last.verdict != RingVerdict::Open) {
        return RingVerdict::Waiting(format!("ring {} is not open yet", last.ring));
    }
    let missing = before.iter().find_map(|ring| match &ring.health {
        Health::Confirmed => None,
        Health::TooLittle(why) | Health::Worse(why) => Some(why.clone()),
    });
    missing.map_or(RingVerdict::Open, RingVerdict::Waiting)
}

/// The release before, per plugin and worker.
struct Before<'a> {
    /// Records and errors of each plugin with the release before that ran it.
    errors: BTreeMap<&'a str, (u64, u64)>,
    /// Records and time of each worker with each plugin.
    own: BTreeMap<(&'a str, &'a str), (u64, u64)>,
    /// Jobs and failures of the release before.
    failures: Option<(u64, u64)>,
}

impl<'a> Before<'a> {
    fn of(facts: &Facts<'a>) -> Before<'a> {
        let halted = |release: &str| facts.evidence.halts.iter().any(|halt| halt.release == release);
        let this = version(facts.release);
        let mut earlier: Vec<(Version, &Work)> = facts
            .evidence
            .work
            .iter()
            .filter(|work| !facts.denied.contains(&work.release) && !halted(&work.release))
            .filter_map(|work| Some((version(&work.release)?, work)))
            .filter(|(version, _)| this.as_ref().is_some_and(|this| version < this))
            .collect();
        // The highest first: what a lower one says of the same thing is not looked at.
        earlier.sort_by(|(one, _), (other, _)| other.cmp(one));
        let mut before = Before { errors: BTreeMap::new(), own: BTreeMap::new(), failures: None };
        let (mut newest_of_plugin, mut newest) = (BTreeMap::new(), None);
        for (version, work) in &earlier {
            let plugin = work.plugin.as_str();
            if newest_of_plugin.entry(plugin).or_insert(version) == &version {
                let (records, errors) = before.errors.entry(plugin).or_default();
                *records += work.records;
                *errors += work.errors;
            }
            if newest.get_or_insert(version) == &version {
                let (jobs, failures) = before.failures.get_or_insert_default();
                *jobs += work.jobs;
                *failures += work.failures;
            }
            if work.records > 0 {
                before.own.entry((work.worker.as_str(), plugin)).or_insert((work.records, work.work_ms));
            }
        }
        before
    }
}

fn figures(facts: &Facts<'_>, before: &Before<'_>, ring: &RingFacts) -> Figures {
    let of_ring = |release: &str, worker: &str| release == facts.release && ring.members.contains(worker);
    let mut figures = Figures::default();
    let mut seen = BTreeSet::new();
    let mut paces: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for work in facts.evidence.work.iter().filter(|work| of_ring(&work.release, &work.worker)) {
        seen.insert(work.worker.as_str());
        figures.jobs += work.jobs;
        figures.records += work.records;
        figures.errors += work.errors;
        figures.failures += work.failures;
        if let Some((records, errors)) = before.errors.get(work.plugin.as_str()).filter(|(records, _)| *records > 0) {
            *figures.expected_errors.get_or_insert(0) += share(work.records, *errors, *records);
        } else if let Some(expected) = &mut figures.expected_errors {
            // A plugin that nothing is known of: what it does is what is expected of it.
            *expected += work.errors;
        }
        if let Some((records, work_ms)) = before.own.get(&(work.worker.as_str(), work.plugin.as_str())) {
            let (needed, expected) = paces.entry(&work.worker).or_default();
            *needed += work.work_ms;
            *expected += share(work.records, *work_ms, *records);
        }
    }
    for trial in facts.evidence.trials.iter().filter(|trial| of_ring(&trial.release, &trial.worker)) {
        seen.insert(trial.worker.as_str());
        figures.bad_trials += u64::from(trial.state == TrialState::Bad);
        let passed = trial.samples_passed > 0 && trial.samples_failed == 0;
        figures.samples_passed += u64::from(trial.state == TrialState::Good && passed);
    }
    let mut paces: Vec<u64> = paces
        .into_values()
        .filter(|(_, expected)| *expected >= TIME_THAT_TELLS_MS)
        .map(|(needed, expected)| share(1_000, needed, expected))
        .collect();
    paces.sort_unstable();
    figures.pace = paces.get(paces.len() / 2).copied();
    figures.workers = seen.len() as u64;
    figures
}

/// `of` × `part` / `whole`, without running over.
fn share(of: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(of) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn health(facts: &Facts<'_>, before: &Before<'_>, ring: &RingFacts, figures: &Figures) -> Health {
    if let Some(worse) = bad_trials(facts, ring, figures).or_else(|| worse(facts, before, ring, figures)) {
        return Health::Worse(worse);
    }
    let min_jobs = u64::from(facts.limits.min_jobs);
    if figures.jobs >= min_jobs {
        return Health::Confirmed;
    }
    if ring.members.is_empty() {
        return match ring.by_tag_alone {
            // A misspelt tag must not pass for a ring that did well.
            true => Health::TooLittle(format!("no worker belongs to ring {}: give one its tag", ring.name)),
            // In a small grid the draw may leave a ring to nobody.
            false => Health::Confirmed,
        };
    }
    let jobs = format!("{} of {min_jobs} jobs done in ring {}", figures.jobs, ring.name);
    if !facts.idle {
        return Health::TooLittle(jobs);
    }
    let there = ring.there.len() as u64;
    match figures.samples_passed {
        passed if passed > 0 && 2 * passed >= there => Health::Confirmed,
        passed => Health::TooLittle(format!(
            "{jobs}, no job waits, and samples passed on {passed} of the {there} workers of the ring that are there"
        )),
    }
}

fn bad_trials(facts: &Facts<'_>, ring: &RingFacts, figures: &Figures) -> Option<String> {
    let ended = |state| matches!(state, TrialState::Good | TrialState::Bad);
    let of_ring = |trial: &&Trial| trial.release == facts.release && ring.members.contains(&trial.worker);
    let tried = facts.evidence.trials.iter().filter(of_ring).filter(|trial| ended(trial.state)).count() as u64;
    (figures.bad_trials * BAD_TRIALS_IN > tried).then(|| {
        format!("its trial was bad on {} of {} of ring {}", figures.bad_trials, counted(tried, "worker"), ring.name)
    })
}

fn worse(facts: &Facts<'_>, before: &Before<'_>, ring: &RingFacts, figures: &Figures) -> Option<String> {
    let ended = figures.jobs + figures.failures;
    if ended < JUDGED_FROM.min(u64::from(facts.limits.min_jobs)) {
        return None;
    }
    let Limits { max_error_increase, max_slowdown, .. } = facts.limits;
    let (most, name) = (u64::from(max_error_increase), &ring.name);
    let per_mille = |part: u64, whole: u64| share(1_000, part, whole);
    if let Some(expected) = figures.expected_errors {
        let (is, was) = (per_mille(figures.errors, figures.records), per_mille(expected, figures.records));
        if is > was + most {
            let (is, was, most) = (percent(is), percent(was), percent(most));
            return Some(format!(
                "{is} of the records in ring {name} are errors, {was} were before; it may be {most} more"
            ));
        }
    }
    if let Some((jobs, failures)) = before.failures {
        let (is, was) = (per_mille(figures.failures, ended), per_mille(failures, jobs + failures));
        if is > was + most {
            let (is, was, most) = (percent(is), percent(was), percent(most));
            return Some(format!("{is} of the jobs in ring {name} failed, {was} did before; it may be {most} more"));
        }
    }
    let slower = figures.pace.filter(|pace| *pace > 1_000 + u64::from(max_slowdown))?;
    let (is, most) = (percent(slower - 1_000), percent(u64::from(max_slowdown)));
    Some(format!("workers of ring {name} need {is} more time than they did before; it may be {most}"))
}

/// Thousandths for people: `12.5 %`.
fn percent(per_mille: u64) -> String {
    match per_mille % 10 {
        0 => format!("{} %", per_mille / 10),
        tenth => format!("{}.{tenth} %", per_mille / 10),
    }
}

#[cfg(test)]
mod tests;
