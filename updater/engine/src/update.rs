//! The update of a worker that tries releases before it believes in them. The stages are decided in
//! `updater/manifest/src/trial.rs`; here they are made durable, in this order:
//!
//! 1. stage: the slot, with the programs it brings, is whole and in its place;
//! 2. self-check ([`Check`]): its programs start, its plugins pass their own samples;
//! 3. `trial.json` says *switched*: **this is the switch**. The memory of releases still names the last good one;
//! 4. `boot.state` names its slot as on trial, for boot to count its tries; the link `in-force` points at it;
//! 5. the trial, judged by boot and by whoever watches the core ([`Engine::judge`]):
//!    - good: the memory of releases takes it, and the floor rises; the journal is closed; boot is told;
//!    - a fault: the journal names it under suspicion, which puts the last good one into force again; boot is told. What
//!      both do side by side ([`Check::compare`]), or the last good one then shows, makes it bad, noted for good, or to be
//!      tried later;
//!    - hindered: the journal says later, and the last good one is in force.
//!
//! A kill between any two of these leaves a release in force that is whole. [`Engine::settle`] makes boot's state and the
//! link follow the journal again, before anything else. An engine without [`Means`] (a job server's) takes releases at
//! once, and runs nothing of them.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::boot_state::{BootState, OnTrial};
use nightshift_contract::layout::StateDir;
use nightshift_manifest::binaries::{Binaries, Place, Program, Wanted};
use nightshift_manifest::held::{Held, HeldBy, Verified};
use nightshift_manifest::trial::{Event, Fault, FaultKind, HeldBack, Journal, Outcome, Stage};
use nightshift_manifest::trust::{Denied, InForce};
use nightshift_manifest::version::ReleaseVersion;

use crate::binaries::{FetchError, FetchLimits, Fetcher, Shelf};
use crate::release::Release;
use crate::repairs::Repair;
use crate::state::StateError;
use crate::steps::{self, Step};
use crate::sync::SyncError;
use crate::{Engine, clock, journal};

/// Less free disk than this makes anything fail; nothing is said against a release then.
const FULL_DISK: u64 = 16 << 20;

/// Whether what takes long has to be broken off now: this worker is stopped.
pub type BreakOff = Arc<dyn Fn() -> bool + Send + Sync>;

/// How a worker tries releases.
#[derive(Clone)]
pub struct Means {
    /// Runs what is staged, before it comes into force.
    pub check: Arc<dyn Check>,
    /// The kind of machine this is, as releases name it.
    pub target: String,
    /// The job server's artifact store, when this worker has a job server.
    pub job_server: Option<Arc<dyn Shelf>>,
    /// How long fetching programs may take.
    pub limits: FetchLimits,
    /// How long a release that nothing can be said about waits for its next trial.
    pub again_after: Duration,
    /// Asked while releases and programs are fetched; whoever checks releases asks it as well.
    pub break_off: BreakOff,
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Runs programs and plugins of releases, apart from any job.
pub trait Check: Send + Sync {
    /// Tries a staged release of which nothing was ever run here.
    fn check(&self, staged: &Release) -> Checked;

    /// What the last good release (`None` is the installed programs) shows beside one under suspicion; `None` when only
    /// the work that it does afterwards can show it. Asked by the last good release's own launcher after it looked at the
    /// repository.
    fn compare(&self, last_good: Option<&Release>, suspected: &Release, fault: &FaultKind) -> Option<Shown>;
}

/// What two releases showed beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Both did the same: the suspected one failed at it again, the last good one did not.
    Outdone,
    /// Both did the same, and the suspected one does not fail at it any more.
    NotAgain,
    /// The last good one has done by itself what the other could not.
    Better,
    /// The last good one fails, too.
    NoBetter,
}

impl Shown {
    fn event(self) -> Event {
        match self {
            Shown::Outdone => Event::Outdone,
            Shown::NotAgain => Event::NotAgain,
            Shown::Better => Event::LastGoodWell,
            Shown::NoBetter => Event::LastGoodToo,
        }
    }
}

/// What a self-check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It may come into force, on trial.
    Passed,
    /// It showed a fault.
    Failed(Fault),
    /// It could not be tried, which says nothing about it.
    Hindered(String),
}

impl Engine {
    /// Has releases tried by these means from now on, after taking in what boot did since. Needs the state folder's lock.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn try_by(&mut self, means: Means) -> Result<(), SyncError> {
        self.means = Some(means);
        if std::mem::take(&mut self.journal_is_damaged) {
            journal::write(&self.state, &self.journal)?;
            self.repairs.count(Repair::Journal);
        }
        self.take_in_boot()?;
        self.settle()?;
        Ok(())
    }

    /// The release in force while it is on trial.
    pub fn on_trial(&self) -> Option<Release> {
        self.journal.on_trial().map(|trial| Release::new(&trial.release, &self.state))
    }

    /// The release under suspicion, by its tag, and what of.
    pub fn suspected(&self) -> Option<(String, Fault)> {
        self.journal.suspected().map(|(trial, fault)| (trial.release.version.tag(), fault.clone()))
    }

    /// The update under way and what was found bad here.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Takes in what the trial showed. Gives back whether another release is in force now.
    ///
    /// # Errors
    /// When it cannot be noted, or cannot happen at this stage of the update.
    pub fn judge(&mut self, event: Event) -> Result<bool, SyncError> {
        let before = self.in_force().map(|release| release.tag_id);
        let event = match event {
            Event::Failed(fault) if self.disk_is_full() => {
                Event::Hindered(format!("{}, with a full disk", fault.found))
            }
            event => event,
        };
        if event == Event::Proved {
            self.commit()?;
        } else {
            self.note(event)?;
        }
        self.settle()?;
        self.sweep();
        Ok(self.in_force().map(|release| release.tag_id) != before)
    }

    /// Boot may have fallen back from the launcher on trial.
    fn take_in_boot(&mut self) -> Result<(), SyncError> {
        let Some(on_trial) = self.journal.on_trial() else { return Ok(()) };
        let Some(noted) = journal::read_boot(&self.state).and_then(|boot| boot.trial) else { return Ok(()) };
        let Some(why) = noted.fallen.filter(|_| noted.slot == on_trial.release.slot) else { return Ok(()) };
        let fault = match (noted.excuse, noted.looked) {
            (Some(excuse), _) => Fault { kind: FaultKind::Look, found: format!("{why}: {excuse}") },
            (None, false) => Fault { kind: FaultKind::Launcher, found: why },
            // It works as far as that: what ends it is its own fault, or somebody who kills it.
            (None, true) => {
                Fault { kind: FaultKind::CutOff, found: format!("{why}, although it had looked at the repository") }
            }
        };
        tracing::warn!("boot fell back from {}: {}", on_trial.release.version.tag(), fault.found);
        self.judge(Event::Failed(fault)).map(drop)
    }

    /// Makes boot's state and the link to the slot in force follow the journal.
    pub(crate) fn settle(&mut self) -> Result<(), SyncError> {
        if self.safe_mode.is_some() {
            // What is on the disk stays as it is, until a person decides.
            return Ok(());
        }
        if self.means.is_some() {
            let good = self.trust.in_force.as_ref().map(|release| release.slot.clone());
            let wanted = match self.journal.on_trial() {
                Some(trial) => BootState::on_trial(good, trial.release.slot.clone()),
                None => BootState::good(good),
            };
            let slots = |boot: &BootState| (boot.good.clone(), boot.trial.as_ref().map(|trial| trial.slot.clone()));
            let found = journal::read_boot(&self.state);
            let is_so = found.as_ref().is_some_and(|found| slots(found) == slots(&wanted));
            if !is_so && (found.is_some() || wanted != BootState::default()) {
                journal::write_boot(&self.state, &wanted)?;
                steps::done(Step::BootTold);
            }
        }
        self.point_at_slot_in_force()
    }

    /// Tries a release that is whole in its slot. Whether it came into force.
    pub(crate) fn try_release(&mut self, release: InForce) -> Result<bool, SyncError> {
        let Some(means) = self.means.clone() else { return Ok(false) };
        let staged = Release::new(&release, &self.state);
        tracing::info!("trying {}, signed by {}", staged.tag, staged.signer);
        let before = self.journal.clone();
        self.journal.begin(release);
        let tried = self.check_and_switch(&means, &staged);
        if tried.is_err() {
            self.journal = before;
        }
        tried
    }

    fn check_and_switch(&mut self, means: &Means, staged: &Release) -> Result<bool, SyncError> {
        let event = match means.check.check(staged) {
            Checked::Passed => Event::Checked,
            Checked::Failed(fault) if !self.disk_is_full() => Event::Failed(fault),
            Checked::Failed(fault) => Event::Hindered(format!("{}, with a full disk", fault.found)),
            Checked::Hindered(why) => Event::Hindered(why),
        };
        if event != Event::Checked {
            tracing::warn!("{} is not taken: {event}", staged.tag);
            self.note(event)?;
            return Ok(false);
        }
        self.change(Event::Checked)?;
        steps::done(Step::Checked);
        self.note(Event::Switched)?;
        tracing::info!("{} comes into force, on trial", staged.tag);
        // Nothing was in force before it: there is nobody to fall back to but the installed programs.
        if self.trust.in_force.is_none() && Program::ALL.iter().all(|program| staged.program(*program).is_none()) {
            self.commit()?;
        }
        Ok(true)
    }

    /// What the last good release shows beside one under suspicion, as far as that can be asked. Nothing of either is run
    /// whose slot is not what was signed.
    pub(crate) fn ask_last_good(&mut self) -> Result<(), SyncError> {
        let (Some(means), Some((trial, fault))) = (self.means.clone(), self.journal.suspected()) else { return Ok(()) };
        let suspected = Release::new(&trial.release, &self.state);
        let last_good = self.trust.in_force.as_ref().map(|release| Release::new(release, &self.state));
        let run = last_good.iter().chain([&suspected]).filter(|_| fault.kind.is_seen_side_by_side());
        for release in run {
            if let Err(error) = self.verify_slot(release) {
                tracing::warn!(error = &error as &dyn std::error::Error, "{} is not compared now", release.tag);
                return Ok(());
            }
        }
        let shown = means.check.compare(last_good.as_ref(), &suspected, &fault.kind);
        match shown {
            Some(shown) => {
                let event = shown.event();
                tracing::info!("{} is under suspicion, because {}: {event}", suspected.tag, fault.kind);
                self.note(event)
            }
            None => Ok(()),
        }
    }

    /// What the journal holds against a release.
    pub(crate) fn held_by_trial(&self, verified: &Verified<'_>) -> Option<Held> {
        let again_after = self.means.as_ref()?.again_after;
        let back = self.journal.holds(verified.tag_id, &clock::moment(), again_after)?;
        Some(verified.held(HeldBy::Trial, back.in_words()))
    }

    /// Whether the update under way leaves room for a release: one that is on trial, under suspicion or to be tried later
    /// makes way for higher ones alone, as long as its tag is there.
    pub(crate) fn has_room_for(&self, version: ReleaseVersion, tag_id: &str, is_there: impl Fn(&str) -> bool) -> bool {
        let Some(trial) = &self.journal.trial else { return true };
        let on_trial = trial.stage == Stage::Switched;
        let same = trial.release.tag_id == tag_id;
        match version > trial.release.version {
            true => true,
            false if on_trial => false,
            false => same || !is_there(&trial.release.tag_id),
        }
    }

    /// A gate holds back the release that is on trial: the last good one is in force again.
    pub(crate) fn send_back(&mut self, held: &[Held]) -> Result<(), SyncError> {
        let on_trial = self.journal.on_trial().map(|trial| trial.release.tag_id.clone());
        let gate = held.iter().find(|held| {
            Some(&held.tag_id) == on_trial.as_ref() && matches!(held.kind, HeldBy::Denied | HeldBy::Ring | HeldBy::Plan)
        });
        match gate {
            Some(held) => self.note(Event::Hindered(held.why.clone())),
            None => Ok(()),
        }
    }

    /// Whether a release was sent back from here for a fault: it is denied, or under suspicion.
    pub fn is_rolled_back(&self, tag_id: &str) -> bool {
        let never = Duration::ZERO;
        let back = self.journal.holds(tag_id, &clock::moment(), never);
        matches!(back, Some(HeldBack::Denied(_) | HeldBack::Suspected(_)))
    }

    /// Fetches the programs of a release into a folder.
    pub(crate) fn fetch_programs(&self, places: &[Place], wanted: &Wanted, bin: &Path) -> Result<(), FetchError> {
        let Some(means) = self.means.as_ref().filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let slots = std::fs::read_dir(self.state.slots()).into_iter().flatten().flatten();
        let break_off = Arc::clone(&means.break_off);
        let fetcher = Fetcher {
            places: places.to_vec(),
            job_server: means.job_server.clone(),
            downloads: self.state.downloads(),
            near: slots.map(|slot| slot.path().join("bin")).filter(|near| near != bin && near.is_dir()).collect(),
            watch: Arc::new(move |_| !break_off()),
            limits: means.limits,
        };
        fetcher.fetch(wanted, bin)
    }

    /// What this machine gets of the programs that a release names; nothing when this engine runs none.
    pub(crate) fn wanted(&self, binaries: Option<&Binaries>) -> Result<Wanted, String> {
        match (&self.means, binaries) {
            (Some(means), Some(binaries)) => binaries.for_target(&means.target).map_err(|error| error.to_string()),
            _ => Ok(Wanted::default()),
        }
    }

    /// The release on trial becomes the last good one.
    fn commit(&mut self) -> Result<(), SyncError> {
        let Some(trial) = self.journal.on_trial().cloned() else { return Ok(()) };
        tracing::info!("{} has proved itself", trial.release.version.tag());
        let mut trust = self.trust.clone();
        trust.take(trial.release, &self.seen);
        self.remember(trust)?;
        steps::done(Step::Committed);
        self.note(Event::Proved)
    }

    /// Takes an event in and makes the journal durable.
    fn note(&mut self, event: Event) -> Result<(), SyncError> {
        let before = self.journal.clone();
        let Some(outcome) = self.change(event)? else { return Ok(()) };
        if let Err(error) = journal::write(&self.state, &self.journal) {
            self.journal = before;
            return Err(error.into());
        }
        steps::done(match outcome {
            Outcome::Good => Step::Closed,
            Outcome::Bad(_) => Step::Denied,
            Outcome::Goes(trial) => match trial.stage {
                Stage::Suspected(_) => Step::Suspected,
                Stage::Later { .. } => Step::PutOff,
                Stage::Staged | Stage::Checked | Stage::Switched => Step::Switched,
            },
        });
        Ok(())
    }

    fn change(&mut self, event: Event) -> Result<Option<Outcome>, SyncError> {
        let tag_id = self.journal.trial.as_ref().map(|trial| trial.release.tag_id.clone());
        let outcome = self.journal.take(event, &clock::moment())?;
        if let (Some(Outcome::Bad(denial)), Some(tag_id)) = (&outcome, tag_id) {
            tracing::error!("{} is bad and is never taken again here: {}", denial.tag, denial.why);
            // Beside the journal, which may be lost.
            let why = HeldBack::Denied(denial).in_words();
            let denied = Denied { tag: denial.tag.clone(), by: HeldBy::Trial, why };
            self.deny(&tag_id, denied)?;
        }
        Ok(outcome)
    }

    fn disk_is_full(&self) -> bool {
        rustix::fs::statvfs(self.state.root()).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_DISK)
    }
}

/// Notes that the launcher on trial has looked at the repository: starts of it that came to nothing may be somebody else's
/// doing from now on. Needs the state folder's lock.
///
/// # Errors
/// When it cannot be noted.
pub fn has_looked(state: &StateDir) -> Result<(), StateError> {
    let Some(boot) = journal::read_boot(state) else { return Ok(()) };
    let unnoted = |trial: &OnTrial| trial.fallen.is_none() && !trial.looked;
    let Some(trial) = boot.trial.clone().filter(unnoted) else { return Ok(()) };
    journal::write_boot(state, &BootState { trial: Some(OnTrial { looked: true, ..trial }), ..boot })
}

/// Has boot count the starts of the last good launcher anew: this process came as far as a visit. Needs the state folder's lock.
///
/// # Errors
/// When it cannot be noted.
pub fn launcher_works(state: &StateDir) -> Result<(), StateError> {
    let path = state.boot_starts();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::writing(path)(error)),
        _ => Ok(()),
    }
}

/// Notes that a cycle came to its end in good order: boot takes back the try. With an excuse it counts, and boot hands the
/// excuse on. Needs the state folder's lock.
///
/// # Errors
/// When it cannot be noted.
pub fn cycle_ended(state: &StateDir, excuse: Option<&str>) -> Result<(), StateError> {
    launcher_works(state)?;
    let Some(boot) = journal::read_boot(state) else { return Ok(()) };
    let Some(trial) = boot.trial.clone().filter(|trial| trial.fallen.is_none()) else { return Ok(()) };
    let noted = match excuse {
        None => OnTrial { slot: trial.slot.clone(), ..OnTrial::default() },
        Some(why) => OnTrial { excuse: Some(why.to_owned()), ..trial.clone() },
    };
    match noted == trial {
        true => Ok(()),
        false => journal::write_boot(state, &BootState { trial: Some(noted), ..boot }),
    }
}
