//! What is counted while an office is simulated, and the figures that it comes to.

use serde::Serialize;

use crate::{DAY_MS, HOUR_MS, Office};

/// Counts; times in milliseconds. Only what happens once the grid has filled counts, but for `hours`.
#[derive(Debug)]
pub(crate) struct Tally {
    /// What happens before this moment does not count.
    pub(crate) from: u64,
    pub(crate) jobs: u64,
    pub(crate) server_jobs: u64,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
    pub(crate) quarantined: u64,
    pub(crate) drained: u64,
    pub(crate) beats: u64,
    /// Of PCs: idle, and working (set-up and all).
    pub(crate) idle_ms: u64,
    pub(crate) work_ms: u64,
    /// Work of PCs of which it turned out what it was good for; of that setting up for accepted results, working on what
    /// somebody else did, doing again what a kill took. Each counts whole when it turns out: what was begun on the first
    /// day makes up for what is not over in the end.
    pub(crate) settled_ms: u64,
    pub(crate) useful_ms: u64,
    pub(crate) set_up_ms: u64,
    pub(crate) duplicated_ms: u64,
    pub(crate) redone_ms: u64,
    pub(crate) turnaround: Histogram,
    /// The hours since the simulation began.
    pub(crate) hours: Vec<Counted>,
}

/// What is counted in an hour.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) jobs: u64,
    pub(crate) server_jobs: u64,
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
}

/// An hour of the days that count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hour {
    /// Jobs of today's size that were done by PCs.
    pub pcs: f64,
    /// The same by the server.
    pub server: f64,
    /// Megabits a second between job server and PCs, on average.
    pub network_mbit: f64,
}

/// What an office came to in the simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Records in a job of the grid.
    pub records_a_job: u64,
    /// What one takes on a PC, its set-up included, in milliseconds of idle time.
    pub job_ms: u64,
    /// Jobs of today's size a day, from everybody.
    pub jobs_a_day: f64,
    /// Of these, the server's.
    pub server_jobs_a_day: f64,
    /// The whole in servers of today.
    pub servers: f64,
    /// Records a day.
    pub records_a_day: f64,
    /// Jobs of the grid's own size a day.
    pub grid_jobs_a_day: f64,
    /// From a job's first claim to its accepted results, in milliseconds: half of the jobs; absent when none was done.
    pub turnaround_p50_ms: Option<u64>,
    /// The same: 95 of 100.
    pub turnaround_p95_ms: Option<u64>,
    /// How often a job is picked up until it is done: 1 when none is lost and none fails.
    pub pick_ups: f64,
    /// Of the idle time of the PCs: what went into records whose results were accepted.
    pub useful: f64,
    /// Of their work: what somebody else did, too.
    pub duplicated: f64,
    /// Of their work: what had to be done again after a kill.
    pub redone: f64,
    /// Of their work: what went into setting up.
    pub set_up: f64,
    /// Of their idle time: waiting for a job or its records.
    pub waiting: f64,
    /// Leases that ran out, a day.
    pub lost_a_day: f64,
    /// Jobs that failed, a day.
    pub failed_a_day: f64,
    /// Jobs set aside for a person.
    pub quarantined: u64,
    /// PCs that were drained because their jobs failed.
    pub drained: u64,
    /// Megabytes a day between job server and PCs.
    pub network_mb_a_day: f64,
    /// Megabits a second in the busiest hour.
    pub network_peak_mbit: f64,
    /// Requests a second to the job server in the busiest hour, heartbeats among them.
    pub requests_peak: f64,
    /// The work that a PC has at hand on average when the job server goes away, in milliseconds.
    pub at_hand_ms: u64,
    /// Hour by hour.
    pub hours: Vec<Hour>,
}

/// Bytes of a request and its answer beside the records, about.
pub(crate) const REQUEST_BYTES: u64 = 600;

impl Tally {
    pub(crate) fn new(from: u64, end: u64) -> Tally {
        Tally {
            from,
            jobs: 0,
            server_jobs: 0,
            lost: 0,
            failed: 0,
            quarantined: 0,
            drained: 0,
            beats: 0,
            idle_ms: 0,
            work_ms: 0,
            settled_ms: 0,
            useful_ms: 0,
            set_up_ms: 0,
            duplicated_ms: 0,
            redone_ms: 0,
            turnaround: Histogram::default(),
            hours: vec![Counted::default(); end.div_ceil(HOUR_MS) as usize],
        }
    }

    /// Whether this moment counts.
    pub(crate) fn counts(&self, now: u64) -> bool {
        now >= self.from
    }

    /// How much of a time counts.
    pub(crate) fn part(&self, begun: u64, ended: u64) -> u64 {
        ended.saturating_sub(begun.max(self.from))
    }

    /// A PC's work turns out to be what somebody else did, too.
    pub(crate) fn done_twice(&mut self, now: u64, work_ms: u64) {
        if self.counts(now) {
            self.duplicated_ms += work_ms;
            self.settled_ms += work_ms;
        }
    }

    /// The hour of a moment before the end.
    pub(crate) fn hour(&mut self, at: u64) -> &mut Counted {
        let last = self.hours.len() - 1;
        &mut self.hours[((at / HOUR_MS) as usize).min(last)]
    }

    /// Bytes that arrive at a moment; when that is behind the end, nobody asks any more.
    pub(crate) fn carried(&mut self, at: u64, bytes: u64) {
        if let Some(hour) = self.hours.get_mut((at / HOUR_MS) as usize) {
            hour.bytes += bytes;
        }
    }

    /// The figures. `records` and `job_ms` are those of a job of the grid on a PC, `at_hand_ms` what a PC has at hand.
    pub(crate) fn figures(self, office: &Office, records: u64, job_ms: u64, at_hand_ms: u64) -> Figures {
        let days = f64::from(office.days.saturating_sub(1).max(1));
        let todays = records as f64 / office.today.records_a_job as f64;
        let of = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let counted = &self.hours[(self.from / HOUR_MS) as usize..];
        let peak = |each: fn(&Counted) -> u64| counted.iter().map(each).max().unwrap_or(0) as f64;
        let mbit = |bytes: f64| bytes * 8.0 / 1e6 / (HOUR_MS as f64 / 1_000.0);
        // Heartbeats are counted by arithmetic, all together: as many in each hour as PCs work in it.
        let busy = (office.idle_ms as f64 / DAY_MS as f64).max(f64::MIN_POSITIVE);
        let beats_an_hour = self.beats as f64 / (days * 24.0) / busy;
        let beats_bytes = beats_an_hour * REQUEST_BYTES as f64;
        // More than was worked on the days that count where much that turned out on them was begun before.
        let all_work_ms = self.work_ms.max(self.settled_ms);
        let bytes: u64 = counted.iter().map(|hour| hour.bytes).sum();
        let hours = counted
            .iter()
            .map(|hour| Hour {
                pcs: (hour.jobs - hour.server_jobs) as f64 * todays,
                server: hour.server_jobs as f64 * todays,
                network_mbit: mbit(hour.bytes as f64),
            })
            .collect();
        let jobs_a_day = self.jobs as f64 * todays / days;
        Figures {
            records_a_job: records,
            job_ms,
            jobs_a_day,
            server_jobs_a_day: self.server_jobs as f64 * todays / days,
            servers: jobs_a_day / office.today.jobs_a_day,
            records_a_day: self.jobs as f64 * records as f64 / days,
            grid_jobs_a_day: self.jobs as f64 / days,
            turnaround_p50_ms: self.turnaround.at(0.5),
            turnaround_p95_ms: self.turnaround.at(0.95),
            pick_ups: of(self.jobs + self.lost + self.failed, self.jobs),
            useful: of(self.useful_ms, all_work_ms) * of(self.work_ms, self.idle_ms),
            duplicated: of(self.duplicated_ms, all_work_ms),
            redone: of(self.redone_ms, all_work_ms),
            set_up: of(self.set_up_ms, all_work_ms),
            waiting: of(self.idle_ms.saturating_sub(self.work_ms), self.idle_ms),
            lost_a_day: self.lost as f64 / days,
            failed_a_day: self.failed as f64 / days,
            quarantined: self.quarantined,
            drained: self.drained,
            network_mb_a_day: (bytes as f64 + self.beats as f64 * REQUEST_BYTES as f64) / 1e6 / days,
            network_peak_mbit: mbit(peak(|hour| hour.bytes) + beats_bytes),
            requests_peak: (peak(|hour| hour.requests) + beats_an_hour) / (HOUR_MS as f64 / 1_000.0),
            at_hand_ms,
            hours,
        }
    }
}

/// Times, kept as counts: exact to one part in 32.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    all: u64,
}

/// Parts of a doubling.
const PARTS: u64 = 32;

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; (PARTS * 60) as usize], all: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, value: u64) {
        self.all += 1;
        self.counts[place(value)] += 1;
    }

    /// The value that this share of all does not exceed.
    pub(crate) fn at(&self, share: f64) -> Option<u64> {
        let wanted = ((self.all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(value(found))
    }
}

/// Below [`PARTS`] each value has its place; above, a doubling has [`PARTS`] of them.
fn place(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let doublings = value.ilog2() - PARTS.ilog2();
    let part = (value >> doublings) - PARTS;
    (PARTS + u64::from(doublings) * PARTS + part) as usize
}

/// The middle of a place.
fn value(place: usize) -> u64 {
    let place = place as u64;
    if place < PARTS {
        return place;
    }
    let (doublings, part) = ((place - PARTS) / PARTS, (place - PARTS) % PARTS);
    ((PARTS + part) << doublings) + ((1 << doublings) / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_of_a_hundred_times_are_up_to_the_fiftieth() {
        let mut times = Histogram::default();
        (1..=100).for_each(|time| times.add(time * 1_000));
        let near = |value: Option<u64>, wanted: f64| (value.expect("some") as f64 / wanted - 1.0).abs() < 0.04;
        assert!(near(times.at(0.5), 50_000.0) && near(times.at(0.95), 95_000.0), "{:?}", times.at(0.5));
        assert_eq!(Histogram::default().at(0.5), None);
    }

    proptest! {
        #[test]
        fn a_time_is_kept_to_one_part_in_32(time in 0_u64..1 << 50) {
            let kept = value(place(time));
            prop_assert!(kept.abs_diff(time) <= time / 32 + 1, "{time} is kept as {kept}");
        }
    }
}
