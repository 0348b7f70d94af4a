//! Reading what a request says: numbers in paths, JSON bodies, queries. Each fault is a refusal that names it.
//!
//! A body may come gzipped. Whatever it unpacks to counts, for its own limit and for the memory of all bodies, while
//! it is unpacked: it is refused at the first byte too many. So does what its values take once they are read, before they
//! are. A number that would be read as another one is refused, too.

mod scan;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Query, Request};
use axum::http::{StatusCode, Uri, header};
use nightshift_wire::code;
use serde::de::DeserializeOwned;

use super::arriving::{self, Holding};
use crate::refused::{Refused, root_cause};

/// A body in JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let doing = || format!("reading the body of {method} {}", uri.path());
        let headers = request.headers();
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !is_json(kind) {
            let detail = format!("{}: its type is {kind:?}; send JSON as application/json", doing());
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
        }
        let memory = Holding::of(&doing(), &request)?;
        let bytes = arriving::whole(&doing(), request).await?;
        let values = scan::values(&bytes).map_err(|scan::TooLarge(number)| {
            Refused::bad_request(format!("{}: the number {number} has more than 64 bits; send it as text", doing()))
        })?;
        memory.grow(&doing(), bytes.len() + values * scan::BYTES_AROUND_A_VALUE).await?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| Refused::bad_request(format!("{}: {error}", doing())))
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split_once(';').map_or(kind, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The query of a request.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|fault| Refused::bad_request(format!("reading the query of {}: {}", uri.path(), root_cause(&fault))))
}

/// What stands in a path where a number belongs.
pub(crate) type Number = Result<Path<String>, PathRejection>;

/// The number of a `thing` in a path, which may not even be text.
pub(crate) fn number(text: Number, thing: &str) -> Result<i64, Refused> {
    let Ok(Path(text)) = text else {
        return Err(Refused::not_found(format!("there is no such {thing}: its number is a whole number")));
    };
    text.parse().map_err(|_| Refused::not_found(format!("there is no {thing} {text:?}: its number is a whole number")))
}

/// What stands in a path where a `thing`'s name belongs.
pub(crate) fn named(text: Number, thing: &str) -> Result<String, Refused> {
    text.map(|Path(text)| text).map_err(|_| Refused::not_found(format!("there is no such {thing}: its name is text")))
}

/// The longest identity of a worker; its own is a UUID.
const LONGEST_WORKER: usize = 200;

/// Refuses what cannot be a worker's identity: it stands in every log and on the page.
pub(super) fn check_worker(doing: &str, worker: &str) -> Result<(), Refused> {
    if worker.is_empty() {
        return Err(Refused::bad_request(format!("{doing}: the worker's identity is empty")));
    }
    if worker.chars().count() > LONGEST_WORKER || worker.chars().any(char::is_control) {
        let detail = format!(
            "{doing}: the worker's identity has more than {LONGEST_WORKER} letters, or control characters among them"
        );
        return Err(Refused::bad_request(detail));
    }
    // Databases compare names without the blanks behind them.
    if worker.trim() != worker {
        let detail = format!("{doing}: the worker's identity {worker:?} begins or ends with a blank");
        return Err(Refused::bad_request(detail));
    }
    Ok(())
}
