//! The jobs of the simulation, and their attempts: what the job server would answer, by the same rules.
//!
//! There are always more jobs: a new one is made when none waits. One that was lost goes out first, as the server hands
//! out by number. A job is forgotten when it is over and no PC has it any more, so that a week of a hundred thousand
//! PCs fits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nightshift_rules::acceptance;
use nightshift_rules::attempt::{AttemptFacts, JobFacts};
use nightshift_rules::auto_size::Speed;
use nightshift_rules::lease::{self, Beat};
use nightshift_rules::life::{self, JobEvent};
use nightshift_rules::retry;
use nightshift_rules::sizing::Measured;
use nightshift_wire::{AttemptId, AttemptState, JobState, Moment};

/// A place in [`Jobs`].
pub(crate) type Slot = u32;

/// A job as the server knows it. Two to a line of the processor's cache: a simulation waits for little else.
#[derive(Debug, Clone)]
struct Job {
    number: u64,
    /// The attempt that holds or did it; [`NOBODY`].
    attempt: AttemptId,
    /// When it was handed out for the first time.
    begun: u64,
    failures: u16,
    losses: u16,
    /// PCs that have an attempt of it.
    holders: u16,
    state: JobState,
}

/// No attempt has this number.
const NOBODY: AttemptId = 0;

/// A PC's attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) id: AttemptId,
    /// Since when it is this PC's.
    pub(crate) since: u64,
    pub(crate) job: Slot,
    /// Its lease's length, in milliseconds.
    lease_ms: u32,
    /// How long its records were on their way, in milliseconds.
    way_ms: u32,
    pub(crate) state: AttemptState,
}

impl Held {
    /// Its lease's length, in milliseconds.
    pub(crate) fn lease_ms(&self) -> u64 {
        self.lease_ms.into()
    }

    /// When its records have arrived.
    pub(crate) fn ready_at(&self) -> u64 {
        self.since + u64::from(self.way_ms)
    }

    /// The same with records that arrive then.
    pub(crate) fn ready(self, at: u64) -> Held {
        Held { way_ms: short(at - self.since), ..self }
    }
}

/// A time that is below the longest that fits, which is 49 days.
fn short(time_ms: u64) -> u32 {
    u32::try_from(time_ms).unwrap_or(u32::MAX)
}

/// How jobs are made and leased.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Records in each.
    pub(crate) records: u64,
    /// The shortest lease, in milliseconds.
    pub(crate) shortest_lease_ms: u64,
    /// So often may one fail.
    pub(crate) max_attempts: u32,
}

/// Every job that is not over, and every one that a PC still has.
#[derive(Debug)]
pub(crate) struct Jobs {
    terms: Terms,
    jobs: Vec<Job>,
    free: Vec<Slot>,
    /// Jobs that wait again, the one with the lowest number first.
    waiting: BinaryHeap<Reverse<(u64, Slot)>>,
    made: u64,
    attempts: AttemptId,
    measured: Measured,
    last_accepted: Option<Moment>,
    /// How long a lease is, and until when that is believed: what is measured changes with each job, but hardly.
    own_ms: u64,
    own_until: u64,
}

/// A lease's length is worked out anew so often.
const LEASE_AGAIN_MS: u64 = 1_000;

/// What became of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// They are the job's; since then it was out.
    Accepted {
        /// When it was handed out for the first time.
        begun: u64,
    },
    /// Somebody else was first, or the job is not wanted any more.
    NotWanted,
}

/// What a failure led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It waits, but nobody gets it before this moment.
    NotBefore(u64),
    /// It is set aside for a person.
    Quarantined,
    /// It was not this attempt's any more.
    NotIts,
}

impl Jobs {
    pub(crate) fn new(terms: Terms, measured: Measured) -> Jobs {
        Jobs {
            terms,
            jobs: Vec::new(),
            free: Vec::new(),
            waiting: BinaryHeap::new(),
            made: 0,
            attempts: 0,
            measured,
            last_accepted: None,
            own_ms: 0,
            own_until: 0,
        }
    }

    /// Hands the next job out; `before` is the lease of the job that comes before it on the same PC.
    pub(crate) fn claim(&mut self, now: u64, before: Option<u64>) -> Held {
        let slot = self.next_waiting().unwrap_or_else(|| self.make(now));
        if now >= self.own_until {
            let speed = Speed::of(self.measured, Measured::default());
            self.own_ms = lease::length(self.terms.records, speed, self.terms.shortest_lease_ms);
            self.own_until = now + LEASE_AGAIN_MS;
        }
        self.attempts += 1;
        let id = self.attempts;
        self.move_on(slot, JobEvent::Claimed);
        let job = &mut self.jobs[slot as usize];
        job.attempt = id;
        job.holders += 1;
        // The job before counts with its own length, not with that of those before it.
        let lease_ms = lease::behind(self.own_ms, before.map_or(0, |before_ms| before_ms.min(self.own_ms)));
        Held { id, since: now, job: slot, lease_ms: short(lease_ms), way_ms: 0, state: AttemptState::Running }
    }

    /// A sign of life; whether the attempt has the job (again).
    pub(crate) fn beat(&mut self, held: &mut Held) -> bool {
        let (job, attempt) = self.facts(held);
        match lease::heartbeat(&job, &attempt) {
            Beat::Renew => true,
            Beat::TakeUp => {
                self.move_on(held.job, JobEvent::TakenUp);
                self.jobs[held.job as usize].attempt = held.id;
                held.state = AttemptState::Running;
                true
            }
            Beat::NotWanted(_) => false,
        }
    }

    /// The lease of an attempt is over; whether its job had to be set aside, because it was lost too often.
    pub(crate) fn lose(&mut self, held: &mut Held) -> bool {
        held.state = AttemptState::Lost;
        let job = &mut self.jobs[held.job as usize];
        job.attempt = NOBODY;
        let event = retry::after_loss(u32::from(job.losses) + 1);
        self.move_on(held.job, event);
        self.put_back(held.job);
        event == JobEvent::LostTooOften
    }

    /// Results of a PC, all of them.
    pub(crate) fn submit(&mut self, now: u64, held: &Held, work_ms: u64) -> Submitted {
        let (facts, attempt) = self.facts(held);
        let answer = match acceptance::needed(&facts, &attempt) {
            Ok(()) => {
                self.move_on(held.job, JobEvent::Accepted);
                let job = &mut self.jobs[held.job as usize];
                job.attempt = held.id;
                let begun = job.begun;
                self.measured = self.measured.with(self.terms.records, work_ms.min(lease::CEILING_MS));
                self.last_accepted = Some(moment(now));
                Submitted::Accepted { begun }
            }
            Err(_) => Submitted::NotWanted,
        };
        self.drop_held(held);
        answer
    }

    /// The plugin failed at the job on this PC.
    pub(crate) fn fail(&mut self, now: u64, held: &Held) -> Failed {
        let job = &mut self.jobs[held.job as usize];
        if job.attempt != held.id || job.state != JobState::Running {
            self.drop_held(held);
            return Failed::NotIts;
        }
        job.attempt = NOBODY;
        let failures = u32::from(job.failures) + 1;
        let event = retry::after_failure(failures, self.terms.max_attempts);
        self.move_on(held.job, event);
        let answer = match event {
            JobEvent::Failed => {
                Failed::NotBefore(u64::try_from(retry::not_before(failures, moment(now))).unwrap_or(now))
            }
            _ => Failed::Quarantined,
        };
        self.drop_held(held);
        answer
    }

    /// A PC gives a job back that it has not begun; others get it.
    pub(crate) fn give_back(&mut self, held: &Held) {
        let job = &mut self.jobs[held.job as usize];
        if job.attempt == held.id && job.state == JobState::Running {
            job.attempt = NOBODY;
            self.move_on(held.job, JobEvent::Stopped);
            self.put_back(held.job);
        }
        self.drop_held(held);
    }

    /// The time before which nobody gets a job that failed is over.
    pub(crate) fn due(&mut self, slot: Slot) {
        self.put_back(slot);
    }

    /// A PC has no use for its attempt any more.
    pub(crate) fn drop_held(&mut self, held: &Held) {
        let job = &mut self.jobs[held.job as usize];
        job.holders -= 1;
        let over = matches!(job.state, JobState::Done | JobState::Quarantined);
        if over && job.holders == 0 {
            self.free.push(held.job);
        }
    }

    /// The number of a job; for whoever wants it near.
    pub(crate) fn peek(&self, slot: Slot) -> u64 {
        self.jobs[slot as usize].number
    }

    /// What is measured of the jobs by now.
    pub(crate) fn measured(&self) -> Measured {
        self.measured
    }

    /// When a job was accepted last, from whomever.
    pub(crate) fn last_accepted(&self) -> Option<Moment> {
        self.last_accepted
    }

    fn facts(&self, held: &Held) -> (JobFacts, AttemptFacts) {
        let job = &self.jobs[held.job as usize];
        let facts = JobFacts {
            state: job.state,
            revision: 1,
            attempt: (job.attempt != NOBODY).then_some(job.attempt),
            first_record: 1,
            records: self.terms.records,
        };
        (facts, AttemptFacts { id: held.id, state: held.state, revision: 1 })
    }

    /// A move that no job makes is a mistake of the simulation; the job then stays where it is, which its tests see.
    fn move_on(&mut self, slot: Slot, event: JobEvent) {
        let job = &mut self.jobs[slot as usize];
        let moved = life::after(job.state, event);
        debug_assert!(moved.is_ok(), "{moved:?}");
        job.state = moved.unwrap_or(job.state);
        job.failures += u16::from(event.failures() > 0);
        job.losses += u16::from(event.losses() > 0);
    }

    fn next_waiting(&mut self) -> Option<Slot> {
        while let Some(Reverse((number, slot))) = self.waiting.pop() {
            // It may have been taken up again by whoever had it, done, and forgotten.
            let job = &self.jobs[slot as usize];
            if job.number == number && job.state == JobState::Waiting {
                return Some(slot);
            }
        }
        None
    }

    fn put_back(&mut self, slot: Slot) {
        let job = &self.jobs[slot as usize];
        if job.state == JobState::Waiting {
            self.waiting.push(Reverse((job.number, slot)));
        }
    }

    fn make(&mut self, now: u64) -> Slot {
        self.made += 1;
        let job = Job {
            number: self.made,
            state: JobState::Waiting,
            attempt: NOBODY,
            begun: now,
            failures: 0,
            losses: 0,
            holders: 0,
        };
        match self.free.pop() {
            Some(slot) => {
                self.jobs[slot as usize] = job;
                slot
            }
            None => {
                self.jobs.push(job);
                Slot::try_from(self.jobs.len() - 1).unwrap_or(Slot::MAX)
            }
        }
    }
}

/// A moment of the simulation as the rules take it.
fn moment(at: u64) -> Moment {
    Moment::try_from(at).unwrap_or(Moment::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        let terms = Terms { records: 10, shortest_lease_ms: 60_000, max_attempts: 2 };
        Jobs::new(terms, Measured { records: 10, work_ms: 100_000 })
    }

    #[test]
    fn a_lost_job_goes_out_first_and_its_late_results_are_not_wanted_once_another_did_it() {
        let mut jobs = jobs();
        let mut first = jobs.claim(0, None);
        assert_eq!(first.lease_ms(), 200_000, "twice what it is expected to take");
        assert_eq!(jobs.claim(0, Some(first.lease_ms())).lease_ms(), 400_000, "behind another");
        assert_eq!(jobs.claim(0, Some(400_000)).lease_ms(), 400_000, "leases do not grow from job to job");
        assert!(!jobs.lose(&mut first));
        let second = jobs.claim(300_000, None);
        assert_eq!(second.job, first.job);
        assert_eq!(jobs.submit(400_000, &second, 100_000), Submitted::Accepted { begun: 0 });
        assert!(!jobs.beat(&mut first));
        jobs.drop_held(&first);
        assert_eq!(jobs.claim(500_000, None).job, first.job, "its place is free again");
    }

    #[test]
    fn who_comes_back_to_a_job_that_nobody_took_takes_it_up() {
        let mut jobs = jobs();
        let mut held = jobs.claim(0, None);
        jobs.lose(&mut held);
        assert!(jobs.beat(&mut held));
        assert_ne!(jobs.claim(1, None).job, held.job);
        assert_eq!(jobs.submit(2, &held, 1), Submitted::Accepted { begun: 0 });
    }

    #[test]
    fn a_job_that_fails_waits_then_goes_out_again_and_is_set_aside_in_the_end() {
        let mut jobs = jobs();
        let held = jobs.claim(0, None);
        assert_eq!(jobs.fail(1_000, &held), Failed::NotBefore(31_000));
        assert_ne!(jobs.claim(2_000, None).job, held.job, "not before its time");
        jobs.due(held.job);
        let again = jobs.claim(31_000, None);
        assert_eq!(again.job, held.job);
        assert_eq!(jobs.fail(32_000, &again), Failed::Quarantined);
    }
}
