//! Whether a machine, or a process on it, was asleep: a pure function over what its clocks say now and said before.
//!
//! A suspended machine counts the time on one clock and not on the other; one whose virtual machine was saved and resumed
//! finds the wall clock moved against both; a frozen process finds all of them further than it can explain.

use std::fmt;
use std::time::Duration;

/// What a machine's clocks say at one moment, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Since 1970 by the wall clock.
    pub wall: i64,
    /// Since the machine's start, time asleep left out.
    pub awake: u64,
    /// Since the machine's start, time asleep included.
    pub since_start: u64,
}

/// How far clocks may be apart before it means something: time servers correct small steps all the time, and a loaded
/// machine makes a process wait.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// How time jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The machine was suspended.
    Slept(Duration),
    /// The wall clock was set, or the virtual machine was saved and resumed.
    ClockMoved {
        /// By how many milliseconds.
        by: i64,
    },
    /// This process did not run.
    Frozen(Duration),
}

/// Judges two moments that should be no further apart than `pause`.
pub fn judge(before: Clocks, now: Clocks, pause: Duration) -> Option<Jump> {
    let awake = now.awake.saturating_sub(before.awake);
    let since_start = now.since_start.saturating_sub(before.since_start);
    let leeway = u64::try_from(LEEWAY.as_millis()).unwrap_or(u64::MAX);
    let slept = since_start.saturating_sub(awake);
    if slept > leeway {
        return Some(Jump::Slept(Duration::from_millis(slept)));
    }
    let moved = (now.wall.saturating_sub(before.wall)).saturating_sub_unsigned(since_start);
    if moved.unsigned_abs() > leeway {
        return Some(Jump::ClockMoved { by: moved });
    }
    let longer = Duration::from_millis(awake).saturating_sub(pause);
    (longer > LEEWAY).then_some(Jump::Frozen(longer))
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Jump::Slept(time) => write!(f, "the machine slept for {} s", time.as_secs()),
            Jump::ClockMoved { by } => write!(f, "the clock moved by {} s", by / 1000),
            Jump::Frozen(time) => write!(f, "this process was frozen for {} s", time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);
    const BEFORE: Clocks = Clocks { wall: 1_772_000_000_000, awake: 50_000, since_start: 90_000 };

    fn after(wall: i64, awake: u64, since_start: u64) -> Option<Jump> {
        let Clocks { wall: w, awake: a, since_start: s } = BEFORE;
        judge(BEFORE, Clocks { wall: w + wall, awake: a + awake, since_start: s + since_start }, PAUSE)
    }

    #[test]
    fn time_that_goes_on_as_it_should_is_no_jump() {
        assert_eq!(after(1000, 1000, 1000), None);
        assert_eq!(after(5900, 5900, 5900), None, "a loaded machine");
        assert_eq!(after(-3000, 1000, 1000), None, "a time server's step");
    }

    #[test]
    fn a_suspended_machine_shows_on_the_clock_that_counts_it() {
        assert_eq!(after(3_601_000, 1000, 3_601_000), Some(Jump::Slept(Duration::from_secs(3600))));
    }

    #[test]
    fn a_virtual_machine_that_was_saved_shows_on_the_wall_clock() {
        assert_eq!(after(3_601_000, 1000, 1000), Some(Jump::ClockMoved { by: 3_600_000 }));
        assert_eq!(after(-3_601_000, 1000, 1000), Some(Jump::ClockMoved { by: -3_602_000 }));
    }

    #[test]
    fn a_process_that_was_frozen_shows_on_every_clock() {
        assert_eq!(after(61_000, 61_000, 61_000), Some(Jump::Frozen(Duration::from_secs(60))));
    }

    #[test]
    fn clocks_that_go_back_over_the_ends_of_numbers_are_judged_too() {
        let end = Clocks { wall: i64::MAX, awake: u64::MAX, since_start: u64::MAX };
        assert!(judge(Clocks { wall: i64::MIN, ..Clocks::default() }, end, PAUSE).is_some());
        assert!(judge(end, Clocks { wall: i64::MIN, ..Clocks::default() }, PAUSE).is_some());
    }
}
