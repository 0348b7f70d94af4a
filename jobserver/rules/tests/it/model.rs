//! A grid of two workers, two jobs and one job server, small enough that all its histories can be searched.
//!
//! What may happen is written here; what it leads to is asked of the real rules ([`Rules::real`]). A store that keeps to
//! them moves as this model does: each verb is one transaction, answers may be lost on the way, a worker may stand still
//! at any instant, the server may be away for any time.
//!
//! Only differences that matter are kept, so that the model is finite: of a revision whether it is its job's, of a lease
//! how much is left, of an attempt nothing once its worker forgot it and its job is not its any more. Losses and failures
//! are not counted: each may be the last one. Which worker and which job is the first does not matter either. A worker
//! that is frozen is one to whom nothing happens for a while: that is a history like every other.

use nightshift_rules::acceptance::{self, Primaries, Verdict};
use nightshift_rules::action;
use nightshift_rules::attempt::{AttemptFacts, AttemptState, JobFacts};
use nightshift_rules::lease::{self, Beat};
use nightshift_rules::life::{self, JobEvent};
use nightshift_rules::retry;
use nightshift_wire::{AttemptId, JobAction, JobEdit, JobState, Moment, RecordId};

const WORKERS: u8 = 2;
const JOBS: u8 = 2;
/// A lease, in ticks of the model's clock.
const LEASE: u8 = 1;
/// So long the server is away at most.
const AWAY: u8 = 1;
/// So many attempts a worker holds: the job in hand and one ahead.
const HELD: usize = 2;
/// Failures that quarantine a job.
const MAX_ATTEMPTS: u32 = 2;
/// The revision every job has when a rule is asked; attempts of older ones have a lower one.
const REVISION: u32 = 10;
/// Records of a job.
const RECORDS: u64 = 2;

/// The rules the model asks; a test can put a wrong one in.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) judge: fn(&JobFacts, &AttemptFacts, &[RecordId]) -> Verdict,
    pub(crate) heartbeat: fn(&JobFacts, &AttemptFacts) -> Beat,
    pub(crate) gap: fn(Option<Moment>, Moment, u64) -> Option<u64>,
    pub(crate) is_over: fn(Moment, Moment) -> bool,
    pub(crate) after: fn(JobState, JobEvent) -> Result<JobState, life::IllegalMove>,
    pub(crate) act: fn(JobState, &JobAction, bool) -> Result<JobEvent, action::Unmoved>,
}

impl Rules {
    pub(crate) fn real() -> Rules {
        Rules {
            judge: |job, attempt, results| {
                acceptance::judge(job, attempt, Primaries::default(), results.iter().copied())
            },
            heartbeat: lease::heartbeat,
            gap: lease::gap,
            is_over: lease::is_over,
            after: life::after,
            act: action::judge,
        }
    }
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker claims a job; without a note it is killed before it has the answer on disk.
    Lease { worker: u8, job: u8, noted: bool },
    /// A worker gives a sign of life for an attempt.
    Heartbeat(u8),
    /// A worker hands its results in; without an answer it will do so again.
    Submit { attempt: u8, answered: bool },
    /// A worker hands in results that are not one for each record.
    SubmitHalf(u8),
    /// A worker stops and gives an attempt back.
    Stop(u8),
    /// A worker gives an attempt back because the plugin failed, for the last time or not.
    Fail { attempt: u8, last: bool },
    /// Time passes.
    Tick,
    /// The server takes back the job of an attempt whose lease is over, for the last time or not.
    Expire { attempt: u8, last: bool },
    /// The server dies, or is there again.
    Restart,
    /// An admin changes whom a job is for.
    Edit(u8),
    /// An admin puts a job aside.
    Suspend(u8),
    /// An admin puts a job back.
    Resume(u8),
    /// An admin wants a job processed anew.
    Retry(u8),
}

/// What must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    TwoResults,
    ResultLost,
    StaleAccepted,
    HalfAccepted,
    Illegal(String),
    TwoHolders,
    LostUnheard,
    NeverDone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Attempt {
    job: u8,
    worker: u8,
    /// Its job has a higher revision.
    stale: bool,
    running: bool,
    state: u8,
    /// Its worker has it on disk.
    noted: bool,
    /// What is left of its lease.
    left: i8,
    /// For how long a server could have heard of it since its last sign of life.
    heard: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Job {
    state: JobState,
    /// It has accepted results of its revision.
    has_results: bool,
}

/// Where everything stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    jobs: [Job; JOBS as usize],
    attempts: [Option<Attempt>; 6],
    /// For how long the server is away; `None` while it is there.
    away: Option<u8>,
}

const STATES: [AttemptState; 5] = [
    AttemptState::Running,
    AttemptState::Lost,
    AttemptState::GivenBack,
    AttemptState::Accepted,
    AttemptState::Superseded,
];

impl Attempt {
    fn state(&self) -> AttemptState {
        STATES[usize::from(self.state)]
    }

    fn set(&mut self, state: AttemptState) {
        self.state = STATES.iter().position(|other| *other == state).expect("one of them") as u8;
        self.running = state == AttemptState::Running;
        if !self.running {
            (self.left, self.heard) = (0, 0);
        }
    }

    fn renew(&mut self) {
        self.left = lease::renew(0, u64::from(LEASE)) as i8;
        self.heard = 0;
    }
}

impl Grid {
    pub(crate) fn new() -> Grid {
        let job = Job { state: JobState::Waiting, has_results: false };
        Grid { jobs: [job; 2], attempts: [None; 6], away: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.jobs.iter().all(|job| job.state == JobState::Done)
    }

    /// Everything that can happen next.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::Restart];
        if self.away.is_none_or(|away| away < AWAY) {
            events.push(Event::Tick);
        }
        if self.away.is_some() {
            return events;
        }
        for job in 0..JOBS {
            events.extend([Event::Edit(job), Event::Suspend(job), Event::Resume(job), Event::Retry(job)]);
            for worker in 0..WORKERS {
                let held = self.known().filter(|(_, attempt)| attempt.worker == worker && attempt.noted).count();
                if self.jobs[usize::from(job)].state == JobState::Waiting && held < HELD {
                    events.extend([true, false].map(|noted| Event::Lease { worker, job, noted }));
                }
            }
        }
        for (place, known) in self.known() {
            let attempt = place as u8;
            if known.running {
                events.extend([true, false].map(|last| Event::Expire { attempt, last }));
            }
            if known.noted {
                events.extend([Event::Heartbeat(attempt), Event::SubmitHalf(attempt), Event::Stop(attempt)]);
                events.extend([true, false].map(|answered| Event::Submit { attempt, answered }));
                events.extend([true, false].map(|last| Event::Fail { attempt, last }));
            }
        }
        events
    }

    fn known(&self) -> impl Iterator<Item = (usize, &Attempt)> {
        self.attempts.iter().enumerate().filter_map(|(place, attempt)| Some((place, attempt.as_ref()?)))
    }

    /// What an event leads to; the same grid when it cannot happen.
    pub(crate) fn after(&self, event: Event, rules: &Rules) -> Result<Grid, Broken> {
        let mut next = *self;
        match event {
            Event::Lease { worker, job, noted } => next.lease(worker, job, noted, rules)?,
            Event::Heartbeat(attempt) => next.heartbeat(attempt, rules)?,
            Event::Submit { attempt, answered } => next.submit(attempt, answered, rules)?,
            Event::SubmitHalf(attempt) => next.submit_half(attempt, rules)?,
            Event::Stop(attempt) => next.give_back(attempt, JobEvent::Stopped, rules)?,
            Event::Fail { attempt, last } => {
                let failures = if last { MAX_ATTEMPTS } else { MAX_ATTEMPTS - 1 };
                next.give_back(attempt, retry::after_failure(failures, MAX_ATTEMPTS), rules)?;
            }
            Event::Tick => next.tick(),
            Event::Expire { attempt, last } => next.expire(attempt, last, rules)?,
            Event::Restart => next.restart(rules),
            Event::Edit(job) => next.act(job, &JobAction::Edit(JobEdit::default()), rules)?,
            Event::Suspend(job) => next.act(job, &JobAction::Suspend, rules)?,
            Event::Resume(job) => next.act(job, &JobAction::Resume, rules)?,
            Event::Retry(job) => next.act(job, &JobAction::Retry, rules)?,
        }
        next.forget();
        next.check()?;
        Ok(next.in_one_order())
    }

    fn get(&mut self, attempt: u8) -> &mut Attempt {
        self.attempts[usize::from(attempt)].as_mut().expect("events name attempts that are there")
    }

    /// What the rules are told of an attempt and its job.
    fn facts(&mut self, attempt: u8) -> (JobFacts, AttemptFacts) {
        let holder = |job| {
            let running = self.known().find(|(_, attempt)| attempt.running && attempt.job == job);
            running.map(|(place, _)| place as AttemptId)
        };
        let (_, known) = self.known().find(|(place, _)| *place == usize::from(attempt)).expect("there");
        let known = *known;
        let state = self.jobs[usize::from(known.job)].state;
        let holder = if state == JobState::Done { Some(99) } else { holder(known.job) };
        let first_record = first_record(known.job);
        (
            JobFacts { state, revision: REVISION, attempt: holder, first_record, records: RECORDS },
            AttemptFacts {
                id: AttemptId::from(attempt),
                state: known.state(),
                revision: REVISION - u32::from(known.stale),
            },
        )
    }

    fn make(&mut self, job: u8, event: JobEvent, rules: &Rules) -> Result<(), Broken> {
        let row = &mut self.jobs[usize::from(job)];
        row.state = (rules.after)(row.state, event).map_err(|illegal| Broken::Illegal(illegal.to_string()))?;
        if event == JobEvent::Retried {
            row.has_results = false;
        }
        if event.revises() {
            for attempt in self.attempts.iter_mut().flatten().filter(|attempt| attempt.job == job) {
                attempt.stale = true;
            }
        }
        Ok(())
    }

    /// The server takes a running attempt's job back.
    fn lose(&mut self, attempt: u8, last: bool, rules: &Rules) -> Result<(), Broken> {
        let job = self.get(attempt).job;
        self.get(attempt).set(AttemptState::Lost);
        self.make(job, retry::after_loss(if last { retry::MOST_LOSSES } else { 1 }), rules)
    }

    fn lease(&mut self, worker: u8, job: u8, noted: bool, rules: &Rules) -> Result<(), Broken> {
        let forgotten: Vec<u8> = self
            .known()
            .filter(|(_, attempt)| attempt.worker == worker && attempt.running && !attempt.noted)
            .map(|(place, _)| place as u8)
            .collect();
        for attempt in forgotten {
            self.lose(attempt, false, rules)?;
        }
        self.forget();
        if self.jobs[usize::from(job)].state != JobState::Waiting {
            return Ok(());
        }
        self.make(job, JobEvent::Claimed, rules)?;
        let mut attempt = Attempt { job, worker, stale: false, running: true, state: 0, noted, left: 0, heard: 0 };
        attempt.renew();
        let free = self.attempts.iter_mut().find(|place| place.is_none()).expect("no more than six matter");
        *free = Some(attempt);
        Ok(())
    }

    fn heartbeat(&mut self, attempt: u8, rules: &Rules) -> Result<(), Broken> {
        let (job, facts) = self.facts(attempt);
        match (rules.heartbeat)(&job, &facts) {
            Beat::Renew => self.get(attempt).renew(),
            Beat::TakeUp => {
                let job = self.get(attempt).job;
                self.make(job, JobEvent::TakenUp, rules)?;
                self.get(attempt).set(AttemptState::Running);
                self.get(attempt).renew();
            }
            Beat::NotWanted(_) => self.get(attempt).noted = false,
        }
        Ok(())
    }

    fn submit(&mut self, attempt: u8, answered: bool, rules: &Rules) -> Result<(), Broken> {
        let (job, facts) = self.facts(attempt);
        let number = self.get(attempt).job;
        let whole: Vec<RecordId> = (first_record(number)..).take(RECORDS as usize).collect();
        match (rules.judge)(&job, &facts, &whole) {
            Verdict::Accept => {
                if self.jobs[usize::from(number)].has_results {
                    return Err(Broken::TwoResults);
                }
                if self.get(attempt).stale {
                    return Err(Broken::StaleAccepted);
                }
                let others = self.attempts.iter_mut().flatten().filter(|other| other.running && other.job == number);
                others.for_each(|other| other.set(AttemptState::Superseded));
                self.get(attempt).set(AttemptState::Accepted);
                self.make(number, JobEvent::Accepted, rules)?;
                self.jobs[usize::from(number)].has_results = true;
            }
            Verdict::Repeated if !self.get(attempt).stale && !self.jobs[usize::from(number)].has_results => {
                return Err(Broken::ResultLost);
            }
            Verdict::Repeated | Verdict::NotWanted(_) => {}
            Verdict::OtherPrimary(other) => return Err(Broken::Illegal(other.to_string())),
            Verdict::WrongResults(wrong) => return Err(Broken::Illegal(wrong.to_string())),
        }
        if answered {
            self.get(attempt).noted = false;
        }
        Ok(())
    }

    fn submit_half(&mut self, attempt: u8, rules: &Rules) -> Result<(), Broken> {
        let (job, facts) = self.facts(attempt);
        match (rules.judge)(&job, &facts, &[job.first_record]) {
            Verdict::Accept => Err(Broken::HalfAccepted),
            _ => Ok(()),
        }
    }

    fn give_back(&mut self, attempt: u8, event: JobEvent, rules: &Rules) -> Result<(), Broken> {
        let known = self.get(attempt);
        known.noted = false;
        if !known.running {
            return Ok(());
        }
        let job = known.job;
        known.set(AttemptState::GivenBack);
        self.make(job, event, rules)
    }

    fn tick(&mut self) {
        for attempt in self.attempts.iter_mut().flatten().filter(|attempt| attempt.running) {
            match self.away {
                Some(_) => attempt.left -= 1,
                // What is over stays over.
                None => attempt.left = (attempt.left - 1).max(0),
            }
            if self.away.is_none() {
                attempt.heard = (attempt.heard + 1).min(LEASE);
            }
        }
        self.away = self.away.map(|away| away + 1);
    }

    fn expire(&mut self, attempt: u8, last: bool, rules: &Rules) -> Result<(), Broken> {
        let known = *self.get(attempt);
        if !(rules.is_over)(Moment::from(known.left), 0) {
            return Ok(());
        }
        if known.heard < LEASE {
            return Err(Broken::LostUnheard);
        }
        self.lose(attempt, last, rules)
    }

    fn restart(&mut self, rules: &Rules) {
        let Some(away) = self.away else {
            self.away = Some(0);
            return;
        };
        self.away = None;
        let extension = (rules.gap)(Some(-Moment::from(away)), 0, 0).unwrap_or(0) as i8;
        for attempt in self.attempts.iter_mut().flatten().filter(|attempt| attempt.running) {
            attempt.left = (attempt.left + extension).max(0);
        }
    }

    fn act(&mut self, job: u8, action: &JobAction, rules: &Rules) -> Result<(), Broken> {
        let Ok(event) = (rules.act)(self.jobs[usize::from(job)].state, action, true) else { return Ok(()) };
        for attempt in self.attempts.iter_mut().flatten().filter(|attempt| attempt.running && attempt.job == job) {
            attempt.set(AttemptState::Lost);
        }
        self.make(job, event, rules)
    }

    /// Drops attempts that nothing depends on any more, and puts the others in one order.
    fn forget(&mut self) {
        for place in &mut self.attempts {
            *place = place.filter(|attempt| attempt.noted || attempt.running);
        }
        self.attempts.sort_unstable_by_key(|place| (place.is_none(), *place));
    }

    /// The same grid with its workers, its jobs, or both the other way round: the least of the four stands for all.
    fn in_one_order(self) -> Grid {
        let turned = |workers: bool, jobs: bool| {
            let mut other = self;
            if jobs {
                other.jobs.swap(0, 1);
            }
            for attempt in other.attempts.iter_mut().flatten() {
                attempt.worker ^= u8::from(workers);
                attempt.job ^= u8::from(jobs);
            }
            other.attempts.sort_unstable_by_key(|place| (place.is_none(), *place));
            other
        };
        let others = [turned(true, false), turned(false, true), turned(true, true)];
        let order = |grid: &Grid| (grid.jobs.map(|job| job.state as u8), grid.attempts);
        others.into_iter().fold(self, |least, other| if order(&other) < order(&least) { other } else { least })
    }

    fn check(&self) -> Result<(), Broken> {
        for (number, job) in self.jobs.iter().enumerate() {
            let holders =
                self.known().filter(|(_, attempt)| attempt.running && usize::from(attempt.job) == number).count();
            if holders != usize::from(job.state == JobState::Running) {
                return Err(Broken::TwoHolders);
            }
            if job.has_results != (job.state == JobState::Done) {
                return Err(Broken::ResultLost);
            }
        }
        Ok(())
    }
}

fn first_record(job: u8) -> RecordId {
    100 * (RecordId::from(job) + 1)
}
