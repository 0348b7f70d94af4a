//! Charts, drawn here as SVG: they need no script, print well and follow the page's colours. Pure.
//!
//! What is written into them is made of numbers and words of ours alone, never of what somebody sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nightshift_store::HourOfWork;
use nightshift_wire::{Attempt, AttemptState, Moment};

use super::words::{at, attempt_state, between, grouped};
use crate::clock::timestamp;

const HOUR_MS: Moment = 3_600_000;
/// Hours of the chart of a day.
const HOURS: i64 = 24;

/// A chart as it stands in a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// The moment the first hour of the chart began.
pub(super) fn day_begins(now: Moment) -> Moment {
    now - now.rem_euclid(HOUR_MS) - (HOURS - 1) * HOUR_MS
}

/// Records of each hour of the last day, errors below.
pub(super) fn day(hours: &[HourOfWork], now: Moment) -> Svg {
    let begin = day_begins(now);
    let mut sums: BTreeMap<Moment, (u64, u64)> = BTreeMap::new();
    for hour in hours.iter().filter(|hour| hour.hour >= begin) {
        let sum = sums.entry(hour.hour).or_default();
        (sum.0, sum.1) = (sum.0 + hour.records, sum.1 + hour.errors);
    }
    let hours = (0..HOURS).map(|place| {
        let hour = begin + place * HOUR_MS;
        let (records, errors) = sums.get(&hour).copied().unwrap_or_default();
        (hour, records, errors)
    });
    bars(&hours.collect::<Vec<_>>(), HOUR_MS, "Records per hour of the last day")
}

/// Stretches there are at most in a chart of bars.
const MOST_BARS: i64 = 60;

/// How long a stretch is, so that a time has not too many of them: a length that people reckon with.
pub(super) fn stretch(from: Moment, to: Moment) -> Moment {
    const LENGTHS: [Moment; 15] =
        [1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];
    let long = |length: &Moment| (to - from) / (length * 1_000) < MOST_BARS - 1;
    LENGTHS.into_iter().find(long).unwrap_or(31_536_000) * 1_000
}

/// Records done in each stretch from one moment to another, errors below; `done` has those in which something was.
pub(super) fn over_time(done: &[(Moment, u64, u64)], from: Moment, to: Moment, each: Moment, what: &str) -> Svg {
    let first = from - from.rem_euclid(each);
    let stretches = (0..MOST_BARS).map(|place| first + place * each).take_while(|begin| *begin <= to);
    let stretches = stretches.map(|begin| {
        let of = done.iter().filter(|(began, ..)| (begin..begin + each).contains(began));
        of.fold((begin, 0, 0), |sum, (_, records, errors)| (begin, sum.1 + records, sum.2 + errors))
    });
    bars(&stretches.collect::<Vec<_>>(), each, what)
}

/// A bar for each stretch: when it began, its records, errors among them.
fn bars(stretches: &[(Moment, u64, u64)], each: Moment, what: &str) -> Svg {
    const WIDTH: i64 = 1040;
    const HEIGHT: i64 = 170;
    const LEFT: i64 = 56;
    const TOP: i64 = 10;
    /// Moments that are written below.
    const MARKS: i64 = 6;
    let floor = HEIGHT - 24;
    let most = round_up(stretches.iter().map(|(_, records, _)| *records).max().unwrap_or(0).max(1));
    let height = |records: u64| (u128::from(records) * (floor - TOP) as u128 / u128::from(most)) as i64;
    let all: u64 = stretches.iter().map(|(_, records, _)| records).sum();
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{what}, {} altogether\">",
        grouped(all)
    );
    for (y, label) in [(TOP, most), ((TOP + floor) / 2, most / 2), (floor, 0)] {
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/><text class=\"tick\" x=\"{}\" \
             y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8,
            y + 4,
            short(label)
        );
    }
    let count = stretches.len().max(1) as i64;
    let bar = ((WIDTH - LEFT - 6) / count * 3 / 4).clamp(1, 60);
    let shape = match each {
        each if each < 60_000 => "%H:%M:%S",
        each if each < 24 * HOUR_MS => "%H:%M",
        _ => "%m-%d",
    };
    let marked = (count / MARKS).max(1);
    for (place, (begin, records, errors)) in (0..).zip(stretches) {
        let x = LEFT + 6 + place * (WIDTH - LEFT - 6) / count;
        let clock = timestamp(*begin).strftime(shape).to_string();
        let (tall, bad) = (height(*records).max(i64::from(*records > 0)), height(*errors).max(i64::from(*errors > 0)));
        let _ = write!(
            svg,
            "<g><title>{clock}: {} records, {} of them errors</title><rect class=\"hit\" x=\"{x}\" y=\"{TOP}\" \
             width=\"{bar}\" height=\"{}\"/><rect class=\"bar\" x=\"{x}\" y=\"{}\" width=\"{bar}\" height=\"{tall}\" \
             rx=\"2\"/><rect class=\"bar bad\" x=\"{x}\" y=\"{}\" width=\"{bar}\" height=\"{bad}\"/></g>",
            grouped(*records),
            grouped(*errors),
            floor - TOP,
            floor - tall,
            floor - bad,
        );
        if place % marked == (count - 1) % marked {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{clock}</text>",
                x + bar / 2,
                HEIGHT - 6
            );
        }
    }
    svg.push_str("</svg>");
    Svg(svg)
}

/// When each attempt at a job ran, the first on top.
pub(super) fn timeline(attempts: &[Attempt], now: Moment) -> Svg {
    const WIDTH: i64 = 1040;
    const LEFT: i64 = 70;
    const ROW: i64 = 24;
    const MOST: usize = 40;
    let shown = &attempts[..attempts.len().min(MOST)];
    let Some(begin) = shown.iter().map(|attempt| attempt.started_at).min() else { return Svg::default() };
    let end = shown.iter().map(|attempt| attempt.ended_at.unwrap_or(now)).max().unwrap_or(now).max(begin + 1);
    let x = |moment: Moment| {
        let part = (moment.clamp(begin, end) - begin) as i128 * i128::from(WIDTH - LEFT);
        LEFT + (part / i128::from(end - begin)) as i64
    };
    let height = ROW * shown.len() as i64 + 22;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"When each attempt ran, from {} on \
         for {}\">",
        at(begin),
        between(begin, end)
    );
    for (row, attempt) in shown.iter().rev().enumerate() {
        let y = row as i64 * ROW;
        let (from, to) = (x(attempt.started_at), x(attempt.ended_at.unwrap_or(now)));
        let kind = match attempt.state {
            AttemptState::Accepted => "good",
            AttemptState::Running => "busy",
            AttemptState::Lost | AttemptState::GivenBack => "warn",
            AttemptState::Superseded => "quiet",
        };
        let state = attempt_state(attempt.state);
        let lasted = between(attempt.started_at, attempt.ended_at.unwrap_or(now));
        let _ = write!(
            svg,
            "<g><title>attempt {id}: {state}, {lasted}</title><text class=\"tick\" x=\"{}\" y=\"{}\" \
             text-anchor=\"end\">{id}</text><rect class=\"bar {kind}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\" \
             rx=\"3\"/></g>",
            LEFT - 8,
            y + 16,
            y + 4,
            (to - from).max(3),
            ROW - 8,
            id = attempt.id,
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{LEFT}\" y=\"{y}\">{}</text><text class=\"tick\" x=\"{WIDTH}\" y=\"{y}\" \
         text-anchor=\"end\">{}</text></svg>",
        at(begin),
        at(end),
        y = height - 4
    );
    Svg(svg)
}

/// The next number that is round enough for an axis.
fn round_up(number: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for times in [1, 2, 4, 6, 10] {
            let round = step.saturating_mul(times);
            if round >= number && round % 2 == 0 || round == u64::MAX {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// A number on an axis.
fn short(number: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = number / (unit / 10);
        if tenths.is_multiple_of(10) { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
    };
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{}k", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{}M", tenths(1_000_000)),
        _ => format!("{}G", tenths(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: Moment, records: u64, errors: u64) -> HourOfWork {
        HourOfWork { hour, plugin: "count".to_owned(), jobs: 1, records, errors, work_ms: 1, failures: 0 }
    }

    #[test]
    fn a_day_has_a_bar_for_each_of_its_hours_and_what_is_older_is_not_in_it() {
        let now = 1_735_787_045_000;
        let this = now - now % HOUR_MS;
        let hours = [hour(this - 24 * HOUR_MS, 999, 0), hour(this - 23 * HOUR_MS, 100, 1), hour(this, 1_500, 50)];
        let svg = day(&hours, now);
        assert_eq!(svg.text().matches("<g>").count(), 24);
        assert!(svg.text().contains("1,600 altogether"), "{}", svg.text());
        assert!(svg.text().contains("03:00: 1,500 records, 50 of them errors"), "{}", svg.text());
        assert_eq!(day(&[], now).text().matches("<g>").count(), 24, "an empty day is a day");
    }

    #[test]
    fn a_time_has_as_many_bars_as_can_be_told_apart_whatever_its_length() {
        for (length, each) in [(0, 1), (50, 1), (100, 5), (3_000, 60), (86_400, 1_800), (30 * 86_400, 86_400)] {
            assert_eq!(stretch(7, 7 + length * 1_000), each * 1_000, "{length} s");
        }
        let now = 1_735_787_045_000;
        let done = [(now - 60_000, 10, 1), (now, 5, 0)];
        let svg = over_time(&done, now - 120_000, now, 60_000, "Records");
        assert_eq!(svg.text().matches("<g>").count(), 3);
        assert!(svg.text().contains("Records, 15 altogether"), "{}", svg.text());
        let years = over_time(&[], 0, now, stretch(0, now), "Records");
        assert!(years.text().matches("<g>").count() <= 60);
    }

    #[test]
    fn axes_end_in_round_numbers() {
        assert_eq!([1, 3, 41, 60, 61, 1_500].map(round_up), [2, 4, 60, 60, 100, 2_000]);
        assert_eq!([0, 9_999, 12_500, 2_000_000].map(short), ["0", "9,999", "12.5k", "2M"]);
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_timeline_shows_every_attempt_the_first_on_top_and_none_is_invisible() {
        let attempt = |id, state, started_at, ended_at| Attempt {
            id,
            revision: 1,
            state,
            reason: "<script>".to_owned(),
            worker: "<b>".to_owned(),
            release: "v1.0.0".to_owned(),
            commit: String::new(),
            records_done: 0,
            work_ms: None,
            position: None,
            started_at,
            ended_at,
            lease_until: None,
        };
        let attempts =
            [attempt(9, AttemptState::Running, 50_000, None), attempt(4, AttemptState::Lost, 1_000, Some(1_000))];
        let svg = timeline(&attempts, 60_000);
        let text = svg.text();
        assert!(text.find("attempt 4: lost") < text.find("attempt 9: running, 10s"), "{text}");
        assert!(text.contains("width=\"3\"") && !text.contains("<b>") && !text.contains("<script>"));
        assert_eq!(timeline(&[], 60_000), Svg::default());
    }
}
