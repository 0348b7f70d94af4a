//! The office that is planned for: PCs, the server of today, data, network, interruptions.

use nightshift_rules::auto_size::{self, Size, Speed};
use nightshift_rules::sizing::{LARGEST_JOB, Measured, WrongSize};
use nightshift_wire::JobSize;
use serde::Serialize;

use crate::{DAY_MS, HOUR_MS, MINUTE_MS};

/// What is known of an office.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Office {
    /// PCs that are idle for a part of each day.
    pub pcs: u32,
    /// How fast one of them is, as a share of the server of today.
    pub speed: f64,
    /// How long it is idle, in milliseconds a day, at a stretch.
    pub idle_ms: u64,
    /// Whether the server of today goes on working beside them, all day.
    pub server_works: bool,
    /// What that server does.
    pub today: Today,
    /// Bytes of a record on its way to a PC.
    pub record_bytes: u64,
    /// Bytes of its result on the way back.
    pub result_bytes: u64,
    /// What the grid may take of the network at the job server, in bits a second.
    pub network_bits: u64,
    /// People who come back for a while: the PC's VM is paused and goes on where it was.
    pub suspended: Interruption,
    /// Workers killed (a power cut, a crash of the VM), times a day and PC; they come back with a cycle of cron.
    pub killed_a_day: f64,
    /// PCs switched off until their next stretch, times a day and PC.
    pub switched_off_a_day: f64,
    /// What each job takes before its first record, on a PC, in milliseconds.
    pub set_up_ms: u64,
    /// A worker that finished a job looks for the next one at its next cycle, so often; 0: at once, as Nightshift's do.
    pub look_every_ms: u64,
    /// PCs on which every job fails.
    pub bad_pcs: u32,
    /// The shortest lease: `lease` of nightshift.toml, in milliseconds.
    pub shortest_lease_ms: u64,
    /// So often may a job fail: `max_attempts` of nightshift.toml.
    pub max_attempts: u32,
    /// Records per job while a plugin's speed is not known: `size` of nightshift.toml.
    pub size: u32,
    /// Records per job, when somebody asks for a size; else as `--job-size auto` has it.
    pub job_size: Option<u32>,
    /// Days to simulate. The first one, in which the grid fills, does not count.
    pub days: u32,
    /// What chance follows from.
    pub seed: u64,
}

/// What the server of today does without a grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Today {
    /// Jobs a day.
    pub jobs_a_day: f64,
    /// Records in one of them.
    pub records_a_job: u64,
}

/// Something that happens to a PC while it is idle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interruption {
    /// Times a day and PC.
    pub a_day: f64,
    /// How long it lasts, in milliseconds, on average.
    pub lasts_ms: u64,
}

impl Office {
    /// The office of the articles, on Nightshift: 50 PCs of a tenth of the server's power, idle 16 hours a day, and a server
    /// that does 100 jobs a day; with some interruptions.
    pub fn usual() -> Office {
        Office {
            pcs: 50,
            speed: 0.1,
            idle_ms: 16 * HOUR_MS,
            server_works: true,
            today: Today { jobs_a_day: 100.0, records_a_job: 1_000 },
            record_bytes: 200,
            result_bytes: 100,
            network_bits: 100_000_000,
            suspended: Interruption { a_day: 2.0, lasts_ms: 10 * MINUTE_MS },
            killed_a_day: 0.1,
            switched_off_a_day: 0.05,
            set_up_ms: 5_000,
            look_every_ms: 0,
            bad_pcs: 0,
            shortest_lease_ms: 15 * MINUTE_MS,
            max_attempts: 5,
            size: 1_000,
            job_size: None,
            days: 7,
            seed: 1,
        }
    }

    /// The same office as the articles have it: a worker looks for its next job every ten minutes (cron), a job is
    /// one of today's, and nobody comes back at night.
    pub fn articles() -> Office {
        let usual = Office::usual();
        Office {
            look_every_ms: 10 * MINUTE_MS,
            set_up_ms: 30_000,
            suspended: Interruption { a_day: 0.0, ..usual.suspended },
            killed_a_day: 0.0,
            switched_off_a_day: 0.0,
            job_size: u32::try_from(usual.today.records_a_job).ok(),
            ..usual
        }
    }

    /// More PCs than that nobody plans for.
    pub const MOST_PCS: u32 = 1_000_000;

    /// Whether it can be planned for.
    ///
    /// # Errors
    /// What is wrong with it, by the name of the flag that says it, and what to write.
    pub fn check(&self) -> Result<(), WrongOffice> {
        let not = |what, range| Err(WrongOffice::Beyond { what, range });
        match self {
            _ if !(1..=Office::MOST_PCS).contains(&self.pcs) => not("--pcs", "from 1 to 1,000,000"),
            _ if !(0.001..=100.0).contains(&self.speed) => not("--speed", "from 0.1% to 10000% of the server"),
            _ if !(HOUR_MS..=DAY_MS).contains(&self.idle_ms) => not("--idle", "from 1h to 24h a day"),
            _ if !(0.001..=10_000_000.0).contains(&self.today.jobs_a_day) => {
                not("--server-jobs", "from 0.001 to 10,000,000 jobs a day")
            }
            _ if !(1..=1_000_000_000).contains(&self.today.records_a_job) => {
                not("--records", "from 1 to 1,000,000,000 records")
            }
            _ if self.record_bytes > 100_000_000 => not("--record-bytes", "at most 100,000,000"),
            _ if self.result_bytes > 100_000_000 => not("--result-bytes", "at most 100,000,000"),
            _ if self.network_bits < 1_000 => not("--network", "at least 0.001 Mbit/s"),
            _ if !(0.0..=100.0).contains(&self.suspended.a_day) => not("--suspended", "from 0 to 100 times a day"),
            _ if !(0.0..=100.0).contains(&self.killed_a_day) => not("--killed", "from 0 to 100 times a day"),
            _ if !(0.0..=10.0).contains(&self.switched_off_a_day) => not("--switched-off", "from 0 to 10 times a day"),
            _ if self.suspended.lasts_ms > DAY_MS => not("--suspended-for", "at most 24h"),
            _ if self.set_up_ms > DAY_MS => not("--set-up", "at most 24h"),
            _ if self.look_every_ms > DAY_MS => not("--look-every", "at most 24h"),
            _ if self.bad_pcs >= self.pcs => not("--bad-pcs", "fewer than all PCs"),
            _ if !(2..=366).contains(&self.days) => not("--days", "from 2 to 366"),
            _ if !(MINUTE_MS..=DAY_MS).contains(&self.shortest_lease_ms) => not("--lease", "from 1m to 24h"),
            _ => self.records().map(drop).map_err(WrongOffice::Size),
        }
    }

    /// Records in a job of the grid, and why so many: the decider of the job server, told how fast one of these PCs is.
    ///
    /// # Errors
    /// When the size asked for is one that no job can have.
    pub fn records(&self) -> Result<Size, WrongSize> {
        let asked = self.job_size.map_or(JobSize::Auto, JobSize::Records);
        auto_size::size(Some(asked), Speed::Measured(self.measured()), self.size, Some(self.idle_ms))
    }

    /// One of these PCs, measured at as many records as the largest job has.
    pub fn measured(&self) -> Measured {
        let records = u64::from(LARGEST_JOB);
        Measured { records, work_ms: whole(self.record_ms() * f64::from(LARGEST_JOB)).max(1) }
    }

    /// Milliseconds that a record takes on a PC.
    pub fn record_ms(&self) -> f64 {
        self.server_record_ms() / self.speed
    }

    /// Milliseconds that a record takes on the server of today.
    pub fn server_record_ms(&self) -> f64 {
        DAY_MS as f64 / (self.today.jobs_a_day * self.today.records_a_job as f64)
    }
}

/// A figure without its fraction; what is below nothing is nothing.
pub(crate) fn whole(figure: f64) -> u64 {
    figure.round() as u64
}

/// An office that cannot be planned for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WrongOffice {
    /// A figure no office has.
    #[error("{what} is beyond what can be planned: give it {range}")]
    Beyond {
        /// The flag.
        what: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A job size that no job has.
    #[error(transparent)]
    Size(#[from] WrongSize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_gets_the_size_that_the_job_server_would_give_it() {
        let size = Office::usual().records().expect("a size");
        assert_eq!(size.records, 104, "a quarter of an hour at 8.64 s a record");
        assert_eq!(Office::articles().records().expect("a size").records, 1_000);
    }

    #[test]
    fn an_office_that_makes_no_sense_is_refused_with_what_to_write() {
        let none = Office { pcs: 0, ..Office::usual() }.check().expect_err("no PC");
        assert_eq!(none.to_string(), "--pcs is beyond what can be planned: give it from 1 to 1,000,000");
        let nan = Office { speed: f64::NAN, ..Office::usual() };
        assert!(nan.check().is_err());
        let huge = Office { job_size: Some(LARGEST_JOB + 1), ..Office::usual() }.check().expect_err("too large");
        assert!(huge.to_string().contains("give a job size from 1 to 100000"), "{huge}");
        assert_eq!(Office::usual().check(), Ok(()));
        assert_eq!(Office::articles().check(), Ok(()));
    }
}
