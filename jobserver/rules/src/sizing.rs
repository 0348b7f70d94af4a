//! How large a job is and how long it is expected to take.

/// A job never has more records, so that it fits any worker's memory and one request.
pub const LARGEST_JOB: u32 = 100_000;

/// Records per job: what the owner asked for, else the grid's setting.
pub fn job_size(asked: Option<u32>, setting: u32) -> Result<u32, WrongSize> {
    let size = asked.unwrap_or(setting);
    if (1..=LARGEST_JOB).contains(&size) { Ok(size) } else { Err(WrongSize { size }) }
}

/// A job size that no job can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job cannot have {size} records: give a job size from 1 to {LARGEST_JOB}")]
pub struct WrongSize {
    /// The size asked for.
    pub size: u32,
}

/// What is known of a plugin's speed: work that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Records processed.
    pub records: u64,
    /// Milliseconds of work for them.
    pub work_ms: u64,
}

/// Beyond so many records the past counts half, so that a release that made a plugin slower or faster shows soon.
const REMEMBERED: u64 = 100_000;

impl Measured {
    /// With another accepted job in it.
    pub fn with(self, records: u64, work_ms: u64) -> Measured {
        let past = if self.records > REMEMBERED {
            Measured { records: self.records / 2, work_ms: self.work_ms / 2 }
        } else {
            self
        };
        Measured { records: past.records.saturating_add(records), work_ms: past.work_ms.saturating_add(work_ms) }
    }

    /// How long so many records are expected to take; `None` as long as nothing was measured.
    pub fn expected_ms(self, records: u64) -> Option<u64> {
        let all = u128::from(self.work_ms) * u128::from(records);
        let expected = all.checked_div(u128::from(self.records))?;
        Some(u64::try_from(expected).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_job_size_goes_before_the_grids() {
        assert_eq!(job_size(Some(10), 1_000), Ok(10));
        assert_eq!(job_size(None, 1_000), Ok(1_000));
    }

    #[test]
    fn an_impossible_job_size_is_refused_with_what_is_possible() {
        assert_eq!(job_size(Some(0), 1_000), Err(WrongSize { size: 0 }));
        let error = job_size(Some(LARGEST_JOB + 1), 1_000).expect_err("too large");
        assert_eq!(error.to_string(), "a job cannot have 100001 records: give a job size from 1 to 100000");
    }

    #[test]
    fn the_expected_time_follows_what_was_accepted() {
        assert_eq!(Measured::default().expected_ms(1_000), None);
        let measured = Measured::default().with(1_000, 2_000).with(1_000, 4_000);
        assert_eq!(measured.expected_ms(500), Some(1_500));
        assert_eq!(measured.expected_ms(u64::MAX), Some(u64::MAX));
    }

    #[test]
    fn a_plugin_that_became_slow_is_known_as_slow_after_some_jobs() {
        let fast = Measured { records: 1_000_000_000, work_ms: 1_000_000 };
        let mut measured = fast;
        for _ in 0..20 {
            measured = measured.with(1_000, 1_000_000);
        }
        let expected = measured.expected_ms(1_000).expect("measured");
        assert!(expected > 100_000, "{expected} ms");
    }
}
