//! Who may ask, as a store keeps it: tokens, enrolled workers, rules of joining, and whose a batch is.
//!
//! Tokens and credentials are kept as hashes; whether one is good is judged in `jobserver/rules`, by the server that is
//! asked. So that a server need not ask its store at every request, everything it judges by is read as changes: each
//! change has a number, later ones higher ones, and [`Access::access_changes`] gives what changed after a number. A store
//! gives the numbers out one after the other, in the order in which the changes become visible.

use std::net::IpAddr;

use async_trait::async_trait;
use nightshift_rules::access::TokenFault;
use nightshift_rules::enrolment::{Decision, Join, NoJoin};
use nightshift_wire::{
    AttemptId, BatchId, Enrolment, EnrolmentState, JobId, JoinRequest, JoinRule, Moment, Role, Token, access_code, code,
};

use crate::{Acts, Sessions, Stops, StoreError, words::Word};

/// A token, and what it is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// What people see of it.
    pub token: Token,
    /// The SHA-256 of it, in hex.
    pub hash: String,
}

/// An enrolled worker, and what its credential is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWorker {
    /// What people see of it.
    pub enrolment: Enrolment,
    /// The SHA-256 of its credential, in hex.
    pub credential: String,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessChanges {
    /// The number of the last change there is.
    pub last: i64,
    /// Tokens that were made or revoked, as they are now.
    pub tokens: Vec<KnownToken>,
    /// Workers that asked or were decided about, as they are now.
    pub workers: Vec<KnownWorker>,
}

/// A person's decision about a worker that asked to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
    /// What people shall call the worker; as before when absent.
    pub name: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// Who decided.
    pub by: String,
}

/// What the job server needs of a store to know who asks. When a verb answers `Ok`, what it did is durable; when it fails,
/// it did nothing.
#[async_trait]
pub trait Access: Stops + Sessions + Acts + Send + Sync {
    /// Everything that changed after the change of this number; after 0, everything there is.
    async fn access_changes(&self, after: i64) -> Result<AccessChanges, StoreError>;

    /// Keeps a new token. A name that is taken is refused, unless its token is not good any more and had the same role:
    /// then the new one takes its place, and with it what is its own.
    async fn add_token(&self, token: KnownToken, now: Moment) -> Result<(), StoreError>;

    /// Revokes a token, for good. Again is acknowledged and changes nothing.
    async fn revoke_token(&self, name: &str, now: Moment) -> Result<(), StoreError>;

    /// Notes when tokens were last used.
    async fn tokens_used(&self, used: &[(String, Moment)]) -> Result<(), StoreError>;

    /// A worker asks to join, from an address; or asks again. Whether it may is decided by `rules::enrolment`.
    async fn join(&self, request: &JoinRequest, from: IpAddr, now: Moment) -> Result<Enrolment, StoreError>;

    /// Decides about a worker that asked. The same decision again is acknowledged.
    async fn decide(&self, worker: &str, decided: &Decided, now: Moment) -> Result<Enrolment, StoreError>;

    /// The rules by which requests are approved without a person, by name.
    async fn join_rules(&self) -> Result<Vec<JoinRule>, StoreError>;

    /// Adds a rule; a name that is taken is refused.
    async fn add_join_rule(&self, rule: &JoinRule) -> Result<(), StoreError>;

    /// Removes a rule; whom it approved stays.
    async fn remove_join_rule(&self, name: &str) -> Result<(), StoreError>;

    /// Notes whose a batch is. Whoever was noted first stays it.
    async fn own_batch(&self, batch: BatchId, owner: &str) -> Result<(), StoreError>;

    /// Whose a batch is; `None` when nobody's or when there is no such batch.
    async fn owner_of_batch(&self, batch: BatchId) -> Result<Option<String>, StoreError>;

    /// Whose the batch of a job is.
    async fn owner_of_job(&self, job: JobId) -> Result<Option<String>, StoreError>;

    /// The newest batches of an owner, newest first.
    async fn batches_of(&self, owner: &str, limit: u32) -> Result<Vec<BatchId>, StoreError>;

    /// The worker that made an attempt; `None` when there is no such attempt.
    async fn worker_of_attempt(&self, attempt: AttemptId) -> Result<Option<String>, StoreError>;
}

/// Why a verb of [`Access`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefusal {
    /// A token or rule of this name is there.
    #[error("the name {0:?} is taken; take another, or revoke what has it")]
    NameTaken(String),
    /// There is no such token.
    #[error("there is no token {0:?}")]
    NoSuchToken(String),
    /// There is no such worker among those that asked.
    #[error("no worker {0:?} has asked to join")]
    NoSuchWorker(String),
    /// There is no such rule.
    #[error("there is no join rule {0:?}")]
    NoSuchRule(String),
    /// The worker may not join.
    #[error("{0}")]
    NoJoin(NoJoin),
    /// The worker is in a state in which this cannot be decided.
    #[error("worker {worker} is {state}: that cannot be changed any more; it can ask again as a new worker")]
    Settled {
        /// The worker.
        worker: String,
        /// Where it stands, in a word.
        state: &'static str,
    },
}

impl AccessRefusal {
    /// The status and the code by which the HTTP API tells it.
    pub(crate) fn code(&self) -> (u16, &'static str) {
        match self {
            AccessRefusal::NoSuchToken(_) | AccessRefusal::NoSuchWorker(_) | AccessRefusal::NoSuchRule(_) => {
                (404, code::NOT_FOUND)
            }
            AccessRefusal::NameTaken(_) => (409, access_code::NAME_TAKEN),
            AccessRefusal::Settled { .. } => (409, access_code::NOT_ALLOWED),
            AccessRefusal::NoJoin(NoJoin::EnrolAgain) => (401, access_code::ENROL_AGAIN),
            AccessRefusal::NoJoin(NoJoin::NoToken) => (401, access_code::NOT_AUTHENTICATED),
            AccessRefusal::NoJoin(NoJoin::Token { fault: TokenFault::Revoked, .. }) => (401, access_code::REVOKED),
            AccessRefusal::NoJoin(NoJoin::Token { fault: TokenFault::Expired, .. }) => (401, access_code::EXPIRED),
            AccessRefusal::NoJoin(NoJoin::Token { fault: TokenFault::WrongNetwork, .. } | NoJoin::UsedUp { .. }) => {
                (403, access_code::NOT_ALLOWED)
            }
        }
    }

    /// That a decision cannot be made about a worker in this state.
    pub(crate) fn settled(worker: &str, state: EnrolmentState) -> AccessRefusal {
        AccessRefusal::Settled { worker: worker.to_owned(), state: state.word() }
    }
}

/// A token as a store keeps it, before anybody used it.
pub(crate) fn may_replace(old: &Token, new: &Token, now: Moment) -> bool {
    let over = old.revoked_at.is_some() || old.expires_at.is_some_and(|end| end <= now);
    over && old.role == new.role
}

/// A new worker's enrolment, as the verdict about its request says.
pub(crate) fn enrol(request: &JoinRequest, from: IpAddr, token: &str, verdict: &Join, now: Moment) -> Enrolment {
    let rule = match verdict {
        Join::ApprovedBy(rule) => Some(rule),
        Join::Wait | Join::AsBefore => None,
    };
    Enrolment {
        worker: request.worker.clone(),
        name: String::new(),
        host: request.host.clone(),
        machine: request.machine.clone(),
        address: from.to_canonical().to_string(),
        asked_at: now,
        join_token: token.to_owned(),
        state: if rule.is_some() { EnrolmentState::Approved } else { EnrolmentState::Pending },
        reason: match rule {
            Some(rule) => format!("approved by the rule {rule:?}"),
            None => format!("waits for approval: nightshift worker approve {}", request.worker),
        },
        decided_at: rule.map(|_| now),
        decided_by: rule.cloned(),
    }
}

/// A token from a row of any store; what it may do is read by each store's own way with words.
macro_rules! read_token {
    ($row:ident, $role:expr) => {
        $crate::access::KnownToken {
            token: nightshift_wire::Token {
                role: $role,
                name: $row.get("name")?,
                network: $row.get("network")?,
                limit: $row.get("join_limit")?,
                uses: $row.get("uses")?,
                created_at: $row.get("created_at")?,
                created_by: $row.get("created_by")?,
                expires_at: $row.get("expires_at")?,
                revoked_at: $row.get("revoked_at")?,
                last_used: $row.get("last_used")?,
            },
            hash: $row.get("hash")?,
        }
    };
}

/// An enrolled worker from a row of any store; where it stands is read by each store's own way with words.
macro_rules! read_worker {
    ($row:ident, $state:expr) => {
        $crate::access::KnownWorker {
            enrolment: nightshift_wire::Enrolment {
                state: $state,
                worker: $row.get("worker")?,
                name: $row.get("name")?,
                host: $row.get("host")?,
                machine: $row.get("machine")?,
                address: $row.get("address")?,
                asked_at: $row.get("asked_at")?,
                join_token: $row.get("join_token")?,
                reason: $row.get("reason")?,
                decided_at: $row.get("decided_at")?,
                decided_by: $row.get("decided_by")?,
            },
            credential: $row.get("credential")?,
        }
    };
}

/// A rule of joining from a row of any store.
macro_rules! read_rule {
    ($row:ident) => {
        nightshift_wire::JoinRule {
            name: $row.get("name")?,
            network: $row.get("network")?,
            limit: $row.get("join_limit")?,
            approved: $row.get("approved")?,
            expires_at: $row.get("expires_at")?,
            created_at: $row.get("created_at")?,
            created_by: $row.get("created_by")?,
        }
    };
}
pub(crate) use {read_rule, read_token, read_worker};

impl Word for Role {
    fn word(self) -> &'static str {
        Role::word(self)
    }

    fn of(word: &str) -> Option<Role> {
        Role::of(word)
    }
}

impl Word for EnrolmentState {
    fn word(self) -> &'static str {
        match self {
            EnrolmentState::Pending => "pending",
            EnrolmentState::Approved => "approved",
            EnrolmentState::Refused => "refused",
            EnrolmentState::Revoked => "revoked",
        }
    }

    fn of(word: &str) -> Option<EnrolmentState> {
        use EnrolmentState::{Approved, Pending, Refused, Revoked};
        [Pending, Approved, Refused, Revoked].into_iter().find(|state| state.word() == word)
    }
}
