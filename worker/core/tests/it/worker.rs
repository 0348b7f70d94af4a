//! A worker for one test: its state folder, its releases, and cores on it, one after another.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nightshift_contract::handoff::ReleaseArgs;
use nightshift_contract::layout::StateDir;
use nightshift_contract::message::FromCore;
use nightshift_core::moments::{Moment, Moments, Unwatched};
use nightshift_core::pace::{AheadPace, Pace};
use nightshift_core::{Core, Currency, Ended, JobControl, Orders};
use nightshift_plugin::Host;
use tokio::sync::{Notify, watch};

/// Nothing in these tests takes longer, even on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Within this time at most something happens at once, even on a busy machine; what it waits for would take a minute.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

/// A plugin that doubles n, ten records a block.
pub(crate) const DOUBLE: &str = "SELECT record_id, n * 2 AS twice FROM records";
/// A plugin that never comes to an end.
pub(crate) const ENDLESS: &str = "WITH RECURSIVE e (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM e) \
                                  SELECT record_id, (SELECT count(*) FROM e) AS twice FROM records";
/// A plugin that fails on every record.
pub(crate) const BROKEN: &str = "SELECT record_id, json_extract('{', '$') AS twice FROM records";

const MANIFEST: &str = "runtime = \"sql\"\nblock = 10\n[input]\nn = \"integer\"\n[output]\ntwice = \"integer\"\n";

/// A worker.
pub(crate) struct Worker {
    folder: tempfile::TempDir,
}

/// A core of a worker, with everything it has told so far.
pub(crate) struct TestCore {
    pub(crate) core: Core,
    pub(crate) ordering: watch::Sender<Orders>,
    pub(crate) told: Told,
}

/// What a core has told.
#[derive(Clone, Default)]
pub(crate) struct Told {
    messages: Arc<Mutex<Vec<FromCore>>>,
    more: Arc<Notify>,
}

impl Worker {
    /// A worker with the release v1.0.0, which has the plugin `double`.
    pub(crate) fn new() -> Worker {
        let worker = Worker { folder: tempfile::tempdir().expect("a temporary folder") };
        worker.release("v1.0.0", &[("double", DOUBLE)]);
        worker
    }

    /// Stages a release with these plugins.
    pub(crate) fn release(&self, tag: &str, plugins: &[(&str, &str)]) -> ReleaseArgs {
        let slot = self.slot(tag);
        for (name, query) in plugins {
            let folder = slot.join("tree/plugins").join(name);
            fs::create_dir_all(&folder).expect("creates the plugin's folder");
            fs::write(folder.join("plugin.toml"), MANIFEST).expect("writes the manifest");
            fs::write(folder.join("query.sqlite.sql"), query).expect("writes the query");
        }
        self.release_args(tag)
    }

    fn slot(&self, tag: &str) -> PathBuf {
        self.folder.path().join("slots").join(tag)
    }

    pub(crate) fn release_args(&self, tag: &str) -> ReleaseArgs {
        ReleaseArgs { slot: self.slot(tag), tag: tag.to_owned(), commit: format!("commit of {tag}") }
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::new(self.folder.path().join("state"))
    }

    /// How many attempts are on disk, whole or not.
    pub(crate) fn attempts_on_disk(&self) -> usize {
        fs::read_dir(self.state().attempts()).map_or(0, Iterator::count)
    }

    /// A core on release `tag`.
    pub(crate) fn core(&self, tag: &str, control: Arc<dyn JobControl>) -> TestCore {
        let (ordering, orders) = watch::channel(Orders::default());
        let told = Told::default();
        let telling = told.clone();
        let core = Core {
            control,
            state: self.state(),
            worker: "w-1".to_owned(),
            release: self.release_args(tag),
            orders,
            tell: Box::new(move |message| telling.hear(message)),
            pace: pace(),
            host: Host::default(),
            currency: Currency::default(),
            moments: Box::new(Unwatched),
        };
        TestCore { core, ordering, told }
    }
}

/// Waits that a test does not notice, except those that only an event may end.
fn pace() -> Pace {
    Pace {
        claim_wait: Duration::from_secs(1),
        between_claims: Duration::from_millis(1),
        after_early_answer: Duration::from_millis(1),
        away_first: Duration::from_millis(1),
        away_most: Duration::from_millis(4),
        aside_first: Duration::from_millis(1),
        aside_most: Duration::from_millis(4),
        disk_first: LONG,
        disk_most: LONG,
        data_first: Duration::from_millis(50),
        data_most: Duration::from_millis(200),
        data_wait: LONG,
        data_look: Duration::from_millis(10),
        block_limits: 1,
        block_grace: LONG,
        halt: LONG,
        heartbeat: LONG,
        ahead: NEVER_AHEAD,
    }
}

/// No job is expected to last.
const NEVER_AHEAD: AheadPace = AheadPace { lead: LONG, least: LONG, unmeasured: LONG, again: LONG, least_disk: 0 };

/// The next job is claimed as soon as one is in hand.
pub(crate) const AT_ONCE_AHEAD: AheadPace = AheadPace {
    lead: LONG,
    least: Duration::ZERO,
    unmeasured: Duration::ZERO,
    again: Duration::from_millis(1),
    least_disk: 0,
};

impl TestCore {
    /// Runs until `event` happens, then drains, and says how the core ended.
    pub(crate) async fn drain_after(self, event: impl Future<Output = ()>) -> Ended {
        let order = |orders: &mut Orders| orders.drain = Some("the test is over".to_owned());
        self.order_after(event, order).await
    }

    /// Runs until `event` happens, then gives an order, and says how the core ended.
    pub(crate) async fn order_after(self, event: impl Future<Output = ()>, order: impl FnOnce(&mut Orders)) -> Ended {
        let ordering = async {
            event.await;
            self.ordering.send_modify(order);
        };
        let both = async { tokio::join!(self.core.run(), ordering).0 };
        tokio::time::timeout(LONG, both).await.expect("the core ends in time").expect("the core can go on")
    }

    /// The same core, which claims the next job as soon as one is in hand.
    pub(crate) fn ahead(mut self) -> TestCore {
        self.core.pace.ahead = AT_ONCE_AHEAD;
        self
    }

    /// Runs until the core comes to `moment`, and kills it there.
    pub(crate) async fn kill_at(self, moment: Moment) {
        self.kill_at_last_of(&[moment]).await;
    }

    /// Runs until the core has come to these moments one after the other, and kills it at the last.
    pub(crate) async fn kill_at_last_of(mut self, moments: &[Moment]) {
        let there = Arc::new(Notify::new());
        self.core.moments = Box::new(StopAt {
            moments: Mutex::new(moments.to_vec()),
            passed: Notify::new(),
            there: Arc::clone(&there),
        });
        let moments = moments.to_vec();
        // On a thread and runtime of its own, which end with everything the core was just writing: a core that is dead
        // writes nothing behind its successor's back.
        let killed = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    ended = self.core.run() => panic!("the core ended before {moments:?}: {ended:?}"),
                    () = there.notified() => {}
                    () = tokio::time::sleep(LONG) => panic!("the core never came to {moments:?}"),
                }
            });
        });
        killed.await.expect("the core is killed");
    }
}

/// Keeps a core at the last of some moments for ever. A job in hand waits with its next block for the job ahead.
struct StopAt {
    moments: Mutex<Vec<Moment>>,
    passed: Notify,
    there: Arc<Notify>,
}

#[async_trait]
impl Moments for StopAt {
    async fn at(&self, moment: Moment) {
        use Moment::{Ahead, Processed};
        loop {
            let passed = self.passed.notified();
            {
                let mut moments = self.moments.lock().expect("no panic");
                match moments.first() {
                    Some(next) if *next == moment => {
                        moments.remove(0);
                        self.passed.notify_waiters();
                        if moments.is_empty() {
                            self.there.notify_one();
                            break;
                        }
                        return;
                    }
                    Some(Ahead) if matches!(moment, Processed { .. }) => {}
                    _ => return,
                }
            }
            passed.await;
        }
        std::future::pending::<()>().await;
    }
}

impl Told {
    fn hear(&self, message: FromCore) {
        self.messages.lock().expect("no panic").push(message);
        self.more.notify_waiters();
    }

    /// Everything told so far.
    pub(crate) fn all(&self) -> Vec<FromCore> {
        self.messages.lock().expect("no panic").clone()
    }

    /// Waits until the core tells something more than it has told when this is called.
    pub(crate) fn more(&self) -> impl Future<Output = ()> {
        self.more.notified()
    }

    /// Waits until the core has told something like this.
    pub(crate) async fn until(&self, wanted: impl Fn(&FromCore) -> bool) {
        loop {
            let more = self.more();
            if self.all().iter().any(&wanted) {
                return;
            }
            more.await;
        }
    }
}
