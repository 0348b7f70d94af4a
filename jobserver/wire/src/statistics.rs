//! Statistics of the grid: what was done in which hour or day, by whom, and how that compares with a baseline.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/stats?since=MS&until=MS&per=P&by=B&worker=ID&against=NAME` ([`StatsQuery`]) | | 200 [`Stats`] |
//! | `GET /v1/baselines` | | 200 list of [`Baseline`] |
//! | `POST /v1/baselines` | [`NewBaseline`] | 201 [`Baseline`] |
//! | `DELETE /v1/baselines/NAME` | | 204 |
//!
//! Days are those of UTC. Which share of attempts belongs where, what a turnaround is and how a comparison is made stands in
//! `jobserver/rules/src/statistics.rs`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Moment;

/// How much time a line of the statistics covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatsPer {
    /// An hour.
    Hour,
    /// A day of UTC.
    #[default]
    Day,
    /// All the time that was asked for.
    Whole,
}

/// What a line of the statistics is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatsBy {
    /// The whole grid.
    #[default]
    None,
    /// One worker.
    Worker,
    /// One plugin.
    Plugin,
    /// One release.
    Release,
}

impl StatsPer {
    /// Its word in queries.
    pub fn word(self) -> &'static str {
        match self {
            StatsPer::Hour => "hour",
            StatsPer::Day => "day",
            StatsPer::Whole => "whole",
        }
    }
}

impl StatsBy {
    /// Its word in queries.
    pub fn word(self) -> &'static str {
        match self {
            StatsBy::None => "none",
            StatsBy::Worker => "worker",
            StatsBy::Plugin => "plugin",
            StatsBy::Release => "release",
        }
    }
}

/// Which statistics are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    /// From the hour (or day) of this moment on; a week ago when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Up to this moment; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// How much time a line covers: `hour`, `day`, `whole`.
    #[serde(default)]
    #[param(inline)]
    pub per: StatsPer,
    /// What a line is about: `none`, `worker`, `plugin`, `release`.
    #[serde(default)]
    #[param(inline)]
    pub by: StatsBy,
    /// Of this worker alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Compared with this baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
}

/// What was done in some time, by whatever the line is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stat {
    /// When the hour or day began; for all the time, when that began.
    pub begin: Moment,
    /// The worker, plugin or release; empty for the whole grid.
    pub of: String,
    /// Records of the jobs whose results were accepted.
    pub records: u64,
    /// These jobs.
    pub jobs: u64,
    /// Of the records, errors.
    pub errors: u64,
    /// The time that workers took for them, in milliseconds, all workers added up.
    pub work_ms: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts that were started at these jobs; one each is the aim.
    pub pickups: u64,
    /// Workers of which results were accepted.
    pub workers: u64,
    /// From a job's first pick-up until its results were accepted: half of the jobs took no longer. Absent without jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turnaround_p50_ms: Option<u64>,
    /// 95 of 100 jobs took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turnaround_p95_ms: Option<u64>,
}

/// How long workers were in a state, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerTime {
    /// The state, as pages show it: `working`, `waiting`, `resting`, `stopped`, `blocked`, `drained`, `away`.
    pub state: String,
    /// Why, in the workers' words, numbers left out; empty where there is none to tell.
    pub reason: String,
    /// Minutes, all workers added up.
    pub worker_minutes: u64,
    /// Minutes in which there was at least one.
    pub minutes: u64,
}

/// Statistics of a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// The server's clock.
    pub now: Moment,
    /// When the time begins, the hour or day of what was asked for being whole.
    pub since: Moment,
    /// When it ends.
    pub until: Moment,
    /// How much time a line covers.
    pub per: StatsPer,
    /// What a line is about.
    pub by: StatsBy,
    /// The lines, by time, in each the one with most records first.
    pub rows: Vec<Stat>,
    /// All of them together.
    pub total: Stat,
    /// How the workers spent the time, the longest first; not told of one worker.
    pub time: Vec<WorkerTime>,
    /// How it compares with the baseline that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// What the office has and a PC is worth, as it was planned: what a rollout step is expected to bring follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BaselineOffice {
    /// PCs that the grid is to have in the end.
    pub pcs: u32,
    /// How fast one of them is, in thousandths of a machine of the baseline.
    pub speed_per_mille: u32,
    /// How long it is idle, in milliseconds a day.
    pub idle_ms: u64,
}

/// What a grid did with one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginFigures {
    /// The plugin.
    pub plugin: String,
    /// Records whose results were accepted.
    pub records: u64,
    /// Their jobs.
    pub jobs: u64,
    /// Of the records, errors.
    pub errors: u64,
    /// The time that workers took for them, in milliseconds.
    pub work_ms: u64,
}

/// What a grid did in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GridFigures {
    /// Workers of which results were accepted.
    pub workers: u64,
    /// Hours by the clock in which results were accepted.
    pub hours: u64,
    /// Minutes in which at least one worker was at work; 0 where workers do not report.
    pub busy_minutes: u64,
    /// Half of the jobs took no longer from their first pick-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turnaround_p50_ms: Option<u64>,
    /// 95 of 100 jobs took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turnaround_p95_ms: Option<u64>,
    /// By plugin.
    pub plugins: Vec<PluginFigures>,
}

/// A baseline to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewBaseline {
    /// Its name.
    pub name: String,
    /// From the hour of this moment on; a week ago when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Up to this moment; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// What the office is planned to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub office: Option<BaselineOffice>,
}

/// What the grid, or the server before it, did in a time that later ones are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// Its name.
    pub name: String,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// Whose token recorded it.
    pub recorded_by: String,
    /// When the time begins that it is of.
    pub since: Moment,
    /// When that ends.
    pub until: Moment,
    /// What was done in it.
    pub figures: GridFigures,
    /// What the office is planned to have; absent when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub office: Option<BaselineOffice>,
}

/// How a time did against a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Too little was done, then or now, to say.
    TooLittle,
    /// About as much as was to be expected.
    AsExpected,
    /// Clearly less.
    Short,
    /// Clearly more.
    More,
}

/// One plugin, then and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginCompared {
    /// The plugin.
    pub plugin: String,
    /// Records an hour of work that went into this plugin, then.
    pub then_per_hour: u64,
    /// The same now.
    pub now_per_hour: u64,
    /// Records that one worker does in an hour of its own work, then.
    pub then_per_worker_hour: u64,
    /// The same now.
    pub now_per_worker_hour: u64,
}

/// A time compared with a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The baseline.
    pub baseline: Baseline,
    /// What was done in the time that was asked for.
    pub figures: GridFigures,
    /// Workers that were added since the baseline, as a percentage of the office's PCs; absent when nobody said how many
    /// those are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines_percent: Option<u64>,
    /// By how many percent more was to be expected; absent when nothing can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_percent: Option<i64>,
    /// By how many percent more was done in an hour of work; absent when there is too little to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_percent: Option<i64>,
    /// What to make of it.
    pub step: Step,
    /// The same in a sentence.
    pub says: String,
    /// What a person can do about it; empty when there is nothing to do.
    pub next: String,
    /// Plugins that were used then and now.
    pub plugins: Vec<PluginCompared>,
}
