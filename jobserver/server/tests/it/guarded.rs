//! A job server that asks for tokens, plain or over TLS, for one test; its clock and its store are in the test's hands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nightshift_client::{Access, Client, ClientError, Timeouts};
use nightshift_server::catalogue::{Catalogue, Releases};
use nightshift_server::clock::Clock;
use nightshift_server::rate::Rate;
use nightshift_server::serve::{self, Asks, CompanyData, Entrance, Limits, Parts, Running};
use nightshift_server::setup;
use nightshift_server::tls::Tls;
use nightshift_server::tls::authority::Authority;
use nightshift_store::sqlite::SqliteStore;
use nightshift_wire::{Batch, EnrolmentDecision, JoinRequest, NewToken, Role};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::running::{BEGINNING, asks_for, catalogue, limits, pieces};

/// How long a handshake may take in a test that waits for its end.
pub(crate) const HANDSHAKE: Duration = Duration::from_millis(100);

/// Whether TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Plain,
    Tls,
}

/// A running job server that asks for tokens.
pub(crate) struct Guarded {
    pub(crate) address: SocketAddr,
    pub(crate) pin: Option<String>,
    pub(crate) admin: Client,
    pub(crate) admin_token: String,
    pub(crate) store: Arc<SqliteStore>,
    hand: Arc<AtomicI64>,
    stopping: CancellationToken,
    running: Option<Running>,
    _catalogue: watch::Sender<Arc<Catalogue>>,
    _folder: TempDir,
}

impl Guarded {
    pub(crate) async fn start(spoken: Spoken) -> Guarded {
        Guarded::start_with(spoken, CompanyData::default()).await
    }

    /// A server that counts failed authentications as strictly as this.
    pub(crate) async fn start_limited(failures: Rate) -> Guarded {
        Guarded::start_as(Spoken::Plain, CompanyData::default(), failures).await
    }

    /// A server that knows what replicas of a primary need.
    pub(crate) async fn start_with(spoken: Spoken, replication: CompanyData) -> Guarded {
        Guarded::start_as(spoken, replication, Rate { burst: 1e6, per_second: 1e6 }).await
    }

    async fn start_as(spoken: Spoken, replication: CompanyData, failures: Rate) -> Guarded {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("store.sqlite")).expect("a fresh store opens"));
        let (clock, hand) = Clock::set_by_hand(BEGINNING);
        let admin_token = setup::first_admin(&*store, BEGINNING).await.expect("made").expect("the first");
        let authority = (spoken == Spoken::Tls).then(|| Authority::make(&folder.path().join("tls")).expect("made"));
        let pin = authority.as_ref().map(Authority::pin);
        let tls = authority.map(|authority| {
            Tls::new(authority, Vec::new(), Clock::system()).expect("names").handshake_within(HANDSHAKE)
        });
        let stopping = CancellationToken::new();
        let (catalogue, current) = watch::channel(Arc::new(catalogue()));
        let parts = Parts {
            hosts: serve::Hosts::default(),
            artifacts: None,
            listen: "127.0.0.1:0".parse().expect("an address"),
            store: store.clone(),
            entrance: Entrance { asks: Asks::ForTokens, access: store.clone(), tls },
            releases: Releases::kept(current),
            clock,
            limits: Limits { access_every: Duration::from_millis(5), failures, ..limits() },
            replication,
            stopping: stopping.clone(),
        };
        let running = serve::start(parts).await.expect("a free port");
        let address = running.address();
        let admin = client_of(address, pin.as_deref(), Some(&admin_token), None);
        let running = Some(running);
        Guarded {
            address,
            pin,
            admin,
            admin_token,
            store,
            hand,
            stopping,
            running,
            _catalogue: catalogue,
            _folder: folder,
        }
    }

    /// A client with this token, or none.
    pub(crate) fn client(&self, token: Option<&str>) -> Client {
        client_of(self.address, self.pin.as_deref(), token, None)
    }

    /// A token of a role, and a client with it.
    pub(crate) async fn token(&self, name: &str, role: Role) -> (String, Client) {
        let wanted = NewToken { name: name.to_owned(), role, network: None, limit: None, expires_in_ms: None };
        let made = self.admin.make_token(&wanted).await.expect("made");
        let client = self.client(Some(&made.token));
        (made.token, client)
    }

    /// A worker's client on a machine.
    pub(crate) fn worker_on(&self, worker: &str, machine: &str) -> Client {
        client_of(self.address, self.pin.as_deref(), Some(&credential(worker)), Some(machine))
    }

    /// An enrolled worker's client, on the machine it was let in on.
    pub(crate) async fn worker(&self, worker: &str, join_token: &str) -> Client {
        self.admin.join(&asks_to_join(worker, Some(join_token))).await.expect("asked");
        self.admin.decide(worker, &EnrolmentDecision::Approve { name: None }).await.expect("approved");
        self.worker_on(worker, &machine(worker))
    }

    /// Lets time pass by the server's clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.hand.fetch_add(i64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// Asks the server to end and waits until it has.
    pub(crate) async fn end(mut self) {
        self.stopping.cancel();
        self.running.take().expect("it ends once").ended().await.expect("every part of it ended well");
    }
}

/// A client of a server that may speak TLS.
pub(crate) fn client_of(address: SocketAddr, pin: Option<&str>, token: Option<&str>, machine: Option<&str>) -> Client {
    let url = format!("{}://{address}", if pin.is_some() { "https" } else { "http" });
    let access = Access {
        pin: pin.map(|pin| pin.parse().expect("a pin")),
        token: token.map(str::to_owned),
        machine: machine.map(str::to_owned),
    };
    Client::with_access([url], Timeouts::default(), &access).expect("a good address")
}

pub(crate) async fn hand_in(client: &Client, csv: &'static str) -> Result<Batch, ClientError> {
    client.hand_in(&asks_for("count"), pieces([Bytes::from_static(csv.as_bytes())])).await
}

/// The credential a worker made itself.
pub(crate) fn credential(worker: &str) -> String {
    format!("ns_worker_{worker}")
}

pub(crate) fn machine(worker: &str) -> String {
    format!("machine of {worker}")
}

pub(crate) fn asks_to_join(worker: &str, token: Option<&str>) -> JoinRequest {
    JoinRequest {
        worker: worker.to_owned(),
        host: "pc-17".to_owned(),
        machine: machine(worker),
        credential: format!("{:x}", Sha256::digest(credential(worker))),
        token: token.map(str::to_owned),
    }
}

/// The status and code of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (u16, String) {
    let error = outcome.expect_err("it is refused");
    let problem = error.problem().unwrap_or_else(|| panic!("not a refusal: {error:?}"));
    (problem.status, problem.code.clone())
}
