//! A core from its start to its end: what an earlier one left is sorted, then one job after the other is taken in hand,
//! while the next is got ready (`fetcher`) and finished ones are handed in (`settle`) beside it.
//!
//! All three are one future, so that dropping it is as good as a kill. Between two jobs, and only then, another release
//! takes over. A core that drains takes no other job in hand and ends when everything that is done with has reached the
//! server, or waits on disk for the next core.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_contract::layout::StateDir;
use nightshift_contract::message::FromCore;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::settings::GridSettings;
use nightshift_plugin::Host;
use tokio::sync::watch;

use crate::again::FailedRecords;
use crate::awake::Awake;
use crate::clock::Stopwatch;
use crate::control::JobControl;
use crate::desk::{Bell, Desk, InUse, Room, lock, off};
use crate::fetcher::{Fetcher, Ready};
use crate::freshness::{Currency, Freshness};
use crate::job::Hand;
use crate::moments::Moments;
use crate::orders::{self, Orders};
use crate::outbox::{Errand, Outbox};
use crate::pace::Pace;
use crate::spool::{HeldAttempt, Spool, SpoolError};
use crate::telling::{Tell, Telling};
use crate::workbench::{Broken, Catalogue, Workbench};

/// A core, ready to run.
pub struct Core {
    /// Who hands out jobs.
    pub control: Arc<dyn JobControl>,
    /// The worker's state folder.
    pub state: StateDir,
    /// The worker's enrolled identity.
    pub worker: String,
    /// The release to begin with.
    pub release: ReleaseArgs,
    /// What the launcher orders.
    pub orders: watch::Receiver<Orders>,
    /// Tells the launcher; must not block.
    pub tell: Tell,
    /// How long to wait for what.
    pub pace: Pace,
    /// What the machine offers plugins.
    pub host: Host,
    /// By what data of the replica count as current.
    pub currency: Currency,
    /// Is told of every named instant.
    pub moments: Box<dyn Moments>,
}

/// Why a core ended as it was told to. Holds the launcher's reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop; the last checkpoint stands.
    Stopped(String),
    /// It was told to drain, and the job in hand is done (or waits on disk for a server that is away).
    Drained(String),
}

/// Why a core cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The attempts on disk cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The thread that runs plugins cannot be started.
    #[error("starting the thread that runs the plugins")]
    Thread(#[source] std::io::Error),
    /// A plugin does not come back, and so no other can run; its job was given back.
    #[error("{0}; only a new core can go on")]
    Stuck(String),
    /// The thread that runs plugins has ended.
    #[error("the thread that runs the plugins has ended; the log says why")]
    Broken,
}

impl From<Broken> for CoreError {
    fn from(_: Broken) -> Self {
        CoreError::Broken
    }
}

/// What an earlier core left on disk.
struct Left {
    spool: Spool,
    /// Attempts with all their results, each with why they were set aside, if they were, and their bytes.
    finished: Vec<(HeldAttempt, Option<String>, u64)>,
    /// The others, those with results first.
    unfinished: VecDeque<HeldAttempt>,
}

impl Core {
    /// Runs until the launcher ends it.
    ///
    /// # Errors
    /// When it cannot go on; started again it may.
    pub async fn run(self) -> Result<Ended, CoreError> {
        let mut orders = self.orders.clone();
        tokio::select! {
            biased;
            reason = orders::until(&mut orders, |orders| orders.stop.clone()) => Ok(Ended::Stopped(reason)),
            ended = self.work() => ended,
        }
    }

    async fn work(self) -> Result<Ended, CoreError> {
        let (failed, state) = (FailedRecords::of(&self.state), self.state);
        let Left { spool, finished, unfinished } = off(move || look_at(&state)).await?;
        let holding = finished.iter().map(|(held, ..)| held).chain(&unfinished).map(|held| held.claim.attempt);
        let holding = Mutex::new(holding.collect());
        let in_use =
            InUse { release: self.release.clone(), catalogue: Catalogue::default(), settings: GridSettings::default() };
        let desk = Desk {
            control: self.control,
            freshness: self.host.replica.as_ref().map(|replica| Freshness::of(replica, self.currency)),
            bench: Workbench::start(self.host).map_err(CoreError::Thread)?,
            spool,
            failed,
            worker: self.worker,
            orders: self.orders,
            telling: Telling::new(self.tell),
            moments: self.moments,
            pace: self.pace,
            bell: Bell::new(),
            outbox: Mutex::new(outbox_of(finished)),
            fresh: Mutex::default(),
            in_use: Mutex::new(Arc::new(in_use)),
            holding,
            room: Mutex::<Room>::default(),
            data_away: Mutex::default(),
            began: Stopwatch::start(),
            awake: Awake::new(),
        };
        use_release(&desk, self.release).await?;
        let (fetcher, hand) = (Fetcher::new(unfinished), Mutex::default());
        let front = Front { desk: &desk, fetcher: &fetcher, hand: &hand, speeds: BTreeMap::new() };
        tokio::select! {
            ended = front.run() => ended,
            error = fetcher.run(&desk, &hand) => Err(error),
            never = desk.deliver() => match never {},
            never = desk.ring_for_orders() => match never {},
            never = desk.stay_awake() => match never {},
            never = desk.mind_data() => match never {},
        }
    }
}

/// Reads and sorts what is on disk.
fn look_at(state: &StateDir) -> Result<Left, SpoolError> {
    let (spool, held) = Spool::open(state)?;
    let (mut finished, mut begun, mut unfinished) = (Vec::new(), VecDeque::new(), VecDeque::new());
    for attempt in held {
        let results = attempt.written().map_or(0, |written| written.results.len() as u64);
        if results == attempt.claim.records {
            let (why, bytes) = (attempt.why_set_aside(), attempt.bytes());
            finished.push((attempt, why, bytes));
        } else if results > 0 {
            begun.push_back(attempt);
        } else {
            unfinished.push_back(attempt);
        }
    }
    begun.append(&mut unfinished);
    Ok(Left { spool, finished, unfinished: begun })
}

fn outbox_of(finished: Vec<(HeldAttempt, Option<String>, u64)>) -> Outbox {
    let mut outbox = Outbox::default();
    for (held, why, bytes) in finished {
        match why {
            Some(why) => outbox.inherit(held, why, bytes, Duration::ZERO),
            None => outbox.put(held, Errand::Results, bytes, Duration::ZERO),
        }
    }
    outbox
}

/// Changes over to the plugins and settings of `release`.
async fn use_release(desk: &Desk, release: ReleaseArgs) -> Result<(), CoreError> {
    let data = desk.data_now().await;
    let begins = |plugin| desk.telling.say(FromCore::Opening(plugin));
    let catalogue = match desk.bench.open(release.slot.clone(), begins).await? {
        Ok(catalogue) => catalogue,
        Err(reason) => {
            let left_out = [(format!("release {}", release.tag), reason)].into();
            Catalogue { left_out, ..Catalogue::default() }
        }
    };
    for (plugin, reason) in &catalogue.left_out {
        tracing::error!("{plugin} is left out: {reason}");
    }
    desk.opened_on(&catalogue, data.as_ref());
    desk.forget_waits();
    let file = release.slot.join("tree").join(SETTINGS_FILE);
    let settings = off(move || read_settings(&file)).await;
    desk.control.cap_bulk(settings.bandwidth);
    tracing::info!("using {} with {} plugins", release.tag, catalogue.ready.len());
    desk.telling.say(FromCore::Using(release.tag.clone()));
    *lock(&desk.in_use) = Arc::new(InUse { release, catalogue, settings });
    desk.bell.ring();
    Ok(())
}

/// The release's settings; a release without any has the defaults.
fn read_settings(file: &std::path::Path) -> GridSettings {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return GridSettings::default(),
        Err(error) => {
            tracing::error!("reading {}: {error}; going on with the defaults", file.display());
            return GridSettings::default();
        }
    };
    GridSettings::parse(&text, SETTINGS_FILE).unwrap_or_else(|error| {
        tracing::error!("{error}; going on with the defaults");
        GridSettings::default()
    })
}

/// Takes one job after the other in hand.
struct Front<'a> {
    desk: &'a Desk,
    fetcher: &'a Fetcher,
    hand: &'a Mutex<Option<Hand>>,
    /// What a record of a plugin took in its last job.
    speeds: BTreeMap<String, Duration>,
}

impl Front<'_> {
    async fn run(mut self) -> Result<Ended, CoreError> {
        let desk = self.desk;
        loop {
            let mut bell = desk.bell.listen();
            if let Some(reason) = desk.drain() {
                self.close(|| self.fetcher.is_idle()).await;
                return Ok(Ended::Drained(reason));
            }
            if let Some(release) = desk.ordered_release() {
                use_release(desk, release).await?;
                continue;
            }
            match self.fetcher.take(desk) {
                Some(ready) => self.see_through(&ready).await?,
                None => bell.rung().await,
            }
        }
    }

    /// Works on a job until it is done with.
    async fn see_through(&mut self, ready: &Ready) -> Result<(), CoreError> {
        let (desk, claim) = (self.desk, &ready.held.claim);
        *lock(self.hand) = Some(Hand::take(claim, self.speeds.get(&claim.plugin).copied()));
        desk.telling.take_in_hand();
        desk.bell.ring();
        let done = desk.work_on(&desk.in_use(), ready, self.hand).await;
        desk.telling.put_down();
        if let Some(each) = lock(self.hand).take().and_then(|hand| hand.each()) {
            self.speeds.insert(claim.plugin.clone(), each);
        }
        let settled = match done {
            Ok(finished) => {
                desk.hand_in(ready.held.clone(), finished).await;
                Ok(())
            }
            Err(unfinished) => desk.settle(&ready.held, unfinished).await,
        };
        desk.bell.ring();
        if settled.is_err() {
            self.close(|| true).await;
        }
        settled
    }

    /// Tries what is in the outbox a few times more, and waits until `others` are done too.
    async fn close(&self, others: impl Fn() -> bool) {
        lock(&self.desk.outbox).close(self.desk.now());
        self.desk.bell.ring();
        loop {
            let mut bell = self.desk.bell.listen();
            if others() && lock(&self.desk.outbox).is_settled() {
                return;
            }
            bell.rung().await;
        }
    }
}
