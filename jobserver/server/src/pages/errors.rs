//! What a person gets to see who cannot have what was asked for: a page that says so, or the way to log in.
//!
//! The page stands in the frame of all pages where somebody is logged in. Who asks too much is looked up no more, and nothing
//! of a frame is shown under a name that is not this server's.

use std::fmt::Write as _;
use std::net::SocketAddr;

use askama::Template;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use nightshift_rules::access;

use super::assets;
use super::frame::{Frame, Visitor};
use crate::access::session;
use crate::app::App;
use crate::refused::{Told, Unauthenticated};

/// What a browser asked for.
pub(crate) struct Asked {
    looks: bool,
    /// Where it wants to go: path and query.
    to: String,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
}

/// For somebody who is logged in.
#[derive(Template)]
#[template(path = "refused.html")]
struct Page<'a> {
    frame: Frame,
    heading: &'a str,
    detail: &'a str,
}

/// For anybody else.
#[derive(Template)]
#[template(path = "refused_outside.html")]
struct Outside<'a> {
    heading: &'a str,
    detail: &'a str,
    log_in: bool,
}

impl Outside<'_> {
    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn assets(&self) -> String {
        assets::etag()
    }
}

/// What a person's browser asks for; `None` for a program.
pub(crate) fn is_for_a_person(request: &Request) -> Option<Asked> {
    let accepts = request.headers().get(header::ACCEPT)?.to_str().ok()?;
    if !accepts.contains("text/html") {
        return None;
    }
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let to = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    Some(Asked { looks, to, headers: request.headers().clone(), peer })
}

/// Whether a form or a script of our own pages asks: for a page, and from the very address that the request is for.
pub(crate) fn is_from_our_own(origin: &HeaderValue, request: &Request) -> bool {
    let is_a_page = request.extensions().get::<MatchedPath>().is_some_and(|path| access::is_a_page(path.as_str()));
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    is_a_page && origin.is_some_and(|origin| host.is_some_and(|host| host.eq_ignore_ascii_case(origin)))
}

/// The answer as the person sees it: a refusal becomes a page.
pub(crate) async fn told(app: &App, response: Response, asked: Asked) -> Response {
    let Some(Told(detail)) = response.extensions().get::<Told>().cloned() else { return response };
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED && asked.looks {
        let over = if session::brought(&asked.headers).is_some() { "over=yes&" } else { "" };
        return Redirect::to(&format!("/login?{over}to={}", escaped(&asked.to))).into_response();
    }
    let heading = match status {
        StatusCode::UNAUTHORIZED => "Please log in again",
        StatusCode::FORBIDDEN => "That is not allowed",
        StatusCode::NOT_FOUND => "There is no such thing",
        StatusCode::CONFLICT => "It has changed meanwhile",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        status if status.is_server_error() => "That did not work",
        _ => "That cannot be done",
    };
    let visitor = match asked.peer {
        Some(peer) if may_be_known(status) => Visitor::of(app, asked.headers, peer).await,
        _ => None,
    };
    let shown = match visitor {
        Some(visitor) => {
            let frame = visitor.frame(app, heading, "");
            super::shown(&Page { frame, heading, detail: &detail })
        }
        None => super::shown(&Outside { heading, detail: &detail, log_in: status == StatusCode::UNAUTHORIZED }),
    };
    let Ok(mut shown) = shown else { return response };
    *shown.status_mut() = status;
    if let Some(mark) = response.extensions().get::<Unauthenticated>() {
        shown.extensions_mut().insert(*mark);
    }
    if let Some(after) = response.headers().get(header::RETRY_AFTER) {
        shown.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    shown
}

/// Whether it is looked up who gets a refusal.
fn may_be_known(status: StatusCode) -> bool {
    !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS | StatusCode::MISDIRECTED_REQUEST)
}

/// A text as a part of a query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Where somebody may be sent after logging in: a place of this server, whatever the query said.
pub(super) fn our_own_place(to: &str) -> &str {
    let plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/login") { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_after_logging_in() {
        for own in ["/", "/jobs?state=done&from=7", "/batches/7"] {
            assert_eq!(our_own_place(own), own);
        }
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "jobs", "/login?to=/"]
        {
            assert_eq!(our_own_place(other), "/", "{other}");
        }
        assert_eq!(escaped("/jobs?state=done&name=ä b"), "/jobs%3Fstate%3Ddone%26name%3D%C3%A4%20b");
    }
}
