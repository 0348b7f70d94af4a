//! The plan of a rollout, as it stands in a release's `nightshift.toml`.
//!
//! ```toml
//! [rollout]
//! zone = "Europe/London"         # whose clock not_before and window mean
//! max_error_increase = 0.02      # more errors than the release before had, as a part of all records
//! max_slowdown = 0.5             # slower than the same worker with the release before, as a part of its time
//! min_jobs = 20                  # jobs that a ring has to do before the next one opens
//!
//! [[rollout.ring]]
//! name = "canary"
//! tags = ["canary"]              # workers with one of these tags
//!
//! [[rollout.ring]]
//! name = "early"
//! percent = 10                   # of the grid, counted from the beginning
//! not_before = "2026-03-02 18:00"
//! window = ["mon-thu 18:00-06:00"]
//!
//! [[rollout.ring]]
//! name = "everyone"              # the last ring has all the others
//! ```
//! Everything is checked here: a plan with a fault in it makes the release one that nobody takes.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;
use toml::Spanned;

use super::ring::SHARES;
use crate::file_error::FileError;
use crate::hours::Hours;
use crate::requires::check_tag;

/// Rings a plan may have.
const MOST_RINGS: usize = 20;
/// Letters a ring's name may have.
const LONGEST_NAME: usize = 32;

/// Who takes a release when.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The rings in their order; at least one.
    pub rings: Vec<Ring>,
    /// Thousandths of all records that may be errors beyond what the release before had.
    pub max_error_increase: u32,
    /// Thousandths of its former time that a worker may need more.
    pub max_slowdown: u32,
    /// Jobs that a ring has to do before the next one opens.
    pub min_jobs: u32,
}

/// A part of the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring {
    /// Its name.
    pub name: String,
    /// Workers with one of these tags belong to it.
    pub tags: BTreeSet<String>,
    /// So do those whose share of the grid is below this (hundredths of a percent), when no earlier ring has them.
    pub share: Option<u32>,
    /// Nobody of it takes the release before this moment.
    pub not_before: Option<Timestamp>,
    /// Workers of it take the release only in these hours.
    pub window: Option<Hours>,
}

impl Ring {
    /// Whether a worker can only belong to it by a tag.
    pub fn is_by_tag_alone(&self) -> bool {
        self.share.is_none() && !self.tags.is_empty()
    }
}

impl Plan {
    /// Errors beyond those of the release before, when the plan does not say: 2 %.
    pub const ERROR_INCREASE: u32 = 20;
    /// Time beyond that with the release before, when the plan does not say: half as much again.
    pub const SLOWDOWN: u32 = 500;
    /// Jobs of a ring, when the plan does not say.
    pub const JOBS: u32 = 20;
}

/// `[rollout]` as a person wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolloutTable {
    zone: Option<Spanned<String>>,
    max_error_increase: Option<Spanned<f64>>,
    max_slowdown: Option<Spanned<f64>>,
    min_jobs: Option<Spanned<i64>>,
    #[serde(default)]
    ring: Vec<Spanned<RingTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RingTable {
    name: Spanned<String>,
    #[serde(default)]
    tags: Vec<Spanned<String>>,
    percent: Option<Spanned<f64>>,
    zone: Option<Spanned<String>>,
    not_before: Option<Spanned<toml::Value>>,
    window: Option<Spanned<Vec<Spanned<String>>>>,
}

type At<'a> = &'a dyn Fn(Range<usize>, String) -> FileError;

/// Reads what a person wrote; `at` says where in the file a fault is.
pub(crate) fn read(written: Spanned<RolloutTable>, at: At<'_>) -> Result<Plan, FileError> {
    let place = written.span();
    let RolloutTable { zone, max_error_increase, max_slowdown, min_jobs, ring } = written.into_inner();
    if ring.is_empty() {
        let problem = "[rollout] has no ring, so nobody would ever take the release: add [[rollout.ring]] with a name, or \
                       leave [rollout] out and everybody takes it at once";
        return Err(at(place, problem.to_owned()));
    }
    if let Some(beyond) = ring.get(MOST_RINGS) {
        return Err(at(beyond.span(), format!("a plan has at most {MOST_RINGS} rings: leave some out")));
    }
    let part = |key: &str, value: Option<Spanned<f64>>, most: f64, default: u32| match value {
        None => Ok(default),
        Some(value) => thousandths(key, *value.get_ref(), most).map_err(|problem| at(value.span(), problem)),
    };
    let min_jobs = match min_jobs {
        None => Plan::JOBS,
        Some(value) => {
            u32::try_from(*value.get_ref()).ok().filter(|jobs| (1..=1_000_000).contains(jobs)).ok_or_else(|| {
                at(value.span(), format!("min_jobs = {} is out of range: write 1 to 1000000", value.get_ref()))
            })?
        }
    };
    Ok(Plan {
        max_error_increase: part("max_error_increase", max_error_increase, 1.0, Plan::ERROR_INCREASE)?,
        max_slowdown: part("max_slowdown", max_slowdown, 100.0, Plan::SLOWDOWN)?,
        min_jobs,
        rings: read_rings(ring, zone.as_ref(), at)?,
    })
}

fn read_rings(
    written: Vec<Spanned<RingTable>>,
    zone: Option<&Spanned<String>>,
    at: At<'_>,
) -> Result<Vec<Ring>, FileError> {
    if let Some(zone) = zone {
        Hours::in_zone(zone.get_ref()).map_err(|problem| at(zone.span(), problem))?;
    }
    let last = written.len() - 1;
    let mut rings: Vec<Ring> = Vec::with_capacity(written.len());
    for (place, table) in written.into_iter().enumerate() {
        let span = table.span();
        let ring = read_ring(table.into_inner(), zone, at)?;
        let fault = |problem: String| Err(at(span.clone(), problem));
        if rings.iter().any(|other| other.name == ring.name) {
            return fault(format!("there are two rings named {:?}: give each a name of its own", ring.name));
        }
        let before = rings.iter().rev().find_map(|ring| Some((&ring.name, ring.share?)));
        if let (Some((name, before)), Some(share)) = (before, ring.share)
            && share <= before
        {
            return fault(format!(
                "ring {:?} has {} and ring {name:?} before it {}, which leaves nobody to it: percentages count from the \
                 beginning of the grid, so each is larger than the one before",
                ring.name,
                percent(share),
                percent(before)
            ));
        }
        let everybody = ring.share.unwrap_or(if ring.tags.is_empty() { SHARES } else { 0 }) == SHARES;
        if place < last && everybody {
            return fault(format!(
                "ring {:?} is for everybody, which leaves nobody to the rings after it: give it tags or a percentage below \
                 100, or put it last",
                ring.name
            ));
        }
        if place == last && !everybody {
            return fault(format!(
                "ring {:?} is the last and not for everybody, so some workers would never take the release: leave tags and \
                 percent out, or add a ring that is for everybody",
                ring.name
            ));
        }
        rings.push(ring);
    }
    Ok(rings)
}

fn read_ring(written: RingTable, zone: Option<&Spanned<String>>, at: At<'_>) -> Result<Ring, FileError> {
    let RingTable { name, tags: written_tags, percent, zone: own_zone, not_before, window } = written;
    check_name(name.get_ref()).map_err(|problem| at(name.span(), problem))?;
    let mut tags = BTreeSet::new();
    for tag in written_tags {
        check_tag(tag.get_ref()).map_err(|problem| at(tag.span(), problem))?;
        tags.insert(tag.into_inner());
    }
    let share = percent
        .map(|percent| share_of(*percent.get_ref()).map_err(|problem| at(percent.span(), problem)))
        .transpose()?;
    let hours = match own_zone.as_ref().or(zone) {
        None => None,
        Some(zone) => Some(Hours::in_zone(zone.get_ref()).map_err(|problem| at(zone.span(), problem))?),
    };
    let whose = |key: &str| {
        format!("{key}: nobody knows whose clock is meant: write zone = \"Europe/London\", or another, under [rollout]")
    };
    let window = match window {
        None => None,
        Some(window) => {
            let mut hours = hours.clone().ok_or_else(|| at(window.span(), whose("window")))?;
            if window.get_ref().is_empty() {
                let problem = "window = [] would let nobody take the release: leave window out to let them at any time";
                return Err(at(window.span(), problem.to_owned()));
            }
            for line in window.get_ref() {
                hours.add(line.get_ref()).map_err(|problem| at(line.span(), problem))?;
            }
            Some(hours)
        }
    };
    let not_before = match not_before {
        None => None,
        Some(value) => {
            let text = match value.get_ref() {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            match read_moment(&text, hours.as_ref()) {
                Ok(Some(moment)) => Some(moment),
                Ok(None) => return Err(at(value.span(), whose("not_before"))),
                Err(problem) => return Err(at(value.span(), problem)),
            }
        }
    };
    Ok(Ring { name: name.into_inner(), tags, share, not_before, window })
}

/// `2026-03-02 18:00` by the zone's clock, or a moment that says its own offset. `None` when a zone is needed.
fn read_moment(text: &str, zone: Option<&Hours>) -> Result<Option<Timestamp>, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Some(moment));
    }
    let wrong = || format!("not_before: {text:?} is no moment: write a date and a time, as in \"2026-03-02 18:00\"");
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    if !text.contains(':') {
        return Err(wrong());
    }
    Ok(zone.map(|zone| zone.moment(civil)))
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a ring: write up to {LONGEST_NAME} lower-case letters, digits and -, as in \"early\""
    ))
}

fn thousandths(key: &str, value: f64, most: f64) -> Result<u32, String> {
    if !(0.0..=most).contains(&value) {
        return Err(format!("{key} = {value} is out of range: write 0.0 to {most:?}, as in 0.02"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 100000")]
    Ok((value * 1000.0).round() as u32)
}

/// A percentage in hundredths.
fn share_of(percent: f64) -> Result<u32, String> {
    if !(0.01..=100.0).contains(&percent) {
        return Err(format!("percent = {percent} is out of range: write 0.01 to 100"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 1 to 10000")]
    Ok((percent * 100.0).round() as u32)
}

/// A share for people: `12.5 %`.
fn percent(share: u32) -> String {
    format!("{} %", f64::from(share) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::GridSettings;

    fn parse(text: &str) -> Result<Option<Plan>, String> {
        GridSettings::parse(text, "nightshift.toml").map(|settings| settings.rollout).map_err(|error| error.to_string())
    }

    fn error(text: &str) -> String {
        parse(text).expect_err(text)
    }

    const ALL: &str = "[[rollout.ring]]\nname = \"all\"\n";

    #[test]
    fn without_a_plan_there_is_none() {
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn a_plan_says_who_comes_when() {
        let plan = parse(
            "[rollout]\nzone = \"Europe/London\"\nmax_error_increase = 0.01\nmax_slowdown = 0.2\nmin_jobs = 5\n\
             [[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
             [[rollout.ring]]\nname = \"early\"\npercent = 12.5\nnot_before = \"2026-07-02 18:00\"\nwindow = [\"mon-thu 18:00-06:00\"]\n\
             [[rollout.ring]]\nname = \"half\"\npercent = 50\nzone = \"UTC\"\nnot_before = 2026-07-03T18:00:00\n\
             [[rollout.ring]]\nname = \"all\"\nnot_before = \"2026-07-04T18:00:00+02:00\"\n",
        )
        .expect("a plan")
        .expect("a plan");
        assert_eq!((plan.max_error_increase, plan.max_slowdown, plan.min_jobs), (10, 200, 5));
        let names: Vec<&str> = plan.rings.iter().map(|ring| ring.name.as_str()).collect();
        assert_eq!(names, ["canary", "early", "half", "all"]);
        let moments: Vec<Option<String>> =
            plan.rings.iter().map(|ring| ring.not_before.map(|moment| moment.to_string())).collect();
        let moment = |text: &str| Some(text.to_owned());
        assert_eq!(
            moments,
            [None, moment("2026-07-02T17:00:00Z"), moment("2026-07-03T18:00:00Z"), moment("2026-07-04T16:00:00Z")]
        );
        assert_eq!(plan.rings.iter().map(|ring| ring.share).collect::<Vec<_>>(), [None, Some(1250), Some(5000), None]);
        assert_eq!(
            plan.rings[1].window.as_ref().map(ToString::to_string).as_deref(),
            Some("mon-thu 18:00-06:00 (Europe/London)")
        );
        assert!(
            plan.rings[0].is_by_tag_alone() && !plan.rings[1].is_by_tag_alone() && !plan.rings[3].is_by_tag_alone()
        );
    }

    #[test]
    fn a_plan_that_leaves_somebody_out_or_nobody_over_is_refused() {
        assert_eq!(
            error("[rollout]\nmin_jobs = 3\n"),
            "nightshift.toml, line 1: [rollout] has no ring, so nobody would ever take the release: add [[rollout.ring]] \
             with a name, or leave [rollout] out and everybody takes it at once"
        );
        assert!(error("[[rollout.ring]]\nname = \"a\"\npercent = 50\n").contains("the last and not for everybody"));
        assert!(error("[[rollout.ring]]\nname = \"a\"\ntags = [\"x\"]\n").contains("the last and not for everybody"));
        assert!(error(&format!("{ALL}[[rollout.ring]]\nname = \"b\"\n")).contains("\"all\" is for everybody"));
        let falling = "[[rollout.ring]]\nname = \"a\"\npercent = 20\n[[rollout.ring]]\nname = \"b\"\npercent = 20\n";
        let message = error(&format!("{falling}{ALL}"));
        assert!(
            message.starts_with("nightshift.toml, line 4: ring \"b\" has 20 % and ring \"a\" before it 20 %"),
            "{message}"
        );
        let twice = "[[rollout.ring]]\nname = \"all\"\ntags = [\"x\"]\n";
        assert!(error(&format!("{twice}{ALL}")).contains("two rings named \"all\""));
    }

    #[test]
    fn a_value_that_cannot_be_read_names_its_line_and_what_to_write() {
        let ring = |more: &str| error(&format!("[[rollout.ring]]\nname = \"all\"\n{more}\n"));
        assert_eq!(
            ring("not_before = \"soon\""),
            "nightshift.toml, line 3: not_before: \"soon\" is no moment: write a date and a time, as in \
             \"2026-03-02 18:00\""
        );
        assert!(ring("not_before = \"2026-03-02\"").contains("a date and a time"));
        assert_eq!(
            ring("not_before = \"2026-03-02 18:00\""),
            "nightshift.toml, line 3: not_before: nobody knows whose clock is meant: write zone = \"Europe/London\", or \
             another, under [rollout]"
        );
        assert!(ring("window = [\"sat-sun\"]").contains("line 3: window: nobody knows whose clock"));
        assert!(ring("zone = \"UTC\"\nwindow = []").contains("line 4: window = [] would let nobody"));
        assert!(ring("zone = \"UTC\"\nwindow = [\"weekend\"]").contains("line 4: \"weekend\" are no working hours"));
        assert!(ring("zone = \"Mars/Base\"").contains("line 3: \"Mars/Base\" is no time zone"));
        assert!(ring("percent = 0").contains("line 3: percent = 0 is out of range"));
        assert!(ring("percent = 101").contains("write 0.01 to 100"));
        assert!(ring("tags = [\"A B\"]").contains("line 3: \"A B\" is no tag"));
        assert!(ring("colour = \"red\"").contains("`colour`"));
        assert!(error("[[rollout.ring]]\nname = \"All\"\n").contains("line 2: \"All\" is no name of a ring"));
        assert!(error("[[rollout.ring]]\npercent = 5\n").contains("`name`"));
        let head = |line: &str| error(&format!("[rollout]\n{line}\n{ALL}"));
        assert!(
            head("max_error_increase = 2").contains("line 2: max_error_increase = 2 is out of range: write 0.0 to 1.0")
        );
        assert!(head("max_slowdown = -1").contains("line 2: max_slowdown = -1 is out of range: write 0.0 to 100.0"));
        assert!(head("min_jobs = 0").contains("line 2: min_jobs = 0 is out of range: write 1 to 1000000"));
        assert!(head("zone = \"Mars/Base\"").contains("line 2: \"Mars/Base\" is no time zone"));
        assert!(head("rings = 4").contains("`rings`"));
        let many: String = (0..21).map(|ring| format!("[[rollout.ring]]\nname = \"r{ring}\"\n")).collect();
        assert!(error(&many).contains("at most 20 rings"));
    }
}
