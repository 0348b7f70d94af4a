//! Refusals: everything the server will not do is answered as `application/problem+json`.
//!
//! A refusal of a request is the caller's to read and is not logged. A fault of ours is logged here, once, with its
//! chain of causes, and the caller learns only that it happened.

use std::fmt::Display;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nightshift_store::{Refusal, StoreError};
use nightshift_wire::{Problem, code};

use crate::rate::Wait;

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    problem: Box<Problem>,
    /// After so many seconds it may be made again.
    retry_after: Option<u64>,
    /// It came without any token or secret, or with one that is known and over: it guessed none.
    guessed_nothing: bool,
}

/// Marks the answer to a token or secret that was wrong; what surrounds the request counts these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unauthenticated;

/// What an answer that refuses says, for who shows it to a person.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) Arc<str>);

/// When a store or a primary that is away is worth another try, in seconds.
const STORE_AGAIN: u64 = 5;

impl Refused {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Refused {
        let problem = Problem { code: code.to_owned(), status: status.as_u16(), detail: detail.into() };
        Refused { problem: Box::new(problem), retry_after: None, guessed_nothing: false }
    }

    /// The same for a request that brought no secret, or one that is known and over: it is not counted among wrong ones.
    pub(crate) fn guessed_nothing(self) -> Refused {
        Refused { guessed_nothing: true, ..self }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Refused {
        Refused::new(StatusCode::NOT_FOUND, code::NOT_FOUND, detail)
    }

    /// A request that came at the wrong moment and can be made again.
    pub(crate) fn away(detail: impl Into<String>) -> Refused {
        let refused = Refused::new(StatusCode::SERVICE_UNAVAILABLE, code::STORE_AWAY, detail);
        Refused { retry_after: Some(STORE_AGAIN), ..refused }
    }

    /// A request of which nobody knows whether it was done.
    pub(crate) fn outcome_unknown(detail: impl Into<String>) -> Refused {
        let refused = Refused::new(StatusCode::SERVICE_UNAVAILABLE, code::OUTCOME_UNKNOWN, detail);
        Refused { retry_after: Some(STORE_AGAIN), ..refused }
    }

    /// A request that needs a position of the primary, which cannot be asked just now.
    pub(crate) fn primary_away(detail: impl Into<String>) -> Refused {
        let refused = Refused::new(StatusCode::SERVICE_UNAVAILABLE, code::PRIMARY_AWAY, detail);
        Refused { retry_after: Some(STORE_AGAIN), ..refused }
    }

    /// A request of a client that asked too much.
    pub(crate) fn too_many(detail: impl Into<String>, wait: Wait) -> Refused {
        let refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, code::TOO_MANY_REQUESTS, detail);
        Refused { retry_after: Some(wait.seconds), ..refused }
    }

    /// What a person reads.
    pub(crate) fn detail(&self) -> &str {
        &self.problem.detail
    }

    /// How the answer begins.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn internal(doing: &str) -> Refused {
        let detail = format!("{doing}: a fault of the job server; its log says more");
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, detail)
    }

    /// What the caller is told.
    pub(crate) fn problem(self) -> Problem {
        *self.problem
    }

    /// What a verb of the store refused, or failed at, while doing `doing`.
    pub(crate) fn by_store(doing: &str, error: &StoreError) -> Refused {
        match error {
            StoreError::Refused(
                missing @ (Refusal::NoSuchBatch(_)
                | Refusal::NoSuchAttempt(_)
                | Refusal::NoSuchJob(_)
                | Refusal::NoSuchWorker(_)),
            ) => Refused::not_found(missing.to_string()),
            StoreError::Refused(refusal) => {
                let (status, code) = refusal.code();
                Refused::new(
                    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
                    code,
                    format!("{doing}: {refusal}"),
                )
            }
            StoreError::Away { source, .. } => {
                tracing::warn!("{doing}: {}", chain(&**source));
                Refused::away(format!("{doing}: the store cannot be used just now; try again later"))
            }
            StoreError::Unknown { source, .. } => {
                tracing::warn!("{doing}: it is not known whether it was done: {}", chain(&**source));
                Refused::outcome_unknown(format!(
                    "{doing}: the store was gone before it said whether this was done; look before trying again"
                ))
            }
            StoreError::Fault { source, .. } => {
                tracing::error!("{doing}: {}", chain(&**source));
                Refused::internal(doing)
            }
        }
    }
}

/// A closure for `map_err` after a verb of the store.
pub(crate) fn while_doing<D: Display>(doing: impl FnOnce() -> D) -> impl FnOnce(StoreError) -> Refused {
    move |error| Refused::by_store(&doing().to_string(), &error)
}

/// The deepest cause of an error, for wrappers that add nothing.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

/// What a stranger wrote, as a part of one line of the log.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().replace(char::is_control, " ")
}

/// An error with everything that caused it, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    nightshift_manifest::causes::in_one_line(error)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let is_wrong = status == StatusCode::UNAUTHORIZED || self.problem.code == code::WRONG_SECRET;
        let unauthenticated = is_wrong && !self.guessed_nothing;
        let mut response = (status, Json(&self.problem)).into_response();
        response.extensions_mut().insert(Told(self.problem.detail.into()));
        if unauthenticated {
            response.extensions_mut().insert(Unauthenticated);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(error: &StoreError) -> Problem {
        *Refused::by_store("claiming a job", error).problem
    }

    #[test]
    fn a_store_that_is_away_is_worth_another_try_and_a_fault_is_not_told_to_strangers() {
        let away = problem(&StoreError::Away { doing: "claiming", source: "the disk is full".into() });
        assert_eq!((away.status, away.code.as_str()), (503, code::STORE_AWAY));
        let unknown = problem(&StoreError::Unknown { doing: "claiming", source: "the connection broke".into() });
        assert_eq!((unknown.status, unknown.code.as_str()), (503, code::OUTCOME_UNKNOWN));
        assert!(unknown.detail.ends_with("before it said whether this was done; look before trying again"));
        let fault = problem(&StoreError::Fault { doing: "claiming", source: "no such table: jobs".into() });
        assert_eq!((fault.status, fault.code.as_str()), (500, code::INTERNAL));
        assert_eq!(fault.detail, "claiming a job: a fault of the job server; its log says more");
    }
}
