//! The job server itself, in this process, on SQLite or MariaDB; cores reach its jobs over HTTP, or the store directly.
//! Every story is told for each of these ways.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nightshift_client::{Client, Timeouts};
use nightshift_core::direct::DirectControl;
use nightshift_core::http::HttpControl;
use nightshift_core::moments::Moment;
use nightshift_core::{ControlError, Finished, JobControl};
use nightshift_manifest::settings::GridSettings;
use nightshift_server::catalogue::{Catalogue, Offered, Releases};
use nightshift_server::clock::Clock;
use nightshift_server::serve::{self, Limits, Parts, Running};
use nightshift_store::mysql::{self, Address, MysqlStore};
use nightshift_store::sqlite::SqliteStore;
use nightshift_store::{Access, Store};
use nightshift_testbed::database::{Make, SCHEMA, Server, Wishes};
use nightshift_wire::{BatchId, BatchState, HandIn, Heartbeat, Outcome, Provenance, RecordResult, code};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::worker::{Told, Worker};

/// How a core reaches its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By a job server that keeps them in SQLite.
    HttpOnSqlite,
    /// By a job server that keeps them in MariaDB.
    HttpOnMariaDb,
    /// By the store in MariaDB itself.
    Direct,
}

/// A running job server.
pub(crate) struct RealServer {
    reach: Reach,
    database: Option<Server>,
    pub(crate) url: String,
    client: Client,
    running: Running,
    stopping: CancellationToken,
    _catalogue: watch::Sender<Arc<Catalogue>>,
    _folder: tempfile::TempDir,
}

impl RealServer {
    /// A server on SQLite that offers the plugins of a [`Worker`].
    pub(crate) async fn start() -> RealServer {
        RealServer::reached(Reach::HttpOnSqlite).await.expect("SQLite is always there")
    }

    /// A server that cores reach like this; `None` when this machine has no MariaDB, which is said.
    pub(crate) async fn reached(reach: Reach) -> Option<RealServer> {
        let offered =
            || Offered { inputs: vec!["n".to_owned()], outputs: vec!["twice".to_owned()], ..Offered::default() };
        let catalogue = Catalogue {
            release: Some("v1.0.0".to_owned()),
            plugins: ["double", "endless"].map(|plugin| (plugin.to_owned(), offered())).into(),
            settings: GridSettings { job_size: 25, ..GridSettings::default() },
            ..Catalogue::empty("")
        };
        let (catalogue, current) = watch::channel(Arc::new(catalogue));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (store, access, database): (Arc<dyn Store>, Arc<dyn Access>, _) = match reach {
            Reach::HttpOnSqlite => {
                let store = SqliteStore::open(&folder.path().join("store.sqlite"));
                let store = Arc::new(store.expect("a fresh store opens"));
                (store.clone(), store, None)
            }
            Reach::HttpOnMariaDb | Reach::Direct => {
                let Some(database) = Server::start(Make::MariaDb, Wishes::default()).expect("a server") else {
                    let advice = Make::MariaDb.advice();
                    let said = writeln!(std::io::stderr(), "\nNOT RUN: {reach:?}, no MariaDB is installed: {advice}");
                    said.expect("standard error");
                    return None;
                };
                let address = Address::parse(&database.url(SCHEMA)).expect("an address");
                let store = MysqlStore::open(&address, mysql::Limits::default()).await;
                let store = Arc::new(store.expect("a fresh store opens"));
                (store.clone(), store, Some(database))
            }
        };
        let stopping = CancellationToken::new();
        let parts = Parts {
            listen: "127.0.0.1:0".parse().expect("an address"),
            store,
            releases: Releases::kept(current),
            clock: Clock::system(),
            replication: serve::CompanyData::default(),
            limits: Limits::default(),
            hosts: Default::default(),
            artifacts: None,
            entrance: serve::Entrance::open(access),
            stopping: stopping.clone(),
        };
        let running = serve::start(parts).await.expect("a free port");
        let url = format!("http://{}", running.address());
        let client = Client::new([url.clone()], Timeouts::default()).expect("a good address");
        Some(RealServer { reach, database, url, client, running, stopping, _catalogue: catalogue, _folder: folder })
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

    /// Job control, as the program has it.
    pub(crate) fn control(&self) -> Arc<dyn JobControl> {
        match self.reach {
            Reach::Direct => {
                let address = Address::parse(&self.store_url()).expect("an address");
                Arc::new(DirectControl::new(address).looking_every(Duration::from_millis(10)))
            }
            Reach::HttpOnSqlite | Reach::HttpOnMariaDb => {
                Arc::new(HttpControl(Client::new([self.url.clone()], Timeouts::default()).expect("a good address")))
            }
        }
    }

    /// The address of the store in a database.
    pub(crate) fn store_url(&self) -> String {
        self.database.as_ref().expect("a store in a database").url(SCHEMA)
    }

    /// Ends the server.
    pub(crate) async fn end(self) {
        self.stopping.cancel();
        self.running.ended().await.expect("every part of it ended well");
    }
}

/// Tells a story for each way to reach jobs that this machine has.
async fn each(story: impl AsyncFn(&RealServer)) {
    for reach in [Reach::HttpOnSqlite, Reach::HttpOnMariaDb, Reach::Direct] {
        if let Some(server) = RealServer::reached(reach).await {
            story(&server).await;
            server.end().await;
        }
    }
}

#[tokio::test]
async fn a_batch_goes_through_although_its_core_is_killed_again_and_again() {
    each(async |server| {
        let worker = Worker::new();
        let batch = server.hand_in("double", 200).await;
        let moments =
            [Moment::BlockSaved { done: 10 }, Moment::Processed { done: 25 }, Moment::Accepted, Moment::Noted];
        for moment in moments {
            worker.core("v1.0.0", server.control()).kill_at(moment).await;
        }
        let last = worker.core("v1.0.0", server.control());
        let told = last.told.clone();
        last.drain_after(server.until_done(batch, &told)).await;
        // A claim that was just answered when a core was killed beside it is made once more.
        server.assert_doubled(batch, 200, 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_batch_goes_through_although_cores_with_a_job_ahead_are_killed() {
    use Moment::{Ahead, Claimed, Finished, Noted, RecordsSaved};
    each(async |server| {
        let worker = Worker::new();
        let batch = server.hand_in("double", 300).await;
        for moments in
            [&[Ahead][..], &[Claimed, Claimed], &[Noted, Noted], &[RecordsSaved, RecordsSaved], &[Ahead, Finished]]
        {
            worker.core("v1.0.0", server.control()).ahead().kill_at_last_of(moments).await;
        }
        let last = worker.core("v1.0.0", server.control()).ahead();
        let told = last.told.clone();
        last.drain_after(server.until_done(batch, &told)).await;
        server.assert_doubled(batch, 300, 3).await;
        assert_eq!(worker.attempts_on_disk(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_nobody_knows_is_refused() {
    each(async |server| {
        let heartbeat = Heartbeat { secret: "s".to_owned(), done: 0 };
        match server.control().heartbeat(17, &heartbeat).await {
            Err(ControlError::Refused(problem)) => assert_eq!(problem.code, code::NOT_FOUND),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn who_controls_the_jobs_and_is_gone_is_away() {
    for reach in [Reach::HttpOnSqlite, Reach::HttpOnMariaDb, Reach::Direct] {
        let Some(mut server) = RealServer::reached(reach).await else { continue };
        let control = server.control();
        let heartbeat = Heartbeat { secret: "s".to_owned(), done: 0 };
        if reach == Reach::Direct {
            server.database.as_mut().expect("it has one").crash();
        }
        server.end().await;
        let answer = control.heartbeat(17, &heartbeat).await;
        assert!(matches!(answer, Err(ControlError::Away(_))), "{reach:?}: {answer:?}");
    }
}

#[tokio::test]
async fn results_larger_than_the_job_server_takes_are_refused_and_not_sent_for_ever() {
    let server = RealServer::start().await;
    let outcome = Outcome::Error("x".repeat(65 << 20));
    let provenance = Provenance { release: "v1.0.0".to_owned(), commit: "c".to_owned(), work_ms: 1, position: None };
    let results = [RecordResult { id: 1, outcome }];
    let finished = Finished { secret: "s".to_owned(), provenance, results: results[..].into() };
    match server.control().submit(17, &finished).await {
        Err(ControlError::Refused(problem)) => assert_eq!(problem.code, code::TOO_LARGE),
        other => panic!("{other:?}"),
    }
    server.end().await;
}
