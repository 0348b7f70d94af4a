//! How long jobs take from their first pick-up until their results are accepted: counted on one fixed scale.
//!
//! A scale of counts can be added up, over hours, workers and servers, and half of all jobs or 95 of 100 can be told from it
//! at any time; single times could not be kept for a year, and percentiles cannot be added up. Two steps make a doubling, so
//! that what is told is at most a fifth off.

use nightshift_wire::Moment;

/// Steps of the scale. The last one has no end.
pub const STEPS: u8 = 48;

/// The first step ends here, in milliseconds.
const FIRST_MS: f64 = 100.0;

/// The step of a job that was picked up first at one moment and accepted at another. A clock that went back is no time.
pub fn step(picked_up: Moment, accepted: Moment) -> u8 {
    let took = accepted.saturating_sub(picked_up).max(0) as f64;
    (0..STEPS - 1).find(|step| took < end(*step)).unwrap_or(STEPS - 1)
}

/// Where a step ends, in milliseconds.
fn end(step: u8) -> f64 {
    FIRST_MS * (f64::from(step) / 2.0).exp2()
}

/// Turnarounds of many jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turnarounds([u64; STEPS as usize]);

impl Default for Turnarounds {
    fn default() -> Self {
        Turnarounds([0; STEPS as usize])
    }
}

impl Turnarounds {
    /// Adds so many jobs of a step; a step that the scale does not have is its last.
    pub fn add(&mut self, step: u8, jobs: u64) {
        let place = usize::from(step.min(STEPS - 1));
        self.0[place] = self.0[place].saturating_add(jobs);
    }

    /// Adds others.
    pub fn add_all(&mut self, others: &Turnarounds) {
        for (step, jobs) in (0..STEPS).zip(others.0) {
            self.add(step, jobs);
        }
    }

    /// The time in milliseconds that so many of a hundred jobs did not exceed; `None` without jobs. Within a step the jobs
    /// are taken to be spread evenly over the scale.
    pub fn of_hundred(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.0.iter().sum();
        let wanted = (all as f64 * percent as f64 / 100.0).max(1.0);
        let mut below = 0.0;
        for (step, jobs) in (0..STEPS).zip(self.0) {
            let jobs = jobs as f64;
            if jobs > 0.0 && below + jobs >= wanted {
                let part = (wanted - below) / jobs;
                return Some(match step {
                    0 => end(0) * part,
                    step => end(step - 1) * (end(step) / end(step - 1)).powf(part),
                } as u64);
            }
            below += jobs;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_jobs_nobody_can_say_how_long_one_takes() {
        assert_eq!(Turnarounds::default().of_hundred(50), None);
    }

    #[test]
    fn a_clock_that_went_back_is_no_time_and_a_year_has_a_step() {
        assert_eq!(step(1_000, 0), 0);
        assert_eq!(step(0, 99), 0);
        assert_eq!(step(0, 100), 1);
        assert_eq!(step(0, 365 * 24 * 3_600_000), STEPS - 1);
        assert_eq!(step(Moment::MIN, Moment::MAX), STEPS - 1);
    }

    #[test]
    fn half_of_the_jobs_and_95_of_100_are_told_apart() {
        let mut times = Turnarounds::default();
        for minute in 1..=100 {
            times.add(step(0, minute * 60_000), 1);
        }
        let near =
            |told: Option<u64>, minutes: f64| (told.expect("jobs") as f64 / (minutes * 60_000.0) - 1.0).abs() < 0.1;
        assert!(near(times.of_hundred(50), 50.0), "{:?}", times.of_hundred(50));
        assert!(near(times.of_hundred(95), 95.0), "{:?}", times.of_hundred(95));
    }

    #[test]
    fn what_two_servers_counted_adds_up() {
        let (mut one, mut other) = (Turnarounds::default(), Turnarounds::default());
        one.add(10, 1);
        other.add(20, 3);
        one.add_all(&other);
        let mut both = Turnarounds::default();
        both.add(10, 1);
        both.add(20, 3);
        assert_eq!(one, both);
    }

    proptest! {
        #[test]
        fn what_is_told_of_jobs_that_are_alike_is_at_most_half_a_doubling_off(took in 100_i64..500_000_000, jobs in 1_u64..1_000) {
            let mut times = Turnarounds::default();
            times.add(step(0, took), jobs);
            for percent in [50, 95] {
                let told = times.of_hundred(percent).expect("jobs") as f64 / took as f64;
                prop_assert!((0.70..=1.42).contains(&told), "{took} is told as {told} of it");
            }
        }
    }
}
