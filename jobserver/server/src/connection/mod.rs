//! One connection from its first byte to its end, plain or over TLS, HTTP/1 or HTTP/2.
//!
//! 1. What is spoken is known from TLS, or read from the first bytes; somebody who says nothing is left.
//! 2. Requests go to the router. Heads, streams and windows have sizes, so that a connection costs little.
//! 3. Meanwhile [`activity`] is judged: a quiet, stalled or resetting connection is closed.
//! 4. When the server ends, no further request is taken; what is open may finish until it is cut off.

mod activity;
mod answer;
mod first;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::Limits;
use crate::clock::deadline;
use crate::metrics::{Connections, Metrics};
use activity::{Patience, Verdict};
use answer::{Answer, Open, Shared};
pub(crate) use first::Protocol;
use first::{Begun, begin};

/// The most a head may take. Queries name columns, so it is not small.
const HEAD: u32 = 64 * 1024;
/// What is read of an HTTP/1 connection at once, which also bounds its heads.
const READ_AT_ONCE: usize = 128 * 1024;
/// Requests open at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// What may arrive unread on one stream, and on one HTTP/2 connection altogether.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// What waits to be sent on one stream.
const SEND_AT_ONCE: usize = 64 * 1024;
/// Streams that may be reset before the server has seen them, and for faults it has seen.
const RESETS_UNSEEN: usize = 32;
const RESETS_FOR_FAULTS: usize = 64;

/// Whether a request came over TLS that this server itself speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encrypted(pub(crate) bool);

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Care {
    pub(crate) router: TowerToHyperService<Router>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// No further requests.
    pub(crate) closing: CancellationToken,
    /// No further patience.
    pub(crate) cut_off: CancellationToken,
}

/// Serves one connection; `agreed` is what was agreed to be spoken on it, when it was.
pub(crate) async fn serve<S>(stream: S, agreed: Option<Protocol>, peer: SocketAddr, care: Care)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let encrypted = Encrypted(agreed.is_some());
    let (stream, protocol) = match agreed {
        Some(protocol) => (Begun::agreed(stream), protocol),
        None => {
            let begun = tokio::select! {
                () = care.closing.cancelled() => return,
                begun = timeout(care.limits.idle, begin(stream)) => begun,
            };
            match begun {
                Ok(Ok(begun)) => begun,
                Ok(Err(error)) => return tracing::debug!(%peer, "a connection ended before its first word: {error}"),
                Err(_) => return tracing::debug!(%peer, "a connection said nothing for long and is closed"),
            }
        }
    };
    let _counted: Connections = care.metrics.connection(protocol);
    let shared = Shared::begin();
    let service = {
        let (shared, router) = (Arc::clone(&shared), care.router.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(encrypted);
            let open = Open::begin(&shared);
            let answered = router.call(request);
            async move {
                let response = match answered.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                Ok::<_, Infallible>(response.map(|body| Answer::new(body, open)))
            }
        })
    };
    let stream = TokioIo::new(stream);
    let ended = match protocol {
        Protocol::Http1 => {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(care.limits.idle).max_buf_size(READ_AT_ONCE);
            watch(http.serve_connection(stream, service), http1::Connection::graceful_shutdown, &shared, &care).await
        }
        Protocol::Http2 => {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(HEAD)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(SEND_AT_ONCE)
                .max_pending_accept_reset_streams(RESETS_UNSEEN)
                .max_local_error_reset_streams(RESETS_FOR_FAULTS);
            watch(http.serve_connection(stream, service), http2::Connection::graceful_shutdown, &shared, &care).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, "a connection ended: {error}");
    }
}

/// Runs a connection until it ends or has to. `close` lets it end after what is open.
async fn watch<C>(connection: C, close: impl Fn(Pin<&mut C>), shared: &Shared, care: &Care) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let patience = Patience { idle: care.limits.idle, stalled: care.limits.stalled };
    let mut connection = pin!(connection);
    let mut look_at = deadline(patience.idle.min(patience.stalled));
    let (mut closing, mut left) = (false, false);
    loop {
        tokio::select! {
            // What has arrived is read before the connection is closed.
            biased;
            ended = &mut connection => return ended,
            () = care.cut_off.cancelled() => return Ok(()),
            () = care.closing.cancelled(), if !closing => {
                closing = true;
                close(connection.as_mut());
            }
            () = shared.resetting.notified() => {
                care.metrics.connections_cut.inc();
                return Ok(());
            }
            () = sleep_until(look_at) => match shared.judge(patience) {
                Verdict::Stays(until) => look_at = until,
                // What was answered last may still be on its way.
                Verdict::Quiet if !left => {
                    left = true;
                    close(connection.as_mut());
                    look_at = deadline(patience.stalled);
                }
                Verdict::Quiet => return Ok(()),
                Verdict::Stalled | Verdict::Resetting => {
                    care.metrics.connections_cut.inc();
                    return Ok(());
                }
            },
        }
    }
}
