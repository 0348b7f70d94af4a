//! The job server itself, in this process, with one batch; cores work on it over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use nightshift_client::{Client, Timeouts};
use nightshift_core::http::HttpControl;
use nightshift_core::moments::Moment;
use nightshift_core::{ControlError, JobControl};
use nightshift_manifest::settings::GridSettings;
use nightshift_server::catalogue::{Catalogue, Offered, Releases};
use nightshift_server::clock::Clock;
use nightshift_server::serve::{self, Limits, Parts, Running};
use nightshift_store::sqlite::SqliteStore;
use nightshift_wire::{BatchId, BatchState, HandIn, Heartbeat, Outcome, Provenance, RecordResult, Submission, code};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::worker::{Told, Worker};

/// A running job server.
pub(crate) struct RealServer {
    pub(crate) url: String,
    client: Client,
    running: Running,
    stopping: CancellationToken,
    _catalogue: watch::Sender<Arc<Catalogue>>,
    _folder: tempfile::TempDir,
}

impl RealServer {
    /// A server that offers the plugins of a [`Worker`].
    pub(crate) async fn start() -> RealServer {
        let offered = || Offered { inputs: vec!["n".to_owned()], outputs: vec!["twice".to_owned()], ..Offered::default() };
        let catalogue = Catalogue {
            release: Some("v1.0.0".to_owned()),
            plugins: ["double", "endless"].map(|plugin| (plugin.to_owned(), offered())).into(),
            settings: GridSettings { job_size: 25, ..GridSettings::default() },
            ..Catalogue::empty("")
        };
        let (catalogue, current) = watch::channel(Arc::new(catalogue));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("store.sqlite")).expect("a fresh store opens");
        let stopping = CancellationToken::new();
        let parts = Parts {
            listen: "127.0.0.1:0".parse().expect("an address"),
            store: Arc::new(store),
            releases: Releases::kept(current),
            clock: Clock::system(),
            limits: Limits::default(),
            hosts: Default::default(),
            stopping: stopping.clone(),
        };
        let running = serve::start(parts).await.expect("a free port");
        let url = format!("http://{}", running.address());
        let client = Client::new([url.clone()], Timeouts::default()).expect("a good address");
        RealServer { url, client, running, stopping, _catalogue: catalogue, _folder: folder }
    }

    /// Hands in a batch of `count` records for `plugin`: n is 0, 1, 2, …
    pub(crate) async fn hand_in(&self, plugin: &str, count: usize) -> BatchId {
        let rows = (0..count).map(|n| format!("r{n},{n}\n"));
        let csv: String = std::iter::once("id,n\n".to_owned()).chain(rows).collect();
        let hand_in = HandIn { plugin: plugin.to_owned(), ..HandIn::default() };
        let pieces = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(csv))]);
        self.client.hand_in(&hand_in, pieces).await.expect("a good batch").id
    }

    /// Whether every record of a batch has its result.
    pub(crate) async fn is_done(&self, batch: BatchId) -> bool {
        self.client.batch(batch).await.expect("the batch is there").state == BatchState::Done
    }

    /// Waits until every record of a batch has its result; looks whenever the core that works on it tells something.
    async fn until_done(&self, batch: BatchId, told: &Told) {
        loop {
            let more = told.more();
            if self.is_done(batch).await {
                return;
            }
            more.await;
        }
    }

    /// Checks that a batch has exactly one right result for each record, and that no job was claimed more than `most`
    /// times.
    pub(crate) async fn assert_doubled(&self, batch: BatchId, count: usize, most: u32) {
        let download = self.client.results(batch).await.expect("the batch is there");
        let csv = String::from_utf8(download.all().await.expect("whole")).expect("UTF-8");
        let rows = (0..count).map(|n| format!("r{n},{n},{},", 2 * n));
        let expected: Vec<String> = std::iter::once("id,n,twice,error".to_owned()).chain(rows).collect();
        assert_eq!(csv.lines().collect::<Vec<_>>(), expected);
        let jobs = self.client.jobs(batch).await.expect("the batch is there");
        assert!(jobs.iter().all(|job| job.pickups <= most), "{jobs:?}");
    }

    /// Job control over HTTP, as the program has it.
    pub(crate) fn control(&self) -> Arc<HttpControl> {
        Arc::new(HttpControl(Client::new([self.url.clone()], Timeouts::default()).expect("a good address")))
    }

    /// Ends the server.
    pub(crate) async fn end(self) {
        self.stopping.cancel();
        self.running.ended().await;
    }
}

#[tokio::test]
async fn a_batch_goes_through_the_real_job_server_although_its_core_is_killed_again_and_again() {
    let (worker, server) = (Worker::new(), RealServer::start().await);
    let batch = server.hand_in("double", 200).await;
    for moment in [Moment::BlockSaved { done: 10 }, Moment::Processed { done: 25 }, Moment::Accepted, Moment::Noted] {
        worker.core("v1.0.0", server.control()).kill_at(moment).await;
    }
    let last = worker.core("v1.0.0", server.control());
    let told = last.told.clone();
    last.drain_after(server.until_done(batch, &told)).await;
    // A claim that was just answered when a core was killed beside it is made once more.
    server.assert_doubled(batch, 200, 2).await;
    server.end().await;
}

#[tokio::test]
async fn a_job_server_that_is_gone_is_away_and_one_that_knows_no_such_attempt_refuses() {
    let server = RealServer::start().await;
    let control = server.control();
    let heartbeat = Heartbeat { secret: "s".to_owned(), done: 0 };
    match control.heartbeat(17, &heartbeat).await {
        Err(ControlError::Refused(problem)) => assert_eq!(problem.code, code::NOT_FOUND),
        other => panic!("{other:?}"),
    }
    server.end().await;
    assert!(matches!(control.heartbeat(17, &heartbeat).await, Err(ControlError::Away(_))));
}

#[tokio::test]
async fn results_larger_than_the_job_server_takes_are_refused_and_not_sent_for_ever() {
    let server = RealServer::start().await;
    let outcome = Outcome::Error("x".repeat(65 << 20));
    let provenance = Provenance { release: "v1.0.0".to_owned(), commit: "c".to_owned(), work_ms: 1 };
    let results = vec![RecordResult { id: 1, outcome }];
    let submission = Submission { secret: "s".to_owned(), provenance, results };
    match server.control().submit(17, &submission).await {
        Err(ControlError::Refused(problem)) => assert_eq!(problem.code, code::TOO_LARGE),
        other => panic!("{other:?}"),
    }
    server.end().await;
}
