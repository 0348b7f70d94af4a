//! How the launcher cares for a running core: one pure state machine. Events and the time come in, acts come out.
//!
//! ```text
//!            Start                 wanted: rest, unseen, stopped after the job
//!   Pausing ───────▶ Running ─────────────────────────▶ Draining
//!      ▲               │  │                                │ │
//!      └── crashed ────┘  └─────── wanted: stopped ───┐    │ │ ended
//!      │ three times quickly                          ▼    ▼ ▼
//!      └────────────────────▶ Finish ◀── ended ── Stopping ─┴──▶ Finish (or Start, when work is wanted again)
//! ```
//!
//! A core that does not end within [`STOP_GRACE`] of being told to stop, or that says nothing for [`SILENT_AFTER`], is
//! killed with its process group. Times are milliseconds since the machine's start.

use std::time::Duration;

use nightshift_contract::exit::Exit;
use nightshift_contract::message::{FromCore, ToCore};

use crate::decide::Next;

/// How long a core may take to end after it was told to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long a core may say nothing before it counts as hung.
pub const SILENT_AFTER: Duration = Duration::from_secs(10 * 60);
/// A core that ends sooner than this, without having got on with a job, crashed quickly.
pub const QUICK: Duration = Duration::from_secs(60);
/// So many quick crashes in a row end the cycle; cron tries again.
pub const QUICK_CRASHES: u32 = 3;
/// Ticks further apart than this mean that the machine slept, and that the core's silence says nothing.
const SLEPT: Duration = Duration::from_secs(15);
/// The pause after the first quick crash; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What the worker may do was decided anew.
    Wanted(Next),
    /// The core said something.
    Heard(FromCore),
    /// The core ended, with an exit code or (`None`) by a signal; it could not be started counts as ended.
    Ended(Option<i32>),
    /// The release in force has another core than the one that runs.
    OtherCore,
    /// About a second has passed.
    Tick,
    /// This launcher was asked to end.
    Terminated,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start a core.
    Start,
    /// Tell the core.
    Tell(ToCore),
    /// Kill the core and its process group. Holds why.
    Kill(&'static str),
    /// The watch is over.
    Finish(Finish),
}

/// Why a watch is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// As what is wanted says.
    AsWanted,
    /// The core crashed quickly, too often in a row.
    Crashed,
    /// Core and launcher do not understand each other.
    Misunderstood,
    /// The release in force is not what was signed, so no core was started.
    Unusable,
    /// The launcher was asked to end.
    Terminated,
}

/// Where the care for a core stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No core; the next is started at this time.
    Pausing {
        /// When.
        until: u64,
    },
    /// A core takes jobs.
    Running,
    /// A core finishes the job in hand.
    Draining,
    /// A core was told to stop.
    Stopping {
        /// When it is killed.
        kill_at: u64,
    },
}

/// The care for one core after another.
#[derive(Debug)]
pub struct Care {
    phase: Phase,
    wanted: Next,
    started: u64,
    heard: u64,
    ticked: u64,
    job: Option<(i64, u64)>,
    got_on: bool,
    quick_crashes: u32,
    terminated: bool,
}

impl Care {
    /// Care that begins at `now`, with nothing started yet: the first tick starts a core.
    pub fn new(now: u64) -> Care {
        Care {
            phase: Phase::Pausing { until: now },
            wanted: Next::Work,
            started: now,
            heard: now,
            ticked: now,
            job: None,
            got_on: false,
            quick_crashes: 0,
            terminated: false,
        }
    }

    /// What is wanted at present.
    pub fn wanted(&self) -> &Next {
        &self.wanted
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes an event and says what to do about it.
    pub fn on(&mut self, event: Event, now: u64) -> Vec<Act> {
        match event {
            Event::Wanted(next) => {
                self.wanted = next;
                self.steer(now)
            }
            Event::Heard(message) => {
                self.hear(&message, now);
                Vec::new()
            }
            Event::Ended(code) => self.ended(code, now),
            Event::OtherCore if self.phase == Phase::Running => {
                self.phase = Phase::Draining;
                vec![Act::Tell(ToCore::Drain("another core takes over".to_owned()))]
            }
            Event::OtherCore => Vec::new(),
            Event::Tick => self.tick(now),
            Event::Terminated => {
                self.terminated = true;
                self.steer(now)
            }
        }
    }

    fn steer(&mut self, now: u64) -> Vec<Act> {
        let stop = if self.terminated {
            Some("the launcher ends".to_owned())
        } else {
            self.wanted.is_stop().then(|| self.wanted.in_words().0)
        };
        match (self.phase, stop) {
            (Phase::Pausing { .. }, _) if self.terminated => vec![Act::Finish(Finish::Terminated)],
            (Phase::Pausing { .. }, _) if self.wanted != Next::Work => vec![Act::Finish(Finish::AsWanted)],
            (Phase::Pausing { until }, _) if now >= until => vec![self.start(now)],
            (Phase::Running | Phase::Draining, Some(reason)) => {
                self.phase = Phase::Stopping { kill_at: now + millis(STOP_GRACE) };
                vec![Act::Tell(ToCore::Stop(reason))]
            }
            (Phase::Running, None) if self.wanted != Next::Work => {
                self.phase = Phase::Draining;
                vec![Act::Tell(ToCore::Drain(self.wanted.in_words().0))]
            }
            (Phase::Stopping { kill_at }, _) if now >= kill_at => vec![Act::Kill("it did not stop when told to")],
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: u64) -> Vec<Act> {
        if now.saturating_sub(self.ticked) > millis(SLEPT) {
            self.heard = now;
        }
        self.ticked = now;
        let silent = now.saturating_sub(self.heard) >= millis(SILENT_AFTER);
        if silent && matches!(self.phase, Phase::Running | Phase::Draining) {
            return vec![Act::Kill("it gave no sign of life for ten minutes")];
        }
        self.steer(now)
    }

    fn hear(&mut self, message: &FromCore, now: u64) {
        self.heard = now;
        if let FromCore::Working { job, done, .. } = message {
            self.got_on |= self.job.is_some_and(|(before, had)| before != *job || *done > had);
            self.job = Some((*job, *done));
        }
    }

    fn start(&mut self, now: u64) -> Act {
        self.phase = Phase::Running;
        (self.started, self.heard) = (now, now);
        (self.job, self.got_on) = (None, false);
        Act::Start
    }

    fn ended(&mut self, code: Option<i32>, now: u64) -> Vec<Act> {
        if self.terminated {
            return vec![Act::Finish(Finish::Terminated)];
        }
        match self.phase {
            Phase::Stopping { .. } | Phase::Draining if self.wanted != Next::Work => {
                return vec![Act::Finish(Finish::AsWanted)];
            }
            Phase::Stopping { .. } | Phase::Draining => return vec![self.start(now)],
            Phase::Running | Phase::Pausing { .. } => {}
        }
        if code == Some(i32::from(Exit::Usage.code())) {
            return vec![Act::Finish(Finish::Misunderstood)];
        }
        let quick = now.saturating_sub(self.started) < millis(QUICK) && !self.got_on;
        self.quick_crashes = if quick { self.quick_crashes + 1 } else { 0 };
        if self.quick_crashes >= QUICK_CRASHES {
            return vec![Act::Finish(Finish::Crashed)];
        }
        let pause = millis(FIRST_PAUSE) << self.quick_crashes.saturating_sub(1);
        self.phase = Phase::Pausing { until: now + pause };
        Vec::new()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn running() -> Care {
        let mut care = Care::new(START);
        assert_eq!(care.on(Event::Tick, START), [Act::Start]);
        care
    }

    fn rest() -> Next {
        Next::Rest("2026-01-05T12:00:00Z".parse().expect("a moment"))
    }

    fn stopped() -> Next {
        Next::StoppedByFlag("a reason".into())
    }

    fn working(job: i64, done: u64) -> Event {
        Event::Heard(FromCore::Working { job, plugin: "p".into(), done, total: 1000 })
    }

    #[test]
    fn a_stop_is_told_at_once_and_enforced_after_the_grace() {
        let mut care = running();
        let acts = care.on(Event::Wanted(stopped()), START + 10);
        assert_eq!(acts, [Act::Tell(ToCore::Stop("stop flag: a reason".into()))]);
        assert_eq!(care.on(Event::Wanted(stopped()), START + 20), [], "told once");
        assert_eq!(care.on(Event::Tick, START + 2000), []);
        assert!(matches!(care.on(Event::Tick, START + 2010).as_slice(), [Act::Kill(_)]));
        assert_eq!(care.on(Event::Ended(None), START + 2020), [Act::Finish(Finish::AsWanted)]);
    }

    #[test]
    fn the_end_of_the_hours_lets_the_core_finish_its_job() {
        let mut care = running();
        let acts = care.on(Event::Wanted(rest()), START + 10);
        assert!(matches!(acts.as_slice(), [Act::Tell(ToCore::Drain(_))]), "{acts:?}");
        assert_eq!(care.on(Event::Tick, START + 60_000), [], "a drain has no deadline");
        assert_eq!(care.on(Event::Ended(Some(0)), START + 70_000), [Act::Finish(Finish::AsWanted)]);
    }

    #[test]
    fn a_stop_after_the_job_lets_the_core_finish_it_and_one_at_once_does_not() {
        let mut care = running();
        let acts = care.on(Event::Wanted(Next::StoppedAfterJob("a reason".into())), START + 10);
        assert_eq!(acts, [Act::Tell(ToCore::Drain("stop flag: a reason".into()))]);
        assert_eq!(care.on(Event::Tick, START + 60_000), []);
        let acts = care.on(Event::Wanted(stopped()), START + 60_010);
        assert!(matches!(acts.as_slice(), [Act::Tell(ToCore::Stop(_))]), "{acts:?}");
    }

    #[test]
    fn a_stop_reaches_a_core_that_is_draining() {
        let mut care = running();
        care.on(Event::Wanted(rest()), START + 10);
        let acts = care.on(Event::Wanted(stopped()), START + 20);
        assert!(matches!(acts.as_slice(), [Act::Tell(ToCore::Stop(_))]), "{acts:?}");
    }

    #[test]
    fn a_core_that_drained_is_started_again_when_work_is_wanted_again() {
        let mut care = running();
        care.on(Event::Wanted(rest()), START + 10);
        assert_eq!(care.on(Event::Wanted(Next::Work), START + 20), []);
        assert_eq!(care.on(Event::Ended(Some(0)), START + 30), [Act::Start]);
    }

    #[test]
    fn another_core_takes_over_after_the_job_in_hand() {
        let mut care = running();
        let acts = care.on(Event::OtherCore, START + 10);
        assert!(matches!(acts.as_slice(), [Act::Tell(ToCore::Drain(_))]), "{acts:?}");
        assert_eq!(care.on(Event::OtherCore, START + 20), [], "told once");
        assert_eq!(care.on(Event::Ended(Some(0)), START + 60_000), [Act::Start]);
    }

    #[test]
    fn a_crashed_core_is_started_again_after_a_pause_that_doubles() {
        let mut care = running();
        assert_eq!(care.on(Event::Ended(None), START + 100), []);
        assert_eq!(care.on(Event::Tick, START + 1099), []);
        assert_eq!(care.on(Event::Tick, START + 1100), [Act::Start]);
        assert_eq!(care.on(Event::Ended(Some(101)), START + 1200), []);
        assert_eq!(care.on(Event::Tick, START + 3199), []);
        assert_eq!(care.on(Event::Tick, START + 3200), [Act::Start]);
        assert_eq!(care.on(Event::Ended(None), START + 3300), [Act::Finish(Finish::Crashed)]);
    }

    #[test]
    fn a_core_that_got_on_with_its_job_did_not_crash_quickly() {
        let mut care = running();
        let mut now = START;
        for round in 0..10 {
            care.on(working(7, round * 250), now + 1);
            care.on(working(7, round * 250 + 250), now + 2);
            assert_eq!(care.on(Event::Ended(None), now + 3), []);
            now += 2000;
            assert_eq!(care.on(Event::Tick, now), [Act::Start], "round {round}");
        }
    }

    #[test]
    fn a_resumed_checkpoint_alone_is_not_getting_on() {
        let mut care = running();
        for start in [START, START + 10_000] {
            care.on(working(7, 250), start + 1);
            assert_eq!(care.on(Event::Ended(None), start + 2), []);
            assert_eq!(care.on(Event::Tick, start + 10_000), [Act::Start]);
        }
        care.on(working(7, 250), START + 20_001);
        assert_eq!(care.on(Event::Ended(None), START + 20_002), [Act::Finish(Finish::Crashed)]);
    }

    #[test]
    fn a_core_that_hangs_is_killed_and_started_again() {
        let mut care = running();
        let mut now = START;
        while now < START + 599_000 {
            now += 1000;
            assert_eq!(care.on(Event::Tick, now), []);
        }
        assert!(matches!(care.on(Event::Tick, now + 1000).as_slice(), [Act::Kill(_)]));
        assert_eq!(care.on(Event::Ended(None), now + 1010), []);
        assert_eq!(care.on(Event::Tick, now + 2010), [Act::Start]);
    }

    #[test]
    fn a_machine_that_slept_does_not_cost_the_core_its_life() {
        let mut care = running();
        let woke = START + 8 * 3_600_000;
        assert_eq!(care.on(Event::Tick, woke), []);
        assert_eq!(care.on(Event::Tick, woke + 1000), []);
    }

    #[test]
    fn a_stop_during_a_pause_ends_the_watch() {
        let mut care = running();
        care.on(Event::Ended(None), START + 100);
        assert_eq!(care.on(Event::Wanted(stopped()), START + 200), [Act::Finish(Finish::AsWanted)]);
    }

    #[test]
    fn a_launcher_asked_to_end_stops_its_core_first() {
        let mut care = running();
        assert!(matches!(care.on(Event::Terminated, START + 10).as_slice(), [Act::Tell(ToCore::Stop(_))]));
        assert_eq!(care.on(Event::Ended(Some(6)), START + 20), [Act::Finish(Finish::Terminated)]);
    }

    #[test]
    fn a_core_that_does_not_understand_its_launcher_is_not_tried_again() {
        let mut care = running();
        assert_eq!(care.on(Event::Ended(Some(2)), START + 10), [Act::Finish(Finish::Misunderstood)]);
    }
}
