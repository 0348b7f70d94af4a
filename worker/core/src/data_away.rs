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
    /// What of the replica is waited for: looked at, it ends the wait, and nothing else does.
    wanted: Option<Wanted>,
}

impl Away {
    /// Whether no job of the plugin is taken. One that waits for something that can be looked at waits until it was seen: a job
    /// that is taken before that comes back.
    fn keeps_jobs_off(&self, now: Duration) -> bool {
        self.wanted.is_some() || self.until > now
    }
}

/// What becomes of a wait for the replica after a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Jobs are taken again.
    Over,
    /// One job is tried: what was waited for may be out of date, as a position of a primary that was replaced.
    TryOne,
    /// It goes on.
    GoesOn,
}

/// Decides it: `is_there` what was waited for, `is_current` the replica, `waited` long enough to try again.
pub(crate) fn after_look(is_there: bool, is_current: bool, waited: bool) -> Then {
    match (is_there, is_current && waited) {
        (true, _) => Then::Over,
        (false, true) => Then::TryOne,
        (false, false) => Then::GoesOn,
    }
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

    /// Other plugins are in use: what theirs wait for is not known.
    pub(crate) fn forget_waits(&self) {
        lock(&self.data_away).clear();
    }

    /// Whether the plugin waited as long as it would without a replica to look at.
    pub(crate) fn has_waited(&self, plugin: &str) -> bool {
        let now = self.now();
        lock(&self.data_away).get(plugin).is_none_or(|away| away.until <= now)
    }

    /// Has a job of the plugin taken, although it is not known to get at its data.
    pub(crate) fn try_one(&self, plugin: &str) {
        if let Some(away) = lock(&self.data_away).get_mut(plugin) {
            away.wanted = None;
        }
    }

    /// Why no job of a plugin is taken now; `None` when one may be.
    pub(crate) fn why_no_data(&self, plugin: &str) -> Option<String> {
        let now = self.now();
        lock(&self.data_away).get(plugin).filter(|away| away.keeps_jobs_off(now)).map(|away| away.reason.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_is_taken_before_what_is_waited_for_was_seen_however_long_that_takes() {
        let (until, late) = (Duration::from_secs(5), Duration::from_secs(3600));
        let away = |wanted| Away { times: 1, until, reason: String::new(), wanted };
        assert!(away(Some(Wanted::Current)).keeps_jobs_off(late));
        assert!(away(None).keeps_jobs_off(Duration::ZERO) && !away(None).keeps_jobs_off(until));
    }

    #[test]
    fn a_replica_that_stands_still_is_tried_with_no_job_and_one_that_is_current_with_one_now_and_then() {
        assert_eq!(after_look(true, false, false), Then::Over);
        assert_eq!(after_look(false, false, true), Then::GoesOn);
        assert_eq!(after_look(false, true, false), Then::GoesOn);
        assert_eq!(after_look(false, true, true), Then::TryOne);
    }
}
