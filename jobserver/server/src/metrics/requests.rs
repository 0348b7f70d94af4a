//! Counts and times every request, by the route it was for and not by its path, of which there are endless many.

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};

use super::{Answered, Metrics, Route};
use crate::clock::Stopwatch;

/// The route of a request that is for nothing.
const NOWHERE: &str = "none";

/// A request that is being answered.
pub(crate) struct Observed {
    method: &'static str,
    route: Option<MatchedPath>,
    watch: Stopwatch,
}

impl Observed {
    pub(crate) fn begin(request: &Request) -> Observed {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Observed { method: word(request.method()), route, watch: Stopwatch::start() }
    }

    pub(crate) fn end(self, metrics: &Metrics, status: StatusCode) {
        let route = self.route.as_ref().map_or(NOWHERE, MatchedPath::as_str).to_owned();
        metrics.request_seconds.get_or_create_owned(&Route { route: route.clone() }).observe(self.watch.seconds());
        metrics.requests.get_or_create_owned(&Answered { method: self.method, route, status: status.as_u16() }).inc();
    }
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
