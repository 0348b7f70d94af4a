//! The dashboard and the alert rules that are shipped: they name nothing that the job server does not have, and say what to do.

use std::collections::BTreeSet;

use serde_json::Value;

const DASHBOARD: &str = include_str!("../../../../docs/monitoring/grafana-dashboard.json");
const OPERATIONS: &str = include_str!("../../../../docs/OPERATIONS.md");
const ALERTS: &str = include_str!("../../../../docs/monitoring/prometheus-alerts.yaml");

/// Every word of a text that is the name of a metric of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("nightshift_")).collect()
}

/// The names under which Prometheus keeps what the server has, by the table of OPERATIONS, which a test of the metrics
/// themselves keeps true.
fn exposed() -> BTreeSet<String> {
    let rows = OPERATIONS.lines().filter_map(|line| line.strip_prefix("| `nightshift_")?.split_once("` | "));
    let names = rows.map(|(name, rest)| (format!("nightshift_{name}"), rest));
    names
        .flat_map(|(name, rest)| match rest.starts_with("histogram") {
            true => ["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}")).to_vec(),
            false => vec![name],
        })
        .collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_the_job_server_has() {
    let exposed = exposed();
    assert!(exposed.contains("nightshift_store_verb_seconds_bucket") && exposed.len() > 15, "{exposed:?}");
    for (file, text) in [("the dashboard", DASHBOARD), ("the alerts", ALERTS)] {
        let named = metrics_in(text);
        assert!(named.len() > 8, "{file} names {named:?}");
        let unknown: Vec<&&str> = named.iter().filter(|name| !exposed.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, and the server has {exposed:?}");
    }
}

#[test]
fn every_panel_of_the_dashboard_has_a_title_a_question_and_a_place_of_its_own() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(!panel["description"].as_str().expect("a description").is_empty(), "{title}");
        for target in panel["targets"].as_array().expect("targets") {
            let expr = target["expr"].as_str().expect("an expression");
            assert!(expr.contains("nightshift_") && expr.contains("job=~\"$job\""), "{title}: {expr}");
            assert_eq!(expr.matches('(').count(), expr.matches(')').count(), "{title}: {expr}");
        }
        assert!(ids.insert(panel["id"].to_string()), "{title} has the id of another");
        assert!(places.insert(panel["gridPos"].to_string()), "{title} lies over another");
    }
}

/// An alert's lines in the file, without the comments before it.
fn alerts() -> Vec<&'static str> {
    ALERTS.split("      - alert: ").skip(1).collect()
}

#[test]
fn every_alert_waits_a_while_is_graded_and_says_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert.lines().next().unwrap_or_default();
        assert!(name.starts_with("Nightshift") && names.insert(name), "{name}");
        for key in [
            "        expr: ",
            "        for: ",
            "          severity: ",
            "          summary: ",
            "          description: ",
        ] {
            assert_eq!(alert.matches(key).count(), 1, "{name} has not one{}", key.trim_end());
        }
        let severity =
            ["severity: critical\n", "severity: warning\n"].into_iter().filter(|grade| alert.contains(grade));
        assert_eq!(severity.count(), 1, "{name}");
        assert_eq!(alert.matches('(').count(), alert.matches(')').count(), "{name}");
    }
    assert!(names.len() >= 10, "{names:?}");
}

/// A text without quotes ends at a colon and a blank, and one that begins with a backtick or a brace is no text at all.
#[test]
fn texts_of_alerts_are_ones_that_yaml_reads_as_text() {
    for line in
        ALERTS.lines().map(str::trim).filter(|line| line.starts_with("summary: ") || line.starts_with("description: "))
    {
        let text = line.split_once(": ").map_or("", |(_, text)| text);
        let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
        let plain = !text.contains(": ")
            && !text.contains(" #")
            && !text.starts_with(['`', '{', '"', '\'', '[', '*', '&', '%', '@']);
        assert!(quoted || plain, "{line}");
    }
}
