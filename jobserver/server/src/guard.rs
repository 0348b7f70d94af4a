//! What surrounds every request: a panic becomes a refusal, a request that takes too long is given up, pages of other
//! sites and clients that ask too much get nothing done, and answers say how a browser may treat them.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use nightshift_wire::code;

use crate::app::App;
use crate::host::Hosts;
use crate::rate::Wait;
use crate::refused::{Refused, Unauthenticated};

/// The outermost layer: nothing that goes wrong inside ends a connection without an answer.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            let doing = format!("{method} {}", uri.path());
            tracing::error!("{doing}: the handler panicked");
            Refused::internal(&doing).into_response()
        }
    }
}

/// Gives up requests that take longer than `limit`.
pub(crate) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            code::BAD_REQUEST,
            format!("{method} {}: not finished within {} s; try again later", uri.path(), limit.as_secs_f32()),
        )
        .into_response(),
    }
}

/// Refuses what a page in somebody's browser asks for: our own page asks for nothing that a browser marks like this,
/// and any other one has no business here, whoever looks at it.
pub(crate) async fn no_pages(request: Request, next: Next) -> Response {
    match request.headers().get(header::ORIGIN) {
        None => next.run(request).await,
        Some(origin) => Refused::new(
            StatusCode::FORBIDDEN,
            code::BAD_REQUEST,
            format!(
                "{} {}: this came from the page {origin:?}; web pages cannot use the API",
                request.method(),
                request.uri().path()
            ),
        )
        .into_response(),
    }
}

/// Refuses what was meant for another name than one of this server's.
pub(crate) async fn own_name(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match strange_name(&app.hosts, &request) {
        None => next.run(request).await,
        Some(refused) => refused.into_response(),
    }
}

fn strange_name(hosts: &Hosts, request: &Request) -> Option<Refused> {
    let in_head = request.headers().get_all(header::HOST).iter().map(|name| name.to_str().unwrap_or_default());
    let in_target = request.uri().authority().map(|authority| authority.as_str());
    let mut named = in_head.chain(in_target).peekable();
    if named.peek().is_none() && request.version() >= Version::HTTP_11 {
        return Some(Refused::bad_request("reading the request: it names no host"));
    }
    let strange = named.find(|name| !hosts.includes(name))?;
    let detail = format!(
        "{} {}: this server is not called {strange:?}; if it is, add the name to `hosts` in jobserver.toml",
        request.method(),
        request.uri().path()
    );
    Some(Refused::new(StatusCode::MISDIRECTED_REQUEST, code::WRONG_HOST, detail))
}

/// Refuses the requests of a client that asks too much, or that shows one wrong token or secret after the other.
pub(crate) async fn limit_rate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        return next.run(request).await;
    };
    let doing = format!("{} {}", request.method(), request.uri().path());
    let refuse = |what: &str, wait: Wait| {
        app.metrics.requests_limited.inc();
        let detail = format!("{doing}: too many {what} from this address; try again in {} s", wait.seconds);
        Refused::too_many(detail, wait).into_response()
    };
    if let Err(wait) = app.rates.request(peer.ip(), app.clock.now()) {
        return refuse("requests", wait);
    }
    let response = next.run(request).await;
    if response.extensions().get::<Unauthenticated>().is_some()
        && let Err(wait) = app.rates.authentication_failed(peer.ip(), app.clock.now())
    {
        return refuse("wrong tokens or secrets", wait);
    }
    response
}

/// No guessing of types, no scripts, no frames, nothing kept in caches.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
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
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use nightshift_wire::Problem;

    use super::*;

    async fn panics() -> &'static str {
        panic!("a test's own panic")
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_problem_that_tells_nothing_of_it() {
        let router = Router::new().route("/x", get(panics)).layer(from_fn(catch_panic));
        let request = Request::get("/x").body(Body::empty()).expect("a request");
        let response = TowerToHyperService::new(router).call(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 1000).await.expect("a body");
        let problem: Problem = serde_json::from_slice(&body).expect("a problem");
        assert_eq!(problem.code, code::INTERNAL);
        assert_eq!(problem.detail, "GET /x: a fault of the job server; its log says more");
    }
}
