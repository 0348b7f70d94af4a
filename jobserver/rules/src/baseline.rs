//! Whether a step of the rollout over an office brought what it should: a time compared with a baseline.
//!
//! "If there is one thing you do, it is benchmark": what was done before the grid is recorded, and each step is compared
//! with it. Two figures stand side by side.
//! - *Expected* follows from machines alone. Where the office's plan was recorded with the baseline (how fast a PC is, how long
//!   idle), each worker that joined since is worth speed × idle part of the day of a machine of the baseline, as
//!   `nightshift plan` has it; where not, every worker counts like one of the baseline.
//! - *Measured* is what was done in an hour of work. A record of each plugin counts as much as it took then, so that
//!   another mixture of work does not look like another speed; plugins that were used only then or only now do not count,
//!   and neither does the part of the time that went into them.
//!   An hour of work is one in which at least one worker was at work, by the minutes that workers report; where either time
//!   has none of those, an hour by the clock in which results were accepted. A grid without work is not slow.

use nightshift_wire::{
    Baseline, BaselineOffice, Comparison, GridFigures, PluginCompared, PluginFigures, Step, counted,
};

/// Fewer jobs say nothing.
const JOBS: u64 = 20;
/// Less time of work says nothing.
const MINUTES: u64 = 60;
/// A step may be off by so many percentage points, or by this part of what was expected, whichever is more.
const POINTS: f64 = 5.0;
const PART: f64 = 0.25;
const DAY_MS: f64 = 24.0 * 3_600_000.0;
const HOUR_MS: f64 = 3_600_000.0;

/// By how much more was to be expected, as a factor.
pub fn expected(then: &GridFigures, now: &GridFigures, office: Option<BaselineOffice>) -> Option<f64> {
    let (had, has) = (then.workers as f64, now.workers as f64);
    if had == 0.0 {
        return None;
    }
    Some(match office {
        Some(office) => ((had + (has - had) * worth(office)) / had).max(0.0),
        None => has / had,
    })
}

/// What a PC of the office is worth, as a part of a machine of the baseline that works all day.
pub fn worth(office: BaselineOffice) -> f64 {
    f64::from(office.speed_per_mille) / 1_000.0 * (office.idle_ms as f64 / DAY_MS)
}

/// By how much more was done in an hour of work, as a factor.
pub fn measured(then: &GridFigures, now: &GridFigures) -> Option<f64> {
    let (mut did, mut does) = (0.0, 0.0);
    for (then, now) in common(then, now) {
        let weight = then.work_ms.max(1) as f64 / then.records as f64;
        did += then.work_ms.max(1) as f64;
        does += now.records as f64 * weight;
    }
    let (had, has) = times(then, now);
    let share = |figures: &GridFigures, of: u64| of as f64 / all_work(figures) as f64;
    let had = had as f64 * share(then, common(then, now).map(|(then, _)| then.work_ms).sum());
    let has = has as f64 * share(now, common(then, now).map(|(_, now)| now.work_ms).sum());
    (did > 0.0 && had > 0.0 && has > 0.0).then(|| (does / has) / (did / had))
}

/// The work of all plugins together, in milliseconds; never nothing.
fn all_work(figures: &GridFigures) -> u64 {
    figures.plugins.iter().map(|plugin| plugin.work_ms).sum::<u64>().max(1)
}

/// Plugins that did records then and are there now.
fn common<'a>(
    then: &'a GridFigures,
    now: &'a GridFigures,
) -> impl Iterator<Item = (&'a PluginFigures, &'a PluginFigures)> {
    let done = then.plugins.iter().filter(|then| then.records > 0);
    done.filter_map(|then| Some((then, now.plugins.iter().find(|now| now.plugin == then.plugin && now.records > 0)?)))
}

/// Minutes of work then and now, in the same measure.
fn times(then: &GridFigures, now: &GridFigures) -> (u64, u64) {
    match counts_work(then, now) {
        true => (then.busy_minutes, now.busy_minutes),
        false => (then.hours * 60, now.hours * 60),
    }
}

/// Whether workers reported their minutes of work at both times.
fn counts_work(then: &GridFigures, now: &GridFigures) -> bool {
    then.busy_minutes > 0 && now.busy_minutes > 0
}

/// Compares a time with a baseline.
pub fn compare(baseline: &Baseline, now: &GridFigures) -> Comparison {
    let (then, office) = (&baseline.figures, baseline.office);
    let expected = expected(then, now, office);
    let enough = enough(then, now);
    let measured = enough.is_ok().then(|| measured(then, now)).flatten();
    let step = step(expected, measured);
    let percent = |factor: f64| ((factor - 1.0) * 100.0).round() as i64;
    let (expected, measured) = (expected.map(percent), measured.map(percent));
    let added = now.workers.saturating_sub(then.workers);
    let machines = office
        .filter(|office| office.pcs > 0)
        .map(|office| (added as f64 * 100.0 / f64::from(office.pcs)).round() as u64);
    let at = match machines.filter(|_| added > 0) {
        Some(0) => "at less than 1 % of the machines".to_owned(),
        Some(machines) => format!("at {machines} % of the machines"),
        None if now.workers == then.workers => format!("with {} as then", counted(now.workers, "worker")),
        None => format!("with {} instead of {}", counted(now.workers, "worker"), then.workers),
    };
    let says = match (expected, measured, &enough) {
        (Some(expected), Some(measured), _) => format!("{at} expect {expected:+} %: measured {measured:+} %"),
        (Some(expected), None, Err(why)) => format!("{at} expect {expected:+} %; {why}"),
        (None, _, Err(why)) => why.clone(),
        (_, _, Ok(())) => format!("{at}: no plugin was used both then and now, so nothing can be compared"),
    };
    let next = match step {
        Step::TooLittle => format!(
            "measure over more time (--since): it takes {JOBS} jobs and an hour of work, with a plugin that the baseline has"
        ),
        Step::Short => {
            "find out why before more machines join: nightshift stats --by worker, nightshift status, nightshift \
                        worker list; then measure again"
                .to_owned()
        }
        Step::AsExpected | Step::More => String::new(),
    };
    Comparison {
        baseline: baseline.clone(),
        figures: now.clone(),
        machines_percent: machines,
        expected_percent: expected,
        measured_percent: measured,
        step,
        says,
        next,
        plugins: compared(then, now),
    }
}

/// Whether enough was done at both times to say something.
fn enough(then: &GridFigures, now: &GridFigures) -> Result<(), String> {
    let (had, has) = times(then, now);
    let of = if counts_work(then, now) { "of work" } else { "by the clock" };
    for (when, figures, minutes) in [("for the baseline", then, had), ("in this time", now, has)] {
        let jobs: u64 = figures.plugins.iter().map(|plugin| plugin.jobs).sum();
        if jobs < JOBS || minutes < MINUTES {
            let (jobs, minutes) = (counted(jobs, "job"), counted(minutes, "minute"));
            return Err(format!(
                "too little was done {when} to compare: {jobs} in {minutes} {of}, and it takes {JOBS} jobs and {MINUTES} \
                 minutes"
            ));
        }
    }
    Ok(())
}

fn step(expected: Option<f64>, measured: Option<f64>) -> Step {
    let Some((expected, measured)) = expected.zip(measured) else { return Step::TooLittle };
    let may_be_off = ((expected - 1.0).abs() * PART).max(POINTS / 100.0);
    match measured - expected {
        off if off < -may_be_off => Step::Short,
        off if off > may_be_off => Step::More,
        _ => Step::AsExpected,
    }
}

fn compared(then: &GridFigures, now: &GridFigures) -> Vec<PluginCompared> {
    let (had, has) = times(then, now);
    // As if the plugin had had its part of the time for itself.
    let per_hour = |figures: &GridFigures, done: &PluginFigures, minutes: u64| {
        let minutes = minutes as f64 * done.work_ms as f64 / all_work(figures) as f64;
        if minutes > 0.0 { (done.records as f64 * 60.0 / minutes).round() as u64 } else { 0 }
    };
    let per_worker = |done: &PluginFigures| (done.records as f64 * HOUR_MS / done.work_ms.max(1) as f64).round() as u64;
    let compared = common(then, now).map(|(did, does)| PluginCompared {
        plugin: did.plugin.clone(),
        then_per_hour: per_hour(then, did, had),
        now_per_hour: per_hour(now, does, has),
        then_per_worker_hour: per_worker(did),
        now_per_worker_hour: per_worker(does),
    });
    compared.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin of which a record takes `record_ms` on the machines of that time.
    fn plugin(name: &str, records: u64, record_ms: u64) -> PluginFigures {
        let work_ms = records * record_ms;
        PluginFigures { plugin: name.to_owned(), records, jobs: records / 500, errors: 0, work_ms }
    }

    fn figures(workers: u64, hours: u64, plugins: Vec<PluginFigures>) -> GridFigures {
        GridFigures { workers, hours, busy_minutes: hours * 60, plugins, ..GridFigures::default() }
    }

    fn baseline(figures: GridFigures, office: Option<BaselineOffice>) -> Baseline {
        let name = "before".to_owned();
        Baseline { name, recorded_at: 9, recorded_by: "anna".to_owned(), since: 0, until: 8, figures, office }
    }

    /// The articles' office: 50 PCs of a tenth of the server's power, idle 16 hours a day.
    const OFFICE: BaselineOffice = BaselineOffice { pcs: 50, speed_per_mille: 100, idle_ms: 16 * 3_600_000 };

    #[test]
    fn at_a_tenth_of_the_articles_machines_a_third_more_is_expected() {
        let then = baseline(figures(1, 100, vec![plugin("names", 100_000, 3_600)]), Some(OFFICE));
        let now = figures(6, 100, vec![plugin("names", 131_000, 9_000)]);
        let compared = compare(&then, &now);
        assert_eq!(compared.says, "at 10 % of the machines expect +33 %: measured +31 %");
        assert_eq!((compared.step, &*compared.next), (Step::AsExpected, ""));
        let all = figures(51, 100, vec![plugin("names", 400_000, 9_000)]);
        assert_eq!(compare(&then, &all).says, "at 100 % of the machines expect +333 %: measured +300 %");
    }

    #[test]
    fn without_a_plan_of_the_office_machines_count_alike() {
        let then = baseline(figures(6, 10, vec![plugin("names", 60_000, 100)]), None);
        let now = figures(12, 5, vec![plugin("names", 57_300, 100)]);
        assert_eq!(compare(&then, &now).says, "with 12 workers instead of 6 expect +100 %: measured +91 %");
        assert_eq!(compare(&then, &now).machines_percent, None);
    }

    #[test]
    fn a_step_that_brings_too_little_is_looked_into_before_the_next() {
        let then = baseline(figures(1, 100, vec![plugin("names", 100_000, 3_600)]), Some(OFFICE));
        let now = figures(6, 100, vec![plugin("names", 110_000, 9_000)]);
        let compared = compare(&then, &now);
        assert_eq!(compared.step, Step::Short);
        assert!(compared.next.starts_with("find out why before more machines join"), "{}", compared.next);
        let much = figures(6, 100, vec![plugin("names", 160_000, 9_000)]);
        assert_eq!(compare(&then, &much).step, Step::More);
        let same = figures(1, 100, vec![plugin("names", 97_000, 3_600)]);
        assert_eq!(compare(&then, &same).step, Step::AsExpected, "some noise is allowed where nothing is expected");
    }

    #[test]
    fn a_grid_without_work_is_not_slow_and_neither_is_one_with_other_work() {
        let then = baseline(figures(2, 50, vec![plugin("names", 100_000, 100), plugin("prices", 10_000, 1_000)]), None);
        let idle = GridFigures {
            hours: 30,
            ..figures(2, 5, vec![plugin("names", 10_000, 100), plugin("prices", 1_000, 1_000)])
        };
        assert_eq!(compare(&then, &idle).measured_percent, Some(0));
        // The prices took half of fifty hours, and take all but a third of forty now.
        let other = figures(2, 40, vec![plugin("prices", 10_000, 1_000), plugin("new", 5_000, 1_000)]);
        let other = compare(&then, &other);
        assert_eq!(other.plugins.len(), 1, "{:?}", other.plugins);
        assert_eq!((other.plugins[0].then_per_hour, other.plugins[0].now_per_hour), (400, 375));
        assert_eq!(other.measured_percent, Some(-6), "as many prices, in a little more time");
    }

    #[test]
    fn where_workers_do_not_report_hours_by_the_clock_are_taken_for_both() {
        let then = GridFigures { busy_minutes: 0, ..figures(1, 10, vec![plugin("names", 100_000, 100)]) };
        let now = GridFigures { hours: 20, ..figures(1, 1, vec![plugin("names", 200_000, 100)]) };
        assert_eq!(measured(&then, &now), Some(1.0));
    }

    #[test]
    fn too_little_says_nothing_but_why() {
        let then = baseline(figures(1, 100, vec![plugin("names", 100_000, 3_600)]), Some(OFFICE));
        let little = compare(&then, &figures(6, 100, vec![plugin("names", 9_500, 9_000)]));
        assert_eq!((little.step, little.measured_percent), (Step::TooLittle, None));
        assert_eq!(
            little.says,
            "at 10 % of the machines expect +33 %; too little was done in this time to compare: 19 jobs in 6,000 minutes of \
             work, and it takes 20 jobs and 60 minutes"
        );
        let by_clock =
            compare(&then, &GridFigures { busy_minutes: 0, ..figures(6, 1, vec![plugin("names", 3_500, 9)]) });
        assert!(by_clock.says.contains("7 jobs in 60 minutes by the clock"), "{}", by_clock.says);
        let as_many = compare(&then, &figures(1, 100, vec![plugin("names", 100_000, 3_600)]));
        assert_eq!(as_many.says, "with 1 worker as then expect +0 %: measured +0 %");
        let nothing = compare(&baseline(GridFigures::default(), None), &GridFigures::default());
        assert_eq!((nothing.expected_percent, nothing.measured_percent), (None, None));
        let other = compare(&then, &figures(6, 100, vec![plugin("prices", 100_000, 9_000)]));
        assert!(
            other.says.ends_with("no plugin was used both then and now, so nothing can be compared"),
            "{}",
            other.says
        );
    }

    #[test]
    fn the_speed_of_a_worker_is_told_apart_from_how_many_there_are() {
        let then = figures(1, 100, vec![plugin("names", 100_000, 3_600)]);
        let now = figures(6, 100, vec![plugin("names", 131_000, 7_200)]);
        let [names] = &compared(&then, &now)[..] else { panic!("one plugin") };
        assert_eq!((names.then_per_hour, names.now_per_hour), (1_000, 1_310));
        assert_eq!((names.then_per_worker_hour, names.now_per_worker_hour), (1_000, 500));
    }
}
