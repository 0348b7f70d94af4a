//! `nightshift worker list`: every worker as it last reported itself.

use std::time::Duration;

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::{Enrolment, EnrolmentState, ReplicaReport, Worker};
use serde::Serialize;

use crate::figures::{count, counted, duration, moment};
use crate::server::{ServerArgs, worker_state};
use crate::surroundings::Surroundings;
use crate::table::Table;
use crate::workers;

/// List workers and what they do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The workers, and who asked to join and was not decided about.
#[derive(Debug, Serialize)]
struct List<'l> {
    workers: &'l [Worker],
    waiting_to_join: &'l [&'l Enrolment],
    /// Let in, and not heard of since.
    awaited: &'l [&'l Enrolment],
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    let workers = client.workers().await?;
    // Who may not decide about them is not told of them.
    let enrolments = client.enrolments().await.unwrap_or_default();
    let waiting: Vec<&Enrolment> = workers::waiting(&enrolments).collect();
    let awaited = workers::awaited(&workers, &enrolments);
    if args.json {
        around.screen.json_document(&List { workers: &workers, waiting_to_join: &waiting, awaited: &awaited })?;
        return Ok(Exit::Done);
    }
    for worker in &waiting {
        let (host, address) = (&worker.host, &worker.address);
        around.screen.warn(format!("on {host} ({address}) waits to join: nightshift worker approve {}", worker.worker));
    }
    if !awaited.is_empty() {
        around.screen.say(awaited_sentence(&awaited));
    }
    if workers.is_empty() && !(waiting.is_empty() && awaited.is_empty()) {
        return Ok(Exit::Done);
    }
    if workers.is_empty() {
        around.screen.say("no worker has reported yet; on a worker, `nightshift-worker doctor` says what keeps it");
        return Ok(Exit::Done);
    }
    around.screen.table(&table(&workers, &enrolments, &TimeZone::system()))?;
    Ok(Exit::Done)
}

/// Who was let in and is still to come.
fn awaited_sentence(awaited: &[&Enrolment]) -> String {
    const NAMED: usize = 5;
    let named = |worker: &&Enrolment| {
        let Enrolment { name, host, worker, .. } = worker;
        let called = if name.is_empty() { String::new() } else { format!("{name}, ") };
        format!("{worker} ({called}on {host})")
    };
    let names: Vec<String> = awaited.iter().take(NAMED).map(named).collect();
    let more = match awaited.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "other")),
    };
    let names = names.join(", ");
    format!("let in, and to report with the next cycle, within ten minutes when it is on: {names}{more}")
}

/// What came of a worker's wish to join, when nobody lets it in any more.
pub(crate) fn shut_out<'e>(worker: &Worker, enrolments: &'e [Enrolment]) -> Option<&'e Enrolment> {
    let over = |state| matches!(state, EnrolmentState::Revoked | EnrolmentState::Refused);
    enrolments.iter().find(|enrolment| enrolment.worker == worker.report.worker && over(enrolment.state))
}

/// How a worker is that nobody lets in, in a word.
pub(crate) fn shut_out_word(out: &Enrolment) -> &'static str {
    if out.state == EnrolmentState::Refused { "refused" } else { "revoked" }
}

fn table(workers: &[Worker], enrolments: &[Enrolment], zone: &TimeZone) -> Table {
    let mut table =
        Table::new(&["WORKER", "NAME", "STATE", "RELEASE", ">JOBS", ">?RECORDS", "?LAST SEEN", "?REPLICA", "REASON"]);
    for worker in workers {
        let report = &worker.report;
        let out = shut_out(worker, enrolments);
        let said = out.map(|enrolment| &*enrolment.reason).or(worker.drained.as_deref()).unwrap_or(&report.reason);
        let mut reason = said.to_owned();
        if let Some(refused) = report.refused.first() {
            let separator = if reason.is_empty() { "" } else { "; " };
            reason = format!("{reason}{separator}refused {refused}");
        }
        table.row(vec![
            report.worker.clone(),
            if worker.name.is_empty() { &report.host } else { &worker.name }.clone(),
            match (out, &worker.drained) {
                (Some(out), _) => shut_out_word(out),
                (None, Some(_)) => "drained",
                (None, None) => worker_state(report.state),
            }
            .to_owned(),
            if report.release.is_empty() { "none".to_owned() } else { report.release.clone() },
            count(worker.jobs_done),
            count(worker.records_done),
            moment(worker.last_seen, zone),
            report.replica.as_ref().map(replica_state).unwrap_or_default(),
            reason,
        ]);
    }
    table
}

/// How a replica is, in a few words: its state, and how far back its data lie where that is known.
pub(crate) fn replica_state(replica: &ReplicaReport) -> String {
    let state = replica.state.word().replace('_', " ");
    match replica.behind_ms {
        Some(behind) => format!("{state}, {} back", duration(Duration::from_millis(behind))),
        None => state,
    }
}

/// A worker that is stopped and refuses a release.
#[cfg(test)]
pub(crate) fn example() -> Worker {
    use nightshift_wire::{Report, WorkerState};
    Worker {
        report: Report {
            worker: "0193-w1".into(),
            host: "desk-17".into(),
            state: WorkerState::Stopped,
            reason: "prices are wrong (STOP on branch control)".into(),
            release: "v1.0.0".into(),
            refused: vec!["v1.1.0: the tag is not signed".into()],
            trial: None,
            replica: Some(ReplicaReport {
                state: nightshift_wire::ReplicaState::Behind,
                reason: "it catches up".into(),
                behind_ms: Some(90_500),
                primary: "mariadb:7".into(),
                gtid: "0-7-12".into(),
                server: "MariaDB 10.11.19".into(),
            }),
            spool: nightshift_wire::Spool::default(),
            steps: Vec::new(),
        },
        address: "10.0.0.17".into(),
        first_seen: 0,
        last_seen: 60_000,
        jobs_done: 7,
        records_done: 7_000,
        name: String::new(),
        tags: std::collections::BTreeSet::new(),
        drained: None,
        plugins: Vec::new(),
        machine: nightshift_wire::Machine::default(),
        jobs_running: 0,
    }
}

/// What came of its wish to join, when it was revoked.
#[cfg(test)]
pub(crate) fn example_revoked(worker: &Worker) -> Enrolment {
    Enrolment {
        worker: worker.report.worker.clone(),
        name: String::new(),
        host: worker.report.host.clone(),
        machine: String::new(),
        address: worker.address.clone(),
        asked_at: 0,
        join_token: "image".into(),
        state: EnrolmentState::Revoked,
        reason: "revoked by anna: sold".into(),
        decided_at: Some(1),
        decided_by: Some("anna".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_wire::{Report, WorkerState};

    #[test]
    fn workers_are_listed_with_what_they_do_and_why() {
        let stopped = example();
        let report = Report {
            worker: "0193-w2".into(),
            state: WorkerState::Waiting,
            reason: String::new(),
            release: String::new(),
            refused: Vec::new(),
            replica: None,
            spool: nightshift_wire::Spool::default(),
            ..stopped.report.clone()
        };
        let waiting = Worker { report, name: "anna's desk".into(), ..stopped.clone() };
        insta::assert_snapshot!(table(&[stopped, waiting], &[], &TimeZone::UTC));
    }

    #[test]
    fn who_was_let_in_is_told_until_it_reports() {
        let worker = example();
        let let_in = |id: &str, state| Enrolment { worker: id.into(), state, ..example_revoked(&worker) };
        let approved = EnrolmentState::Approved;
        let enrolments =
            [let_in("0193-w1", approved), let_in("0193-w2", approved), let_in("x", EnrolmentState::Refused)];
        let awaited = workers::awaited(std::slice::from_ref(&worker), &enrolments);
        assert_eq!(
            awaited_sentence(&awaited),
            "let in, and to report with the next cycle, within ten minutes when it is on: 0193-w2 (on desk-17)"
        );
        let many: Vec<Enrolment> = (0..7).map(|n| let_in(&format!("w{n}"), approved)).collect();
        let sentence = awaited_sentence(&workers::awaited(&[worker], &many));
        assert!(sentence.ends_with("w4 (on desk-17) and 2 others"), "{sentence}");
    }

    #[test]
    fn a_revoked_worker_is_shown_as_revoked_whatever_it_reported_last() {
        let worker = example();
        let enrolment = example_revoked(&worker);
        let shown = table(std::slice::from_ref(&worker), std::slice::from_ref(&enrolment), &TimeZone::UTC).to_string();
        assert!(shown.contains("revoked by anna: sold"), "{shown}");
        assert!(!shown.contains("stopped"), "{shown}");
        let refused = Enrolment { state: EnrolmentState::Refused, reason: "refused by anna".into(), ..enrolment };
        let shown = table(&[worker], &[refused], &TimeZone::UTC).to_string();
        assert!(!shown.contains("revoked") && shown.contains("refused by anna"), "{shown}");
    }
}
