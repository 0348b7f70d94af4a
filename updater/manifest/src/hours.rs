//! Working hours: when workers may take jobs. `"mon-fri 18:30-08:00"`, `"sat-sun"`, any number of such lines.
//!
//! A window belongs to the day it starts on: the one above also covers Saturday until 08:00. Windows are times on the
//! wall clock of one zone; when the clocks change, a window still starts and ends when the clock shows its times.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// Whether workers work at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// They do.
    Open {
        /// Until then; `None` when no end is in sight for a week.
        until: Option<Timestamp>,
    },
    /// They rest.
    Closed {
        /// Until then.
        opens: Timestamp,
    },
}

/// When workers work.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    zone: TimeZone,
    zone_name: String,
    /// Empty: always.
    rules: Vec<Rule>,
}

/// One line: days of the week, and from when to when.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    text: String,
    days: [bool; 7],
    from: Time,
    to: Time,
    /// `to` is on the next day.
    overnight: bool,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// How far ahead windows are looked for; a week and a bit, so that the longest pause and the longest chain show.
const HORIZON_DAYS: i32 = 9;

impl Hours {
    /// No limits.
    pub fn always() -> Self {
        Self { zone: TimeZone::UTC, zone_name: "UTC".to_owned(), rules: Vec::new() }
    }

    /// No limits yet, by the clock of `zone`, a name of the IANA time zone database. The error says what to write.
    pub fn in_zone(zone: &str) -> Result<Self, String> {
        // The bundled database: the same on every machine, and nothing is read from the disk.
        let found = match zone {
            "UTC" => TimeZone::UTC,
            _ => TimeZoneDatabase::bundled()
                .get(zone)
                .map_err(|_| format!("{zone:?} is no time zone: write a name such as \"Europe/London\" or \"UTC\""))?,
        };
        Ok(Self { zone: found, zone_name: zone.to_owned(), rules: Vec::new() })
    }

    /// Adds a window. The error says what to write.
    pub fn add(&mut self, line: &str) -> Result<(), String> {
        let rule = Rule::parse(line).ok_or_else(|| {
            format!(
                "{line:?} are no working hours: write days and times, as in \"mon-fri 18:30-08:00\", or days alone, as \
                 in \"sat-sun\""
            )
        })?;
        self.rules.push(rule);
        Ok(())
    }

    /// The moment at which the clock of the zone shows this.
    pub fn moment(&self, shown: DateTime) -> Timestamp {
        self.zone.to_timestamp(shown).unwrap_or(Timestamp::MAX)
    }

    /// Whether workers work at `now`, and when that changes.
    pub fn open_until(&self, now: Timestamp) -> Window {
        if self.rules.is_empty() {
            return Window::Open { until: None };
        }
        let today = now.to_zoned(self.zone.clone()).date();
        let mut windows: Vec<(Timestamp, Timestamp)> =
            (-2..=HORIZON_DAYS).flat_map(|day| self.windows_of(today.saturating_add(day.days()))).collect();
        windows.sort_unstable();

        let mut open_until: Option<Timestamp> = None;
        for (start, end) in windows {
            match open_until {
                _ if end <= now => {}
                None if start > now => return Window::Closed { opens: start },
                Some(until) if start > until => break,
                _ => open_until = open_until.max(Some(end)),
            }
        }
        let a_week_on = now.saturating_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
        match open_until {
            Some(until) => Window::Open { until: (until < a_week_on).then_some(until) },
            // Every rule has a day, so this is only reached at the end of representable time.
            None => Window::Closed { opens: Timestamp::MAX },
        }
    }

    /// The shortest time that workers work at a stretch within the week that begins at `now`; `None` when they work
    /// without a pause.
    pub fn shortest_window(&self, now: Timestamp) -> Option<Duration> {
        let mut shortest: Option<Duration> = None;
        let mut from = match self.open_until(now) {
            Window::Open { until } => until?,
            Window::Closed { .. } => now,
        };
        let a_week_on = from.saturating_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
        while let Window::Closed { opens } = self.open_until(from)
            && opens <= a_week_on
            && let Window::Open { until: Some(until) } = self.open_until(opens)
        {
            let length = Duration::try_from(until.duration_since(opens)).unwrap_or_default();
            shortest = Some(shortest.map_or(length, |shortest| shortest.min(length)));
            from = until;
        }
        shortest
    }

    fn windows_of(&self, day: Date) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let at = move |day: Date, time: Time| self.zone.to_timestamp(day.to_datetime(time)).unwrap_or(Timestamp::MAX);
        self.rules.iter().filter(move |rule| rule.days[weekday_index(day)]).map(move |rule| {
            let last_day = if rule.overnight { day.saturating_add(1.day()) } else { day };
            (at(day, rule.from), at(last_day, rule.to))
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("always");
        }
        let lines: Vec<&str> = self.rules.iter().map(|rule| rule.text.as_str()).collect();
        write!(f, "{} ({})", lines.join(", "), self.zone_name)
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Rule> {
        let mut words = line.split_ascii_whitespace();
        let days = parse_days(words.next()?)?;
        let (from, to, overnight) = match words.next() {
            None => (Time::midnight(), Time::midnight(), true),
            Some(times) => parse_times(times)?,
        };
        words.next().is_none().then(|| Rule { text: line.trim().to_owned(), days, from, to, overnight })
    }
}

/// `mon`, `mon-fri`, `sat-mon`, `mon,wed,fri`.
fn parse_days(word: &str) -> Option<[bool; 7]> {
    let index = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut days = [false; 7];
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (index(first)?, index(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

/// `18:30-08:00`; `24:00` ends the day. The last value says that the end is on the next day.
fn parse_times(word: &str) -> Option<(Time, Time, bool)> {
    let (from, to) = word.split_once('-')?;
    let (from, to) = (parse_minute(from)?, parse_minute(to)?);
    if from == 24 * 60 || from == to {
        return None;
    }
    let time = |minute: i16| Time::new((minute / 60 % 24) as i8, (minute % 60) as i8, 0, 0).ok();
    Some((time(from)?, time(to)?, to < from || to == 24 * 60))
}

/// Minutes since midnight of `HH:MM`, up to and with `24:00`.
fn parse_minute(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits =
        |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?;
    let (hour, minute): (i16, i16) = (two_digits(hour)?, two_digits(minute)?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}

fn weekday_index(day: Date) -> usize {
    match day.weekday() {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, lines: &[&str]) -> Hours {
        let mut hours = Hours::in_zone(zone).expect(zone);
        for line in lines {
            hours.add(line).expect(line);
        }
        hours
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn open(until: &str) -> Window {
        Window::Open { until: Some(at(until)) }
    }

    fn closed(opens: &str) -> Window {
        Window::Closed { opens: at(opens) }
    }

    #[test]
    fn without_hours_workers_always_work() {
        assert_eq!(Hours::always().open_until(at("2026-03-02T12:00Z")), Window::Open { until: None });
        let all_week = hours("UTC", &["mon-sun"]);
        assert_eq!(all_week.open_until(at("2026-03-02T12:00Z")), Window::Open { until: None });
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts_on() {
        let hours = hours("UTC", &["mon-fri 18:30-08:00"]);
        // 2026-03-02 is a Monday.
        assert_eq!(hours.open_until(at("2026-03-02T07:00Z")), closed("2026-03-02T18:30Z"));
        assert_eq!(hours.open_until(at("2026-03-02T18:30Z")), open("2026-03-03T08:00Z"));
        assert_eq!(hours.open_until(at("2026-03-07T07:59Z")), open("2026-03-07T08:00Z"));
        assert_eq!(hours.open_until(at("2026-03-07T08:00Z")), closed("2026-03-09T18:30Z"));
    }

    #[test]
    fn windows_that_touch_are_one() {
        let hours = hours("UTC", &["mon-fri 18:30-08:00", "sat-sun"]);
        assert_eq!(hours.open_until(at("2026-03-06T19:00Z")), open("2026-03-09T00:00Z"));
        assert_eq!(hours.open_until(at("2026-03-09T00:00Z")), closed("2026-03-09T18:30Z"));
    }

    #[test]
    fn the_clock_of_the_zone_counts_also_when_it_changes() {
        let hours = hours("Europe/London", &["sat-sun 00:30-02:30"]);
        // On 2026-03-29 the clock goes from 01:00 to 02:00: the window is one hour long.
        assert_eq!(hours.open_until(at("2026-03-29T00:45Z")), open("2026-03-29T01:30Z"));
        // On 2026-10-25 it goes from 02:00 back to 01:00: the window is three hours long.
        assert_eq!(hours.open_until(at("2026-10-24T23:45Z")), open("2026-10-25T02:30Z"));
        assert_eq!(hours.open_until(at("2026-07-04T22:00Z")), closed("2026-07-04T23:30Z"));
    }

    #[test]
    fn the_end_of_the_day_may_be_written_as_24_00() {
        let hours = hours("UTC", &["mon,wed 09:00-24:00"]);
        assert_eq!(hours.open_until(at("2026-03-02T10:00Z")), open("2026-03-03T00:00Z"));
        assert_eq!(hours.open_until(at("2026-03-05T10:00Z")), closed("2026-03-09T09:00Z"));
    }

    #[test]
    fn the_shortest_stretch_of_work_is_known() {
        let monday = at("2026-03-02T12:00Z");
        let hour = 3600;
        let shortest = |lines: &[&str]| hours("UTC", lines).shortest_window(monday).map(|window| window.as_secs());
        assert_eq!(Hours::always().shortest_window(monday), None);
        assert_eq!(shortest(&["mon-sun"]), None);
        assert_eq!(shortest(&["mon-fri 18:30-08:00"]), Some(13 * hour + hour / 2));
        // One window is under way, one touches the weekend; the lunch hour of Wednesday is the shortest.
        assert_eq!(shortest(&["mon 10:00-18:00", "fri 18:30-24:00", "sat-sun", "wed 12:00-13:00"]), Some(hour));
        assert_eq!(shortest(&["sat"]), Some(24 * hour));
    }

    #[test]
    fn hours_that_cannot_be_read_are_refused_with_an_example() {
        let mut hours = Hours::always();
        for line in [
            "",
            "mon-",
            "monday",
            "mon 8-9",
            "mon 08:00-08:00",
            "mon 24:00-08:00",
            "mon 08:60-09:00",
            "mon 18:30-25:00",
            "mon 08:00-09:00 x",
        ] {
            assert!(hours.add(line).expect_err(line).contains("\"mon-fri 18:30-08:00\""), "{line}");
        }
        assert!(Hours::in_zone("Mars/Base").expect_err("no zone").contains("Europe/London"));
    }
}
