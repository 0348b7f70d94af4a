//! Plugins whose data are away: their jobs are not claimed for a while, while those of other plugins go on.
//!
//! When the replica is looked at meanwhile, and may end the wait: `freshness.rs`. Nothing of it counts against a job, a plugin or a release.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::desk::{Desk, lock};
use crate::freshness::Wanted;
use crate::retry;

/// The plugins whose data were away when they last looked, by name.
pub(crate) type DataAway = BTreeMap<String, Away>;

/// How often, and since when.
#[derive(Default)]
pub(crate) struct Away {
    /// Times in a row.
    times: u32,
    /// Until then no job of the plugin is taken.
    until: Duration,
    reason: String,
    /// What of the replica is waited for; looked at, it may end the wait earlier.
    wanted: Option<Wanted>,
}

impl Desk {
    /// Takes no job of a plugin for a while, because it does not get at its data, or they are not `wanted` ones.
    pub(crate) fn wait_for_data(&self, plugin: &str, reason: &str, wanted: Option<Wanted>) {
        let mut plugins = lock(&self.data_away);
        let away = plugins.entry(plugin.to_owned()).or_default();
        away.times += 1;
        away.until = self.now() + retry::wait(away.times, self.pace.data_first, self.pace.data_most, fastrand::f64());
        reason.clone_into(&mut away.reason);
        away.wanted = wanted;
        drop(plugins);
        self.bell.ring();
    }

    /// The plugin got at its data.
    pub(crate) fn has_data(&self, plugin: &str) {
        lock(&self.data_away).remove(plugin);
    }

    /// Why no job of a plugin is taken now; `None` when one may be.
    pub(crate) fn why_no_data(&self, plugin: &str) -> Option<String> {
        let now = self.now();
        lock(&self.data_away).get(plugin).filter(|away| away.until > now).map(|away| away.reason.clone())
    }

    /// The plugins that wait for the replica, and for what of it.
    pub(crate) fn waiting_for_replica(&self) -> Vec<(String, Wanted)> {
        let plugins = lock(&self.data_away);
        let waiting = plugins.iter().filter_map(|(plugin, away)| Some((plugin.clone(), away.wanted.clone()?)));
        waiting.collect()
    }

    /// Waits until the data of some plugin are worth another look.
    pub(crate) async fn until_data(&self) {
        let now = self.now();
        let next = lock(&self.data_away).values().map(|away| away.until).filter(|until| *until > now).min();
        match next {
            Some(until) => sleep(until - now).await,
            None => std::future::pending().await,
        }
    }
}
