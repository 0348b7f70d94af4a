//! The machine's clocks: the one people set, and the one that only goes forward.
#![allow(clippy::disallowed_methods, reason = "the clocks are read here")]

use nightshift_manifest::offline::Moment;
use rustix::time::{ClockId, clock_gettime};

/// The present moment by both clocks.
pub fn moment() -> Moment {
    let since_boot = clock_gettime(ClockId::Boottime);
    let milliseconds = since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1_000_000;
    Moment {
        wall: jiff::Timestamp::now(),
        since_boot_ms: u64::try_from(milliseconds).unwrap_or_default(),
        // Absent where /proc is: then times since boot are compared, and a restart makes them small, never large.
        boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
    }
}
