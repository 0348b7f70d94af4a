//! A job server in this process, for one test: its store, its clock and its catalogue are in the test's hands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nightshift_client::{Client, ClientError, Timeouts};
use nightshift_server::artifacts::Artifacts;
use nightshift_server::catalogue::{Catalogue, Offered, Releases};
use nightshift_server::clock::Clock;
use nightshift_server::serve::{self, CompanyData, Limits, Parts, Running};
use nightshift_store::sqlite::SqliteStore;
use nightshift_testbed::wait;
use nightshift_wire::{
    Batch, Claim, ClaimRequest, HandIn, Machine, Moment, Outcome, Problem, Provenance, Record, RecordResult, Records,
    Submission,
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// 2025-01-02 03:04:05 UTC, when every test begins.
pub(crate) const BEGINNING: Moment = 1_735_787_045_000;
/// The lease of every job, as the catalogue says.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// What artifacts may take, in bytes.
pub(crate) const ARTIFACT_QUOTA: u64 = 1_000;
/// No time without a server, however short a lease is.
const STEP_MS: i64 = 10_000;
/// Longer than any test: only an event can end such a wait.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// A running job server.
pub(crate) struct TestServer {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) catalogue: watch::Sender<Arc<Catalogue>>,
    pub(crate) stopping: CancellationToken,
    hand: Arc<AtomicI64>,
    http: reqwest::Client,
    running: Option<Running>,
    folder: TempDir,
}

/// Limits that no test runs into by accident.
pub(crate) fn limits() -> Limits {
    Limits {
        longest_wait: FOREVER,
        look_again: FOREVER,
        expire_every: Duration::from_millis(5),
        // What a page shows is read for it.
        live_every: Duration::ZERO,
        grace: FOREVER,
        ..Limits::default()
    }
}

/// A release with the plugin `count`: needs `name`, adds `n`; two records a job.
pub(crate) fn catalogue() -> Catalogue {
    let count = Offered {
        inputs: vec!["name".to_owned()],
        outputs: vec!["n".to_owned()],
        tables: vec!["people".to_owned()],
        ..Offered::default()
    };
    let mut catalogue = Catalogue::empty("");
    catalogue.release = Some("v1.0.0".to_owned());
    catalogue.plugins.insert("count".to_owned(), count);
    catalogue.settings.job_size = 2;
    catalogue.settings.lease = LEASE;
    catalogue.settings.max_attempts = 2;
    catalogue
}

impl TestServer {
    pub(crate) async fn start() -> TestServer {
        TestServer::start_with(limits()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> TestServer {
        TestServer::start_replicated(limits, CompanyData::default()).await
    }

    /// A server that knows a primary, or what replicas of it need.
    pub(crate) async fn start_replicated(limits: Limits, replication: CompanyData) -> TestServer {
        let (catalogue, current) = watch::channel(Arc::new(catalogue()));
        TestServer { catalogue, ..TestServer::start_as(Releases::kept(current), limits, replication).await }
    }

    /// A server that knows releases from elsewhere than this test's own catalogue.
    pub(crate) async fn start_on(releases: Releases, limits: Limits) -> TestServer {
        TestServer::start_as(releases, limits, CompanyData::default()).await
    }

    async fn start_as(releases: Releases, limits: Limits, replication: CompanyData) -> TestServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("store.sqlite")).expect("a fresh store opens");
        let store = Arc::new(store);
        let (clock, hand) = Clock::set_by_hand(BEGINNING);
        let stopping = CancellationToken::new();
        let parts = Parts {
            hosts: serve::Hosts::named(["grid.example".to_owned()]),
            artifacts: Some(Artifacts::open(folder.path().join("artifacts"), ARTIFACT_QUOTA).expect("a fresh folder")),
            listen: "127.0.0.1:0".parse().expect("an address"),
            store: store.clone(),
            entrance: serve::Entrance::open(store),
            releases,
            replication,
            clock,
            limits,
            stopping: stopping.clone(),
        };
        let running = serve::start(parts).await.expect("a free port");
        let address = running.address();
        let client = Client::new([format!("http://{address}")], Timeouts::default()).expect("a good address");
        let http = plain_http();
        let catalogue = watch::Sender::new(Arc::new(catalogue()));
        TestServer { client, address, catalogue, stopping, hand, http, running: Some(running), folder }
    }

    /// Lets time pass by the server's clock, in steps that the server sees: a leap would be a time without a server, by
    /// which leases are extended.
    pub(crate) fn pass(&self, time: Duration) {
        let store = Connection::open(self.folder.path().join("store.sqlite")).expect("the store is a file");
        let end = self.hand.load(Ordering::Relaxed) + i64::try_from(time.as_millis()).expect("short");
        loop {
            let now = self.hand.load(Ordering::Relaxed);
            let seen = || store.query_row(include_str!("last_alive.sql"), [], |row| row.get::<_, i64>(0)).ok();
            wait::until("the server to see its clock", wait::SOON, || seen().filter(|seen| *seen >= now))
                .expect("alive");
            if now >= end {
                return;
            }
            self.hand.store(end.min(now + STEP_MS), Ordering::Relaxed);
        }
    }

    /// How many records are in the store, also those that nobody is shown.
    pub(crate) fn stored_records(&self) -> u64 {
        let store = Connection::open(self.folder.path().join("store.sqlite")).expect("the store is a file");
        store.query_row(include_str!("stored_records.sql"), [], |row| row.get(0)).expect("counted")
    }

    /// Lets time pass at once, as it does while no server is there.
    pub(crate) fn leap(&self, time: Duration) {
        self.hand.fetch_add(i64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// Hands in `csv` for `count`.
    pub(crate) async fn hand_in(&self, csv: impl Into<Bytes>) -> Result<Batch, ClientError> {
        self.hand_in_for("count", csv).await
    }

    /// Hands in `csv` for a plugin.
    pub(crate) async fn hand_in_for(&self, plugin: &str, csv: impl Into<Bytes>) -> Result<Batch, ClientError> {
        self.client.hand_in(&asks_for(plugin), pieces([csv.into()])).await
    }

    /// Claims without waiting.
    pub(crate) async fn claim(&self, worker: &str) -> Option<Claim> {
        self.client.claim(&claim_request(worker)).await.expect("the server answers")
    }

    /// Does a claimed job: `n` is the length of the name; an empty name is an error.
    pub(crate) async fn process(&self, claim: &Claim) -> Submission {
        let columns = ["name".to_owned()];
        let records = self.client.records(claim.attempt, &claim.secret, &columns).await.expect("the job's records");
        submission(claim, &records)
    }

    /// Claims and does jobs until there is none.
    pub(crate) async fn process_all(&self) {
        while let Some(claim) = self.claim("w-1").await {
            let submission = self.process(&claim).await;
            self.client.submit(claim.attempt, &submission).await.expect("accepted");
        }
    }

    /// The results of a batch as text.
    pub(crate) async fn results(&self, batch: i64) -> String {
        let download = self.client.results(batch).await.expect("the batch is there");
        String::from_utf8(download.all().await.expect("whole")).expect("UTF-8")
    }

    /// Asks in plain HTTP: status, content type and body.
    pub(crate) async fn ask(&self, method: &str, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        let response = request.body(body).send().await.expect("an answer");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a body"),
        }
    }

    /// Waits for what the server does after its answer.
    pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| wait::until(what, wait::SOON, || handle.block_on(look()))).expect(what)
    }

    /// Asks the server to end and waits until it has.
    pub(crate) async fn end(mut self) -> TempDir {
        self.stopping.cancel();
        self.running.take().expect("it ends once").ended().await.expect("every part of it ended well");
        self.folder
    }
}

/// A plain answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }
}

pub(crate) fn claim_request(worker: &str) -> ClaimRequest {
    ClaimRequest {
        worker: worker.to_owned(),
        release: "v1.0.0".to_owned(),
        commit: "c".repeat(40),
        plugins: vec!["count".to_owned()],
        holding: Vec::new(),
        wait_ms: 0,
        max: 1,
        behind: None,
        machine: Machine::default(),
    }
}

pub(crate) fn waiting_claim(worker: &str) -> ClaimRequest {
    ClaimRequest { wait_ms: FOREVER.as_millis() as u64, ..claim_request(worker) }
}

pub(crate) fn asks_for(plugin: &str) -> HandIn {
    HandIn { plugin: plugin.to_owned(), name: Some("monday".to_owned()), ..HandIn::default() }
}

pub(crate) fn submission(claim: &Claim, records: &Records) -> Submission {
    let result = |record: &Record| {
        let outcome = match record.values[0].as_str() {
            "" => Outcome::Error("the name is empty".to_owned()),
            name => Outcome::Ok([("n".to_owned(), name.len().into())].into()),
        };
        RecordResult { id: record.id, outcome }
    };
    Submission {
        secret: claim.secret.clone(),
        provenance: Provenance { release: "v1.0.0".to_owned(), commit: "c".repeat(40), work_ms: 1, position: None },
        results: records.records.iter().map(result).collect(),
    }
}

pub(crate) fn pieces(
    pieces: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::iter(pieces.into_iter().map(Ok))
}

/// A client of plain HTTP, which knows no TLS: the programs' libraries have no TLS but the one they are given.
pub(crate) fn plain_http() -> reqwest::Client {
    builder().build().expect("an HTTP client")
}

/// The beginning of such a client.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls)
}

/// The refusal in an error.
pub(crate) fn refusal(error: &ClientError) -> &Problem {
    error.problem().unwrap_or_else(|| panic!("not a refusal: {error:?}"))
}
