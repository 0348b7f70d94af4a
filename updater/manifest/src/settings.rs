//! The grid's settings, `nightshift.toml` in a release's tree: when workers work, and how jobs are cut and leased.
//!
//! Everything may be left out; a key that is not known is refused by name, so that a misspelt one is never silently
//! without effect.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::binaries::Place;
use crate::duration;
use crate::file_error::{FileError, read_toml};
use crate::hours::Hours;
use crate::rate;
use crate::rollout::{self, Plan, RolloutTable};

/// More people than this are never asked for.
const MAX_THRESHOLD: u32 = 20;

/// Why the settings cannot be taken.
pub type SettingsError = FileError;

/// What the grid does where nobody says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct GridSettings {
    /// When workers work.
    pub hours: Hours,
    /// How long a worker carries on without having looked at the repository.
    pub max_offline: Duration,
    /// Bytes a second that a worker spends on records and results at most; `None` when nothing limits it.
    pub bandwidth: Option<u64>,
    /// Records in a job.
    pub job_size: u32,
    /// How long a job is a worker's without a heartbeat.
    pub lease: Duration,
    /// Failures after which a job is quarantined.
    pub max_attempts: u32,
    /// How many people have to stand behind a release, the one who signs it among them.
    pub threshold: u32,
    /// Thousandths of a batch's results that may be errors before it is suspended; 1000 never suspends it.
    pub error_rate: u32,
    /// Where workers look for the programs of a release, in this order.
    pub binaries_from: Vec<Place>,
    /// Who takes this release when; `None` when everybody does in the next cycle.
    pub rollout: Option<Plan>,
}

impl Default for GridSettings {
    fn default() -> Self {
        Self {
            hours: Hours::always(),
            max_offline: Duration::from_secs(24 * 60 * 60),
            bandwidth: None,
            job_size: 1000,
            lease: Duration::from_secs(15 * 60),
            max_attempts: 5,
            error_rate: 500,
            threshold: 1,
            binaries_from: vec![Place::JobServer],
            rollout: None,
        }
    }
}

impl GridSettings {
    /// Reads settings; `file` is what errors call them.
    pub fn parse(text: &str, file: &str) -> Result<Self, SettingsError> {
        let written: SettingsFile = read_toml(file, text)?;
        let at = |span: std::ops::Range<usize>, problem: String| FileError::at(file, text, span.start, problem);
        let mut settings = Self::default();

        let WorkersTable { hours, zone, max_offline, bandwidth } = written.workers;
        settings.hours = read_hours(hours, zone, &at)?;
        if let Some(value) = max_offline {
            settings.max_offline = read_duration("max_offline", &value, 30 * 24 * 60 * 60, &at)?;
        }
        if let Some(value) = bandwidth {
            let read = rate::parse(value.get_ref());
            settings.bandwidth = Some(read.map_err(|problem| at(value.span(), format!("bandwidth: {problem}")))?);
        }

        let JobsTable { size, lease, max_attempts, error_rate } = written.jobs;
        if let Some(value) = size {
            settings.job_size = read_number("size", &value, 100_000, &at)?;
        }
        if let Some(value) = lease {
            settings.lease = read_duration("lease", &value, 24 * 60 * 60, &at)?;
        }
        if let Some(value) = max_attempts {
            settings.max_attempts = read_number("max_attempts", &value, 1000, &at)?;
        }
        if let Some(value) = error_rate {
            settings.error_rate = read_rate("error_rate", &value, &at)?;
        }
        if let Some(value) = written.trust.threshold {
            settings.threshold = read_number("threshold", &value, MAX_THRESHOLD, &at)?;
        }
        if let Some(from) = written.binaries.from {
            settings.binaries_from = read_places(&from, &at)?;
        }
        settings.rollout = written.rollout.map(|table| rollout::read(table, &at)).transpose()?;
        Ok(settings)
    }
}

type At<'a> = &'a dyn Fn(std::ops::Range<usize>, String) -> FileError;

fn read_hours(
    hours: Option<Vec<Spanned<String>>>,
    zone: Option<Spanned<String>>,
    at: At<'_>,
) -> Result<Hours, SettingsError> {
    let zone_span = zone.as_ref().map(Spanned::span).unwrap_or_default();
    let zone = zone.map(Spanned::into_inner).unwrap_or_else(|| "UTC".to_owned());
    let mut read = Hours::in_zone(&zone).map_err(|problem| at(zone_span, problem))?;
    for line in hours.iter().flatten() {
        read.add(line.get_ref()).map_err(|problem| at(line.span(), problem))?;
    }
    match hours {
        None => Ok(Hours::always()),
        Some(lines) if lines.is_empty() => Err(at(
            0..0,
            "hours = [] would let no worker work: leave hours out to work always, push a STOP file to stop".to_owned(),
        )),
        Some(_) => Ok(read),
    }
}

fn read_places(from: &[Spanned<String>], at: At<'_>) -> Result<Vec<Place>, SettingsError> {
    if from.is_empty() {
        let problem = "from = [] would let no worker fetch a program: leave it out to fetch from the job server";
        return Err(at(0..0, problem.to_owned()));
    }
    from.iter().map(|place| place.get_ref().parse().map_err(|problem| at(place.span(), problem))).collect()
}

fn read_duration(key: &str, value: &Spanned<String>, most: u64, at: At<'_>) -> Result<Duration, SettingsError> {
    let read = duration::parse(value.get_ref()).map_err(|problem| at(value.span(), format!("{key}: {problem}")))?;
    match read.as_secs() {
        seconds if (1..=most).contains(&seconds) => Ok(read),
        _ => {
            let most = duration::show(Duration::from_secs(most));
            Err(at(value.span(), format!("{key} = {:?} is out of range: write 1s to {most}", value.get_ref())))
        }
    }
}

fn read_number(key: &str, value: &Spanned<i64>, most: u32, at: At<'_>) -> Result<u32, SettingsError> {
    u32::try_from(*value.get_ref())
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| at(value.span(), format!("{key} = {} is out of range: write 1 to {most}", value.get_ref())))
}

/// A part of one, in thousandths.
fn read_rate(key: &str, value: &Spanned<f64>, at: At<'_>) -> Result<u32, SettingsError> {
    let rate = *value.get_ref();
    if !(0.0..=1.0).contains(&rate) {
        return Err(at(value.span(), format!("{key} = {rate} is out of range: write 0.0 to 1.0, as in 0.05")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 1000")]
    Ok((rate * 1000.0).round() as u32)
}

/// `nightshift.toml` as a person wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    #[serde(default)]
    workers: WorkersTable,
    #[serde(default)]
    jobs: JobsTable,
    #[serde(default)]
    trust: TrustTable,
    #[serde(default)]
    binaries: BinariesTable,
    rollout: Option<Spanned<RolloutTable>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkersTable {
    hours: Option<Vec<Spanned<String>>>,
    zone: Option<Spanned<String>>,
    max_offline: Option<Spanned<String>>,
    bandwidth: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsTable {
    size: Option<Spanned<i64>>,
    lease: Option<Spanned<String>>,
    max_attempts: Option<Spanned<i64>>,
    error_rate: Option<Spanned<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustTable {
    threshold: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BinariesTable {
    from: Option<Vec<Spanned<String>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        GridSettings::parse(text, "nightshift.toml").expect_err(text).to_string()
    }

    #[test]
    fn everything_may_be_left_out() {
        assert_eq!(GridSettings::parse("", "nightshift.toml"), Ok(GridSettings::default()));
    }

    #[test]
    fn what_is_written_is_believed() {
        let text = "[workers]\nhours = [\"mon-fri 18:30-08:00\", \"sat-sun\"]\nzone = \"Europe/London\"\n\
                    max_offline = \"12h\"\nbandwidth = \"2MB/s\"\n[jobs]\nsize = 500\nlease = \"90s\"\nmax_attempts = 3\n";
        let settings = GridSettings::parse(text, "nightshift.toml").expect("well formed");
        assert_eq!(settings.max_offline, Duration::from_secs(12 * 3600));
        assert_eq!(settings.bandwidth, Some(2_000_000));
        assert_eq!((settings.job_size, settings.lease.as_secs(), settings.max_attempts), (500, 90, 3));
        assert_eq!(settings.hours.to_string(), "mon-fri 18:30-08:00, sat-sun (Europe/London)");
    }

    #[test]
    fn the_rate_of_errors_a_batch_may_have_is_a_part_of_one() {
        let rate = |text: &str| GridSettings::parse(text, "nightshift.toml").expect(text).error_rate;
        assert_eq!(rate(""), 500);
        assert_eq!(rate("[jobs]\nerror_rate = 0.05\n"), 50);
        assert_eq!(rate("[jobs]\nerror_rate = 1\n"), 1000);
        assert_eq!(
            error("[jobs]\nerror_rate = 50\n"),
            "nightshift.toml, line 2: error_rate = 50 is out of range: write 0.0 to 1.0, as in 0.05"
        );
        assert!(error("[jobs]\nerror_rate = nan\n").contains("out of range"));
    }

    #[test]
    fn a_release_may_ask_for_several_people_behind_each_of_the_next() {
        let threshold = |text: &str| GridSettings::parse(text, "nightshift.toml").expect(text).threshold;
        assert_eq!((threshold(""), threshold("[trust]\nthreshold = 2\n")), (1, 2));
        assert!(error("[trust]\nthreshold = 0\n").contains("line 2: threshold = 0 is out of range: write 1 to 20"));
    }

    #[test]
    fn programs_come_from_the_job_server_unless_it_says_otherwise() {
        let from = |text: &str| GridSettings::parse(text, "nightshift.toml").expect(text).binaries_from;
        assert_eq!(from(""), [Place::JobServer]);
        let two = "[binaries]\nfrom = [\"file:///srv/x\", \"jobserver\"]\n";
        assert_eq!(from(two), [Place::Folder("/srv/x".into()), Place::JobServer]);
        assert!(error("[binaries]\nfrom = [\"jobserver\", \"ftp://x\"]\n").contains("line 2: \"ftp://x\" is no place"));
        assert!(error("[binaries]\nfrom = []\n").contains("leave it out"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let message = error("[jobs]\nsize = 10\ncolour = \"red\"\n");
        assert!(message.starts_with("nightshift.toml, line 3: ") && message.contains("`colour`"), "{message}");
        let message = error("colour = 1\n");
        assert!(message.contains("line 1") && message.contains("`colour`"), "{message}");
    }

    #[test]
    fn a_value_out_of_range_names_its_line_and_what_to_write() {
        assert_eq!(error("[jobs]\nsize = 0\n"), "nightshift.toml, line 2: size = 0 is out of range: write 1 to 100000");
        assert!(error("[jobs]\n\nlease = \"0s\"\n").contains("line 3: lease = \"0s\" is out of range"));
        assert!(error("[workers]\nmax_offline = \"soon\"\n").contains("line 2: max_offline: \"soon\" is no duration"));
        assert!(error("[workers]\nbandwidth = \"much\"\n").contains("line 2: bandwidth: \"much\" is no bandwidth"));
        assert!(error("[workers]\nzone = \"Mars/Base\"\nhours = [\"sat\"]\n").contains("line 2: \"Mars/Base\""));
        assert!(error("[workers]\nhours = []\n").contains("leave hours out"));
        assert!(error("[jobs]\nsize = \"many\"\n").contains("line 2"));
        assert!(error("[jobs\n").contains("line 1"));
    }
}
