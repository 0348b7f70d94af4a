//! How far a replica is behind, in time: by the heartbeat row, and without one by what it had fetched when it was looked at
//! before. Pure.
//!
//! The worker's own clock is never compared with anything: it may be hours wrong. Moments of looking are times since
//! the worker's program began, and the row is judged by how it moves against them: the least distance ever seen is what a
//! current replica has, everything above it is lag. Where the job server's clock is known (it writes the row), the row is
//! compared with that, too, and the larger lag counts. Whoever finds that time jumped ([`Trail::forget`]) begins anew.

use std::collections::VecDeque;
use std::time::Duration;

use crate::facts::{Facts, Heartbeat};
use crate::position::Gtids;

/// A least distance that became less by more than this was none of a current replica: it is catching up.
const CATCHING_UP: i64 = 1_000_000;
/// The same once it is believed: then a row that was written late, on a busy primary, is likelier.
const CATCHING_UP_ANEW: i64 = 10_000_000;
/// So long the least distance has to hold before it is believed.
const SETTLED: Duration = Duration::from_secs(2);
/// Fetched positions that are remembered.
const MOST: usize = 600;

/// When something is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the program began, by a clock that nobody sets.
    pub elapsed: Duration,
    /// The clock of whoever writes the heartbeat row, in microseconds since 1970; `None` when it is not known.
    pub writer: Option<i64>,
}

impl Now {
    /// A moment at which the writer's clock is not known.
    pub fn at(elapsed: Duration) -> Now {
        Now { elapsed, writer: None }
    }
}

/// What was seen before.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    beats: Option<Beats>,
    /// When what was fetched; the first one is the last that is known to be applied.
    fetched: VecDeque<(Duration, Gtids)>,
}

/// How the heartbeat row moves.
#[derive(Debug, Clone, Copy)]
struct Beats {
    writer: u64,
    /// The row's moment.
    at: i64,
    /// The least distance of a look from the row's moment; two different clocks, so any number.
    least: i64,
    /// Since when that holds, within [`CATCHING_UP`].
    since: Duration,
    /// The row moved since it was seen first. One that stands still says nothing of how old it is.
    moved: bool,
}

impl Beats {
    fn is_settled(&self, elapsed: Duration) -> bool {
        self.moved && elapsed.saturating_sub(self.since) >= SETTLED
    }
}

impl Trail {
    /// Adds a look. Facts have to be noted before they are judged.
    pub fn note(&mut self, facts: &Facts, elapsed: Duration) {
        if let Heartbeat::Row { server, at } = facts.heartbeat {
            let distance = micros(elapsed).saturating_sub(at);
            self.beats = Some(match self.beats {
                // A row that goes back was written by a clock that was set back: all begins anew.
                Some(beats) if beats.writer == server && beats.at <= at => {
                    let most = if beats.is_settled(elapsed) { CATCHING_UP_ANEW } else { CATCHING_UP };
                    let caught_up = beats.least.saturating_sub(distance) > most;
                    let since = if caught_up { elapsed } else { beats.since };
                    let moved = beats.moved || beats.at < at;
                    Beats { at, least: beats.least.min(distance), since, moved, ..beats }
                }
                _ => Beats { writer: server, at, least: distance, since: elapsed, moved: false },
            });
        }
        let Some(channel) = facts.channels.first() else { return self.fetched.clear() };
        self.fetched.push_back((elapsed, channel.retrieved.clone()));
        let applied = self.fetched.iter().rposition(|(_, fetched)| facts.applied.contains(fetched));
        self.fetched.drain(..applied.unwrap_or_default());
        if self.fetched.len() > MOST {
            // The first one says since when it is behind.
            self.fetched.remove(1);
        }
    }

    /// Forgets everything: time jumped, or the server is another one.
    pub fn forget(&mut self) {
        *self = Trail::default();
    }

    /// How far the replica is behind; `None` when that cannot be known yet. `facts` are the last that were noted.
    pub fn behind(&self, facts: &Facts, now: Now) -> Option<Duration> {
        match facts.heartbeat {
            Heartbeat::Row { at, .. } => self.by_heartbeat(at, now),
            Heartbeat::None(_) => self.by_position(facts, now),
        }
    }

    fn by_heartbeat(&self, at: i64, now: Now) -> Option<Duration> {
        let beats = self.beats?;
        let moved =
            beats.is_settled(now.elapsed).then(|| micros(now.elapsed).saturating_sub(at).saturating_sub(beats.least));
        let by_clock = now.writer.map(|writer| writer.saturating_sub(at));
        let most = moved.max(by_clock)?;
        Some(Duration::from_micros(u64::try_from(most).unwrap_or(0)))
    }

    fn by_position(&self, facts: &Facts, now: Now) -> Option<Duration> {
        let (last, fetched) = self.fetched.back()?;
        if facts.applied.contains(fetched) {
            return Some(now.elapsed.saturating_sub(*last));
        }
        let (reached, fetched) = self.fetched.front()?;
        facts.applied.contains(fetched).then(|| now.elapsed.saturating_sub(*reached))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::cases::healthy;

    const SECOND: i64 = 1_000_000;

    fn seconds(time: i64) -> Duration {
        Duration::from_secs(u64::try_from(time).expect("later than the start"))
    }

    /// Looks each second from `from` to `to`, at rows whose moments `at` gives; then the lag in seconds.
    fn lag(trail: &mut Trail, looks: impl IntoIterator<Item = i64>, at: impl Fn(i64) -> i64) -> Option<u64> {
        let mut last = None;
        for look in looks {
            let mut facts = healthy();
            facts.heartbeat = Heartbeat::Row { server: 1, at: at(look) * SECOND };
            trail.note(&facts, seconds(look));
            last = trail.behind(&facts, Now::at(seconds(look)));
        }
        last.map(|lag| lag.as_secs())
    }

    #[test]
    fn the_workers_clock_may_be_any_hours_wrong() {
        for hours in [-12, 0, 12, 500_000] {
            let row = |look: i64| hours * 3600 + look;
            let mut trail = Trail::default();
            assert_eq!(lag(&mut trail, [0], row), None, "nothing is known after one look");
            assert_eq!(lag(&mut trail, 1..10, row), Some(0));
            // The row stands still.
            assert_eq!(lag(&mut trail, 10..40, |_| row(9)), Some(30));
            assert_eq!(lag(&mut trail, [40], row), Some(0));
        }
    }

    #[test]
    fn a_replica_that_catches_up_is_not_taken_for_current() {
        let mut trail = Trail::default();
        // Ten seconds of history a second.
        assert_eq!(lag(&mut trail, 0..60, |look| 10 * look), None);
        assert_eq!(lag(&mut trail, 60..70, |look| 540 + look), Some(0));
    }

    #[test]
    fn a_row_that_stood_still_from_the_first_look_on_says_nothing_of_its_age() {
        assert_eq!(lag(&mut Trail::default(), 0..50, |_| 7), None);
    }

    #[test]
    fn a_row_that_was_written_late_alarms_nobody() {
        let mut trail = Trail::default();
        // The first beats come three seconds late, as on a busy primary.
        assert_eq!(lag(&mut trail, 0..10, |look| look - 3), Some(0));
        for look in 10..20 {
            assert_eq!(lag(&mut trail, [look], |look| look), Some(0), "look {look}");
        }
    }

    #[test]
    fn a_clock_of_the_writer_that_is_set_alarms_nobody_for_long() {
        for set in [-86_400, 86_400] {
            let mut trail = Trail::default();
            assert_eq!(lag(&mut trail, 0..10, |look| look), Some(0));
            assert_eq!(lag(&mut trail, 10..13, |look| look + set), Some(0));
        }
    }

    #[test]
    fn after_a_freeze_the_lag_is_the_true_one_and_not_what_the_server_says() {
        let mut trail = Trail::default();
        assert_eq!(lag(&mut trail, 0..10, |look| look), Some(0));
        assert_eq!(lag(&mut trail, [70], |_| 15), Some(55));
        assert_eq!(lag(&mut trail, [71], |_| 71), Some(0));
    }

    #[test]
    fn the_job_servers_clock_shows_at_once_how_old_the_row_is() {
        let mut facts = healthy();
        facts.heartbeat = Heartbeat::Row { server: 1, at: 1_000 * SECOND };
        let mut trail = Trail::default();
        trail.note(&facts, seconds(0));
        let now = Now { elapsed: seconds(0), writer: Some(1_090 * SECOND) };
        assert_eq!(trail.behind(&facts, now), Some(seconds(90)));
    }

    #[test]
    fn without_a_heartbeat_a_replica_is_as_far_behind_as_what_it_had_fetched_and_not_applied() {
        let mut trail = Trail::default();
        let mut facts = healthy();
        facts.heartbeat = Heartbeat::None("no such table".to_owned());
        let gtids = |number: u64| Gtids::parse(facts.version.make, &format!("0-1-{number}")).expect("a position");
        let steps = [
            (0, 10, 10, Some(0)),
            (1, 12, 10, Some(1)),
            (2, 15, 10, Some(2)),
            (3, 15, 12, Some(2)),
            (4, 15, 15, Some(0)),
        ];
        for (look, fetched, applied, lag) in steps {
            let mut facts = facts.clone();
            facts.channels[0].retrieved = gtids(fetched);
            facts.applied = gtids(applied);
            trail.note(&facts, seconds(look));
            assert_eq!(trail.behind(&facts, Now::at(seconds(look))).map(|lag| lag.as_secs()), lag, "look {look}");
        }
        let mut trail = Trail::default();
        facts.channels[0].retrieved = gtids(20);
        facts.applied = gtids(10);
        trail.note(&facts, seconds(0));
        assert_eq!(trail.behind(&facts, Now::at(seconds(0))), None, "for how long, nobody knows");
    }
}
