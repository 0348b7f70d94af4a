//! The fleet: a repository, a job server in this process, and workers that are engines with what launchers know.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use nightshift_client::{Client, Timeouts};
use nightshift_contract::layout::StateDir;
use nightshift_engine::{Engine, NetworkLimits, Source};
use nightshift_launcher::decide::{self, Facts, Next};
use nightshift_launcher::rollout::openings;
use nightshift_manifest::hours::Window;
use nightshift_manifest::offline::{self, Offline};
use nightshift_manifest::rollout::Heard;
use nightshift_manifest::signers::Signers;
use nightshift_server::catalogue::Releases;
use nightshift_server::chores::look;
use nightshift_server::clock::Clock;
use nightshift_server::serve::{self, Entrance, Hosts, Limits, Parts, Running};
use nightshift_store::sqlite::SqliteStore;
use nightshift_testbed::central::{CONTROL, Central};
use nightshift_wire::{
    ClaimRequest, HandIn, Machine, Outcome, Provenance, RecordResult, Report, Submission, WorkerChange, WorkerState,
};
use tokio_util::sync::CancellationToken;

use super::CYCLE;

pub(super) type Moment = Timestamp;

/// Longer than any story.
const FOREVER: Duration = Duration::from_secs(3600);
/// Jobs for everybody, in every cycle of a story.
const JOBS: usize = 6_000;
/// Requests on their way at a time.
const AT_ONCE: usize = 16;

/// What a worker's core makes of a job in this cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Good,
    /// Every result is an error.
    Bad,
    /// It takes no job.
    None,
}

/// A worker between two cycles.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) tags: BTreeSet<String>,
    engine: Engine,
    heard: Heard,
    etag: String,
    /// What the job server's clock said, when it was asked in this cycle or before.
    time: Option<Timestamp>,
}

pub(super) struct Fleet {
    pub(super) workers: Vec<Worker>,
    pub(super) client: Client,
    central: Central,
    repository: PathBuf,
    releases: Releases,
    hand: Arc<AtomicI64>,
    begin: Timestamp,
    stopping: CancellationToken,
    running: Option<Running>,
}

impl Fleet {
    /// A grid with release v1.0.0, without a plan, that nobody has taken yet, and more than enough jobs.
    pub(super) async fn new(folder: &Path, workers: usize, canaries: usize, begin: Timestamp) -> Fleet {
        NetworkLimits { connect: Duration::from_secs(10), silence: Duration::from_secs(10) }.set();
        let repository = folder.join("central.git");
        let mut central = Central::create(&repository).expect("a repository");
        let plugin = "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nn = \"integer\"\n";
        central.put("plugins/count/plugin.toml", plugin).expect("put");
        central.put("plugins/count/query.sqlite.sql", "SELECT record_id, 1 AS n FROM records").expect("put");
        central.put("nightshift.toml", "[jobs]\nsize = 1\nerror_rate = 1\n").expect("put");
        central.cut("1.0.0").expect("cut");
        let source = Source::new(central.url(), CONTROL, Signers::parse(&central.signer_line()).expect("a key set"));

        let stopping = CancellationToken::new();
        let (clock, hand) = Clock::set_by_hand(begin.as_millisecond());
        let releases = look::begin(source.clone(), StateDir::new(folder.join("server")), FOREVER, stopping.clone());
        let store = Arc::new(SqliteStore::open(&folder.join("store.sqlite")).expect("a store"));
        let parts = Parts {
            listen: "127.0.0.1:0".parse().expect("an address"),
            store: store.clone(),
            releases: releases.clone(),
            clock,
            replication: serve::CompanyData::default(),
            limits: Limits { grace: FOREVER, ..Limits::default() },
            hosts: Hosts::named([]),
            artifacts: None,
            entrance: Entrance::open(store),
            stopping: stopping.clone(),
        };
        let running = serve::start(parts).await.expect("a free port");
        let timeouts = Timeouts { connect: Duration::from_secs(10), ..Timeouts::default() };
        let client = Client::new([format!("http://{}", running.address())], timeouts).expect("a good address");

        let worker = |number: usize| {
            let state = StateDir::new(folder.join(format!("w{number}")));
            let tags = if number < canaries { BTreeSet::from(["canary".to_owned()]) } else { BTreeSet::new() };
            Worker {
                name: format!("worker-{number}"),
                tags,
                engine: Engine::open(source.clone(), state).expect("opens"),
                heard: Heard::default(),
                etag: String::new(),
                time: None,
            }
        };
        let workers = (0..workers).map(worker).collect();
        let running = Some(running);
        let fleet = Fleet { workers, client, central, repository, releases, hand, begin, stopping, running };
        fleet.hand_in().await;
        fleet.report_all().await;
        for worker in fleet.workers.iter().filter(|worker| !worker.tags.is_empty()) {
            let tags = WorkerChange::Tags(worker.tags.clone());
            fleet.client.change_worker(&worker.name, &tags).await.expect("tagged");
        }
        fleet
    }

    async fn hand_in(&self) {
        let csv: String = std::iter::once("name\n").chain(std::iter::repeat_n("Ada\n", JOBS)).collect();
        let pieces = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(csv))]);
        let hand_in = HandIn { plugin: "count".to_owned(), name: Some("names".to_owned()), ..HandIn::default() };
        self.client.hand_in(&hand_in, pieces).await.expect("handed in");
    }

    pub(super) fn now(&self) -> Moment {
        Timestamp::from_millisecond(self.hand.load(Ordering::Relaxed)).expect("a moment")
    }

    /// Lets time pass.
    pub(super) fn leap(&self, time: Duration) {
        self.hand.fetch_add(i64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// The moment by both clocks of a worker.
    fn moment(&self) -> nightshift_manifest::offline::Moment {
        let since_begin = self.now().duration_since(self.begin);
        let since_boot_ms = 1_000_000 + u64::try_from(since_begin.as_millis()).expect("later");
        nightshift_manifest::offline::Moment { wall: self.now(), since_boot_ms, boot: "simulated".to_owned() }
    }

    /// Releases what the repository holds, with these settings.
    pub(super) fn release(&mut self, version: &str, settings: &str) {
        self.central.put("nightshift.toml", settings).expect("put");
        self.central.put("data/version.csv", version).expect("put");
        self.central.cut(version).expect("cut");
    }

    /// Makes this the rollout.toml; empty for none.
    pub(super) fn hold(&mut self, content: &str) {
        let file = [("rollout.toml", content)];
        self.central.put_control(if content.is_empty() { &[] } else { &file }).expect("put");
    }

    /// Nobody can look any more.
    pub(super) fn freeze_the_repository(&self) {
        std::fs::remove_dir_all(&self.repository).expect("removed");
    }

    pub(super) async fn end_the_job_server(&mut self) {
        self.stopping.cancel();
        self.running.take().expect("it runs").ended().await.expect("every part of it ended well");
    }

    /// The workers that have a release in force.
    pub(super) fn on(&self, tag: &str) -> BTreeSet<String> {
        let has_it = |worker: &&Worker| worker.release() == tag;
        self.workers.iter().filter(has_it).map(|worker| worker.name.clone()).collect()
    }

    /// Workers whose launcher would let a core run.
    pub(super) fn at_work(&self) -> usize {
        let now = self.moment();
        self.workers.iter().filter(|worker| worker.may_work(&now)).count()
    }

    /// Ten minutes pass, and every worker makes a cycle: it asks the job server, looks, leaves what it must not keep, takes
    /// what it may, does a job, reports.
    pub(super) async fn cycle(&mut self, work: impl Fn(&str, &str) -> Work) {
        self.leap(CYCLE);
        if self.running.is_some() {
            self.releases.fresh().await;
            // What everybody did in the last cycle is counted and judged by now.
            self.hear_all().await;
        }
        self.look_all();
        if self.running.is_some() {
            self.work_all(work).await;
            self.report_all().await;
        }
    }

    async fn hear_all(&mut self) {
        let client = &self.client;
        let asked = self.workers.iter_mut().map(|worker| async move {
            let answer = client.rollouts(Some(&worker.name), &worker.etag).await.expect("answered");
            worker.time = Timestamp::from_millisecond(answer.now).ok();
            if let Some(rollouts) = answer.rollouts {
                let tags = answer.tags.unwrap_or_default();
                worker.heard = Heard { tags, releases: openings(&rollouts) };
                worker.etag = answer.etag;
            }
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Every worker looks at the repository and syncs, in two threads.
    pub(super) fn look_all(&mut self) {
        let moment = self.moment();
        let half = self.workers.len().div_ceil(2);
        std::thread::scope(|threads| {
            for part in self.workers.chunks_mut(half) {
                let moment = &moment;
                threads.spawn(move || part.iter_mut().for_each(|worker| worker.look_and_sync(moment)));
            }
        });
    }

    async fn work_all(&self, work: impl Fn(&str, &str) -> Work) {
        let jobs = self.workers.iter().map(|worker| {
            let does = work(&worker.name, &worker.release());
            async move {
                if does != Work::None {
                    self.work(worker, does).await;
                }
            }
        });
        stream::iter(jobs).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn work(&self, worker: &Worker, work: Work) {
        let request = ClaimRequest {
            worker: worker.name.clone(),
            release: worker.release(),
            commit: "c".repeat(40),
            plugins: vec!["count".to_owned()],
            holding: Vec::new(),
            wait_ms: 0,
            max: 1,
            behind: None,
            machine: Machine::default(),
        };
        let claim = self.client.claim(&request).await.expect("answered").expect("there are more than enough jobs");
        let records = self.client.records(claim.attempt, &claim.secret, &[]).await.expect("records");
        let outcome = || match work {
            Work::Good => Outcome::Ok([("n".to_owned(), 1.into())].into()),
            Work::Bad | Work::None => Outcome::Error("the plugin is broken".to_owned()),
        };
        let results = records.records.iter().map(|record| RecordResult { id: record.id, outcome: outcome() });
        let submission = Submission {
            secret: claim.secret,
            provenance: Provenance { release: worker.release(), commit: "c".repeat(40), work_ms: 200, position: None },
            results: results.collect(),
        };
        self.client.submit(claim.attempt, &submission).await.expect("accepted");
    }

    async fn report_all(&self) {
        let reports = self.workers.iter().map(|worker| async move {
            let report = Report {
                worker: worker.name.clone(),
                host: worker.name.clone(),
                state: WorkerState::Waiting,
                reason: String::new(),
                release: worker.release(),
                refused: Vec::new(),
                trial: None,
                replica: None,
                spool: nightshift_wire::Spool::default(),
                steps: Vec::new(),
            };
            self.client.report(&report).await.expect("kept");
        });
        stream::iter(reports).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

impl Worker {
    fn release(&self) -> String {
        self.engine.in_force().map(|release| release.tag).unwrap_or_default()
    }

    /// What a launcher's visit does. A repository that is away changes nothing.
    fn look_and_sync(&mut self, now: &nightshift_manifest::offline::Moment) {
        let Ok(look) = self.engine.look(now) else { return };
        if let Some(release) = self.engine.in_force() {
            let plan = release.settings().expect("readable").rollout;
            if let Some(why) = self.heard.go_back(release.version, plan.as_ref(), &look.holds, &self.name) {
                self.engine.go_back(&why.to_string(), &look.holds).expect("there is a release before");
            }
        }
        let Worker { engine, heard, name, time, .. } = self;
        engine.sync(&look, &|release| heard.gate(release, &look.holds, name, *time)).expect("syncs");
    }

    /// Whether its launcher would let a core run.
    fn may_work(&self, now: &nightshift_manifest::offline::Moment) -> bool {
        let release = self.engine.in_force().expect("a release");
        let settings = release.settings().expect("readable");
        let unseen = match offline::judge(now, self.engine.last_look().map(|look| &look.at), settings.max_offline) {
            Offline::CarryOn { .. } => None,
            Offline::Over { reason } => Some(reason),
        };
        let hours = Some(Window::Open { until: None });
        let facts = Facts { unseen_for_too_long: unseen, release: Some(release.tag), hours, ..Facts::default() };
        decide::next(&facts) == Next::Work
    }
}
