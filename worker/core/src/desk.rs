//! What everything a core does at the same time shares: who controls the jobs, what is on disk, what was ordered, and
//! the bell that rings when any of it changes.
//!
//! All of a core's work is one future on one thread (`run`), so what stands behind a lock here is never waited for.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_manifest::settings::GridSettings;
use nightshift_wire::{AttemptId, Problem};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::again::FailedRecords;
use crate::awake::Awake;
use crate::causes::with_causes;
use crate::clock::Stopwatch;
use crate::control::{ControlError, Finished, JobControl};
use crate::data_away::DataAway;
use crate::freshness::Freshness;
use crate::moments::{Moment, Moments};
use crate::orders::{self, Orders};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::retry::{self, Failures, Patience, Then};
use crate::spool::{HeldAttempt, Spool};
use crate::telling::Telling;
use crate::workbench::{Catalogue, Workbench};

/// What a core's activities share.
pub(crate) struct Desk {
    pub(crate) control: Arc<dyn JobControl>,
    pub(crate) bench: Workbench,
    pub(crate) spool: Spool,
    pub(crate) failed: FailedRecords,
    pub(crate) worker: String,
    pub(crate) orders: watch::Receiver<Orders>,
    pub(crate) telling: Telling,
    pub(crate) moments: Box<dyn Moments>,
    pub(crate) pace: Pace,
    pub(crate) bell: Bell,
    pub(crate) outbox: Mutex<Outbox>,
    /// The results finished last, so that they need not be read from disk to be handed in.
    pub(crate) fresh: Mutex<Option<(AttemptId, Arc<Finished>)>>,
    pub(crate) in_use: Mutex<Arc<InUse>>,
    /// The attempts on disk.
    pub(crate) holding: Mutex<BTreeSet<AttemptId>>,
    pub(crate) room: Mutex<Room>,
    pub(crate) data_away: Mutex<DataAway>,
    /// The replica, when the worker has one.
    pub(crate) freshness: Option<Freshness>,
    pub(crate) began: Stopwatch,
    pub(crate) awake: Awake,
}

/// A release in use.
pub(crate) struct InUse {
    pub(crate) release: ReleaseArgs,
    pub(crate) catalogue: Catalogue,
    pub(crate) settings: GridSettings,
}

/// Whether the disk takes checkpoints.
#[derive(Default)]
pub(crate) struct Room {
    /// Attempts in a row that the disk had no room for.
    full_disks: u32,
    /// Until then no job is taken.
    until: Duration,
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

/// Rings for everybody who listens when something changed that a decision may depend on.
pub(crate) struct Bell(watch::Sender<()>);

impl Bell {
    pub(crate) fn new() -> Bell {
        Bell(watch::Sender::new(()))
    }

    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Whoever listens before looking misses nothing.
    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

pub(crate) struct Listener(watch::Receiver<()>);

impl Listener {
    /// Waits for the next ring since this was made.
    pub(crate) async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What is behind a lock that no panic leaves half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// The time since the core began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The release in use.
    pub(crate) fn in_use(&self) -> Arc<InUse> {
        Arc::clone(&lock(&self.in_use))
    }

    /// The release to change to, when another than the one in use is ordered.
    pub(crate) fn ordered_release(&self) -> Option<ReleaseArgs> {
        let ordered = self.orders.borrow().release.clone();
        ordered.filter(|release| *release != self.in_use().release)
    }

    /// Why the core drains, when it does.
    pub(crate) fn drain(&self) -> Option<String> {
        self.orders.borrow().drain.clone()
    }

    /// Rings the bell for every order, for ever.
    pub(crate) async fn ring_for_orders(&self) -> Infallible {
        let mut orders = self.orders.clone();
        while orders.changed().await.is_ok() {
            self.bell.ring();
        }
        std::future::pending().await
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
        self.complain(doing, failures, &with_causes(error));
        self.pause(retry::wait(failures, self.pace.away_first, self.pace.away_most, fastrand::f64())).await;
    }

    /// Says that the server does not do what it is asked.
    pub(crate) fn complain(&self, doing: &str, failures: u32, why: &str) {
        if failures == 1 {
            tracing::warn!("{doing}: {why}; trying again");
        }
        self.telling.waiting(format!("the job server ({doing}): {why}"));
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

    /// Notes that an attempt is on disk.
    pub(crate) fn hold(&self, attempt: AttemptId) {
        lock(&self.holding).insert(attempt);
    }

    /// Removes an attempt from disk. One that cannot be removed is found again by the next core, and then not wanted.
    pub(crate) async fn let_go(&self, held: &HeldAttempt) {
        let attempt = held.clone();
        if let Err(error) = off(move || attempt.remove()).await {
            tracing::error!("{}", with_causes(&error));
        }
        lock(&self.holding).remove(&held.claim.attempt);
        lock(&self.outbox).forget(held.claim.attempt);
        lock(&self.fresh).take_if(|(attempt, _)| *attempt == held.claim.attempt);
        self.bell.ring();
        self.moments.at(Moment::Removed).await;
    }

    /// Takes no job for a while, because the disk would not take its checkpoints either.
    pub(crate) fn wait_for_room(&self, reason: &str) {
        let Pace { disk_first, disk_most, .. } = self.pace;
        let mut room = lock(&self.room);
        room.full_disks += 1;
        room.until = self.now() + retry::wait(room.full_disks, disk_first, disk_most, fastrand::f64());
        drop(room);
        self.telling.waiting(format!("room on the disk: {reason}"));
        self.bell.ring();
    }

    /// How long no job is to be taken, because the disk took no checkpoint.
    pub(crate) fn no_room_for(&self) -> Option<Duration> {
        lock(&self.room).until.checked_sub(self.now()).filter(|wait| !wait.is_zero())
    }

    /// The disk took a job's checkpoints.
    pub(crate) fn has_room(&self) {
        lock(&self.room).full_disks = 0;
    }
}

/// Runs something that waits for the disk off the async threads.
pub(crate) async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
