//! Visits to the central repository within a cycle: what they are made with, waiting for them with an eye on stops, and
//! taking in what they found. What a visit does is in [`crate::repository`].

use std::sync::Arc;
use std::time::Duration;

use nightshift_client::Access;
use nightshift_engine::binaries::{FetchLimits, Shelf};
use nightshift_engine::{Counts, Means, StopFlag};
use nightshift_manifest::machine::this_target;
use tokio::runtime::Runtime;

use super::{Cycle, CycleError};
use crate::hearing::{Hearing, Told};
use crate::programs::ArtifactStore;
use crate::report::Step;
use crate::repository::{Found, Repository, Visit};
use crate::rollout::Openings;
use crate::self_check::SelfCheck;
use crate::settings::{JobSource, Settings};
use crate::{clock, decide, heard};

/// The time between two looks whether the worker is stopped, while the repository is visited.
const TICK: Duration = Duration::from_secs(1);

/// How long a job server may take to say what is stopped: a cycle with nothing to do must not wait for one that is away.
const HEAR_WITHIN: Duration = Duration::from_secs(5);

impl Cycle<'_> {
    /// Opens the clone, to take releases when their rings are open and to try them by this worker's means.
    ///
    /// # Errors
    /// When the state folder cannot be used, or an address is none of a job server.
    pub fn repository(&self) -> Result<Repository, CycleError> {
        let Settings { source, state, jobs, joining, try_again, report_timeout, .. } = self.settings;
        let nobody = || Access { pin: joining.pin, ..Access::default() };
        let access = self.credential.as_ref().map_or_else(nobody, |credential| credential.access(joining));
        let job_server = match jobs {
            JobSource::Servers(servers) => {
                Some(Arc::new(ArtifactStore::new(servers.clone(), access.clone())) as Arc<dyn Shelf>)
            }
            JobSource::Store { .. } => None,
        };
        let break_off = self.lookout.break_off();
        let check = SelfCheck {
            installed: self.installed.clone(),
            state: state.clone(),
            host: self.settings.host(),
            break_off: Arc::clone(&break_off),
        };
        let means = Means {
            check: Arc::new(check),
            target: this_target(),
            job_server,
            limits: FetchLimits::default(),
            again_after: *try_again,
            break_off,
        };
        let servers = match jobs {
            JobSource::Servers(servers) => servers.as_slice(),
            JobSource::Store { .. } => &[],
        };
        let openings = Openings::of(self.worker(), servers, &access, *report_timeout, state);
        let mut repository = Repository::open(source.clone(), state, means, self.lookout.is_looking())?;
        repository.go_by(openings.map_err(CycleError::JobServer)?);
        Ok(repository)
    }

    /// Asks the job server what it says is stopped. One that does not answer, or not to this worker, changes nothing.
    pub(super) fn ask_what_is_stopped(&mut self, runtime: &Runtime) {
        let Some(client) = self.sender.client() else { return };
        if let Some(stops) = runtime.block_on(heard::ask(&client, HEAR_WITHIN.min(self.settings.report_timeout))) {
            self.hear(stops);
        }
    }

    /// Says to a repository whose it is and what was heard.
    pub fn introduce(&self, repository: &mut Repository) {
        let control = &self.settings.source.control_branch;
        let heard = self.heard.iter().filter(|flag| !heard::is_seen_by_looking(flag, control)).cloned();
        repository.know(&self.reporter.worker, &self.reporter.host, &heard.collect::<Vec<_>>());
    }

    /// Visits the repository on a thread of its own, marks progress and keeps an eye on stops meanwhile: a first release may
    /// be large and the network slow. A network that hangs ends the visit by the engine's own limits, one that trickles for
    /// ever by a later cycle ([`crate::lookout`]).
    pub(super) fn visit(&mut self, runtime: &Runtime, mut repository: Repository) -> Repository {
        let visited = runtime.block_on(async {
            self.lookout.visit_begins(clock::since_start());
            self.break_off_when_stopped();
            // A visit that is over within a second costs the job server nothing more.
            let mut hearing = None;
            let mut visiting = tokio::task::spawn_blocking(move || {
                let visit = repository.visit();
                (repository, visit)
            });
            let mut is_late = false;
            let mut ticks = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    visited = &mut visiting => break visited.map(|visited| (visited, is_late)),
                    told = heard_by(&mut hearing) => {
                        self.hear(told.stops);
                        is_late |= told.look;
                    }
                    seen = self.lookout.seen() => is_late |= self.see_beside(seen),
                    _ = ticks.tick() => {
                        self.mark_progress();
                        if self.lookout.visits_for(clock::since_start()) >= TICK {
                            hearing.get_or_insert_with(|| Hearing::begin(self.sender.client(), &self.heard));
                        }
                    }
                }
                self.break_off_when_stopped();
            }
        });
        match visited {
            Ok(((repository, mut visit), is_late)) => {
                // What was heard meanwhile is newer than this look.
                visit.looked &= !is_late;
                self.take_in(visit);
                repository
            }
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }

    /// Marks progress while a visit is under way and gets on, and looks beside it when that is due.
    pub fn mark_progress(&mut self) {
        if self.lookout.tick(clock::since_start()) {
            self.lock.mark_progress();
        }
    }

    /// A stop breaks off what the visit under way fetches and tries.
    pub fn break_off_when_stopped(&self) {
        self.lookout.stopped(decide::next(&self.facts()).is_stop());
    }

    /// Takes in the stops that a look beside a visit saw. Whether there are new ones: the visit looked before.
    pub fn see_beside(&mut self, seen: Vec<StopFlag>) -> bool {
        let known = self.visit.iter().flat_map(|visit| &visit.stops).chain(&self.heard);
        let known: Vec<StopFlag> = known.cloned().collect();
        let new: Vec<StopFlag> = seen.into_iter().filter(|flag| !known.contains(flag)).collect();
        if new.is_empty() {
            return false;
        }
        self.hear(self.heard.iter().cloned().chain(new).collect());
        true
    }

    /// Takes in what a visit to the repository found.
    pub fn take_in(&mut self, visit: Visit) {
        let mut note = |step, found: &Found| {
            if found.next.is_empty() {
                self.findings.good(step, found.found.clone());
            } else {
                tracing::warn!("{}: {}; {}", step.name(), found.found, found.next);
                self.findings.bad(step, found.found.clone(), found.next.clone());
            }
        };
        note(Step::Look, &visit.look);
        note(Step::Sync, &visit.sync);
        if let Some(words) = repairs_in_words(&visit.repairs) {
            tracing::warn!("{words}");
            self.findings.good(Step::Repair, words);
        }
        if visit.looked {
            // What a look sees itself, it knows better than who told of it before.
            let control = &self.settings.source.control_branch;
            self.heard.retain(|flag| !heard::is_seen_by_looking(flag, control));
        }
        // A release that was on trial before this launcher began has one of its own perhaps, which boot did not choose.
        if visit.switched || (self.visit.is_none() && visit.on_trial) {
            self.another_launcher =
                visit.release.as_ref().is_some_and(|release| self.installed.is_another_launcher(release));
        }
        self.has_switched |= visit.switched;
        if let Err(error) = nightshift_engine::launcher_works(&self.settings.state) {
            tracing::warn!(error = &error as &dyn std::error::Error, "noting for boot that this launcher works");
        }
        if visit.looked && visit.on_trial && !self.another_launcher {
            self.note_look_for_boot();
        }
        if visit.switched {
            let tag = visit.release.as_ref().map(|release| release.tag.as_str());
            tracing::info!(tag, "a release came into force");
        }
        self.visit = Some(visit);
    }

    /// Tells boot that this launcher, which is on trial, can look at the repository.
    fn note_look_for_boot(&self) {
        if let Err(error) = nightshift_engine::has_looked(&self.settings.state) {
            tracing::warn!(error = &error as &dyn std::error::Error, "noting the look for boot");
        }
    }
}

async fn heard_by(hearing: &mut Option<Hearing>) -> Told {
    match hearing {
        Some(hearing) => hearing.changed().await,
        None => std::future::pending().await,
    }
}

/// What was found damaged and made good; `None` when nothing was.
fn repairs_in_words(repairs: &Counts) -> Option<String> {
    let words = repairs.iter().map(|(repair, times)| match times {
        1 => repair.to_string(),
        _ => format!("{repair} ({times} times)"),
    });
    let words = words.collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then_some(words)
}
