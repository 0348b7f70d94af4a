//! How many records a job gets by itself, and how long a batch will take: both follow from the plugin's measured speed.

use nightshift_wire::{Estimate, JobSize, SizedBy, counted};

use crate::sizing::{LARGEST_JOB, Measured, WrongSize, job_size};

/// How long a job shall take: long enough that claiming it costs nothing, short enough that a PC which is switched off
/// loses little.
pub const TARGET_MS: u64 = 15 * 60 * 1000;

/// A few records may have been quick by chance: a job has at most so many times the records that were measured, unless
/// the grid's setting is larger.
const BEYOND_MEASURED: u64 = 100;

/// Records per job, and what that follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// So many.
    pub records: u32,
    /// Because of this.
    pub by: SizedBy,
}

/// What is known of a plugin's speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// Jobs of it were accepted.
    Measured(Measured),
    /// None was yet; so fast it did its own samples, repeated, when its release was cut.
    Sampled(Measured),
    /// Nothing.
    Unknown,
}

impl Speed {
    /// Accepted jobs say more than samples.
    pub fn of(jobs: Measured, samples: Measured) -> Speed {
        match (jobs.records, samples.records) {
            (1.., _) => Speed::Measured(jobs),
            (0, 1..) => Speed::Sampled(samples),
            (0, 0) => Speed::Unknown,
        }
    }

    /// What is to be reckoned with; nothing when nothing is known.
    pub fn measured(self) -> Measured {
        match self {
            Speed::Measured(measured) | Speed::Sampled(measured) => measured,
            Speed::Unknown => Measured::default(),
        }
    }
}

/// What the owner asked for, else the grid's setting. `auto` is as many records as take [`TARGET_MS`], or as long as
/// workers work at a stretch when that is shorter (`window_ms`); the grid's setting when nothing was measured, and not much
/// more when little was. Samples, which are few, can only make a job smaller than the grid's setting.
pub fn size(asked: Option<JobSize>, speed: Speed, setting: u32, window_ms: Option<u64>) -> Result<Size, WrongSize> {
    match asked {
        None => Ok(Size { records: job_size(None, setting)?, by: SizedBy::Setting }),
        Some(JobSize::Records(records)) => Ok(Size { records: job_size(Some(records), setting)?, by: SizedBy::Owner }),
        Some(JobSize::Auto) => {
            let fit = records_in(TARGET_MS.min(window_ms.unwrap_or(TARGET_MS)), speed.measured());
            match (fit, speed) {
                (Some(records), Speed::Measured(measured)) => {
                    let believed = measured.records.saturating_mul(BEYOND_MEASURED).max(setting.into());
                    let believed = u32::try_from(believed).unwrap_or(LARGEST_JOB);
                    Ok(Size { records: records.min(believed), by: SizedBy::Measured })
                }
                (Some(records), _) => Ok(Size { records: records.min(job_size(None, setting)?), by: SizedBy::Samples }),
                (None, _) => Ok(Size { records: job_size(None, setting)?, by: SizedBy::Setting }),
            }
        }
    }
}

/// How many records are done in a time, at least one; `None` as long as nothing was measured.
fn records_in(time_ms: u64, measured: Measured) -> Option<u32> {
    if measured.records == 0 {
        return None;
    }
    // What took no time to speak of took at most a millisecond.
    let records = u128::from(time_ms) * u128::from(measured.records) / u128::from(measured.work_ms.max(1));
    Some(u32::try_from(records).unwrap_or(LARGEST_JOB).clamp(1, LARGEST_JOB))
}

/// Who is there for a batch's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hands {
    /// Workers that meet what the jobs ask.
    pub able: u64,
    /// What the others lack, as `3 workers: lacks the tag gpu`.
    pub others: Vec<String>,
}

/// How long so many records will take when these workers have nothing else to do.
pub fn estimate(plugin: &str, records: u64, speed: Speed, hands: &Hands) -> Estimate {
    let workers = hands.able;
    let measured = speed.measured();
    let Some(work_ms) = measured.expected_ms(records) else {
        return Estimate {
            work_ms: None,
            workers,
            elapsed_ms: None,
            how: format!(
                "unknown: no job of {plugin} was done yet, so its speed is not measured; hand in some records first"
            ),
        };
    };
    let (took, work) = (counted(measured.records, "record"), measured.work_ms);
    let speed = match speed {
        Speed::Sampled(_) => {
            format!("by its samples: {took} took {work} ms when its release was cut, no job was done yet")
        }
        Speed::Measured(_) | Speed::Unknown => format!("measured: {took} took {work} ms of work lately"),
    };
    let (elapsed_ms, how) = match workers {
        0 if !hands.others.is_empty() => {
            (None, format!("{speed}; no worker there is may take its jobs: {}", hands.others.join("; ")))
        }
        0 => (None, format!("{speed}; no worker was heard of in the last two minutes, so nobody can say when")),
        1 => (Some(work_ms), format!("{speed}; one worker with nothing else to do")),
        _ => (Some(work_ms / workers), format!("{speed}; {workers} workers with nothing else to do")),
    };
    Estimate { work_ms: Some(work_ms), workers, elapsed_ms, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTO: Option<JobSize> = Some(JobSize::Auto);

    fn able(able: u64) -> Hands {
        Hands { able, others: Vec::new() }
    }

    fn measured(records: u64, work_ms: u64) -> Measured {
        Measured { records, work_ms }
    }

    fn auto(measured: Measured, window_ms: Option<u64>) -> (u32, SizedBy) {
        let size = size(AUTO, Speed::of(measured, Measured::default()), 1_000, window_ms).expect("a size");
        (size.records, size.by)
    }

    #[test]
    fn what_no_job_was_done_of_is_judged_by_its_samples_which_never_make_a_job_larger() {
        let auto = |jobs, samples, window_ms| {
            let size = size(AUTO, Speed::of(jobs, samples), 1_000, window_ms).expect("a size");
            (size.records, size.by)
        };
        let none = Measured::default();
        assert_eq!(auto(none, measured(2, 20_000), None), (90, SizedBy::Samples), "ten seconds a record");
        assert_eq!(auto(none, measured(2, 20_000), Some(60_000)), (6, SizedBy::Samples));
        assert_eq!(auto(none, measured(100_000, 50), None), (1_000, SizedBy::Samples), "the grid's setting, no more");
        assert_eq!(auto(measured(100, 100_000), measured(2, 20_000), None), (900, SizedBy::Measured));
        let owners = size(Some(JobSize::Records(7)), Speed::of(none, measured(2, 20_000)), 1_000, None);
        assert_eq!(owners.map(|size| size.records), Ok(7));
        let estimate = estimate("count", 10, Speed::of(none, measured(2, 20_000)), &able(1));
        assert_eq!(estimate.work_ms, Some(100_000));
        assert_eq!(
            estimate.how,
            "by its samples: 2 records took 20000 ms when its release was cut, no job was done yet; one worker with \
             nothing else to do"
        );
    }

    #[test]
    fn a_job_is_a_quarter_of_an_hour_of_work() {
        assert_eq!(auto(measured(100, 100_000), None), (900, SizedBy::Measured));
        assert_eq!(auto(measured(1_000, 1), Some(u64::MAX)), (LARGEST_JOB, SizedBy::Measured));
    }

    #[test]
    fn a_job_is_never_longer_than_workers_work_at_a_stretch() {
        assert_eq!(auto(measured(100, 100_000), Some(60_000)), (60, SizedBy::Measured));
    }

    #[test]
    fn a_job_has_at_least_one_record_and_never_more_than_fit() {
        assert_eq!(auto(measured(1, TARGET_MS * 10), None), (1, SizedBy::Measured));
        assert_eq!(auto(measured(1_000, 0), None), (LARGEST_JOB, SizedBy::Measured));
        assert_eq!(auto(measured(u64::MAX, u64::MAX), None), (LARGEST_JOB, SizedBy::Measured));
    }

    #[test]
    fn a_few_quick_records_do_not_make_a_huge_job() {
        assert_eq!(auto(measured(2, 0), None), (1_000, SizedBy::Measured), "the grid's setting is believed");
        assert_eq!(auto(measured(20, 1), None), (2_000, SizedBy::Measured));
        assert_eq!(auto(measured(2, 200_000), None), (9, SizedBy::Measured), "slow is believed at once");
    }

    #[test]
    fn what_was_never_measured_gets_the_grids_setting() {
        assert_eq!(auto(Measured::default(), None), (1_000, SizedBy::Setting));
    }

    #[test]
    fn the_owners_number_goes_before_everything() {
        let asked = Some(JobSize::Records(7));
        let owners = Size { records: 7, by: SizedBy::Owner };
        assert_eq!(size(asked, Speed::Measured(measured(100, 100_000)), 1_000, None), Ok(owners));
        assert_eq!(
            size(None, Speed::Measured(measured(100, 100_000)), 1_000, None).map(|size| size.by),
            Ok(SizedBy::Setting)
        );
        assert!(size(Some(JobSize::Records(0)), Speed::Unknown, 1_000, None).is_err());
    }

    #[test]
    fn an_estimate_says_how_it_was_made() {
        let estimate = estimate("count", 1_000, Speed::Measured(measured(100, 100_000)), &able(4));
        assert_eq!((estimate.work_ms, estimate.elapsed_ms), (Some(1_000_000), Some(250_000)));
        assert_eq!(
            estimate.how,
            "measured: 100 records took 100000 ms of work lately; 4 workers with nothing else to do"
        );
        let unknown = super::estimate("count", 1_000, Speed::Unknown, &able(4));
        assert_eq!((unknown.work_ms, unknown.elapsed_ms), (None, None));
        assert!(unknown.how.starts_with("unknown: no job of count was done yet"), "{}", unknown.how);
        assert_eq!(super::estimate("count", 1, Speed::Measured(measured(1, 1)), &able(0)).elapsed_ms, None);
        let none = Hands { able: 0, others: vec!["3 workers: lacks the tag gpu".to_owned()] };
        let nobody = super::estimate("count", 1_000, Speed::Measured(measured(100, 100_000)), &none);
        assert_eq!((nobody.work_ms, nobody.elapsed_ms), (Some(1_000_000), None));
        assert!(
            nobody.how.ends_with("no worker there is may take its jobs: 3 workers: lacks the tag gpu"),
            "{}",
            nobody.how
        );
    }
}
