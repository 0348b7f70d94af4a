//! One cycle of a worker, from the lock to the exit code.
//!
//! 1. Lock; a core left over by a launcher that was killed is ended.
//! 2. Identity.
//! 3. The local stop file: stopped, nothing else is looked at.
//! 4. Ask the job server what is stopped. Visit the repository: look, stop flag, sync. After a switch, which may have taken long, once more.
//! 5. A job server that asks who comes is asked whether it lets this worker in ([`crate::join`]). The replica that plugins need is looked at, and brought on ([`crate::replica`]). [`decide::next`] says what may happen. Only when that is work, a core is started and watched ([`crate::watch`]).
//! 6. Status file and report, whatever happened; then the exit code.

mod letting_in;
mod replicating;
mod visiting;

use std::path::PathBuf;
use std::time::Duration;

use nightshift_client::{Access, ClientError};
use nightshift_contract::exit::Exit;
use nightshift_contract::layout::StateDir;
use nightshift_engine::StopFlag;
use nightshift_manifest::offline::{self, Offline};
use nightshift_manifest::stop::{self, Stops, When, Who};
use nightshift_wire::{Report, Spool, WorkerState};
use tokio::runtime::Runtime;

use crate::decide::{self, Facts, Next};
use crate::identity::{self, IdentityError, Verdict};
use crate::installed::Installed;
use crate::join::{Credential, CredentialError};
use crate::lock::{self, Lock, LockError, Taken};
use crate::lookout::Lookout;
use crate::replica::{Keeper, Standing};
use crate::report::{Findings, Reporter, Step};
use crate::repository::{RepositoryError, Visit};
use crate::sender::Sender;
use crate::settings::{JobSource, Settings};
use crate::status::{self, Status};
use crate::watch::{self, Finish};
use crate::{clock, heard, leftovers, machine, stop_file};

/// What to do when a job server that let this worker in does so no more.
const ASK_ADMIN: &str = "the next cycle asks to be let in again; see `nightshift worker list`";

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The exit code.
    pub exit: Exit,
    /// What a person should read; empty when there is nothing to do.
    pub words: String,
    /// The launcher of another release takes over: become it through boot, now that the lock is free.
    pub give_way: bool,
}

impl Ending {
    fn new(exit: Exit, words: String) -> Ending {
        Ending { exit, words, give_way: false }
    }
}

/// A cycle could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The lock is out of order.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Nobody knows who this worker is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The worker cannot prove who it is.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The machine cannot be told from its copies.
    #[error("finding the state folder {path}", path = .0.display())]
    Fingerprint(PathBuf, #[source] std::io::Error),
    /// The job server's address is wrong.
    #[error("worker.toml, jobserver")]
    JobServer(#[source] ClientError),
    /// Processes of an earlier core run on.
    #[error("ending what an earlier core left over")]
    Leftovers(#[from] nightshift_kin::Survivors),
    /// The clone of the repository cannot be used.
    #[error(transparent)]
    Open(#[from] RepositoryError),
    /// The asynchronous part cannot be started.
    #[error("preparing to watch over a core")]
    Runtime(#[source] std::io::Error),
}

impl CycleError {
    /// The exit code it ends a cycle with.
    pub fn exit(&self) -> Exit {
        match self {
            CycleError::JobServer(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

/// A cycle under way: what it goes by, and what it has found.
#[derive(Debug)]
pub struct Cycle<'s> {
    /// What worker.toml says.
    pub settings: &'s Settings,
    /// The programs that came with the installation.
    pub installed: &'s Installed,
    /// The machine's lock.
    pub lock: Lock,
    /// Sends reports.
    pub sender: Sender,
    /// What the worker proves itself by, where the job server asks for it.
    pub credential: Option<Credential>,
    /// Why the job server does not let this worker in, and what to do about it.
    out: Option<(String, &'static str)>,
    /// What the job server says is stopped, as far as it was heard.
    pub heard: Vec<StopFlag>,
    /// Keeps an eye on stops while the repository is visited.
    pub lookout: Lookout,
    /// The last visit to the repository, once there was one.
    pub visit: Option<Visit>,
    /// Keeps the replica, while a plugin of the release in force needs it.
    pub replica: Option<Keeper>,
    /// How the replica stood last.
    standing: Standing,
    /// The tag of the release that the running core uses, which may be an earlier one than that in force.
    pub core_uses: Option<String>,
    /// Results that its core could not hand in yet, as it said last.
    pub spool: Spool,
    /// The slot of the release that the replica is kept for.
    kept_for: Option<PathBuf>,
    /// The launcher of the release in force is another program than this one.
    pub another_launcher: bool,
    /// Another release came into force in this cycle.
    has_switched: bool,
    /// What the steps found.
    pub findings: Findings,
    reporter: Reporter,
    /// The release of the cycle before, for reports of a cycle that does not get as far as finding out.
    release_before: String,
}

/// Does one cycle.
///
/// # Errors
/// When the state folder, the lock or the settings are out of order; everything else is an [`Ending`].
pub fn run(settings: &Settings, installed: &Installed) -> Result<Ending, CycleError> {
    let state = &settings.state;
    let nobody = Access { pin: settings.joining.pin, ..Access::default() };
    let sender = Sender::new(&settings.jobs, settings.report_timeout, &nobody).map_err(CycleError::JobServer)?;
    let mut findings = Findings::default();
    let lock = match lock::take(state, settings.stuck_after)? {
        Taken::Theirs { pid } => {
            tracing::info!(pid, "another cycle works; nothing to do");
            return Ok(Ending::new(Exit::Done, String::new()));
        }
        Taken::Ours { lock, ended } => {
            findings.good(Step::Lock, lock_in_words(ended));
            lock
        }
    };
    if let Some(pid) = lock::end_leftover_core(state)? {
        tracing::warn!(pid, "ended a core that an earlier launcher left over");
    }
    let left = leftovers::end_all(state)?;
    if let Some(pid) = lock::last_core_when_gone(state) {
        leftovers::clear_places(pid, &std::env::temp_dir());
    }
    if left > 0 {
        tracing::warn!("ended {left} processes that an earlier core left over");
    }
    lock::end_fallen_launchers(state);
    let worker = establish_identity(state, &mut findings)?;
    let mut cycle = Cycle {
        settings,
        installed,
        lock,
        sender,
        credential: None,
        out: None,
        heard: heard::remembered(state, &settings.source.control_branch),
        lookout: Lookout::over(&settings.source, state, settings.look_every),
        visit: None,
        replica: None,
        standing: Standing::default(),
        core_uses: None,
        spool: Spool::default(),
        kept_for: None,
        another_launcher: false,
        has_switched: false,
        findings,
        reporter: Reporter { worker, host: machine::host() },
        release_before: status::read(state).ok().flatten().map(|status| status.report.release).unwrap_or_default(),
    };
    cycle.prove()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CycleError::Runtime)?;
    let done = cycle.go(&runtime);
    let (ending, report) = match done {
        Ok((ending, state, reason)) => {
            // Giving way is no cycle: a launcher on trial that gave way for ever would never be fallen back from.
            if !cycle.another_launcher {
                cycle.note_for_boot();
            }
            (ending, cycle.report(state, reason))
        }
        Err(error) => {
            let words = crate::repository::chain(&error);
            cycle.findings.bad(Step::Look, words.clone(), "");
            let report = cycle.report(WorkerState::Blocked, words.clone());
            (Ending::new(error.exit(), words), report)
        }
    };
    cycle.write_status(report.clone(), Some(ending.exit));
    runtime.block_on(cycle.sender.send(&report));
    runtime.shutdown_background();
    tracing::info!(exit = ending.exit.code(), "cycle ended: {}", report.reason);
    Ok(ending)
}

impl Cycle<'_> {
    /// Everything between identity and report: how the cycle ends, and the state and reason to report.
    fn go(&mut self, runtime: &Runtime) -> Result<(Ending, WorkerState, String), CycleError> {
        let mut facts = self.facts();
        if facts.stop_file.is_none() {
            let mut repository = self.repository()?;
            self.ask_what_is_stopped(runtime);
            self.introduce(&mut repository);
            repository = self.visit(runtime, repository);
            if self.visit.as_ref().is_some_and(|visit| visit.switched) {
                repository = self.visit(runtime, repository);
            }
            facts = self.facts();
            if decide::next(&facts) == Next::Work {
                self.ask_to_join(runtime)?;
                // Before it was let in, the job server may have told it nothing.
                if self.credential.is_some() {
                    self.ask_what_is_stopped(runtime);
                }
                facts = self.facts();
            }
            if decide::next(&facts) == Next::Work {
                self.look_at_replica(runtime);
                facts = self.facts();
            }
            if decide::next(&facts) == Next::Work {
                let finish = runtime.block_on(watch::watch(self, repository));
                self.leave_replica(runtime);
                return Ok(self.after_the_watch(finish));
            }
        }
        self.leave_replica(runtime);
        let next = decide::next(&facts);
        self.note_hours(&facts);
        self.note_stop_file(&facts);
        Ok(self.ending(&next, &facts))
    }

    /// Tells boot that this launcher came to the end of its cycle in good order, or why it could not look.
    fn note_for_boot(&self) {
        let blind = self.visit.as_ref().filter(|visit| !visit.looked).map(|visit| visit.look.found.as_str());
        if let Err(error) = nightshift_engine::cycle_ended(&self.settings.state, blind) {
            tracing::warn!(error = &error as &dyn std::error::Error, "noting the end of the cycle for boot");
        }
    }

    /// Takes in what the job server says is stopped.
    pub fn hear(&mut self, stops: Vec<StopFlag>) {
        heard::remember(&self.settings.state, &stops);
        self.heard = stops;
    }

    /// What is stopped here, by the repository's flags and by what the job server says.
    pub fn stops(&self) -> Stops {
        let seen = self.visit.as_ref().map_or(&[][..], |visit| &visit.stops);
        let release = self.visit.as_ref().and_then(|visit| visit.release.as_ref());
        let in_force = release.map_or("", |release| &release.tag);
        let mut all = seen.to_vec();
        // The job server tells of the repository's flags as well.
        all.extend(self.heard.iter().filter(|heard| !seen.contains(heard)).cloned());
        let with = |release| Who { worker: &self.reporter.worker, host: &self.reporter.host, release };
        stop::judge_all(&all, &[with(in_force), with(self.core_uses.as_deref().unwrap_or(in_force))])
    }

    /// What is known now.
    pub fn facts(&self) -> Facts {
        let stop_file = stop_file::reason(&self.settings.state);
        let stop = self.stops().worker;
        let of = |when| stop.as_ref().filter(|stop| stop.when == when).map(|stop| stop.reason.clone());
        let (stop_flag, stop_after_job) = (of(When::Now), of(When::AfterJob));
        let Some(visit) = &self.visit else {
            return Facts { stop_file, stop_flag, stop_after_job, ..Facts::default() };
        };
        let unseen = match offline::judge(&clock::moment(), visit.last_look.as_ref(), visit.settings.max_offline) {
            Offline::CarryOn { .. } => None,
            Offline::Over { reason } => Some(reason),
        };
        Facts {
            stop_file,
            stop_flag,
            stop_after_job,
            out: self.out.clone().or_else(|| self.sender.shut_out().map(|why| (why, ASK_ADMIN))),
            unseen_for_too_long: unseen,
            trouble: visit.trouble.clone(),
            release: visit.release.as_ref().map(|release| release.tag.clone()),
            another_launcher: self.another_launcher,
            hours: Some(visit.settings.hours.open_until(clock::now())),
            no_data: self.no_data(),
            refused: visit.refused.len(),
            safe_mode: visit.safe_mode.clone(),
        }
    }

    /// This worker's id.
    pub fn worker(&self) -> &str {
        &self.reporter.worker
    }

    /// A report of what the cycle has found so far.
    pub fn report(&self, state: WorkerState, reason: String) -> Report {
        let visit = self.visit.as_ref();
        let release = match visit {
            Some(visit) => visit.release.as_ref().map_or("", |release| &release.tag),
            None => &self.release_before,
        };
        let refused = visit.map_or(&[][..], |visit| &visit.refused);
        let reason = match &self.settings.jobs {
            JobSource::Servers(_) => reason,
            JobSource::Store { .. } => format!("{reason} (the store is used directly: no job server hears of this)"),
        };
        let trial = visit.and_then(|visit| visit.trial.clone());
        let replica = self.standing.report.clone();
        Report {
            trial,
            replica,
            spool: self.spool,
            ..self.reporter.report(state, reason, release, refused, &self.findings)
        }
    }

    /// Writes the status file; one that cannot be written is noted and nothing more.
    pub fn write_status(&self, report: Report, exit: Option<Exit>) {
        let status = Status { at: clock::now(), exit: exit.map(Exit::code), report };
        if let Err(error) = status::write(&self.settings.state, &status) {
            tracing::warn!(error = &error as &dyn std::error::Error, "writing the status file failed");
        }
    }

    /// Notes the working hours among the findings.
    pub fn note_hours(&mut self, facts: &Facts) {
        if let Some(window) = facts.hours {
            self.findings.good(Step::Hours, decide::window_in_words(window));
        }
    }

    fn note_stop_file(&mut self, facts: &Facts) {
        if let Some(reason) = &facts.stop_file {
            self.findings.bad(Step::Look, format!("stop file: {reason}"), "start again with: nightshift-worker start");
        }
    }

    fn ending(&self, next: &Next, facts: &Facts) -> (Ending, WorkerState, String) {
        let refused = self.visit.as_ref().map_or(&[][..], |visit| &visit.refused);
        let give_way = self.has_switched && matches!(next, Next::GiveWay(_));
        let ending = Ending { exit: next.exit(facts), words: next.last_words(facts, refused), give_way };
        (ending, next.state(), next.in_words().0)
    }

    fn after_the_watch(&mut self, finish: Finish) -> (Ending, WorkerState, String) {
        let facts = self.facts();
        match finish {
            Finish::Terminated if !decide::next(&facts).is_stop() => {
                let words = "ended on request; the next cycle goes on";
                (Ending::new(Exit::Done, String::new()), WorkerState::Resting, words.into())
            }
            Finish::AsWanted | Finish::Terminated => {
                self.note_hours(&facts);
                self.note_stop_file(&facts);
                let next = decide::next(&facts);
                self.ending(&next, &facts)
            }
            Finish::Crashed | Finish::Misunderstood | Finish::Unusable => {
                let core = self.findings.steps().into_iter().find(|step| step.step == Step::Core.name());
                let words = core.map(|core| format!("the core: {}; {}", core.found, core.next)).unwrap_or_default();
                (Ending::new(Exit::Failed, words.clone()), WorkerState::Blocked, words)
            }
        }
    }
}

fn lock_in_words(ended: Option<Duration>) -> String {
    match ended {
        None => "no other cycle was running".to_owned(),
        Some(silent) => {
            let words = format!("taken from a launcher that got nowhere for {} s and was ended", silent.as_secs());
            tracing::warn!("{words}");
            words
        }
    }
}

fn establish_identity(state: &StateDir, findings: &mut Findings) -> Result<String, CycleError> {
    let fingerprint =
        machine::fingerprint(state.root()).map_err(|error| CycleError::Fingerprint(state.root().into(), error))?;
    let (identity, verdict) = identity::establish(state, &fingerprint)?;
    let found = match verdict {
        Verdict::Ours(_) => "this worker's own".to_owned(),
        Verdict::New => "made by this cycle".to_owned(),
        Verdict::Copied { from } => format!("made by this cycle: this machine is a copy of worker {from}"),
        Verdict::Unreadable(why) => format!("made by this cycle, because the one kept could not be read: {why}"),
    };
    if !matches!(found.as_str(), "this worker's own") {
        tracing::info!(worker = %identity.worker, "identity: {found}");
    }
    findings.good(Step::Identity, found);
    Ok(identity.worker.to_string())
}
