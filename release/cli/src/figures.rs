//! Figures as people read them: counts, durations, moments, shares. Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nightshift_wire::Moment;
pub(crate) use nightshift_wire::{amount, counted, grouped as count};

/// `1.4 s`, `2 min 05 s`, `3 h 20 min`.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", length.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration that may be far below a second: `12 µs`, `3.4 ms`, `1.4 s`.
pub(crate) fn short(length: Duration) -> String {
    let micros = length.as_secs_f64() * 1e6;
    match micros {
        0.0..10.0 => format!("{micros:.1} µs"),
        10.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.1} ms", micros / 1e3),
        _ => duration(length),
    }
}

/// A moment by the clock of `zone`, to the minute.
pub(crate) fn moment(moment: Moment, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(moment) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// `99.9 %`; a part of nothing is `-`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Rounded down, so that only a whole reads as 100.
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let read: Vec<String> = [0.25, 59.9, 65.0, 12_000.0].map(Duration::from_secs_f64).map(duration).into();
        assert_eq!(read, ["0.2 s", "59.9 s", "1 min 05 s", "3 h 20 min"]);
    }

    #[test]
    fn what_takes_next_to_no_time_is_told_in_a_unit_that_shows_it() {
        let read: Vec<String> = [2.5e-6, 12e-6, 0.0034, 1.4].map(Duration::from_secs_f64).map(short).into();
        assert_eq!(read, ["2.5 µs", "12 µs", "3.4 ms", "1.4 s"]);
    }

    #[test]
    fn only_a_whole_reads_as_a_hundred_per_cent() {
        assert_eq!(share(19_999, 20_000), "99.9 %");
        assert_eq!(share(5, 5), "100.0 %");
        assert_eq!(share(0, 0), "-");
    }

    #[test]
    fn a_moment_is_read_in_the_persons_zone() {
        assert_eq!(moment(0, &TimeZone::UTC), "1970-01-01 00:00 UTC");
    }
}
