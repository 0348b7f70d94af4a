//! The simulation: PCs that come, work, go away and come back, and the server of today beside them.
//!
//! A PC has one thing to come at a time: it comes back, goes away, has its job done, or claims the next one. Heartbeats
//! are no events: where a PC goes away, arithmetic says when its last one was and so when its lease runs out, and only
//! a lease that does run out is an event. What a worker does when is what `nightshift-core` does: the next job is
//! claimed [`LEAD_MS`] before the one in hand is done, and results are handed in beside the work.

mod away;
mod worker;

use std::hint::black_box;

use nightshift_rules::quota::{self, Streak};
use nightshift_rules::sizing::Measured;
use nightshift_wire::{AttemptId, AttemptState};

use self::worker::{Takes, Who, Worker};
use crate::agenda::Agenda;
use crate::jobs::{Failed, Held, Jobs, Slot, Submitted, Terms};
use crate::network::Network;
use crate::office::{Office, whole};
use crate::random::Random;
use crate::tally::{Figures, REQUEST_BYTES, Tally};
use crate::{DAY_MS, HOUR_MS, MINUTE_MS};

/// So long before the end of the job in hand the next one is claimed, as in `nightshift-core`.
pub(crate) const LEAD_MS: u64 = 5 * MINUTE_MS;
/// People do not all leave at once: a PC's stretch begins within so long after the first one's.
const SPREAD_MS: u64 = HOUR_MS;
/// The plugin's name in the rules.
const PLUGIN: &str = "planned";
/// No moment.
const NEVER: u64 = u64::MAX;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum What {
    /// Whatever comes next for a worker.
    Next { worker: u32 },
    /// A lease of a worker that is away runs out.
    Over { worker: u32, attempt: AttemptId },
    /// A job that failed may go out again.
    Due { job: Slot },
}

/// The office, as far as it is simulated.
#[derive(Debug)]
pub(crate) struct Grid<'a> {
    office: &'a Office,
    records: u64,
    takes: Takes,
    workers: Vec<Worker>,
    /// How the last jobs of bad PCs went, by their numbers.
    streaks: Vec<Streak>,
    jobs: Jobs,
    network: Network,
    random: Random,
    agenda: Agenda<What>,
    tally: Tally,
    end: u64,
}

/// What a job of so many records takes on a PC, its set-up included, in milliseconds.
pub(crate) fn job_ms(office: &Office, records: u64) -> u64 {
    office.set_up_ms + whole(records as f64 * office.record_ms()).max(1)
}

/// The work that a PC has at hand when the job server goes away, on average: half of the job in hand and, for a part of
/// the time, one ahead.
pub(crate) fn at_hand_ms(office: &Office, job_ms: u64) -> u64 {
    job_ms / 2 + if office.look_every_ms == 0 { LEAD_MS.min(job_ms) } else { 0 }
}

/// Simulates the office with jobs of so many records; `pace` hears how far it is, hour by hour. Beside the figures stands
/// what was measured of the jobs in the end, which leases follow from.
pub(crate) fn simulate(office: &Office, records: u64, pace: &mut dyn FnMut(u64, u64)) -> (Figures, Measured) {
    let mut grid = Grid::new(office, records);
    let mut told = 0;
    while let Some((now, what)) = grid.next_event() {
        if now / HOUR_MS > told {
            told = now / HOUR_MS;
            pace(told, grid.end / HOUR_MS);
        }
        match what {
            What::Next { worker } => grid.next(worker, now),
            What::Over { worker, attempt } => grid.over(worker, attempt, now),
            What::Due { job } => grid.jobs.due(job),
        }
    }
    grid.finish()
}

impl<'a> Grid<'a> {
    fn new(office: &'a Office, records: u64) -> Grid<'a> {
        // The first day fills the grid and does not count.
        let end = u64::from(office.days) * DAY_MS;
        let terms = Terms { records, shortest_lease_ms: office.shortest_lease_ms, max_attempts: office.max_attempts };
        let mut grid = Grid {
            office,
            records,
            takes: Takes {
                pc_ms: job_ms(office, records),
                server_ms: whole(records as f64 * office.server_record_ms()).max(1),
                fails_ms: office.set_up_ms.max(1_000),
            },
            workers: Vec::with_capacity(office.pcs as usize + 1),
            streaks: vec![Streak::default(); office.bad_pcs as usize],
            jobs: Jobs::new(terms, office.measured()),
            network: Network::new(office.network_bits),
            random: Random::new(office.seed),
            agenda: Agenda::until(end),
            tally: Tally::new(DAY_MS, end),
            end,
        };
        for number in 0..office.pcs {
            let phase = u32::try_from(grid.random.below(SPREAD_MS)).unwrap_or(0);
            let look_at = if office.look_every_ms == 0 { 0 } else { grid.random.below(office.look_every_ms) };
            grid.add(if number < office.bad_pcs { Who::BadPc { phase } } else { Who::Pc { phase } }, look_at);
        }
        if office.server_works {
            grid.add(Who::Server, 0);
        }
        grid
    }

    fn add(&mut self, who: Who, look_at: u64) {
        let since = who.phase().unwrap_or(0);
        let worker = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        self.workers.push(Worker {
            who,
            is_on: false,
            is_drained: false,
            in_hand: None,
            ahead: None,
            done_ms: 0,
            runs_since: 0,
            since,
            away_at: NEVER,
            look_at,
        });
        self.agenda.note(since, What::Next { worker });
    }

    /// What happens next. A worker and its job lie anywhere in memory, and waiting for them one by one is most of what a large
    /// simulation costs: so those of a whole slice are looked at together, which the processor does side by side.
    fn next_event(&mut self) -> Option<(u64, What)> {
        let Grid { agenda, workers, jobs, .. } = self;
        agenda.next(|what| {
            if let What::Next { worker } | What::Over { worker, .. } = what
                && let Some(w) = workers.get(*worker as usize)
            {
                let job = w.in_hand.map(|held| jobs.peek(held.job));
                black_box((w.ahead.map(|held| held.id), w.away_at, w.since, job));
            }
        })
    }

    /// The next thing for a worker happens now; then the one after it is noted.
    fn next(&mut self, worker: u32, now: u64) {
        let w = &self.workers[worker as usize];
        if !w.is_on {
            self.come_back(worker, now);
        } else if now >= w.away_at {
            self.go_away(worker, now);
        } else if w.in_hand.is_some() && now >= w.done_at(&self.takes) {
            self.done(worker, now);
        } else if w.in_hand.is_some() {
            self.claim_ahead(worker, now);
        } else {
            self.claim(worker, now);
        }
        let w = &self.workers[worker as usize];
        let at = if w.is_on { w.away_at.min(self.next_work(w)) } else { w.since };
        self.agenda.note(at.max(now), What::Next { worker });
    }

    /// When something is to be done about its jobs.
    fn next_work(&self, w: &Worker) -> u64 {
        match (&w.in_hand, &w.ahead) {
            (None, _) if w.is_drained => NEVER,
            (None, _) => w.look_at,
            (Some(_), None) if self.takes_ahead(w) => w.done_at(&self.takes).saturating_sub(LEAD_MS).max(w.runs_since),
            (Some(_), _) => w.done_at(&self.takes),
        }
    }

    fn takes_ahead(&self, w: &Worker) -> bool {
        w.looks_every(self.office) == 0 && !w.is_drained
    }

    fn over(&mut self, worker: u32, attempt: AttemptId, now: u64) {
        let w = &mut self.workers[worker as usize];
        let its = w.in_hand.iter_mut().chain(w.ahead.iter_mut()).find(|held| held.id == attempt);
        let Some(held) = its.filter(|held| held.state == AttemptState::Running) else { return };
        let too_often = self.jobs.lose(held);
        if self.tally.counts(now) {
            self.tally.lost += 1;
            self.tally.quarantined += u64::from(too_often);
        }
    }

    /// The job in hand is done: its results are handed in, and the next one comes in hand.
    fn done(&mut self, worker: u32, now: u64) {
        self.pause_work(worker, now);
        let w = &mut self.workers[worker as usize];
        let Some(held) = w.in_hand.take() else { return };
        let (who, work_ms, since) = (w.who, w.work_ms(&self.takes), w.since);
        let ahead = w.ahead.take();
        let look_every = w.looks_every(self.office);
        w.look_at = match look_every {
            0 => now,
            every => now + every - (now - w.look_at.min(now)) % every,
        };
        match who {
            Who::BadPc { .. } => self.fail(worker, &held, now),
            Who::Pc { .. } | Who::Server => self.hand_in(&held, who.is_pc(), work_ms, now),
        }
        let _ = self.lease_until(&held, since, now);
        let is_drained = self.workers[worker as usize].is_drained;
        match ahead {
            Some(held) if is_drained => self.jobs.give_back(&held),
            Some(held) => self.begin(worker, held, now),
            None => {}
        }
        if !is_drained && self.workers[worker as usize].in_hand.is_none() && look_every == 0 {
            self.claim(worker, now);
        }
    }

    fn hand_in(&mut self, held: &Held, is_pc: bool, work_ms: u64, now: u64) {
        let bytes = REQUEST_BYTES + self.records * self.office.result_bytes;
        let arrived = if is_pc { self.network.carry(now, bytes) } else { now };
        let counts = self.tally.counts(now);
        let submitted = self.jobs.submit(now, held, work_ms);
        if is_pc {
            self.tally.carried(arrived, bytes);
        }
        let hour = self.tally.hour(now);
        hour.requests += 1;
        match submitted {
            Submitted::Accepted { begun } => {
                hour.jobs += 1;
                hour.server_jobs += u64::from(!is_pc);
                if counts {
                    self.tally.jobs += 1;
                    self.tally.server_jobs += u64::from(!is_pc);
                    if is_pc {
                        self.tally.set_up_ms += self.office.set_up_ms;
                        self.tally.useful_ms += work_ms - self.office.set_up_ms;
                        self.tally.settled_ms += work_ms;
                    }
                    self.tally.turnaround.add(arrived - begun);
                }
            }
            Submitted::NotWanted => self.tally.done_twice(now, work_ms),
        }
    }

    fn fail(&mut self, worker: u32, held: &Held, now: u64) {
        self.tally.hour(now).requests += 1;
        let failed = self.jobs.fail(now, held);
        if let Failed::NotBefore(due) = failed {
            self.agenda.note(due, What::Due { job: held.job });
        }
        // Bad PCs come first, and none of their jobs is ever accepted.
        let streak = &mut self.streaks[worker as usize];
        let moment = i64::try_from(now).unwrap_or(i64::MAX);
        *streak = streak.failed(moment);
        let is_drained = quota::judge(*streak, PLUGIN, self.jobs.last_accepted(), moment).is_some();
        self.workers[worker as usize].is_drained = is_drained;
        // Who is drained stays so: there is no admin here. It counts in the first day, too.
        self.tally.drained += u64::from(is_drained);
        if self.tally.counts(now) {
            self.tally.settled_ms += self.takes.fails_ms;
            self.tally.failed += 1;
            self.tally.quarantined += u64::from(failed == Failed::Quarantined);
        }
    }

    fn claim(&mut self, worker: u32, now: u64) {
        let held = self.take(worker, None, now);
        self.begin(worker, held, now);
    }

    fn claim_ahead(&mut self, worker: u32, now: u64) {
        let before = self.workers[worker as usize].in_hand.map(|held| held.lease_ms());
        let held = self.take(worker, before, now);
        self.workers[worker as usize].ahead = Some(held);
    }

    /// Claims a job and sends its records off.
    fn take(&mut self, worker: u32, before: Option<u64>, now: u64) -> Held {
        let is_pc = self.workers[worker as usize].who.is_pc();
        let bytes = 2 * REQUEST_BYTES + self.records * self.office.record_bytes;
        // A request for the job, and one for its records.
        self.tally.hour(now).requests += 2;
        if !is_pc {
            return self.jobs.claim(now, before);
        }
        let ready_at = self.network.carry(now, bytes);
        self.tally.carried(ready_at, bytes);
        self.jobs.claim(now, before).ready(ready_at)
    }

    fn begin(&mut self, worker: u32, held: Held, now: u64) {
        let w = &mut self.workers[worker as usize];
        w.done_ms = 0;
        w.runs_since = now.max(held.ready_at());
        w.in_hand = Some(held);
    }

    /// The end: what PCs did until now counts as far as it went.
    fn finish(mut self) -> (Figures, Measured) {
        for worker in 0..self.workers.len() {
            let w = &self.workers[worker];
            if w.is_on && w.who.is_pc() {
                let (since, held) = (w.since, w.in_hand.iter().chain(&w.ahead).copied().collect::<Vec<_>>());
                self.tally.idle_ms += self.tally.part(since, self.end);
                self.pause_work(u32::try_from(worker).unwrap_or(u32::MAX), self.end);
                for held in held {
                    let _ = self.lease_until(&held, since, self.end);
                }
            }
        }
        let at_hand_ms = at_hand_ms(self.office, self.takes.pc_ms);
        let measured = self.jobs.measured();
        (self.tally.figures(self.office, self.records, self.takes.pc_ms, at_hand_ms), measured)
    }
}
