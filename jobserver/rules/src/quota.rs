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
        // A moment that is still to come is of a clock that went back since.
        let since = self.since.map_or(now, |since| since.min(now));
        Streak { failed: self.failed.saturating_add(1), since: Some(since) }
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

/// Judges a worker whose job of `plugin` failed `now`. `last_accepted` is when a job of that plugin was last accepted, from
/// whomever: within the streak it cannot have been this worker's. A moment that is still to come is of a clock that went back
/// since, and says nothing.
pub fn judge(streak: Streak, plugin: &str, last_accepted: Option<Moment>, now: Moment) -> Option<BadWorker> {
    let others_succeed =
        streak.since.zip(last_accepted).is_some_and(|(since, accepted)| (since..=now).contains(&accepted));
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
        let bad = judge(failed(&[100, 200, 300]), "name-count", Some(150), 300).expect("a bad worker");
        assert_eq!(
            bad.to_string(),
            "its last 3 jobs failed while other workers' jobs of plugin name-count were accepted; look at the machine, \
             then resume it"
        );
    }

    #[test]
    fn a_plugin_that_fails_everywhere_drains_nobody() {
        let streak = failed(&[100, 200, 300, 400]);
        assert_eq!(judge(streak, "name-count", Some(99), 400), None);
        assert_eq!(judge(streak, "name-count", None, 400), None);
    }

    #[test]
    fn a_success_by_a_clock_that_went_back_since_drains_nobody() {
        assert_eq!(judge(failed(&[100, 200, 300]), "name-count", Some(9_000), 300), None);
        let before_and_after = failed(&[9_000, 200, 300]);
        assert_eq!(before_and_after.since, Some(200));
        assert!(judge(before_and_after, "name-count", Some(250), 300).is_some());
    }

    #[test]
    fn two_failures_or_a_success_between_drain_nobody() {
        assert_eq!(judge(failed(&[100, 200]), "name-count", Some(150), 200), None);
        let again = Streak::over().failed(300);
        assert_eq!(judge(again, "name-count", Some(350), 350), None);
        assert_eq!(again.since, Some(300));
    }
}
