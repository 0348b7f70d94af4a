//! What is around every page: who looks, what they may do, where they are, what is stopped. And what a form brings.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use nightshift_wire::{Moment, Role, access_code, code};
use serde::de::DeserializeOwned;

use super::words::at;
use crate::access::Caller;
use crate::access::session::FormKey;
use crate::api::{query, whole};
use crate::app::App;
use crate::refused::Refused;
use crate::stops;

/// The field of a form that proves that the form is ours.
pub(super) const FORM_KEY: &str = "form_key";

/// Who looks.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    form_key: Option<FormKey>,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Refused> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Refused::internal("looking who asks for a page"))?;
        Ok(Visitor { caller, form_key: parts.extensions.get::<FormKey>().cloned() })
    }
}

impl Visitor {
    /// Whose browser brings these headers; `None` when nobody is logged in with it.
    pub(super) async fn of(app: &App, headers: HeaderMap, peer: SocketAddr) -> Option<Visitor> {
        let (caller, form_key) = app.gate.visitor(headers, peer, app.clock.now()).await?;
        Some(Visitor { caller, form_key })
    }

    fn role(&self) -> Option<Role> {
        self.caller.me().role
    }

    pub(super) fn can(&self) -> Can {
        let (operate, administer, hand_in) = match self.role() {
            None | Some(Role::Admin) => (true, true, true),
            Some(Role::Operator) => (true, false, true),
            Some(Role::Owner) => (false, false, true),
            Some(Role::Viewer | Role::Worker | Role::Join) => (false, false, false),
        };
        Can { hand_in, operate, administer, see_all: self.caller.own_batches_only().is_none() }
    }

    /// Refuses a form that another page made.
    pub(super) fn must_have_sent(&self, brought: &str) -> Result<(), Refused> {
        if self.form_key.as_ref().is_some_and(|key| key.is(brought)) {
            return Ok(());
        }
        let detail =
            "taking a form: it is not of a page that this server made for you; open the page again and repeat it";
        Err(Refused::new(StatusCode::FORBIDDEN, access_code::NOT_ALLOWED, detail))
    }

    pub(super) fn frame(&self, app: &App, title: impl Into<String>, place: &'static str) -> Frame {
        let me = self.caller.me();
        Frame {
            title: title.into(),
            place,
            name: me.name,
            role: me.role.map(Role::word).unwrap_or_default(),
            form_key: self.form_key.as_ref().map(FormKey::as_str).unwrap_or_default().to_owned(),
            stopped: stops::everywhere(&stops::all(&app.releases.now(), &app.stops.now()), "").0,
            can: self.can(),
            live: String::new(),
            shape: String::new(),
            now: app.clock.now(),
        }
    }
}

/// What somebody may do here; the buttons they see. What is done is judged by the table of `jobserver/rules`.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "four things that are independent of each other")]
pub(super) struct Can {
    pub(super) hand_in: bool,
    pub(super) operate: bool,
    pub(super) administer: bool,
    pub(super) see_all: bool,
}

/// What is around a page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    /// Which part of the navigation it is.
    pub(super) place: &'static str,
    /// Who is logged in; nobody on an open server.
    pub(super) name: Option<String>,
    pub(super) role: &'static str,
    pub(super) form_key: String,
    /// What stops everything.
    pub(super) stopped: Option<String>,
    pub(super) can: Can,
    /// Where the page hears of changes; empty when it does not.
    pub(super) live: String,
    /// What it shows is of this shape; when that changes, it is fetched anew.
    pub(super) shape: String,
    pub(super) now: Moment,
}

impl Frame {
    pub(super) fn now(&self) -> String {
        at(self.now)
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Names what the browser may keep of style and script.
    pub(super) fn assets(&self) -> String {
        super::assets::etag()
    }

    pub(super) fn is_at(&self, place: &str) -> bool {
        self.place == place
    }
}

/// A form that was filled in on one of our pages.
pub(super) struct Filled<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Filled<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let form = fields(Request::from_parts(parts, body)).await?;
        let all: Vec<(String, String)> = query(&form)?;
        let brought = all.iter().find(|(name, _)| name == FORM_KEY).map_or("", |(_, key)| key);
        visitor.must_have_sent(brought)?;
        query(&form).map(Filled)
    }
}

/// A form of somebody who is not logged in, and so has no key.
pub(super) struct Unkeyed<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Unkeyed<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _app: &Arc<App>) -> Result<Self, Refused> {
        query(&fields(request).await?).map(Unkeyed)
    }
}

/// The fields of a form, as a query.
async fn fields(request: Request) -> Result<Uri, Refused> {
    let path = request.uri().path().to_owned();
    let doing = format!("taking the form of {path}");
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        let detail = format!("{doing}: it comes as {kind:?}, and not as a browser sends a form");
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
    }
    let bytes = whole(&doing, request).await?;
    let text = String::from_utf8(bytes).map_err(|_| Refused::bad_request(format!("{doing}: it is not text")))?;
    let unreadable = |_| Refused::bad_request(format!("{doing}: it is too large, or no form"));
    format!("{path}?{text}").parse().map_err(unreadable)
}

/// What stands in a field; nothing when it was left empty.
pub(super) fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
