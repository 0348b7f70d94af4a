//! Who asks, and may they? Every request passes here before anything is done.
//!
//! 1. A server that is open asks nobody; a request for everybody needs no token.
//! 2. The token, or a worker's credential, is looked up by its hash ([`known`]). It has to be good now and here; a worker
//!    has to be on the machine it was let in on. A browser that is logged in brings a session instead ([`session`]), which
//!    stands for its token where it only looks, and on the pages.
//! 3. Its role has to reach as far as the request, by the table of `jobserver/rules`. What a path names has to be the
//!    caller's own where its role reaches no further; what a body names is checked by the handler, by [`Caller`].
//!
//! Whoever is refused learns why in a stable code, and nothing of what there is.

pub(crate) mod known;
pub(crate) mod session;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nightshift_rules::access::{self, Reach, TokenFault};
use nightshift_rules::enrolment::{self, NoWork};
use nightshift_store::Access;
use nightshift_wire::{ActionRequest, AttemptId, BatchId, JobAction, JobFilter, Me, Moment, Role, access_code};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::refused::{Refused, while_doing};
use known::{Directory, Known, Unknown};
use session::FormKey;

/// The header in which a worker says on which machine it is.
const MACHINE: &str = "nightshift-machine";
/// Attempts whose worker is remembered.
const ATTEMPTS: usize = 20_000;

/// Whether a server asks for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Everybody may do everything.
    Nobody,
    /// A token that may.
    ForTokens,
}

/// What every request passes.
pub(crate) struct Gate {
    asks: Asks,
    pub(crate) store: Arc<dyn Access>,
    pub(crate) directory: Directory,
    attempts: Mutex<HashMap<AttemptId, String>>,
    /// The key of forms where nobody logs in.
    form_key: FormKey,
}

/// Who made a request, and how far their role reaches with it.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// The server asks nobody, or the request is everybody's.
    Anybody,
    /// Somebody with a token or credential.
    Somebody {
        /// The token's name, or the worker.
        name: String,
        role: Role,
        reach: Reach,
        /// By which they are looked up again.
        hash: String,
    },
}

impl Caller {
    /// For logs, and for who did what.
    pub(crate) fn name(&self) -> &str {
        match self {
            Caller::Anybody => "anybody",
            Caller::Somebody { name, .. } => name,
        }
    }

    /// A reason as it stands where people read it: who did it, when nobody said why.
    pub(crate) fn reason(&self, did: &str, reason: &str) -> String {
        match (reason.trim(), self) {
            ("", Caller::Somebody { name, .. }) => format!("{did} by {name}"),
            (reason, _) => reason.to_owned(),
        }
    }

    pub(crate) fn me(&self) -> Me {
        match self {
            Caller::Anybody => Me { name: None, role: None },
            Caller::Somebody { name, role, .. } => Me { name: Some(name.clone()), role: Some(*role) },
        }
    }

    /// Whose batches alone the caller sees and changes; `None` when there is no such limit.
    pub(crate) fn own_batches_only(&self) -> Option<&str> {
        match self {
            Caller::Somebody { name, reach: Reach::Own, role: Role::Owner, .. } => Some(name),
            _ => None,
        }
    }

    /// A key as it is kept, which no other caller's of the same name meets. An owner's keys are that owner's; those of all
    /// who have no such limit are common to them. The name of an owner is never empty and has no slash.
    pub(crate) fn kept_key(&self, key: String) -> String {
        match self.own_batches_only() {
            Some(owner) => format!("{owner}/{key}"),
            None if key.contains('/') => format!("/{key}"),
            None => key,
        }
    }

    /// Refuses a worker that brings the results of another's attempt.
    pub(crate) async fn must_hold(&self, gate: &Gate, doing: &str, attempt: AttemptId) -> Result<(), Refused> {
        match self {
            Caller::Somebody { name, reach: Reach::Own, role: Role::Worker, .. } => {
                gate.own_attempt(doing, name, attempt).await
            }
            _ => Ok(()),
        }
    }

    /// Keeps a choice of jobs within what is the caller's own: an owner's, to its own batches; a batch it names must be
    /// one of them.
    pub(crate) async fn narrow(&self, gate: &Gate, doing: &str, filter: &mut JobFilter) -> Result<(), Refused> {
        let Some(own) = self.own_batches_only() else { return Ok(()) };
        if let Some(other) = filter.owner.as_deref().filter(|owner| *owner != own) {
            return Err(not_allowed(format!("{doing}: {own} sees no jobs of {other}'s")));
        }
        if let Some(batch) = filter.batch {
            gate.own_batch(doing, own, batch).await?;
        }
        filter.owner = Some(own.to_owned());
        Ok(())
    }

    /// Refuses an owner that would change jobs without saying of which batch, or which ones. For another plugin it has to
    /// be the batch, whose columns are then looked at.
    pub(crate) fn must_name_jobs(&self, doing: &str, asked: &ActionRequest) -> Result<(), Refused> {
        let Some(own) = self.own_batches_only() else { return Ok(()) };
        let looks = matches!(&asked.action, JobAction::Edit(edit) if edit.plugin.is_some());
        if asked.filter.batch.is_some() || (!asked.filter.ids.is_empty() && !looks) {
            return Ok(());
        }
        let or_jobs = if looks { "" } else { ", or jobs by their numbers" };
        Err(not_allowed(format!("{doing}: an owner changes the jobs of one batch; name a batch of {own}'s{or_jobs}")))
    }

    /// Whose a batch is that the caller hands in.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Caller::Anybody => None,
            Caller::Somebody { name, .. } => Some(name),
        }
    }

    /// Refuses a worker that speaks for another.
    pub(crate) fn must_be(&self, doing: &str, worker: &str) -> Result<(), Refused> {
        match self {
            Caller::Somebody { name, reach: Reach::Own, .. } if name != worker => Err(not_allowed(format!(
                "{doing}: this credential is worker {name}'s, and it cannot act as worker {worker}"
            ))),
            _ => Ok(()),
        }
    }
}

fn not_allowed(detail: String) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, access_code::NOT_ALLOWED, detail)
}

fn who(code: &str, detail: String) -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, code, detail)
}

impl Gate {
    pub(crate) fn new(asks: Asks, store: Arc<dyn Access>) -> Gate {
        Gate {
            asks,
            directory: Directory::new(Arc::clone(&store)),
            store,
            attempts: Mutex::default(),
            form_key: FormKey::of_this_run(),
        }
    }

    /// Whether tokens are asked for.
    pub(crate) fn asks(&self) -> Asks {
        self.asks
    }

    /// Whether the caller is still let in: something may have changed while a request waited.
    pub(crate) fn still_lets_in(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Anybody => true,
            Caller::Somebody { hash, .. } => match self.directory.again(hash) {
                Some(Known::Token(token)) => token.revoked_at.is_none(),
                Some(Known::Worker(worker)) => enrolment::judge_use(&worker, Some(&worker.machine)).is_ok(),
                None => false,
            },
        }
    }

    /// Refuses a worker that touches another's attempt. An attempt that never was is the handler's to refuse.
    pub(crate) async fn own_attempt(&self, doing: &str, worker: &str, attempt: AttemptId) -> Result<(), Refused> {
        let remembered = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).get(&attempt).cloned();
        let holder = match remembered {
            Some(holder) => holder,
            None => {
                let found = self.store.worker_of_attempt(attempt).await.map_err(while_doing(|| doing))?;
                let Some(holder) = found else { return Ok(()) };
                self.note_attempt(attempt, &holder);
                holder
            }
        };
        match holder == worker {
            true => Ok(()),
            false => Err(not_allowed(format!("{doing}: attempt {attempt} is another worker's"))),
        }
    }

    /// Remembers who holds an attempt that was just made.
    pub(crate) fn note_attempt(&self, attempt: AttemptId, worker: &str) {
        if self.asks == Asks::Nobody {
            return;
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ATTEMPTS {
            attempts.clear();
        }
        attempts.insert(attempt, worker.to_owned());
    }

    /// Refuses an owner that touches another's batch, or one that is not there.
    async fn own_batch(&self, doing: &str, name: &str, batch: BatchId) -> Result<(), Refused> {
        match self.store.owner_of_batch(batch).await.map_err(while_doing(|| doing))? {
            Some(owner) if owner == name => Ok(()),
            _ => Err(not_allowed(format!("{doing}: there is no batch {batch} of {name}'s"))),
        }
    }

    /// Who asks, and the key of their forms when they ask with a browser.
    async fn judge(
        &self,
        request: &Parts,
        peer: SocketAddr,
        path: &str,
        now: Moment,
    ) -> Result<(Caller, Option<FormKey>), Refused> {
        let method = request.method.as_str();
        if self.asks == Asks::Nobody {
            return Ok((Caller::Anybody, Some(self.form_key.clone())));
        }
        if access::is_for_everybody(method, path) {
            return Ok((Caller::Anybody, None));
        }
        let doing = || format!("{method} {}", request.uri.path());
        let (hash, form_key) = match presented(&request.headers, method) {
            Some(secret) => (format!("{:x}", Sha256::digest(&secret)), None),
            None => {
                let looks = matches!(method, "GET" | "HEAD") || access::is_a_page(path);
                let secret = session::brought(&request.headers).filter(|_| looks).ok_or_else(|| {
                    let advice = "a person's is stored by `nightshift login URL`, a worker gets its own by joining";
                    who(access_code::NOT_AUTHENTICATED, format!("{}: it brings no token; {advice}", doing()))
                        .guessed_nothing()
                })?;
                let (token_hash, form_key) = self.session(&doing(), secret, now).await?;
                (token_hash, Some(form_key))
            }
        };
        let (name, role) = match self.directory.find_hash(&hash).await {
            Ok(Known::Token(token)) => {
                access::judge_token(&token, peer.ip(), now)
                    .map_err(|fault| token_fault(&doing(), &token.name, fault).guessed_nothing())?;
                self.directory.used(&token.name, now);
                (token.name.clone(), token.role)
            }
            Ok(Known::Worker(worker)) => {
                let machine = request.headers.get(MACHINE).and_then(|machine| machine.to_str().ok());
                enrolment::judge_use(&worker, machine)
                    .map_err(|fault| worker_fault(&doing(), &worker.worker, &fault).guessed_nothing())?;
                (worker.worker.clone(), Role::Worker)
            }
            Err(Unknown::Nobody) => {
                let detail =
                    format!("{}: this server does not know its token; log in again with `nightshift login`", doing());
                return Err(who(access_code::NOT_AUTHENTICATED, detail));
            }
            Err(Unknown::StoreAway) => {
                let detail = format!("{}: the store cannot say just now whether its token is still good", doing());
                return Err(Refused::away(detail));
            }
        };
        let reach = access::reach(role, method, path);
        match reach {
            Reach::No => {
                let may = access::who_may(method, path);
                return Err(not_allowed(format!("{}: the {role} {name} may not do this; {may}", doing())));
            }
            Reach::Own => self.own(&doing(), path, &request.uri, (&name, role)).await?,
            Reach::All => {}
        }
        Ok((Caller::Somebody { name, role, reach, hash }, form_key))
    }

    /// Who is logged in with a browser that brings these headers, and the key of their forms; `None` for nobody, and when that
    /// cannot be said just now. For pages that have to say something to anybody.
    pub(crate) async fn visitor(
        &self,
        headers: HeaderMap,
        peer: SocketAddr,
        now: Moment,
    ) -> Option<(Caller, Option<FormKey>)> {
        // As if the overview were asked for, which is everybody's who may see any page.
        let mut looks: Request = Request::default();
        *looks.headers_mut() = headers;
        self.judge(&looks.into_parts().0, peer, "/", now).await.ok()
    }

    /// The hash of the token that a session stands for, and the key of its forms.
    async fn session(&self, doing: &str, secret: &str, now: Moment) -> Result<(String, FormKey), Refused> {
        let (hash, form_key) = session::found_by(secret);
        let found = self.store.session(&hash).await.map_err(while_doing(|| doing))?;
        match found.filter(|session| session::lasts(session, now)) {
            Some(session) => Ok((session.token_hash, form_key)),
            None => Err(who(access_code::EXPIRED, format!("{doing}: this session is over; log in again"))),
        }
    }

    /// Logs in with a token that may see pages: the secret of the new session.
    pub(crate) async fn log_in(&self, token: &str, peer: SocketAddr, now: Moment) -> Result<String, Refused> {
        const DOING: &str = "logging in";
        let wrong = || who(access_code::NOT_AUTHENTICATED, format!("{DOING}: this server does not know that token"));
        let known = match self.directory.find(token).await {
            Ok(Known::Token(known)) => known,
            Ok(Known::Worker(_)) | Err(Unknown::Nobody) => return Err(wrong()),
            Err(Unknown::StoreAway) => {
                return Err(Refused::away(format!(
                    "{DOING}: the store cannot say just now whether that token is good"
                )));
            }
        };
        access::judge_token(&known, peer.ip(), now).map_err(|fault| token_fault(DOING, &known.name, fault))?;
        if access::reach(known.role, "GET", "/") == Reach::No {
            return Err(not_allowed(format!("{DOING}: a token of the role {} opens no pages", known.role)));
        }
        let (secret, session) = session::new(&format!("{:x}", Sha256::digest(token)), now);
        self.store.open_session(&session).await.map_err(while_doing(|| DOING))?;
        self.directory.used(&known.name, now);
        Ok(secret)
    }

    /// Ends the session that a browser brings.
    pub(crate) async fn log_out(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(secret) = session::brought(headers) else { return Ok(()) };
        let (hash, _) = session::found_by(secret);
        self.store.end_session(&hash).await.map_err(while_doing(|| "logging out"))
    }

    /// Whether somebody who was let in before would be let in now.
    pub(crate) fn still(&self, caller: &Caller, peer: SocketAddr, now: Moment) -> bool {
        match caller {
            Caller::Anybody => true,
            Caller::Somebody { hash, .. } => match self.directory.again(hash) {
                Some(Known::Token(token)) => access::judge_token(&token, peer.ip(), now).is_ok(),
                Some(Known::Worker(_)) | None => false,
            },
        }
    }

    /// Refuses what the path names and is not the caller's own.
    async fn own(&self, doing: &str, path: &str, uri: &Uri, (name, role): (&str, Role)) -> Result<(), Refused> {
        let Some((kind, number)) = named_in(path, uri.path()) else { return Ok(()) };
        // A number spelt otherwise (%37) could be read as one by the handler: whose it is was not asked then.
        let Some(number) = number else {
            let detail = format!("{doing}: there is no such {kind}: its number is written in digits");
            return Err(Refused::not_found(detail));
        };
        let owner = match (kind, role) {
            ("attempt", Role::Worker) => return self.own_attempt(doing, name, number).await,
            ("batch", Role::Owner) => return self.own_batch(doing, name, number).await,
            ("job", Role::Owner) => self.store.owner_of_job(number).await,
            _ => return Err(not_allowed(format!("{doing}: the {role} {name} may not do this"))),
        };
        match owner.map_err(while_doing(|| doing))? {
            Some(owner) if owner == name => Ok(()),
            _ => Err(not_allowed(format!("{doing}: there is no {kind} {number} of {name}'s"))),
        }
    }
}

/// Lets a request in, with its [`Caller`] among its extensions, or answers it with a refusal.
pub(crate) async fn let_in(app: &App, request: Request) -> Result<Request, Response> {
    // What has no path here gets its 404 without being asked who it is.
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(request) };
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        return Err(Refused::internal("looking where a request comes from").into_response());
    };
    let (mut parts, body) = request.into_parts();
    match app.gate.judge(&parts, peer, path.as_str(), app.clock.now()).await {
        Ok((caller, form_key)) => {
            parts.extensions.insert(caller);
            if let Some(form_key) = form_key {
                parts.extensions.insert(form_key);
            }
            Ok(Request::from_parts(parts, body))
        }
        Err(refused) => {
            let mut response = refused.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Err(response)
        }
    }
}

/// The token a request brings. A browser, which can only look, may bring it as a password.
fn presented(headers: &HeaderMap, method: &str) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") && method == "GET" {
        let text = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
        text.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    (!token.is_empty() && token.len() <= 200).then_some(token)
}

/// The batch, job or attempt that a path names: its kind, and its number when digits alone stand there.
fn named_in<'p>(pattern: &'p str, path: &str) -> Option<(&'p str, Option<i64>)> {
    pattern.split('/').zip(path.split('/')).find_map(|(pattern, part)| {
        let kind = pattern.strip_prefix('{')?.strip_suffix('}')?;
        matches!(kind, "batch" | "job" | "attempt").then_some(())?;
        Some((kind, part.parse().ok()))
    })
}

fn token_fault(doing: &str, name: &str, fault: TokenFault) -> Refused {
    let detail = format!("{doing}: the token {name}: {fault}");
    match fault {
        TokenFault::Revoked => who(access_code::REVOKED, detail),
        TokenFault::Expired => who(access_code::EXPIRED, detail),
        TokenFault::WrongNetwork => not_allowed(detail),
    }
}

fn worker_fault(doing: &str, worker: &str, fault: &NoWork) -> Refused {
    let detail = format!("{doing}: worker {worker}: {fault}");
    match fault {
        NoWork::Pending(_) => Refused::new(StatusCode::FORBIDDEN, access_code::NOT_APPROVED, detail),
        NoWork::Revoked(_) => who(access_code::REVOKED, detail),
        NoWork::EnrolAgain => who(access_code::ENROL_AGAIN, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).expect("a header");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn a_token_is_read_from_its_header_and_a_browsers_password_only_to_look() {
        let read = |text: &str, method: &str| presented(&headers(text), method);
        assert_eq!(read("Bearer ns_admin_1", "POST").as_deref(), Some("ns_admin_1"));
        assert_eq!(read("bearer  ns_admin_1 ", "GET").as_deref(), Some("ns_admin_1"));
        let basic = format!("Basic {}", BASE64_STANDARD.encode("anybody:ns_viewer_1"));
        assert_eq!(read(&basic, "GET").as_deref(), Some("ns_viewer_1"));
        assert_eq!(read(&basic, "POST"), None);
        for text in ["Bearer", "Bearer ", "Digest x", "Basic !", "ns_admin_1", &format!("Bearer {}", "x".repeat(201))] {
            assert_eq!(read(text, "GET"), None, "{text}");
        }
    }

    #[test]
    fn what_a_path_names_is_found_by_its_place_in_the_pattern() {
        assert_eq!(named_in("/v1/batches/{batch}/jobs", "/v1/batches/7/jobs"), Some(("batch", Some(7))));
        assert_eq!(named_in("/v1/attempts/{attempt}/results", "/v1/attempts/9/results"), Some(("attempt", Some(9))));
        for odd in ["seven", "%37", "%2B7", "7%", ""] {
            assert_eq!(named_in("/v1/batches/{batch}", &format!("/v1/batches/{odd}")), Some(("batch", None)), "{odd}");
        }
        assert_eq!(named_in("/v1/tokens/{token}", "/v1/tokens/7"), None);
        assert_eq!(named_in("/v1/claims", "/v1/claims"), None);
    }
}
