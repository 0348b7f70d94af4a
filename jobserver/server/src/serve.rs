//! A store, a catalogue and a socket become a running server.
//!
//! Connections are accepted here, as many as there are places for; what happens on one is `connection`'s. When the
//! server is asked to end:
//!
//! 1. Claims that wait are answered with 204, hand-ins are refused and removed.
//! 2. What is on its way at this moment still arrives and is answered; then no connection is accepted, and none takes a
//!    further request.
//! 3. Open requests have a time of grace to finish, then they are cut off. Nothing answered is lost: the store
//!    commits before an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use nightshift_store::{Access, Store};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::access::Asks;
use crate::access::Gate;
use crate::app::App;
pub use crate::app::Limits;
use crate::artifacts::Artifacts;
use crate::budget::Budget;
use crate::catalogue::Releases;
use crate::chores::{access, expiry, rollouts, stops, tidy};
use crate::clock::Clock;
use crate::connection::Care;
pub use crate::host::Hosts;
use crate::metrics::{Figures, Measured, Metrics};
use crate::rate::Rates;
use crate::refused::chain;
use crate::rollouts::Rollouts;
use crate::stops::OwnStops;
use crate::tls::Tls;
use crate::turns::Turns;
use crate::{api, connection};

/// After a failure to accept (no file handles left, most often) the server tries again after this time.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// What was sent before the server ended arrives within this time.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted: a whole grid comes back at once when its server starts again, and one that
/// finds no room tries again only after a second. The system's own limit counts, too.
const WAITING: u32 = 16 * 1024;

/// What a server is made of.
pub struct Parts {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The plugins on offer.
    pub releases: Releases,
    /// What time it is.
    pub clock: Clock,
    /// How long and how much it takes.
    pub limits: Limits,
    /// The names it answers to.
    pub hosts: Hosts,
    /// Files for the grid, when they are kept here.
    pub artifacts: Option<Artifacts>,
    /// Who may come in, and how.
    pub entrance: Entrance,
    /// Cancelled to end the server.
    pub stopping: CancellationToken,
}

/// Who may come in, and how.
pub struct Entrance {
    /// Whether tokens are asked for.
    pub asks: Asks,
    /// Where tokens and workers are kept.
    pub access: Arc<dyn Access>,
    /// TLS, when it is spoken.
    pub tls: Option<Tls>,
}

impl Entrance {
    /// Everybody comes in, and nothing is encrypted.
    pub fn open(access: Arc<dyn Access>) -> Entrance {
        Entrance { asks: Asks::Nobody, access, tls: None }
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Begins to listen and to serve.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(parts: Parts) -> io::Result<Running> {
    let Parts { listen, store, releases, clock, limits, hosts, artifacts, entrance, stopping } = parts;
    let listener = bound(listen)?;
    let address = listener.local_addr()?;
    let metrics = Metrics::new();
    let app = Arc::new(App {
        store: Measured::over(store, Arc::clone(&metrics)),
        releases,
        stops: OwnStops::new(Arc::clone(&entrance.access)),
        gate: Gate::new(entrance.asks, entrance.access),
        clock,
        limits,
        work: Notify::new(),
        turns: Turns::default(),
        budget: Budget::new(limits.bodies, limits.bodies_wait, Arc::clone(&metrics)),
        rates: Rates::new(limits.requests, limits.failures),
        figures: Figures::default(),
        rollouts: Rollouts::default(),
        artifacts: artifacts.map(Arc::new),
        hosts,
        description: OnceLock::new(),
        metrics: Arc::clone(&metrics),
        stopping: stopping.clone(),
    });
    let router = TowerToHyperService::new(api::router(Arc::clone(&app)));
    let care = Care { router, limits, metrics, closing: CancellationToken::new(), cut_off: CancellationToken::new() };
    let calling = tokio::spawn(last_call(stopping, care.closing.clone()));
    let serving = tokio::spawn(accept(listener, entrance.tls, care));
    let expiring = tokio::spawn(expiry::run(Arc::clone(&app)));
    let tidying = tokio::spawn(tidy::run(Arc::clone(&app)));
    // Before the first request: what was stopped before a restart stays stopped.
    if let Err(error) = app.stops.refresh().await {
        tracing::warn!("{}", chain(&error));
    }
    let hearing = tokio::spawn(stops::run(Arc::clone(&app)));
    let judging = tokio::spawn(rollouts::run(Arc::clone(&app)));
    let knowing = tokio::spawn(access::run(app));
    Ok(Running { address, tasks: vec![calling, serving, expiring, tidying, hearing, judging, knowing] })
}

impl Running {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the server has ended, after its token was cancelled.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!("a part of the server ended badly: {error}");
            }
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again finds its port free, also while old connections end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// A connection closed while a request is on its way to it leaves its client without an answer.
async fn last_call(stopping: CancellationToken, closing: CancellationToken) {
    stopping.cancelled().await;
    tokio::time::sleep(LAST_CALL).await;
    closing.cancel();
}

async fn accept(listener: TcpListener, tls: Option<Tls>, care: Care) {
    let open = TaskTracker::new();
    let places = Arc::new(Semaphore::new(care.limits.connections));
    while let Some((stream, peer, place)) = next(&listener, &places, &care.closing).await {
        // Small answers must not wait for each other; without it they only take longer.
        let _ = stream.set_nodelay(true);
        // Nor does one who reads no further keep an answer open: the kernel cuts the connection, where it knows how to.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(care.limits.stalled));
        let (tls, care) = (tls.clone(), care.clone());
        open.spawn(async move {
            come_in(stream, tls, peer, care).await;
            drop(place);
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(care.limits.grace, open.wait()).await.is_err() {
        tracing::warn!("requests still open after {} s are cut off", care.limits.grace.as_secs());
        care.cut_off.cancel();
        open.wait().await;
    }
}

/// Makes the connection safe, where that is wanted, and serves it.
async fn come_in(stream: TcpStream, tls: Option<Tls>, peer: SocketAddr, care: Care) {
    let Some(tls) = tls else { return connection::serve(stream, None, peer, care).await };
    let safe = tokio::select! {
        () = care.closing.cancelled() => return,
        safe = tls.accept(stream) => safe,
    };
    match safe {
        Ok((stream, protocol)) => connection::serve(stream, Some(protocol), peer, care).await,
        Err(error) => tracing::debug!(%peer, "a connection could not be made safe: {error}"),
    }
}

/// The next connection, once there is a place for it; `None` when the server ends.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    closing: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = tokio::select! {
        () = closing.cancelled() => return None,
        place = Arc::clone(places).acquire_owned() => place.ok()?,
    };
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) => {
                tracing::warn!("accepting a connection: {error}; trying again");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}
