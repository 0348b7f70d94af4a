//! The clock, for settings that depend on the day.
#![allow(clippy::disallowed_methods, reason = "the one file of the stories that reads the wall clock")]

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The weekday in so many days, by UTC, as `nightshift.toml` writes it.
pub fn weekday_in_days(days: i64) -> String {
    let day = Timestamp::now().to_zoned(TimeZone::UTC).saturating_add(days.days());
    day.strftime("%a").to_string().to_lowercase()
}
