//! Data of the replica that are as new as a job asks for, and which data each open plugin has.
//!
//! 1. Before plugins are opened it is looked at what the replica has applied: their data hold that at least.
//! 2. Before a job begins, the replica must have reached the job's position, or be current where it has none
//!    ([`Desk::data_for`]); a plugin that was opened on older data is opened again, on data looked at before.
//! 3. Before a block's results are kept, the replica must still have what the plugin's data hold
//!    ([`Desk::data_still_there`]): one that was built anew meanwhile, or copies another primary, is caught.
//! 4. What is not new enough in time sends the job back, which costs it nothing; no job of the plugin is taken until it is, however
//!    long that takes ([`Desk::mind_data`]; a replica that is current is tried now and then: its primary may be another by now),
//!    nor while the replica is one that somebody has to mend ([`Desk::look_before_claim`]).
//!
//! What the results come from is the position of the data: a true lower bound.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use nightshift_manifest::plugin::{DataSource, PluginManifest};
use nightshift_plugin::Replica;
use nightshift_replica::Watch;
use nightshift_replica::facts::{Needs, Patience, USUAL_HEARTBEAT};
use nightshift_replica::position::holds;
use nightshift_replica::verdict::{Expected, Verdict, Whose};
use nightshift_replica::wait::NotReached;
use nightshift_wire::{Claim, DataPosition, ReachedPosition};
use tokio::time::sleep;

use crate::data_away::{Then, after_look};
use crate::desk::{Desk, InUse, lock};
use crate::job::Unfinished;
use crate::workbench::Catalogue;

/// The replica, watched.
pub(crate) struct Freshness {
    schema: String,
    /// Waited for while a job waits for its data: whoever only wants to look goes on without.
    watch: tokio::sync::Mutex<Watched>,
    /// Which data plugins were opened on.
    opened: Mutex<BTreeMap<String, Opened>>,
}

struct Watched {
    watch: Watch,
    /// How often time had jumped when it was looked at last.
    jumps: u64,
}

/// The data of an open plugin.
#[derive(Clone)]
struct Opened {
    on: ReachedPosition,
    /// Since the core began.
    at: Duration,
}

/// By what the replica's data count as current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// The table with the primary's heartbeat, as `schema.table`.
    pub heartbeat: String,
    /// How far behind they may be.
    pub max_behind: Duration,
    /// Whose server the replica is.
    pub whose: Whose,
}

impl Default for Currency {
    fn default() -> Currency {
        let Expected { max_behind, whose, .. } = Expected::default();
        Currency { heartbeat: USUAL_HEARTBEAT.to_owned(), max_behind, whose }
    }
}

impl Freshness {
    /// Watches `replica` with the account of its plugins. Nothing is done yet.
    pub(crate) fn of(replica: &Replica, currency: Currency) -> Freshness {
        let Currency { heartbeat, max_behind, whose } = currency;
        let (opts, needs) = (replica.opts().clone(), Needs { heartbeat: Some(heartbeat), ..Needs::default() });
        let expected = Expected { max_behind, whose, ..Expected::default() };
        let watch = Watch::new(opts, needs, expected, Patience::default());
        let watch = tokio::sync::Mutex::new(Watched { watch, jumps: 0 });
        Freshness { schema: replica.schema().to_owned(), watch, opened: Mutex::default() }
    }

    /// A plugin's tables as the server names them.
    fn tables(&self, manifest: &PluginManifest) -> BTreeSet<String> {
        manifest.tables.iter().map(|table| format!("{}.{table}", self.schema)).collect()
    }
}

impl Watched {
    /// The watch, which needs those tables now, and forgets what it saw before time jumped.
    fn needing(&mut self, tables: BTreeSet<String>, jumps: u64) -> &mut Watch {
        if std::mem::replace(&mut self.jumps, jumps) != jumps {
            self.watch.forget();
        }
        self.watch.need(tables);
        &mut self.watch
    }
}

impl Desk {
    /// What data that are read from now on hold at least; `None` where there is no replica, or nothing can be said of it.
    pub(crate) async fn data_now(&self) -> Option<ReachedPosition> {
        let freshness = self.freshness.as_ref()?;
        let jumps = self.awake().await;
        let mut watched = freshness.watch.lock().await;
        watched.needing(BTreeSet::new(), jumps).applied().await
    }

    /// Notes that the plugins of a release were opened after the replica had reached `on`.
    pub(crate) fn opened_on(&self, catalogue: &Catalogue, on: Option<&ReachedPosition>) {
        let Some(freshness) = &self.freshness else { return };
        let names = catalogue.ready.values().filter(|manifest| reads_replica(manifest)).map(|manifest| &manifest.name);
        let opened = names.zip(std::iter::repeat(on)).filter_map(|(name, on)| {
            let opened = Opened { on: on?.clone(), at: self.now() };
            Some((name.clone(), opened))
        });
        *lock(&freshness.opened) = opened.collect();
    }

    /// Waits until the data of a job's plugin are as new as the job asks for, and has the plugin opened on such data. What
    /// they hold at least; `None` when the plugin reads no replica.
    pub(crate) async fn data_for(
        &self,
        claim: &Claim,
        manifest: &PluginManifest,
    ) -> Result<Option<ReachedPosition>, Unfinished> {
        let Some(freshness) = self.freshness.as_ref().filter(|_| reads_replica(manifest)) else { return Ok(None) };
        let jumps = self.awake().await;
        let mut watched = freshness.watch.lock().await;
        let watch = watched.needing(freshness.tables(manifest), jumps);
        let opened = lock(&freshness.opened).get(&manifest.name).cloned();
        let wait = self.pace.data_wait;
        let reached = match (&claim.position, &opened) {
            // What the plugin has is new enough: it has only to be there still.
            (Some(wanted), Some(opened)) if holds(&opened.on, &wanted.primary, &wanted.gtid) => {
                watch.until_reached(&position(&opened.on), wait).await.map(|_| opened.on.clone())
            }
            (Some(wanted), _) => watch.until_reached(wanted, wait).await,
            (None, _) => watch.until_current(wait).await.map(|reached| match opened {
                Some(opened) if self.is_fresh(&opened, &reached, watch.expected.max_behind) => opened.on,
                _ => reached,
            }),
        };
        let reached = reached.map_err(|why| self.not_new_enough(claim, manifest, &why))?;
        let has = lock(&freshness.opened).get(&manifest.name).map(|opened| opened.on.clone());
        if has.as_ref() != Some(&reached) {
            lock(&freshness.opened).remove(&manifest.name);
            let at = self.now();
            self.bench.reopen(&manifest.name).await?.map_err(|why| {
                self.wait_for_data(&manifest.name, &why, None);
                Unfinished::Unable(why)
            })?;
            lock(&freshness.opened).insert(manifest.name.clone(), Opened { on: reached.clone(), at });
        }
        Ok(Some(reached))
    }

    /// Whether data that a plugin was opened on may be used for a job that asks for none in particular.
    fn is_fresh(&self, opened: &Opened, reached: &ReachedPosition, max_behind: Duration) -> bool {
        let age = self.now().saturating_sub(opened.at);
        opened.on == *reached || (age <= max_behind && holds(reached, &opened.on.primary, &opened.on.gtid))
    }

    /// Finds out whether the replica still has what the data of a plugin hold.
    pub(crate) async fn data_still_there(
        &self,
        claim: &Claim,
        manifest: &PluginManifest,
        on: Option<&ReachedPosition>,
    ) -> Result<(), Unfinished> {
        let (Some(freshness), Some(on)) = (&self.freshness, on) else { return Ok(()) };
        let jumps = self.awake().await;
        let mut watched = freshness.watch.lock().await;
        let watch = watched.needing(freshness.tables(manifest), jumps);
        match watch.until_reached(&position(on), self.pace.data_wait).await {
            Ok(_) => Ok(()),
            Err(why) => {
                lock(&freshness.opened).remove(&manifest.name);
                Err(self.not_new_enough(claim, manifest, &why))
            }
        }
    }

    /// The job has to go back, and no further one of the plugin is taken until that is over.
    fn not_new_enough(&self, claim: &Claim, manifest: &PluginManifest, why: &NotReached) -> Unfinished {
        let reason = why.to_string();
        let wanted = claim.position.clone().map_or(Wanted::Current, Wanted::Position);
        self.wait_for_data(&manifest.name, &reason, Some(wanted));
        Unfinished::Unable(reason)
    }

    /// Has no job claimed whose plugin reads the replica while that is away, or one that somebody has to mend.
    pub(crate) async fn look_before_claim(&self, in_use: &InUse) {
        let Some(freshness) = &self.freshness else { return };
        let reading = in_use.catalogue.ready.values().filter(|manifest| reads_replica(manifest));
        let reading: Vec<&PluginManifest> =
            reading.filter(|manifest| self.why_no_data(&manifest.name).is_none()).collect();
        // Whoever waits for data of the job in hand sees what is to be seen.
        let Ok(mut watched) = freshness.watch.try_lock() else { return };
        if reading.is_empty() {
            return;
        }
        let jumps = watched.jumps;
        let (seen, verdict) = watched.needing(BTreeSet::new(), jumps).look().await;
        if matches!(verdict, Verdict::Away(_)) || !verdict.may_pass() {
            let reason = verdict.in_words(seen.ok().map(|facts| facts.version), watched.watch.expected.whose);
            for manifest in reading {
                self.wait_for_data(&manifest.name, &reason, Some(Wanted::Usable));
            }
        }
    }

    /// Looks at the replica now and then while jobs wait for it, and has them taken again when it is as it has to be; for
    /// ever.
    pub(crate) async fn mind_data(&self) -> Infallible {
        let Some(freshness) = &self.freshness else { return std::future::pending().await };
        loop {
            let mut bell = self.bell.listen();
            let waiting = self.waiting_for_replica();
            if waiting.is_empty() {
                bell.rung().await;
                continue;
            }
            sleep(self.pace.data_look).await;
            let Ok(mut watched) = freshness.watch.try_lock() else { continue };
            let jumps = watched.jumps;
            for (plugin, wanted) in waiting {
                let in_use = self.in_use();
                let Some(manifest) = in_use.catalogue.ready.get(&plugin) else { continue };
                let watch = watched.needing(freshness.tables(manifest), jumps);
                let is_there = wanted.is_there(watch).await;
                let waited = !is_there && self.has_waited(&plugin);
                let is_current = waited && matches!(watch.look().await.1, Verdict::Current { .. });
                match after_look(is_there, is_current, waited) {
                    Then::Over => self.has_data(&plugin),
                    Then::TryOne => self.try_one(&plugin),
                    Then::GoesOn => continue,
                }
                self.bell.ring();
            }
        }
    }
}

/// What is waited for without a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// That the replica has reached a position.
    Position(DataPosition),
    /// That it is current.
    Current,
    /// That it is none that somebody has to mend.
    Usable,
}

impl Wanted {
    async fn is_there(&self, watch: &mut Watch) -> bool {
        match self {
            Wanted::Position(wanted) => watch.until_reached(wanted, Duration::ZERO).await.is_ok(),
            Wanted::Current => matches!(watch.look().await.1, Verdict::Current { .. }),
            Wanted::Usable => {
                let (_, verdict) = watch.look().await;
                verdict.may_pass() && !matches!(verdict, Verdict::Away(_))
            }
        }
    }
}

fn reads_replica(manifest: &PluginManifest) -> bool {
    manifest.source == DataSource::Replica
}

/// A position that was reached, to be looked for again.
fn position(reached: &ReachedPosition) -> DataPosition {
    DataPosition { primary: reached.primary.clone(), gtid: reached.gtid.clone(), noted: 0 }
}
