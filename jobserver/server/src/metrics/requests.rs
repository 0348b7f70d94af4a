//! Counts and times every request, by the route it was for and not by its path, of which there are endless many.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State as Given};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::{Answered, Metrics, Route};
use crate::clock::Stopwatch;

/// The route of a request that is for nothing.
const NOWHERE: &str = "none";

/// A layer around the routes.
pub(crate) async fn observe(Given(metrics): Given<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(NOWHERE, MatchedPath::as_str).to_owned();
    let method = word(request.method());
    let watch = Stopwatch::start();
    let response = next.run(request).await;
    metrics.request_seconds.get_or_create_owned(&Route { route: route.clone() }).observe(watch.seconds());
    metrics.requests.get_or_create_owned(&Answered { method, route, status: response.status().as_u16() }).inc();
    response
}

/// The method, of those that are asked for; a stranger's own inventions are one.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
