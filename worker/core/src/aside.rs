//! Attempts that are set aside because the job server, which is there, fails at them: they must not keep the worker
//! from other work, and nothing of theirs is lost.
//!
//! - Finished results stay on disk and are tried again between other jobs, less and less often, until the server takes
//!   or refuses them. The worker goes on holding the attempt.
//! - An attempt without records goes back after the next claim, and not before it: that claim would bring the same job
//!   again.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_wire::JobId;

use crate::clock::Stopwatch;
use crate::retry::{self, Patience};
use crate::run::Pace;
use crate::spool::HeldAttempt;

/// What is set aside.
#[derive(Default)]
pub(crate) struct Aside {
    results: Vec<WaitingResults>,
    /// Attempts to give back, each with the reason.
    back: Vec<(HeldAttempt, String)>,
    /// Jobs whose records the server failed to hand out.
    without_records: BTreeSet<JobId>,
}

/// An attempt with results that the server fails to take.
pub(crate) struct WaitingResults {
    held: HeldAttempt,
    /// How the server failed last.
    reason: String,
    /// Tries since it was set aside.
    tries: u32,
    /// Since the last of them.
    waited: Stopwatch,
    /// From then to the next.
    wait: Duration,
}

impl Aside {
    /// Takes up what an earlier core set aside; it is tried at once.
    pub(crate) fn inherit(&mut self, held: HeldAttempt, reason: String) {
        let (waited, wait) = (Stopwatch::start(), Duration::ZERO);
        self.results.push(WaitingResults { held, reason, tries: 0, waited, wait });
    }

    /// Sets finished results aside, or on trying them in vain, further aside. Whether they were not set aside before.
    pub(crate) fn results(&mut self, held: &HeldAttempt, reason: String, pace: &Pace) -> bool {
        let tries = self.forget(held).map_or(0, |before| before.tries + 1);
        let wait = retry::wait(tries + 1, pace.aside_first, pace.aside_most, fastrand::f64());
        self.results.push(WaitingResults { held: held.clone(), reason, tries, waited: Stopwatch::start(), wait });
        tries == 0
    }

    /// The attempt is dealt with.
    pub(crate) fn forget(&mut self, held: &HeldAttempt) -> Option<WaitingResults> {
        let place = self.results.iter().position(|results| results.held.claim.attempt == held.claim.attempt)?;
        Some(self.results.remove(place))
    }

    /// The attempts whose results are to be tried now.
    pub(crate) fn due(&self) -> Vec<HeldAttempt> {
        self.results.iter().filter(|results| results.left().is_zero()).map(|results| results.held.clone()).collect()
    }

    /// How long until results are due, when no more may be set aside before.
    pub(crate) fn full_for(&self) -> Option<Duration> {
        let next = self.results.iter().map(WaitingResults::left).min();
        next.filter(|_| !retry::may_claim(self.results.len()))
    }

    /// Sets an attempt aside to be given back after the next claim.
    pub(crate) fn back(&mut self, held: &HeldAttempt, reason: String) {
        self.forget(held);
        self.without_records.insert(held.claim.job);
        self.back.push((held.clone(), reason));
    }

    /// Takes the attempts to give back.
    pub(crate) fn take_back(&mut self) -> Vec<(HeldAttempt, String)> {
        std::mem::take(&mut self.back)
    }

    /// How often to try to fetch a job's records.
    pub(crate) fn patience_with(&self, job: JobId) -> Patience {
        if self.without_records.contains(&job) { Patience::Once } else { Patience::Full }
    }

    /// The server did hand out a job's records.
    pub(crate) fn has_records(&mut self, job: JobId) {
        self.without_records.remove(&job);
    }

    /// What is set aside and why, in words that go on behind what the core waits for; empty when nothing is.
    pub(crate) fn in_words(&self) -> String {
        let of_job = |WaitingResults { held, reason, .. }: &WaitingResults| {
            format!("; the results of job {} are kept until the job server takes them: {reason}", held.claim.job)
        };
        self.results.iter().map(of_job).collect()
    }
}

impl WaitingResults {
    fn left(&self) -> Duration {
        self.wait.saturating_sub(self.waited.elapsed())
    }
}
