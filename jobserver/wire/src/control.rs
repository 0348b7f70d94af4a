//! The control branch as the job server sees it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the grid is stopped, as far as the job server knows. Its word alone stops and starts nothing: a worker that
/// hears of a change looks at the repository itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopView {
    /// Names this view; the same on every job server that sees the same flag.
    pub etag: String,
    /// What the stop flag says; absent when there is none.
    pub stopped: Option<String>,
}
