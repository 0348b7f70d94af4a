//! What surrounds every request, as one layer: each layer of a router costs every request copies and allocations, and a
//! list of them does not show its order.
//!
//! 1. The request is counted and timed, and nothing that goes wrong inside ends a connection without an answer.
//! 2. Clients that ask too much, requests for another server's name and those of other sites' pages get nothing done.
//! 3. Who asks, and may they ([`crate::access`])? Then the route's own handler, within the time and memory of its
//!    group ([`crate::api`]).
//! 4. Answers say how a browser may treat them.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use nightshift_wire::code;

use crate::access;
use crate::app::App;
use crate::host::Hosts;
use crate::metrics::Observed;
use crate::pages;
use crate::rate::Wait;
use crate::refused::{Refused, Unauthenticated};

/// The layer around all routes.
pub(crate) async fn surround(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let observed = Observed::begin(&request);
    let what = What::of(&request);
    let by_browser = pages::is_for_a_person(&request);
    let mut response = without_panic(&what, answer(&app, &what, request, next)).await;
    if let Some(asked) = by_browser {
        response = pages::told(&app, response, asked).await;
    }
    add_headers(&mut response);
    observed.end(&app.metrics, response.status());
    response
}

/// What a request asks for, in case it is refused.
struct What {
    method: Method,
    uri: Uri,
}

impl What {
    fn of(request: &Request) -> What {
        What { method: request.method().clone(), uri: request.uri().clone() }
    }

    /// Without the query, which may hold a secret.
    fn in_words(&self) -> String {
        format!("{} {}", self.method, self.uri.path())
    }
}

async fn without_panic(what: &What, answered: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answered).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            let doing = what.in_words();
            tracing::error!("{doing}: the handler panicked");
            Refused::internal(&doing).into_response()
        }
    }
}

async fn answer(app: &App, what: &What, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if let Some(refused) = refusal(app, what, peer, &request) {
        return refused.into_response();
    }
    DefaultBodyLimit::max(app.limits.body).apply(&mut request);
    let response = match access::let_in(app, request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    };
    if response.extensions().get::<Unauthenticated>().is_some()
        && let Some(peer) = peer
        && let Err(wait) = app.rates.authentication_failed(peer, app.clock.now())
    {
        return too_many(app, what, "wrong tokens or secrets", wait).into_response();
    }
    response
}

/// Why a request is refused whoever makes it.
fn refusal(app: &App, what: &What, peer: Option<IpAddr>, request: &Request) -> Option<Refused> {
    let wait = peer.and_then(|peer| app.rates.request(peer, app.clock.now()).err());
    wait.map(|wait| too_many(app, what, "requests", wait))
        .or_else(|| strange_name(&app.hosts, what, request))
        .or_else(|| from_a_page(what, request))
}

/// A client that asks too much, or that shows one wrong token or secret after the other.
fn too_many(app: &App, what: &What, asked: &str, wait: Wait) -> Refused {
    app.metrics.requests_limited.inc();
    let detail = format!("{}: too many {asked} from this address; try again in {} s", what.in_words(), wait.seconds);
    Refused::too_many(detail, wait)
}

/// A request that was meant for another name than one of this server's.
fn strange_name(hosts: &Hosts, what: &What, request: &Request) -> Option<Refused> {
    let in_head = request.headers().get_all(header::HOST).iter().map(|name| name.to_str().unwrap_or_default());
    let in_target = request.uri().authority().map(|authority| authority.as_str());
    let mut named = in_head.chain(in_target).peekable();
    if named.peek().is_none() && request.version() >= Version::HTTP_11 {
        return Some(Refused::bad_request("reading the request: it names no host"));
    }
    let strange = named.find(|name| !hosts.includes(name))?;
    let detail = format!(
        "{}: this server is not called {strange:?}; if it is, add the name to `hosts` in jobserver.toml",
        what.in_words()
    );
    Some(Refused::new(StatusCode::MISDIRECTED_REQUEST, code::WRONG_HOST, detail))
}

/// What a page in somebody's browser asks for: the dashboard's own forms go to the dashboard, and any other page has no
/// business here, whoever looks at it.
fn from_a_page(what: &What, request: &Request) -> Option<Refused> {
    let origin = request.headers().get(header::ORIGIN)?;
    if pages::is_from_our_own(origin, request) {
        return None;
    }
    let detail = format!("{}: this came from the page {origin:?}; web pages cannot use the API", what.in_words());
    Some(Refused::new(StatusCode::FORBIDDEN, code::BAD_REQUEST, detail))
}

/// No guessing of types, no scripts, no frames, nothing kept in caches.
fn add_headers(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// No such path.
pub(crate) async fn not_found(uri: Uri) -> Refused {
    Refused::not_found(format!("there is nothing at {}", uri.path()))
}

/// A path that is asked in another way.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        code::BAD_REQUEST,
        format!("{} does not take {method}; see the table of requests in the API's description", uri.path()),
    )
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use nightshift_wire::Problem;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_with_a_problem_that_tells_nothing_of_it() {
        let what = What { method: Method::GET, uri: Uri::from_static("/x?secret=7") };
        let response = without_panic(&what, async { panic!("a test's own panic") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 1000).await.expect("a body");
        let problem: Problem = serde_json::from_slice(&body).expect("a problem");
        assert_eq!(problem.code, code::INTERNAL);
        assert_eq!(problem.detail, "GET /x: a fault of the job server; its log says more");
    }
}
