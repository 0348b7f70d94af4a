//! Who did what: every administrative act, in the order in which they were done. The list only grows.

use async_trait::async_trait;
use nightshift_wire::Moment;

use crate::StoreError;

/// An act as it is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAct {
    /// When.
    pub at: Moment,
    /// The name of the token that did it.
    pub by: String,
    /// What was done, to what, in words, as in `suspended batch 7`.
    pub did: String,
    /// Why, as the person said; empty when nothing was said.
    pub why: String,
}

/// An act, and its number: later ones have higher numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its number.
    pub id: i64,
    /// What was noted.
    pub act: NewAct,
}

/// The part of a store that keeps acts. When a verb answers `Ok`, what it did is durable.
#[async_trait]
pub trait Acts: Send + Sync {
    /// Notes an act.
    async fn note_act(&self, act: &NewAct) -> Result<(), StoreError>;

    /// Acts, the newest first, from below number `before` on.
    async fn acts(&self, before: i64, limit: u32) -> Result<Vec<Act>, StoreError>;
}
