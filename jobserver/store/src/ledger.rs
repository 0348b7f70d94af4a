//! What was handed in and what came of it: the input of a batch, the owner's key for it, the counts of its receipt.
//!
//! How a key makes one batch of any number of hand-ins: the jobs of a batch are appended, then its input is noted
//! ([`Ledger::note_input`]), then it is sealed. Noting is what decides: of several hand-ins with one key, also at the same
//! instant and on several servers, one is the first, and the others hear which batch that is. A batch whose input is
//! noted is whole, so anybody who finds it may seal it.

use async_trait::async_trait;
use nightshift_rules::sizing::Measured;
use nightshift_wire::{BatchId, ReachedPosition};

use crate::StoreError;

/// What a batch was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// SHA-256 of its bytes, unpacked, in lower-case hexadecimal.
    pub digest: String,
    /// How many bytes.
    pub bytes: u64,
    /// What was asked for with them, as a JSON object.
    pub parameters: String,
    /// The owner's key, when there is one.
    pub key: Option<String>,
}

/// Whose input it is that a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// This batch's: it may be sealed.
    First,
    /// That of a batch that came before; nothing was noted.
    Before {
        /// The batch, which is sealed or about to be.
        batch: BatchId,
        /// What it was made of.
        input: Input,
    },
}

/// Results of some jobs that one worker computed with one release, on data at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// Tag of the release.
    pub release: String,
    /// Its commit.
    pub commit: String,
    /// The worker.
    pub worker: String,
    /// The position that its data had reached; `None` when that was not told.
    pub position: Option<ReachedPosition>,
    /// Jobs.
    pub jobs: u64,
    /// Results.
    pub results: u64,
    /// Of these, errors.
    pub errors: u64,
}

/// The part of a store that keeps inputs and counts results.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Notes what a batch that is being handed in was made of. When its key stands for a batch already, that one is
    /// answered, and this one has to be abandoned. A batch that is being removed holds no key.
    async fn note_input(&self, batch: BatchId, input: &Input) -> Result<Noted, StoreError>;

    /// The batch a key stands for, and what it was made of.
    async fn input_of_key(&self, key: &str) -> Result<Option<(BatchId, Input)>, StoreError>;

    /// What a batch was made of; `None` when that was not noted.
    async fn input(&self, batch: BatchId) -> Result<Option<Input>, StoreError>;

    /// How fast a plugin was lately; nothing measured when no job of it was done yet.
    async fn speed(&self, plugin: &str) -> Result<Measured, StoreError>;

    /// Who computed the results of a batch's jobs from place `from` on, up to and without place `to`, counted from the
    /// results themselves.
    async fn computed(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<Computed>, StoreError>;

    /// The places of a batch's jobs in the same range that have an error among their results, in order.
    async fn jobs_with_errors(&self, batch: BatchId, from: u64, to: u64) -> Result<Vec<u64>, StoreError>;
}
