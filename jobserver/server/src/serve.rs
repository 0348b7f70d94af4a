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
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
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
use crate::chores::{access, expiry, live, primary, rollouts, statistics, stops, tidy};
use crate::clock::Clock;
use crate::connection::Care;
pub use crate::host::Hosts;
use crate::metrics::{Figures, Measured, Metrics};
use crate::pages::Live;
pub use crate::primary::CompanyData;
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
    /// The primary, and what workers' replicas of it need.
    pub replication: CompanyData,
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
    stopping: CancellationToken,
}

/// A part of the server ended by a fault of ours, and the server with it: without that part leases would never be over, or
/// revoked tokens stay good.
#[derive(Debug, thiserror::Error)]
#[error("a part of the server ended badly, and so the server ended; its log says where, start it again")]
pub struct EndedBadly;

/// Begins to listen and to serve.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(parts: Parts) -> io::Result<Running> {
    let Parts { listen, store, releases, clock, limits, hosts, artifacts, entrance, replication, stopping } = parts;
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
        untidy: Notify::new(),
        turns: Turns::default(),
        budget: Budget::new(limits.bodies, limits.bodies_wait, Arc::clone(&metrics)),
        arriving: Budget::new(limits.hand_ins, limits.bodies_wait, Arc::clone(&metrics)),
        rates: Rates::new(limits.requests, limits.failures),
        figures: Figures::default(),
        live: Live::default(),
        replication,
        rollouts: Rollouts::default(),
        artifacts: artifacts.map(Arc::new),
        keeps_nothing: AtomicBool::new(false),
        hosts,
        description: OnceLock::new(),
        metrics: Arc::clone(&metrics),
        stopping: stopping.clone(),
    });
    let router = TowerToHyperService::new(api::router(Arc::clone(&app)));
    let care = Care { router, limits, metrics, closing: CancellationToken::new(), cut_off: CancellationToken::new() };
    let calling = tokio::spawn(last_call(stopping.clone(), care.closing.clone()));
    let serving = tokio::spawn(accept(listener, entrance.tls, care));
    let expiring = tokio::spawn(expiry::run(Arc::clone(&app)));
    let tidying = tokio::spawn(tidy::run(Arc::clone(&app)));
    // Before the first request: what was stopped before a restart stays stopped.
    if let Err(error) = app.stops.refresh().await {
        tracing::warn!("{}", chain(&error));
    }
    let hearing = tokio::spawn(stops::run(Arc::clone(&app)));
    let judging = tokio::spawn(rollouts::run(Arc::clone(&app)));
    let counting = tokio::spawn(statistics::run(Arc::clone(&app)));
    let following = tokio::spawn(primary::run(Arc::clone(&app)));
    let showing = tokio::spawn(live::run(Arc::clone(&app)));
    let knowing = tokio::spawn(access::run(app));
    let tasks = vec![calling, serving, expiring, tidying, hearing, judging, counting, following, showing, knowing];
    Ok(Running { address, tasks, stopping })
}

impl Running {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the server has ended, after its token was cancelled.
    ///
    /// # Errors
    /// When a part of it ended badly; the others were ended then.
    pub async fn ended(self) -> Result<(), EndedBadly> {
        let mut tasks: FuturesUnordered<JoinHandle<()>> = self.tasks.into_iter().collect();
        let mut ended = Ok(());
        while let Some(task) = tasks.next().await {
            if let Err(error) = task {
                tracing::error!("a part of the server ended badly: {error}");
                self.stopping.cancel();
                ended = Err(EndedBadly);
            }
        }
        ended
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_badly_ends_the_server_which_says_so() {
        let stopping = CancellationToken::new();
        let well = tokio::spawn(stopping.clone().cancelled_owned());
        let badly = tokio::spawn(async { panic!("a fault of ours") });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = Running { address, tasks: vec![well, badly], stopping };
        running.ended().await.expect_err("it says so");
    }
}
