//! The queue: which waiting job goes out next, from memory.
//!
//! It holds the lanes of open batches and, of each lane, a block of its next waiting jobs, read by place; when a block is
//! used up the next one is asked for. The promise it keeps for each lane: **every waiting job before the place up to
//! which it was read is in the block or, when it may not go out yet, among those for later.** The working set tells it of
//! each job that begins or ceases to wait, so that the promise holds. Where others change the database too (MySQL) it is
//! a good guess: it is read anew every second ([`Queue::forget`]), and the verb that takes a job looks whether it waits.
//!
//! Order: highest priority, then oldest batch, then place in the batch.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use nightshift_rules::{gates, retry};
use nightshift_wire::{BatchId, JobId, Moment};

use super::rows::{LaneId, LaneRow};

/// So many jobs of a lane are read at once.
pub(crate) const BLOCK: usize = 512;

/// What is offered stands so far in front of its block at most, as far as it is worth looking.
const LOOKED_AT: usize = 256;

/// More than so many are not kept: jobs that came back push the last ones out, which are read again later.
const LARGEST: usize = 4 * BLOCK;

/// What the queue has to read before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// The lanes of open batches ([`Queue::lanes`]).
    Lanes,
    /// The next [`BLOCK`] waiting jobs of a lane, from a place on ([`Queue::fill`]).
    Block {
        /// The lane.
        lane: LaneId,
        /// The first place to read.
        from: u64,
    },
}

/// A waiting job as it is read for the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) job: JobId,
    pub(crate) seq: u64,
    pub(crate) not_before: Moment,
}

/// A lane of an open batch as it is read for the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenLane {
    pub(crate) lane: LaneRow,
    /// Its batch is suspended.
    pub(crate) suspended: bool,
}

/// Lanes with the same key take turns by place.
type Key = (Reverse<i32>, BatchId);

#[derive(Debug)]
struct Lane {
    kind: gates::Lane,
    batch: BatchId,
    block: BTreeMap<u64, JobId>,
    /// Read up to, not including; `None` when it was read to its end.
    read_to: Option<u64>,
    /// Jobs that may not go out yet.
    later: BTreeMap<u64, (Moment, JobId)>,
}

impl Lane {
    fn is_read(&self, seq: u64) -> bool {
        self.read_to.is_none_or(|read_to| seq < read_to)
    }

    fn is_used_up(&self) -> bool {
        self.block.is_empty() && self.read_to.is_none()
    }
}

/// The lanes and their next jobs.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: HashMap<LaneId, Lane>,
    /// Lanes that have, or may have, jobs that can go out: what a pick goes through.
    ready: BTreeMap<Key, BTreeSet<LaneId>>,
    /// Jobs for later, by moment.
    later: BTreeSet<(Moment, LaneId, u64)>,
    suspended: HashSet<BatchId>,
    /// The lanes have to be read.
    stale: bool,
}

impl Queue {
    /// A queue that has read nothing yet.
    pub(crate) fn new() -> Queue {
        Queue {
            lanes: HashMap::new(),
            ready: BTreeMap::new(),
            later: BTreeSet::new(),
            suspended: HashSet::new(),
            stale: true,
        }
    }

    /// Everything is read anew, from the top.
    pub(crate) fn forget(&mut self) {
        *self = Queue::new();
    }

    /// Another batch is open: its lanes are read before the next job goes out.
    pub(crate) fn lanes_changed(&mut self) {
        self.stale = true;
    }

    /// Takes in the lanes of open batches, as read. What is known of their jobs stays.
    pub(crate) fn lanes(&mut self, open: Vec<OpenLane>) {
        let mut known = std::mem::take(&mut self.lanes);
        self.ready.clear();
        self.suspended.clear();
        for OpenLane { lane, suspended } in open {
            if suspended {
                self.suspended.insert(lane.batch);
            }
            let LaneRow { id, batch, kind } = lane;
            let unread = || Lane { kind, batch, block: BTreeMap::new(), read_to: Some(0), later: BTreeMap::new() };
            let lane = known.remove(&id).unwrap_or_else(unread);
            self.lanes.insert(id, lane);
            self.sort(id);
        }
        self.later.retain(|(_, lane, _)| self.lanes.contains_key(lane));
        self.stale = false;
    }

    /// Takes in what was read for [`Read::Block`]: the first waiting jobs from that place on, by place. Fewer than
    /// [`BLOCK`] are the lane's last.
    pub(crate) fn fill(&mut self, id: LaneId, from: u64, jobs: &[Waiting]) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.read_to != Some(from) {
            return;
        }
        lane.read_to = if jobs.len() < BLOCK { None } else { jobs.last().map(|last| last.seq + 1) };
        for job in jobs {
            if job.not_before > 0 {
                lane.later.insert(job.seq, (job.not_before, job.job));
                self.later.insert((job.not_before, id, job.seq));
            } else {
                lane.block.insert(job.seq, job.job);
            }
        }
        self.sort(id);
    }

    /// A job waits from now on, or not before a moment.
    pub(crate) fn waits(&mut self, id: LaneId, job: Waiting) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            // A batch that was not open: its lanes are read before the next job goes out.
            self.stale = true;
            return;
        };
        if !lane.is_read(job.seq) {
            return;
        }
        if job.not_before > 0 {
            lane.block.remove(&job.seq);
            if let Some((earlier, _)) = lane.later.insert(job.seq, (job.not_before, job.job)) {
                self.later.remove(&(earlier, id, job.seq));
            }
            self.later.insert((job.not_before, id, job.seq));
        } else {
            lane.block.insert(job.seq, job.job);
            while lane.block.len() > LARGEST {
                if let Some((seq, _)) = lane.block.pop_last() {
                    lane.read_to = Some(seq);
                    let beyond = lane.later.split_off(&seq);
                    for (seq, (moment, _)) in beyond {
                        self.later.remove(&(moment, id, seq));
                    }
                }
            }
        }
        self.sort(id);
    }

    /// A job does not wait any more, or not in this lane.
    pub(crate) fn gone(&mut self, id: LaneId, seq: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.block.remove(&seq);
        if let Some((moment, _)) = lane.later.remove(&seq) {
            self.later.remove(&(moment, id, seq));
        }
        if lane.is_used_up() {
            self.sort(id);
        }
    }

    /// A batch is suspended or resumed.
    pub(crate) fn suspend(&mut self, batch: BatchId, suspended: bool) {
        if suspended {
            self.suspended.insert(batch);
        } else {
            self.suspended.remove(&batch);
        }
    }

    /// The next jobs, at most `most`, of lanes that fit; they stay in the queue until they cease to wait. An error says
    /// what has to be read first.
    pub(crate) fn next(
        &mut self,
        most: usize,
        now: Moment,
        fits: impl Fn(&gates::Lane) -> bool,
    ) -> Result<Vec<(LaneId, u64, JobId)>, Read> {
        if self.stale {
            return Err(Read::Lanes);
        }
        self.wake(now);
        let mut next = Vec::new();
        for ((_, batch), lanes) in &self.ready {
            if next.len() >= most {
                break;
            }
            if self.suspended.contains(batch) {
                continue;
            }
            let left = most - next.len();
            let before = next.len();
            let mut several = 0;
            for id in lanes {
                let Some(lane) = self.lanes.get(id) else { continue };
                if !fits(&lane.kind) {
                    continue;
                }
                if let Some(from) = lane.read_to.filter(|_| lane.block.len() < left) {
                    return Err(Read::Block { lane: *id, from });
                }
                several += 1;
                next.extend(lane.block.iter().take(left).map(|(&seq, &job)| (*id, seq, job)));
            }
            if several > 1 {
                // Lanes of one batch take turns by place.
                next[before..].sort_unstable_by_key(|(_, seq, _)| *seq);
                next.truncate(most);
            }
        }
        Ok(next)
    }

    /// What has to be read before so many jobs can go out, as far as that can be foretold.
    pub(crate) fn foreseen(&self, most: usize) -> Option<Read> {
        if self.stale {
            return Some(Read::Lanes);
        }
        let mut there = 0;
        let open = self.ready.iter().filter(|((_, batch), _)| !self.suspended.contains(batch));
        for (id, lane) in open.flat_map(|(_, lanes)| lanes).filter_map(|id| Some((id, self.lanes.get(id)?))) {
            if there >= most {
                break;
            }
            if let Some(from) = lane.read_to.filter(|_| lane.block.len() < most) {
                return Some(Read::Block { lane: *id, from });
            }
            there += lane.block.len();
        }
        None
    }

    /// The jobs behind one of a block, that one first.
    pub(crate) fn offered_after(&self, job: JobId, most: usize) -> Vec<JobId> {
        let lane = self.lanes.values().find_map(|lane| {
            let (seq, _) = lane.block.iter().take(LOOKED_AT).find(|(_, found)| **found == job)?;
            Some(lane.block.range(*seq..))
        });
        lane.map_or_else(Vec::new, |behind| behind.take(most).map(|(_, job)| *job).collect())
    }

    /// Jobs whose moment has come may go out.
    fn wake(&mut self, now: Moment) {
        // The last ones are due when the clock went back.
        let due = |(moment, _, _): &&(Moment, LaneId, u64)| retry::is_due(*moment, now);
        while let Some(&(moment, id, seq)) = self.later.first().filter(due).or(self.later.last().filter(due)) {
            self.later.remove(&(moment, id, seq));
            if let Some(lane) = self.lanes.get_mut(&id)
                && let Some((_, job)) = lane.later.remove(&seq)
            {
                lane.block.insert(seq, job);
                self.sort(id);
            }
        }
    }

    /// Puts a lane among those that are ready, or takes it away.
    fn sort(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let key = (Reverse(lane.kind.priority), lane.batch);
        if !lane.is_used_up() {
            self.ready.entry(key).or_default().insert(id);
        } else if let Some(lanes) = self.ready.get_mut(&key) {
            lanes.remove(&id);
            if lanes.is_empty() {
                self.ready.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Requirements;

    use super::*;

    fn lane(id: LaneId, batch: BatchId, priority: i32) -> OpenLane {
        let kind = gates::Lane { plugin: "p".to_owned(), priority, requirements: Requirements::default() };
        OpenLane { lane: LaneRow { id, batch, kind }, suspended: false }
    }

    fn waiting(seq: u64) -> Waiting {
        Waiting { job: 1_000 + i64::try_from(seq).expect("small"), seq, not_before: 0 }
    }

    /// A queue with these lanes, each with waiting jobs at these places, read to the end.
    fn queue(lanes: &[(OpenLane, &[u64])]) -> Queue {
        let mut queue = Queue::new();
        queue.lanes(lanes.iter().map(|(lane, _)| lane.clone()).collect());
        for (open, places) in lanes {
            queue.fill(open.lane.id, 0, &places.iter().copied().map(waiting).collect::<Vec<_>>());
        }
        queue
    }

    fn places(queue: &mut Queue, most: usize, now: Moment) -> Vec<(LaneId, u64)> {
        let next = queue.next(most, now, |_| true).expect("everything is read");
        next.into_iter().map(|(lane, seq, _)| (lane, seq)).collect()
    }

    #[test]
    fn lanes_of_one_batch_take_turns_by_place_and_priority_goes_first() {
        let mut queue = queue(&[(lane(1, 5, 0), &[0, 3]), (lane(2, 5, 0), &[1, 2]), (lane(3, 9, 1), &[7])]);
        assert_eq!(places(&mut queue, 9, 0), [(3, 7), (1, 0), (2, 1), (2, 2), (1, 3)]);
        assert_eq!(places(&mut queue, 2, 0), [(3, 7), (1, 0)]);
    }

    #[test]
    fn a_block_that_is_used_up_is_read_on_where_it_ended() {
        let mut queue = Queue::new();
        assert_eq!(queue.next(1, 0, |_| true), Err(Read::Lanes));
        queue.lanes(vec![lane(1, 1, 0)]);
        assert_eq!(queue.next(1, 0, |_| true), Err(Read::Block { lane: 1, from: 0 }));
        let block: Vec<Waiting> = (0..BLOCK as u64).map(waiting).collect();
        queue.fill(1, 0, &block);
        (0..BLOCK as u64).for_each(|seq| queue.gone(1, seq));
        assert_eq!(queue.next(1, 0, |_| true), Err(Read::Block { lane: 1, from: BLOCK as u64 }));
        queue.fill(1, BLOCK as u64, &[]);
        assert_eq!(places(&mut queue, 1, 0), []);
    }

    #[test]
    fn a_job_that_comes_back_goes_out_at_its_place() {
        let mut queue = queue(&[(lane(1, 1, 0), &[4, 8])]);
        queue.waits(1, waiting(2));
        assert_eq!(places(&mut queue, 9, 0), [(1, 2), (1, 4), (1, 8)]);
    }

    #[test]
    fn a_job_in_back_off_goes_out_when_its_moment_has_come() {
        let mut queue = queue(&[(lane(1, 1, 0), &[4])]);
        queue.waits(1, Waiting { not_before: 50, ..waiting(2) });
        assert_eq!(places(&mut queue, 9, 49), [(1, 4)]);
        assert_eq!(places(&mut queue, 9, 50), [(1, 2), (1, 4)]);
    }

    #[test]
    fn a_job_in_back_off_goes_out_when_the_clock_went_back() {
        let mut queue = queue(&[(lane(1, 1, 0), &[4])]);
        queue.waits(1, Waiting { not_before: 1_000, ..waiting(2) });
        queue.waits(1, Waiting { not_before: 365 * 24 * 3_600_000, ..waiting(3) });
        assert_eq!(places(&mut queue, 9, 0), [(1, 3), (1, 4)]);
    }

    #[test]
    fn jobs_that_come_back_do_not_fill_the_memory() {
        let mut queue = queue(&[(lane(1, 1, 0), &[])]);
        let all = 3 * LARGEST as u64;
        (0..all).rev().for_each(|seq| queue.waits(1, waiting(seq)));
        assert_eq!(places(&mut queue, 2, 0), [(1, 0), (1, 1)]);
        assert!(queue.lanes[&1].block.len() <= LARGEST);
        assert_eq!(queue.lanes[&1].read_to, Some(LARGEST as u64), "the rest is read again");
    }

    #[test]
    fn a_suspended_batch_and_a_lane_that_does_not_fit_are_passed_over_unread() {
        let mut queue = Queue::new();
        queue.lanes(vec![lane(1, 1, 9), lane(2, 2, 5), lane(3, 3, 0)]);
        queue.suspend(1, true);
        assert_eq!(queue.next(1, 0, |lane| lane.priority < 5), Err(Read::Block { lane: 3, from: 0 }));
    }
}
