//! Promises about what was done in which time.

use nightshift_store::{DAY_MS, HOUR_MS, Store, WorkFound, WorkQuery};
use nightshift_wire::{
    Baseline, BaselineOffice, GiveBackCause, GridFigures, JobAction, JobFilter, Moment, PluginFigures, Reason, Stat,
    StatsBy, WorkerChange, WorkerState,
};

use crate::{
    hands::{PLUGIN, claim, compute, finish, give_back, hand_in, report, submission},
    place::Place,
};

const MINUTE: Moment = 60_000;

fn everything() -> WorkQuery {
    WorkQuery { since: 0, until: 1_000 * DAY_MS, per: None, by: StatsBy::None, worker: None, most: 100 }
}

async fn found(store: &dyn Store, query: WorkQuery) -> WorkFound {
    store.work(&query).await.expect("read").expect("few lines")
}

/// What a line is of, when it began, and its jobs, failures, pick-ups and workers.
fn outline(rows: &[Stat]) -> Vec<(&str, Moment, [u64; 4])> {
    rows.iter().map(|row| (&*row.of, row.begin, [row.jobs, row.failures, row.pickups, row.workers])).collect()
}

/// A claims and does a job with another release than B and C; C fails.
async fn three_workers(store: &dyn Store) {
    hand_in(store, &[4; 4]).await;
    let [one, two, three] = [claim(store, "a", 0).await, claim(store, "b", 0).await, claim(store, "c", 0).await];
    let results = compute(store, &one).await;
    let mut other = submission(&one, results);
    other.provenance.release = "v1.1.0".to_owned();
    store.submit(one.attempt, other, MINUTE).await.expect("accepted");
    finish(store, &two, HOUR_MS).await;
    give_back(store, &three, GiveBackCause::Failed, "it broke", DAY_MS).await;
    store.count_work(&[one.attempt, two.attempt, three.attempt, 4_711]).await.expect("counted");
}

pub(crate) async fn work_is_found_by_hour_day_worker_plugin_and_release(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(found(&*store, everything()).await, WorkFound::default());
    three_workers(&*store).await;

    let whole = found(&*store, everything()).await;
    assert_eq!(outline(&whole.rows), [("", 0, [2, 1, 2, 2])], "who only failed did not contribute");
    let [line] = &whole.rows[..] else { panic!("one line") };
    assert_eq!((line.records, line.errors, line.work_ms), (8, 2, 20));
    assert_eq!(whole.total, *line);
    let turnaround = line.turnaround_p50_ms.expect("jobs") as f64 / MINUTE as f64;
    assert!((0.7..1.5).contains(&turnaround), "half of two jobs took a minute: {turnaround}");
    let turnaround = line.turnaround_p95_ms.expect("jobs") as f64 / HOUR_MS as f64;
    assert!((0.7..1.5).contains(&turnaround), "the other one an hour: {turnaround}");

    let hours = found(&*store, WorkQuery { per: Some(HOUR_MS), ..everything() }).await;
    assert_eq!(outline(&hours.rows), [("", 0, [1, 0, 1, 1]), ("", HOUR_MS, [1, 0, 1, 1]), ("", DAY_MS, [0, 1, 0, 0])]);
    let days = found(&*store, WorkQuery { per: Some(DAY_MS), ..everything() }).await;
    assert_eq!(outline(&days.rows), [("", 0, [2, 0, 2, 2]), ("", DAY_MS, [0, 1, 0, 0])]);
    let workers = found(&*store, WorkQuery { by: StatsBy::Worker, ..everything() }).await;
    assert_eq!(outline(&workers.rows), [("a", 0, [1, 0, 1, 1]), ("b", 0, [1, 0, 1, 1]), ("c", 0, [0, 1, 0, 0])]);
    let releases = found(&*store, WorkQuery { by: StatsBy::Release, ..everything() }).await;
    assert_eq!(outline(&releases.rows), [("v1.0.0", 0, [1, 1, 1, 1]), ("v1.1.0", 0, [1, 0, 1, 1])]);
    let plugins = found(&*store, WorkQuery { by: StatsBy::Plugin, ..everything() }).await;
    assert_eq!(outline(&plugins.rows), [(PLUGIN, 0, [2, 1, 2, 2])]);

    let later = found(&*store, WorkQuery { since: 1, until: DAY_MS, ..everything() }).await;
    assert_eq!(outline(&later.rows), [("", 1, [1, 0, 1, 1])]);
    let of_b = WorkQuery { worker: Some("b".to_owned()), per: Some(HOUR_MS), until: 2 * DAY_MS, ..everything() };
    let of_b = found(&*store, of_b).await;
    assert_eq!(outline(&of_b.rows), [("", HOUR_MS, [1, 0, 1, 1])]);
    assert_eq!(of_b.total.workers, 1);
}

pub(crate) async fn a_job_that_was_picked_up_twice_took_from_the_first_time_on(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[4]).await;
    let lost = claim(&*store, "a", 0).await;
    store.expire(HOUR_MS).await.expect("its lease is over");
    let done = claim(&*store, "b", HOUR_MS).await;
    finish(&*store, &done, HOUR_MS + MINUTE).await;
    store.count_work(&[lost.attempt, done.attempt]).await.expect("counted");
    let total = found(&*store, everything()).await.total;
    assert_eq!((total.jobs, total.pickups, total.failures, total.workers), (1, 2, 0, 1));
    let hours = total.turnaround_p50_ms.expect("a job") as f64 / HOUR_MS as f64;
    assert!((0.7..1.5).contains(&hours), "{hours}");
}

pub(crate) async fn a_retried_job_is_counted_anew_with_the_pick_ups_of_its_revision(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[4]).await;
    let first = claim(&*store, "a", 0).await;
    finish(&*store, &first, 1).await;
    store.count_work(&[first.attempt]).await.expect("counted");
    let change = nightshift_store::JobChange {
        filter: JobFilter { batch: Some(batch), ..JobFilter::default() },
        action: JobAction::Retry,
        reason: String::new(),
        dry_run: false,
    };
    store.change_jobs(&change, 0, 2).await.expect("retried");
    let second = claim(&*store, "a", DAY_MS).await;
    finish(&*store, &second, DAY_MS + 1).await;
    store.count_work(&[second.attempt]).await.expect("counted");
    let total = found(&*store, everything()).await.total;
    assert_eq!((total.jobs, total.pickups), (2, 2), "one pick-up each time");
    assert!(total.turnaround_p95_ms.expect("jobs") < 1_000, "not from the first time on");
}

pub(crate) async fn more_lines_than_are_wanted_are_not_told(place: &dyn Place) {
    let store = place.open().await;
    three_workers(&*store).await;
    for (most, is_told) in [(3, true), (2, false)] {
        let lines = store.work(&WorkQuery { by: StatsBy::Worker, most, ..everything() }).await.expect("read");
        assert_eq!(lines.is_some(), is_told, "{most}");
    }
}

pub(crate) async fn old_hours_become_days_that_say_the_same_and_old_days_go(place: &dyn Place) {
    let store = place.open().await;
    three_workers(&*store).await;
    store.report(&report("a"), "10.0.0.1", 0).await.expect("kept");
    store.note_worker_time(0, 0, MINUTE).await.expect("counted");
    let days = WorkQuery { per: Some(DAY_MS), by: StatsBy::Release, ..everything() };
    let before = found(&*store, days.clone()).await;
    let time = store.worker_time(0, DAY_MS).await.expect("read");
    assert!(!time.is_empty());

    while store.roll_up(DAY_MS, 0).await.expect("rolled up") {}
    assert_eq!(found(&*store, days.clone()).await, before);
    assert_eq!(store.worker_time(0, DAY_MS).await.expect("read"), time);
    let hours = found(&*store, WorkQuery { per: Some(HOUR_MS), ..everything() }).await;
    assert_eq!(outline(&hours.rows), [("", 0, [2, 0, 2, 2]), ("", DAY_MS, [0, 1, 0, 0])], "the young ones are hours");
    let of_b = WorkQuery { worker: Some("b".to_owned()), until: 2 * DAY_MS, ..everything() };
    assert_eq!(outline(&found(&*store, of_b).await.rows), [("", 0, [1, 0, 1, 1])]);

    while store.roll_up(2 * DAY_MS, DAY_MS).await.expect("rolled up") {}
    assert_eq!(outline(&found(&*store, days).await.rows), [("v1.0.0", DAY_MS, [0, 1, 0, 0])]);
    assert_eq!(store.worker_time(0, DAY_MS).await.expect("read"), []);
    assert_eq!(store.hours(0).await.expect("read").len(), 1, "the hours of the dashboard's chart go with the days");
}

pub(crate) async fn minutes_of_workers_are_counted_once_by_state_and_reason(place: &dyn Place) {
    let store = place.open().await;
    let told = async |worker: &str, state, reason: &str, at| {
        let said = nightshift_wire::Report { state, reason: reason.to_owned(), ..report(worker) };
        store.report(&said, "10.0.0.1", at).await.expect("kept");
    };
    told("forgotten", WorkerState::Working, "job 1", 0).await;
    told("away", WorkerState::Working, "job 2", 10).await;
    told("one", WorkerState::Working, "job 3 (names)", 20).await;
    told("two", WorkerState::Working, "job 4 (names)", 20).await;
    told("three", WorkerState::Blocked, "its replica is 7 s behind", 20).await;
    told("four", WorkerState::Blocked, "its replica is 12 s behind", 20).await;
    told("five", WorkerState::Waiting, "no job waits", 20).await;
    let drain = WorkerChange::Drain(Reason { reason: "hot".to_owned() });
    store.change_worker("five", &drain, 20).await.expect("drained");
    let now = 10 * HOUR_MS + MINUTE;
    for at in [now, now + 1, now + MINUTE - 1] {
        store.note_worker_time(15, 5, at).await.expect("counted");
    }
    let time = async || {
        let time = store.worker_time(0, DAY_MS).await.expect("read");
        time.into_iter().map(|time| (time.state, time.reason, time.worker_minutes, time.minutes)).collect::<Vec<_>>()
    };
    let row = |state: &str, reason: &str, worker_minutes, minutes| {
        (state.to_owned(), reason.to_owned(), worker_minutes, minutes)
    };
    let first = [
        row("blocked", "its replica is … s behind", 10, 5),
        row("working", "", 10, 5),
        row("away", "", 5, 5),
        row("drained", "hot", 5, 5),
    ];
    assert_eq!(time().await, first, "what no server saw counts for five minutes at most, and each minute once");
    store.note_worker_time(15, 5, now + MINUTE).await.expect("counted");
    assert_eq!(time().await[1], row("working", "", 12, 6));
    assert_eq!(store.worker_time(11 * HOUR_MS, DAY_MS).await.expect("read"), []);
}

pub(crate) async fn minutes_of_workers_are_counted_on_when_the_clock_went_back(place: &dyn Place) {
    let store = place.open().await;
    store.report(&report("one"), "10.0.0.1", 0).await.expect("kept");
    for at in [DAY_MS, 10 * MINUTE, 11 * MINUTE] {
        store.note_worker_time(0, 0, at).await.expect("counted");
    }
    let time = store.worker_time(0, HOUR_MS).await.expect("read");
    assert_eq!(time.iter().map(|time| time.minutes).collect::<Vec<_>>(), [1]);
}

pub(crate) async fn a_baseline_is_kept_under_its_name_until_it_is_removed(place: &dyn Place) {
    let before = Baseline {
        name: "before".to_owned(),
        recorded_at: 7 * DAY_MS,
        recorded_by: "anna".to_owned(),
        since: 0,
        until: 7 * DAY_MS,
        figures: GridFigures {
            workers: 1,
            hours: 160,
            busy_minutes: 9_600,
            turnaround_p50_ms: Some(900_000),
            turnaround_p95_ms: None,
            plugins: vec![PluginFigures { plugin: PLUGIN.to_owned(), records: 5, jobs: 4, errors: 3, work_ms: 2 }],
        },
        office: Some(BaselineOffice { pcs: 50, speed_per_mille: 100, idle_ms: 16 * 3_600_000 }),
    };
    let plain = Baseline { name: "a plain one".to_owned(), office: None, ..before.clone() };
    {
        let store = place.open().await;
        assert_eq!(store.baselines().await.expect("read"), []);
        for baseline in [&before, &plain] {
            assert!(store.note_baseline(baseline).await.expect("recorded"));
        }
        let other = Baseline { recorded_by: "bert".to_owned(), recorded_at: 1, ..before.clone() };
        assert!(!store.note_baseline(&other).await.expect("answered"), "the name is taken");
    }
    let store = place.open().await;
    assert_eq!(store.baselines().await.expect("read"), [plain.clone(), before]);
    assert!(store.remove_baseline("before").await.expect("removed"));
    assert!(!store.remove_baseline("before").await.expect("answered"));
    assert_eq!(store.baselines().await.expect("read"), [plain]);
}
