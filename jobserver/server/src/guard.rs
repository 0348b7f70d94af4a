//! What surrounds every request: a panic becomes a refusal, a request that takes too long is given up, and answers
//! say how a browser may treat them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use nightshift_wire::code;

use crate::app::App;
use crate::refused::Refused;

/// The outermost layer: nothing that goes wrong inside ends a connection without an answer.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    let doing = format!("{} {}", request.method(), request.uri().path());
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("{doing}: the handler panicked");
            Refused::internal(&doing).into_response()
        }
    }
}

/// Gives up requests that neither wait nor stream.
pub(crate) async fn limit_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let doing = format!("{} {}", request.method(), request.uri().path());
    let limit = app.limits.request;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            code::BAD_REQUEST,
            format!("{doing}: not finished within {} s; try again later", limit.as_secs_f32()),
        )
        .into_response(),
    }
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
