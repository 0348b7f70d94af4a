//! The outbox: what is to be told to the job server about attempts that are done with, while other work goes on.
//!
//! Finished results wait here until the server has taken or refused them, attempts to give back until it knows. All of it
//! is on disk as well: a core that ends leaves it to the next. Pure: moments are times since the core began.
//!
//! - While the server is away, everything waits, longer each time, and without end.
//! - A server that is there and fails at one errand again and again does not keep the others waiting. After
//!   [`MOST_FAULTS`] faults results are *set aside*: they stay on disk, are tried less and less often, and the next core
//!   begins with other work. A job that the server fails to take back is let go: the next claim does not list it.
//! - An attempt without records goes back after the next claim, and not before it: that claim would bring the same job
//!   again.
//! - A core that drains tries everything a few times more and leaves the rest.

use std::time::Duration;

use nightshift_wire::{AttemptId, GiveBackCause};

use crate::pace::Pace;
use crate::retry::{self, MOST_FAULTS, TRIES_WHILE_DRAINING};
use crate::spool::HeldAttempt;

/// With so many attempts on disk no further one is claimed: the server takes nobody's results, and the disk has an end.
const MOST_ATTEMPTS: usize = 8;
/// The same with so many bytes of results.
const MOST_BYTES: u64 = 512 << 20;

/// What waits for the server.
#[derive(Default)]
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    /// Tries in a row at which the server was away.
    away: u32,
    /// Until then nothing is tried, because the server is away.
    rest_until: Duration,
    /// Tries at which the server was away since the core began to close; `None` before.
    closing: Option<u32>,
}

/// What to tell the server about an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Hand in its results.
    Results,
    /// Give its job back.
    GiveBack {
        /// Whether it counts against the job.
        cause: GiveBackCause,
        /// Why.
        reason: String,
        /// Not before another claim is answered.
        after_claim: bool,
    },
}

struct Entry {
    held: HeldAttempt,
    errand: Errand,
    /// Bytes of its results on disk.
    bytes: u64,
    due: Duration,
    faults: u32,
    faults_while_closing: u32,
    /// How the server failed last.
    why: Option<String>,
}

/// What to do next.
pub(crate) enum Next {
    /// This.
    Deliver(HeldAttempt, Errand),
    /// Nothing for so long; `None` for as long as nothing changes.
    Wait(Option<Duration>),
}

/// How a server failed at an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It is away.
    Away,
    /// It is there, and fails at this.
    Fault,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is tried again.
    Again,
    /// It is set aside from now on.
    SetAside,
    /// It was set aside before.
    StaysAside,
    /// It is not worth a further try.
    LetGo,
}

impl Outbox {
    /// Puts an errand in; one of the same attempt is replaced.
    pub(crate) fn put(&mut self, held: HeldAttempt, errand: Errand, bytes: u64, now: Duration) {
        self.forget(held.claim.attempt);
        let entry = Entry { held, errand, bytes, due: now, faults: 0, faults_while_closing: 0, why: None };
        self.entries.push(entry);
    }

    /// Takes up results that an earlier core set aside; they are tried at once.
    pub(crate) fn inherit(&mut self, held: HeldAttempt, why: String, bytes: u64, now: Duration) {
        self.put(held, Errand::Results, bytes, now);
        if let Some(entry) = self.entries.last_mut() {
            (entry.faults, entry.why) = (MOST_FAULTS, Some(why));
        }
    }

    /// What to do now.
    pub(crate) fn next(&self, now: Duration) -> Next {
        let due = |entry: &&Entry| (self.closing.is_some() || !entry.waits_for_claim()) && !self.is_left(entry);
        let Some(entry) = self.entries.iter().filter(due).min_by_key(|entry| entry.due) else {
            return Next::Wait(None);
        };
        match entry.due.max(self.rest_until).checked_sub(now).filter(|wait| !wait.is_zero()) {
            Some(wait) => Next::Wait(Some(wait)),
            None => Next::Deliver(entry.held.clone(), entry.errand.clone()),
        }
    }

    /// The server has answered: it is not away.
    pub(crate) fn answered(&mut self) {
        (self.away, self.rest_until) = (0, Duration::ZERO);
    }

    /// The attempt is dealt with.
    pub(crate) fn forget(&mut self, attempt: AttemptId) {
        self.entries.retain(|entry| entry.held.claim.attempt != attempt);
    }

    /// The server failed at an attempt's errand; `chance` is a number from 0 to 1.
    pub(crate) fn failed(
        &mut self,
        attempt: AttemptId,
        (how, why): (Failed, String),
        now: Duration,
        pace: &Pace,
        chance: f64,
    ) -> Then {
        if how == Failed::Away {
            self.away += 1;
            self.closing = self.closing.map(|tries| tries + 1);
            self.rest_until = now + retry::wait(self.away, pace.away_first, pace.away_most, chance);
        } else {
            self.answered();
        }
        let closing = self.closing.is_some();
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.held.claim.attempt == attempt) else {
            return Then::Again;
        };
        entry.why = Some(why);
        if how == Failed::Away {
            return Then::Again;
        }
        entry.faults = entry.faults.saturating_add(1);
        entry.faults_while_closing += u32::from(closing);
        if entry.faults < MOST_FAULTS {
            entry.due = now + retry::wait(entry.faults, pace.away_first, pace.away_most, chance);
            return Then::Again;
        }
        let tries = entry.faults - MOST_FAULTS + 1;
        entry.due = now + retry::wait(tries, pace.aside_first, pace.aside_most, chance);
        match entry.errand {
            Errand::GiveBack { .. } => Then::LetGo,
            Errand::Results if tries == 1 => Then::SetAside,
            Errand::Results => Then::StaysAside,
        }
    }

    /// Failures in a row at an attempt's errand, or at all of them while the server is away.
    pub(crate) fn failures(&self, attempt: AttemptId) -> u32 {
        let entry = self.entries.iter().find(|entry| entry.held.claim.attempt == attempt);
        self.away.max(entry.map_or(0, |entry| entry.faults))
    }

    /// A claim was answered: what waited for that may go.
    pub(crate) fn claimed(&mut self) {
        for entry in &mut self.entries {
            if let Errand::GiveBack { after_claim, .. } = &mut entry.errand {
                *after_claim = false;
            }
        }
    }

    /// The core ends soon: everything that is not set aside is tried a few times more.
    pub(crate) fn close(&mut self, now: Duration) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(0);
        self.rest_until = self.rest_until.min(now);
        for entry in self.entries.iter_mut().filter(|entry| entry.faults < MOST_FAULTS) {
            entry.due = entry.due.min(now);
        }
    }

    /// Whether a core that closes has nothing left to try.
    pub(crate) fn is_settled(&self) -> bool {
        self.closing.is_some() && self.entries.iter().all(|entry| self.is_left(entry))
    }

    /// Whether a further attempt may be claimed, with so many on disk.
    pub(crate) fn has_room(&self, on_disk: usize) -> bool {
        let bytes: u64 = self.entries.iter().map(|entry| entry.bytes).sum();
        on_disk < MOST_ATTEMPTS && bytes < MOST_BYTES
    }

    /// What the server failed at and why, in words that go on behind what the core waits for; empty when nothing.
    pub(crate) fn in_words(&self) -> String {
        let of_job = |entry: &Entry| match (&entry.errand, &entry.why) {
            (Errand::Results, Some(why)) => Some(format!(
                "; the results of job {} are kept until the job server takes them: {why}",
                entry.held.claim.job
            )),
            _ => None,
        };
        self.entries.iter().filter_map(of_job).collect()
    }

    /// Results that the server did not take: jobs, and their bytes on disk. Those that were not tried yet do not count, unless
    /// it is away.
    pub(crate) fn spooled(&self) -> (u64, u64) {
        let kept = |entry: &&Entry| entry.errand == Errand::Results && (self.away > 0 || entry.why.is_some());
        let kept = self.entries.iter().filter(kept);
        kept.fold((0, 0), |(jobs, bytes), entry| (jobs + 1, bytes + entry.bytes))
    }

    /// Whether a core that closes leaves it to the next.
    fn is_left(&self, entry: &Entry) -> bool {
        self.closing.is_some_and(|away| {
            away >= TRIES_WHILE_DRAINING
                || entry.faults >= MOST_FAULTS
                || entry.faults_while_closing >= TRIES_WHILE_DRAINING
        })
    }
}

impl Entry {
    fn waits_for_claim(&self) -> bool {
        matches!(self.errand, Errand::GiveBack { after_claim: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use nightshift_contract::layout::StateDir;
    use nightshift_wire::Claim;

    use super::*;
    use crate::spool::Spool;

    const SECOND: Duration = Duration::from_secs(1);

    fn held(attempt: AttemptId) -> HeldAttempt {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(&StateDir::new(folder.path())).expect("opens");
        spool.unnoted(Claim {
            attempt,
            secret: "s".into(),
            job: 100 + attempt,
            revision: 0,
            batch: 1,
            plugin: "p".into(),
            records: 2,
            lease_ms: 60_000,
            position: None,
        })
    }

    fn with_results(attempts: &[AttemptId]) -> Outbox {
        let mut outbox = Outbox::default();
        for attempt in attempts {
            outbox.put(held(*attempt), Errand::Results, 10, Duration::ZERO);
        }
        outbox
    }

    fn fail(outbox: &mut Outbox, attempt: AttemptId, how: Failed, now: Duration) -> Then {
        outbox.failed(attempt, (how, "why".to_owned()), now, &Pace::default(), 0.0)
    }

    /// The attempt to deliver now, or how long to wait.
    fn next(outbox: &Outbox, now: Duration) -> Result<AttemptId, Option<Duration>> {
        match outbox.next(now) {
            Next::Deliver(held, _) => Ok(held.claim.attempt),
            Next::Wait(wait) => Err(wait),
        }
    }

    #[test]
    fn what_came_first_is_delivered_first_until_it_is_dealt_with() {
        let mut outbox = with_results(&[2, 1]);
        assert_eq!(next(&outbox, SECOND), Ok(2));
        outbox.forget(2);
        assert_eq!(next(&outbox, SECOND), Ok(1));
        outbox.forget(1);
        assert_eq!(next(&outbox, SECOND), Err(None));
    }

    #[test]
    fn a_server_that_is_away_keeps_everything_waiting_longer_each_time_and_without_end() {
        let mut outbox = with_results(&[1, 2]);
        let waits: Vec<u128> = (0..9)
            .map(|_| {
                assert_eq!(fail(&mut outbox, 1, Failed::Away, SECOND), Then::Again);
                next(&outbox, SECOND).expect_err("it waits").expect("but not for ever").as_millis()
            })
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        outbox.answered();
        assert_eq!(next(&outbox, SECOND), Ok(1));
    }

    #[test]
    fn results_count_as_kept_once_the_server_did_not_take_them() {
        let mut outbox = with_results(&[1, 2]);
        outbox.put(
            held(3),
            Errand::GiveBack { cause: GiveBackCause::Stopped, reason: "why".into(), after_claim: false },
            0,
            SECOND,
        );
        assert_eq!(outbox.spooled(), (0, 0));
        fail(&mut outbox, 1, Failed::Away, SECOND);
        assert_eq!(outbox.spooled(), (2, 20), "away from all of them");
        outbox.answered();
        assert_eq!(outbox.spooled(), (1, 10));
        outbox.forget(1);
        assert_eq!(outbox.spooled(), (0, 0));
    }

    #[test]
    fn results_that_a_server_fails_at_let_others_pass_and_are_set_aside_in_the_end() {
        let mut outbox = with_results(&[1, 2]);
        for _ in 1..MOST_FAULTS {
            assert_eq!(fail(&mut outbox, 1, Failed::Fault, SECOND), Then::Again);
            assert_eq!(next(&outbox, SECOND), Ok(2));
        }
        assert_eq!(fail(&mut outbox, 1, Failed::Fault, SECOND), Then::SetAside);
        assert_eq!(fail(&mut outbox, 1, Failed::Fault, SECOND), Then::StaysAside);
        outbox.forget(2);
        assert_eq!(next(&outbox, SECOND), Err(Some(120 * SECOND)));
        assert_eq!(outbox.in_words(), "; the results of job 101 are kept until the job server takes them: why");
    }

    #[test]
    fn a_job_that_cannot_be_given_back_is_let_go_and_one_without_records_waits_for_a_claim() {
        let mut outbox = Outbox::default();
        let back = Errand::GiveBack { cause: GiveBackCause::Stopped, reason: "why".to_owned(), after_claim: true };
        outbox.put(held(1), back, 0, Duration::ZERO);
        assert_eq!(next(&outbox, SECOND), Err(None));
        outbox.claimed();
        assert_eq!(next(&outbox, SECOND), Ok(1));
        let last = (0..MOST_FAULTS).map(|_| fail(&mut outbox, 1, Failed::Fault, SECOND)).last();
        assert_eq!(last, Some(Then::LetGo));
    }

    #[test]
    fn a_core_that_closes_tries_a_few_times_more_and_leaves_the_rest_to_the_next() {
        for how in [Failed::Away, Failed::Fault] {
            let mut outbox = with_results(&[1]);
            assert!(!outbox.is_settled());
            fail(&mut outbox, 1, how, SECOND);
            outbox.close(SECOND);
            for _ in 0..TRIES_WHILE_DRAINING {
                assert!(!outbox.is_settled());
                fail(&mut outbox, 1, how, SECOND);
            }
            assert!(outbox.is_settled(), "{how:?}");
            assert_eq!(next(&outbox, 1000 * SECOND), Err(None));
        }
    }

    #[test]
    fn no_further_work_is_claimed_for_a_server_that_takes_no_results() {
        let mut outbox = with_results(&[1]);
        assert!(outbox.has_room(7) && !outbox.has_room(8));
        outbox.put(held(2), Errand::Results, MOST_BYTES, Duration::ZERO);
        assert!(!outbox.has_room(2), "nor for a disk full of them");
    }
}
