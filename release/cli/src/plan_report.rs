//! What `nightshift plan` says, as a page of text and as JSON. Pure.

use std::fmt::Write;

use nightshift_plan::sizes::{Tried, Verdict, figures_of_time};
use nightshift_plan::{Figures, MINUTE_MS, Office, Plan};
use serde::Serialize;

use crate::figures::{count, counted};
use crate::output::Screen;
use crate::table::Table;

/// The width of the sentences.
const WIDTH: usize = 110;

/// A plan as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// PCs for the jobs a day that were asked for; absent when nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
}

#[derive(Debug, Serialize)]
struct Goal {
    jobs_a_day: f64,
    /// `null` when no number of PCs is enough.
    pcs: Option<u64>,
}

impl<'a> Planned<'a> {
    /// `goal`: the jobs a day that are wanted, and the PCs that do them.
    pub(crate) fn new(plan: &'a Plan, goal: Option<(f64, Option<u64>)>) -> Self {
        Self { plan, goal: goal.map(|(jobs_a_day, pcs)| Goal { jobs_a_day, pcs }) }
    }
}

/// The page.
pub(crate) fn report(plan: &Plan, goal: Option<(f64, Option<u64>)>, screen: &Screen) -> String {
    let width = screen.text_width(WIDTH);
    let mut text = String::new();
    paragraph(&mut text, "", &head(plan), width);
    text.push('\n');
    for (label, line) in lines(plan, goal) {
        paragraph(&mut text, label, &line, width);
    }
    let of = if plan.compared_pcs < plan.office.pcs {
        format!(", on {} of the PCs", count(plan.compared_pcs.into()))
    } else {
        String::new()
    };
    let _ = write!(text, "\njob sizes compared{of}\n{}", screen.fit(&table(&plan.sizes)));
    for size in plan.sizes.iter().filter(|size| size.verdict != Verdict::Good) {
        let reasons = format!("{}: {}.", word(size.verdict), size.reasons.join("; "));
        paragraph(&mut text, &format!("{} records", count(size.records)), &reasons, width);
    }
    text
}

fn head(plan: &Plan) -> String {
    let office = &plan.office;
    let beside = if office.server_works { "beside the server" } else { "without the server" };
    // A share of a hundred without the noise of its last digits.
    let speed = (office.speed * 1e6).round() / 1e4;
    format!(
        "{} at {speed} % of the server, idle {} a day, {beside}; {} days simulated, seed {}",
        counted(office.pcs.into(), "PC"),
        figures_of_time(office.idle_ms),
        office.days,
        office.seed
    )
}

/// What is said, each with the word it begins with.
fn lines(plan: &Plan, goal: Option<(f64, Option<u64>)>) -> Vec<(&'static str, String)> {
    let Plan { theory, figures, office, advice, .. } = plan;
    let today = office.today.jobs_a_day;
    let mut lines = vec![
        (
            "on paper",
            format!(
                "one PC is {:.3} of the server and does {} whole jobs a day; {} PCs do as much as the server; all \
                 together {:.1} servers",
                theory.pc,
                count(theory.pc_jobs_a_day),
                count(theory.pcs_a_server),
                theory.servers
            ),
        ),
        (
            "simulated",
            format!(
                "{} jobs a day instead of {}: {:.1} servers; one PC does {:.1} a day",
                figure(figures.jobs_a_day),
                figure(today),
                figures.servers,
                plan.pc_jobs_a_day
            ),
        ),
        ("turnaround", turnaround(figures)),
        ("idle time", idle_time(figures)),
        (
            "network",
            format!(
                "{} MB a day; {:.2} of {} Mbit/s in the busiest hour, with {:.1} requests a second to the job server",
                figure(figures.network_mb_a_day),
                figures.network_peak_mbit,
                figure(office.network_bits as f64 / 1e6),
                figures.requests_peak
            ),
        ),
        (
            "server away",
            format!(
                "a PC has work for {} on average when the job server goes away; what it finishes meanwhile it keeps",
                figures_of_time(figures.at_hand_ms)
            ),
        ),
    ];
    let failures = failures(figures);
    if !failures.is_empty() {
        lines.push(("failures", failures.join("; ")));
    }
    if let Some((jobs, pcs)) = goal {
        let answer = match pcs {
            Some(0) => format!("the server alone does {} jobs a day; no PC is needed for that", figure(jobs)),
            Some(pcs) if pcs > Office::MOST_PCS.into() => {
                format!("it would take {} such PCs to do {} jobs a day", count(pcs), figure(jobs))
            }
            Some(pcs) => {
                format!("about {} do {} jobs a day; see with --pcs {pcs}", counted(pcs, "PC"), figure(jobs))
            }
            None => format!("no number of such PCs does {} jobs a day", figure(jobs)),
        };
        lines.push(("goal", answer));
    }
    lines.push((
        "job size",
        match advice.job_size {
            Some(records) if advice.auto => format!("auto ({} records): {}", count(records), advice.why),
            Some(records) => format!("--job-size {records}: {}", advice.why),
            None => advice.why.clone(),
        },
    ));
    let (minutes, lease) = (advice.shortest_lease_ms / MINUTE_MS, figures_of_time(advice.lease_ms));
    lines.push((
        "lease",
        format!("lease = \"{minutes}m\", which comes to {lease} with that size: {}", advice.why_lease),
    ));
    lines
}

/// What failed, as far as anything did.
fn failures(figures: &Figures) -> Vec<String> {
    let mut failures = Vec::new();
    if figures.drained > 0 {
        let pcs = counted(figures.drained, "PC");
        failures.push(format!("{pcs} drained because every job failed there while others' succeeded"));
    }
    if figures.failed_a_day > 0.0 {
        failures.push(format!("{} failures a day", figure(figures.failed_a_day)));
    }
    if figures.quarantined > 0 {
        failures.push(format!("{} set aside for a person", counted(figures.quarantined, "job")));
    }
    failures
}

fn turnaround(figures: &Figures) -> String {
    match (figures.turnaround_p50_ms, figures.turnaround_p95_ms) {
        (Some(half), Some(most)) => format!(
            "of a job of {} records: half within {}, 95 of 100 within {}; picked up {:.2} times",
            count(figures.records_a_job),
            figures_of_time(half),
            figures_of_time(most),
            figures.pick_ups
        ),
        _ => format!("no job of {} records was done", count(figures.records_a_job)),
    }
}

fn idle_time(figures: &Figures) -> String {
    format!(
        "{} becomes results; {} of the work is done twice, {} again after a kill, {} sets jobs up; {} is spent waiting; {} \
         leases run out a day",
        per_cent(figures.useful),
        per_cent(figures.duplicated),
        per_cent(figures.redone),
        per_cent(figures.set_up),
        per_cent(figures.waiting),
        figure(figures.lost_a_day)
    )
}

fn table(sizes: &[Tried]) -> Table {
    let mut table = Table::new(&[
        ">RECORDS",
        ">ON A PC",
        ">?BY THE CLOCK",
        ">JOBS A DAY",
        ">USEFUL",
        ">?TWICE",
        ">P95",
        "VERDICT",
        "WHAT IT IS",
    ]);
    for size in sizes {
        let of = |show: &dyn Fn(&Figures) -> String| size.figures.as_ref().map_or_else(|| "-".to_owned(), show);
        table.row(vec![
            count(size.records),
            figures_of_time(size.job_ms),
            figures_of_time(size.clock_ms),
            of(&|figures| figure(figures.jobs_a_day)),
            of(&|figures| per_cent(figures.useful)),
            of(&|figures| per_cent(figures.duplicated + figures.redone)),
            of(&|figures| figures.turnaround_p95_ms.map_or_else(|| "-".to_owned(), figures_of_time)),
            word(size.verdict).to_owned(),
            size.name.clone(),
        ]);
    }
    table
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::TooSmall => "too small",
        Verdict::TooLarge => "too large",
        Verdict::Impossible => "impossible",
    }
}

/// A count that may have a fraction: it is shown below a hundred only.
fn figure(value: f64) -> String {
    if value < 99.95 {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    } else {
        count(value.round() as u64)
    }
}

fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A sentence behind its word, on as many lines as it needs.
fn paragraph(text: &mut String, label: &str, sentence: &str, width: usize) {
    let indent = if label.is_empty() { 0 } else { 13_usize.max(label.chars().count() + 2) };
    let mut line = format!("{label:<indent$}");
    let mut is_new = true;
    for word in sentence.split(' ') {
        if !is_new && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(indent);
            is_new = true;
        }
        if !is_new {
            line.push(' ');
        }
        line.push_str(word);
        is_new = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use nightshift_plan::{Office, plan};

    use super::*;

    fn planned(office: &Office) -> Plan {
        plan(office, &mut |_| ()).expect("an office")
    }

    #[test]
    fn the_articles_office_is_planned_on_one_page() {
        let plan = planned(&Office::articles());
        insta::assert_snapshot!(report(&plan, Some((800.0, plan.pcs_for(800.0))), &Screen::silent()));
    }

    #[test]
    fn the_usual_office_is_planned_on_one_page() {
        insta::assert_snapshot!(report(&planned(&Office { bad_pcs: 1, ..Office::usual() }), None, &Screen::silent()));
    }

    #[test]
    fn a_plan_in_json_has_these_fields() {
        let plan = planned(&Office { pcs: 3, days: 2, ..Office::usual() });
        let json = serde_json::to_value(Planned::new(&plan, Some((7.0, plan.pcs_for(7.0))))).expect("plain data");
        let mut fields = Vec::new();
        outline(&json, "plan", &mut fields);
        insta::assert_snapshot!(fields.join("\n"));
    }

    /// The paths of a document, each once; of a list its first entry stands for all.
    fn outline(json: &serde_json::Value, path: &str, fields: &mut Vec<String>) {
        match json {
            serde_json::Value::Object(object) => {
                object.iter().for_each(|(key, value)| outline(value, &format!("{path}.{key}"), fields));
            }
            serde_json::Value::Array(list) => {
                let path = format!("{path}[]");
                match list.first() {
                    Some(first) => outline(first, &path, fields),
                    None => fields.push(path),
                }
            }
            _ => fields.push(path.to_owned()),
        }
    }
}
