//! The fifth step of a cycle: the local replica runs and is current, or is on its way there, or it is known why not.
//!
//! A thread of its own looks, has the pure half of `worker/replica` judge and decide, and does the one step that is next:
//! restarts threads or the server, builds the replica anew when the job server permits it. It says what it found through
//! [`Standing`]. Nothing waits for it: jobs that need no data run meanwhile, and those that need them wait in the core for
//! data that are new enough.
//!
//! The worker's own server outlives the launcher and is found by the next one. It runs only for a release in force with a
//! plugin that needs it, and not while the grid is stopped ([`end`]).

mod asking;
mod history;
mod own;
mod progress;
mod system;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nightshift_client::Client;
use nightshift_contract::layout::StateDir;
use nightshift_engine::Release;
use nightshift_manifest::plugin::{DataSource, PluginManifest};
use nightshift_replica::server::{self, Place};
use nightshift_wire::ReplicaReport;
use tokio::sync::{Notify, oneshot, watch};

use crate::settings::{ReplicaServer, ReplicaSettings};
use own::Own;
pub use own::with_cure;
use system::System;
pub use system::{opts as opts_of, schema_of};

/// How long the server may take to end when the grid is stopped; then it is killed, which costs it nothing but time later.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How long what is under way may take to break off.
const LEFT_WITHIN: Duration = Duration::from_secs(5);

/// How a replica stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the worker tells of it; `None` while it has none.
    pub report: Option<ReplicaReport>,
    /// What a person can do; empty while it gets on by itself.
    pub next: String,
}

impl Standing {
    /// Whether it is not current and nobody but a person makes it so.
    pub fn is_stuck(&self) -> bool {
        !self.next.is_empty() && self.report.is_some()
    }

    /// What is wrong and nobody but a person can mend, in a sentence.
    pub fn stuck_in_words(&self) -> Option<String> {
        self.report.as_ref().filter(|_| self.is_stuck()).map(|report| report.reason.clone())
    }
}

/// What the plugins of a release need of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Their tables: `schema.table`, or `table` of the schema that plugins read.
    pub tables: BTreeSet<String>,
    /// A plugin needs it.
    pub any: bool,
    /// Every plugin does: without it nothing can run.
    pub all: bool,
}

impl Needs {
    /// What the plugins of a release need. One whose manifest cannot be read needs nothing.
    pub fn of(release: &Release) -> Needs {
        Needs::of_plugins(&release.plugins().unwrap_or_default())
    }

    fn of_plugins(plugins: &[PluginManifest]) -> Needs {
        let on_replica = || plugins.iter().filter(|plugin| plugin.source == DataSource::Replica);
        let any = on_replica().count();
        Needs {
            tables: on_replica().flat_map(|plugin| plugin.tables.iter().cloned()).collect(),
            any: any > 0,
            all: any > 0 && any == plugins.len(),
        }
    }

    /// The tables with the schema of those that name none.
    pub fn tables_in(&self, schema: &str) -> BTreeSet<String> {
        let named = |table: &String| if table.contains('.') { table.clone() } else { format!("{schema}.{table}") };
        self.tables.iter().map(named).collect()
    }
}

/// Everything that a replica is kept with.
#[derive(Debug, Clone)]
struct Means {
    settings: ReplicaSettings,
    state: StateDir,
    worker: String,
    client: Option<Arc<Client>>,
    needs: Needs,
    standing: watch::Sender<Standing>,
}

impl Means {
    fn say(&self, report: Option<ReplicaReport>, next: impl Into<String>) {
        let said = Standing { report, next: next.into() };
        self.standing.send_if_modified(|standing| {
            let differs = *standing != said;
            *standing = said;
            differs
        });
    }
}

/// Keeps the replica while a cycle lasts.
#[derive(Debug)]
pub struct Keeper {
    needs: Needs,
    standing: watch::Receiver<Standing>,
    time_jumped: Arc<Notify>,
    /// Dropped when it is over.
    _goes_on: oneshot::Sender<()>,
}

impl Keeper {
    /// Begins to keep the replica that the plugins of a release need; `None` when none needs one, or the machine shall have
    /// none. Once the keeper is dropped, what is under way is broken off; the worker's own server runs on.
    ///
    /// # Errors
    /// When no thread can be started for it.
    pub fn begin(
        settings: &ReplicaSettings,
        state: &StateDir,
        worker: &str,
        client: Option<Arc<Client>>,
        needs: Needs,
    ) -> io::Result<Option<Keeper>> {
        if !needs.any || settings.server == ReplicaServer::Nobody {
            return Ok(None);
        }
        let (standing, said) = watch::channel(Standing::default());
        let means = Means {
            settings: settings.clone(),
            state: state.clone(),
            worker: worker.to_owned(),
            client,
            needs: needs.clone(),
            standing,
        };
        let time_jumped = Arc::new(Notify::new());
        let jumps = Arc::clone(&time_jumped);
        let (goes_on, over) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The future is made where it runs: not everything in it may change threads.
        let keeping = move || runtime.block_on(keep_until(over, means, &jumps));
        std::thread::Builder::new().name("replica".to_owned()).spawn(keeping)?;
        Ok(Some(Keeper { needs, standing: said, time_jumped, _goes_on: goes_on }))
    }

    /// Breaks off what is under way, and waits until it is over.
    pub async fn leave(self) {
        let Keeper { mut standing, _goes_on: goes_on, .. } = self;
        drop(goes_on);
        let over = async { while standing.changed().await.is_ok() {} };
        if tokio::time::timeout(LEFT_WITHIN, over).await.is_err() {
            tracing::warn!("what is done about the replica does not end: its disk may not answer");
        }
    }

    /// What it is kept for.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// How the replica stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Comes back when it stands otherwise than before.
    pub async fn changed(&mut self) {
        // A keeper that broke off says nothing more.
        if self.standing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Time jumped: what was seen before says nothing any more.
    pub fn time_jumped(&self) {
        self.time_jumped.notify_one();
    }
}

/// One kind of replica, looked after in rounds.
trait Rounds {
    /// Looks, does what is next, and says how long until the next round.
    async fn round(&mut self) -> Duration;
    /// What was seen before says nothing any more.
    fn forget(&mut self);
}

/// Looks after the replica until it is over.
async fn keep_until(over: oneshot::Receiver<()>, means: Means, jumps: &Notify) {
    let rounds = async {
        match &means.settings.server {
            ReplicaServer::Nobody => {}
            ReplicaServer::Own { .. } => keep(Own::new(means), jumps).await,
            ReplicaServer::System { .. } => keep(System::new(means), jumps).await,
        }
    };
    tokio::select! {
        () = rounds => {}
        _ = over => {}
    }
}

async fn keep(mut replica: impl Rounds, jumps: &Notify) {
    loop {
        let pause = replica.round().await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = jumps.notified() => replica.forget(),
        }
    }
}

/// Ends the worker's own server, whoever started it, for as long as nothing may run here or nothing needs it.
pub async fn end(state: &StateDir) {
    let place = Place::new(state.replica());
    if server::pid(&place).is_some()
        && let Err(error) = server::stop(&place, ENDS_WITHIN).await
    {
        tracing::error!(error = &error as &dyn std::error::Error, "ending the replica's server");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, data: &str) -> PluginManifest {
        let text = format!("runtime = \"sql\"\n\n[input]\na = \"text\"\n\n[output]\nb = \"text\"\n{data}");
        PluginManifest::parse(name, &text).expect("a manifest")
    }

    #[test]
    fn a_replica_is_needed_by_the_plugins_that_name_it_and_by_nothing_else() {
        let on_replica = plugin("shout", "\n[data]\nsource = \"replica\"\ntables = [\"people\"]\n");
        let in_release = plugin("twice", "");
        assert_eq!(Needs::of_plugins(&[]), Needs::default());
        assert_eq!(Needs::of_plugins(std::slice::from_ref(&in_release)), Needs::default());
        let only = Needs::of_plugins(std::slice::from_ref(&on_replica));
        assert!(only.any && only.all);
        assert_eq!(only.tables_in("company"), BTreeSet::from(["company.people".to_owned()]));
        let both = Needs::of_plugins(&[on_replica, in_release]);
        assert!(both.any && !both.all);
    }
}
