//! Artifacts: files that the job server keeps for the grid, named by the hash of their bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Moment;

/// A file kept by the job server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// The SHA-256 of its bytes, in 64 small hexadecimal digits; also its name.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was put here.
    pub created_at: Moment,
}
