//! A dry run as a person reads it.

use std::time::Duration;

use nightshift_wire::{Preview, SizedBy};

use crate::figures::{count, counted, duration};

/// Everything a dry run saw.
pub(super) fn lines(preview: &Preview) -> String {
    let names = |names: &[String]| some_of(names);
    let read = if preview.complete { "all of them" } else { "the input was not read to its end" };
    let sized_by = match preview.job_size_by {
        SizedBy::Owner => "as asked",
        SizedBy::Measured => "by measured speed",
        SizedBy::Samples => "by the speed of the plugin's own samples",
        SizedBy::Setting => "the grid's setting",
    };
    let mut text = format!(
        "plugin     {} of release {}\nneeded     {}\nadded      {}\n",
        preview.plugin,
        preview.release,
        names(&preview.required),
        names(&preview.outputs),
    );
    // Where already the header does not fit, there is nothing more to tell of the input.
    if !preview.columns.is_empty() {
        text.push_str(&format!(
            "columns    {}\nignored    {}\nrecords    {}, {read}\n",
            names(&preview.columns),
            names(&preview.ignored),
            count(preview.records),
        ));
    }
    if preview.problems.is_empty() {
        text.push_str(&format!(
            "jobs       {}, {} at most in each ({sized_by})\ntime       {}\n",
            count(preview.jobs),
            counted(preview.job_size.into(), "record"),
            time(preview),
        ));
    }
    for (index, record) in preview.first.iter().enumerate() {
        let fields: Vec<String> = record.iter().map(|field| format!("{field:?}")).collect();
        text.push_str(&format!("record {}   {}\n", index + 1, fields.join(", ")));
    }
    for problem in &preview.problems {
        text.push_str(&format!("problem    {}\n", problem.detail));
    }
    if preview.more_problems > 0 {
        text.push_str(&format!("           and {} more\n", count(preview.more_problems)));
    }
    text
}

/// Names as a terminal shows them harmlessly; of very many the first ones.
fn some_of(names: &[String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<String> =
        names.iter().take(MOST).map(|name| name.replace(char::is_control, "\u{fffd}")).collect();
    if names.len() > MOST {
        shown.push(format!("and {} more", count((names.len() - MOST) as u64)));
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn time(preview: &Preview) -> String {
    let how = &preview.estimate.how;
    let shown = |ms: u64| duration(Duration::from_millis(ms));
    match (preview.estimate.elapsed_ms, preview.estimate.work_ms) {
        (Some(..10_000), _) => format!("a few seconds ({how})"),
        (Some(elapsed), _) => format!("about {} ({how})", shown(elapsed)),
        (None, Some(work)) => format!("about {} of work ({how})", shown(work)),
        (None, None) => how.clone(),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Estimate, InputProblem};

    use super::*;

    fn fit() -> Preview {
        Preview {
            plugin: "name-count".into(),
            release: "v1.0.0".into(),
            columns: vec!["id".into(), "name".into()],
            required: vec!["name".into()],
            ignored: vec!["id".into()],
            outputs: vec!["name_count".into()],
            first: vec![vec!["1".into(), "Ann \"x\"".into()], vec!["2".into(), String::new()]],
            records: 20_000,
            complete: true,
            job_size: 900,
            job_size_by: SizedBy::Measured,
            jobs: 23,
            estimate: Estimate {
                work_ms: Some(20_000_000),
                workers: 4,
                elapsed_ms: Some(5_000_000),
                how: "measured: 100 records took 100000 ms of work lately; 4 workers with nothing else to do".into(),
            },
            problems: Vec::new(),
            more_problems: 0,
        }
    }

    #[test]
    fn a_dry_run_tells_columns_records_jobs_and_time() {
        insta::assert_snapshot!(lines(&fit()));
    }

    #[test]
    fn a_strange_header_is_shown_in_part_and_harmlessly() {
        let names: Vec<String> = (0..25).map(|number| format!("\u{1b}[2J{number}")).collect();
        let shown = some_of(&names);
        assert!(shown.starts_with("\u{fffd}[2J0, ") && shown.ends_with(", and 5 more"), "{shown}");
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_problems_and_no_time() {
        let problem = |line| InputProblem { line: Some(line), column: None, detail: format!("line {line}: 1 field") };
        let lines_wrong = Preview { problems: vec![problem(3), problem(7)], more_problems: 1_200, ..fit() };
        let header_wrong = Preview {
            columns: Vec::new(),
            ignored: Vec::new(),
            first: Vec::new(),
            records: 0,
            jobs: 0,
            complete: false,
            problems: vec![problem(1)],
            ..fit()
        };
        insta::assert_snapshot!(format!("{}----\n{}", lines(&lines_wrong), lines(&header_wrong)));
    }
}
