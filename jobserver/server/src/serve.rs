//! A store, a catalogue and a socket become a running server.
//!
//! Connections are accepted here, because a worker's machine may be cut off at any instant: a connection on which
//! nothing is asked, or no answer is taken, for a while is closed, or the dead ones would pile up. When the server is asked to end:
//!
//! 1. No connection is accepted any more; claims that wait are answered with 204, hand-ins are refused and removed.
//! 2. Open requests have a time of grace to finish, then they are cut off. Nothing answered is lost: the store
//!    commits before an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use nightshift_store::Store;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::app::App;
pub use crate::app::Limits;
use crate::catalogue::Releases;
use crate::chores::{expiry, tidy};
use crate::clock::Clock;
use crate::turns::Turns;

/// After a failure to accept (no file handles left, most often) the server tries again after this time.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

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
    /// Cancelled to end the server.
    pub stopping: CancellationToken,
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
    let Parts { listen, store, releases, clock, limits, stopping } = parts;
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let app = Arc::new(App { store, releases, clock, limits, work: Notify::new(), turns: Turns::default(), stopping });
    let serving = tokio::spawn(accept(listener, api::router(Arc::clone(&app)), Arc::clone(&app)));
    let expiring = tokio::spawn(expiry::run(Arc::clone(&app)));
    let tidying = tokio::spawn(tidy::run(app));
    Ok(Running { address, tasks: vec![serving, expiring, tidying] })
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

async fn accept(listener: TcpListener, router: Router, app: Arc<App>) {
    let open = GracefulShutdown::new();
    let service = TowerToHyperService::new(router);
    loop {
        let accepted = tokio::select! {
            () = app.stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => serve_one(stream, peer, service.clone(), app.limits, &open),
            Err(error) => {
                tracing::warn!("accepting a connection: {error}; trying again");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(app.limits.grace, open.shutdown()).await.is_err() {
        tracing::warn!("requests still open after {} s are cut off", app.limits.grace.as_secs());
    }
}

fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
    limits: Limits,
    open: &GracefulShutdown,
) {
    // Small answers must not wait for each other; without it they only take longer.
    let _ = stream.set_nodelay(true);
    // Nor does one who reads no further keep an answer open: the kernel cuts the connection, where it knows how to.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(limits.stalled));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, "a connection ended: {error}");
        }
    });
}
