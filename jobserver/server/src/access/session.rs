//! Who is logged in with a browser: a secret in a cookie, whose hash the store keeps beside that of the token it was got for.
//!
//! 1. A login shows a token once. The browser gets a secret of its own, in a cookie that no script reads and no other site's
//!    page sends; the token itself stays in nobody's browser.
//! 2. With each request the session is looked up in the store, so that a log-out counts at every server at once, and its
//!    token is judged as if it had been shown.
//! 3. A session lets its owner look at everything the token may see. It changes something only through the pages, and
//!    there only with the form key of the session, which other sites' pages cannot know.

use axum::http::{HeaderMap, HeaderValue, header};
use nightshift_store::Session;
use nightshift_wire::Moment;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The cookie.
const COOKIE: &str = "nightshift_session";
/// How long a session lasts, in milliseconds: a long day's work.
pub(crate) const LASTS_MS: u64 = 12 * 60 * 60 * 1000;

/// What a browser is asked to bring with its forms: proof that the form is of a page that we sent it.
#[derive(Debug, Clone)]
pub(crate) struct FormKey(String);

impl FormKey {
    /// A key that nobody knows, for a server without sessions.
    pub(crate) fn of_this_run() -> FormKey {
        FormKey(Uuid::new_v4().simple().to_string())
    }

    fn of(secret: &str) -> FormKey {
        FormKey(format!("{:x}", Sha256::digest(format!("form {secret}"))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is(&self, brought: &str) -> bool {
        self.0.as_bytes().ct_eq(brought.as_bytes()).into()
    }
}

/// A new session: its secret, for the browser, and what is kept of it.
pub(crate) fn new(token_hash: &str, now: Moment) -> (String, Session) {
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let session = Session {
        hash: hash(&secret),
        token_hash: token_hash.to_owned(),
        opened_at: now,
        expires_at: now.saturating_add_unsigned(LASTS_MS),
    };
    (secret, session)
}

/// The secret that a browser brings.
pub(crate) fn brought(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, secret) = pairs.find(|(name, _)| *name == COOKIE)?;
    (secret.len() == 64).then_some(secret)
}

/// What a session of this secret is found by, and the key of its forms.
pub(crate) fn found_by(secret: &str) -> (String, FormKey) {
    (hash(secret), FormKey::of(secret))
}

/// Whether a session still lasts.
pub(crate) fn lasts(session: &Session, now: Moment) -> bool {
    now < session.expires_at
}

/// The cookie of a session; an empty secret takes it away.
pub(crate) fn cookie(secret: &str, encrypted: bool) -> HeaderValue {
    let seconds = if secret.is_empty() { 0 } else { LASTS_MS / 1000 };
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""))
}

fn hash(secret: &str) -> String {
    format!("{:x}", Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_over_after_twelve_hours_and_no_millisecond_later() {
        let (secret, session) = new(&"a".repeat(64), 1_000);
        assert_eq!((secret.len(), session.expires_at), (64, 1_000 + 43_200_000));
        assert!(lasts(&session, session.expires_at - 1) && !lasts(&session, session.expires_at));
    }

    #[test]
    fn a_cookie_is_read_among_others_and_only_if_it_can_be_one() {
        let (secret, session) = new(&"a".repeat(64), 0);
        let headers = |text: &str| HeaderMap::from_iter([(header::COOKIE, text.parse().expect("a header"))]);
        let among = headers(&format!("theme=dark; nightshift_session={secret}; x=y"));
        assert_eq!(brought(&among), Some(secret.as_str()));
        assert_eq!(found_by(&secret).0, session.hash);
        for odd in ["nightshift_session=short", "nightshift_sessions=1", "", "nightshift_session"] {
            assert_eq!(brought(&headers(odd)), None, "{odd}");
        }
    }

    #[test]
    fn no_script_reads_the_cookie_no_other_site_sends_it_and_with_tls_it_goes_nowhere_else() {
        let plain = cookie("s", false);
        assert_eq!(plain, "nightshift_session=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
        assert_eq!(cookie("", true), "nightshift_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure");
    }

    #[test]
    fn the_key_of_the_forms_says_nothing_of_the_secret_and_is_no_other_sessions() {
        let (one, other) = (found_by("one").1, found_by("other").1);
        assert!(one.is(one.as_str()) && !one.is(other.as_str()) && !one.is(""));
        assert!(!one.as_str().contains("one"));
    }
}
