//! Bad workers: one that fails job after job while others succeed is drained, so that it does not quarantine good jobs.
//!
//! A worker is judged when a job of its fails. Failures that everybody has are the plugin's or the data's: only another
//! worker's success with the same plugin, since this one began to fail, shows that it is the worker.

use nightshift_wire::Moment;

/// So many failed jobs in a row make a worker suspect.
pub const SUSPECT_FROM: u32 = 3;

/// How a worker's last jobs went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak {
    /// Jobs that failed since its last accepted one.
    pub failed: u32,
    /// When the first of them failed; `None` when there is none.
    pub since: Option<Moment>,
}

impl Streak {
    /// With a job that failed now.
    pub fn failed(self, now: Moment) -> Streak {
        Streak { failed: self.failed.saturating_add(1), since: Some(self.since.unwrap_or(now)) }
    }

    /// After a job was accepted, or an admin resumed the worker.
    pub fn over() -> Streak {
        Streak::default()
    }
}

/// Why a worker is drained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "its last {failed} jobs failed while other workers' jobs of plugin {plugin} were accepted; look at the machine, then \
     resume it"
)]
pub struct BadWorker {
    /// Jobs that failed in a row.
    pub failed: u32,
    /// The plugin of the last one.
    pub plugin: String,
}

/// Judges a worker whose job of `plugin` just failed. `last_accepted` is when a job of that plugin was last accepted, from
/// whomever: within the streak it cannot have been this worker's.
pub fn judge(streak: Streak, plugin: &str, last_accepted: Option<Moment>) -> Option<BadWorker> {
    let others_succeed = matches!((streak.since, last_accepted), (Some(since), Some(accepted)) if accepted >= since);
    (streak.failed >= SUSPECT_FROM && others_succeed)
        .then(|| BadWorker { failed: streak.failed, plugin: plugin.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(moments: &[Moment]) -> Streak {
        moments.iter().fold(Streak::over(), |streak, &now| streak.failed(now))
    }

    #[test]
    fn a_worker_that_fails_three_times_in_a_row_while_others_succeed_is_drained() {
        let bad = judge(failed(&[100, 200, 300]), "name-count", Some(150)).expect("a bad worker");
        assert_eq!(
            bad.to_string(),
            "its last 3 jobs failed while other workers' jobs of plugin name-count were accepted; look at the machine, \
             then resume it"
        );
    }

    #[test]
    fn a_plugin_that_fails_everywhere_drains_nobody() {
        let streak = failed(&[100, 200, 300, 400]);
        assert_eq!(judge(streak, "name-count", Some(99)), None);
        assert_eq!(judge(streak, "name-count", None), None);
    }

    #[test]
    fn two_failures_or_a_success_between_drain_nobody() {
        assert_eq!(judge(failed(&[100, 200]), "name-count", Some(150)), None);
        let again = Streak::over().failed(300);
        assert_eq!(judge(again, "name-count", Some(350)), None);
        assert_eq!(again.since, Some(300));
    }
}
