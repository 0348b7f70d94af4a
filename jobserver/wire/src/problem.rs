//! Refusals, as `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable code, one of [`code`]; programs decide by it.
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// What was being done, to what, and what to do next.
    pub detail: String,
}

/// The stable codes of [`Problem`].
pub mod code {
    /// The request does not say what it must.
    pub const BAD_REQUEST: &str = "bad_request";
    /// The CSV, or the JSON lines, cannot be taken; the detail names the line.
    pub const BAD_CSV: &str = "bad_csv";
    /// The key of the hand-in stands for another input.
    pub const KEY_REUSED: &str = "key_reused";
    /// No release in force has such a plugin, or no release is known yet.
    pub const UNKNOWN_PLUGIN: &str = "unknown_plugin";
    /// There is no such batch, job, attempt or page.
    pub const NOT_FOUND: &str = "not_found";
    /// The attempt's secret is wrong.
    pub const WRONG_SECRET: &str = "wrong_secret";
    /// The job is no longer this attempt's.
    pub const NOT_WANTED: &str = "not_wanted";
    /// The worker's release is denied: it gets no job and its results are not taken.
    pub const RELEASE_DENIED: &str = "release_denied";
    /// The results do not match the job's records one to one.
    pub const WRONG_RESULTS: &str = "wrong_results";
    /// The results were computed on data of another primary than the job's.
    pub const OTHER_PRIMARY: &str = "other_primary";
    /// The primary of the data cannot be asked for its position; try again later.
    pub const PRIMARY_AWAY: &str = "primary_away";
    /// The answer holds a secret, and this connection is not encrypted.
    pub const NOT_ENCRYPTED: &str = "not_encrypted";
    /// The batch has no such column.
    pub const MISSING_COLUMN: &str = "missing_column";
    /// The batch is still arriving: it has no results to give yet.
    pub const NOT_READY: &str = "not_ready";
    /// The batch is finished: there is nothing to suspend.
    pub const FINISHED: &str = "finished";
    /// The body is larger than the server takes, or the batch than one may be.
    pub const TOO_LARGE: &str = "too_large";
    /// The request was meant for a server of another name.
    pub const WRONG_HOST: &str = "wrong_host";
    /// This client asks too much; `Retry-After` says when to come again.
    pub const TOO_MANY_REQUESTS: &str = "too_many_requests";
    /// The bytes are not those that their name says.
    pub const WRONG_DIGEST: &str = "wrong_digest";
    /// There is no more room for artifacts.
    pub const NO_ROOM: &str = "no_room";
    /// The store is away or full; try again later.
    pub const STORE_AWAY: &str = "store_away";
    /// The store was gone before it said whether this was done; look before trying again.
    pub const OUTCOME_UNKNOWN: &str = "outcome_unknown";
    /// A fault of the server; its log says more.
    pub const INTERNAL: &str = "internal";
}
