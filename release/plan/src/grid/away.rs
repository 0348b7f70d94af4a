//! How workers come and go: what becomes of their jobs meanwhile, and when a lease runs out.

use nightshift_rules::lease;

use super::{Grid, NEVER, What};
use crate::jobs::Held;
use crate::{DAY_MS, MINUTE_MS};

/// The longest time between two heartbeats, as in `nightshift-core`; a third of the lease when that is shorter.
const HEARTBEAT_MS: u64 = MINUTE_MS;
/// A kill takes what was done since the last checkpoint, at most so much.
const CHECKPOINT_MS: u64 = 30_000;
/// After a kill a worker comes back with the next cycle of cron.
const CYCLE_MS: u64 = 10 * MINUTE_MS;

/// Why a worker is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// Its VM is paused, or saved until the next stretch: memory is kept.
    Paused,
    /// It was killed: it goes on from its last checkpoint.
    Killed,
}

impl Grid<'_> {
    pub(super) fn come_back(&mut self, worker: u32, now: u64) {
        let away_at = self.next_away(worker, now);
        let look_every = self.workers[worker as usize].looks_every(self.office);
        let w = &mut self.workers[worker as usize];
        (w.is_on, w.since, w.away_at) = (true, now, away_at);
        if look_every > 0 && w.look_at < now {
            w.look_at += (now - w.look_at).div_ceil(look_every) * look_every;
        }
        w.look_at = w.look_at.max(now);
        let (in_hand, ahead) = (w.in_hand.take(), w.ahead.take());
        let ahead = ahead.and_then(|held| self.still_its(held, 0, now));
        let done_ms = self.workers[worker as usize].done_ms;
        match in_hand.and_then(|held| self.still_its(held, done_ms, now)) {
            Some(held) => {
                let w = &mut self.workers[worker as usize];
                w.runs_since = now.max(held.ready_at());
                (w.in_hand, w.ahead) = (Some(held), ahead);
            }
            None => {
                if let Some(held) = ahead {
                    self.begin(worker, held, now);
                }
            }
        }
    }

    /// A heartbeat of who comes back: the attempt, when the job server still wants it. What was done of it is done twice
    /// otherwise.
    fn still_its(&mut self, mut held: Held, done_ms: u64, now: u64) -> Option<Held> {
        self.tally.hour(now).requests += 1;
        if self.jobs.beat(&mut held) {
            return Some(held);
        }
        self.jobs.drop_held(&held);
        self.tally.done_twice(now, done_ms);
        None
    }

    /// When a worker that comes now goes away, and why.
    fn next_away(&mut self, worker: u32, now: u64) -> u64 {
        let Some(phase) = self.workers[worker as usize].who.phase() else { return NEVER };
        let office = self.office;
        let stretch_ends = match office.idle_ms {
            DAY_MS.. => NEVER,
            idle => now - (now - phase) % DAY_MS + idle,
        };
        // So often in the idle time of a day.
        let a_day = office.suspended.a_day + office.killed_a_day + office.switched_off_a_day;
        if a_day <= 0.0 {
            return stretch_ends;
        }
        let next = now + self.random.until_next(office.idle_ms as f64 / a_day);
        next.min(stretch_ends)
    }

    pub(super) fn go_away(&mut self, worker: u32, now: u64) {
        let office = self.office;
        let w = &self.workers[worker as usize];
        let phase = w.who.phase().unwrap_or(0);
        let into_stretch = (now - phase) % DAY_MS;
        let next_stretch = now - into_stretch + DAY_MS;
        let ends = office.idle_ms < DAY_MS && into_stretch >= office.idle_ms;
        let (away, mut back) = if ends {
            (Away::Paused, next_stretch)
        } else {
            let a_day = office.suspended.a_day + office.killed_a_day + office.switched_off_a_day;
            let kind = self.random.share() * a_day;
            if kind < office.suspended.a_day {
                (Away::Paused, now + self.random.until_next(office.suspended.lasts_ms as f64).max(1))
            } else if kind < office.suspended.a_day + office.killed_a_day {
                (Away::Killed, now + MINUTE_MS + self.random.below(CYCLE_MS))
            } else {
                (Away::Killed, next_stretch)
            }
        };
        // Who would come back when the stretch is over comes with the next one.
        if office.idle_ms < DAY_MS && (back - phase) % DAY_MS >= office.idle_ms {
            back = back - (back - phase) % DAY_MS + DAY_MS;
        }
        self.pause_work(worker, now);
        let taken = if away == Away::Killed { self.random.below(CHECKPOINT_MS) } else { 0 };
        let w = &mut self.workers[worker as usize];
        let taken = taken.min(w.done_ms);
        w.done_ms -= taken;
        let held: Vec<Held> = w.in_hand.iter().chain(&w.ahead).copied().collect();
        let was_on_since = w.since;
        (w.is_on, w.since) = (false, back);
        let on_ms = self.tally.part(was_on_since, now);
        self.tally.idle_ms += on_ms;
        if self.tally.counts(now) {
            self.tally.redone_ms += taken;
            self.tally.settled_ms += taken;
        }
        for held in held {
            let over_at = self.lease_until(&held, was_on_since, now);
            if over_at <= back {
                self.agenda.note(over_at, What::Over { worker, attempt: held.id });
            }
        }
    }

    /// Until when an attempt's lease runs whose worker was on from `since` until now. Heartbeats by arithmetic.
    pub(super) fn lease_until(&mut self, held: &Held, since: u64, now: u64) -> u64 {
        let first = held.since.max(since);
        let every = HEARTBEAT_MS.min(held.lease_ms() / 3).max(1);
        let beats = (now - first) / every;
        if self.tally.counts(now) {
            self.tally.beats += (self.tally.part(first, now)) / every;
        }
        let last = i64::try_from(first + beats * every).unwrap_or(i64::MAX);
        u64::try_from(lease::renew(last, held.lease_ms())).unwrap_or(NEVER)
    }

    /// The job in hand is not worked on from now on; what was done of it is kept.
    pub(super) fn pause_work(&mut self, worker: u32, now: u64) {
        let w = &mut self.workers[worker as usize];
        if w.in_hand.is_some() && now > w.runs_since {
            w.done_ms = (w.done_ms + now - w.runs_since).min(w.work_ms(&self.takes));
            if w.who.is_pc() {
                self.tally.work_ms += self.tally.part(w.runs_since, now);
            }
        }
        self.workers[worker as usize].runs_since = now;
    }
}
