//! A visit to the central repository: one look, then a sync unless the grid is stopped; said in plain words.
//!
//! The stop flag is read before any release is considered, and nothing is switched in while it stands. What the last
//! look that really saw the repository said stays true while the repository is out of reach: a stop flag too.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightshift_contract::layout::StateDir;
use nightshift_engine::{
    Counts, Engine, Event, FREE, Fault, Held, Look, Means, Moment, OpenError, Release, SlotError, Source, StopFlag,
    Sync, SyncError, Unfetched,
};
use nightshift_manifest::causes::in_one_line;
use nightshift_manifest::rollout::HeldBack;
use nightshift_manifest::select;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::stop::{self, Who};
use nightshift_wire::{TrialReport, TrialState};

use crate::clock;
use crate::rollout::Openings;

/// The clone of the central repository and what it says.
#[derive(Debug)]
pub struct Repository {
    engine: Engine,
    /// The release that was in force when somebody was told last, by its tag object.
    told: Option<String>,
    /// Whose it is: the worker's id and the name of its machine.
    whose: (String, String),
    /// What the job server says is stopped.
    heard: Vec<StopFlag>,
    /// What is known of rings; without it nothing holds releases back.
    openings: Option<Openings>,
    /// Says to whoever waits whether a visit is at its look.
    is_looking: Arc<AtomicBool>,
}

/// What one step of a visit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In plain words.
    pub found: String,
    /// What a person can do; empty when it went well.
    pub next: String,
}

/// What a visit found.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The repository was really looked at.
    pub looked: bool,
    /// The stop flags that stand, as far as a look could see.
    pub stops: Vec<StopFlag>,
    /// Why the repository could not be looked at or fetched from, when it could not.
    pub trouble: Option<String>,
    /// The look.
    pub look: Found,
    /// The sync, and the release in force after it.
    pub sync: Found,
    /// The release in force after it.
    pub release: Option<Release>,
    /// Its settings; the defaults while there is no release.
    pub settings: GridSettings,
    /// Another release came into force.
    pub switched: bool,
    /// The release in force is on trial.
    pub on_trial: bool,
    /// What the release that was in force before is suspected of; the last good one is in force and has to do better.
    pub suspected: Option<Fault>,
    /// What is to be said about the release that was tried last.
    pub trial: Option<TrialReport>,
    /// Releases that are offered and refused, with the reason.
    pub refused: Vec<String>,
    /// Releases that are good and held back, with the reason.
    pub held: Vec<Held>,
    /// Why no new release may come in, when what was trusted here is lost.
    pub safe_mode: Option<String>,
    /// What was found damaged and made good since the visit before.
    pub repairs: Counts,
    /// When the repository was really looked at last.
    pub last_look: Option<Moment>,
}

impl Repository {
    /// Opens the clone, or begins one.
    ///
    /// # Errors
    /// When the state folder cannot be used.
    pub fn open(
        source: Source,
        state: &StateDir,
        means: Means,
        is_looking: Arc<AtomicBool>,
    ) -> Result<Repository, RepositoryError> {
        let mut engine = Engine::open(source, state.clone())?;
        engine.try_by(means)?;
        let told = engine.in_force().map(|release| release.tag_id);
        Ok(Repository { engine, told, whose: Default::default(), heard: Vec::new(), openings: None, is_looking })
    }

    /// Says whose it is, and what the job server says is stopped: what stops this worker keeps releases out.
    pub fn know(&mut self, worker: &str, host: &str, heard: &[StopFlag]) {
        self.whose = (worker.to_owned(), host.to_owned());
        self.heard = heard.to_vec();
    }

    /// Takes releases only when their rings are open, from now on.
    pub fn go_by(&mut self, openings: Openings) {
        self.openings = Some(openings);
    }

    /// Looks, and syncs what moved.
    pub fn visit(&mut self) -> Visit {
        let mut sync = Ok(Sync::default());
        let mut trouble = None;
        let mut went_back = None;
        self.is_looking.store(true, Ordering::Relaxed);
        let looked = self.engine.look(&clock::moment());
        self.is_looking.store(false, Ordering::Relaxed);
        let has_looked = looked.is_ok();
        let look = match looked {
            Ok(look) => match self.what_holds_releases(&look.stops) {
                Some(flags) => Found::bad(format!("stop flag: {flags}"), "start the grid again with: nightshift start"),
                None => {
                    went_back = self.go_back(&look);
                    sync = self.sync(&look).map_err(|error| Found::failed(&error, "the next cycle tries again"));
                    trouble = match &sync {
                        Ok(sync) => sync.unfetched.first().map(ToString::to_string),
                        Err(failed) => Some(failed.found.clone()),
                    };
                    match StopFlag::in_words(&look.stops) {
                        None => Found::good("the repository answered; no stop flag"),
                        Some(flags) => Found::good(format!("the repository answered; stop flags: {flags}")),
                    }
                }
            },
            Err(error) => {
                trouble = Some(chain(&error));
                Found::failed(&error, "check the network, and the repository's address in worker.toml")
            }
        };
        let release = self.engine.in_force();
        let (settings, unreadable) = match release.as_ref().map(|release| self.settings(release)) {
            None => (GridSettings::default(), None),
            Some(Ok(settings)) => (settings, None),
            Some(Err(found)) => (GridSettings::default(), Some(found)),
        };
        let last = self.engine.last_look();
        let in_force = release.as_ref().map(|release| release.tag_id.clone());
        let switched = in_force != self.told;
        self.told = in_force;
        let rolled_back =
            sync.iter().flat_map(|sync| &sync.held).filter(|held| self.engine.is_rolled_back(&held.tag_id));
        let rolled_back: Vec<String> =
            rolled_back.map(|held| format!("{} was rolled back here: {}", held.tag, held.why)).collect();
        let is_good = rolled_back.is_empty();
        let nothing_fetched = trouble.is_some() && release.is_none();
        Visit {
            stops: last.map(|last| last.stops.clone()).unwrap_or_default(),
            last_look: last.map(|last| last.at.clone()),
            trouble,
            look,
            switched,
            looked: has_looked,
            on_trial: self.engine.on_trial().is_some(),
            suspected: self.engine.suspected().map(|(_, fault)| fault),
            trial: self.trial(release.as_ref(), sync.as_ref().ok(), &settings),
            refused: sync.iter().flat_map(|sync| &sync.refused).map(ToString::to_string).chain(rolled_back).collect(),
            held: sync.iter().flat_map(|sync| &sync.held).cloned().collect(),
            safe_mode: self.engine.safe_mode().map(str::to_owned),
            repairs: self.engine.take_repairs(),
            sync: match (unreadable, sync) {
                _ if self.engine.safe_mode().is_some() => {
                    Found::bad(self.engine.safe_mode().unwrap_or_default(), SAFE_MODE)
                }
                (Some(found), _) | (None, Err(found)) => found,
                (None, Ok(sync)) if nothing_fetched && sync.unfetched.is_empty() => {
                    Found::bad("no release is in force, and none could be fetched", "correct the look first")
                }
                (None, Ok(sync)) => {
                    let words = match sync_in_words(release.as_ref(), self.engine.on_trial().is_some(), &sync) {
                        Found { found, next } if next.is_empty() && !is_good => Found::bad(found, ROLLED_BACK),
                        found => found,
                    };
                    back_in_words(went_back, words)
                }
            },
            release,
            settings,
        }
    }

    /// What this worker says about its last trial. A release that is in force and not on trial is good; it got there by its
    /// plugins' own samples, and by work.
    fn trial(&self, release: Option<&Release>, sync: Option<&Sync>, settings: &GridSettings) -> Option<TrialReport> {
        let says = |release: String, state, ring, samples_passed| {
            Some(TrialReport { release, ring, state, samples_passed, samples_failed: 0 })
        };
        if let Some((suspected, _)) = self.engine.suspected() {
            return says(suspected, TrialState::Unknown, String::new(), 0);
        }
        let mut held = sync.iter().flat_map(|sync| &sync.held);
        if let Some(bad) = held.find(|held| self.engine.is_rolled_back(&held.tag_id)) {
            return says(bad.tag.clone(), TrialState::Bad, String::new(), 0);
        }
        let release = release?;
        let plan = settings.rollout.as_ref();
        let ring = plan.zip(self.openings.as_ref()).map(|(plan, openings)| openings.ring(&release.tag, plan));
        let state = if self.engine.on_trial().is_some() { TrialState::Running } else { TrialState::Good };
        let samples = release.plugins().map_or(0, |plugins| u32::try_from(plugins.len()).unwrap_or(u32::MAX));
        says(release.tag.clone(), state, ring.unwrap_or_default(), samples)
    }

    /// The flags because of which no release is switched in here; `None` when there are none.
    fn what_holds_releases(&self, seen: &[StopFlag]) -> Option<String> {
        let release = self.engine.in_force().map(|release| release.tag).unwrap_or_default();
        let who = Who { worker: &self.whose.0, host: &self.whose.1, release: &release };
        let mut all = seen.to_vec();
        all.extend(self.heard.iter().filter(|heard| !seen.contains(heard)).cloned());
        stop::holds_releases(&all, who).then(|| StopFlag::in_words(&all)).flatten()
    }

    /// Asks which rings are open, when that matters here, and leaves a release that is denied or sent back: what was left,
    /// and why; or why it could not be left.
    fn go_back(&mut self, look: &Look) -> Option<Result<String, String>> {
        let in_force = self.engine.in_force();
        let plan = in_force.as_ref().and_then(|release| release.settings().ok()?.rollout);
        let openings = self.openings.as_mut()?;
        if plan.is_some() || !select::plan(&look.tags, self.engine.trust()).judge.is_empty() {
            openings.ask();
        }
        let why: HeldBack = openings.go_back(in_force?.version, plan.as_ref(), &look.holds)?;
        Some(match self.engine.go_back(&why.to_string(), &look.holds) {
            Ok(went) => Ok(format!("went back from {} to {}, because {why}", went.from.tag, went.to.tag)),
            Err(error) => Err(format!("{why}; {}", chain(&error))),
        })
    }

    /// Brings the highest good release into force that its plan, `rollout.toml` and the rings let through.
    fn sync(&mut self, look: &Look) -> Result<Sync, SyncError> {
        match &self.openings {
            Some(openings) => self.engine.sync(look, &|release| openings.gate(release, &look.holds)),
            None => self.engine.sync(look, FREE),
        }
    }

    /// The settings of a release. A damaged slot is staged again before giving up.
    fn settings(&self, release: &Release) -> Result<GridSettings, Found> {
        let settings = release.settings().or_else(|unreadable| match self.engine.verify_slot(release) {
            Ok(()) => release.settings(),
            Err(_) => Err(unreadable),
        });
        settings.map_err(|error| Found::failed(&error, "check the disk; the defaults count meanwhile"))
    }

    /// Keeps the files of these releases, which a core may still read, whatever comes into force.
    pub fn keep<'r>(&mut self, in_use: impl IntoIterator<Item = &'r Release>) {
        self.engine.keep(in_use);
    }

    /// Takes in what the trial of a release showed.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn judge(&mut self, event: Event) -> Result<(), SyncError> {
        self.engine.judge(event).map(drop)
    }

    /// Checks every file of a release against its signed tree.
    ///
    /// # Errors
    /// When a file is not what was signed.
    pub fn verify(&self, release: &Release) -> Result<(), SlotError> {
        self.engine.verify_slot(release)
    }
}

/// The clone or the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What boot and the last cycle left cannot be taken in.
    #[error(transparent)]
    Left(#[from] SyncError),
}

impl Found {
    /// It went well.
    pub fn good(found: impl Into<String>) -> Found {
        Found { found: found.into(), next: String::new() }
    }

    /// It needs attention.
    pub fn bad(found: impl Into<String>, next: impl Into<String>) -> Found {
        Found { found: found.into(), next: next.into() }
    }

    /// It failed.
    pub fn failed(error: &(dyn Error + 'static), next: &str) -> Found {
        Found::bad(chain(error), next)
    }
}

/// What a person can do when what was trusted on a worker is lost.
pub const SAFE_MODE: &str = "check the disk; then put a copy of trust.a.json back from a backup, or remove trust.*.json, slots \
                             and in-force from the state folder: the worker then trusts the repository afresh, from the \
                             pinned keys on";
/// What a person can do about releases that were rolled back.
const ROLLED_BACK: &str = "mend the release that was rolled back, and cut it under a higher version";

/// What a person can do about refused releases.
const REFUSED: &str = "correct the refused release, or delete its tag from the repository";

fn sync_in_words(release: Option<&Release>, on_trial: bool, sync: &Sync) -> Found {
    let mut words = vec![match release {
        Some(release) if on_trial => format!("{} is in force, on trial, signed by {}", release.tag, release.signer),
        Some(release) => format!("{} is in force, signed by {}", release.tag, release.signer),
        None => "no release is in force".to_owned(),
    }];
    words.extend(sync.notes.iter().cloned());
    words.extend(sync.held.first().map(ToString::to_string));
    words.extend(sync.unfetched.iter().map(ToString::to_string));
    // The report lists every refusal; here the first stands for all.
    words.extend(sync.refused.first().map(ToString::to_string));
    match sync.refused.len() {
        0 | 1 => {}
        number => words.push(format!("{} more are refused, too", number - 1)),
    }
    let words = words.join("; ");
    match (sync.refused.is_empty(), sync.unfetched.is_empty(), release) {
        (true, true, Some(_)) => Found::good(words),
        (true, true, None) => Found::bad(words, "make the first one with: nightshift release cut 1.0.0"),
        (true, false, _) => Found::bad(words, Unfetched::ADVICE),
        (false, true, _) => Found::bad(words, REFUSED),
        (false, false, _) => Found::bad(words, format!("{}; {REFUSED}", Unfetched::ADVICE)),
    }
}

/// What a step back adds to what a sync found. A release that was left is a release that was rolled back.
fn back_in_words(went_back: Option<Result<String, String>>, sync: Found) -> Found {
    const LEFT: &str = "mend the release that was left and cut it under a higher version";
    match went_back {
        None => sync,
        Some(Ok(went)) => Found::bad(format!("{}; {went}", sync.found), LEFT),
        Some(Err(why)) => Found::bad(format!("{}; {why}", sync.found), LEFT),
    }
}

/// An error with everything behind it, on one line.
pub fn chain(error: &dyn Error) -> String {
    in_one_line(error)
}
