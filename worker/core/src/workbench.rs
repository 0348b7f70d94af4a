//! The thread that plugins live on: it opens them and feeds them blocks, and no async task ever waits in its place.
//!
//! When the core stops, nobody waits for this thread: the process ends, or (in tests) the thread ends with its block.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Block, BlockError, Host, Results, Stopper};
use nightshift_wire::Records;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::causes::with_causes;
use crate::clock::Stopwatch;
use crate::desk::lock;
use crate::plugins::{Opened, open_all, open_one};

/// The plugins that are ready and those that are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    /// Manifests of the plugins that are ready, by name.
    pub(crate) ready: BTreeMap<String, PluginManifest>,
    /// Why the others are not, by name.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// The thread has ended, which it never does by itself.
#[derive(Debug, thiserror::Error)]
#[error("the thread that runs the plugins has ended")]
pub(crate) struct Broken;

/// A block's results and the time they took, or why there are none.
pub(crate) type Done = Result<(Results, Duration), NotDone>;

/// Some records of a job, one after the other.
#[derive(Clone)]
pub(crate) struct Part {
    /// All records of the job.
    pub(crate) of: Arc<Records>,
    /// The places of these.
    pub(crate) places: Range<usize>,
}

impl Part {
    /// The records.
    pub(crate) fn block(&self) -> Block<'_> {
        Block { columns: &self.of.columns, records: &self.of.records[self.places.clone()] }
    }
}

/// Why a block has no results, in words.
pub(crate) enum NotDone {
    /// The plugin or the block is at fault.
    Failed(String),
    /// The plugin's data are away, which is nobody's fault.
    DataAway(String),
}

enum Task {
    Open { slot: PathBuf, begins: UnboundedSender<String>, reply: oneshot::Sender<Result<Catalogue, String>> },
    Reopen { plugin: String, reply: oneshot::Sender<Result<(), String>> },
    Rest { reply: oneshot::Sender<()> },
    Process { plugin: String, block: Part, reply: oneshot::Sender<Done> },
}

/// The way to the thread. The thread ends when this is dropped.
#[derive(Clone)]
pub(crate) struct Workbench {
    tasks: mpsc::Sender<Task>,
    stoppers: Stoppers,
}

/// What breaks off a block, by plugin.
type Stoppers = Arc<Mutex<BTreeMap<String, Stopper>>>;

impl Workbench {
    /// Starts the thread, with no plugin open; plugins will find `host`.
    pub(crate) fn start(host: Host) -> io::Result<Workbench> {
        let (to_thread, tasks) = mpsc::channel();
        let stoppers = Stoppers::default();
        let to_note = Arc::clone(&stoppers);
        std::thread::Builder::new().name("plugins".to_owned()).spawn(move || work(&tasks, &to_note, &host))?;
        Ok(Workbench { tasks: to_thread, stoppers })
    }

    /// Opens the plugins of the release in `slot` in place of those open now; `begins` hears the name of each before it is
    /// opened, which may take minutes. The error is why it has none at all.
    pub(crate) async fn open(
        &self,
        slot: PathBuf,
        begins: impl Fn(String),
    ) -> Result<Result<Catalogue, String>, Broken> {
        let (reply, answer) = oneshot::channel();
        let (begun, mut names) = unbounded_channel();
        self.tasks.send(Task::Open { slot, begins: begun, reply }).map_err(|_| Broken)?;
        while let Some(name) = names.recv().await {
            begins(name);
        }
        answer.await.map_err(|_| Broken)
    }

    /// Opens a plugin of the release in use again, in place of the instance that is open. The error is why it does not open.
    pub(crate) async fn reopen(&self, plugin: &str) -> Result<Result<(), String>, Broken> {
        let (reply, answer) = oneshot::channel();
        self.tasks.send(Task::Reopen { plugin: plugin.to_owned(), reply }).map_err(|_| Broken)?;
        answer.await.map_err(|_| Broken)
    }

    /// Breaks off the block that `plugin` works on, if it does; whoever waits for it has gone before.
    pub(crate) fn break_off(&self, plugin: &str) {
        let stopper = lock(&self.stoppers).get(plugin).cloned();
        if let Some(stopper) = stopper {
            stopper();
        }
    }

    /// Waits until the thread is done with everything it was given.
    pub(crate) async fn rests(&self) -> Result<(), Broken> {
        let (reply, answer) = oneshot::channel();
        self.tasks.send(Task::Rest { reply }).map_err(|_| Broken)?;
        answer.await.map_err(|_| Broken)
    }

    /// Has `plugin` process a block.
    pub(crate) async fn process(&self, plugin: &str, block: Part) -> Result<Done, Broken> {
        let (reply, answer) = oneshot::channel();
        self.tasks.send(Task::Process { plugin: plugin.to_owned(), block, reply }).map_err(|_| Broken)?;
        answer.await.map_err(|_| Broken)
    }
}

fn work(tasks: &mpsc::Receiver<Task>, stoppers: &Stoppers, host: &Host) {
    let mut opened = Opened::default();
    let mut in_use = PathBuf::new();
    while let Ok(task) = tasks.recv() {
        // A reply that nobody waits for any more is dropped.
        match task {
            Task::Open { slot, begins, reply } => {
                // The old instances go first: two releases' data tables need not fit into memory at once.
                opened = Opened::default();
                lock(stoppers).clear();
                in_use.clone_from(&slot);
                let result = open_all(&slot, host, |name| drop(begins.send(name.to_owned()))).map(|new| {
                    opened = new;
                    let ready = opened.ready.iter();
                    *lock(stoppers) = ready.map(|(name, ready)| (name.clone(), ready.plugin.stopper())).collect();
                    catalogue(&opened)
                });
                drop(reply.send(result));
            }
            Task::Reopen { plugin, reply } => {
                // Here, too, the old instance goes first.
                lock(stoppers).remove(&plugin);
                opened.ready.remove(&plugin);
                let result = open_one(&in_use, &plugin, host).map(|ready| {
                    lock(stoppers).insert(plugin.clone(), ready.plugin.stopper());
                    opened.ready.insert(plugin, ready);
                });
                drop(reply.send(result));
            }
            Task::Rest { reply } => drop(reply.send(())),
            Task::Process { plugin, block, reply } if !reply.is_closed() => {
                drop(reply.send(process(&mut opened, &plugin, block.block())));
            }
            Task::Process { .. } => {}
        }
    }
}

fn catalogue(opened: &Opened) -> Catalogue {
    let ready = opened.ready.iter().map(|(name, ready)| (name.clone(), ready.manifest.clone()));
    Catalogue { ready: ready.collect(), left_out: opened.left_out.clone() }
}

fn process(opened: &mut Opened, plugin: &str, block: Block<'_>) -> Done {
    let Some(ready) = opened.ready.get_mut(plugin) else {
        return Err(NotDone::Failed(format!("plugin {plugin} is not open")));
    };
    let watch = Stopwatch::start();
    // A panic is a fault in a runtime of ours; it fails the job and not the worker.
    match catch_unwind(AssertUnwindSafe(|| ready.plugin.work(block))) {
        Ok(Ok(results)) => Ok((results, watch.elapsed())),
        Ok(Err(error @ BlockError::DataAway { .. })) => Err(NotDone::DataAway(with_causes(&error))),
        Ok(Err(error)) => Err(NotDone::Failed(with_causes(&error))),
        Err(_) => Err(NotDone::Failed(format!("plugin {plugin} panicked; the core's log says where"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::pin::pin;

    use futures_util::poll;
    use nightshift_wire::Record;
    use tokio::time::timeout;

    use super::*;

    /// Seconds within one function, which nothing breaks off: a text is compared with the same one at every place of another.
    const OBLIVIOUS: &str = "WITH long (a) AS (SELECT replace(hex(zeroblob(120000)), '0', 'a')) \
                             SELECT record_id, n + instr(a || a || a, a || 'b') AS twice FROM records, long";

    #[tokio::test]
    async fn a_block_that_was_broken_off_and_goes_on_keeps_the_thread_from_resting() {
        let slot = tempfile::tempdir().expect("a folder");
        let plugin = slot.path().join("tree/plugins/oblivious");
        fs::create_dir_all(&plugin).expect("the plugin's folder");
        let manifest = "runtime = \"sql\"\n[input]\nn = \"integer\"\n[output]\ntwice = \"integer\"\n";
        fs::write(plugin.join("plugin.toml"), manifest).expect("the manifest");
        fs::write(plugin.join("query.sqlite.sql"), OBLIVIOUS).expect("the query");
        let bench = Workbench::start(Host::default()).expect("a thread");
        let begun = Mutex::new(Vec::new());
        let opened = bench.open(slot.path().to_owned(), |name| lock(&begun).push(name)).await.expect("there");
        assert_eq!(opened.expect("opened").left_out, BTreeMap::new());
        assert_eq!(*lock(&begun), ["oblivious"], "each is told before it is opened");

        let record = Record { id: 1, values: vec!["1".to_owned()] };
        let of = Arc::new(Records { columns: vec!["n".to_owned()], records: vec![record] });
        // Waited for by somebody, so that the thread does not pass it over.
        let mut processing = pin!(bench.process("oblivious", Part { of, places: 0..1 }));
        assert!(poll!(processing.as_mut()).is_pending());
        bench.break_off("oblivious");
        assert!(timeout(Duration::from_millis(10), bench.rests()).await.is_err(), "it is in its block");
        bench.rests().await.expect("in the end");
        assert!(poll!(processing).is_ready());
    }
}
