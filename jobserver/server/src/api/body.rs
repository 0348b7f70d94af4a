//! Reading what a request says: numbers in paths, JSON bodies, queries. Each fault is a refusal that names it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{StatusCode, Uri, header};
use nightshift_wire::code;
use serde::de::DeserializeOwned;

use crate::refused::{Refused, root_cause};

/// A body in JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let doing = format!("reading the body of {} {}", request.method(), request.uri().path());
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            let detail = format!("{doing}: its type is {kind:?}; send JSON as application/json");
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|fault| unreadable(&doing, &fault))?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| Refused::bad_request(format!("{doing}: {error}")))
    }
}

fn unreadable(doing: &str, fault: &BytesRejection) -> Refused {
    if fault.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("{doing}: it is larger than this server takes");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail)
    } else {
        Refused::bad_request(format!("{doing}: it broke off"))
    }
}

/// The query of a request.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|fault| Refused::bad_request(format!("reading the query of {}: {}", uri.path(), root_cause(&fault))))
}

/// The number of a `thing` in a path.
pub(super) fn number(text: &str, thing: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::not_found(format!("there is no {thing} {text:?}: its number is a whole number")))
}
