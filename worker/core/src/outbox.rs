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
        let Some(entry) = self.entries.iter().filter(due).min_by_key(|entry| entry.due) else { return Next::Wait(None) };
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

    /// Whether a further attempt may be claimed, with so many on disk that are not in here.
    pub(crate) fn has_room(&self, others: usize) -> bool {
        let bytes: u64 = self.entries.iter().map(|entry| entry.bytes).sum();
        self.entries.len() + others < MOST_ATTEMPTS && bytes < MOST_BYTES
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
