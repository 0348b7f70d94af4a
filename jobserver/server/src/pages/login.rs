//! Logging in with a token, and out again.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::assets;
use super::errors::our_own_place;
use super::frame::Unkeyed;
use crate::access::{Asks, session};
use crate::api::{Shared, query};
use crate::connection::Encrypted;
use crate::refused::{Refused, Unauthenticated};

/// What somebody reads who is logged in no more.
const OVER: &str =
    "You were logged out: a session lasts 12 hours, and ends when its token does. Log in again to go on.";

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Where to go then.
    #[serde(default)]
    to: String,
    /// Whether a session is over.
    #[serde(default)]
    over: String,
}

#[derive(Deserialize)]
pub(super) struct Shown {
    token: String,
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    to: &'a str,
    problem: Option<&'a str>,
}

impl Page<'_> {
    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn assets(&self) -> String {
        assets::etag()
    }
}

pub(super) async fn page(State(app): Shared, uri: Uri) -> Result<Response, Refused> {
    let Wanted { to, over } = query(&uri)?;
    if app.gate.asks() == Asks::Nobody {
        return Ok(Redirect::to("/").into_response());
    }
    let over = (!over.is_empty()).then_some(OVER);
    super::shown(&Page { to: our_own_place(&to), problem: over })
}

pub(super) async fn log_in(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    headers: HeaderMap,
    Unkeyed(Shown { token, to }): Unkeyed<Shown>,
) -> Result<Response, Refused> {
    let to = our_own_place(&to);
    match app.gate.log_in(token.trim(), peer, app.clock.now()).await {
        Ok(secret) => {
            // Behind somebody who speaks TLS for this server the browser says so.
            let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
            let encrypted = encrypted || origin.is_some_and(|origin| origin.starts_with("https://"));
            let cookie = session::cookie(&secret, encrypted);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response())
        }
        Err(refused) => {
            let (status, problem) = (refused.status(), refused.detail().to_owned());
            let mut response = super::shown(&Page { to, problem: Some(&problem) })?;
            *response.status_mut() = status;
            if status == StatusCode::UNAUTHORIZED {
                response.extensions_mut().insert(Unauthenticated);
            }
            Ok(response)
        }
    }
}

pub(super) async fn log_out(
    State(app): Shared,
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    app.gate.log_out(&headers).await?;
    Ok(([(header::SET_COOKIE, session::cookie("", encrypted))], Redirect::to("/login")).into_response())
}
