//! Gets the next job ready: claimed, noted, its records on disk, so that the plugin never waits for the network. There is
//! at most one beside the job in hand.
//!
//! 1. Attempts that an earlier core held come first.
//! 2. Without a job in hand the server is asked and may wait with its answer; with one in hand it is asked when
//!    [`ahead`] says so, and answers at once. The claim names the attempt in hand, whose lease comes before.
//! 3. The claim is noted on disk before anything else, then its records are fetched and saved. Killed in between, the
//!    server takes back what was not noted, and the next core goes on with the rest.
//! 4. A job that is ready gets heartbeats until it is taken in hand. One that is not begun goes back at once when the core
//!    drains or changes release or its plugin is stopped, so that another worker can have it; one that is not wanted any more is dropped.
//!
//! What becomes of an attempt that cannot be made ready is `settle`'s business.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_manifest::hours::Window;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{AttemptId, Claim, ClaimRequest, GiveBackCause, JobId, Records};
use tokio::time::sleep;

use crate::ahead::{self, Facts, Verdict};
use crate::beside::{self, Pulse};
use crate::causes::with_causes;
use crate::clock::{self, Stopwatch};
use crate::control::ControlError;
use crate::desk::{Desk, InUse, Listener, lock, off};
use crate::job::{Hand, Unfinished};
use crate::machine;
use crate::moments::Moment;
use crate::pace::Pace;
use crate::retry::Patience;
use crate::run::CoreError;
use crate::spool::HeldAttempt;
use crate::workbench::Catalogue;

/// What is ready, or about to be.
pub(crate) struct Fetcher(Mutex<State>);

#[derive(Default)]
struct State {
    ready: Option<Ready>,
    /// Attempts of an earlier core, to be made ready one after the other.
    inherited: VecDeque<HeldAttempt>,
    /// An attempt is being claimed or made ready.
    busy: bool,
    /// Claims in a row that brought no answer.
    refused_claims: u32,
    /// Since a claim ahead brought nothing.
    none_since: Option<Stopwatch>,
    /// Jobs whose records the server failed to hand out.
    without_records: BTreeSet<JobId>,
}

/// Records of a job that is ready are kept in memory beside the disk while they hold no more bytes of text than this.
const MOST_KEPT: usize = 32 << 20;

/// An attempt with everything on disk that the plugin needs.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) held: HeldAttempt,
    pub(crate) records: KeptRecords,
    pub(crate) pulse: Arc<Pulse>,
    /// The release it was made ready for.
    release: ReleaseArgs,
    /// There are results of it already, of an earlier core.
    begun: bool,
}

/// A job's records, if they are in memory still.
#[derive(Clone)]
pub(crate) struct KeptRecords(Option<Arc<Records>>);

impl KeptRecords {
    fn of(records: Arc<Records>) -> KeptRecords {
        let values = records.records.iter().flat_map(|record| &record.values);
        let bytes: usize = values.map(|value| value.len() + size_of::<String>()).sum();
        KeptRecords((bytes <= MOST_KEPT).then_some(records))
    }

    /// The records with the columns that the plugin takes.
    pub(crate) fn in_memory(&self, manifest: &PluginManifest) -> Option<Arc<Records>> {
        let fits = |records: &&Arc<Records>| records.columns.iter().eq(manifest.input.keys());
        self.0.as_ref().filter(fits).map(Arc::clone)
    }
}

impl Fetcher {
    /// Begins with the attempts that an earlier core held and did not finish.
    pub(crate) fn new(inherited: VecDeque<HeldAttempt>) -> Fetcher {
        Fetcher(Mutex::new(State { inherited, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Takes the job that is ready.
    pub(crate) fn take(&self, desk: &Desk) -> Option<Ready> {
        let in_use = desk.in_use();
        let taken = self.state().ready.take_if(|ready| ready.begun || ready.release == in_use.release);
        if taken.is_some() {
            desk.bell.ring();
        }
        taken
    }

    /// Whether nothing is ready or about to be.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        !state.busy && state.ready.is_none() && state.inherited.is_empty()
    }

    /// Gets one job after the other ready, for as long as the core can go on.
    pub(crate) async fn run(&self, desk: &Desk, hand: &Mutex<Option<Hand>>) -> CoreError {
        loop {
            let mut bell = desk.bell.listen();
            if let Some(reason) = desk.drain() {
                self.hand_back_everything(desk, &reason);
            }
            let ready = self.state().ready.clone();
            if let Some(ready) = ready {
                self.keep(desk, &ready, &mut bell).await;
                continue;
            }
            let inherited = self.begin_inherited();
            let outcome = match inherited {
                Some(held) => {
                    let pulse = Pulse::overdue(&held.claim);
                    self.prepare(desk, held, pulse, hand).await
                }
                None => match self.verdict(desk, hand) {
                    Verdict::Claim => self.fetch(desk, hand, desk.pace.claim_wait).await,
                    Verdict::ClaimAhead => self.fetch(desk, hand, Duration::ZERO).await,
                    Verdict::Later(wait) => {
                        tokio::select! {
                            () = sleep(wait) => {}
                            () = bell.rung() => {}
                        }
                        continue;
                    }
                    Verdict::Not => {
                        self.say_why_not(desk);
                        tokio::select! {
                            () = bell.rung() => {}
                            () = desk.until_data() => {}
                        }
                        continue;
                    }
                },
            };
            self.state().busy = false;
            desk.bell.ring();
            if let Err(error) = outcome {
                return error;
            }
        }
    }

    fn begin_inherited(&self) -> Option<HeldAttempt> {
        let mut state = self.state();
        let held = state.inherited.pop_front()?;
        state.busy = true;
        Some(held)
    }

    /// Looks at everything that speaks for or against the next claim.
    fn verdict(&self, desk: &Desk, hand: &Mutex<Option<Hand>>) -> Verdict {
        let in_use = desk.in_use();
        let in_hand = lock(hand).as_ref().map(Hand::outlook);
        let on_disk = lock(&desk.holding).len();
        let hours_left = || match in_use.settings.hours.open_until(clock::now()) {
            Window::Open { until: None } => None,
            Window::Open { until: Some(until) } => {
                Some(Duration::try_from(until.duration_since(clock::now())).unwrap_or_default())
            }
            // A worker that works outside its hours does so because somebody wants it.
            Window::Closed { .. } => None,
        };
        let facts = Facts {
            in_hand,
            draining: desk.drain().is_some(),
            changing_release: desk.ordered_release().is_some(),
            no_plugin: open_plugins(desk, &in_use).is_empty(),
            outbox_full: !lock(&desk.outbox).has_room(on_disk),
            no_room_for: desk.no_room_for(),
            disk_free: in_hand.and_then(|_| machine::read(desk.spool.folder()).disk_free),
            hours_left: in_hand.and_then(|_| hours_left()),
            since_none: self.state().none_since.map(Stopwatch::elapsed),
        };
        ahead::decide(&facts, &desk.pace.ahead)
    }

    /// Tells what a core without a job waits for, when it is neither work nor an order.
    fn say_why_not(&self, desk: &Desk) {
        let outbox = lock(&desk.outbox);
        let in_words = outbox.in_words();
        let full = !outbox.has_room(lock(&desk.holding).len());
        drop(outbox);
        let in_use = desk.in_use();
        let stopped: Vec<String> = in_use.catalogue.ready.keys().filter_map(|name| desk.why_stopped(name)).collect();
        if in_use.catalogue.ready.is_empty() {
            desk.telling.waiting(waiting_for(&in_use.catalogue) + &in_words);
        } else if stopped.len() == in_use.catalogue.ready.len() {
            desk.telling.waiting(format!("its plugins to be started again ({}){in_words}", stopped.join("; ")));
        } else if open_plugins(desk, &in_use).is_empty() {
            let away = in_use.catalogue.ready.keys().filter_map(|name| desk.why_no_data(name)).collect::<Vec<_>>();
            desk.telling.waiting(format!("the data of its plugins ({}){in_words}", away.join("; ")));
        } else if full {
            desk.telling.waiting(format!("the job server to take results{in_words}"));
        }
    }

    /// Claims a job and makes it ready.
    async fn fetch(&self, desk: &Desk, hand: &Mutex<Option<Hand>>, wait: Duration) -> Result<(), CoreError> {
        self.state().busy = true;
        let in_use = desk.in_use();
        let is_ahead = wait.is_zero();
        if !is_ahead {
            let in_words = lock(&desk.outbox).in_words();
            desk.telling.waiting(waiting_for(&in_use.catalogue) + &in_words);
        }
        desk.look_before_claim(&in_use).await;
        let request = ClaimRequest {
            worker: desk.worker.clone(),
            release: in_use.release.tag.clone(),
            commit: in_use.release.commit.clone(),
            plugins: open_plugins(desk, &in_use),
            holding: lock(&desk.holding).iter().copied().collect(),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            max: 1,
            behind: lock(hand).as_ref().map(Hand::attempt),
            machine: machine::read(desk.spool.folder()).offered(),
        };
        // A claim that is broken off may have been granted: the next one, which follows at once, does not list it, and
        // the server takes it back. With a job in hand, or when the core drains, no other would follow at once, and so
        // the claim comes to its end.
        let asked = Stopwatch::start();
        let answer = tokio::select! {
            answer = desk.control.claim(&request) => answer,
            () = until_other_terms(desk, &request.plugins), if !is_ahead => return Ok(()),
        };
        lock(&desk.outbox).claimed();
        desk.bell.ring();
        match answer {
            Ok(Some(claim)) => {
                (self.state().refused_claims, self.state().none_since) = (0, None);
                desk.telling.waiting(for_records_of(&claim));
                self.note(desk, claim, &in_use, hand).await
            }
            Ok(None) if is_ahead => {
                (self.state().refused_claims, self.state().none_since) = (0, Some(Stopwatch::start()));
                Ok(())
            }
            Ok(None) => {
                self.state().refused_claims = 0;
                desk.telling.progress();
                let early = asked.elapsed() < wait / 2;
                let Pace { between_claims, after_early_answer, .. } = desk.pace;
                desk.pause(if early { after_early_answer } else { between_claims }).await;
                Ok(())
            }
            Err(error) => {
                let failures = {
                    let mut state = self.state();
                    state.refused_claims = state.refused_claims.saturating_add(1);
                    state.refused_claims
                };
                if let ControlError::Refused(problem) = &error {
                    tracing::error!("the job server refuses to give work: {}", problem.detail);
                }
                desk.wait_for_server("claiming a job", failures, &error).await;
                Ok(())
            }
        }
    }

    /// Notes a claim on disk and goes on with it.
    async fn note(
        &self,
        desk: &Desk,
        claim: Claim,
        in_use: &InUse,
        hand: &Mutex<Option<Hand>>,
    ) -> Result<(), CoreError> {
        desk.moments.at(Moment::Claimed).await;
        desk.awake().await;
        let pulse = Pulse::fresh(&claim);
        if let Some(reason) = not_any_more(desk, &in_use.release, &claim.plugin) {
            desk.give_back(desk.spool.unnoted(claim), GiveBackCause::Stopped, reason);
            return Ok(());
        }
        let (spool, to_note) = (desk.spool.clone(), claim.clone());
        match off(move || spool.note(to_note)).await {
            Ok(held) => {
                desk.hold(held.claim.attempt);
                desk.moments.at(Moment::Noted).await;
                self.prepare(desk, held, pulse, hand).await
            }
            Err(error) => {
                let reason = with_causes(&error);
                desk.give_back(desk.spool.unnoted(claim), GiveBackCause::Stopped, reason.clone());
                desk.wait_for_room(&reason);
                Ok(())
            }
        }
    }

    /// Gets an attempt's records on disk and puts it where it can be taken in hand.
    async fn prepare(
        &self,
        desk: &Desk,
        held: HeldAttempt,
        pulse: Pulse,
        hand: &Mutex<Option<Hand>>,
    ) -> Result<(), CoreError> {
        let in_use = desk.in_use();
        let attempt = held.clone();
        let written = off(move || attempt.written()).await.map_or(0, |written| written.results.len());
        let begun = written > 0;
        let job = held.claim.job;
        let patience = match self.state().without_records.contains(&job) {
            true => Patience::Once,
            false => Patience::Full,
        };
        let beating = beside::until_not_wanted(
            &*desk.control,
            &held.claim,
            &pulse,
            desk.pace.heartbeat,
            || written as u64,
            |_| desk.telling.waiting(for_records_of(&held.claim)),
        );
        let fetched = tokio::select! {
            fetched = desk.ready_records(&in_use, &held, patience) => fetched,
            reason = beating => Err(Unfinished::NotWanted(reason)),
            reason = until_not_any_more(desk, &in_use.release, &held.claim.plugin), if !begun => Err(Unfinished::Unable(reason)),
        };
        match fetched {
            Ok(records) => {
                let records = KeptRecords::of(records);
                let ready = Ready { held, records, pulse: Arc::new(pulse), release: in_use.release.clone(), begun };
                {
                    let mut state = self.state();
                    state.without_records.remove(&job);
                    state.ready = Some(ready);
                }
                desk.bell.ring();
                if lock(hand).is_some() {
                    desk.moments.at(Moment::Ahead).await;
                }
                Ok(())
            }
            Err(unfinished) => {
                if matches!(unfinished, Unfinished::NoRecords(_)) {
                    self.state().without_records.insert(job);
                }
                desk.settle(&held, unfinished).await
            }
        }
    }

    /// Keeps a job that is ready alive until it is taken in hand, or has to go.
    async fn keep(&self, desk: &Desk, ready: &Ready, bell: &mut Listener) {
        let claim = &ready.held.claim;
        let beating = beside::until_not_wanted(&*desk.control, claim, &ready.pulse, desk.pace.heartbeat, || 0, |_| ());
        let mut beating = std::pin::pin!(beating);
        loop {
            if !ready.begun
                && let Some(reason) = not_any_more(desk, &ready.release, &claim.plugin)
            {
                if self.take_back(claim.attempt) {
                    desk.give_back(ready.held.clone(), GiveBackCause::Stopped, reason);
                }
                return;
            }
            tokio::select! {
                reason = &mut beating => {
                    if self.take_back(claim.attempt) {
                        tracing::info!("dropping job {}, which was ready: {reason}", claim.job);
                        desk.let_go(&ready.held).await;
                    }
                    return;
                }
                () = bell.rung() => {}
            }
            if self.state().ready.as_ref().is_none_or(|ready| ready.held.claim.attempt != claim.attempt) {
                return;
            }
        }
    }

    /// Takes an attempt out again; whether it was still there.
    fn take_back(&self, attempt: AttemptId) -> bool {
        self.state().ready.take_if(|ready| ready.held.claim.attempt == attempt).is_some()
    }

    /// The core drains: what is not begun goes back, what an earlier core began waits on disk for the next.
    fn hand_back_everything(&self, desk: &Desk, reason: &str) {
        let (ready, inherited) = {
            let mut state = self.state();
            (state.ready.take(), std::mem::take(&mut state.inherited))
        };
        let ready = ready.into_iter().map(|ready| (ready.begun, ready.held));
        let inherited = inherited.into_iter().map(|held| (held.written().is_some(), held));
        for (begun, held) in ready.chain(inherited) {
            match begun {
                true => tracing::warn!("job {} waits on disk for the next core", held.claim.job),
                false => desk.give_back(held, GiveBackCause::Stopped, reason.to_owned()),
            }
        }
        desk.bell.ring();
    }
}

/// Why a job that was claimed for `release` and is not begun is not to be done here any more.
fn not_any_more(desk: &Desk, release: &ReleaseArgs, plugin: &str) -> Option<String> {
    let another = || {
        let ordered = desk.ordered_release().unwrap_or_else(|| desk.in_use().release.clone());
        (ordered != *release).then(|| format!("{} takes over", ordered.tag))
    };
    desk.drain().or_else(another).or_else(|| desk.why_stopped(plugin))
}

/// The plugins whose jobs may be claimed: those that work, are not stopped and get at their data.
fn open_plugins(desk: &Desk, in_use: &InUse) -> Vec<String> {
    let stopped = desk.stopped();
    let is_open = |name: &&String| !stopped.contains_key(*name) && desk.why_no_data(name).is_none();
    in_use.catalogue.ready.keys().filter(is_open).cloned().collect()
}

async fn until_not_any_more(desk: &Desk, release: &ReleaseArgs, plugin: &str) -> String {
    loop {
        let mut bell = desk.bell.listen();
        if let Some(reason) = not_any_more(desk, release, plugin) {
            return reason;
        }
        bell.rung().await;
    }
}

/// What a core waits for between a claim and its records. It is no progress: a job that waits decides about a release on
/// trial, and not the answer that there is one.
fn for_records_of(claim: &Claim) -> String {
    format!("the records of job {}", claim.job)
}

/// Waits until a claim for these plugins is not the one to make any more: another release is ordered, or a plugin was
/// stopped or started. Where none is left, the claim comes to its end and what it brings goes back: no other would follow.
async fn until_other_terms(desk: &Desk, plugins: &[String]) {
    loop {
        let mut bell = desk.bell.listen();
        let open = open_plugins(desk, &desk.in_use());
        if desk.ordered_release().is_some() || (open != plugins && !open.is_empty()) {
            return;
        }
        tokio::select! {
            () = bell.rung() => {}
            () = desk.until_data() => {}
        }
    }
}

/// What a core without a job waits for, in words a person reads.
fn waiting_for(catalogue: &Catalogue) -> String {
    let left_out: String =
        catalogue.left_out.iter().map(|(plugin, reason)| format!("; {plugin} is left out: {reason}")).collect();
    match (catalogue.ready.is_empty(), catalogue.left_out.is_empty()) {
        (false, _) => format!("work{left_out}"),
        (true, false) => format!("a release with a plugin that works{left_out}"),
        (true, true) => "a release with a plugin".to_owned(),
    }
}
