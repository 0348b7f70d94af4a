//! Who may ask: tokens, workers that want to join, and the rules by which they are let in.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/me` | | 200 [`Me`] |
//! | `GET /v1/tokens` | | 200 list of [`Token`] |
//! | `POST /v1/tokens` | [`NewToken`] | 201 [`TokenMade`] |
//! | `DELETE /v1/tokens/NAME` | | 204 |
//! | `POST /v1/join` | [`JoinRequest`] | 200 [`Joined`] |
//! | `GET /v1/enrolments` | | 200 list of [`Enrolment`] |
//! | `POST /v1/enrolments/WORKER` | [`EnrolmentDecision`] | 200 [`Enrolment`] |
//! | `GET /v1/join-rules` | | 200 list of [`JoinRule`] |
//! | `POST /v1/join-rules` | [`NewJoinRule`] | 201 [`JoinRule`] |
//! | `DELETE /v1/join-rules/NAME` | | 204 |
//!
//! Every request but `/v1/join` and `/healthz` carries `Authorization: Bearer TOKEN` when the server asks for tokens; a
//! worker's also says its machine, as `Nightshift-Machine`. Which role may make which request is a table in
//! `jobserver/rules`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// The stable codes of refusals about access, in [`Problem::code`](crate::Problem::code).
pub mod access_code {
    /// 401: no token, or one that this server does not know.
    pub const NOT_AUTHENTICATED: &str = "not_authenticated";
    /// 401: the token's time is over.
    pub const EXPIRED: &str = "expired";
    /// 401: the token or the worker's credential was revoked.
    pub const REVOKED: &str = "revoked";
    /// 401: the worker's identity is in use on another machine: it must make itself a new one and ask again.
    pub const ENROL_AGAIN: &str = "enrol_again";
    /// 403: the worker's request to join is not approved.
    pub const NOT_APPROVED: &str = "not_approved";
    /// 403: the role may not do this, or not to this batch, job, attempt or worker.
    pub const NOT_ALLOWED: &str = "not_allowed";
    /// 409: the name is taken.
    pub const NAME_TAKEN: &str = "name_taken";
}

/// What somebody may do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A worker's own credential: takes jobs, hands results in, reports.
    Worker,
    /// Sees everything, changes nothing.
    Viewer,
    /// Hands batches in; sees and changes its own batches only.
    Owner,
    /// Sees everything; changes batches, jobs and workers.
    Operator,
    /// Everything, tokens and enrolment too.
    Admin,
    /// Can only ask to join; stands in the image of the worker VM.
    Join,
}

impl Role {
    /// All roles, in the order of the tables.
    pub const ALL: [Role; 6] = [Role::Worker, Role::Viewer, Role::Owner, Role::Operator, Role::Admin, Role::Join];

    /// The role as a word.
    pub fn word(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Viewer => "viewer",
            Role::Owner => "owner",
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::Join => "join",
        }
    }

    /// What the word means; `None` for one that is no role.
    pub fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The name of the token, or the worker; absent when the server asks for no tokens.
    pub name: Option<String>,
    /// Its role; absent when the server asks for no tokens, which lets everybody do everything.
    pub role: Option<Role>,
}

/// A token as people see it; the token itself is shown once, when it is made, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its name, unique; batches carry their owner's.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The network it may be used from, such as `10.1.0.0/16`; everywhere when absent.
    pub network: Option<String>,
    /// Of a join token: how many workers may ask to join with it; any number when absent.
    pub limit: Option<u32>,
    /// Of a join token: how many have.
    pub uses: u32,
    /// When it was made.
    pub created_at: Moment,
    /// The name of the token it was made with.
    pub created_by: String,
    /// When its time is over; never when absent.
    pub expires_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
    /// When it was last used, to a minute or so.
    pub last_used: Option<Moment>,
}

/// A token that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: letters, digits, `.`, `_`, `-` and `@`.
    pub name: String,
    /// What it may do; `worker` is refused, since workers get theirs by joining.
    pub role: Role,
    /// The network it may be used from.
    #[serde(default)]
    pub network: Option<String>,
    /// Of a join token: how many workers may ask with it.
    #[serde(default)]
    pub limit: Option<u32>,
    /// How long it lasts, in milliseconds.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// What is known of it.
    #[serde(flatten)]
    pub known: Token,
    /// The token. Nobody can show it again.
    pub token: String,
}

/// The token is not shown.
impl std::fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMade").field("known", &self.known).finish_non_exhaustive()
    }
}

/// A worker asks to join, or asks again what became of its request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinRequest {
    /// The identity it made itself.
    pub worker: String,
    /// The machine's host name, for people.
    pub host: String,
    /// The machine's fingerprint.
    pub machine: String,
    /// The SHA-256, in hex, of the credential the worker made itself: it is good from the approval on.
    pub credential: String,
    /// The join token; needed for the first request only.
    #[serde(default)]
    pub token: Option<String>,
}

/// The join token is not shown.
impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let JoinRequest { worker, host, machine, .. } = self;
        write!(f, "JoinRequest {{ worker: {worker:?}, host: {host:?}, machine: {machine:?} }}")
    }
}

/// Where a request to join stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnrolmentState {
    /// Nobody has decided yet.
    Pending,
    /// The worker's credential is good.
    Approved,
    /// It was not let in.
    Refused,
    /// It was let in, and is not any more.
    Revoked,
}

/// What became of a request to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    /// Where it stands.
    pub state: EnrolmentState,
    /// Why, in a sentence.
    pub reason: String,
}

/// A worker's request to join, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Enrolment {
    /// The identity it made itself.
    pub worker: String,
    /// What people call it; empty until somebody gave it a name.
    pub name: String,
    /// The machine's host name.
    pub host: String,
    /// The machine's fingerprint.
    pub machine: String,
    /// Where it asked from.
    pub address: String,
    /// When it asked.
    pub asked_at: Moment,
    /// The name of the join token it asked with.
    pub join_token: String,
    /// Where it stands.
    pub state: EnrolmentState,
    /// Why, in a sentence.
    pub reason: String,
    /// When that was decided.
    pub decided_at: Option<Moment>,
    /// By whom: the name of a token, or of a rule.
    pub decided_by: Option<String>,
}

/// A person's decision about a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum EnrolmentDecision {
    /// Let it in.
    Approve {
        /// What people call it.
        #[serde(default)]
        name: Option<String>,
    },
    /// Do not let it in.
    Refuse {
        /// Why.
        reason: String,
    },
    /// Do not let it in any more.
    Revoke {
        /// Why.
        reason: String,
    },
}

/// A rule by which requests to join are approved without a person. There is none by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinRule {
    /// Its name, unique.
    pub name: String,
    /// Requests from this network.
    pub network: String,
    /// So many of them at most.
    pub limit: u32,
    /// So many it has approved.
    pub approved: u32,
    /// Until then.
    pub expires_at: Moment,
    /// When it was made.
    pub created_at: Moment,
    /// The name of the token it was made with.
    pub created_by: String,
}

/// A rule that is wanted; none of its limits can be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinRule {
    /// Its name.
    pub name: String,
    /// Requests from this network.
    pub network: String,
    /// So many of them at most.
    pub limit: u32,
    /// How long it lasts, in milliseconds.
    pub expires_in_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(Role::of(role.word()), Some(role));
            assert_eq!(serde_json::to_string(&role).expect("plain"), format!("\"{role}\""));
        }
        assert_eq!(Role::of("root"), None);
    }
}
