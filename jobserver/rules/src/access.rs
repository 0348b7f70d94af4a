//! Who may make which request: one table, and whether a token is good.
//!
//! The table is what the server asks before it does anything; a request that is not in it is nobody's. A test prints it
//! into `docs/diagrams/access.md`. Whether a worker is let in is decided in [`crate::enrolment`].

use std::net::IpAddr;

use nightshift_wire::{Moment, Role, Token};

use crate::network::Network;

/// How far a role reaches with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    No,
    /// What is its own: a worker's own attempts, an owner's own batches and their jobs.
    Own,
    /// Everything.
    All,
}

/// A line of the table: a request, and how far each role of [`Role::ALL`] reaches with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, names of its variable parts in braces.
    pub path: &'static str,
    /// One for each of [`Role::ALL`].
    pub reach: [Reach; 6],
}

use Reach::{All, No, Own};

const WORKERS_OWN: [Reach; 6] = [Own, No, No, No, No, No];
const SEEN_BY_WORKERS_TOO: [Reach; 6] = [All, All, All, All, All, No];
const SEEN_BY_STAFF: [Reach; 6] = [No, All, No, All, All, No];
const OWNERS_SEEN: [Reach; 6] = [No, All, Own, All, All, No];
const OWNERS_CHANGE: [Reach; 6] = [No, No, Own, All, All, No];
const OPERATORS: [Reach; 6] = [No, No, No, All, All, No];
const ADMINS: [Reach; 6] = [No, No, No, No, All, No];

const fn row(method: &'static str, path: &'static str, reach: [Reach; 6]) -> Row {
    Row { method, path, reach }
}

/// The table.
pub const TABLE: &[Row] = &[
    row("POST", "/v1/claims", WORKERS_OWN),
    row("GET", "/v1/attempts/{attempt}/records", WORKERS_OWN),
    row("POST", "/v1/attempts/{attempt}/heartbeat", WORKERS_OWN),
    row("POST", "/v1/attempts/{attempt}/results", WORKERS_OWN),
    row("POST", "/v1/attempts/{attempt}/give-back", WORKERS_OWN),
    row("POST", "/v1/results", WORKERS_OWN),
    row("POST", "/v1/reports", WORKERS_OWN),
    row("GET", "/v1/replication", WORKERS_OWN),
    row("POST", "/v1/rebuilds", WORKERS_OWN),
    row("DELETE", "/v1/rebuilds/{worker}", WORKERS_OWN),
    row("GET", "/v1/stop", SEEN_BY_WORKERS_TOO),
    row("POST", "/v1/stop", OPERATORS),
    row("DELETE", "/v1/stop", OPERATORS),
    row("GET", "/v1/rollouts", SEEN_BY_WORKERS_TOO),
    row("GET", "/v1/rollouts/{release}", SEEN_BY_WORKERS_TOO),
    row("GET", "/v1/artifacts/{artifact}", SEEN_BY_WORKERS_TOO),
    row("POST", "/v1/batches", OWNERS_CHANGE),
    row("GET", "/v1/batches", OWNERS_SEEN),
    row("GET", "/v1/batches/{batch}", OWNERS_SEEN),
    row("GET", "/v1/batches/{batch}/jobs", OWNERS_SEEN),
    row("GET", "/v1/batches/{batch}/results", OWNERS_SEEN),
    row("GET", "/v1/batches/{batch}/receipt", OWNERS_SEEN),
    row("POST", "/v1/batches/{batch}/suspend", OWNERS_CHANGE),
    row("POST", "/v1/batches/{batch}/resume", OWNERS_CHANGE),
    row("DELETE", "/v1/batches/{batch}", OWNERS_CHANGE),
    row("GET", "/v1/jobs", OWNERS_SEEN),
    row("GET", "/v1/jobs/{job}", OWNERS_SEEN),
    row("GET", "/v1/jobs/{job}/explain", OWNERS_SEEN),
    row("POST", "/v1/jobs/actions", OWNERS_CHANGE),
    row("GET", "/v1/stats", SEEN_BY_STAFF),
    row("GET", "/v1/baselines", SEEN_BY_STAFF),
    row("POST", "/v1/baselines", OPERATORS),
    row("DELETE", "/v1/baselines/{baseline}", OPERATORS),
    row("GET", "/v1/workers", SEEN_BY_STAFF),
    row("GET", "/v1/workers/{worker}", SEEN_BY_STAFF),
    row("POST", "/v1/workers/{worker}", OPERATORS),
    row("GET", "/v1/status", SEEN_BY_WORKERS_TOO),
    row("GET", "/v1/me", SEEN_BY_WORKERS_TOO),
    row("GET", "/v1/tokens", ADMINS),
    row("POST", "/v1/tokens", ADMINS),
    row("DELETE", "/v1/tokens/{token}", ADMINS),
    row("GET", "/v1/enrolments", OPERATORS),
    row("POST", "/v1/enrolments/{worker}", ADMINS),
    row("GET", "/v1/join-rules", ADMINS),
    row("POST", "/v1/join-rules", ADMINS),
    row("DELETE", "/v1/join-rules/{rule}", ADMINS),
    row("GET", "/v1/artifacts", OPERATORS),
    row("PUT", "/v1/artifacts/{artifact}", ADMINS),
    row("DELETE", "/v1/artifacts/{artifact}", ADMINS),
    row("GET", "/metrics", SEEN_BY_STAFF),
];

/// The dashboard's table: what browsers ask for. Only these requests may change something on the word of a session.
pub const PAGES: &[Row] = &[
    row("GET", "/", OWNERS_SEEN),
    row("GET", "/live", SEEN_BY_STAFF),
    row("GET", "/batches", OWNERS_SEEN),
    row("GET", "/batches/new", OWNERS_CHANGE),
    row("POST", "/batches/new", OWNERS_CHANGE),
    row("POST", "/batches/preview", OWNERS_CHANGE),
    row("GET", "/batches/{batch}", OWNERS_SEEN),
    row("POST", "/batches/{batch}", OWNERS_CHANGE),
    row("GET", "/batches/{batch}/errors", OWNERS_SEEN),
    row("GET", "/batches/{batch}/live", OWNERS_SEEN),
    row("GET", "/batches/{batch}/receipt", OWNERS_SEEN),
    row("GET", "/jobs", OWNERS_SEEN),
    row("POST", "/jobs", OWNERS_CHANGE),
    row("GET", "/jobs/{job}", OWNERS_SEEN),
    row("GET", "/workers", SEEN_BY_STAFF),
    row("GET", "/workers/{worker}", SEEN_BY_STAFF),
    row("POST", "/workers/{worker}", OPERATORS),
    row("POST", "/workers/{worker}/enrolment", ADMINS),
    row("GET", "/releases", SEEN_BY_STAFF),
    row("GET", "/statistics", SEEN_BY_STAFF),
    row("GET", "/stops", SEEN_BY_STAFF),
    row("POST", "/stops", OPERATORS),
    row("GET", "/acts", SEEN_BY_STAFF),
];

/// Requests that need no token: they tell nothing and change nothing, or bring their own proof.
pub const FOR_EVERYBODY: &[(&str, &str)] =
    &[("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v1/openapi.json"), ("POST", "/v1/join")];

/// What a browser asks for before anybody is logged in, or to be so no more.
pub const PAGES_FOR_EVERYBODY: &[(&str, &str)] = &[
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/page.css"),
    ("GET", "/page.js"),
    ("GET", "/icon.svg"),
];

/// How far the role reaches with a request; `HEAD` is a `GET`. A request that is in no table is nobody's.
pub fn reach(role: Role, method: &str, path: &str) -> Reach {
    let method = if method == "HEAD" { "GET" } else { method };
    let row = TABLE.iter().chain(PAGES).find(|row| row.method == method && row.path == path);
    let place = Role::ALL.iter().position(|one| *one == role);
    row.zip(place).map_or(No, |(row, place)| row.reach[place])
}

/// Whose request it is, for whoever may not make it.
pub fn who_may(method: &str, path: &str) -> String {
    let roles: Vec<&str> =
        Role::ALL.iter().filter(|role| reach(**role, method, path) != No).map(|role| role.word()).collect();
    match roles.split_last() {
        None => "nobody may".to_owned(),
        Some((only, [])) => format!("it takes the role {only}"),
        Some((last, others)) => format!("it takes the role {} or {last}", others.join(", ")),
    }
}

/// Whether the request needs no token.
pub fn is_for_everybody(method: &str, path: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    FOR_EVERYBODY.contains(&(method, path)) || PAGES_FOR_EVERYBODY.contains(&(method, path))
}

/// Whether the path is one of the dashboard's: an answer to a person, made of forms and links.
pub fn is_a_page(path: &str) -> bool {
    PAGES.iter().map(|row| row.path).chain(PAGES_FOR_EVERYBODY.iter().map(|(_, path)| *path)).any(|page| page == path)
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Somebody revoked it.
    #[error("it was revoked")]
    Revoked,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// It is used from outside its network.
    #[error("it may not be used from this address")]
    WrongNetwork,
}

/// Judges a token used from `from` now. A network that cannot be read holds nobody.
pub fn judge_token(token: &Token, from: IpAddr, now: Moment) -> Result<(), TokenFault> {
    if token.revoked_at.is_some() {
        return Err(TokenFault::Revoked);
    }
    if token.expires_at.is_some_and(|end| end <= now) {
        return Err(TokenFault::Expired);
    }
    match &token.network {
        Some(network) if !network.parse::<Network>().is_ok_and(|network| network.contains(from)) => {
            Err(TokenFault::WrongNetwork)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn token() -> Token {
        Token {
            name: "anna".to_owned(),
            role: Role::Owner,
            network: Some("10.0.0.0/8".to_owned()),
            limit: None,
            uses: 0,
            created_at: 0,
            created_by: "first".to_owned(),
            expires_at: Some(100),
            revoked_at: None,
            last_used: None,
        }
    }

    #[test]
    fn who_may_not_hears_who_may() {
        assert_eq!(who_may("GET", "/v1/tokens"), "it takes the role admin");
        assert_eq!(who_may("POST", "/v1/batches"), "it takes the role owner, operator or admin");
        assert_eq!(who_may("GET", "/nowhere"), "nobody may");
    }

    #[test]
    fn a_token_is_good_in_its_network_until_its_time_is_over_or_somebody_revokes_it() {
        let (inside, outside) = ("10.1.2.3".parse().expect("an address"), "192.0.2.1".parse().expect("an address"));
        assert_eq!(judge_token(&token(), inside, 99), Ok(()));
        assert_eq!(judge_token(&token(), inside, 100), Err(TokenFault::Expired));
        assert_eq!(judge_token(&token(), outside, 99), Err(TokenFault::WrongNetwork));
        let revoked = Token { revoked_at: Some(50), ..token() };
        assert_eq!(judge_token(&revoked, inside, 40), Err(TokenFault::Revoked), "whatever a clock says");
        let unreadable = Token { network: Some("office".to_owned()), ..token() };
        assert_eq!(judge_token(&unreadable, inside, 99), Err(TokenFault::WrongNetwork));
    }

    #[test]
    fn a_viewer_changes_nothing_and_a_join_token_does_nothing_but_ask() {
        for row in TABLE.iter().chain(PAGES) {
            let viewer = reach(Role::Viewer, row.method, row.path);
            assert!(row.method == "GET" || viewer == No, "{} {}", row.method, row.path);
            assert_eq!(reach(Role::Join, row.method, row.path), No, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn tokens_enrolment_and_artifacts_are_changed_by_admins_alone() {
        for row in TABLE.iter().chain(PAGES).filter(|row| row.method != "GET") {
            let guarded = ["token", "enrolment", "join-rule", "artifact"].iter().any(|part| row.path.contains(part));
            assert_eq!(guarded, row.reach == ADMINS, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn a_worker_reaches_nothing_that_is_not_its_own_and_changes_nothing_of_others() {
        for row in TABLE.iter().chain(PAGES).filter(|row| row.method != "GET") {
            assert_ne!(reach(Role::Worker, row.method, row.path), All, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn a_request_that_is_in_no_table_is_nobodys() {
        for role in Role::ALL {
            assert_eq!(reach(role, "POST", "/v1/tomorrow"), No);
            assert_eq!(reach(role, "TRACE", "/v1/status"), No);
        }
        assert_eq!(reach(Role::Viewer, "HEAD", "/v1/status"), All);
        assert!(is_for_everybody("GET", "/healthz") && !is_for_everybody("POST", "/healthz"));
    }

    #[test]
    fn the_page_shows_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/access.md");
        let page = page();
        if std::env::var_os("UPDATE_DIAGRAMS").is_some() {
            std::fs::write(file, &page).expect("write the page");
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(written, page, "run the tests with UPDATE_DIAGRAMS=1 to write {file}");
    }

    fn page() -> String {
        let mut text = String::from(
            "# Who may make which request\n\n\
             Printed by a test of `jobserver/rules/src/access.rs` (`UPDATE_DIAGRAMS=1 cargo test -p nightshift-rules`). \
             *own* is a worker's own attempts and name, an owner's own batches and their jobs. A request that is not here \
             is refused to everybody. What does not begin with `/v1/` is a page of the dashboard, or for monitoring.\n\n| request |",
        );
        for role in Role::ALL {
            let _ = write!(text, " {role} |");
        }
        text += "\n|---|";
        text += &"---|".repeat(Role::ALL.len());
        for row in TABLE.iter().chain(PAGES) {
            let _ = write!(text, "\n| `{} {}` |", row.method, row.path);
            for reach in row.reach {
                let cell = match reach {
                    No => "",
                    Own => " own",
                    All => " yes",
                };
                let _ = write!(text, "{cell} |");
            }
        }
        text += "\n\nWithout a token: ";
        let open = FOR_EVERYBODY.iter().chain(PAGES_FOR_EVERYBODY);
        let open: Vec<String> = open.map(|(method, path)| format!("`{method} {path}`")).collect();
        text + &open.join(", ") + ". `POST /v1/join` brings a join token in its body.\n"
    }
}
