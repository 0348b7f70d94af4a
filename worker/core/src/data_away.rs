//! Plugins whose data are away: their jobs are not claimed for a while, while those of other plugins go on.
//!
//! Nothing of it counts against a job, a plugin or a release.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::desk::{Desk, lock};
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
}

impl Desk {
    /// Takes no job of a plugin for a while, because it does not get at its data.
    pub(crate) fn wait_for_data(&self, plugin: &str, reason: &str) {
        let mut plugins = lock(&self.data_away);
        let away = plugins.entry(plugin.to_owned()).or_default();
        away.times += 1;
        away.until = self.now() + retry::wait(away.times, self.pace.data_first, self.pace.data_most, fastrand::f64());
        reason.clone_into(&mut away.reason);
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
