//! Who is logged in to the dashboard: a session for each browser, by the hash of a secret that only the browser has.
//!
//! A session has no rights of its own: whoever asks by it is judged by its token, each time. Nothing secret is kept.

use async_trait::async_trait;
use nightshift_wire::Moment;

use crate::StoreError;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of the browser's secret, in hex.
    pub hash: String,
    /// The SHA-256 of the token it was opened with, in hex: another token of the same name does not keep it open.
    pub token_hash: String,
    /// When it was opened.
    pub opened_at: Moment,
    /// When it is over.
    pub expires_at: Moment,
}

/// The part of a store that keeps sessions. When a verb answers `Ok`, what it did is durable.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session; those that are over by then are removed.
    async fn open_session(&self, session: &Session) -> Result<(), StoreError>;

    /// The session of this hash; whether it is over is the caller's to see.
    async fn session(&self, hash: &str) -> Result<Option<Session>, StoreError>;

    /// Ends a session. Again is acknowledged and changes nothing.
    async fn end_session(&self, hash: &str) -> Result<(), StoreError>;
}
