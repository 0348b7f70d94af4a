//! What the grid did, as people ask for it, and the baselines that it is compared with.

use std::time::Duration;

use nightshift_server::serve::Limits;
use nightshift_wire::{
    BaselineOffice, NewBaseline, Role, Stats, StatsBy, StatsPer, StatsQuery, Step, access_code, code,
};

use crate::guarded::{Guarded, Spoken};
use crate::running::{BEGINNING, TestServer, limits, refusal};

const DAY_MS: i64 = 24 * 3_600_000;

fn quick() -> Limits {
    Limits { count_every: Duration::from_millis(5), statistics_every: Duration::from_millis(5), ..limits() }
}

impl TestServer {
    /// Statistics, as soon as so many jobs are counted.
    async fn stats_of(&self, query: &StatsQuery, jobs: u64) -> Stats {
        self.eventually("what was done to be counted", || async {
            let stats = self.client.stats(query).await.expect("answered");
            (stats.total.jobs >= jobs).then_some(stats)
        })
        .await
    }
}

fn by(by: StatsBy, per: StatsPer) -> StatsQuery {
    StatsQuery { by, per, ..StatsQuery::default() }
}

fn new(name: &str) -> NewBaseline {
    NewBaseline { name: name.to_owned(), since: None, until: None, office: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_told_by_day_and_hour_and_by_whom() {
    let server = TestServer::start_with(quick()).await;
    let nothing = server.client.stats(&StatsQuery::default()).await.expect("answered");
    assert_eq!((nothing.rows.len(), nothing.total.jobs), (0, 0));
    server.hand_in("name\nAnn\n\"\"\nCid\n").await.expect("good");
    server.process_all().await;

    let days = server.stats_of(&StatsQuery::default(), 2).await;
    let [day] = &days.rows[..] else { panic!("one day: {days:?}") };
    assert_eq!((day.begin % DAY_MS, day.records, day.jobs, day.errors, day.workers), (0, 3, 2, 1, 1));
    assert_eq!((day.pickups, day.failures, day.work_ms), (2, 0, 2));
    let workers = server.client.stats(&by(StatsBy::Worker, StatsPer::Whole)).await.expect("answered");
    assert_eq!((workers.rows[0].of.as_str(), workers.rows.len()), ("w-1", 1));
    let plugins = server.client.stats(&by(StatsBy::Plugin, StatsPer::Hour)).await.expect("answered");
    assert_eq!((plugins.rows[0].of.as_str(), plugins.rows[0].begin % 3_600_000), ("count", 0));
    let other = StatsQuery { worker: Some("w-2".to_owned()), ..StatsQuery::default() };
    assert_eq!(server.client.stats(&other).await.expect("answered").total.jobs, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_workers_spend_the_time_is_counted_minute_by_minute() {
    let server = TestServer::start_with(quick()).await;
    server.hand_in("name\nAnn\n").await.expect("good");
    server.claim("w-1").await.expect("a job");
    let time = async || server.client.stats(&StatsQuery::default()).await.expect("answered").time;
    tokio::task::block_in_place(|| server.pass(Duration::from_secs(120)));
    let counted = server
        .eventually("the minutes to be counted", || async {
            time().await.into_iter().find(|time| time.state == "working")
        })
        .await;
    assert!(counted.minutes >= 1 && counted.reason.is_empty(), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_is_recorded_compared_with_and_removed() {
    let server = TestServer::start_with(quick()).await;
    let empty = server.client.record_baseline(&new("before")).await.expect_err("nothing to record");
    assert!(refusal(&empty).detail.contains("let the grid work first"), "{empty:?}");
    server.hand_in("name\nAnn\nBob\n").await.expect("good");
    server.process_all().await;
    server.stats_of(&StatsQuery::default(), 1).await;

    let office = BaselineOffice { pcs: 50, speed_per_mille: 100, idle_ms: 16 * 3_600_000 };
    let wanted = NewBaseline { office: Some(office), ..new("before") };
    let made = server.client.record_baseline(&wanted).await.expect("recorded");
    assert_eq!((made.figures.hours, made.figures.workers, made.figures.plugins.len()), (1, 1, 1));
    assert!(made.until <= made.recorded_at);
    assert_eq!(server.client.baselines().await.expect("listed"), [made]);
    let again = server.client.record_baseline(&wanted).await.expect_err("taken");
    assert_eq!(refusal(&again).code, access_code::NAME_TAKEN);
    let nameless = server.client.record_baseline(&new("../x")).await.expect_err("no name");
    assert_eq!(refusal(&nameless).code, code::BAD_REQUEST);

    let against = StatsQuery { against: Some("before".to_owned()), ..StatsQuery::default() };
    let compared = server.client.stats(&against).await.expect("compared").comparison.expect("asked for");
    assert_eq!((compared.machines_percent, compared.expected_percent), (Some(0), Some(0)));
    assert_eq!(compared.step, Step::TooLittle, "two records are no day's work");

    server.client.remove_baseline("before").await.expect("removed");
    let gone = server.client.stats(&against).await.expect_err("gone");
    assert_eq!(refusal(&gone).code, code::NOT_FOUND);
    let gone = server.client.remove_baseline("before").await.expect_err("gone");
    assert_eq!(refusal(&gone).code, code::NOT_FOUND);
    let acts = server.ask("GET", "/acts", "", "").await.body;
    assert!(acts.contains("recorded the baseline before") && acts.contains("removed the baseline before"), "{acts}");
}

#[tokio::test]
async fn a_time_that_cannot_be_told_is_refused_with_what_to_ask_instead() {
    let server = TestServer::start().await;
    let refused = async |query: StatsQuery, says: &str| {
        let error = server.client.stats(&query).await.expect_err("refused");
        let problem = refusal(&error);
        assert_eq!(problem.code, code::BAD_REQUEST);
        assert!(problem.detail.contains(says), "{}", problem.detail);
    };
    let at = |since, until| StatsQuery { since: Some(since), until, ..StatsQuery::default() };
    refused(at(BEGINNING, Some(BEGINNING)), "give a `since` before `until`").await;
    let long_ago = StatsQuery { per: StatsPer::Hour, ..at(BEGINNING - 30 * DAY_MS, None) };
    refused(long_ago, "hours are kept for 8 days").await;
    let answer = server.ask("GET", "/v1/stats?per=week", "", "").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let answer = server.ask("GET", "/v1/stats?sinse=1", "", "").await;
    assert!(answer.body.contains("sinse"), "{}", answer.body);
}

#[tokio::test]
async fn a_viewer_reads_statistics_and_records_no_baseline_and_a_worker_does_neither() {
    let server = Guarded::start(Spoken::Plain).await;
    let (_, viewer) = server.token("vera", Role::Viewer).await;
    viewer.stats(&StatsQuery::default()).await.expect("a viewer looks");
    viewer.baselines().await.expect("a viewer looks");
    let refused = viewer.record_baseline(&new("mine")).await.expect_err("a viewer changes nothing");
    assert_eq!(refusal(&refused).code, access_code::NOT_ALLOWED);
    let (_, owner) = server.token("olaf", Role::Owner).await;
    let refused = owner.stats(&StatsQuery::default()).await.expect_err("an owner sees its own batches");
    assert_eq!(refusal(&refused).code, access_code::NOT_ALLOWED);
    server.end().await;
}
